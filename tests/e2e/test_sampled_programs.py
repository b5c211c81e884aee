"""`hookmon run --samples`: what is sampled from outside is what the program's own clocks say, and leaves no trace."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from support.engines import ENGINES
from support.runs import PYTHON, Report, blind_spots, hookmon, hookmon_run, hookmon_start, wait_until, watch, write

from hookmon.collector import pyspy

pytestmark = [
    pytest.mark.usefixtures("warm_launcher"),
    pytest.mark.skipif(bool(pyspy.why_not()), reason=f"nothing can be sampled: {pyspy.why_not()} (py-spy)"),
]

OFTEN = "samples = 500\n"
"""So many that chance moves a share by less than a point: the tests are about shares, not about the rate."""

SPIN = """
    import time

    def square(number):
        return number * number

    def spin(spent_ns):
        end_ns = time.thread_time_ns() + spent_ns
        while time.thread_time_ns() < end_ns:
            for number in range(50):
                square(number)

    def measured(function, used):
        began_ns = time.monotonic_ns()
        function()
        used[function.__name__] = used.get(function.__name__, 0) + time.monotonic_ns() - began_ns
"""

SHARES = """
    from spinning import measured, spin

    UNIT_NS = 1_000_000

    def ten():
        spin(UNIT_NS)

    def thirty():
        spin(3 * UNIT_NS)

    def sixty():
        spin(6 * UNIT_NS)
"""

THREADS = """
    import json, shares, threading, time
    from spinning import measured

    def work(used, mine, next):
        while time.process_time() < 5:
            mine.acquire()
            for function in 20 * (shares.ten, shares.thirty, shares.sixty):
                measured(function, used)
            next.release()
        next.release()

    used = {}
    turns = [threading.Semaphore(0) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(used, turns[at], turns[(at + 1) % 3])) for at in range(3)]
    for thread in threads: thread.start()
    turns[0].release()
    for thread in threads: thread.join()
    print(json.dumps(used))
"""

ASYNCIO = """
    import asyncio, json, shares, time
    from spinning import measured

    async def work(used):
        while time.process_time() < 5:
            for function in (shares.ten, shares.thirty, shares.sixty):
                measured(function, used)
                await asyncio.sleep(0)

    async def main():
        used = {}
        await asyncio.gather(*(work(used) for _ in range(5)), asyncio.sleep(5))
        return used

    print(json.dumps(asyncio.run(main())))
"""
"""In both one thread at a time is at work, and none waits in the midst of a function but for a processor. So a function has been
ready to run for as long as it took by the clock on the wall, on a busy machine, too.
"""

PROGRAMS = {"threads": THREADS, "asyncio": ASYNCIO}


def samples_of(report: Report, name: str) -> int:
    """Return how many samples fell under the call of a name."""
    return sum(row["samples"] for row in report["sampled"]["calls"] if row["names"] == [name])


def samplers_of(pid: int) -> list[int]:
    """Return the pids of all py-spys that read a process."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "record" in command and command[command.index("record") + 1 : command.index("record") + 3] == ["--pid", str(pid)]:
            found.append(process.pid)
    return found


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_shares_of_samples_are_shares_of_the_time_that_functions_compute(tmp_path: Path, program: str, engine: str):
    """Within four points of what the program's own clock says, which is about 10, 30 and 60 per cent."""
    write(tmp_path, {"spinning.py": SPIN, "shares.py": SHARES, "app.py": PROGRAMS[program]})
    config = OFTEN + watch("shares", "ten", "thirty", "sixty")
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert result.exit_code == 0, result.stderr
    truth = json.loads(result.stdout)
    sampled = {name: samples_of(result.report, name) for name in truth}
    assert result.report["run"]["engine"] == engine
    assert sum(sampled.values()) > 1_000
    for name, spent_ns in truth.items():
        assert sampled[name] / sum(sampled.values()) == pytest.approx(spent_ns / sum(truth.values()), abs=0.04), (name, sampled)


