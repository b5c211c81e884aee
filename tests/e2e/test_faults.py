"""Faults of the machine, of the file system and of the files: the program is unaffected, the data right or the loss named."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.runs import (
    HOOKMON,
    PYTHON,
    Result,
    Started,
    blind_spots,
    calls,
    environment,
    errors,
    hookmon,
    hookmon_run,
    hookmon_start,
    wait_until,
    watch,
    write,
)

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = """
    def step(number=0):
        return number

    def other(number=0):
        return step(number)
"""
WATCH = watch("work", "step", "other")

FIND_RUN_FOLDER = """
    import os, pathlib

    def run_folder():
        \"\"\"Return hookmon's run folder, found by what is in it.\"\"\"
        for value in os.environ.values():
            path = pathlib.Path(value)
            if path.is_absolute() and (path / "plan").is_file():
                return path
        raise LookupError("no run folder in the environment")
"""


def run(folder: Path, program: str, *, config: str = WATCH, **more: object) -> Started:
    """Write a program beside work.py and start it under hookmon."""
    write(folder, {"work.py": WORK, "where.py": FIND_RUN_FOLDER, "app.py": program})
    return hookmon_start([PYTHON, "app.py"], cwd=folder, config=config, **more)  # type: ignore[arg-type]


# limits of the process

LIMITED = {
    "no file descriptor is left": (
        """
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        import work
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for number in range(100): work.other(number)
        for fd in held: os.close(fd)
        for number in range(100): work.other(number)
        print(len(held) > 20, len(os.listdir("/proc/self/fd")) < 20)
        """,
        "True True\n",
    ),
    "files may not grow": (
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        import work
        for number in range(200): work.other(number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("fine")
        """,
        "fine\n",
    ),
    "no memory can be mapped": (
        """
        import resource
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        import work
        resource.setrlimit(resource.RLIMIT_AS, (size + 300_000, size + 300_000))
        for number in range(200): work.other(number)
        print("fine")
        """,
        "fine\n",
    ),
    "descriptors 0 to 2 are closed": (
        """
        import os
        for fd in range(3): os.close(fd)
        import work
        for number in range(200): work.other(number)
        found = []
        for fd in range(3):
            try:
                os.write(fd, b"x" * 10_000)
                found.append(fd)
            except OSError:
                pass
        with open("found", "w") as file:
            file.write(repr(found))
        """,
        "",
    ),
    "all descriptors are closed while it runs": (
        """
        import os, work
        for number in range(100): work.other(number)
        os.closerange(3, 1000)
        for number in range(100): work.other(number)
        print("fine")
        """,
        "fine\n",
    ),
    "working folder is deleted": (
        """
        import os
        os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
        import work
        for number in range(200): work.other(number)
        print("fine")
        """,
        "fine\n",
    ),
    "environment is emptied": (
        """
        import os, work
        os.environ.clear()
        for number in range(200): work.other(number)
        pid = os.fork()
        if not pid: os._exit(work.other(0))
        print(os.waitpid(pid, 0)[1])
        """,
        "0\n",
    ),
    "hooks of the interpreter are set": (
        """
        import sys, threading, work
        events = []
        sys.setprofile(lambda *args: None); sys.settrace(lambda *args: None)
        sys.addaudithook(lambda *args: None)
        for number in range(200): work.other(number)
        sys.setprofile(None); sys.settrace(None)
        print("fine")
        """,
        "fine\n",
    ),
}

COUNTED = {  # programs of which every call must be in the report; of the others the loss must be named
    "descriptors 0 to 2 are closed": 200,
    "all descriptors are closed while it runs": 200,
    "working folder is deleted": 200,
    "environment is emptied": 201,
    "hooks of the interpreter are set": 200,
}


@pytest.mark.parametrize("name", LIMITED)
def test_a_starved_program_runs_unaffected(name: str, tmp_path: Path) -> None:
    """Where the system gives the process nothing more, its calls work and print nothing of ours; what is lost is named."""
    program, output = LIMITED[name]
    result = run(tmp_path, program, env={"PYTHONPATH": str(tmp_path)}).finish()
    assert (result.stdout, result.stderr, result.exit_code) == (output, "", 0)
    if name in COUNTED:
        assert (calls(result.report, "work:other"), calls(result.report, "work:step")) == (COUNTED[name], COUNTED[name])
    else:
        assert calls(result.report, "work:other") == 200 or blind_spots(result.report)
    if (tmp_path / "found").exists():
        assert (tmp_path / "found").read_text() == "[]"  # nothing of ours took the place of standard output


