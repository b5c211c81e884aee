"""The account of time of real programs, compared with what they say of themselves.

A program says at its end what it had of the processors and what it slept. All figures are the kernel's, so they hold however busy
the machine is: the account may say more by what the interpreter did before and after, and never less.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from support.runs import PYTHON, hookmon, hookmon_run, write

pytestmark = [
    pytest.mark.process,
    pytest.mark.usefixtures("warm_launcher"),
    pytest.mark.skipif(sys.platform != "linux", reason="the scheduler's figures are Linux's"),
]

S = 1_000_000_000
TICK_NS = 10_000_000  # of the CPU time of a process
START_AND_END_NS = 500_000_000  # of the interpreter, what is beside the program's own words

KNOWN = """
    import json, os, resource, sys, threading, time

    def work(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end: pass

    def rest(seconds):
        time.sleep(seconds)

    def turns():
        found = []
        for thread in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{thread}/schedstat") as file:
                    found.append(list(map(int, file.read().split()[:2])))
            except OSError:
                pass  # it has ended: one that was joined may be listed a moment longer
        return found

    def say(**more):
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        more["cpu_ns"] = round(sum(of.ru_utime + of.ru_stime for of in used) * 1e9)
        more["turns"] = turns()
        print(json.dumps(more))
"""


def account_of(tmp_path: Path, script: str, *options: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Run a script; return the account, the run's row, and what the script said."""
    write(tmp_path, {"known.py": KNOWN, "app.py": script})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, options=["--no-config", *options])
    assert result.exit_code == 0, result.stderr
    account = result.report["account"]
    assert sum(part["time_ns"] for part in account["parts"]) == account["whole_ns"]
    return account, result.report["run"], json.loads(result.stdout)


def parts_of(account: dict[str, Any]) -> dict[str, int]:
    return {part["name"]: part["time_ns"] for part in account["parts"]}


def test_a_program_that_computes_and_sleeps(tmp_path: Path):
    """Each part is the program's own figure, and its watched half is a half."""
    script = """
        import time
        from known import *

        def half():
            work(0.5)
            rest(0.5)

        if __name__ == "__main__":
            began = time.monotonic_ns()
            half()
            half_ns = time.monotonic_ns() - began
            work(0.5)
            rest(0.5)
            say(half_ns=half_ns)
    """
    account, run, own = account_of(tmp_path, script, "--watch", "__main__:half")
    parts = parts_of(account)
    assert account["of"] == "run"
    assert account["whole_ns"] == run["duration_ns"]
    ((ran_ns, waited_ns),) = own["turns"]
    assert own["cpu_ns"] - TICK_NS <= parts["computing"] <= own["cpu_ns"] + START_AND_END_NS
    assert ran_ns <= parts["computing"]
    assert waited_ns <= parts["waiting for a processor"]
    assert parts["waiting for a processor"] <= run["duration_ns"] - own["cpu_ns"] - S  # it slept for a second
    assert 1 * S <= parts["waiting for others"] <= run["duration_ns"] - ran_ns - waited_ns
    explained = account["explained"]
    assert (explained["of"], explained["at_most"], explained["of_ns"]) == ("run", False, run["duration_ns"])
    assert 1 * S <= explained["time_ns"] <= own["half_ns"]


def test_processes_that_compute_at_the_same_time(tmp_path: Path):
    """The whole is their time at work; of the CPU time nothing is missing, that of ended children included."""
    script = """
        import os
        from known import *

        children = []
        for _ in range(3):
            if not (child := os.fork()):
                work(0.6)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        say()
    """
    account, _, own = account_of(tmp_path, script)
    parts = parts_of(account)
    assert account["of"] == "work"
    assert "waiting for others" not in parts
    assert own["cpu_ns"] >= 1.8 * S
    assert own["cpu_ns"] - 4 * TICK_NS <= parts["computing"] <= own["cpu_ns"] + START_AND_END_NS


