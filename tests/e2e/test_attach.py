"""hookmon attach and detach: a program that was started without hookmon, watched for a while, and left as it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import interpreters
from support.runs import (
    HOOKMON,
    PYTHON,
    Report,
    Result,
    Started,
    blind_spots,
    calls,
    environment,
    hookmon,
    rows,
    wait_until,
    watch,
    write,
)

from hookmon.collector import places
from hookmon.collector.run_folder import PREFIX
from hookmon.core import attachment

pytestmark = pytest.mark.process

ENGINES = ["compiled", "pure"]

SHOP = """
    import os, time
    from functools import cached_property

    def quote(number=0): return number + 1

    def fail(): raise ValueError("no")

    def slow(): wait("release"); return "slow"

    def wait(name):
        while not os.path.exists(name): time.sleep(0.005)

    def numbers(most):
        yield from range(most)

    async def fetch(number): return number

    class Basket:
        def total(self): return 1
        @classmethod
        def make(cls): return cls()
        @staticmethod
        def tax(): return 2
        @property
        def size(self): return 3
        @cached_property
        def weight(self): return 4
"""

APP = """
    import asyncio, gc, json, os, shop, signal, sys, threading, time
    from shop import quote

    def own(): return 1

    def state():
        places = {f"shop.{name}": id(value) for name, value in vars(shop).items()}
        places |= {f"Basket.{name}": id(value) for name, value in vars(shop.Basket).items()}
        changing = ("part", "before", "after", "file")
        places |= {f"main.{name}": id(value) for name, value in globals().items() if name not in changing}
        files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        with open("/proc/self/maps") as file: mapped = file.read().splitlines()
        return places | {
            "path": list(sys.path), "meta_path": [id(finder) for finder in sys.meta_path], "path_hooks": len(sys.path_hooks),
            "callbacks": len(gc.callbacks), "environment": dict(os.environ),
            "signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "files": sorted(name for name in files if not name.startswith("/proc")), "threads": threading.active_count(),
            "shards": [line for line in mapped if "hookmon-" in line],
            "modules": sorted(name for name in sys.modules if not name.startswith("hookmon") and name not in NEEDED),
        }

    NEEDED = json.loads(os.environ["NEEDED"])

    async def fetch_all():
        for number in range(7): await shop.fetch(number)

    def work():
        for number in range(100): shop.quote(number)
        for number in range(50): quote(number)
        for number in range(30):
            try: shop.fail()
            except ValueError: pass
        for _ in range(20): list(shop.numbers(3))
        asyncio.run(fetch_all())
        basket = shop.Basket.make()
        for _ in range(11): basket.total(), shop.Basket.tax(), basket.size, basket.weight
        threads = [threading.Thread(target=lambda: [shop.quote() for _ in range(25)]) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        own()

    work()
    thread = threading.Thread(target=lambda: results.append(shop.slow()))
    results = []
    for part in (1, 2, 3):
        before = json.dumps(state())
        open(f"ready{part}", "w").close()
        shop.wait(f"go{part}")
        if part == 2: thread.start()
        work()
        open(f"done{part}", "w").close()
        shop.wait(f"next{part}")
        if part == 2:
            open("release", "w").close()
            thread.join()
        work()
        after = json.dumps(state())
        with open("written", "w") as file: file.write(f"[{before}, {after}]")
        os.rename("written", f"state{part}")
    print("ended", results)
"""

NEEDED = ["__future__", "_colorize", "_opcode", "mmap", "fcntl", "wrapt", "_wrappers", "unicodedata"]
"""Modules of the standard library that the probe may bring."""

WATCH = watch("shop", "quote", "fail", "slow", "numbers", "fetch", "Basket.*", "Basket.size", "Basket.weight") + watch(
    "__main__", "own"
)
COUNTS = {
    "shop:quote": 250,
    "shop:fail": 30,
    "shop:numbers": 20,
    "shop:fetch": 7,
    "shop:Basket.make": 1,
    "shop:Basket.total": 11,
    "shop:Basket.tax": 11,
    "shop:Basket.size": 11,
    "shop:Basket.weight": 1,
    "__main__:own": 1,
}
"""Calls in one `work()`, counted by hand."""


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that can be attached to, or a skip that names what is missing."""
    if sys.version_info >= (3, 14):
        return PYTHON
    found = interpreters.find("3.14") or interpreters.find("3.15")
    if found is None:
        pytest.skip("there is no Python 3.14 or 3.15 here, the first with sys.remote_exec: .ci/interpreters PYTHON3.14")
    return found


@pytest.fixture
def programs() -> Iterator[list[Started]]:
    """Programs of a test, which are ended with it."""
    started: list[Started] = []
    yield started
    for program in started:
        if not program.is_finished:
            program.kill()


def start(programs: list[Started], command: list[str], cwd: Path, env: dict[str, str | None] | None = None) -> Started:
    """Start a program without hookmon, and wait until it says that it is ready."""
    program = Started(command, cwd=cwd, env={"NEEDED": json.dumps(NEEDED), **(env or {})})
    programs.append(program)
    wait_until(lambda: (cwd / "ready1").exists() or program.process.poll() is not None, "the program")
    return program


class Attached:
    """A `hookmon attach` that runs."""

    def __init__(self, programs: list[Started], pid: int, cwd: Path, *options: str) -> None:
        self.path = cwd / f"report-{len(programs)}.json"
        command = [HOOKMON, "attach", "--format", "json", "--output", str(self.path), *options, str(pid)]
        self.started = Started(command, cwd=cwd, report_path=self.path)
        programs.append(self.started)
        wait_until(lambda: answered(pid) or self.started.process.poll() is not None, "the answer of the program")

    def interrupt(self) -> Result:
        """Press Ctrl-C."""
        self.started.process.send_signal(signal.SIGINT)
        return self.started.finish()


def folders(pid: int) -> list[Path]:
    """Return the run folders in which a process has answered."""
    name = attachment.answer_name(pid, attachment.ATTACH)
    return [folder for place in places.for_run_folders() for folder in place.glob(f"{PREFIX}*") if (folder / name).exists()]


def answered(pid: int) -> bool:
    """Say whether a process is attached to."""
    return bool(folders(pid))


def state_of(folder: Path, part: int) -> list[dict[str, Any]]:
    """Return what the program has seen of itself before and after a part."""
    wait_until((folder / f"state{part}").exists, "the state of the program")
    found: list[dict[str, Any]] = json.loads((folder / f"state{part}").read_text())
    return found


def counted(report: Report) -> dict[str, int]:
    """Return the calls of what `work` calls."""
    return {name: calls(report, name) for name in COUNTS}


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_from_attach_to_detach_are_counted_and_nothing_is_left(
    engine: str, python: str, programs: list[Started], tmp_path: Path
) -> None:
    """As the program itself counts them; twice, with a call that goes on when hookmon leaves."""
    write(tmp_path, {"shop.py": SHOP, "app.py": APP, "hookmon.toml": WATCH})
    program = start(programs, [python, "app.py"], tmp_path, {"HOOKMON_ENGINE": engine})
    pid = program.process.pid
    for part in (1, 2):
        wait_until((tmp_path / f"ready{part}").exists, "the program")
        attached = Attached(programs, pid, tmp_path)
        (tmp_path / f"go{part}").touch()
        wait_until((tmp_path / f"done{part}").exists, "its work")
        result = attached.interrupt()
        assert result.exit_code == 0, result.stderr
        assert counted(result.report) == COUNTS
        assert calls(result.report, "shop:slow") == 0
        assert rows(result.report, "shop:fail")[0]["errors"] == 30
        assert result.report["run"]["engine"] == engine or engine == "compiled"
        assert any(line.startswith("attached: ") for line in blind_spots(result.report))
        assert not answered(pid)
        (tmp_path / f"next{part}").touch()
        before, after = state_of(tmp_path, part)
        assert set(after["modules"]) - set(before["modules"]) == set()
        assert after == before
    (tmp_path / "go3").touch()
    (tmp_path / "next3").touch()
    ended = program.finish()
    assert (ended.stdout, ended.stderr, ended.exit_code) == ("ended ['slow']\n", "", 0)


FORKING = """
    import os, shop, sys, time

    def fork(first, calls, release):
        pid = os.fork()
        if pid: return pid
        shop.wait(release)
        for _ in range(calls): shop.quote()
        open(f"forked{calls}", "w").close()
        shop.wait("end")
        os._exit(0)

    children = [fork("before", 1000, "go1")]
    open("ready1", "w").close()
    shop.wait("go1")
    children += [fork("after", 10, "go1"), fork("after", 20, "go1")]
    for _ in range(5): shop.quote()
    open("done1", "w").close()
    shop.wait("end")
    for pid in children: os.waitpid(pid, 0)
    print(sys.modules.keys() & {"hookmon"}, type(shop.quote).__name__)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_later_forks_are_counted_and_earlier_ones_named(
    engine: str, python: str, programs: list[Started], tmp_path: Path
) -> None:
    """All are left at the end, and those that go on run without hookmon."""
    write(tmp_path, {"shop.py": SHOP, "app.py": FORKING, "hookmon.toml": watch("shop", "quote")})
    program = start(programs, [python, "app.py"], tmp_path, {"HOOKMON_ENGINE": engine})
    pid = program.process.pid
    (early,) = (child.pid for child in psutil.Process(pid).children())
    attached = Attached(programs, pid, tmp_path)
    (tmp_path / "go1").touch()
    for name in ("done1", "forked10", "forked20", "forked1000"):
        wait_until((tmp_path / name).exists, name)
    (folder,) = folders(pid)
    result = attached.interrupt()
    assert result.exit_code == 0, result.stderr
    assert calls(result.report, "shop:quote") == 35
    (line,) = (line for line in blind_spots(result.report) if line.startswith("not watched"))
    assert str(early) in line
    assert "before hookmon was attached" in line
    assert result.report["still_running"] == []
    assert not folder.exists()
    (tmp_path / "end").touch()
    ended = program.finish()
    assert (ended.stdout, ended.stderr, ended.exit_code) == ("{'hookmon'} function\n", "", 0)


LATE = """
    import os, shop, sys
    open("ready1", "w").close()
    shop.wait("go1")
    import late
    for _ in range(3): late.work()
    table = [late.work]
    open("done1", "w").close()
    shop.wait("next1")
    print(type(late.work).__name__, table[0](), [loader for loader in sys.meta_path if "hookmon" in type(loader).__module__])
"""


def test_later_imports_are_watched_and_kept_wrappers_named(python: str, programs: list[Started], tmp_path: Path) -> None:
    """A wrapper that the program has put into a table meanwhile calls through."""
    config = watch("late", "work", via="name")
    write(tmp_path, {"shop.py": SHOP, "late.py": "def work(): return 8\n", "app.py": LATE, "hookmon.toml": config})
    program = start(programs, [python, "app.py"], tmp_path, {"HOOKMON_ENGINE": "pure"})
    attached = Attached(programs, program.process.pid, tmp_path)
    (tmp_path / "go1").touch()
    wait_until((tmp_path / "done1").exists, "its work")
    result = attached.interrupt()
    assert calls(result.report, "late:work") == 3
    assert any(line.startswith("left behind: 1 ") for line in blind_spots(result.report))
    (tmp_path / "next1").touch()
    ended = program.finish()
    assert (ended.stdout, ended.stderr) == ("function 8 []\n", "")


@pytest.mark.parametrize("is_killed", [False, True], ids=["the launcher lives", "the launcher was killed"])
def test_detach_ends_it_from_elsewhere(is_killed: bool, python: str, programs: list[Started], tmp_path: Path) -> None:
    """The run is saved either way, the program left, and hookmon top sees it until then."""
    write(tmp_path, {"shop.py": SHOP, "app.py": APP, "hookmon.toml": WATCH})
    program = start(programs, [python, "app.py"], tmp_path)
    pid = program.process.pid
    attached = Attached(programs, pid, tmp_path)
    (folder,) = folders(pid)
    top = Started([HOOKMON, "top", "--json", "--interval", "0.2", str(pid)], cwd=tmp_path)
    programs.append(top)
    (tmp_path / "go1").touch()
    wait_until((tmp_path / "done1").exists, "its work")
    again = hookmon(["attach", str(pid)], cwd=tmp_path)
    assert (again.exit_code, "is watched already" in again.stderr) == (1, True)
    if is_killed:
        attached.started.kill()
        assert counted(json.loads(hookmon(["report", "1", "--format", "json"], cwd=tmp_path).stdout)) == COUNTS
    done = hookmon(["detach", str(pid)], cwd=tmp_path.parent)
    assert (done.exit_code, "hookmon report 1 shows the run" in done.stderr) == (0, True), done.stderr
    assert not folder.exists()
    lines = [json.loads(line) for line in top.finish().stdout.splitlines()]
    assert any(row["target"] == "shop:quote" for line in lines for row in line["calls"])
    found = json.loads(hookmon(["report", "1", "--format", "json"], cwd=tmp_path).stdout)
    assert counted(found) == COUNTS
    assert found["run"]["state"] == ("recovered" if is_killed else "finished")
    (tmp_path / "next1").touch()
    before, after = state_of(tmp_path, 1)
    assert after == before
    gone = hookmon(["detach", str(pid)], cwd=tmp_path)
    assert (gone.exit_code, gone.stderr) == (1, f"hookmon: hookmon is not attached to process {pid} [not-running]\n")


@pytest.mark.parametrize("number", [0, signal.SIGKILL], ids=["by itself", "killed"])
def test_the_end_of_the_program_ends_it(number: int, python: str, programs: list[Started], tmp_path: Path) -> None:
    """Nothing that was counted is lost."""
    write(tmp_path, {"shop.py": SHOP, "app.py": APP.replace("(1, 2, 3)", "(1,)"), "hookmon.toml": WATCH})
    program = start(programs, [python, "app.py"], tmp_path)
    attached = Attached(programs, program.process.pid, tmp_path)
    (tmp_path / "go1").touch()
    wait_until((tmp_path / "done1").exists, "its work")
    if number:
        program.process.send_signal(number)
    else:
        (tmp_path / "next1").touch()
    assert program.finish().exit_code == -number
    result = attached.started.finish()
    assert result.exit_code == 0, result.stderr
    times = 1 if number else 2
    assert counted(result.report) == {name: times * number_of for name, number_of in COUNTS.items()}


def test_what_the_program_had_used_before_is_not_the_runs(python: str, programs: list[Started], tmp_path: Path) -> None:
    """Processor time counts from attach on."""
    busy = "import shop, time\nwhile time.process_time() < 1: pass\nopen('ready1', 'w').close()\nshop.wait('end')\n"
    write(tmp_path, {"shop.py": SHOP, "app.py": busy, "hookmon.toml": WATCH})
    program = start(programs, [python, "app.py"], tmp_path)
    result = Attached(programs, program.process.pid, tmp_path, "--for", "0.2").started.finish()
    (process,) = result.report["processes"]
    assert process["cpu_ns"] < 800_000_000
    assert process["duration_ns"] == pytest.approx(result.report["run"]["duration_ns"], rel=0.9)


def refused(
    options: list[str], env: dict[str, str | None], python: str, programs: list[Started], folder: Path
) -> tuple[Started, Result]:
    """Return a program, and what becomes of attaching to it."""
    write(folder, {"shop.py": SHOP, "app.py": "import shop\nopen('ready1', 'w').close()\nshop.wait('end')\nprint('as always')\n"})
    program = start(programs, [python, *options, "app.py"], folder, env)
    return program, hookmon(["attach", "--for", "0.1", "--quiet", str(program.process.pid)], cwd=folder)


@pytest.mark.parametrize(
    ("options", "env", "reason"),
    [
        (["-X", "disable_remote_debug"], {}, "refuses: it was started with -X disable_remote_debug"),
        (["-X", "disable-remote-debug"], {}, "refuses: it was started with -X disable-remote-debug"),
        (["-BXdisable_remote_debug"], {}, "refuses: it was started with -X disable_remote_debug"),
        ([], {"PYTHON_DISABLE_REMOTE_DEBUG": ""}, "refuses: PYTHON_DISABLE_REMOTE_DEBUG is set in it"),
        ([], {"HOOKMON_DISABLE": "1"}, "does not want to be watched: HOOKMON_DISABLE is set in it"),
    ],
    ids=["as documented", "as read", "joined", "variable", "our own switch"],
)
def test_a_program_may_refuse(
    options: list[str], env: dict[str, str | None], reason: str, python: str, programs: list[Started], tmp_path: Path
) -> None:
    """By CPython's own switches, or by ours; it goes on as always."""
    program, result = refused(options, env, python, programs, tmp_path)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == f"hookmon: process {program.process.pid} {reason} [attach-refused]\n"
    (tmp_path / "end").touch()
    assert program.finish().seen == ("as always\n", "", 0)
    assert not list(tmp_path.glob(".hookmon/*.sqlite"))


@pytest.mark.parametrize(
    ("options", "env"),
    [(["-I"], {}), (["-S"], {}), (["-E"], {"PYTHON_DISABLE_REMOTE_DEBUG": "1"})],
    ids=["isolated", "without site", "a switch that it does not read"],
)
def test_what_hookmon_run_cannot_reach_is_reached(
    options: list[str], env: dict[str, str | None], python: str, programs: list[Started], tmp_path: Path
) -> None:
    """An interpreter that never looks at the environment."""
    write(tmp_path, {"shop.py": SHOP})
    if options == ["-I"]:
        options = ["-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; runpy.run_path('app.py')"]
    program, result = refused(options, env, python, programs, tmp_path)
    assert result.exit_code == 0, result.stderr
    (tmp_path / "end").touch()
    assert program.finish().seen == ("as always\n", "", 0)


def test_what_is_no_program_of_ours_is_one_line(programs: list[Started], tmp_path: Path) -> None:
    """A pid of nobody, something else than Python, a Python that is too old, somebody else's."""

    def attach(pid: int | str) -> tuple[int, str]:
        result = hookmon(["attach", str(pid)], cwd=tmp_path)
        return result.exit_code, re.sub(r"\d{2,}", "N", result.stderr)

    sleep = Started(["sleep", "600"], cwd=tmp_path)
    programs.append(sleep)
    assert attach(sleep.process.pid) == (1, "hookmon: process N is no Python program, it is sleep [attach-no-python]\n")
    sleep.kill()
    assert attach(sleep.process.pid) == (1, "hookmon: process N is not running [not-running]\n")
    assert attach("x")[0] == attach(0)[0] == 2
    if sys.version_info < (3, 14):
        code, line = attach(os.getpid())
        assert (code, "needs 3.N: start it with hookmon run (--samples beside counts), or look at it with py-spy" in line) == (
            1,
            True,
        ), line
    if os.geteuid() == 0:
        other = Started(["setpriv", "--reuid=nobody", "--clear-groups", "sleep", "600"], cwd=tmp_path)
        programs.append(other)
        wait_until(lambda: psutil.Process(other.process.pid).uids().effective != 0, "another user")
        line = "hookmon: process N belongs to nobody: sudo -u nobody hookmon attach N [attach-foreign]\n"
        assert attach(other.process.pid) == (1, line)


def test_a_request_that_is_not_answered_is_taken_back(python: str, tmp_path: Path) -> None:
    """The main thread waits in the kernel, and never hears of it."""
    app = """
        import sys
        open("ready1", "w").close()
        sys.stdin.read()
        print([name for name in sys.modules if name.startswith("hookmon.")])
    """
    write(tmp_path, {"app.py": app, "hookmon.toml": WATCH})
    read, written = os.pipe()
    with subprocess.Popen(
        [python, "app.py"], cwd=tmp_path, env=environment(tmp_path), stdin=read, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        os.close(read)
        try:
            wait_until((tmp_path / "ready1").exists, "the program")
            result = hookmon(["attach", "--wait", "0.5", str(process.pid)], cwd=tmp_path)
            assert result.exit_code == 1
            assert "nothing came of it in 0.5 s, and the request was taken back [attach-waiting]" in result.stderr
        finally:
            os.close(written)
        assert process.stdout is not None
        assert process.stdout.read() == b"[]\n"


REDELIVERED = """
    import time

    def attach(run_folder, begun_ns, attempt):
        open("attached", "w").close()
        for _ in range(4000): time.sleep(0.005)
        return "done"
"""


def test_an_interrupt_meanwhile_reaches_the_program(python: str, programs: list[Started], tmp_path: Path) -> None:
    """A signal that another thread takes while the script runs is handled there, and told once more."""
    agent = write(
        tmp_path / "agent",
        {"hookmon/__init__.py": "", "hookmon/probe/__init__.py": "", "hookmon/probe/attaching.py": REDELIVERED},
    )
    (tmp_path / "script").write_text(attachment.script(attachment.ATTACH, str(agent), str(tmp_path)))
    app = """
        import os, signal, sys, threading, time

        def interrupt():
            while not os.path.exists("attached"): time.sleep(0.005)
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            with open("script") as file: exec(file.read(), {})
            for _ in range(4000): time.sleep(0.005)
        except KeyboardInterrupt:
            print("interrupted", [frame for frame in [sys.exc_info()[2].tb_next] if frame])
    """
    write(tmp_path, {"app.py": app})
    program = Started([python, "app.py"], cwd=tmp_path)
    programs.append(program)
    assert program.finish().seen == ("interrupted []\n", "", 0)
    answer = (tmp_path / attachment.answer_name(program.process.pid, attachment.ATTACH)).read_text()
    assert answer == "a signal handler of the program raised meanwhile"


BLOCKED = """
    import os, shop, sys
    open("ready1", "w").close()
    shop.wait("go1")
    read, written = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(written)
        for _ in range(10): shop.quote()
        open("done1", "w").close()
        os.read(read, 1)
        for _ in range(1000): shop.quote()
        shop.wait("end")
        os._exit(type(shop.quote).__name__ != "function")
    for _ in range(5): shop.quote()
    shop.wait("release")
    os.write(written, b".")
    print(os.waitpid(pid, 0)[1], type(shop.quote).__name__)
"""


def test_a_process_that_cannot_be_left_now_leaves_later(python: str, programs: list[Started], tmp_path: Path) -> None:
    """It is named; a second Ctrl-C does not wait for it."""
    write(tmp_path, {"shop.py": SHOP, "app.py": BLOCKED, "hookmon.toml": watch("shop", "quote")})
    program = start(programs, [python, "app.py"], tmp_path)
    pid = program.process.pid
    attached = Attached(programs, pid, tmp_path)
    (tmp_path / "go1").touch()
    wait_until((tmp_path / "done1").exists, "the child's work")
    (child,) = (child.pid for child in psutil.Process(pid).children())
    (folder,) = folders(pid)
    attached.started.process.send_signal(signal.SIGINT)
    wait_until((folder / attachment.answer_name(pid, attachment.DETACH)).exists, "the main process to be left")
    result = attached.interrupt()
    assert result.exit_code == 0, result.stderr
    assert f"process {child} still has hookmon in it: its main thread waits in the kernel" in result.stderr
    assert calls(result.report, "shop:quote") == 15
    assert [line.partition(" ")[0] for line in result.report["still_running"]] == [str(child)]
    (tmp_path / "release").touch()
    wait_until((folder / attachment.answer_name(child, attachment.DETACH)).exists, "the child to be left")
    (tmp_path / "end").touch()
    assert program.finish().seen == ("0 function\n", "", 0)


LOADED = """
    import asyncio, os, shop, sys, threading, time

    def recurse(number): return number and 1 + recurse(number - 1)

    def work():
        while not os.path.exists("end"):
            assert recurse(9) == 9
            assert list(shop.numbers(3)) == [0, 1, 2]
            try: shop.fail()
            except ValueError: pass

    async def fetch_all():
        async def fetch():
            while not os.path.exists("end"):
                assert await shop.fetch(3) == 3
                await asyncio.sleep(0)
        await asyncio.gather(*(fetch() for _ in range(3)))

    def guard(function):
        try: function()
        except BaseException as error: failures.append(repr(error))

    failures = []
    threads = [threading.Thread(target=guard, args=[work]) for _ in range(3)]
    threads.append(threading.Thread(target=guard, args=[lambda: asyncio.run(fetch_all())]))
    for thread in threads: thread.start()
    open("ready1", "w").close()
    while not os.path.exists("end"):
        shop.Basket().total()
        time.sleep(0.001)
    for thread in threads: thread.join()
    print(failures, [type(function).__name__ for function in (shop.numbers, shop.fail, shop.fetch, recurse)])
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_at_work_notice_nothing(engine: str, python: str, programs: list[Started], tmp_path: Path) -> None:
    """Hookmon comes and goes three times in the midst of their calls."""
    config = watch("shop", "*", "Basket.*") + watch("__main__", "recurse", entry=True)
    write(tmp_path, {"shop.py": SHOP, "app.py": LOADED, "hookmon.toml": config})
    program = start(programs, [python, "app.py"], tmp_path, {"HOOKMON_ENGINE": engine})
    for _ in range(3):
        result = Attached(programs, program.process.pid, tmp_path, "--for", "0.2").started.finish()
        assert result.exit_code == 0, result.stderr
        assert calls(result.report, "__main__:recurse") > 0
        assert [line for line in blind_spots(result.report) if line.startswith("own failure")] == []
    (tmp_path / "end").touch()
    ended = program.finish()
    assert (ended.stdout, ended.stderr) == ("[] ['function', 'function', 'function', 'function']\n", "")