@pytest.mark.parametrize("limit", ["-n 24", "-v 400000", "-c 0", "-s 1024"], ids=lambda limit: f"ulimit {limit}")
def test_limits_of_the_shell_are_survived(limit: str, tmp_path: Path) -> None:
    """Under a limit that is set before the interpreter starts, the program prints and ends as without us."""
    write(tmp_path, {"work.py": WORK, "app.py": "import work\nfor n in range(50): work.other(n)\nprint('fine')\n"})
    result = hookmon_run(["sh", "-c", f"ulimit {limit}; exec {PYTHON} app.py"], cwd=tmp_path, config=WATCH)
    assert (result.stdout, result.stderr, result.exit_code) == ("fine\n", "", 0)
    assert calls(result.report, "work:other") == 50 or blind_spots(result.report)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_stay_closed(closed: str, tmp_path: Path) -> None:
    """hookmon and the program run with standard streams closed, and no file of ours takes their numbers in the program."""
    program = """
    import os, sys, work
    print("said")
    for number in range(100): work.other(number)
    links = {}
    for fd in range(3):
        try:
            links[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            pass
    with open("links", "w") as file:
        file.write(repr(sorted(links.values())))
    with open("closed", "w") as file:
        file.write("".join("<>2"[fd] for fd in range(3) if (sys.stdin, sys.stdout, sys.stderr)[fd] is None))
    """
    write(tmp_path, {"work.py": WORK, "app.py": program, "hookmon.toml": WATCH})
    command = f"exec {HOOKMON} run --format json --output report.json -- {PYTHON} app.py {closed}"
    started = Started(["sh", "-c", command], cwd=tmp_path, report_path=tmp_path / "report.json")
    result = started.finish()
    assert result.exit_code == 0, result.stderr
    assert "shard" not in (tmp_path / "links").read_text()
    assert (tmp_path / "closed").read_text() == closed.replace("2>", "2").replace("&-", "").replace(" ", "")
    assert calls(result.report, "work:other") == 100


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("options", [[], ["--check"], ["--export", "otlp"]])
def test_a_full_disk_under_stderr_leaves_the_exit_code(options: list[str], tmp_path: Path) -> None:
    """The report is lost, and kept in the run; the exit code is the program's."""
    if "--export" in options:
        pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")
    write(tmp_path, {"hookmon.toml": '[budget."*"]\ncalls = 9\n'})
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with open("/dev/full", "wb") as full:
        command = [HOOKMON, "run", *options, PYTHON, "-c", "raise SystemExit(3)"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path) | nowhere, stderr=full, timeout=60, check=False)
    assert done.returncode == 3


# the run folder

DAMAGED = {
    "deleted": "shutil.rmtree(folder)",
    "read-only": "os.chmod(folder, 0o500)",
    "replaced by a file": "shutil.rmtree(folder); folder.write_text('x')",
    "replaced by a link": "shutil.rmtree(folder); os.symlink('/nonexistent/place', folder)",
    "shards deleted": "[path.unlink() for path in folder.glob('*.shard')]",
    "foreign files": "[(folder / f'{n}.shard').write_bytes(os.urandom(n * 997)) for n in range(20)]",
    "a folder and a pipe": "(os.mkdir(folder / '1-1.shard'), os.mkfifo(folder / '2-2.shard'), os.mkfifo(folder / '2-2.born'))",
    "shards of others cut": "(folder / '7-7.shard').write_bytes(next(folder.glob('*.shard')).read_bytes()[:5000])",
    "births of noise": "[(folder / f'{n}.born').write_bytes(os.urandom(200)) for n in range(5)]",
    "shard from another version": (
        "content = bytearray(next(folder.glob('*.shard')).read_bytes()); content[8] = 99; "
        "(folder / '9-9.shard').write_bytes(content)"
    ),
}

