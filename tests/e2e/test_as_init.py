"""As PID 1 of a container: every signal reaches the program, orphans are reaped, and the end is that of the program."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.containers import Container, init_of
from support.runs import HOOKMON, PYTHON, Started, blind_spots, calls, wait_until, watch, write

WORK = "def step(number=0):\n    return number\n"
OURS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGCHLD}
PASSED_ON = sorted(map(int, signal.valid_signals() - OURS - {signal.SIGKILL, signal.SIGSTOP}))
RUN = [HOOKMON, "run", "--format", "json", "--output", "/out/report.json", "--"]


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    """A container with a volume for its report, and room for the files of a run."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    write(tmp_path / "app", {"work.py": WORK, "hookmon.toml": watch("work", "step")})
    made = Container(
        tmp_path, volumes={"/out": tmp_path / "out"}, env={"HOOKMON_FOLDER": "/hookmon"}, memories={"/hookmon": "64m"}
    )
    yield made
    made.end()


def children(pid: int) -> list[str]:
    """Return the pids of the children of a process, outside."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def start(container: Container, program: str, *command: str) -> Started:
    """Start a program as app.py, by a command where that is not Python."""
    write(container.folder / "app", {"app.py": program})
    return container.start([*RUN, *(command or (PYTHON, "app.py"))], report_path=container.folder / "out" / "report.json")


def is_there(container: Container, name: str) -> bool:
    """Say whether the program has made a file."""
    return (container.folder / "out" / name).exists()


RECEIVER = """
import os, signal, sys, work

def wait():
    return signal.sigwaitinfo(signal.valid_signals())

signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
child = int(sys.argv[1]) and os.fork()
with open("/out/ready", "w"):
    pass
if int(sys.argv[1]) and not child:
    signal.sigwait([signal.SIGUSR1])  # when the parent waits
    for number in map(int, sys.argv[2:]):
        os.kill(1, number)
        signal.sigwait([signal.SIGUSR1])
    os._exit(0)
got = []
if child:
    os.kill(child, signal.SIGUSR1)
while len(got) < len(sys.argv) - 2:
    info = wait()
    if info.si_signo == signal.SIGCHLD:
        continue
    got.append(info.si_signo)
    with open("/out/got", "a") as file:
        file.write(f"{info.si_signo}\\n")
    if child:
        os.kill(child, signal.SIGUSR1)
later = signal.sigtimedwait(signal.valid_signals() - {signal.SIGCHLD}, 0.3)
print(*got, later and later.si_signo)
"""


@pytest.mark.parametrize("sender", ["outside", "inside"])
def test_each_signal_reaches_the_program_once(sender: str, container: Container) -> None:
    """All that can be caught, in their order, whether the engine sends them or a process in the container."""
    numbers = list(map(str, PASSED_ON))
    started = start(container, RECEIVER, PYTHON, "app.py", "1" if sender == "inside" else "0", *numbers)
    wait_until(lambda: is_there(container, "ready"), "the program")
    if sender == "outside":
        init, got = init_of(started), container.folder / "out" / "got"
        for number in PASSED_ON:
            os.kill(init, number)
            wait_until(lambda number=number: got.exists() and got.read_text().split()[-1:] == [str(number)], f"signal {number}")
    result = started.finish()
    assert (result.stdout.split(), result.exit_code) == ([*numbers, "None"], 0), result.stderr


@pytest.mark.parametrize("number", [1, 2, 3, 6, 10, 12, 14, 15, 34, 64])
def test_a_signal_that_ends_the_program_is_told_by_the_exit_code(number: int, container: Container) -> None:
    """128 + N, as engines show it: PID 1 cannot die of a signal that it sends itself. The run has the real end."""
    started = start(container, "import work\nwork.step()\nopen('/out/ready', 'w')\nimport signal\nwhile True: signal.pause()")
    wait_until(lambda: is_there(container, "ready"), "the program")
    os.kill(init_of(started), number)
    result = started.finish()
    assert result.exit_code == 128 + number
    assert (result.report["run"]["exit_code"], calls(result.report, "work:step")) == (-number, 1)


@pytest.mark.parametrize("code", [0, 1, 7, 125, 127, 255])
@pytest.mark.parametrize(
    "command",
    [
        [PYTHON, "app.py"],
        ["sh", "-c", f"exec {PYTHON} app.py"],
        ["sh", "-c", f"{PYTHON} app.py; exit $?"],
    ],
    ids=["python", "a shell that becomes it", "a shell around it"],
)
def test_the_exit_code_is_the_programs(code: int, command: list[str], container: Container) -> None:
    """Also behind a shell, as entry points have one."""
    result = start(container, f"import sys, work\nwork.step()\nsys.exit({code})", *command).finish()
    assert (result.exit_code, result.report["run"]["exit_code"]) == (code, code)
    assert calls(result.report, "work:step") == 1


def test_a_program_may_take_its_time_to_end(container: Container) -> None:
    """SIGTERM is passed on once; the report comes when the program has ended, in the time that the engine grants both."""
    program = """
    import signal, sys, time, work

    def end(*_):
        time.sleep(1)
        work.step()
        print("ended well")
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    open("/out/ready", "w")
    while True:
        signal.pause()
    """
    started = start(container, program)
    wait_until(lambda: is_there(container, "ready"), "the program")
    os.kill(init_of(started), signal.SIGTERM)
    result = started.finish()
    assert (result.stdout, result.exit_code, calls(result.report, "work:step")) == ("ended well\n", 0, 1)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3])
def test_a_container_that_is_only_just_starting_ends_by_sigterm(delay_s: float, container: Container) -> None:
    """Whether hookmon has begun, is reading its configuration or has the program already: nothing is swallowed."""
    started = start(container, "import time\ntime.sleep(120)")
    wait_until(lambda: is_hookmon(init_of(started)), "hookmon to be PID 1")
    wait_until(lambda: heeds(init_of(started), signal.SIGTERM), "Python itself to have begun")
    time.sleep(delay_s)
    os.kill(init_of(started), signal.SIGTERM)
    assert started.finish(60).exit_code == 128 + signal.SIGTERM


def is_hookmon(pid: int) -> bool:
    """Say whether a process has become hookmon by now."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # none while it executes the next program
    return len(words) > 1 and words[1].endswith(b"/hookmon")


