"""The launcher stands for the program: whoever started it sees and sends what they would see of the program, and send to it."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import interpreters
from support.runs import (
    HOOKMON,
    PYTHON,
    Started,
    bare_run,
    calls,
    hookmon_run,
    hookmon_start,
    wait_until,
    watch,
    write,
)
from support.terminal import Shell, Terminal

import hookmon
import hookmon_bootstrap

SHOP = """
    def quote(number):
        return number * number
"""
WATCH_SHOP = watch("shop", "quote")
HOOKED = f"{HOOKMON} run --quiet -- {PYTHON}"

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # see Terminal


def pid_in(path: Path) -> int:
    """Return the pid that a program writes into a file, once it is there."""
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), f"the pid in {path.name}")
    return int(path.read_text())


WRITES_PID = "import os; open('pid.new', 'w').write(f'{os.getpid()}\\n'); os.rename('pid.new', 'pid')\n"


# stop and continue


@pytest.mark.parametrize(("number", "shown"), [("SIGTSTP", r"Stopped +\S"), ("SIGSTOP", r"Stopped\(SIGSTOP\)|Stopped")])
def test_a_program_that_stops_itself_gives_the_prompt_back(number: str, shown: str, tmp_path: Path) -> None:
    """The shell says that the job is stopped, takes commands, and `fg` lets the program go on where it was."""
    write(tmp_path, {"app.py": f"import os, signal\nos.kill(os.getpid(), signal.{number})\nprint('back', 40 + 2)\n"})
    shell = Shell(cwd=tmp_path)
    shell.enter(f"{HOOKED} app.py")
    shell.wait_for(shown)
    shell.enter("echo prompt $((20 + 3))")
    shell.wait_for("prompt 23")
    shell.enter("fg")
    shell.wait_for("back 42")
    shell.enter("echo code $?")
    shell.wait_for("code 0")
    shell.leave()


COUNTS_STOPS = """
    import os, select, signal, sys
    import shop

    def stop(number, frame):  # as a full-screen program does: the terminal is put in order first
        os.write(1, b"stops %d\\n" % (40 + 2))
        shop.quote(1)
        os.kill(os.getpid(), signal.SIGSTOP)

    def go_on(number, frame):
        os.write(1, b"goes %d\\n" % (50 + 2))
        shop.quote(2)

    signal.signal(signal.SIGTSTP, stop)
    signal.signal(signal.SIGCONT, go_on)
    os.write(1, b"ready %d\\n" % (30 + 2))
    while not select.select([0], [], [], 0.01)[0]: pass  # a signal just before a read is handled after it
    sys.stdin.readline()
    print("done", 60 + 2, flush=True)