# these leave the program's own shard as it is
HARMLESS = [DAMAGED[name] for name in ("foreign files", "a folder and a pipe", "births of noise", "shard from another version")]


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_run_folder_is_survived(damage: str, tmp_path: Path) -> None:
    """Whatever happens to the run folder while the program runs, the program goes on and hookmon reports what it has."""
    program = f"""
    import os, shutil, subprocess, sys, time, where, work
    folder = where.run_folder()
    for number in range(100): work.other(number)
    time.sleep(0.6)  # the collector has been here
    {damage}
    for number in range(100): work.other(number)
    subprocess.run([sys.executable, "-c", "import work; work.other(1)"], check=True)
    time.sleep(0.4)
    print("done")
    """
    result = run(tmp_path, program).finish(timeout=60)
    assert (result.stdout, result.stderr, result.exit_code) == ("done\n", "", 0)
    if damage in HARMLESS:
        assert calls(result.report, "work:other") == 201
    else:
        assert calls(result.report, "work:other") <= 201


def mount_is_allowed() -> bool:
    """Say whether this process may make a mount namespace with a small tmpfs in it."""
    unshare = shutil.which("unshare")
    test = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
    return bool(unshare) and subprocess.run([unshare, "-m", "sh", "-c", test], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("size", ["4k", "64k", "132k"])
def test_a_full_tmpfs_kills_nobody(size: str, tmp_path: Path) -> None:
    """When the file system of the shards is full there is no SIGBUS: the program goes on, and the report names the loss."""
    if not mount_is_allowed():
        pytest.skip("no permission here to mount a tmpfs (unshare -m)")
    program = """
    import os, work
    for number in range(3000): work.step(number)
    pids = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            for number in range(100): work.other(number)
            os._exit(0)
        pids.append(pid)
    print([os.waitpid(pid, 0)[1] for pid in pids], sum(work.other(number) for number in range(10)))
    """
    config = watch("work", "step", span="step {number}") + watch("work", "other")
    write(tmp_path, {"work.py": WORK, "app.py": program, "hookmon.toml": config})
    command = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && "
    command += f"exec {HOOKMON} run --format json --output report.json -- {PYTHON} app.py"
    env: dict[str, str | None] = {"XDG_RUNTIME_DIR": None, "TMPDIR": "/dev/shm"}
    started = Started(["unshare", "-m", "sh", "-c", command], cwd=tmp_path, env=env, report_path=tmp_path / "report.json")
    result = started.finish()
    assert (result.stdout, result.exit_code) == ("[0, 0, 0, 0] 45\n", 0), result.stderr
    if result.saved is None:  # not even the plan had room
        assert re.fullmatch(r"hookmon: .*; the program runs unwatched \[no-run-folder\]\n", result.stderr)
    else:
        assert calls(result.report, "work:other") == 410 or blind_spots(result.report)


WORKS = "import work\nprint(work.other(4))\nraise SystemExit(%d)\n"
FULL = "mount -t tmpfs -o size={size} tmpfs {place} && {more} exec {hookmon} run {options} -- {python} app.py"


def run_with_full_disk(tmp_path: Path, place: str, size: str, *, options: str = "", more: str = "", code: int = 3) -> Result:
    """Run a program in a mount namespace in which a place is a file system of that size."""
    if not mount_is_allowed():
        pytest.skip("no permission here to mount a tmpfs (unshare -m)")
    config = WATCH + '[budget."other"]\np95 = "1s"\n'
    write(tmp_path, {"work.py": WORK, "app.py": WORKS % code, "hookmon.toml": config, ".hookmon/x": ""})
    command = FULL.format(size=size, place=place, more=more, options=options, hookmon=HOOKMON, python=PYTHON)
    env: dict[str, str | None] = {"XDG_RUNTIME_DIR": None, "TMPDIR": str(tmp_path)}
    return Started(["unshare", "-m", "sh", "-c", command], cwd=tmp_path, env=env).finish()


def test_a_full_disk_of_the_project_keeps_no_program_from_running(tmp_path: Path) -> None:
    """The run is reported and not kept, which one line says, and nothing stays behind."""
    result = run_with_full_disk(tmp_path, ".hookmon", "64k")
    assert (result.stdout, result.exit_code) == ("4\n", 3)
    first, *report = result.stderr.splitlines()
    assert re.fullmatch(r"hookmon: .*full; this run is reported and not kept", first)
    assert any(re.match(r"  other +1 ", line) for line in report)


def test_a_full_shared_memory_leaves_the_temporary_folder(tmp_path: Path) -> None:
    """With no room in /dev/shm the files of the run are in the next place: the run is recorded as always."""
    result = run_with_full_disk(tmp_path, "/dev/shm", "16k")
    assert (result.stdout, result.exit_code) == ("4\n", 3)
    assert re.search(r"^  other +1 ", result.stderr, re.MULTILINE)
    assert "hookmon: " not in result.stderr
    assert not list(tmp_path.glob("hookmon-*"))


@pytest.mark.parametrize(("options", "exits"), [("", {0: 0, 3: 3}), ("--check", {0: 3, 3: 3})], ids=["run", "run --check"])
def test_without_any_room_the_program_runs_unwatched(options: str, exits: dict[int, int], tmp_path: Path) -> None:
    """One line says so, and the exit code is the program's; a check that could judge nothing gives its own for a 0."""
    for code, exit_code in exits.items():
        full = {"more": "TMPDIR=/dev/shm", "options": options, "code": code}
        result = run_with_full_disk(tmp_path, "/dev/shm", "16k", **full)  # type: ignore[arg-type]
        assert (result.stdout, result.exit_code) == ("4\n", exit_code)
        first, *others = result.stderr.splitlines()
        assert re.fullmatch(r"hookmon: .*No space left on device; the program runs unwatched \[no-run-folder\]", first)
        assert len(others) == (1 if options else 0)


def test_a_small_limit_of_file_sizes_keeps_no_program_from_running(tmp_path: Path) -> None:
    """Under `ulimit -f 0` nothing can be written by us; the program ends as it does, not by our SIGXFSZ."""
    write(tmp_path, {"work.py": WORK, "app.py": WORKS % 3})
    command = f"(ulimit -f 0; exec {HOOKMON} run --no-config {PYTHON} app.py) 2>&1 | cat; exit ${{PIPESTATUS[0]}}"
    result = Started(["bash", "-c", command], cwd=tmp_path).finish()
    assert result.exit_code == 3
    line, output = result.stdout.splitlines()
    assert (output, "the program runs unwatched" in line) == ("4", True)


def test_a_deleted_working_folder_keeps_no_program_from_running(tmp_path: Path) -> None:
    """There is no project then, and nothing is recorded."""
    (tmp_path / "gone").mkdir()
    command = f"cd gone && rmdir ../gone && exec {HOOKMON} run {PYTHON} -c 'print(4); raise SystemExit(3)'"
    result = Started(["sh", "-c", command], cwd=tmp_path).finish()
    assert (result.stdout, result.exit_code) == ("4\n", 3)
    assert "the program runs unwatched" in result.stderr


def test_read_only_home_and_folder_are_no_obstacle(tmp_path: Path) -> None:
    """With nowhere to write but the temporary folder, the program runs and the report is printed."""
    if not mount_is_allowed():
        pytest.skip("no permission here to make a mount read-only (unshare -m)")
    write(tmp_path, {"work.py": WORK, "app.py": "import work\nprint(work.other(4))\n", "hookmon.toml": WATCH, "home/x": ""})
    command = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path} && cd {tmp_path} && "
    command += f"exec {HOOKMON} run -- {PYTHON} app.py"
    env: dict[str, str | None] = {"HOME": str(tmp_path / "home")}
    result = Started(["unshare", "-m", "sh", "-c", command], cwd=tmp_path, env=env).finish()
    assert (result.stdout, result.exit_code) == ("4\n", 0), result.stderr
    assert "other" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_stopped_program_goes_on_being_recorded(tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT to the program: hookmon waits with it, no call is lost, the run is as long as it was."""
    program = """
    import os, time, work
    work.step()
    with open("pid", "w") as file: file.write(str(os.getpid()))
    while not os.path.exists("go"):
        work.step(), time.sleep(0.01)
    for number in range(100): work.other(number)
    print("done")
    """
    running = run(tmp_path, program)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the program")
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    assert running.process.poll() is None
    (tmp_path / "go").touch()
    os.kill(pid, signal.SIGCONT)
    result = running.finish()
    assert (result.stdout, result.stderr, result.exit_code) == ("done\n", "", 0)
    assert calls(result.report, "work:other") == 100
    assert result.report["run"]["duration_ns"] > 1_400_000_000


def test_runs_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    """Four runs at once in one folder: each has its own number, its own report and its own counts."""
    program = "import sys, time, work\nfor number in range(int(sys.argv[1])): work.other(number)\ntime.sleep(0.3)\n"
    write(tmp_path, {"work.py": WORK, "app.py": program})
    running = [hookmon_start([PYTHON, "app.py", str(count)], cwd=tmp_path, config=WATCH) for count in (10, 20, 30, 40)]
    reports = [started.finish().report for started in running]
    assert [calls(report, "work:other") for report in reports] == [10, 20, 30, 40]
    assert len({report["run"]["id"] for report in reports}) == 4


def test_five_hundred_short_children_are_all_counted(tmp_path: Path) -> None:
    """Five hundred children that live for a moment: every call is counted and the run folder does not fill up."""
    program = """
    import os, time, where, work
    folder, most = where.run_folder(), 0
    for turn in range(500):
        pid = os.fork()
        if not pid:
            work.other(turn)
            os._exit(0)
        os.waitpid(pid, 0)
        if turn % 50 == 49:
            time.sleep(0.1)
            most = max(most, len(os.listdir(folder)))
    print(most)
    """
    result = run(tmp_path, program).finish()
    assert result.exit_code == 0, result.stderr
    assert (calls(result.report, "work:other"), calls(result.report, "work:step")) == (500, 500)
    assert int(result.stdout) < 450  # those that have ended are folded and deleted while it runs
    assert sum(1 for process in result.report["processes"] if process["state"] != "running") >= 1


# run files

RUN_DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(os.urandom(50_000)),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "cut after its header": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "noise in the middle": lambda path: path.write_bytes(path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096)),
    "text": lambda path: path.write_text("hello\n"),
    "another program's database": lambda path: other_database(path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "another version": lambda path: other_version(path),
}


def other_database(path: Path) -> None:
    """Put a database there that is none of ours."""
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE run (key TEXT, value TEXT)")
    connection.close()


def other_version(path: Path) -> None:
    """Make the run file one of a later hookmon."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = write(tmp_path_factory.mktemp("finished"), {"work.py": WORK, "app.py": "import work\nwork.other(1)\n"})
    assert hookmon_run([PYTHON, "app.py"], cwd=folder, config=WATCH).exit_code == 0
    return folder


@pytest.mark.parametrize("damage", RUN_DAMAGE.values(), ids=RUN_DAMAGE)
def test_a_damaged_run_file_gets_one_clear_line(damage: Callable[[Path], object], finished: Path, tmp_path: Path) -> None:
    """`hookmon report` on a file that is not a whole run of this version: one line, exit code 2, no crash and no hang."""
    shutil.copytree(finished / ".hookmon", tmp_path / ".hookmon")
    (path,) = (tmp_path / ".hookmon").glob("run-*.sqlite")
    damage(path)
    result = hookmon(["report"], cwd=tmp_path, timeout=60)
    assert (result.stdout, result.exit_code) == ("", 2)
    assert len(result.stderr.splitlines()) == 1
    assert path.name in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [[], ["99"], ["nonsense"], ["/dev/null"]], ids=["none", "number", "word", "file"])
