"""Who looks at a run changes nothing, and what a run file says makes nobody delete or take a living run for dead."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.runs import (
    HOOKMON,
    PYTHON,
    Started,
    blind_spots,
    calls,
    environment,
    hookmon,
    hookmon_run,
    hookmon_start,
    run_until_gone,
    wait_until,
    watch,
    write,
)

from hookmon.collector.store import RunFile, Store

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = "def step(number=0):\n    return number\n"
WATCH = watch("work", "step")


def state_of(*folders: Path) -> dict[str, str]:
    """Return {path: digest} of all files below some folders."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_folder(project: Path) -> Path:
    """Return the run folder of the newest run."""
    store = Store.of_project(project)
    return Path(store.run_file(store.numbers()[-1]).head().run_folder)


def report(project: Path, *args: str, prefix: list[str] | None = None) -> dict[str, Any]:
    """Return what `hookmon report` says as JSON; `prefix` is put before the command."""
    done = Started([*(prefix or []), HOOKMON, "report", *args, "--format", "json"], cwd=project).finish()
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A project in which a launcher was killed, and its program soon after, with 40 calls."""
    program = """
    import os, subprocess, sys, time, work
    for number in range(40): work.step(number)
    with open("ready", "w") as file: file.write("yes")
    time.sleep(60)
    """
    write(tmp_path, {"work.py": WORK, "app.py": program})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    wait_until((tmp_path / "ready").exists, "the calls")
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    running.kill()  # the rest of its session
    return tmp_path


LOOKS = (
    ["report"],
    ["report", "--format", "html", "-o", "page.html"],
    ["top", "--plain"],
    ["diff", "1", "1"],
    ["check"],
    ["runs"],
    ["explain", "x"],
)


def test_a_look_writes_and_deletes_nothing(killed: Path) -> None:
    """Whatever verb looks at a run whose launcher was killed, run file and run folder are as before; the next run saves it."""
    folder = run_folder(killed)
    before = state_of(killed / ".hookmon", folder)
    for verb in LOOKS:
        assert "Traceback" not in hookmon(verb, cwd=killed).stderr
        assert state_of(killed / ".hookmon", folder) == before, verb
    found = report(killed)
    assert (found["run"]["state"], calls(found, "work:step")) == ("recovered", 40)
    run_until_gone(folder, killed)
    assert Store.of_project(killed).run_file(1).head().state == "recovered"
    found = report(killed, "1")
    assert (found["run"]["state"], calls(found, "work:step")) == ("recovered", 40)


def test_another_project_does_not_sweep_it(killed: Path, tmp_path: Path) -> None:
    """Its shards wait for a run of their own project, however old they are."""
    folder = run_folder(killed)
    os.utime(folder, (1, 1))
    other = write(tmp_path / "other", {"hookmon.toml": ""})
    assert hookmon_run([PYTHON, "-c", "pass"], cwd=other).exit_code == 0
    assert calls(report(killed), "work:step") == 40
    assert folder.exists()
    run_until_gone(folder, killed)


def change(path: Path, **values: Any) -> None:
    """Write single values into a run file."""
    connection = sqlite3.connect(path)
    for key, value in values.items():
        connection.execute("UPDATE run SET value = ? WHERE key = ?", [json.dumps(value), key])
    connection.commit()
    connection.close()


@pytest.fixture
def thesis() -> Any:
    """A folder of work that is called like a run folder, in the place for run folders."""
    folder = Path(f"/dev/shm/hookmon-thesis-{os.getpid()}")
    if not os.access(folder.parent, os.W_OK):
        pytest.skip("there is no /dev/shm here")
    folder.mkdir(0o700)
    (folder / "work.txt").write_text("important")
    (folder / "plan").write_text("of the thesis")
    os.utime(folder, (1, 1))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("state", ["running", "finished"])
def test_a_run_file_cannot_have_a_folder_deleted(state: str, thesis: Path, tmp_path: Path) -> None:
    """Neither one in the store nor one that is given by its path, whatever it says of its folder, state and launcher."""
    write(tmp_path, {"work.py": WORK, "app.py": "import work\nwork.step()\n"})
    hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    own = Store.of_project(tmp_path).run_file(1).path
    for key in ("", RunFile(own).head().run_key):
        change(own, run_folder=str(thesis), run_key=key, launcher_pid=999_999, state=state)
        shutil.copy(own, tmp_path / "sent.sqlite")
        for verb in (["report"], ["report", "./sent.sqlite"], ["check", "1", "--against", "./sent.sqlite"], ["top", "1"]):
            hookmon(verb, cwd=tmp_path)
        hookmon_run([PYTHON, "app.py"], cwd=tmp_path)
        assert sorted(os.listdir(thesis)) == ["plan", "work.txt"]


def test_a_run_file_cannot_take_the_shards_of_another_run(killed: Path, tmp_path: Path) -> None:
    """It does not know the key: what it names is neither shown as its own nor deleted."""
    folder = run_folder(killed)
    other = write(tmp_path / "other", {"hookmon.toml": "", "app.py": ""})
    hookmon_run([PYTHON, "app.py"], cwd=other)
    change(Store.of_project(other).run_file(1).path, run_folder=str(folder), state="running")
    assert calls(report(other, "1"), "work:step") == 0
    hookmon_run([PYTHON, "app.py"], cwd=other)
    assert calls(report(killed), "work:step") == 40


# a run that goes on, seen from elsewhere

CRON = f"""
    for turn in 1 2; do
        {PYTHON} -c "import work; [work.step(number) for number in range(10)]"
        touch turn
        while [ ! -e go ]; do sleep 0.1; done
    done
