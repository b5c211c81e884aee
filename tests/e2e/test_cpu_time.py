"""The CPU time of transactions is what the program itself measures, within 5 %, in threads, tasks, executors and servers.

Each program burns a known amount of CPU time, by the clock of its own thread, and sleeps. All that is compared is CPU time, which
does not depend on how busy the machine is.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.engines import ENGINES
from support.runs import PYTHON, Report, blind_spots, hookmon_run, watch, write
from support.web import GUNICORN, request, serve_app

pytestmark = pytest.mark.usefixtures("warm_launcher")

BURN = """
    import threading, time

    burned, lock = {}, threading.Lock()
    MS = 1_000_000

    def burn(name, ns):
        begin = now = time.thread_time_ns()
        while now < begin + ns:
            now = time.thread_time_ns()
        with lock:
            burned[name] = burned.get(name, 0) + now - begin
        return now - begin
"""
ENTRY = {"entry": True, "kind": "task"}


def recorded(folder: Path, engine: str, program: str, config: str, *command: str) -> tuple[Report, dict[str, Any]]:
    """Run a program that prints what it has measured itself; return the report and that."""
    write(folder, {"burn.py": BURN, "app.py": program})
    done = hookmon_run([PYTHON, *(command or ("app.py",))], cwd=folder, config=config, env={"HOOKMON_ENGINE": engine})
    assert done.exit_code == 0, done.stderr
    return done.report, json.loads(done.stdout)


def computed(report: Report, name: str) -> tuple[int, int]:
    """Return the CPU time of all transactions of a name, and that in other threads and tasks; all of them were measured."""
    (row,) = [row for row in report["transactions"] if row["name"] == name]
    own = row["computing"]
    assert own is not None, name
    assert own["measured"] == row["calls"], (name, own)
    assert own["waiting_ns"] == max(0, row["mean_ns"] - own["computing_ns"])
    return own["computing_ns"] * row["calls"], own["beside_ns"] * row["calls"]


engines = pytest.mark.parametrize("engine", ENGINES)


@engines
def test_threads_that_take_turns_each_have_their_own(tmp_path: Path, engine: str):
    """Six threads on whatever processors there are: what the others compute meanwhile is waiting."""
    program = """
        import json, threading, time
        from burn import MS, burn, burned

        def long(): burn("long", 20 * MS); time.sleep(0.002); burn("long", 5 * MS)
        def short(): time.sleep(0.005); burn("short", 5 * MS)
        def idle(): time.sleep(0.02)

        def work():
            for _ in range(3):
                long(); short(); idle()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(json.dumps(burned))
    """
    report, burned = recorded(tmp_path, engine, program, watch("__main__", "long", "short", "idle", **ENTRY))
    for name in ("long", "short"):
        assert computed(report, name) == (pytest.approx(burned[name], rel=0.1), 0)
    (idle,) = [row for row in report["transactions"] if row["name"] == "idle"]
    assert idle["computing"]["computing_ns"] < 0.05 * idle["mean_ns"]
    slowest = [example["computed_ns"] for row in report["transactions"] if row["name"] == "long" for example in row["examples"]]
    assert slowest == [pytest.approx(burned["long"] / 18, rel=0.1)] * 3


TASKS = """
    import asyncio, json, sys, time
    from burn import MS, burn, burned

    async def interleaved(number):
        for _ in range(3):
            burn("interleaved", (2 + number % 3) * 4 * MS)
            await asyncio.sleep(0.002)

    def in_thread(name):
        burn(name, 10 * MS)
        time.sleep(0.002)

    async def threads():
        burn("threads", 10 * MS)
        await asyncio.to_thread(in_thread, "beside threads")
        await asyncio.get_running_loop().run_in_executor(None, in_thread, "beside threads")

    async def helper(name, ms):
        burn(name, ms * MS)
        await asyncio.sleep(0.001)
        burn(name, ms * MS)

    async def tasks():
        burn("tasks", 10 * MS)
        await asyncio.gather(helper("beside tasks", 4), helper("beside tasks", 6))

    async def eager():
        burn("eager", 10 * MS)
        await asyncio.gather(helper("beside eager", 4), helper("beside eager", 6))

    async def main():
        await asyncio.gather(*[interleaved(number) for number in range(12)])
        await asyncio.gather(*[threads() for _ in range(8)])
        await asyncio.gather(*[tasks() for _ in range(8)])
        if sys.version_info >= (3, 12):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            await asyncio.gather(*[eager() for _ in range(8)])

    asyncio.run(main())
    print(json.dumps(burned))