def test_an_unknown_run_gets_one_clear_line(arguments: list[str], tmp_path: Path) -> None:
    """No run yet, an unknown number, a word, a file that is none: one line and exit code 2."""
    result = hookmon(["report", *arguments], cwd=tmp_path)
    assert (result.stdout, result.exit_code) == ("", 2)
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr


# change of user, root and folder

ESCAPES = {
    "os.setuid": "os.setgid(65534); os.setuid(65534)",
    "os.chroot": "os.chroot('.')",
    "os.chdir": "os.chdir('/')",
    "os.umask": "os.umask(0o777)",
    "daemon": "os.setsid(); os.fork() and os._exit(0); os.chdir('/'); os.closerange(0, 256); os.open('/dev/null', 2)",
}


@pytest.mark.parametrize("moment", ["before the first call", "between calls"])
@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
def test_a_process_that_changes_itself_is_recorded_or_named(escape: str, moment: str, tmp_path: Path) -> None:
    """A worker that changes its user, root, folder or descriptors is counted on, or the report names it."""
    if ("setuid" in escape or "chroot" in escape) and os.geteuid() != 0:
        pytest.skip("changing the user or the root needs root")
    program = f"""
    import os, sys, time, work
    done = os.open("done", os.O_CREAT | os.O_WRONLY, 0o666)
    os.dup2(done, 700)
    pid = os.fork()
    if not pid:
        if {moment == "between calls"}:
            work.other(0)
        {escape}
        for number in range({50 if moment == "before the first call" else 49}): work.other(number)
        os.write(700, b"done")
        os._exit(0)
    work.other(1)
    os.waitpid(pid, 0)
    while os.path.getsize("done") == 0: time.sleep(0.01)
    time.sleep(0.3)
    print("fine")
    """
    result = run(tmp_path, program).finish()
    assert (result.stdout, result.stderr, result.exit_code) == ("fine\n", "", 0)
    if "setuid" in escape or "chroot" in escape:
        assert calls(result.report, "work:other") == 51 or blind_spots(result.report)
    else:
        assert calls(result.report, "work:other") == 51


