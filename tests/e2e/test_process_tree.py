"""Who is a process of a run: each is one row, whatever it becomes, and no process of others is among them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from support.runs import (
    HOOKMON,
    PYTHON,
    Report,
    Started,
    blind_spots,
    calls,
    hookmon,
    hookmon_run,
    hookmon_start,
    wait_until,
    watch,
    write,
)

from hookmon.collector.merge import Tree
from hookmon.collector.shards import ShardReader
from hookmon.collector.store import Run, Store

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = """
    def step(number=0):
        return number
"""
WATCH = watch("work", "step")


def run(folder: Path, program: str, *command: str) -> Report:
    """Write a program beside work.py and run it to its end, as `command` or by Python."""
    write(folder, {"work.py": WORK, "app.py": program})
    result = hookmon_run([*(command or (PYTHON,)), "app.py"], cwd=folder, config=WATCH, env={"PYTHONPATH": str(folder)})
    assert (result.stderr, result.exit_code) == ("", 0)
    return result.report


def pids(report: Report) -> Counter[int]:
    """Return how many rows each pid has."""
    return Counter(process["pid"] for process in report["processes"])


def last_run(folder: Path) -> Run:
    """Return the last run of a folder as it is kept."""
    store = Store.of_project(folder)
    return store.run_file(store.numbers()[-1]).load()


# zombies


def test_children_that_nobody_waits_for_are_one_process_each(tmp_path: Path) -> None:
    """Five ended children, looked at a dozen times: six processes."""
    program = """
    import subprocess, time, work
    work.step()
    kept = [subprocess.Popen(["true"]) for _ in range(5)]
    time.sleep(1.2)
    for child in kept: child.wait()
    """
    report = run(tmp_path, program)
    assert (report["run"]["processes"], set(pids(report).values())) == (6, {1})


def test_children_that_end_between_two_looks_are_one_process_each(tmp_path: Path) -> None:
    """A hundred forks, each of which ends a moment before it is waited for."""
    program = """
    import os, time, work
    for number in range(100):
        pid = os.fork()
        if not pid:
            work.step()
            os._exit(0)
        time.sleep(0.005)
        os.waitpid(pid, 0)
    """
    report = run(tmp_path, program)
    assert (report["run"]["processes"], calls(report, "work:step")) == (101, 100)


def test_the_processor_time_of_an_unreaped_child_is_counted_once(tmp_path: Path) -> None:
    """It is in the sum of the run as often as it was used."""
    program = """
    import os, time
    pid = os.fork()
    if not pid:
        while time.process_time() < 0.4: pass
        os._exit(0)
    time.sleep(1.5)
    os.waitpid(pid, 0)
    """
    report = run(tmp_path, program)
    assert 350_000_000 <= report["run"]["cpu_ns"] < 800_000_000
    of_rows = sum(process["cpu_ns"] for process in report["processes"])
    assert of_rows <= report["run"]["cpu_ns"] < of_rows + 200_000_000  # the kernel's own sum has their last moments, too


# PID namespaces

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc"]


def test_a_program_in_a_pid_namespace_is_not_init(tmp_path: Path) -> None:
    """It calls itself 1 there, and no other process of the machine becomes part of the run; nor do its children."""
    if not shutil.which("unshare") or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no permission here to make a PID namespace (unshare)")
    program = """
    import os, time, work
    assert os.getpid() == 1
    pid = os.fork()
    for number in range(7): work.step()
    time.sleep(0.9)
    if not pid: os._exit(0)
    os.waitpid(pid, 0)
    for number in range(20):
        pid = os.fork()
        if not pid:
            work.step()
            os._exit(0)
        os.waitpid(pid, 0)
    """
    report = run(tmp_path, program, *UNSHARE, PYTHON)
    assert (report["run"]["processes"], calls(report, "work:step")) == (23, 34)
    assert report["still_running"] == []
    assert blind_spots(report) == []
    assert not {1, os.getpid()} & set(pids(report))
    assert sorted(process["calls"] for process in report["processes"]) == [0, *[1] * 20, 7, 7]


def test_a_launcher_in_a_pid_namespace_without_a_proc_of_its_own_finds_its_program(tmp_path: Path) -> None:
    """There /proc shows other pids than the launcher is told: the program is still the program, and nobody else is."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("no permission here to make a PID namespace (unshare)")
    program = "import time, work\nfor _ in range(7): work.step()\ntime.sleep(0.9)\nwork.step()\n"
    write(tmp_path, {"work.py": WORK, "app.py": program, "hookmon.toml": WATCH})
    command = [
        "unshare",
        "--pid",
        "--fork",
        HOOKMON,
        "run",
        "--format",
        "json",
        "--output",
        "report.json",
        "--",
        PYTHON,
        "app.py",
    ]
    report = Started(command, cwd=tmp_path, report_path=tmp_path / "report.json").finish().report
    (process,) = report["processes"]
    assert (process["calls"], process["exit_code"], process["pid"]) == (8, 0, report["run"]["main_pid"])
    assert (report["still_running"], blind_spots(report)) == ([], [])


