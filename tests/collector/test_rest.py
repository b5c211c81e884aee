"""How little the launcher does while nothing happens, in system calls and wake-ups, and that it is there at once all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.runs import PYTHON, hookmon_start, wait_until

from hookmon.collector import proc_files, run_folder
from hookmon.collector.proc_files import ProcFiles
from hookmon.collector.processes import Processes
from hookmon.collector.room import Room

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT / 'agent'}{os.pathsep}{ROOT / 'bootstrap'}"}
WAIT = "import sys; print(flush=True); sys.stdin.read()"
SECOND_NS = 1_000_000_000
FOR_EVER = """
import sys
from hookmon.collector import launch, signals
inherited = signals.hold()
pid = launch.start(sys.argv[1:], dict(PATH="/usr/bin:/bin"), inherited)
ticks = []
def tick(look):
    ticks.append(1)
    print("waiting", flush=True)
    return 600.0
code = launch.wait(pid, tick, lambda: None)
print(len(ticks), code, flush=True)
"""


@contextmanager
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """Give a Python that waits for its input and has started."""
    with subprocess.Popen([sys.executable, "-c", WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def count_calls(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> dict[str, int]:
    """Return the system calls that something makes, by their names in `os`."""
    calls: dict[str, int] = {}

    def counted(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return real(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "pread", "read", "stat", "listdir", "readlink", "close"):
            patch.setattr(os, name, counted(name))
        work()
    return calls


def test_a_look_at_a_process_that_rests_is_two_reads(monkeypatch: pytest.MonkeyPatch):
    """Whether it is there, and whether it has children; its thread's figures are a third. Nothing is opened."""
    with waiting() as process:
        processes = Processes(0)
        processes.add(process.pid, SECOND_NS)
        for at in (2, 3):
            processes.discover(at * SECOND_NS)
            processes.note_work(at * SECOND_NS)
            processes.sample(at * SECOND_NS)
        for at in range(4, 34):  # the kernel may still count something of it
            looks = (processes.discover, processes.note_work, processes.sample)
            counted = [count_calls(monkeypatch, lambda look=look, at=at: look(at * SECOND_NS)) for look in looks]
            if counted == [{"pread": 2}, {"pread": 1}, {"pread": 1}]:
                break
        assert counted == [{"pread": 2}, {"pread": 1}, {"pread": 1}]
        first, last = processes.samples[-2:]
        assert (last.rss_bytes, last.files, last.at_ns) == (first.rss_bytes, first.files, at * SECOND_NS)


def test_files_are_closed_with_their_process():
    """And opened no more than so many, of all processes together; what is not kept is read all the same."""
    with waiting() as process:
        before = len(os.listdir("/proc/self/fd"))
        files = ProcFiles(process.pid)
        assert files.read("stat").startswith(b"%d " % process.pid)
        assert len(os.listdir("/proc/self/fd")) == before + 1
    process.wait()
    assert files.read("stat") == b""
    assert len(os.listdir("/proc/self/fd")) <= before


def test_what_cannot_be_kept_open_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch):
    """A launcher of many processes has fewer descriptors than they have files."""
    monkeypatch.setattr(proc_files, "room", Room(1 << 62))
    with waiting() as process:
        files = ProcFiles(os.getpid())
        before = len(os.listdir("/proc/self/fd"))
        assert process.pid in files.children(1)
        assert files.read("stat") != b""
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_long_list_of_children_is_read_whole():
    """Linux gives a page of it at a time."""
    script = (
        "import os, time\n"
        "pids = []\n"
        "while len(pids) < 900:\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        time.sleep(600)\n"
        "    pids.append(pid)\n"
        "print(len(pids), flush=True)\n"
        "input()\n"
        "[os.kill(pid, 9) for pid in pids]\n"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"900\n"
        found = ProcFiles(process.pid).children(1)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.wait()
    assert len(set(found)) == 900


def test_the_end_of_the_program_is_seen_whatever_is_due_then():
    """The launcher was to sleep for ten minutes."""
    done = subprocess.run(
        [sys.executable, "-c", FOR_EVER, "sleep", "0.3"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "1 0"


def test_a_signal_is_passed_on_whatever_is_due_then():
    """At once, and not when the launcher wakes."""
    command = [sys.executable, "-c", FOR_EVER, "sleep", "600"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    assert output.splitlines()[-1].endswith(" -15")


def test_a_folder_is_listed_again_where_something_has_come(tmp_path: Path):
    """Not where nothing has; and one that was changed a moment ago is, as its time may be that of the next change, too."""
    listing = run_folder.Listing(tmp_path)
    (tmp_path / "a").touch()
    assert listing.names() == ["a"]
    wait_until(lambda: listing.names() is listing.names(), "the time of the folder to be past")
    known = listing.names()
    (tmp_path / "b").touch()
    assert listing.names() == ["a", "b"]
    (tmp_path / "a").unlink()
    assert listing.names() == ["b"]
    assert known == ["a"]


def test_the_launcher_of_a_program_that_rests_is_woken_twice_a_second_at_most(tmp_path: Path):
    """Once, in fact, in the machine's own time: a slow one wakes it less often, not more."""
    program = hookmon_start([PYTHON, "-c", "import time; time.sleep(600)"], cwd=tmp_path)
    try:
        status = Path(f"/proc/{program.process.pid}/status")
        wait_until(lambda: wakeups(status) > 40, "the launcher to be past its start")  # those of the first seconds
        assert "libcrypto" not in Path(f"/proc/{program.process.pid}/maps").read_text("utf-8")  # 3 MB
        time.sleep(6)
        began, before = time.monotonic(), wakeups(status)
        time.sleep(5)
        assert wakeups(status) - before <= 2 * (time.monotonic() - began)
    finally:
        os.kill(program.process.pid, signal.SIGTERM)  # which ends the program
        program.finish()


def wakeups(status: Path) -> int:
    """Return how often a process has given its processor back by itself."""
    lines = status.read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))