# modes, links, hostile names


def test_files_are_private(tmp_path: Path) -> None:
    """Folders are 0700 and files 0600, in the run folder and in the project, whatever the umask.

    In root's run folder is a drop that only who has inherited its descriptor gets into.
    """
    program = """
    import json, os, stat, time, where, work
    work.other(1)
    if not os.fork():
        work.other(2), os._exit(0)
    os.wait()
    folder = where.run_folder()
    print(json.dumps({str(path): oct(stat.S_IMODE(path.lstat().st_mode)) for path in [folder, *folder.rglob("*")]}))
    """
    write(tmp_path, {"work.py": WORK, "where.py": FIND_RUN_FOLDER, "app.py": program})
    command = f"umask 0; exec {HOOKMON} run --quiet -- {PYTHON} app.py"
    (tmp_path / "hookmon.toml").write_text(WATCH)
    result = Started(["sh", "-c", command], cwd=tmp_path).finish()
    modes = json.loads(result.stdout)
    drop = next((path for path in modes if path.endswith("/drop")), None)
    assert (drop is not None) == (os.geteuid() == 0)
    if drop is not None:
        assert modes.pop(drop) == "0o1733"
    assert set(list(modes.values())[1:]) == {"0o600"}
    assert next(iter(modes.values())) == "0o700"
    assert not Path(next(iter(modes))).exists()  # nothing stays behind
    kept = tmp_path / ".hookmon"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in kept.glob("run-*")} == {"run-0001.sqlite": 0o600}