# daemons

DAEMON = """
    import os, sys, time, work
    slow = float(sys.argv[1])
    if os.fork():
        time.sleep(slow)
        os._exit(0)
    os.setsid()
    if os.fork():
        time.sleep(slow)
        os._exit(0)
    for fd in range(3): os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    for _ in range(5): work.step()
    open("ready", "w").close()
    while not os.path.exists("go"): time.sleep(0.01)
    for _ in range(100): work.step()
    os.rename("ready", "done")
"""


@pytest.mark.parametrize("pace", ["0", "0.3"], ids=["quick", "slow"])
def test_a_daemon_is_named_and_its_shard_stays(pace: str, tmp_path: Path) -> None:
    """It outlives the run, which says so; what it counts afterwards is not deleted unread."""
    write(tmp_path, {"work.py": WORK, "daemon.py": DAEMON})
    result = hookmon_run([PYTHON, "daemon.py", pace], cwd=tmp_path, config=WATCH)
    folder = Path(last_run(tmp_path).run_folder)
    try:
        wait_until((tmp_path / "ready").exists, "the daemon")
        ((pid, _),) = [line.split(" ", 1) for line in result.report["still_running"]]
        assert [process["state"] for process in result.report["processes"] if process["pid"] == int(pid)] == ["running"]
        assert blind_spots(result.report) == []
        assert [text.split()[1] for text in last_run(tmp_path).running] == [pid]
        (tmp_path / "go").touch()
        wait_until((tmp_path / "done").exists, "the daemon's end")
        assert count_calls(folder) == 105
    finally:
        (tmp_path / "go").touch()
        wait_until((tmp_path / "done").exists, "the daemon's end")
        shutil.rmtree(folder, ignore_errors=True)


def count_calls(folder: Path) -> int:
    """Return how many calls there are in the shards of a run folder."""
    tree = Tree()
    for path in folder.glob("*.shard"):
        reader = ShardReader(path)
        tree.add(reader.read(), time.monotonic_ns())
        reader.close()
    return sum(node.calls for node in tree.nodes)


# exec

BECOMES = {
    "isolated": ("os.execv(sys.executable, [sys.executable, '-I', '-c', SLEEP])", "-I (isolated)"),
    "in an empty environment": ("os.execve(sys.executable, [sys.executable, '-c', SLEEP], {})", "its environment was replaced"),
    "another program": ("os.execvp('sleep', ['sleep', '0.7'])", "sleep is not a Python program"),
}


@pytest.mark.parametrize("name", BECOMES)
def test_what_a_watched_process_becomes_by_exec_is_named(name: str, tmp_path: Path) -> None:
    """The note of its birth was that of the program before: one process, not watched, one reason."""
    code, reason = BECOMES[name]
    report = run(tmp_path, f"import os, sys\nSLEEP = 'import time; time.sleep(0.7)'\n{code}\n")
    (process,) = report["processes"]
    assert (process["python"], process["engine"]) == ("", "")
    assert reason in process["reason"]
    (spot,) = blind_spots(report)
    assert reason in spot


