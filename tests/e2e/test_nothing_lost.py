"""Whatever dies, what was recorded until then is in the report."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from pathlib import Path

import psutil
import pytest
from support.runs import PYTHON, Report, Started, calls, hookmon, hookmon_run, hookmon_start, wait_until, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = """
    import time

    def step():
        return 1

    def stuck():
        time.sleep(60)
"""
WATCH = watch("work", "step", "stuck")

UNDER_LOAD = """
    import os, threading
    import work

    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def load():
        while True:
            work.step()
            os.write(log, b".")  # one byte for each call that has returned

    threading.Thread(target=work.stuck, name="the stuck one").start()
    for _ in range(4):
        threading.Thread(target=load).start()
    with open("pid", "w") as file:
        file.write(str(os.getpid()))
"""


def size(path: Path) -> int:
    """Return a file's size, 0 when it is not there yet."""
    return path.stat().st_size if path.exists() else 0


def pid_in(path: Path) -> int:
    """Wait until a program has written its pid and return it."""
    wait_until(lambda: size(path), f"{path.name} to be written")
    return int(path.read_text())


def is_gone(pid: int) -> bool:
    """Say whether a process has ended; a zombie has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, int, int]:
    """A program that was killed under load: its report, the calls that it had logged, the launcher's exit code."""
    folder = write(tmp_path_factory.mktemp("killed"), {"work.py": WORK, "app.py": UNDER_LOAD})
    running = hookmon_start([PYTHON, "app.py"], cwd=folder, config=WATCH)
    try:
        pid = pid_in(folder / "pid")
        wait_until(lambda: size(folder / "log") > 20_000, "calls to be logged")
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        result = running.finish()
    finally:
        running.kill()
    return result.report, size(folder / "log"), result.exit_code


def test_kill_of_the_program_loses_no_completed_call(killed: tuple[Report, int, int]) -> None:
    """Every call that had returned before the SIGKILL is counted, and none that had not begun."""
    report, logged, exit_code = killed
    assert exit_code == -signal.SIGKILL
    assert logged <= calls(report, "work:step") <= logged + 4  # four threads: each may have been between call and log
    assert report["run"]["exit_code"] == exit_code


