"""What the report counts is what happened, exactly: in every thread, task and process, and against a server's own count."""

from __future__ import annotations

import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from support.runs import (
    PYTHON,
    Report,
    calls,
    commands,
    errors,
    hookmon_run,
    hookmon_start,
    parents,
    wait_until,
    watch,
    write,
)
from support.servers import Valkey

pytestmark = pytest.mark.usefixtures("warm_launcher")

WORK = """
    def outer(number):
        total = 0
        for part in (number, number + 1):
            try:
                total += inner(part)
            except ValueError:
                pass
        return total

    def inner(number):
        if number % 5 == 0:
            raise ValueError(number)
        return number

    def rounds(count):
        for number in range(count):
            outer(number)
        return count
"""
WATCH_WORK = watch("work", "outer", "inner")


def assert_rounds(report: Report, count: int) -> None:
    """Claim that `count` rounds of WORK were seen; whoever calls rounds() does so with a multiple of 5."""
    found = {
        "outer": calls(report, "work:outer"),
        "inner": calls(report, "work:inner"),
        "errors of outer": errors(report, "work:outer"),
        "errors of inner": errors(report, "work:inner"),
    }
    assert found == {"outer": count, "inner": 2 * count, "errors of outer": 0, "errors of inner": 2 * count // 5}


def pool(method: str) -> str:
    """A multiprocessing pool and an executor: 2 x 4 x 50 rounds, and 50 in the parent."""
    return f"""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    import work

    if __name__ == "__main__":
        work.rounds(50)
        context = multiprocessing.get_context("{method}")
        with context.Pool(2) as pool:
            print(sum(pool.map(work.rounds, [50] * 4, chunksize=1)))
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            print(sum(executor.map(work.rounds, [50] * 4)))
    """


def children(ending: str) -> str:
    """Four forked children of 100 rounds each with one way to end, and 100 rounds in the parent, before and after."""
    return f"""
    import os, signal, sys, warnings

    import work

    work.rounds(50)
    pids = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            work.rounds(100)
            {ending}
        pids.append(pid)
    work.rounds(50)
    for pid in pids:
        os.waitpid(pid, 0)
    """


PROGRAMS = {
    "threads": (
        """
        import threading, work

        start = threading.Barrier(64)

        def load():
            start.wait()
            work.rounds(250)

        threads = [threading.Thread(target=load) for _ in range(64)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
        64 * 250,
    ),
    "executor threads": (
        """
        import work
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as executor:
            list(executor.map(work.rounds, [100] * 50))
        """,
        50 * 100,
    ),
    "daemon thread at exit": (
        """
        import threading, time, work

        def load():
            work.rounds(500)
            done.set()
            time.sleep(60)

        done = threading.Event()
        threading.Thread(target=load, daemon=True).start()
        done.wait()
        """,
        500,
    ),
    "fork, sys.exit": (children("sys.exit(0)"), 500),
    "fork, os._exit": (children("os._exit(3)"), 500),
    "fork, SIGKILL": (children("os.kill(os.getpid(), signal.SIGKILL)"), 500),
    "fork, SIGSEGV": (children("os.kill(os.getpid(), signal.SIGSEGV)"), 500),
    "fork, abort": (children("os.abort()"), 500),
    "fork, exec": (children("os.execv(sys.executable, [sys.executable, 'child.py'])"), 500 + 4 * 50),
    "fork within threads": (
        """
        import os, threading, warnings, work

        warnings.simplefilter("ignore")  # 3.12 warns of a fork among threads

        def load():
            for _ in range(5):
                pid = os.fork()
                if not pid:
                    work.rounds(20)
                    os._exit(0)
                os.waitpid(pid, 0)
                work.rounds(20)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
        4 * 5 * 40,
    ),
    "fork of forks": (
        """
        import os, work

        for _ in range(3):  # 1, 2, 4, 8 processes
            pid = os.fork()
            work.rounds(10)
            if pid:
                os.waitpid(pid, 0)
        """,
        (2 + 4 + 8) * 10,
    ),
    "exec": ("import os, sys, work\nwork.rounds(100)\nos.execv(sys.executable, [sys.executable, 'child.py'])", 150),
    "os._exit": ("import os, work\nwork.rounds(100)\nos._exit(0)", 100),
    "subprocesses": (
        """
        import subprocess, sys, work

        work.rounds(50)
        running = [subprocess.Popen([sys.executable, "child.py"]) for _ in range(3)]
        for child in running: child.wait()
        """,
        200,
    ),
    "subprocess of a shell": ("import os, sys\nos.system(f'{sys.executable} child.py; {sys.executable} child.py')", 100),
    "multiprocessing fork": (pool("fork"), 450),
    "multiprocessing spawn": (pool("spawn"), 450),
    "multiprocessing forkserver": (pool("forkserver"), 450),
    "main module": (
        """
        import work

        if __name__ == "__main__":
            work.rounds(100)
        """,
        100,
    ),
}


@pytest.mark.parametrize(("program", "count"), PROGRAMS.values(), ids=PROGRAMS)
def test_calls_and_errors_are_exact(program: str, count: int, tmp_path: Path) -> None:
    """Every call of every thread and process of the run is counted once, however the process came to be and ended."""
    write(tmp_path, {"work.py": WORK, "app.py": program, "child.py": "import work\nwork.rounds(50)\n"})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_WORK)
    assert result.exit_code == 0, result.stderr
    assert_rounds(result.report, count)


