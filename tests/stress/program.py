"""A program that imports, calls, forks, is interrupted and ends at random, and keeps its own count of what it called.

`python program.py SEED SECONDS` starts workers of itself, three at a time, for that long. Each worker is a life of its own:
threads that import watched modules at the same moment, timers whose handlers do, forks from any thread and out of handlers, forks
made in C (with the compiled engine), children that are Pythons of their own, ends by exit, `os._exit` and SIGKILL.

Everything is in the folder it runs in. A watched function writes its module's name to the file `calls`, one `write` a call, and
each process its pid to `born`: whatever ends a process, what stands there has happened. `m` modules are called by threads, `c`
modules by forked children, `h` modules by signal handlers. A worker that takes longer than STALLED_S is asked for the stacks of
all its threads.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

THREAD_MODULES = [f"m{number}" for number in range(12)]
CHILD_MODULES = [f"c{number}" for number in range(4)]
HANDLER_MODULES = [f"h{number}" for number in range(6)]
STALLED_S = 240
WORKERS_AT_ONCE = 3

MODULE = """
import os
_calls = os.open("calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
{imports}
def call(_calls=_calls, _write=os.write):
    _write(_calls, b"{name}\\n")
"""


def write_modules() -> None:
    """Write the watched modules; every third one imports the next one first, so that import locks nest."""
    for modules in (THREAD_MODULES, CHILD_MODULES, HANDLER_MODULES):
        for index, name in enumerate(modules[:-1]):
            imports = f"import {modules[index + 1]}" if index % 3 == 0 else ""
            _write_module(name, imports)
        _write_module(modules[-1], "")


def _write_module(name: str, imports: str) -> None:
    with open(f"{name}.py", "w", encoding="ascii") as file:
        file.write(MODULE.format(name=name, imports=imports))


def note_birth() -> None:
    """Say that a process of this program began. It calls at least once."""
    with open("born", "ab", buffering=0) as file:
        file.write(b"%d\n" % os.getpid())


def call(name: str, times: int) -> None:
    """Import a watched module, as one does within functions, and call what it has."""
    module = importlib.import_module(name)
    for _ in range(times):
        module.call()


def takes_import_lock(frame: FrameType | None) -> bool:
    """Say whether importlib is taking a lock: CPython before 3.12 may raise KeyError when a handler imports then (gh-91351)."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>" and frame.f_code.co_name in ("acquire", "release"):
            return True
        frame = frame.f_back
    return False


class Worker:
    """One life: a few hundred milliseconds of everything at once."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.children: list[int] = []
        self.is_handling = False
        self.c_fork = ctypes.PyDLL(None).fork if os.environ.get("HOOKMON_ENGINE") != "pure" else os.fork

    def live(self) -> None:
        """Begin, do it all, wait for everybody, and end in one of the ways that there are."""
        note_birth()
        faulthandler.enable()
        signal.signal(signal.SIGALRM, self.on_alarm)
        signal.setitimer(signal.ITIMER_REAL, self.dice.uniform(0.0005, 0.06), self.dice.choice((0, 0.003, 0.02)))
        if self.dice.random() < 0.3:
            self.fork(self.c_fork, self.dice)
        threads = [threading.Thread(target=self.run_thread, args=(self.dice.random(),)) for _ in range(self.dice.randint(2, 6))]
        for thread in threads:
            thread.start()
        for _ in range(self.dice.randint(1, 4)):
            self.act(self.dice)
        for thread in threads:
            thread.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        call(self.dice.choice(THREAD_MODULES), 3)
        if self.dice.random() < 0.3:
            self.fork(self.c_fork, self.dice)
        for pid in self.children:
            _, status = os.waitpid(pid, 0)
            if status:
                os._exit(3)
        ending = self.dice.randrange(4)
        if ending == 0:
            os._exit(0)
        if ending == 1:
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def run_thread(self, seed: float) -> None:
        dice = random.Random(seed)
        time.sleep(dice.choice((0, 0, 0.001, 0.02)))
        for _ in range(dice.randint(1, 4)):
            self.act(dice)

    def act(self, dice: random.Random) -> None:
        action = dice.randrange(10)
        if action < 6:
            call(dice.choice(THREAD_MODULES), dice.randint(1, 40))
        elif action < 8:
            self.fork(os.fork, dice)
        elif action == 8:
            source = f"import program; program.note_birth(); program.call({dice.choice(THREAD_MODULES)!r}, 5)"
            subprocess.run([sys.executable, "-c", source], check=True, timeout=STALLED_S)
        else:
            time.sleep(dice.uniform(0, 0.01))

    def fork(self, fork: Callable[[], int], dice: random.Random) -> None:
        """Let a child call what this process has imported, and import on its own what no other thread can be importing.

        Not in C while there are other threads: CPython's own lock would wait for one that the child has not.
        """
        call(name := dice.choice(THREAD_MODULES), 1)
        child_module = dice.choice(CHILD_MODULES)
        times = dice.randint(1, 30)
        pid = fork()
        if pid == 0:
            try:
                note_birth()
                call(name, times)
                call(child_module, times)
                os._exit(0)
            finally:
                os._exit(4)
        self.children.append(pid)

    def on_alarm(self, _: int, frame: FrameType | None) -> None:
        """Import and call within whatever the main thread is doing, or fork out of it."""
        if self.is_handling or takes_import_lock(frame):
            return  # the module that the handler below us imports may be half there
        self.is_handling = True
        if self.dice.random() < 0.2:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        else:
            call(self.dice.choice(HANDLER_MODULES), self.dice.randint(1, 10))
        self.is_handling = False


def drive(seed: int, seconds: float) -> int:
    """Keep workers running for some seconds; return 0 when all of them ended as they should."""
    note_birth()
    call("m0", 1)
    numbers = random.Random(seed)
    deadline = time.monotonic() + seconds
    workers: list[tuple[subprocess.Popen[bytes], float, int]] = []
    failures = 0
    while workers or time.monotonic() < deadline:
        while len(workers) < WORKERS_AT_ONCE and time.monotonic() < deadline:
            number = numbers.randrange(2**31)
            started = subprocess.Popen([sys.executable, __file__, str(number), "worker"])
            workers.append((started, time.monotonic(), number))
        for entry in list(workers):
            process, began, number = entry
            if process.poll() is None:
                if time.monotonic() - began < STALLED_S:
                    continue
                process.send_signal(signal.SIGABRT)  # faulthandler writes the stacks of all threads
                process.wait()
            workers.remove(entry)
            if process.returncode not in (0, -signal.SIGKILL):
                sys.stderr.write(f"worker {number} of seed {seed} ended with {process.returncode}\n")
                failures += 1
        time.sleep(0.005)
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[2] == "worker":
        Worker(int(sys.argv[1])).live()
    else:
        write_modules()
        sys.exit(drive(int(sys.argv[1]), float(sys.argv[2])))
