"""Why a process was not watched, asked of real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from hookmon.collector.processes import Processes, is_alive, unwatched_reason
from hookmon.collector.store import Sample

OURS = {"PATH": os.defpath, "HOOKMON_RUN": "/run", "PYTHONPATH": "/bootstrap"}
SECOND_NS = 1_000_000_000
WAIT = "import sys; print(flush=True); sys.stdin.read()"


@contextmanager
def running(command: list[str], env: dict[str, str]) -> Iterator[psutil.Process]:
    """Start a process that waits for the end of its input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    try:
        if WAIT in command:  # the kernel shows no environment until a moment after exec
            assert process.stdout is not None
            process.stdout.readline()
        yield psutil.Process(process.pid)
    finally:
        process.communicate()


TABLE = {
    "watched": ([], OURS, ""),
    "isolated": (["-I"], OURS, "Python was started with -I (isolated)"),
    "environment ignored": (["-E"], OURS, "Python was started with -E (ignores the environment)"),
    "without site": (["-S"], OURS, "Python was started with -S (without site)"),
    "together": (["-sE"], OURS, "Python was started with -E (ignores the environment)"),
    "behind others": (["-O", "-W", "ignore", "-X", "utf8", "-I"], OURS, "Python was started with -I (isolated)"),
    "glued": (["-Wignore", "-Xutf8", "-bI"], OURS, "Python was started with -I (isolated)"),
    "letters of an argument": (["-W", "ignore::ImportWarning", "-Xdev"], OURS, ""),
    "disabled": ([], OURS | {"HOOKMON_DISABLE": "1"}, "HOOKMON_DISABLE is set"),
    "not disabled": ([], OURS | {"HOOKMON_DISABLE": "0"}, ""),
    "no variable of ours": ([], {"PATH": os.defpath, "PYTHONPATH": "/x"}, "its environment was replaced"),
    "no path": ([], {"PATH": os.defpath, "HOOKMON_RUN": "/x"}, "its environment was replaced"),
    "long option": (["--check-hash-based-pycs", "default", "-I"], OURS, "Python was started with -I (isolated)"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_reason_is_read_from_the_process(name: str):
    """Options of the interpreter, not of the script; then the environment."""
    options, environment, reason = TABLE[name]
    with running([sys.executable, *options, "-c", WAIT, "-I", "-E"], environment) as process:
        found = unwatched_reason(process, process.cmdline())
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_a_program_that_is_no_python_is_named():
    """By its name."""
    cat = shutil.which("cat")
    assert cat is not None
    with running([cat], OURS) as process:
        assert unwatched_reason(process, process.cmdline()).endswith("is not a Python program")


def test_what_other_programs_are_told_is_not_kept():
    """Their arguments are arguments of the program's own calls, which may hold a password."""
    cat = shutil.which("cat")
    assert cat is not None
    processes = Processes(0)
    with running([cat, "-u", "-"], OURS) as process:
        processes.add(process.pid, SECOND_NS)
    assert processes.watchers[process.pid].row.command == [cat]


def test_a_python_under_another_name_is_known_by_its_executable():
    """As a process that set its own title."""
    with running([sys.executable, "-c", WAIT], OURS) as process:
        assert unwatched_reason(process, ["gunicorn: worker [app]"]) == ""


def test_a_process_is_alive_until_it_ends():
    """A later process with its pid is another one."""
    now_ns = 1 << 62
    with running([sys.executable, "-c", WAIT], OURS) as process:
        pid = process.pid
        assert is_alive(pid, now_ns)
        assert not is_alive(pid, 1)
    assert not is_alive(pid, now_ns)


@pytest.mark.parametrize("pid", [0, 2**31 - 1, 2**63, 2**64 - 1])
def test_a_pid_from_a_damaged_shard_is_not_alive(pid: int):
    """Whatever number stands there."""
    assert not is_alive(pid, 1 << 62)


@pytest.mark.parametrize(
    "pid",
    [
        0,
        2**31 - 1,
        2**64,
        -5,
    ],
)
def test_a_pid_from_a_damaged_birth_note_is_passed_by(pid: int):
    """Nothing is followed."""
    processes = Processes(0)
    processes.add(pid, 0)
    assert processes.watchers == {}


def test_a_process_is_followed_to_its_end():
    """Its command, its samples, its children."""
    processes = Processes(0)
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; sys.stdin.read()'])"
    with running([sys.executable, "-c", child], OURS) as process:
        processes.add(process.pid, SECOND_NS)
        for _ in range(200):
            processes.discover(2 * SECOND_NS)
            if len(processes.watchers) == 2:
                break
            time.sleep(0.02)
        processes.sample(5 * SECOND_NS)
        assert len(processes.watchers) == 2
        assert {sample.pid for sample in processes.samples} == set(processes.watchers)
        row = processes.watchers[process.pid].row
        assert row.command[1:] == ["-c", child]
        assert row.rss_max_bytes > 1_000_000
        assert row.threads_max >= 1
    processes.discover(9 * SECOND_NS)
    assert processes.watchers == {}
    assert [watcher.row.state for watcher in processes.all()] == ["gone", "gone"]
    assert next(processes.all()).row.duration_ns == 8 * SECOND_NS


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the highest memory of a process")
def test_memory_is_at_its_highest_also_between_two_samples():
    """A hundred megabytes that were held for a moment and given back are seen."""
    code = "import sys; held = bytearray(100_000_000); del held; print(flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        processes = Processes(time.monotonic_ns())
        processes.add(child.pid, time.monotonic_ns())
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.03)
        processes.discover(time.monotonic_ns())
        assert processes.watchers[child.pid].row.rss_max_bytes > 100_000_000
    finally:
        child.communicate()


def test_thinned_samples_keep_every_process():
    """Every second moment goes, whole."""
    processes = Processes(0)
    processes.samples = [Sample(at, pid, 0, 0, 0, 0, 0, 0, 0) for at in range(4) for pid in (1, 2)]
    processes.thin_samples()
    assert [(sample.at_ns, sample.pid) for sample in processes.samples] == [(0, 1), (0, 2), (2, 1), (2, 2)]