"""


def test_control_z_and_fg_reach_the_program_once(tmp_path: Path) -> None:
    """What a program does at a Control-Z and at an `fg` it does once, as often as they are pressed, and all is recorded."""
    write(tmp_path, {"shop.py": SHOP, "app.py": COUNTS_STOPS, "hookmon.toml": WATCH_SHOP})
    shell = Shell(cwd=tmp_path)
    shell.enter(f"{HOOKMON} run --format json --output report.json {PYTHON} app.py")
    shell.wait_for("ready 32")
    for _ in range(2):
        shell.type(b"\x1a")
        shell.wait_for(r"stops 42\s+\[1\]\+  Stopped")
        shell.enter("fg")
        shell.wait_for("goes 52")
    shell.enter("")
    assert shell.wait_for(r"(?s).*?done 62").count("goes") == 0
    shell.enter("echo code $?")
    shell.wait_for("code 0")
    shell.leave()
    assert calls(json.loads((tmp_path / "report.json").read_text()), "shop:quote") == 4


def test_a_program_in_the_background_that_reads_the_terminal_is_a_stopped_job(tmp_path: Path) -> None:
    """The kernel stops it for reading (SIGTTIN), the shell says so, and in the foreground it gets its line."""
    write(tmp_path, {"app.py": "print('got', input())\n"})
    shell = Shell(cwd=tmp_path)
    shell.enter(f"{HOOKED} app.py &")
    shell.wait_for(r"\[1\] \d+")
    wait_until(lambda: all(is_stopped(child.pid) for child in psutil.Process(shell.pid).children()), "the job to stop")
    shell.enter("jobs -l; echo listed $((20 + 4))")
    assert "tty input" in shell.wait_for(r"(?s).*listed 24")
    shell.enter("fg")
    wait_until(lambda: not any(is_stopped(child.pid) for child in psutil.Process(shell.pid).children(True)), "the job to go on")
    shell.enter("a line")
    shell.wait_for("got a line")
    shell.leave()


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped; one that has ended is not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def wait_for_change(pid: int, options: int) -> tuple[int, int]:
    """Return (si_code, status) of the next change of a child."""
    found: list[tuple[int, int]] = []

    def look() -> bool:
        change = os.waitid(os.P_PID, pid, options | os.WNOHANG)
        if change is not None:
            found.append((change.si_code, change.si_status))
        return bool(found)

    wait_until(look, "the launcher to change")
    return found[0]


WAITS = WRITES_PID + "import time, shop\nwhile not os.path.exists('go'): shop.quote(1); time.sleep(0.01)\n"
STOPPED = (os.CLD_STOPPED, signal.SIGSTOP)
CONTINUED = (os.CLD_CONTINUED, signal.SIGCONT)


@pytest.mark.parametrize("who", ["the program", "the launcher"])
def test_stop_and_continue_are_seen_by_whoever_waits(who: str, tmp_path: Path) -> None:
    """Where the program is stopped the launcher is, and goes on with it: whichever of the two was let go on."""
    write(tmp_path, {"shop.py": SHOP, "app.py": WAITS})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    try:
        program, launcher = pid_in(tmp_path / "pid"), running.process.pid
        for _ in range(2):
            os.kill(program, signal.SIGSTOP)
            assert wait_for_change(launcher, os.WSTOPPED) == STOPPED
            os.kill(program if who == "the program" else launcher, signal.SIGCONT)
            assert wait_for_change(launcher, os.WCONTINUED) == CONTINUED
            wait_until(lambda: not is_stopped(program) and not is_stopped(launcher), "both to go on")
        (tmp_path / "go").touch()
        assert running.finish().exit_code == 0
    finally:
        running.kill()


def test_a_stopped_program_that_is_killed_ends_the_run(tmp_path: Path) -> None:
    """The launcher, stopped as the program is, notices its death, reports and dies of the same signal."""
    write(tmp_path, {"shop.py": SHOP, "app.py": WRITES_PID + "import shop, time\nshop.quote(1)\ntime.sleep(60)\n"})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    try:
        program = pid_in(tmp_path / "pid")
        os.kill(program, signal.SIGSTOP)
        assert wait_for_change(running.process.pid, os.WSTOPPED) == STOPPED
        os.kill(program, signal.SIGKILL)
        result = running.finish()
    finally:
        running.kill()
    assert result.exit_code == -signal.SIGKILL
    assert result.report["run"]["exit_code"] == -signal.SIGKILL


def test_a_stopped_launcher_loses_nothing(tmp_path: Path) -> None:
    """With the launcher alone stopped, the program and its children go on, and every call is in the report."""
    program = (
        WRITES_PID
        + """
import time, shop
while not os.path.exists("go"): time.sleep(0.01)
for _ in range(30):
    pid = os.fork()
    if not pid:
        shop.quote(1)
        os._exit(0)
    os.waitpid(pid, 0)