def heeds(pid: int, number: int) -> bool:
    """Say whether a process catches a signal or keeps it back."""
    fields = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool((int(fields["SigCgt"], 16) | int(fields["SigBlk"], 16)) >> (number - 1) & 1)


def test_a_storm_of_orphans_is_reaped(container: Container) -> None:
    """Eight hundred children whose parents have gone, at once and later: none stays a zombie, and each call is counted."""
    program = """
    import os, sys, time, work

    def zombies():
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] == "Z":
                        found.append(name)
            except OSError:
                pass
        return found

    for number in range(40):
        parent = os.fork()
        if not parent:
            for child in range(20):
                if not os.fork():
                    time.sleep(child % 4 * 0.05)
                    work.step(child)
                    os._exit(child)
            os._exit(0)
        assert os.waitpid(parent, 0)[1] == 0
    deadline = time.monotonic() + 60
    while (len(os.listdir("/proc/self/task")), left := [n for n in os.listdir("/proc") if n.isdigit()]) and len(left) > 2:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
    print(sorted(map(int, left)) == [1, os.getpid()], zombies())
    sys.exit(5)
    """
    result = start(container, program).finish()
    assert (result.stdout, result.exit_code) == ("True []\n", 5), result.stderr
    assert calls(result.report, "work:step") == 800
    assert blind_spots(result.report) == []


def test_orphans_outlive_neither_pid_1_nor_their_counts(container: Container) -> None:
    """What still runs when the program ends is ended with the container: it is named, and what it counted is kept."""
    program = """
    import os, time, work
    if not os.fork():
        if not os.fork():
            for number in range(9): work.step(number)
            open("/out/ready", "w")
            time.sleep(60)
        os._exit(0)
    os.wait()
    while not os.path.exists("/out/ready"): time.sleep(0.01)
    """
    result = start(container, program).finish()
    assert (result.exit_code, calls(result.report, "work:step")) == (0, 9)
    assert len(result.report["still_running"]) == 1


def test_a_stop_stops_the_program_and_not_its_launcher(container: Container) -> None:
    """The kernel lets nobody stop PID 1; the program stops, goes on, and is counted."""
    program = "import os, signal, work\nopen('/out/ready', 'w')\nos.kill(os.getpid(), signal.SIGSTOP)\nwork.step()\n"
    started = start(container, program)
    wait_until(lambda: is_there(container, "ready"), "the program")
    init = init_of(started)
    wait_until(lambda: len(children(init)) == 1, "the program to be alone")
    (child,) = children(init)
    wait_until(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "T", "the program to stop")
    os.kill(init, signal.SIGCONT)
    result = started.finish()
    assert (result.exit_code, calls(result.report, "work:step")) == (0, 1)


def test_other_verbs_end_by_sigterm(container: Container) -> None:
    """A container in which `hookmon top` is PID 1 need not be killed."""
    side = Container(container.folder, volumes=container.volumes, env={"HOOKMON_FOLDER": "/out/hookmon"})
    container.env = side.env
    started = start(container, "import time\nopen('/out/ready', 'w')\ntime.sleep(120)")
    wait_until(lambda: is_there(container, "ready"), "the program")
    shown = side.start([HOOKMON, "top", "--plain", "--interval", "0.1"])
    try:
        wait_until(lambda: is_hookmon(init_of(shown)), "hookmon to be PID 1")
        wait_until(lambda: heeds(init_of(shown), signal.SIGTERM), "Python itself to have begun")
        os.kill(init_of(shown), signal.SIGTERM)
        assert shown.finish(60).exit_code == 128 + signal.SIGTERM
    finally:
        started.kill()


def test_the_run_is_that_of_pid_1(container: Container) -> None:
    """The report has the pids of the container, and no process of the machine."""
    result = start(container, "import os, work\nwork.step()\nprint(os.getppid())").finish()
    (row,) = result.report["processes"]
    assert (result.stdout, row["parent_pid"], json.dumps(row["command"])) == ("1\n", 1, json.dumps([PYTHON, "app.py"]))