HOSTILE = "<script>alert(1)</script>\x1b[31mred\x07\r\n| a | [link](http://x) | =cmd()"


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_hostile_names_are_harmless(form: str, tmp_path: Path) -> None:
    """Names with control characters, markup and table syntax come out in no format as what they pretend to be."""
    program = f"import work\nfor _ in range(3): work.step({HOSTILE!r})\n"
    write(tmp_path, {"work.py": WORK, "app.py": program})
    config = watch("work", "step", span="step {number}")
    assert hookmon_run([PYTHON, "app.py", "\x1b[31mred"], cwd=tmp_path, config=config).exit_code == 0
    result = hookmon(["report", "--format", form], cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    shown = result.stdout + result.stderr
    assert "step" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\r" not in shown.replace("\r\n", "\n")
    if form == "markdown":
        outside = re.sub(r"`[^`\n]*`", "", shown)  # within a code span nothing is markup
        assert "<script>" not in outside
        assert "[link]" not in outside
    if form == "json":
        report = json.loads(result.stdout)
        assert sum(row["calls"] for row in report["calls"] if row["target"] == "work:step") == 3
        assert errors(report, "work:step") == 0


def test_program_is_given_no_more_than_it_needs(tmp_path: Path) -> None:
    """The program's environment differs by PYTHONPATH and by names that begin with HOOKMON, and by nothing else."""
    program = "import json, os\nprint(json.dumps(dict(os.environ)))\n"
    result = run(tmp_path, program).finish()
    own = environment(tmp_path)
    given = json.loads(result.stdout)
    changed = {name for name in own.keys() | given.keys() if own.get(name) != given.get(name)}
    assert {name for name in changed if not name.startswith("HOOKMON")} == {"PYTHONPATH"}