"""


@engines
def test_tasks_that_take_turns_have_their_own_steps(tmp_path: Path, engine: str):
    """And jobs of executors and tasks of theirs beside; a task that begins in its creator's step counts once."""
    config = watch("__main__", "interleaved", "threads", "tasks", "eager", **ENTRY) + watch("__main__", "helper")
    report, burned = recorded(tmp_path, engine, TASKS, config)
    assert computed(report, "interleaved") == (pytest.approx(burned["interleaved"], rel=0.1), 0)
    for name in ("threads", "tasks"):
        whole_ns, beside_ns = computed(report, name)
        assert whole_ns == pytest.approx(burned[name] + burned[f"beside {name}"], rel=0.1)
        assert beside_ns == pytest.approx(burned[f"beside {name}"], rel=0.1)
    if sys.version_info >= (3, 12):
        assert computed(report, "eager")[0] == pytest.approx(burned["eager"] + burned["beside eager"], rel=0.1)


@engines
@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_requests_of_threads_of_a_server(engine: str):
    """WSGI under gunicorn's gthread, two processes with threads, four clients at once."""
    app = """
        import time
        from burn import MS, burn

        def application(environ, start_response):
            ns = burn("", (5 if environ["REQUEST_METHOD"] == "GET" else 15) * MS)
            time.sleep(0.003)
            print("burned", environ["REQUEST_METHOD"], ns, flush=True)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"text"]
    """
    traffic = [request("GET", "/quick") for _ in range(32)] + [request("POST", "/slow") for _ in range(16)]
    command = (*GUNICORN, "-k", "gthread", "--threads", "3", "app:application")
    files = {"burn.py": BURN}
    one = serve_app(app, command, packs=["wsgi"], env={"HOOKMON_ENGINE": engine}, files=files, requests=traffic)
    lines = [line.split() for line in one.log.splitlines() if line.startswith("burned ")]
    for method, requests in (("GET", 32), ("POST", 16)):
        burned = [int(ns) for _, own, ns in lines if own == method]
        assert len(burned) == requests
        assert computed(one.recorded.report, f"{method} (no route)")[0] == pytest.approx(sum(burned), rel=0.1)


FASTAPI = """
    import asyncio, json, threading, time, urllib.request
    import uvicorn
    from fastapi import Depends, FastAPI
    from burn import MS, burn, burned

    app = FastAPI()

    def depends():
        burn("beside /plain/{number}", 5 * MS)

    @app.get("/plain/{number}")
    def plain(number: int, needed: None = Depends(depends)):
        burn("beside /plain/{number}", 15 * MS)
        time.sleep(0.005)

    @app.get("/coroutine/{number}")
    async def coroutine(number: int):
        burn("/coroutine/{number}", 10 * MS)
        await asyncio.sleep(0.005)
        burn("/coroutine/{number}", 15 * MS)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))

    def ask():
        while not server.started: time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        def client():
            for number in range(5):
                for name in ("plain", "coroutine"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}/{number}").read()
        clients = [threading.Thread(target=client) for _ in range(3)]
        for one in clients: one.start()
        for one in clients: one.join()
        server.should_exit = True

    threading.Thread(target=ask).start()
    server.run()
    print(json.dumps(burned))
"""


@engines
@pytest.mark.skipif(not all(map(find_spec, ("fastapi", "uvicorn"))), reason="FastAPI is not installed")
def test_views_that_are_no_coroutines_compute_in_a_thread(tmp_path: Path, engine: str):
    """Starlette hands them to a thread of anyio, with what they depend on; that is no waiting of the request."""
    report, burned = recorded(tmp_path, engine, FASTAPI, "")
    whole_ns, beside_ns = computed(report, "GET /plain/{number}")
    assert beside_ns == pytest.approx(burned["beside /plain/{number}"], rel=0.1)
    assert whole_ns >= beside_ns
    whole_ns, beside_ns = computed(report, "GET /coroutine/{number}")
    assert beside_ns == 0
    # a request's parsing, routing and answer take a millisecond or two besides; the first one's imports take more
    assert burned["/coroutine/{number}"] <= whole_ns < 1.5 * burned["/coroutine/{number}"]


