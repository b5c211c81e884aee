"""Processes that outlive the program: what they count after its end is in the reports that are made later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.runs import PYTHON, Started, calls, hookmon, hookmon_run, run_until_gone, wait_until, watch, watch_row, write

from hookmon.collector.store import KEPT_RUNS, Store

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = "def step(number=0):\n    return number\n\ndef late():\n    return 1\n"
WATCH = watch("work", "step") + watch("later", "late")

DAEMON = """
    import os, sys, time, work
    slow = float(sys.argv[1])
    if os.fork():
        time.sleep(slow)
        os._exit(7)
    os.setsid()
    if os.fork():
        time.sleep(slow)
        os._exit(0)
    for number in range(3): os.dup2(os.open("/dev/null", os.O_RDWR), number)
    for number in range(5): work.step(number)
    with open("pid", "w") as file: file.write(str(os.getpid()))
    for _ in range(3_000): os.path.exists("go") or time.sleep(0.02)
    for number in range(100): work.step(number)
    import later
    later.late()
    with open("counted", "w") as file: file.write("yes")
    for _ in range(3_000): os.path.exists("end") or time.sleep(0.02)
    work.step()
"""


def report(project: Path, which: str = "1") -> dict[str, Any]:
    """Return what `hookmon report` says as JSON."""
    done = hookmon(["report", which, "--format", "json"], cwd=project)
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("slow", ["0", "0.5"], ids=["a quick double fork", "a slow one"])
def test_what_a_daemon_counts_is_reported_later(slow: str, tmp_path: Path) -> None:
    """While it lives, when it has ended, and when the next run has cleared up: every call once."""
    write(tmp_path, {"work.py": WORK, "later.py": "def late():\n    return 1\n", "app.py": DAEMON})
    result = hookmon_run([PYTHON, "app.py", slow], cwd=tmp_path, config=WATCH)
    assert result.exit_code == 7
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the daemon")
    daemon = psutil.Process(int((tmp_path / "pid").read_text()))
    folder = Path(Store.of_project(tmp_path).run_file(1).head().run_folder)
    try:
        assert calls(report(tmp_path), "work:step") == 5
        top = Started([PYTHON, "-c", TOP_ONCE], cwd=tmp_path).finish()
        assert json.loads(top.stdout.splitlines()[0])["run"] == 1, top.stderr
        (tmp_path / "go").touch()
        wait_until((tmp_path / "counted").exists, "a hundred calls more")
        found = report(tmp_path)
        assert (calls(found, "work:step"), calls(found, "later:late")) == (105, 1)
        assert watch_row(found, "later:late")["status"] == "active"
        hookmon_run([PYTHON, "-c", "pass"], cwd=tmp_path)
        assert folder.exists()
    finally:
        (tmp_path / "end").touch()
    wait_until(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE, "the end of the daemon")
    for _ in range(2):
        found = report(tmp_path)
        assert (calls(found, "work:step"), calls(found, "later:late")) == (106, 1)
        assert (found["run"]["state"], found["run"]["exit_code"], found["still_running"]) == ("finished", 7, [])
        assert [sum(row["calls"]) for row in found["series"] if row["name"] == "step"] == [106]
        run_until_gone(folder, tmp_path)


TOP_ONCE = """
import os, sys
from hookmon.cli._verbs import hookmon
read, write = os.pipe()
sys.argv = ["hookmon"]
pid = os.fork()
if not pid:
    os.dup2(write, 1)
    os.close(read)
    hookmon.main(args=["top", "--json", "--interval", "0.1"], standalone_mode=False)
    os._exit(0)
os.close(write)
print(os.fdopen(read).readline())
os.kill(pid, 9)
os.waitpid(pid, 0)
"""


def test_a_run_that_something_outlives_is_kept_however_many_follow(tmp_path: Path) -> None:
    """The oldest runs are dropped; one whose daemon counts on is not, and loses nothing."""
    write(tmp_path, {"work.py": WORK, "later.py": "def late():\n    return 1\n", "app.py": DAEMON})
    assert hookmon_run([PYTHON, "app.py", "0"], cwd=tmp_path, config=WATCH).exit_code == 7
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the daemon")
    for _ in range(KEPT_RUNS + 1):
        hookmon_run([PYTHON, "-c", "pass"], cwd=tmp_path)
    assert 1 in Store.of_project(tmp_path).numbers()
    assert len(Store.of_project(tmp_path).numbers()) == KEPT_RUNS + 1
    daemon = psutil.Process(int((tmp_path / "pid").read_text()))
    (tmp_path / "go").touch()
    (tmp_path / "end").touch()
    wait_until(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE, "the end of the daemon")
    assert calls(report(tmp_path), "work:step") == 106
    folder = Path(Store.of_project(tmp_path).run_file(1).head().run_folder)
    assert folder.exists()
    hookmon_run([PYTHON, "-c", "pass"], cwd=tmp_path)  # saves it, so that it may go
    assert not folder.exists()