def test_processes_too_short_to_be_seen_are_in_the_cpu_time(tmp_path: Path):
    """The kernel adds up what was waited for."""
    script = """
        import os
        from known import *

        for _ in range(60):
            if not (child := os.fork()):
                work(0.02)
                os._exit(0)
            os.waitpid(child, 0)
        say()
    """
    account, run, own = account_of(tmp_path, script)
    assert own["cpu_ns"] >= 1.2 * S
    assert own["cpu_ns"] - TICK_NS <= parts_of(account)["computing"] <= own["cpu_ns"] + START_AND_END_NS
    assert run["cpu_ns"] >= own["cpu_ns"] - TICK_NS


def test_a_server_that_nobody_asks_waits_for_others(tmp_path: Path):
    """Eight idle threads are no eight times as much, and its transactions are held against the time at work."""
    script = """
        import queue
        from known import *

        jobs = queue.Queue()

        def serve():
            while (job := jobs.get()) is not None:
                handle(job)

        def handle(job):
            work(0.05)

        if __name__ == "__main__":
            threads = [threading.Thread(target=serve) for _ in range(8)]
            for thread in threads: thread.start()
            for job in range(8):
                jobs.put(job + 1)
                rest(0.3)
            waited = turns()
            for thread in threads: jobs.put(None)
            for thread in threads: thread.join()
            say(waited=waited)
    """
    (tmp_path / "hookmon.toml").write_text('[[watch]]\nmodule = "__main__"\ncalls = ["handle"]\nkind = "task"\nentry = true\n')
    write(tmp_path, {"known.py": KNOWN, "app.py": script})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path)
    account, own = result.report["account"], json.loads(result.stdout)
    whole_ns = result.report["run"]["duration_ns"]
    ran_ns = sum(ran for ran, _ in own["waited"])
    computing_ns = parts_of(account)["computing"]
    assert ran_ns >= 0.4 * S
    assert min(ran_ns, own["cpu_ns"] - TICK_NS) <= computing_ns <= own["cpu_ns"] + START_AND_END_NS
    if account["of"] == "run":  # on a machine that lets eight threads wait at once it is the time at work
        assert account["whole_ns"] == whole_ns
    explained = account["explained"]
    assert explained["at_most"]
    assert explained["of"] in ("work", "run")
    assert 0 < explained["share"] <= 1


def test_the_steps_of_coroutines_explain_their_time_at_work(tmp_path: Path):
    """What ten of them await passes at the same time; their steps do not."""
    script = """
        import asyncio
        from known import *

        stepped = [0]

        async def fetch():
            for _ in range(2):
                began = time.monotonic_ns()
                work(0.02)
                stepped[0] += time.monotonic_ns() - began
                await asyncio.sleep(0.1)

        async def main():
            await asyncio.gather(*(fetch() for _ in range(10)))

        if __name__ == "__main__":
            asyncio.run(main())
            say(stepped=stepped[0])
    """
    account, _, own = account_of(tmp_path, script, "--watch", "__main__:fetch")
    explained = account["explained"]
    assert (explained["of"], explained["at_most"]) == ("work", False)
    at_work_ns = parts_of(account)["computing"] + parts_of(account)["waiting for a processor"]
    assert explained["of_ns"] == at_work_ns
    assert 0.95 * min(own["stepped"], at_work_ns) <= explained["time_ns"] <= at_work_ns


def test_the_text_has_it_in_line_two_and_the_command_can_be_pasted(tmp_path: Path):
    """Every option that chose the configuration is in it."""
    write(tmp_path, {"app.py": "sum(range(10**7))"})
    (tmp_path / "my.toml").touch()
    options = ["--config", "my.toml", "--no-pack", "*"]
    words = ["python", "app.py", "a b"]
    env: dict[str, str | None] = {"COLUMNS": "60", "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"}
    result = hookmon(["run", *options, "--", *words], cwd=tmp_path, env=env)
    assert result.exit_code == 0, result.stderr
    lines = result.stderr.splitlines()
    assert re.match(r"[\d.]+ m?s = [\d.]+ m?s computing \+ ", lines[1])
    told = result.stderr.partition("To see the rest: ")[2].replace("\\\n", "")
    assert shlex.split(told.partition("\n")[0]) == ["hookmon", "run", *options, "--own", *words]
