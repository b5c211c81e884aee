"""Programs that are started before the collector is imported: their runs are those that the whole launcher would have kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.runs import HOOKMON, PYTHON, Result, Started, environment, hookmon, hookmon_run, wait_until, watch, write

from hookmon.collector import new_folder
from hookmon.collector.store import Store
from hookmon.core.record import asdict

IMPORTED = re.compile(r"^import time:[^|]*\|[^|]*\| +([\w.]+)$", re.MULTILINE)

TIMES = re.compile(
    r"_ns$|_ms$|_s$|^at$|^duration|^started|cpu|rss|memory|switches|waited|ran|cost|share|percent|overhead|load|_max$"
    r"|^buckets$|^points$|^notes$|^account$|^samples$"
)
"""Keys of a report whose values are times and sizes, another in each run."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose cache folder is its own."""
    (tmp_path / "hookmon.toml").write_text("")
    (tmp_path / "cache" / "hookmon").mkdir(parents=True)
    (tmp_path / "cache" / "hookmon" / "swept").touch()  # whatever launchers that tests have killed left on this machine
    return tmp_path


def env(project: Path, **more: str) -> dict[str, str | None]:
    """Return the changes of the environment for a project."""
    return {"XDG_CACHE_HOME": str(project / "cache")} | more


def run_quietly(project: Path, *words: str, count: bool = False, **more: str) -> Result:
    """Run `hookmon run --quiet WORDS` in a new interpreter; with `count`, what it imports is at the end of its stderr."""
    command = [PYTHON, *(["-X", "importtime"] if count else []), HOOKMON, "run", "--quiet", *words]
    return Started(command, cwd=project, env=env(project, **more)).finish()


def prepare(project: Path, *options: str, config: str = "") -> None:
    """Have the next run with these options started first: it finds its entry."""
    (project / "hookmon.toml").write_text(config)
    time.sleep(0.3)  # else the file may change unseen
    run_quietly(project, *options, "true")
    assert list((project / "cache" / "hookmon" / "prepared").iterdir())


def imported(result: Result) -> set[str]:
    """Return the modules that the launcher has imported."""
    return set(IMPORTED.findall(result.stderr))


def was_brief(result: Result) -> bool:
    """Say whether the program was started first: without the verbs. Of what comes out of the bundle nothing is told."""
    modules = imported(result)
    assert "hookmon.cli._own_modules" in modules
    return "hookmon.cli._verbs" not in modules


def was_short(result: Result) -> bool:
    """Say whether the collector was not imported."""
    assert was_brief(result)
    modules = imported(result)
    return "hookmon.collector.looks" not in modules  # which the collector needs; of what importlib imports nothing is told


def report(project: Path, which: str = "last") -> dict[str, Any]:
    """Return the JSON report of a run."""
    done = hookmon(["report", which, "--format", "json"], cwd=project)
    assert done.exit_code == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


ANOTHER = {
    "id",
    "pid",
    "parent_pid",
    "main_pid",
    "run_folder",
    "run_key",
    "launcher_pid",
    "identity",
    "run",
    "oldest",
    "samples",
    "account",
    "usage",
}
"""Keys of values that are another in each run."""


def without_times(value: Any) -> Any:
    """Return a report, or a run, without what differs between two runs of one program."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in ANOTHER and not TIMES.search(str(key))}
        return {key: without_times(each) for key, each in kept.items()}
    if isinstance(value, list):
        return [without_times(each) for each in value]
    if isinstance(value, float):
        return 0.0
    return re.sub(r"\bprocess \d+", "process N", value) if isinstance(value, str) else value


def raw(project: Path, number: int) -> dict[str, Any]:
    """Return all of a run file, as every reader gets it, without what differs between two runs of one program."""
    return asdict(Store.of_project(project).run_file(number).load())


def differences(first: Any, second: Any) -> list[tuple[str, Any, Any]]:
    """Return what two reports, or runs, say differently: where, and what each of them says."""
    flat, other = flatten(without_times(first)), flatten(without_times(second))
    return [(path, flat.get(path), other.get(path)) for path in sorted(flat | other) if flat.get(path) != other.get(path)]


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Return {path: value} of all that is in a document."""
    if isinstance(value, dict | list) and value:
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: each for key, entry in entries for name, each in flatten(entry, f"{path}/{key}").items()}
    return {path: value}


