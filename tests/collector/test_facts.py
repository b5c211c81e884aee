"""What is read of processes says what psutil says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.runs import wait_until

from hookmon.collector import identity, machine
from hookmon.collector.facts import Facts, command_of, environment_of
from hookmon.collector.proc_files import ProcFiles

pytestmark = [pytest.mark.process, pytest.mark.skipif(not identity.HAS_PROC, reason="psutil itself serves here")]

AT_WORK = """
import sys, threading
taken = bytearray(30_000_000)
go = threading.Event()
for _ in range(3): threading.Thread(target=go.wait).start()
with open(sys.argv[1], "w+") as file:
    file.write("x" * 100_000)
    file.flush()
    sum(range(2_000_000))
    print(flush=True)
    sys.stdin.read()
    go.set()
"""


@contextmanager
def at_rest(*arguments: str, **options: str) -> Iterator[psutil.Process]:
    """Start a process that has worked and waits for the end of its input."""
    command = [sys.executable, "-c", AT_WORK, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **options})
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield psutil.Process(process.pid)
    finally:
        process.communicate()


def test_figures_are_those_of_psutil(tmp_path: Path):
    """Of a process that rests, so that both see the same."""
    with at_rest(str(tmp_path / "file")) as process:
        wait_until(lambda: process.status() == psutil.STATUS_SLEEPING, "its rest")
        stat, status = identity.look_at(process.pid), identity.read_status(process.pid)
        assert stat is not None
        assert status is not None
        cpu = process.cpu_times()
        assert stat.cpu_ns == round((cpu.user + cpu.system) * 1e9)
        for rss_bytes in (stat.rss_bytes, identity.memory_of(process.pid)):  # the kernel adds up its counters in two ways
            assert rss_bytes == pytest.approx(process.memory_info().rss, rel=0.02)
        assert (stat.threads, stat.parent_pid, stat.has_ended) == (process.num_threads(), process.ppid(), False)
        assert status.switches == sum(process.num_ctx_switches())
        assert identity.created_s(process.pid) == pytest.approx(process.create_time(), abs=0.011)
        files = ProcFiles(process.pid)
        assert files.count_open() == process.num_fds()
        io = process.io_counters()
        assert files.traffic() == (io.read_bytes, io.write_bytes)
        assert identity.children(os.getpid()) == [child.pid for child in psutil.Process().children()]
        assert {os.getpid(), process.pid} <= set(identity.every_pid()) <= {*psutil.pids(), *identity.every_pid()}


def test_facts_are_those_of_psutil(tmp_path: Path):
    """Command, executable, environment, users and groups, with what is no text in them."""
    odd = os.fsdecode(b"a\xffb ")
    with at_rest(str(tmp_path / "file"), "", odd, " ", NAMED="a=b", EMPTY="", ODD=odd) as process:
        facts = Facts(process.pid)
        assert facts.command() == process.cmdline()
        assert facts.executable() == process.exe()
        assert facts.environment() == process.environ()
        users, groups = process.uids(), process.gids()
        assert facts.users() == (users.real, users.effective)
        assert facts.groups() == (groups.real, groups.effective)


def test_a_deleted_executable_is_named_as_it_was_called(tmp_path: Path):
    """Linux writes behind its path that it is gone."""
    copy = tmp_path / "sleeper"
    copy.write_bytes(Path("/bin/sleep").read_bytes())
    copy.chmod(0o700)
    with subprocess.Popen([str(copy), "60"]) as process:
        wait_until(lambda: Facts(process.pid).executable() == str(copy), "its start")
        copy.unlink()
        assert Facts(process.pid).executable() == str(copy)
        process.kill()


def test_of_what_has_ended_nothing_is_told():
    """A zombie has no command any more, which is not the same as an empty one; what was waited for has nothing."""
    process = subprocess.Popen(["true"])
    wait_until(lambda: identity.state_of(process.pid) == "Z", "its end")
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert identity.exists(process.pid)
    facts = Facts(process.pid)
    with pytest.raises(ProcessLookupError):
        facts.command()
    process.wait()
    assert identity.state_of(process.pid) == ""
    assert not identity.exists(process.pid)
    assert identity.look_at(process.pid) is None
    assert identity.created_s(process.pid) == identity.memory_of(process.pid) == 0
    for ask in (Facts(process.pid).command, facts.environment, facts.users, facts.groups):
        with pytest.raises((FileNotFoundError, ProcessLookupError)):
            ask()


def test_a_thread_is_no_process():
    """Though the kernel answers to its number as to a pid."""
    with at_rest(os.devnull) as process:
        threads = {thread.id for thread in process.threads()} - {process.pid}
        assert len(threads) == 3
        assert not any(identity.exists(thread) for thread in threads)
        assert not threads & set(identity.every_pid())
        assert identity.exists(process.pid)


@pytest.mark.parametrize("pid", [-1, 0, 1 << 22, 1 << 40])
def test_what_can_be_no_pid_is_none(pid: int):
    """Those in a damaged file, say."""
    assert not identity.exists(pid)
    assert identity.look_at(pid) is None


def test_a_stopped_process_is_seen_as_one(tmp_path: Path):
    """And that it goes on."""
    with at_rest(os.devnull) as process:
        assert not identity.is_stopped(process.pid)
        process.suspend()
        wait_until(lambda: identity.is_stopped(process.pid), "its stop")
        process.resume()
        wait_until(lambda: not identity.is_stopped(process.pid), "that it goes on")
    assert not identity.is_stopped(process.pid)


@pytest.mark.parametrize(
    ("content", "command"),
    [
        (b"", []),
        (b"python\0-c\0pass\0", ["python", "-c", "pass"]),
        (b"python\0\0", ["python", ""]),
        (b"nginx: master process /usr/sbin/nginx", ["nginx:", "master", "process", "/usr/sbin/nginx"]),
        (b"nginx: worker ", ["nginx:", "worker"]),
        (b"gunicorn: worker [app]\0", ["gunicorn:", "worker", "[app]"]),
        (b"a b\0c\0", ["a b", "c"]),
        (b"one\0", ["one"]),
    ],
)
def test_words_are_told_from_titles(content: bytes, command: list[str]):
    """A program that writes its own title ends it with a zero, with blanks, or with nothing."""
    assert command_of(content) == command


@pytest.mark.parametrize(
    ("content", "environment"),
    [
        (b"", {}),
        (b"A=1\0B=x=y\0", {"A": "1", "B": "x=y"}),
        (b"A=1\0\0B=2\0", {"A": "1"}),
        (b"A=1\0no sign\0=nameless\0B=2\0", {"A": "1", "B": "2"}),
        (b"A=1\0B=cut", {"A": "1"}),
    ],
)
def test_variables_are_read_up_to_what_was_written_over_them(content: bytes, environment: dict[str, str]):
    """As psutil does it."""
    assert environment_of(content) == environment


def test_the_work_of_the_machine_is_what_psutil_says():
    """All but idle time and what guests had, which stands in it twice."""

    def by_psutil() -> float:
        times = psutil.cpu_times()
        return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice

    before, busy_ns, after = by_psutil(), machine._busy_ns(), by_psutil()
    assert before - 0.02 <= busy_ns / 1e9 <= after + 0.02


def test_what_psutil_says_elsewhere_has_the_same_shape(tmp_path: Path):
    """The functions for systems without /proc answer here, too, and say of what has ended that there is none."""
    from hookmon.collector import through_psutil

    with at_rest(str(tmp_path / "file")) as process:
        facts, stat = Facts(process.pid), identity.look_at(process.pid)
        assert stat is not None
        look, usage = through_psutil.look(process.pid), through_psutil.usage(process.pid)
        assert (look.parent_pid, look.is_zombie, look.cpu_ns) == (stat.parent_pid, False, stat.cpu_ns)
        assert look.started_s == pytest.approx(identity.created_s(process.pid), abs=0.011)
        assert usage.rss_bytes == pytest.approx(stat.rss_bytes, rel=0.02)
        assert usage.threads == stat.threads
        assert through_psutil.command(process.pid) == facts.command()
        assert through_psutil.executable(process.pid) == facts.executable()
        assert through_psutil.environment(process.pid) == facts.environment()
        assert through_psutil.users(process.pid) == facts.users()
        assert through_psutil.groups(process.pid) == facts.groups()
        assert not through_psutil.is_stopped(process.pid)
        assert process.pid in through_psutil.every_pid()
        assert process.pid in through_psutil.children(os.getpid())
        pid = process.pid
    for ask in (through_psutil.look, through_psutil.usage, through_psutil.command, through_psutil.users):
        with pytest.raises(ProcessLookupError):
            ask(pid)
    assert through_psutil.busy_ns() > 0