def test_what_was_counted_before_an_exec_stays(tmp_path: Path) -> None:
    """The process was watched as long as it was Python."""
    report = run(tmp_path, "import os, work\nfor _ in range(3): work.step()\nos.execvp('sleep', ['sleep', '0.7'])\n")
    (process,) = report["processes"]
    assert process["python"]
    assert process["calls"] == calls(report, "work:step") == 3
    assert len(blind_spots(report)) == 1


def test_an_exec_of_a_watched_program_is_no_blind_spot(tmp_path: Path) -> None:
    """Python again, with the environment that it had: the same process, and both count."""
    program = """
    import os, sys, time, work
    work.step()
    if len(sys.argv) < 4:
        os.execv(sys.executable, [sys.executable, "app.py", *sys.argv[1:], "again"])
    time.sleep(0.6)
    """
    report = run(tmp_path, program)
    assert (report["run"]["processes"], calls(report, "work:step"), blind_spots(report)) == (1, 4, [])


def test_a_tool_that_starts_python_hides_nothing(tmp_path: Path) -> None:
    """Neither does one that a watched program starts."""
    program = "import subprocess, work\nwork.step()\nsubprocess.run(['sleep', '0.5'], check=True)\n"
    report = run(tmp_path, program, "sh", "-c", f"{PYTHON} $0; true")
    assert calls(report, "work:step") == 1
    assert blind_spots(report) == []


# other users


def test_a_fork_under_another_user_is_named(tmp_path: Path) -> None:
    """The run folder is closed to it, so it counts nothing; the report says so, however short it lived."""
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    program = """
    import os, time, work
    os.setgid(65534); os.setuid(65534)
    for _ in range(10): work.step()
    pid = os.fork()
    if not pid:
        for _ in range(5): work.step()
        time.sleep(0.25)
        os._exit(0)
    os.waitpid(pid, 0)
    """
    report = run(tmp_path, program)
    assert calls(report, "work:step") in (10, 15)
    if calls(report, "work:step") == 10:
        (spot,) = blind_spots(report)
        assert "runs as user" in spot


# birth notes

MANY_CHILDREN = """
    import os, subprocess, sys, time, work
    folder = os.environ["HOOKMON_RUN"]
    work.step()
    for _ in range(8): subprocess.run([sys.executable, "-c", "pass"], check=True)
    print(os.getpid(), flush=True)
    deadline = time.monotonic() + 60
    while len(notes := [name for name in os.listdir(folder) if name.endswith(".born")]) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    print(len(notes), flush=True)
    open("read", "w").close()
    while not os.path.exists("go"): time.sleep(0.01)
"""


def test_birth_notes_are_deleted_once_they_are_read(tmp_path: Path) -> None:
    """They take a page of memory each. Those of ended children go; what they said is in the report, one process for each."""
    write(tmp_path, {"go": ""})
    write(tmp_path, {"work.py": WORK, "app.py": MANY_CHILDREN})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    assert result.stdout.split()[1] == "1"
    assert result.report["run"]["processes"] == 9
    assert all(process["python"] for process in result.report["processes"])


def test_a_killed_launcher_loses_no_birth_note(tmp_path: Path) -> None:
    """A note is deleted when its content has been saved, so `hookmon report` still knows every process."""
    write(tmp_path, {"work.py": WORK, "app.py": MANY_CHILDREN})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH)
    try:
        wait_until((tmp_path / "read").exists, "the notes to be read")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        looked_at = json.loads(hookmon(["report", "--json"], cwd=tmp_path).stdout)
        (tmp_path / "go").touch()
        main = looked_at["run"]["main_pid"]
        wait_until(lambda: not os.path.exists(f"/proc/{main}"), "the program's end")
        report = json.loads(hookmon(["report", "--json"], cwd=tmp_path).stdout)
    finally:
        running.kill()
    assert looked_at["run"]["processes"] == 9
    assert [process["pid"] for process in looked_at["processes"] if process["state"] == "running"] == [main]
    assert (report["run"]["processes"], report["run"]["state"], calls(report, "work:step")) == (9, "recovered", 1)
    assert all(process["python"] for process in report["processes"])