for _ in range(100): shop.quote(2)
open("done", "w").close()
while not os.path.exists("end"): time.sleep(0.01)
"""
    )
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_SHOP)
    try:
        pid_in(tmp_path / "pid")
        running.process.send_signal(signal.SIGSTOP)
        assert wait_for_change(running.process.pid, os.WSTOPPED) == STOPPED
        (tmp_path / "go").touch()
        wait_until((tmp_path / "done").exists, "the program")
        running.process.send_signal(signal.SIGCONT)
        (tmp_path / "end").touch()
        result = running.finish()
    finally:
        running.kill()
    assert calls(result.report, "shop:quote") == 130


# death by a signal


DEADLY = ["SIGHUP", "SIGINT", "SIGALRM", "SIGRTMIN"]  # others: test_launch


@pytest.mark.parametrize("name", DEADLY)
def test_the_launcher_dies_as_the_program_died(name: str, tmp_path: Path) -> None:
    """Whoever waits sees the same signal, and a report says it."""
    number = int(getattr(signal, name))
    program = f"import os, signal\nsignal.getsignal({number}) and {number} != 9 and signal.signal({number}, signal.SIG_DFL)\n"
    write(tmp_path, {"app.py": f"{program}print('out', flush=True)\nos.kill(os.getpid(), {number})\n"})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path)
    assert bare.exit_code == -number
    assert under.seen == bare.seen
    assert under.report["run"]["exit_code"] == -number
    (row,) = under.report["processes"]
    assert (row["state"], row["exit_code"]) == ("killed", -number)


def test_an_exit_code_above_128_is_no_death(tmp_path: Path) -> None:
    """A program that ends with 143 of its own is not called killed."""
    under = hookmon_run([PYTHON, "-c", "raise SystemExit(143)"], cwd=tmp_path)
    assert under.exit_code == 143
    (row,) = under.report["processes"]
    assert (row["state"], row["exit_code"]) == ("exited", 143)


def test_only_the_program_writes_a_core_file(tmp_path: Path) -> None:
    """The launcher, which dies of the same signal, leaves none of its own."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if Path("/proc/sys/kernel/core_pattern").read_text() != "core\n" or hard != resource.RLIM_INFINITY:
        pytest.skip("the kernel does not write core files into the working folder here")
    write(tmp_path, {"app.py": "import os\nos.mkdir('inner')\nos.chdir('inner')\nos.abort()\n"})
    command = f"ulimit -c unlimited; exec {HOOKED} app.py"
    result = Started(["bash", "-c", command], cwd=tmp_path).finish()
    assert result.exit_code == -signal.SIGABRT
    assert [path.parent.name for path in tmp_path.rglob("core*")] == ["inner"]


def test_control_c_ends_a_shell_script(tmp_path: Path) -> None:
    """After a Control-C the shell does not go on with the next command of its script."""
    script = f"{HOOKED} -c \"print('migrating', 40 + 2, flush=True); import time; time.sleep(60)\"\necho deploying $((20 + 3))\n"
    write(tmp_path, {"s.sh": script})
    terminal = Terminal(["bash", "s.sh"], cwd=tmp_path)
    terminal.wait_for("migrating 42")
    terminal.type(b"\x03")
    shown, exit_code = terminal.finish()
    assert exit_code == -signal.SIGINT
    assert "deploying" not in shown


def test_xargs_stops_after_a_death(tmp_path: Path) -> None:
    """xargs, which ends at the first command that a signal killed, does so, as with the program alone."""
    write(tmp_path, {"app.py": "import os, sys\nprint(sys.argv[1], flush=True)\nos.kill(os.getpid(), 15)\n"})
    ends = []
    for head in (PYTHON, HOOKED):
        result = Started(["xargs", "-n", "1", *head.split(), "app.py"], cwd=tmp_path, stdin=b"1\n2\n").finish()
        ends.append((result.stdout, result.exit_code))
    assert ends == [("1\n", 125)] * 2


# signals that are passed on


NOT_CAUGHT = (signal.SIGKILL, signal.SIGSTOP)
NOT_PASSED_ON = (signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS)
COUNTS_SIGNALS = f"""
import os, signal, time
got = os.open("got", os.O_CREAT | os.O_WRONLY)
for number in signal.valid_signals() - {{{", ".join(str(int(number)) for number in NOT_CAUGHT)}}}:
    signal.signal(number, lambda number, frame: os.write(got, b"%d\\n" % number))
open("ready", "w").close()
while not os.path.exists("end"): time.sleep(0.01)
"""