@engines
def test_a_share_is_measured_of_what_is_shorter_than_the_clock(tmp_path: Path, engine: str):
    """Microseconds, of two kinds that take turns: both are measured, few of each, and they stand for all."""
    program = """
        import json, time

        def tick(): pass
        def tock(): pass
        def both():
            for _ in range(20_000):
                tick(); tock()

        begin = time.process_time_ns()
        both()
        print(json.dumps(time.process_time_ns() - begin))
    """
    report, _ = recorded(tmp_path, engine, program, watch("__main__", "tick", "tock", **ENTRY))
    for name in ("tick", "tock"):
        (row,) = [row for row in report["transactions"] if row["name"] == name]
        assert 16 <= row["computing"]["measured"] < row["calls"] / 10
        assert 0 < row["computing"]["computing_ns"] <= row["mean_ns"]


GREENLETS = """
    import greenlet, json
    from burn import MS, burn, burned

    def child():
        burn("alone", 10 * MS)
        greenlet.getcurrent().parent.switch()
        burn("alone", 10 * MS)

    def alone():
        inner = greenlet.greenlet(child)  # as SQLAlchemy does for each await
        inner.switch()
        burn("alone", 10 * MS)
        inner.switch()

    def in_turn(): burn("in turn", 5 * MS)

    for _ in range(3):
        alone()
    greenlet.greenlet(in_turn).switch()
    print(json.dumps(burned))
"""


@engines
@pytest.mark.skipif(find_spec("greenlet") is None, reason="greenlet is not installed")
def test_greenlets_that_take_turns_are_not_measured(tmp_path: Path, engine: str):
    """The clock is their thread's; what begins in the first greenlet has all of its own. The report says so."""
    report, burned = recorded(tmp_path, engine, GREENLETS, watch("__main__", "alone", "in_turn", **ENTRY))
    assert computed(report, "alone")[0] == pytest.approx(burned["alone"], rel=0.1)
    (row,) = [row for row in report["transactions"] if row["name"] == "in_turn"]
    assert row["computing"] is None
    assert any("CPU time: " in spot and "greenlets take turns" in spot for spot in blind_spots(report))


@engines
def test_a_fork_inside_takes_nothing_along(tmp_path: Path, engine: str):
    """The parent's transaction has the parent's CPU time; in the child it belongs to nobody."""
    program = """
        import json, os, time
        from burn import MS, burn, burned

        def job():
            burn("parent", 10 * MS)
            before = time.thread_time_ns()
            pid = os.fork()
            if not pid:
                burn("child", 30 * MS)
                os._exit(0)
            os.waitpid(pid, 0)
            burned["parent"] += time.thread_time_ns() - before
            burn("parent", 10 * MS)

        for _ in range(5):
            job()
        print(json.dumps(burned))
    """
    report, burned = recorded(tmp_path, engine, program, watch("__main__", "job", **ENTRY))
    assert computed(report, "job") == (pytest.approx(burned["parent"], rel=0.1), 0)


@engines
def test_what_mostly_computes_is_a_finding(tmp_path: Path, engine: str):
    """From twenty measured ones on; what mostly waits is none."""
    program = """
        import json, time
        from burn import MS, burn, burned

        def busy(): burn("busy", 4 * MS)
        def lazy(): burn("lazy", 1 * MS); time.sleep(0.004)
        def rare(): burn("rare", 4 * MS)

        for number in range(30):
            busy(); lazy()
            if number < 19: rare()
        print(json.dumps(burned))
    """
    report, _ = recorded(tmp_path, engine, program, watch("__main__", "busy", "lazy", "rare", **ENTRY))
    busy = next(row for row in report["transactions"] if row["name"] == "busy")
    found = {finding["transaction"] for finding in report["findings"] if finding["kind"] == "computing"}
    assert found == ({"busy"} if busy["computing"]["share"] >= 0.8 else set())  # another program may have had the processor
