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
from support.runs import wait_until

from hookmon.collector.facts import Facts
from hookmon.collector.identity import Identity, identify, look_at
from hookmon.collector.processes import Processes
from hookmon.collector.store import Process, Sample
from hookmon.collector.unwatched import unwatched_reason

pytestmark = pytest.mark.process

OURS = {"PATH": os.defpath, "HOOKMON_RUN": "/run", "PYTHONPATH": "/bootstrap"}
SECOND_NS = 1_000_000_000
WAIT = "import sys; print(flush=True); sys.stdin.read()"


@contextmanager
def start(command: list[str], env: dict[str, str]) -> Iterator[psutil.Process]:
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
    with start([sys.executable, *options, "-c", WAIT, "-I", "-E"], environment) as process:
        found = unwatched_reason(Facts(process.pid), process.cmdline())
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_a_program_that_is_no_python_is_named():
    """By its name."""
    cat = shutil.which("cat")
    assert cat is not None
    with start([cat], OURS) as process:
        assert unwatched_reason(Facts(process.pid), process.cmdline()).endswith("is not a Python program")


def test_what_has_ended_before_a_look_is_not_said_to_be_no_python():
    """Nobody knows what it was."""
    child = subprocess.Popen(["true"])
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "its end")
    assert unwatched_reason(Facts(child.pid), []) == "it ended before it could be looked at"
    child.wait()


def test_what_other_programs_are_told_is_not_kept():
    """Their arguments are arguments of the program's own calls, which may hold a password."""
    cat = shutil.which("cat")
    assert cat is not None
    processes = Processes(0)
    with start([cat, "-u", "-"], OURS) as process:
        wait_until(lambda: psutil.Process(process.pid).cmdline(), "its command line")  # Linux sets it a moment after the start
        processes.add(process.pid, SECOND_NS)
    assert processes.watchers[process.pid].row.command == [cat]


def test_a_python_under_another_name_is_known_by_its_executable():
    """As a process that set its own title."""
    with start([sys.executable, "-c", WAIT], OURS) as process:
        assert unwatched_reason(Facts(process.pid), ["gunicorn: worker [app]"]) == ""


def identity_of(pid: int) -> Identity:
    """Return who a process is."""
    stat = look_at(pid)
    assert stat is not None
    return identify(pid, stat)


def test_what_left_something_is_followed_while_it_lives():
    """By who it is, and no more when it has ended."""
    processes = Processes(0)
    with start([sys.executable, "-c", WAIT], OURS) as process:
        identity = identity_of(process.pid)
        watcher = processes.follow(identity, 1, SECOND_NS)
        assert watcher is not None
        assert watcher.alive
    processes.discover(2 * SECOND_NS)
    assert not watcher.alive
    assert Processes(0).follow(identity, 1, SECOND_NS) is None


def test_a_later_process_with_the_pid_is_another_one():
    """It began at another time."""
    with start([sys.executable, "-c", WAIT], OURS) as process:
        identity = identity_of(process.pid)
        assert Processes(0).follow(identity._replace(started=identity.started - 1), 1, SECOND_NS) is None


def test_a_process_of_another_namespace_is_not_the_one_with_its_pid_here():
    """Pid 1 of a container is not the machine's."""
    with start([sys.executable, "-c", WAIT], OURS) as process:
        identity = identity_of(process.pid)
        assert Processes(0).follow(identity._replace(namespace=identity.namespace + 1), 1, SECOND_NS) is None


def test_what_began_before_the_run_is_no_process_of_it():
    """Whoever names its pid."""
    stat = look_at(os.getpid())
    assert stat is not None
    processes = Processes(0, oldest=stat.started + 1)
    assert processes.follow(identity_of(os.getpid()), 1 << 62, SECOND_NS) is None
    assert processes.add(os.getpid(), SECOND_NS) is None
    assert processes.watchers == {}


@pytest.mark.parametrize("pid", [0, 2**31 - 1, 2**63, 2**64 - 1])
def test_a_pid_from_a_damaged_shard_is_not_followed(pid: int):
    """Whatever number stands there."""
    assert Processes(0).follow(Identity(0, pid, 0), 1 << 62, SECOND_NS) is None


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
    processes = Processes(SECOND_NS)
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; sys.stdin.read()'])"
    with start([sys.executable, "-c", child], OURS) as process:
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