PROGRAMS = {
    "nothing watched": ["-c", "pass"],
    "exit code 3": ["-c", "import sys; sys.exit(3)"],
    "an exception": ["-c", "raise ValueError"],
    "a crash": ["-c", "import os; os.abort()"],
    "killed": ["-c", "import os; os.kill(os.getpid(), 9)"],
    "an interrupt": ["-c", "import os; os.kill(os.getpid(), 2)"],
    "a secret": ["-c", "pass", "--password=geheim", "x y", "ünï \n\u20ac"],
    "no site": ["-S", "-c", "pass"],
    "isolated": ["-I", "-c", "pass"],
    "a child": ["-c", "import os, time; pid = os.fork(); os.waitpid(pid, 0) if pid else time.sleep(0.3)"],
    "a program below": ["-c", "import os; os.system('exec sleep 0.3')"],
    "an exec": ["-c", "import os; os.execv('/bin/true', ['true'])"],
    "watched calls": ["-c", "import json, sqlite3; sqlite3.connect(':memory:').execute('select 1').fetchall()"],
    "a long one": ["-c", "import time; time.sleep(0.5)"],
    "a long one with calls": ["-c", "import time, sqlite3; sqlite3.connect(':memory:').execute('select 1'); time.sleep(0.5)"],
}


@pytest.mark.usefixtures("warm_launcher")  # what is compared is the run that `run_quietly` starts
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_run_is_the_same_whoever_keeps_it(project: Path, program: str):
    """Its exit code, its report and all that is in its file, but times, sizes and pids.

    Samples are left out: whether somebody looks while it runs is a matter of time, too.
    """
    prepare(project)
    command = [PYTHON, *PROGRAMS[program]]
    short = run_quietly(project, "--name", "x", *command, count=True)
    assert was_brief(short)
    whole = hookmon_run(command, cwd=project, env=env(project), options=["--name", "x"])
    assert short.exit_code == whole.exit_code
    found = differences(report(project, "2"), report(project, "3")) + differences(raw(project, 2), raw(project, 3))
    assert not found, "\n".join(map(str, found))


SHORT = ["nothing watched", "exit code 3", "an exception", "a crash", "killed", "an interrupt", "a secret"]
HEAVY = {
    "click",
    "psutil",
    "json",
    "re",
    "typing",
    "pathlib",
    "dataclasses",
    "sqlite3",
    "_sqlite3",
    "contextlib",
    "enum",
    "signal",
}


@pytest.mark.parametrize("program", SHORT)
def test_of_a_short_program_the_collector_is_not_imported(project: Path, program: str):
    """It leaves a birth note, and nothing to be counted."""
    prepare(project)
    done = run_quietly(project, PYTHON, *PROGRAMS[program], count=True)
    assert was_short(done)
    assert not HEAVY & (imported(done) - imported_by_site(project))
    assert folders_of(project) == []


def test_an_entry_is_made_by_the_first_run_and_used_by_the_next(project: Path):
    """And by one that does the same somewhere else not."""
    prepare(project)
    (project / "below").mkdir()
    again, elsewhere = run_quietly(project, "true", count=True), run_quietly(project / "below", "true", count=True)
    assert "hookmon.config.load" not in imported(again)
    assert "hookmon.config.load" in imported(elsewhere)


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "another format", "open to others", "a link", "a folder"])
def test_an_entry_that_cannot_be_trusted_is_made_anew(project: Path, damage: str):
    """It is no error either."""
    prepare(project)
    (entry,) = (project / "cache" / "hookmon" / "prepared").iterdir()
    content = entry.read_bytes()
    if damage == "open to others":
        entry.chmod(0o666)
    elif damage == "a link":
        entry.rename(project / "elsewhere")
        entry.symlink_to(project / "elsewhere")
    elif damage == "a folder":
        entry.unlink()
        entry.mkdir()
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
        entry.write_bytes({"empty": b"", "cut": content[:-100], "changed": changed, "another format": b"x" + content}[damage])
    done = run_quietly(project, PYTHON, "-c", "print('there')", count=True)
    assert (done.exit_code, done.stdout) == (0, "there\n")
    assert "hookmon.config.load" in imported(done)
    if damage != "a folder":  # nobody's to delete
        assert not entry.is_symlink()
        assert entry.stat().st_mode & 0o777 == 0o600
        assert was_short(run_quietly(project, PYTHON, "-c", "pass", count=True))