def test_every_signal_that_can_be_caught_is_passed_on_once(tmp_path: Path) -> None:
    """From SIGHUP to SIGRTMAX: what is sent to the launcher arrives at the program one time, and nothing befalls the launcher."""
    write(tmp_path, {"app.py": COUNTS_SIGNALS})
    running = hookmon_start([PYTHON, "app.py"], cwd=tmp_path)
    sent = sorted(signal.valid_signals() - {*NOT_CAUGHT, *NOT_PASSED_ON})
    pid, got = running.process.pid, tmp_path / "got"
    try:
        wait_until((tmp_path / "ready").exists, "the program's handlers")
        for count, number in enumerate(sent, 1):  # one by one: a SIGCONT and a SIGTSTP that wait annul each other
            os.kill(pid, number)
            wait_until(lambda wanted=count: len(got.read_text().split()) >= wanted, f"signal {number}")
        (tmp_path / "end").touch()
        result = running.finish()
    finally:
        running.kill()
    assert list(map(int, got.read_text().split())) == [int(number) for number in sent]
    assert (result.stderr, result.exit_code) == ("", 0)


def test_a_resized_terminal_is_told_once(tmp_path: Path) -> None:
    """SIGWINCH of the terminal itself reaches the program by the kernel, and is not passed on."""
    import fcntl
    import struct
    import termios

    program = """
    import os, select, signal
    signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b"resized\\n"))
    print("ready", 1, flush=True)
    while not select.select([0], [], [], 0.01)[0]: pass  # a signal just before a read is handled after it
    input()
    """
    write(tmp_path, {"app.py": program})
    terminal = Terminal([*HOOKED.split(), "app.py"], cwd=tmp_path)
    terminal.wait_for("ready 1")
    fcntl.ioctl(terminal._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 70, 0, 0))
    terminal.wait_for("resized")
    terminal.type(b"\r")
    shown, exit_code = terminal.finish()
    assert ("resized" in shown, exit_code) == (False, 0)


def test_a_terminal_that_goes_away_hangs_the_program_up(tmp_path: Path) -> None:
    """The kernel sends SIGHUP to the leader of the session alone, which the program would be: it gets it, once."""
    program = """
    import os, signal, time
    hung = []
    signal.signal(signal.SIGHUP, lambda *_: hung.append(1))
    print("ready", 1, flush=True)
    while not hung: time.sleep(0.01)
    time.sleep(0.3)  # for a second one
    open("hung", "w").write(f"{len(hung)}\\n")
    """
    write(tmp_path, {"app.py": program})
    terminal = Terminal([*HOOKED.split(), "app.py"], cwd=tmp_path)
    terminal.wait_for("ready 1")
    terminal.hang_up()
    _, status = os.waitpid(terminal.pid, 0)
    assert ((tmp_path / "hung").read_text(), status) == ("1\n", 0)


def test_a_timer_that_was_set_before_reaches_the_program(tmp_path: Path) -> None:
    """An alarm outlives exec, and is the launcher's then: the program gets its SIGALRM and dies of it."""
    write(tmp_path, {"app.py": "import time\ntime.sleep(60)\n"})
    alarm = "import os, signal, sys; signal.setitimer(signal.ITIMER_REAL, 1.5); os.execv(sys.argv[1], sys.argv[1:])"
    result = Started([PYTHON, "-c", alarm, *HOOKED.split(), "app.py"], cwd=tmp_path).finish()
    assert result.exit_code == -signal.SIGALRM


# what exec passes on


ASKS_SYSTEMD = """
    import json, os, socket

    names = ("LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "MAINPID")
    found = {name: os.environ.get(name) for name in names}
    found["own"] = [name for name in names if found[name] == str(os.getpid())]
    if "LISTEN_PIDFDID" in os.environ:
        found["inode"] = os.environ["LISTEN_PIDFDID"] == str(os.fstat(os.pidfd_open(os.getpid())).st_ino)
    found["address"] = socket.socket(fileno=3).getsockname()
    print(json.dumps(found))
"""