def test_a_child_that_nobody_waits_for_is_one_process():
    """However often it is looked at, also when its row is forgotten."""
    processes = Processes(0)
    code = "import subprocess, sys; kept = subprocess.Popen(['true']); print(flush=True); sys.stdin.read()"
    with start([sys.executable, "-c", code], OURS) as process:
        processes.add(process.pid, SECOND_NS)
        for _ in range(500):
            processes.discover(2 * SECOND_NS)
            if any(not watcher.alive for watcher in processes.all()):
                break
            time.sleep(0.01)
        for _ in range(20):
            processes.discover(3 * SECOND_NS)
        assert [(watcher.alive, watcher.row.state) for watcher in processes.all()] == [(True, "running"), (False, "gone")]
        assert len(processes.forget_ended()) == 1
        for _ in range(20):
            processes.discover(4 * SECOND_NS)
        assert [watcher.alive for watcher in processes.all()] == [True]


def test_the_processor_time_of_a_zombie_is_counted_once():
    """What it had used is read although it has ended."""
    processes = Processes(0)
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; kept = subprocess.Popen([sys.executable, '-c', {burn!r}]); sys.stdin.read()"
    with start([sys.executable, "-c", code], OURS) as process:
        processes.add(process.pid, SECOND_NS)
        for _ in range(3000):
            processes.discover(2 * SECOND_NS)
            if any(not watcher.alive for watcher in processes.all()):
                break
            time.sleep(0.01)
        processes.discover(3 * SECOND_NS)
        (child,) = [watcher.row for watcher in processes.all() if not watcher.alive]
        assert 250_000_000 <= child.cpu_ns < 900_000_000  # in ticks of 10 ms


def test_the_most_relevant_of_the_ended_are_kept():
    """Those with the most calls, then with the most processor time."""
    processes = Processes(0)
    for number in range(10):
        row = Process(number + 1, 0, [], state="gone", calls=number % 3, cpu_ns=number)
        processes.add_ended(Identity(0, number + 1, 1), row, 5)
    assert processes.forget_ended(20, 9) == []
    assert processes.forget_ended(4, 5) == []
    forgotten = {watcher.row.pid for watcher in processes.forget_ended(4, 9)}
    assert {watcher.row.pid for watcher in processes.all()} == {9, 6, 3, 8}
    assert len(forgotten) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells one image of a process from the next")
def test_what_a_process_becomes_by_exec_is_seen():
    """Another image, another command, another reason; and of another program only its name."""
    processes = Processes(0)
    code = "import os, sys; print(flush=True); sys.stdin.readline(); os.execvp('cat', ['cat', '-u'])"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=OURS)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        watcher = processes.add(child.pid, time.monotonic_ns())
        assert watcher is not None
        assert watcher.reason == ""
        image = watcher.image
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait_until(lambda: processes.discover(time.monotonic_ns()) or watcher.row.command == ["cat"], "the exec to be seen")
        assert watcher.image != image
        assert watcher.reason == "cat is not a Python program"
    finally:
        child.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="the test writes over its arguments as Linux keeps them")
@pytest.mark.parametrize("title", [b"worker: idle", b"worker: idle   "], ids=["zeros", "blanks"])
def test_a_title_is_shown_without_its_padding(title: bytes):
    """What a program writes over its arguments and environment is no other image, and no reason."""
    code = f"""
import ctypes, sys
print(flush=True); sys.stdin.readline()
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start, end, end_of_environment = int(fields[45]), int(fields[46]), int(fields[48])
ctypes.memset(start, 0, end_of_environment - start)
ctypes.memmove(start, {title!r}, {len(title)})
print(flush=True); sys.stdin.read()
"""
    processes = Processes(0)
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=OURS)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        watcher = processes.add(child.pid, time.monotonic_ns())
        assert watcher is not None
        wait_until(lambda: time.monotonic_ns() - watcher.image_ns > 30_000_000, "the process to be older")
        processes.sample(time.monotonic_ns())
        image = watcher.image
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        processes.discover(time.monotonic_ns())
        processes.sample(time.monotonic_ns())
        assert watcher.row.command == ["worker: idle"]
        assert (watcher.image, watcher.reason) == (image, "")
    finally:
        child.communicate()


def test_an_empty_argument_is_no_padding():
    """It is shown as it was given."""
    processes = Processes(0)
    with start([sys.executable, "-c", WAIT, ""], OURS) as process:
        watcher = processes.add(process.pid, SECOND_NS)
        assert watcher is not None
        assert watcher.row.command[-1] == ""