def test_script_itself_is_counted_in_every_process(tmp_path: Path) -> None:
    """Functions and methods of the started script are seen from their first call on, in spawned workers as well."""
    program = """
    import multiprocessing

    def square(number):
        return number * number

    class Sum:
        def __init__(self):
            self.total = 0

        def add(self, number):
            self.total += number
            return self

        @staticmethod
        def zero():
            return 0

        @classmethod
        def of(cls, *numbers):
            result = cls()
            for number in numbers:
                result.add(number)
            return result

    first = square(2)  # while the script is still being executed

    if __name__ == "__main__":
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            print(Sum.of(*pool.map(square, range(20), chunksize=1)).total, Sum.zero())
    """
    write(tmp_path, {"app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("__main__", "square", "Sum.*"))
    assert (result.stdout, result.exit_code) == ("2470 0\n", 0), result.stderr
    counts = {name: calls(result.report, f"__main__:{name}") for name in ("square", "Sum.add", "Sum.of", "Sum.zero")}
    # each worker that took part imported the script anew and ran its first line
    assert counts.pop("square") in (1 + 20 + 1, 1 + 20 + 2)
    assert counts == {"Sum.add": 20, "Sum.of": 1, "Sum.zero": 1}


# against the server's own count

REDIS_THREADS = """
    import os, threading, redis

    client = redis.Redis.from_url(os.environ["REDIS_URL"])

    def load(number):
        for turn in range(10):
            client.set(f"key {number} {turn}", turn)
            client.get(f"key {number} {turn}")
            client.get("missing")
            client.incrby("sum", turn)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(64)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    try:
        client.lpush("sum", 1)
    except redis.ResponseError:
        pass
    client.close()
"""

REDIS_TASKS = """
    import asyncio, os, redis.asyncio as redis

    async def task(client, number):
        await client.set(f"key {number}", number)
        await asyncio.sleep(0)
        assert int(await client.get(f"key {number}")) == number
        await client.incrby("sum", number)

    async def main():
        pool = redis.BlockingConnectionPool.from_url(os.environ["REDIS_URL"], max_connections=20, timeout=30)
        async with redis.Redis(connection_pool=pool) as client:
            await asyncio.gather(*[task(client, number) for number in range(1000)])
            assert int(await client.get("sum")) == 499500
        await pool.disconnect()

    asyncio.run(main())
"""

REDIS_PROCESSES = """
    import multiprocessing, os, redis

    def load(number):
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            for turn in range(50):
                client.set(f"key {number}", turn)
                client.get(f"key {number}")
        return number

    if __name__ == "__main__":
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                pool.map(load, range(6), chunksize=1)
"""


@pytest.mark.parametrize(
    ("program", "failed"),
    [(REDIS_THREADS, 1), (REDIS_TASKS, 0), (REDIS_PROCESSES, 0)],
    ids=["64 threads", "1,000 asyncio tasks", "process pools"],
)
def test_commands_equal_the_servers_count(program: str, failed: int, valkey: Valkey, tmp_path: Path) -> None:
    """Without any configuration the redis calls are those of the server's INFO commandstats, command by command."""
    write(tmp_path, {"app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env={"REDIS_URL": valkey.url})
    assert result.exit_code == 0, result.stderr
    assert commands(result.report) == valkey.commands()
    assert sum(row["errors"] for row in result.report["calls"] if row["kind"] == "cache") == failed


def test_pipelines_are_one_call_each(valkey: Valkey, tmp_path: Path) -> None:
    """A pipeline is one round trip and so one call; the commands in it are not counted a second time."""
    program = """
    import os, redis

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        for turn in range(7):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(10):
                    pipeline.set(f"key {number}", turn)
                pipeline.execute()
        client.get("key 1")
    """
    write(tmp_path, {"app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env={"REDIS_URL": valkey.url})
    assert result.exit_code == 0, result.stderr
    assert valkey.commands() == {"set": 70, "get": 1}
    assert calls(result.report, "redis.client:Pipeline.execute") == 7
    assert commands(result.report) == {"get": 1}


# web servers with workers

WEB = """
    import os, work

    def application(environ, start_response):
        work.rounds(5)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

    async def asgi(scope, receive, send):
        if scope["type"] != "http":
            return
        work.rounds(5)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


@pytest.mark.parametrize(
    ("server", "requests", "workers"),
    [
        (["gunicorn", "-w", "2", "--max-requests", "5", "--log-level", "warning", "-b", "127.0.0.1:{port}", "web"], 40, 6),
        (["uvicorn", "--workers", "2", "--log-level", "warning", "--port", "{port}", "web:asgi"], 20, 1),
    ],
    ids=["gunicorn with restarts of workers", "uvicorn"],
)
def test_workers_of_a_web_server_are_counted(server: list[str], requests: int, workers: int, tmp_path: Path) -> None:
    """Requests to prefork workers are all counted, also those of workers that were replaced in between."""
    write(tmp_path, {"work.py": WORK, "web.py": WEB})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [PYTHON, "-m", *[text.format(port=port) for text in server]]
    running = hookmon_start(command, cwd=tmp_path, config=WATCH_WORK)
    served: list[str] = []

    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                served.append(answer.read().decode())
        except OSError:
            return False
        return True

    try:
        wait_until(ask, "the server to answer")
        while len(served) < requests:
            wait_until(ask, "the next answer")
        running.process.send_signal(signal.SIGTERM)
        result = running.finish()
    finally:
        running.kill()
    assert len(set(served)) >= workers
    assert_rounds(result.report, 5 * len(served))
    assert set(served) <= {str(process["pid"]) for process in result.report["processes"]}


def test_threads_and_greenlets_keep_their_own_trees(tmp_path: Path) -> None:
    """Callers that are at work at the same moment, in threads or in greenlets, never become parents of each other."""
    pytest.importorskip("gevent")
    work = """
    import time

    def outer(sleep):
        sleep(0.002)
        inner(sleep)

    def inner(sleep):
        sleep(0.002)
    """
    program = """
    import threading, time, gevent, work

    threads = [threading.Thread(target=work.outer, args=(time.sleep,)) for _ in range(50)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    gevent.joinall([gevent.spawn(work.outer, gevent.sleep) for _ in range(1000)], raise_error=True)
    """
    write(tmp_path, {"work.py": work, "app.py": program})
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCH_WORK).report
    assert (calls(report, "work:outer"), calls(report, "work:inner")) == (1050, 1050)
    assert parents(report, "work:outer") == {None}
    assert parents(report, "work:inner") == {"work:outer"}


def test_shop_example_counts_the_same_every_time(valkey: Valkey, tmp_path: Path) -> None:
    """The example program is watched over its threads and its child process, its Redis calls equal the server's count."""
    examples = Path(__file__).parents[2] / "examples"
    result = hookmon_run(
        [PYTHON, str(examples / "shop.py")],
        cwd=tmp_path,
        config=(examples / "hookmon.toml").read_text(),
        env={"REDIS_URL": valkey.url},
    )
    assert result.stdout == "shop: 40 baskets looked at, 38 bought, 2 sold out\nnightly: 120 new prices\n"
    report = result.report
    server = valkey.commands()
    assert (calls(report, "__main__:quote"), calls(report, "__main__:Basket.total")) == (78 * 8, 78)
    assert (calls(report, "GET /baskets"), calls(report, "POST /baskets")) == (40, 40)
    assert (calls(report, "__main__:new_price"), calls(report, "__main__:Repo.product")) == (120, 78 * 8 + 120)
    assert calls(report, "http.client:HTTPConnection.connect") == 80
    assert commands(report) == {name: server[name] for name in ("get", "decrby")}