def test_the_time_of_a_call_is_told_by_line(tmp_path: Path):
    """Its own lines, and those of what it calls that is not watched, with the line of its own that led there."""
    program = """
        import json, time
        from spinning import spin

        NUMBERS = list(range(200_000))

        def quote():
            spin(20_000_000)
            json.dumps(NUMBERS)

        while time.process_time() < 2: quote()
    """
    write(tmp_path, {"spinning.py": SPIN, "app.py": program})
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=OFTEN + watch("__main__", "quote")).report
    row = next(row for row in report["sampled"]["calls"] if row["names"] == ["quote"])
    assert row["transactions"] == ["(main)"]
    assert {line["location"] for line in row["lines"]} >= {"spinning.py:10", "spinning.py:5"}
    assert {line["function"] for line in row["lines"]} >= {"spin", "square"}
    callers = Counter()
    for line in row["lines"]:
        if "json/encoder.py:" in line["location"]:
            callers[line["caller"]] += line["samples"]
    assert callers["app.py:9"] > 0.8 * callers.total()  # the program is not stopped: one stack in some may be of two moments
    spun = next(row for row in report["sampled"]["functions"] if row["function"] == "spin")
    assert (Path(spun["file"]).name, spun["line"], spun["target"]) == ("spinning.py", 7, "")
    quote = next(row for row in report["sampled"]["functions"] if row["function"] == "quote")
    assert (quote["line"], quote["target"]) == (7, "__main__:quote")
    assert quote["total_samples"] >= spun["total_samples"] >= spun["self_samples"] > quote["self_samples"]


@pytest.mark.parametrize("engine", ["compiled", "pure"])
def test_no_frame_of_ours_is_in_a_stack(tmp_path: Path, engine: str):
    """The pure engine has wrappers on the stack, and what stands in for functions in C has frames with both engines."""
    program = """
        import sqlite3, time

        def store(connection):
            connection.execute("insert into t values (1)")

        connection = sqlite3.connect(":memory:")
        connection.execute("create table t (a)")
        while time.process_time() < 1.5: store(connection)
    """
    write(tmp_path, {"app.py": program})
    env: dict[str, str | None] = {"HOOKMON_ENGINE": engine}
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=OFTEN + watch("__main__", "store"), env=env).report
    row = next(row for row in report["sampled"]["calls"] if row["names"] == ["store"])
    files = {line["location"].partition(":")[0] for line in row["lines"]} | {
        row["file"] for row in report["sampled"]["functions"]
    }
    assert not [file for file in files if "hookmon" in Path(file).parts[-2:] or "hookmon>" in file or "/hookmon/" in file]
    assert row["lines"][0]["location"] == "app.py:5"
    assert "insert into t values (?)" in row["lines"][0]["calls"]


def test_forks_children_of_a_shell_and_what_exec_makes_are_sampled(tmp_path: Path):
    """Each of them is a process whose stacks are read."""
    program = """
        import os, sys
        from spinning import spin

        def first(): spin(1_000_000_000)
        def second(): spin(1_000_000_000)
        def before(): spin(1_000_000_000)
        def after(): spin(1_000_000_000)

        if sys.argv[1:] == ["after"]:
            after()
            os._exit(0)
        children = []
        for function in (first, second):
            pid = os.fork()
            if not pid:
                function()
                os._exit(0)
            children.append(pid)
        for pid in children: os.waitpid(pid, 0)
        before()
        os.execv(sys.executable, [sys.executable, "app.py", "after"])
    """
    write(tmp_path, {"spinning.py": SPIN, "app.py": program})
    config = OFTEN + watch("__main__", "first", "second", "before", "after")
    result = hookmon_run(["sh", "-c", f"{PYTHON} app.py; true"], cwd=tmp_path, config=config)
    for name in ("first", "second", "before", "after"):
        assert samples_of(result.report, name) > 50, name
    assert blind_spots(result.report) == []