def test_a_socket_of_systemd_is_the_programs(tmp_path: Path) -> None:
    """Where systemd named the launcher's process, the program finds its own pid, and the socket at descriptor 3."""
    write(tmp_path, {"app.py": ASKS_SYSTEMD})
    address = "import os, sys; pid = str(os.getpid()); os.environ.update(LISTEN_PID=pid, WATCHDOG_PID=pid, SYSTEMD_EXEC_PID=pid, "
    address += "LISTEN_FDS='1', LISTEN_FDNAMES='web', LISTEN_PIDFDID='12', MAINPID='1'); os.dup2(int(sys.argv[1]), 3); "
    address += f"os.execv({HOOKMON!r}, ['hookmon', *{HOOKED.split()[1:]!r}, 'app.py'])"
    with socket.create_server(("127.0.0.1", 0)) as server:
        descriptor = server.fileno()
        result = Started([PYTHON, "-c", address, str(descriptor)], cwd=tmp_path, pass_fds=[descriptor]).finish()
        found = json.loads(result.stdout)
        assert found.pop("address") == list(server.getsockname())
    assert found["own"] == ["LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"]
    assert (found["LISTEN_FDS"], found["LISTEN_FDNAMES"], found["MAINPID"]) == ("1", "web", "1")
    assert found.get("inode", True)


def test_a_pid_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """Variables that were not meant for the launcher's process stay as they are."""
    program = "import os; print(os.environ['LISTEN_PID'], os.environ['WATCHDOG_PID'], os.environ['LISTEN_PIDFDID'])"
    env: dict[str, str | None] = {"LISTEN_PID": "1", "WATCHDOG_PID": "x", "LISTEN_PIDFDID": "12"}
    assert hookmon_run([PYTHON, "-c", program], cwd=tmp_path, env=env).stdout == "1 x 12\n"


ASKS_SIGNALS = "print([line for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn'))])"
SIGNAL_SETTINGS = {
    "SIGCHLD ignored": "signal.signal(17, signal.SIG_IGN)",
    "all that can be ignored": "[signal.signal(n, signal.SIG_IGN) for n in signal.valid_signals() if n not in (9, 19)]",
    "some blocked": "signal.pthread_sigmask(0, [1, 10, 14, 40, 64])",
}


@pytest.mark.parametrize("setting", SIGNAL_SETTINGS.values(), ids=SIGNAL_SETTINGS)
def test_dispositions_and_mask_are_those_of_an_exec(setting: str, tmp_path: Path) -> None:
    """What whoever started the launcher ignores or blocks, SIGCHLD too, the program has as if it had been started itself."""
    code = "import os, signal, sys\nfor n in (13, 25): signal.signal(n, signal.SIG_DFL)\n" + setting
    code += "\nos.execv(sys.argv[1], sys.argv[1:])"
    asks = [PYTHON, "-c", ASKS_SIGNALS + "\nraise SystemExit(7)"]
    bare = bare_run([PYTHON, "-c", code, *asks], cwd=tmp_path)
    under = bare_run([PYTHON, "-c", code, *HOOKED.split()[:-1], *asks], cwd=tmp_path)
    assert bare.exit_code == 7
    assert under.seen == bare.seen


# signals that come before the program

# What the launcher finds on its way: a file system that takes its time. The marks say how far it is.
SLOW_DISK = """
    import os, sys, time

    def wait(mark):
        open(mark, "w").close()
        while not os.path.exists("go"): time.sleep(0.01)

    def slow_open(path, flags, *more, _open=os.open, **names):
        if flags & os.O_EXCL and os.fsdecode(path).endswith("/plan"):
            wait("preparing")
        return _open(path, flags, *more, **names)

    if os.path.basename(sys.orig_argv[1] if len(sys.orig_argv) > 1 else "") == "hookmon":
        os.open = slow_open
"""


