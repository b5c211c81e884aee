"""The launcher stops with its program and goes on with it, in whatever order the two get to run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from support.runs import PYTHON, wait_until, write

pytestmark = pytest.mark.process

LAUNCHER = """
import os, sys, time
from hookmon.collector import launch, signals

def kill(pid, number, send=os.kill):
    if pid != os.getpid():
        return send(pid, number)
    hold("stopping")
    send(pid, number)  # stops here
    hold("going-on")

def hold(moment):
    while os.path.exists(moment):
        time.sleep(0.001)

os.kill = kill
signals.hold()
program = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")
print(program, flush=True)
launch.wait(program, lambda: 0.05, lambda: None)
"""
"""A launcher that is held back at two moments as long as there is a file of that name: before it stops, and when it goes on."""


class Launcher:
    """A launcher of its own process, and its program."""

    def __init__(self, folder: Path) -> None:
        write(folder, {"launcher.py": LAUNCHER})
        self.folder = folder
        self.process = subprocess.Popen([PYTHON, "launcher.py"], cwd=folder, stdout=subprocess.PIPE, start_new_session=True)
        assert self.process.stdout is not None
        self.program = psutil.Process(int(self.process.stdout.readline()))
        self.itself = psutil.Process(self.process.pid)

    def hold(self, moment: str) -> None:
        """Hold it back at a moment."""
        (self.folder / moment).touch()

    def let_go(self, moment: str) -> None:
        """Hold it back no longer."""
        (self.folder / moment).unlink()

    def wait_until_stopped(self) -> None:
        """Wait until the program and the launcher are stopped."""
        wait_until(lambda: is_stopped(self.program) and is_stopped(self.itself), "both to be stopped")

    def wait_until_running(self) -> None:
        """Wait until neither of them is stopped."""
        wait_until(lambda: not is_stopped(self.program) and not is_stopped(self.itself), "both to go on")

    def end(self) -> None:
        """End both, and what waits for them."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def launcher(tmp_path: Path):
    """A launcher whose program runs."""
    made = Launcher(tmp_path)
    yield made
    made.end()


def is_stopped(process: psutil.Process) -> bool:
    """Say whether a process is stopped."""
    return bool(process.status() == psutil.STATUS_STOPPED)


def test_a_program_that_is_stopped_again_at_once_stays_stopped(launcher: Launcher) -> None:
    """The program goes on by itself and is stopped while the launcher is only being woken: the launcher stops again, too."""
    launcher.program.suspend()
    launcher.wait_until_stopped()
    launcher.hold("going-on")
    launcher.program.resume()
    launcher.wait_until_running()
    launcher.program.suspend()
    launcher.let_go("going-on")
    launcher.wait_until_stopped()
    launcher.program.resume()
    launcher.wait_until_running()


def test_a_program_that_stops_itself_after_an_fg_stays_stopped(launcher: Launcher) -> None:
    """The shell lets both go on, and the program stops before the launcher looks: it is not let go on a second time."""
    launcher.program.suspend()
    launcher.wait_until_stopped()
    launcher.hold("going-on")
    os.killpg(launcher.itself.pid, signal.SIGCONT)
    launcher.wait_until_running()
    launcher.program.suspend()
    launcher.let_go("going-on")
    launcher.wait_until_stopped()


def test_a_program_that_goes_on_before_the_launcher_stops_wakes_it(launcher: Launcher) -> None:
    """The launcher, about to stop as the program has, stops for a moment only: the one who wakes it waits until it is stopped."""
    launcher.hold("stopping")
    launcher.program.suspend()
    wait_until(lambda: len(launcher.itself.children()) == 2, "the process that wakes the launcher")
    launcher.program.resume()
    time.sleep(0.3)  # it looks every 50 ms, and so has seen that the program runs when the launcher stops
    launcher.let_go("stopping")
    wait_until(lambda: os.waitid(os.P_PID, launcher.itself.pid, os.WSTOPPED | os.WNOHANG), "the launcher to stop")
    launcher.wait_until_running()


def test_a_stop_of_the_whole_group_does_not_stop_who_wakes_the_launcher(launcher: Launcher) -> None:
    """Stopped together, and the program alone let go on: the launcher goes on with it."""
    launcher.program.suspend()
    launcher.wait_until_stopped()
    os.killpg(launcher.itself.pid, signal.SIGSTOP)
    launcher.program.resume()
    launcher.wait_until_running()