def test_a_signal_for_the_program_does_not_end_the_sampler(tmp_path: Path):
    """Ctrl-C goes to the whole process group of the terminal; the program may go on after it."""
    program = """
        import os, signal, time
        from spinning import spin

        def after(): spin(1_500_000_000)

        signal.signal(signal.SIGINT, lambda *_: open("interrupted", "w").close())
        open("ready", "w").close()
        while not os.path.exists("interrupted"): time.sleep(0.01)
        after()
    """
    write(tmp_path, {"spinning.py": SPIN, "app.py": program})
    config = OFTEN + watch("__main__", "after")
    run = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=config)
    wait_until((tmp_path / "ready").exists, "the program")
    time.sleep(0.5)
    os.killpg(os.getpgid(run.process.pid), signal.SIGINT)
    result = run.finish()
    assert result.exit_code == 0
    assert samples_of(result.report, "after") > 100


LOOP = """
    import os, time
    from spinning import spin

    def work(): spin(20_000_000)

    open("pid", "w").write(str(os.getpid()))
    while True: work()
"""


def test_samples_of_a_program_that_is_killed_are_kept(tmp_path: Path):
    """And nothing of ours is left running."""
    write(tmp_path, {"spinning.py": SPIN, "app.py": LOOP})
    run = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=OFTEN + watch("__main__", "work"))
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the program")
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: samplers_of(pid), "the sampler")
    time.sleep(1)
    os.kill(pid, signal.SIGKILL)
    result = run.finish()
    assert samples_of(result.report, "work") > 50
    assert samplers_of(pid) == []


def test_a_sampler_outlives_neither_its_launcher_nor_the_program(tmp_path: Path):
    """When the launcher is killed, the sampler ends with the program; what was sampled until the last save can be read."""
    write(tmp_path, {"spinning.py": SPIN, "app.py": LOOP})
    run = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=OFTEN + watch("__main__", "work"))
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the program")
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: samplers_of(pid), "the sampler")
    os.kill(run.process.pid, signal.SIGKILL)
    run.finish()
    assert psutil.pid_exists(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not samplers_of(pid), "the end of the sampler")
    assert hookmon(["report"], cwd=tmp_path).exit_code == 0


def test_what_cannot_be_sampled_is_told_in_one_line(tmp_path: Path):
    """Without py-spy the run is what it is without samples."""
    launcher = """
        import os, sysconfig
        os.environ["PATH"] = "/usr/bin:/bin"
        sysconfig.get_path = lambda *_: "/nowhere"
        from hookmon.cli.main import main
        main()
    """
    write(
        tmp_path, {"app.py": "def work(): return 1\nwork()\n", "launcher.py": launcher, "hookmon.toml": watch("__main__", "work")}
    )
    from support.runs import Started

    output = tmp_path / "report.json"
    head = [sys.executable, "-P", "launcher.py", "run", "--samples", "--format", "json", "--output", str(output)]
    result = Started([*head, "--", PYTHON, "app.py"], cwd=tmp_path, report_path=output).finish()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert blind_spots(result.report) == ["not sampled: py-spy is not installed: pip install 'hookmon[samples]'"]
    assert result.report["sampled"]["samples"] == 0
    assert [row["calls"] for row in result.report["calls"]] == [1]


def test_a_program_that_ends_at_once_is_run_as_always(tmp_path: Path):
    """There may be no sample of it, and it is told."""
    result = hookmon_run([PYTHON, "-c", "print(1)"], cwd=tmp_path, config=OFTEN)
    assert (result.stdout, result.stderr, result.exit_code) == ("1\n", "", 0)
    assert [spot.partition(":")[0] for spot in blind_spots(result.report)] in ([], ["not sampled"])


def test_nothing_is_sampled_unless_it_is_asked_for(tmp_path: Path):
    """Neither a process nor a row."""
    report = hookmon_run([PYTHON, "-c", "import time; time.sleep(0.3)"], cwd=tmp_path).report
    assert report["sampled"]["rate"] == 0
    assert report["sampled"]["functions"] == []