def leftovers(folder: Path) -> list[str]:
    """Return what a run that never was has left."""
    return [path.name for path in (*folder.glob("*/hookmon-*"), *(folder / ".hookmon").glob("run-*"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_during_the_preparation_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    """However slow the disk is: the program is not started, nothing stays behind, and the launcher dies of the signal."""
    write(tmp_path, {"slow/sitecustomize.py": SLOW_DISK, "app.py": "open('started', 'w')\n", "t/x": ""})
    places = {"XDG_RUNTIME_DIR": str(tmp_path / "t"), "TMPDIR": str(tmp_path / "t"), "PYTHONPATH": str(tmp_path / "slow")}
    running = Started([*HOOKED.split(), "app.py"], cwd=tmp_path, env=dict(places))
    try:
        wait_until((tmp_path / "preparing").exists, "the preparation")
        running.process.send_signal(number)
        (tmp_path / "go").touch()
        result = running.finish()
    finally:
        running.kill()
    assert (result.stdout, result.stderr, result.exit_code) == ("", "", -number)
    assert not (tmp_path / "started").exists()
    assert leftovers(tmp_path) == []


def test_control_c_during_the_preparation_ends_it(tmp_path: Path) -> None:
    """On the terminal, too, whose signals are otherwise left to the program."""
    write(tmp_path, {"slow/sitecustomize.py": SLOW_DISK, "app.py": "open('started', 'w')\n"})
    terminal = Terminal([*HOOKED.split(), "app.py"], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "slow")})
    wait_until((tmp_path / "preparing").exists, "the preparation")
    terminal.type(b"\x03")
    terminal.wait_for(r"\^C")
    (tmp_path / "go").touch()
    assert terminal.finish()[1] == -signal.SIGINT
    assert not (tmp_path / "started").exists()


def test_an_ignored_control_c_lets_the_preparation_go_on(tmp_path: Path) -> None:
    """Of a background job of a script, which ignores SIGINT, the program is started, and ignores it as well."""
    write(tmp_path, {"slow/sitecustomize.py": SLOW_DISK, "app.py": "print('started')\n"})
    command = f"trap '' INT; exec {HOOKED} app.py"
    running = Started(["bash", "-c", command], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "slow")})
    try:
        wait_until((tmp_path / "preparing").exists, "the preparation")
        running.process.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()
        result = running.finish()
    finally:
        running.kill()
    assert (result.stdout, result.exit_code) == ("started\n", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_look_into_files_of_others_can_be_interrupted(number: signal.Signals, tmp_path: Path) -> None:
    """Also in the middle of a query that never ends, where no handler of Python's would run."""
    program = """
    import os, sqlite3
    from hookmon.collector import signals

    with signals.default_interrupt():
        os.close(os.open("looking", os.O_CREAT))
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
        sqlite3.connect(":memory:").execute(endless)
    """
    write(tmp_path, {"app.py": program})
    running = Started([PYTHON, "app.py"], cwd=tmp_path)
    try:
        wait_until((tmp_path / "looking").exists, "the query")
        running.process.send_signal(number)
        assert running.finish(timeout=60).exit_code == -number
    finally:
        running.kill()


def test_a_signal_at_any_moment_of_the_start_is_not_lost(tmp_path: Path) -> None:
    """Sent to sixteen launchers, each a little later than the one before: every program ends by it, or was never started."""
    write(tmp_path, {"app.py": "import time\ntime.sleep(40)\nopen('ended', 'w')\n"})
    running = [Started([*HOOKED.split(), "app.py"], cwd=tmp_path, env={"TMPDIR": str(tmp_path)}) for _ in range(16)]
    try:
        for started in running:
            started.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        assert [started.finish(30).exit_code for started in running] == [-signal.SIGTERM] * 16
    finally:
        for started in running:
            started.kill()


# the program's own Python settings

VENDOR = {f"vendor/{name}.py": "raise RuntimeError('not for the launcher')\n" for name in ("click", "psutil", "rich", "wrapt")}


@pytest.mark.parametrize("way", ["script", "module"])
def test_modules_of_the_program_are_not_the_launchers(way: str, tmp_path: Path) -> None:
    """With other packages of the names of ours on PYTHONPATH, or beside the program, it runs and is reported."""
    write(
        tmp_path, {**VENDOR, "app.py": "import shop\nprint(shop.quote(3))\n", "vendor/shop.py": SHOP, "hookmon.toml": WATCH_SHOP}
    )
    head, cwd = ([HOOKMON], tmp_path) if way == "script" else ([PYTHON, "-m", "hookmon"], tmp_path / "vendor")
    command = [*head, "run", "--config", str(tmp_path / "hookmon.toml"), PYTHON, str(tmp_path / "app.py")]
    result = Started(command, cwd=cwd, env={"PYTHONPATH": str(tmp_path / "vendor")}).finish()
    assert (result.stdout, result.exit_code) == ("9\n", 0), result.stderr
    assert re.search(r"^  quote +1 ", result.stderr, re.MULTILINE)


SETTINGS: dict[str, dict[str, str | None]] = {
    "PYTHONINSPECT": {"PYTHONINSPECT": "1"},
    "warnings are errors": {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"},
}


@pytest.mark.parametrize("env", SETTINGS.values(), ids=SETTINGS)
def test_settings_of_python_concern_the_program_alone(env: dict[str, str | None], tmp_path: Path) -> None:
    """Output and exit code are those of the program, whatever its interpreter was told."""
    command = [PYTHON, "-c", "import sys; print(sys.flags.inspect, sys.warnoptions); sys.exit(3)"]
    bare = bare_run(command, cwd=tmp_path, env=env)
    under = hookmon_run(command, cwd=tmp_path, env=env)
    assert under.seen == bare.seen
    assert under.report["run"]["exit_code"] == bare.exit_code


UNMENDED: dict[str, dict[str, str | None]] = {
    "PYTHONHOME": {"PYTHONHOME": "HOME"},
    "PYTHONVERBOSE": {"PYTHONVERBOSE": "1"},
    "PYTHONPROFILEIMPORTTIME": {"PYTHONPROFILEIMPORTTIME": "1"},
    "sitecustomize": {"PYTHONPATH": "own"},
}


@pytest.mark.parametrize("env", UNMENDED.values(), ids=UNMENDED)
def test_an_isolated_launcher_leaves_all_settings_to_the_program(env: dict[str, str | None], tmp_path: Path) -> None:
    """`python -I -m hookmon run` gives nothing of its own to what the program prints, and the program has its settings."""
    write(tmp_path, {"own/sitecustomize.py": "print('own')\n", "app.py": "import sys\nprint(sys.prefix)\nraise SystemExit(4)\n"})
    python = interpreters.base_python()
    env = {name: sys.base_prefix if value == "HOME" else value for name, value in env.items()}
    bare = bare_run([python, "app.py"], cwd=tmp_path, env=env)
    command = [PYTHON, "-I", "-m", "hookmon", "run", "--quiet", python, "app.py"]
    under = bare_run(command, cwd=tmp_path, env=env | {"HOOKMON_DISABLE": "1"})
    assert bare.exit_code == under.exit_code == 4
    assert under.stdout == bare.stdout

    def count(stderr: str) -> int:
        return len(re.findall(r"click|psutil|hookmon[.]cli", stderr))

    assert count(under.stderr) == count(bare.stderr) == 0


def test_a_launcher_that_lacks_a_package_says_so_in_one_line(tmp_path: Path) -> None:
    """A broken installation is hookmon's own failure: 125, and the program is not started."""
    python = interpreters.new_virtualenv(tmp_path / "venv")
    agent, bootstrap = (Path(module.__file__).parent.parent for module in (hookmon, hookmon_bootstrap))
    write(interpreters.site_packages(python), {"hookmon.pth": f"{agent}\n{bootstrap}\n"})
    result = Started([str(python), "-m", "hookmon", "run", "touch", "started"], cwd=tmp_path).finish()
    assert (result.stdout, result.exit_code) == ("", 125)
    assert re.fullmatch(r"hookmon: .*No module named 'click'.* \[installation\]\n", result.stderr)
    assert not (tmp_path / "started").exists()


def test_a_quoted_command_line_gets_a_hint(tmp_path: Path) -> None:
    """One word with blanks, as `sh -c` wants it, is no command, and the line says what to do."""
    result = Started([HOOKMON, "run", f"{PYTHON} app.py"], cwd=tmp_path).finish()
    assert (result.stdout, result.exit_code, len(result.stderr.splitlines())) == ("", 127, 1)
    assert "without quotes" in result.stderr