def test_a_home_that_cannot_be_written_is_no_error(project: Path):
    """Then each run is as the first one."""
    (project / "file").write_text("")
    for _ in range(2):
        done = Started(
            [HOOKMON, "run", "--quiet", "true"], cwd=project, env=env(project, XDG_CACHE_HOME=str(project / "file"))
        ).finish()
        assert (done.exit_code, done.stderr) == (0, "")


def test_a_changed_configuration_holds_at_once(project: Path):
    """The plan that the program gets is that of now."""
    write(project, {"shop.py": "def quote(): pass\ndef price(): pass\n"})
    program = [PYTHON, "-c", "import shop; shop.quote(); shop.price()"]
    prepare(project, config=watch("shop", "quote"))
    run_quietly(project, *program)
    assert [row["target"] for row in report(project)["calls"]] == ["shop:quote"]
    (project / "hookmon.toml").write_text(watch("shop", "price"))
    run_quietly(project, *program)
    assert [row["target"] for row in report(project)["calls"]] == ["shop:price"]


def test_a_command_that_cannot_be_started_is_told_as_always(project: Path):
    """And leaves no run: not there, no permission, no program, a folder."""
    prepare(project)
    (project / "plain").write_text("no program")
    (project / "broken").write_text("#!/no/such/interpreter\n")
    (project / "broken").chmod(0o700)
    (project / "garbage").write_bytes(b"\x7fELF no program")
    (project / "garbage").chmod(0o700)
    for command in ("pyhton", "./plain", "./broken", "./garbage", "./cache"):
        short, whole = run_quietly(project, command), hookmon(["run", command], cwd=project, env=env(project))
        assert short == whole
        assert short.exit_code in (126, 127)
    assert Store.of_project(project).numbers() == [1]
    assert folders_of(project) == []


def test_a_killed_launcher_loses_no_run(project: Path):
    """Killed in the program's first moments, before anything is imported: its run is read from what it has begun."""
    prepare(project)
    code = "import sqlite3, os, time; sqlite3.connect(':memory:').execute('select 1'); os.kill(os.getppid(), 9); time.sleep(4)"
    done = run_quietly(project, "--name", "killed", PYTHON, "-c", code)
    assert done.exit_code == -signal.SIGKILL
    running = report(project, "killed")
    assert (running["run"]["state"], running["calls"][0]["calls"]) == ("running", 1)
    wait_until(lambda: report(project, "killed")["run"]["state"] == "recovered", "the program to end")
    (project / "cache" / "hookmon" / "swept").unlink()
    run_quietly(project, "true")  # which looks through what was left
    assert folders_of(project) == []
    saved = report(project, "killed")
    assert (saved["run"]["state"], saved["calls"][0]["calls"]) == ("recovered", 1)


def test_only_the_last_runs_are_kept(project: Path):
    """With their pages, as the whole launcher does it."""
    prepare(project)
    store = project / ".hookmon"
    for name in ("run-0001.html", "diff-0001-0002.html", "diff-0003-0004.html"):
        (store / name).write_text("")
    for _ in range(21):
        assert run_quietly(project, PYTHON, "-c", "pass").exit_code == 0
    assert Store.of_project(project).numbers() == list(range(3, 23))
    assert sorted(path.name for path in store.glob("*.html")) == ["diff-0003-0004.html"]


def test_a_short_run_can_be_renamed(project: Path):
    """And is whole afterwards."""
    prepare(project)
    run_quietly(project, PYTHON, "-c", "pass")
    before = raw(project, 2)
    Store.of_project(project).run_file(2).rename("other")
    assert differences(before, raw(project, 2)) == [("/name", "", "other")]


def folders_of(project: Path) -> list[str]:
    """Return the run folders of a project."""
    return [path for path in new_folder.others("/dev/shm/x") if str(project).encode() in lock_of(path)]