def test_calls_in_flight_are_listed_with_their_age(killed: tuple[Report, int, int]) -> None:
    """What a killed program was doing is in the report, and since when."""
    report, _, _ = killed
    stuck = [call for call in report["in_flight"] if "stuck" in json.dumps(call["stack"])]
    assert len(stuck) == 1
    assert 400_000_000 < stuck[0]["since_ns"] < 30_000_000_000
    assert stuck[0]["pid"] in [process["pid"] for process in report["processes"]]
    assert calls(report, "work:stuck") == 0


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -11),
        ("os.abort()", -6),
        ("os._exit(5)", 5),
        ("sys.exit(6)", 6),
        ("raise KeyboardInterrupt", -2),
        ("signal.alarm(1), time.sleep(9)", -14),
    ],
    ids=["SIGKILL", "SIGSEGV", "abort", "os._exit", "sys.exit", "KeyboardInterrupt", "SIGALRM"],
)
def test_own_deaths_lose_nothing(ending: str, exit_code: int, tmp_path: Path) -> None:
    """A program that ends itself without any clean-up is counted to its last call."""
    program = f"import os, signal, sys, time, work\nfor _ in range(1000): work.step()\n{ending}\n"
    write(tmp_path, {"work.py": WORK, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    assert result.exit_code == exit_code
    assert calls(result.report, "work:step") == 1000


SLOW = """
    import os, sys, time, work

    with open("pid", "w") as file:
        file.write(str(os.getpid()))
    for turn in range(40):
        work.step()
        time.sleep(0.05)
        print(turn, flush=True)
        while turn == 30 and not os.path.exists("orphaned"):  # the calls that follow are an orphan's
            time.sleep(0.02)
    if sys.argv[1:] == ["kill"]:
        os.kill(os.getpid(), 9)
    with open("done", "w") as file:
        file.write("yes")
"""


def orphan(folder: Path, *args: str) -> tuple[Started, int]:
    """Start SLOW, end its launcher by SIGKILL in the middle, and return both once the program has ended by itself."""
    write(folder, {"work.py": WORK, "app.py": SLOW})
    running = hookmon_start([PYTHON, "app.py", *args], cwd=folder, config=WATCH)
    try:
        pid = pid_in(folder / "pid")
        time.sleep(0.3)
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        assert not is_gone(pid)
        (folder / "orphaned").touch()
        wait_until(lambda: is_gone(pid), "the program to end by itself")
    except BaseException:
        running.kill()
        raise
    return running, pid


def test_kill_of_the_launcher_leaves_the_program_alone(tmp_path: Path) -> None:
    """Without its launcher the program goes on to its end, and `hookmon report` reads the run afterwards, to the last call."""
    running, pid = orphan(tmp_path)
    assert (tmp_path / "done").read_text() == "yes"
    assert running.finish().stdout == "".join(f"{turn}\n" for turn in range(40))
    found = hookmon(["report", "--format", "json"], cwd=tmp_path)
    assert found.exit_code == 0, found.stderr
    report = json.loads(found.stdout)
    assert calls(report, "work:step") == 40
    assert pid in [process["pid"] for process in report["processes"]]
    again = json.loads(hookmon(["report", "--format", "json"], cwd=tmp_path).stdout)
    assert calls(again, "work:step") == 40


def test_kill_of_both_loses_nothing(tmp_path: Path) -> None:
    """Launcher and program both killed: the calls until then are still there to be read."""
    running, _ = orphan(tmp_path, "kill")
    running.finish()
    found = hookmon(["report", "--format", "json"], cwd=tmp_path)
    assert calls(json.loads(found.stdout), "work:step") == 40


def test_run_is_readable_while_it_runs(tmp_path: Path) -> None:
    """`hookmon report` shows what a running program has done so far, and what it is doing now."""
    write(tmp_path, {"work.py": WORK, "app.py": UNDER_LOAD})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    try:
        pid = pid_in(tmp_path / "pid")
        time.sleep(2.5)  # the launcher saves now and then, not at every call
        found = hookmon(["report", "--format", "json"], cwd=tmp_path)
        report = json.loads(found.stdout)
        assert calls(report, "work:step") > 0
        assert "stuck" in json.dumps([call["stack"] for call in report["in_flight"]])
        assert report["run"]["exit_code"] is None
        os.kill(pid, signal.SIGKILL)
        running.finish()  # lets the launcher tidy up
    finally:
        running.kill()


DIES = """
    import os, signal, time
    def fetch():
        time.sleep(0.3)
    def handle():
        fetch()
        os.kill(os.getpid(), signal.SIGKILL)
    if __name__ == "__main__":
        handle()
"""


def test_a_program_that_dies_in_its_only_transaction_has_a_report(tmp_path: Path):
    """No transaction has ended, and so has no time that a call in it could be a share of."""
    write(tmp_path, {"dies.py": DIES})
    config = watch("__main__", "handle", kind="request", entry=True) + watch("__main__", "fetch", kind="http")
    result = hookmon_run([PYTHON, "dies.py"], cwd=tmp_path, config=config)
    assert result.exit_code == 128 + signal.SIGKILL or result.exit_code == -signal.SIGKILL
    assert calls(result.report, "fetch") == 1
    assert calls(result.report, "handle") == 0
    assert not result.stderr
    shown = hookmon(["report", "--all"], cwd=tmp_path)
    assert shown.exit_code == 0
    assert "fetch" in shown.stdout


MANY = """
    import os, resource, sys, time
    import work

    for _ in range(90):
        if not os.fork():
            work.step()
            time.sleep(600)
            os._exit(0)
    launcher = resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], launcher[0], flush=True)
    while len([name for name in os.listdir(os.environ["HOOKMON_RUN"]) if name.endswith(".shard")]) < 90:
        time.sleep(0.05)
"""


@pytest.mark.parametrize("most", [64, 4096], ids=["at all", "at first"])
def test_more_processes_than_files_that_may_be_open_are_counted(tmp_path: Path, most: int):
    """The launcher takes what the hard limit lets it have, and opens some anew; the program has the soft limit of its start."""
    write(tmp_path, {"work.py": WORK, "app.py": MANY})
    start = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))}
    program = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH, **start)
    try:
        result = program.finish()
    finally:
        os.killpg(program.process.pid, signal.SIGKILL)  # they outlive the program, and are all counted at its end
    assert result.stdout == f"64 {most}\n"
    assert calls(result.report, "work:step") == 90