"""

STEPPED = """
import sys, time
step = float(sys.argv.pop(1))
from hookmon.collector import identity
real, real_boot = time.time, identity._boot_s
time.time = lambda: real() + step
identity._boot_s = lambda: real_boot() + step
from hookmon.cli.main import main
sys.argv[0] = "hookmon"
main()
"""

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]


def need_namespaces() -> None:
    """Skip where this user may make no namespace of pids."""
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no permission here to make a namespace of pids (unshare --pid)")


def elsewhere(where: str) -> list[str]:
    """Return a command line of hookmon as it runs in another namespace, or after a step of the clock."""
    if where == "another namespace":
        need_namespaces()
        return [*NAMESPACE, HOOKMON]
    return [PYTHON, "-c", STEPPED, where]


@pytest.mark.parametrize("where", ["another namespace", "3", "3600", "-3600"])
def test_a_run_that_goes_on_is_not_taken_for_dead(where: str, tmp_path: Path) -> None:
    """By a report or a run in another container, or after a step of the clock, also while none of its programs runs."""
    command = elsewhere(where)
    write(tmp_path, {"work.py": WORK, "cron.sh": CRON})
    running = hookmon_start(["sh", "cron.sh"], cwd=tmp_path, config=WATCH)
    try:
        wait_until((tmp_path / "turn").exists, "the first child")
        seen = Started([*command, "report", "1", "--format", "json"], cwd=tmp_path).finish()
        assert seen.exit_code == 0, seen.stderr
        assert json.loads(seen.stdout)["run"]["state"] == "running"
        listed = Started([*command, "runs", "--json"], cwd=tmp_path).finish()
        assert [row["state"] for row in json.loads(listed.stdout)] == ["running"]
        refused = Started([*command, "runs", "remove", "1"], cwd=tmp_path).finish()
        assert "still-running" in refused.stderr
        second = Started([*command, "run", "--quiet", PYTHON, "-c", "pass"], cwd=tmp_path).finish()
        assert (second.exit_code, second.stderr) == (0, "")
        (tmp_path / "go").touch()
        result = running.finish()
    finally:
        running.kill()
    assert calls(result.report, "work:step") == 20
    assert "run folder" not in " ".join(blind_spots(result.report))


def test_a_run_of_another_namespace_is_shown_and_left(tmp_path: Path) -> None:
    """Its launcher was killed there; whether its processes live cannot be told here: nothing is deleted, also by the next run."""
    need_namespaces()
    program = "import os, time, work\nfor number in range(40): work.step(number)\nos.kill(os.getppid(), 9)\ntime.sleep(60)\n"
    write(tmp_path, {"work.py": WORK, "app.py": program, "hookmon.toml": WATCH})
    script = f"{HOOKMON} run {PYTHON} app.py & wait"  # the end of the shell, which is init there, ends all
    subprocess.run([*NAMESPACE, "sh", "-c", script], cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=60)
    folder = run_folder(tmp_path)
    for _ in range(2):
        found = report(tmp_path, "1")
        assert calls(found, "work:step") == 40
        assert "of another container" in " ".join(blind_spots(found))
        hookmon_run([PYTHON, "-c", "pass"], cwd=tmp_path)
    assert folder.exists()
    shutil.rmtree(folder)


def test_the_oldest_runs_go_but_one_that_goes_on_stays(tmp_path: Path) -> None:
    """Twenty newer ones do not drop a service's run: its launcher would save it again, readable for all."""
    write(tmp_path, {"work.py": WORK, "app.py": "import time, work\nwork.step()\nopen('ready', 'w')\ntime.sleep(60)\n"})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    try:
        wait_until((tmp_path / "ready").exists, "the service")
        store = Store.of_project(tmp_path)
        head = store.run_file(1).head()
        for _ in range(25):
            run_file = store.reserve()
            head.state, head.run_folder = "finished", ""
            run_file.save(head)
        assert store.numbers() == [1, *range(7, 27)]
    finally:
        running.kill()