def lock_of(folder: str) -> bytes:
    """Return the note in a run folder, empty where there is none."""
    try:
        return Path(folder, "lock").read_bytes()
    except OSError:
        return b""


def imported_by_site(project: Path) -> set[str]:
    """Return what an interpreter imports by itself, and the console script of an installer."""
    done = Started([PYTHON, "-X", "importtime", "-c", "import re"], cwd=project).finish()
    return imported(done)


# with a report

NEEDLESS = {
    "click",
    "psutil",
    "rich",
    "typing",
    "dataclasses",
    "inspect",
    "ast",
    "pkgutil",
    "sqlite3",
    "hashlib",
    "shutil",
    "tempfile",
    "random",
    "platform",
    "email",
    "tomllib",
    "difflib",
    "importlib.metadata",
    "hookmon.config.load",
    "hookmon.report.formats.json",
}
"""What `hookmon run` with its report on the screen does without, however long its program lives."""

CALLS = ["-c", "import sqlite3; c = sqlite3.connect(':memory:'); [c.execute('select 1') for _ in range(3)]"]
REPORTED = {"nothing watched": PROGRAMS["nothing watched"], "a crash": PROGRAMS["a crash"], "watched calls": CALLS} | {
    "a long one with calls": ["-c", f"{CALLS[1]}; import time; time.sleep(0.5)"]
}


def run_with_report(project: Path, *words: str, count: bool = False) -> Result:
    """Run `hookmon run WORDS`, whose report is on stderr; with `count`, what it imports, too."""
    command = [PYTHON, *(["-X", "importtime"] if count else []), HOOKMON, "run", *words]
    return Started(command, cwd=project, env=env(project)).finish()


@pytest.mark.parametrize("program", REPORTED)
def test_a_program_is_reported_as_hookmon_report_shows_it(project: Path, program: str):
    """To the letter, and with the program's exit code, whoever kept the run."""
    prepare(project)
    done = run_with_report(project, PYTHON, *REPORTED[program])
    again = hookmon(["report", "2"], cwd=project, env=env(project))
    assert again.stdout.startswith(f"{PYTHON} -c ")
    assert done.stderr == again.stdout
    assert done.exit_code == (-6 if program == "a crash" else 0)


@pytest.mark.parametrize("program", REPORTED)
def test_a_report_imports_what_it_shows_and_no_more(project: Path, program: str):
    """Neither the command line's library, nor one for what the report has not."""
    prepare(project)
    run_with_report(project, PYTHON, *REPORTED[program])  # what a call costs is measured and kept
    done = run_with_report(project, PYTHON, *REPORTED[program], count=True)
    assert not NEEDLESS & (imported(done) - imported_by_site(project))
    assert was_short(done) == (program in ("nothing watched", "a crash"))


def test_a_report_has_rich_for_characters_of_which_it_knows_how_wide_they_are(project: Path):
    """Those of a command, say; our own signs are known."""
    prepare(project)
    done = run_with_report(project, PYTHON, "-c", "pass", "漢字", count=True)
    assert "rich.cells" in imported(done)
    assert "漢字" in done.stderr


def test_a_report_that_nobody_reads_changes_no_exit_code(project: Path):
    """As when stderr is a pipe whose reader has gone."""
    prepare(project)
    reading, writing = os.pipe()
    os.close(reading)
    command = [HOOKMON, "run", PYTHON, "-c", "raise SystemExit(3)"]
    ended = subprocess.run(command, cwd=project, env=environment(project, env(project)), stderr=writing, check=False)
    os.close(writing)
    assert ended.returncode == 3


@pytest.mark.parametrize("seconds", [0, 0.6])
def test_a_program_that_deletes_the_store_ends_as_always(project: Path, seconds: float):
    """As a cleaning of the project folder does, before or after the collector has taken over."""
    prepare(project)
    code = f"import shutil, time; shutil.rmtree('.hookmon'); time.sleep({seconds}); raise SystemExit(3)"
    done = run_quietly(project, PYTHON, "-c", code, count=True)
    assert was_brief(done)
    assert done.exit_code == 3
    told = [line for line in done.stderr.splitlines() if line.startswith("hookmon: ")]
    assert len(told) == 1
    assert "the run cannot be saved" in told[0]
