"""The packs of the standard library: programs, look-ups, the wait for a thread; and json and pickle, which are off."""

from __future__ import annotations

from textwrap import dedent

from hookmon.testing import run
from packs.conftest import PYTHON, SECRET, Compared

PROGRAMS = """
    import asyncio, os, subprocess
    subprocess.run(["/bin/echo", SECRET], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "KEY": SECRET})
    subprocess.run("true " + SECRET, shell=True)
    subprocess.run(f"PASSWORD={SECRET} true", shell=True)
    print(len(subprocess.check_output(("cat", "-"), input=SECRET.encode())))
    process = subprocess.Popen(["sleep", "0.05"])
    print(process.wait(), process.wait())
    try: subprocess.run(["/no/such/program", SECRET])
    except FileNotFoundError: print("no such program")
    async def main():
        process = await asyncio.create_subprocess_exec("cat", "-", stdin=-1, stdout=-1)
        print(len((await process.communicate(SECRET.encode()))[0]))
        await (await asyncio.create_subprocess_shell("exit 3; " + SECRET)).wait()
    asyncio.run(main())
"""


def test_programs_are_counted_by_their_names() -> None:
    """As many starts as programs, and as many waits: `subprocess.run` asks again at its end, when that is known."""
    under = run(f"SECRET = {SECRET!r}\n{dedent(PROGRAMS)}", packs=["subprocess"], python=PYTHON)
    size = len(SECRET)
    assert (under.exit_code, under.stdout, under.stderr) == (0, f"{size}\n0 0\nno such program\n{size}\n", "")
    starts = {"echo": 1, "true": 1, "?": 1, "cat": 2, "sleep": 1, "program": 1, "exit": 1}
    waits = {"echo": 1, "true": 1, "?": 1, "cat": 2, "sleep": 1, "exit": 1}
    assert under.calls("process") == {f"{name} start": count for name, count in starts.items()} | {
        f"{name} wait": count for name, count in waits.items()
    }
    assert under.errors("process") == {"program start": 1}
    assert under.leaks(SECRET) == []


DNS = """
    import asyncio, socket, http.client
    for _ in range(3): socket.getaddrinfo("localhost", 80)
    try: socket.getaddrinfo("no-such-host.invalid", 80)
    except socket.gaierror: print("no such host")
    async def main(): await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    asyncio.run(main())
    with socket.create_server(("127.0.0.1", 0)) as server: socket.create_connection(server.getsockname()).close()
"""


def test_look_ups_are_counted_by_host(compared: Compared) -> None:
    """Those that asyncio makes in a thread and those of a connection as well."""
    under = compared(DNS, needs=[], env={}, packs=["dns"])
    assert under.calls() == {"dns localhost": 3, "dns no-such-host.invalid": 1, "dns 127.0.0.1": 2}
    assert under.errors() == {"dns no-such-host.invalid": 1}


EXECUTORS = """
    import asyncio, threading, time
    from concurrent.futures import ThreadPoolExecutor
    import traceback
    started = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(lambda: started.set() or time.sleep(0.2))
        started.wait()
        waiting = [pool.submit(len, SECRET) for _ in range(4)]
        failing = pool.submit(lambda: 1 / 0)
        print(waiting[0].cancel(), [future.result() for future in waiting[1:]])
        print([frame.name for frame in traceback.extract_tb(failing.exception().__traceback__)])
    pool = ThreadPoolExecutor(1)
    held = pool.submit(time.sleep, 0.05)
    pool.submit(print, "never")
    pool.shutdown(cancel_futures=True)
    async def main(): return await asyncio.gather(*[asyncio.to_thread(len, SECRET) for _ in range(20)])
    print(sum(asyncio.run(main())))
"""


def test_the_wait_for_a_thread_is_timed(compared: Compared) -> None:
    """From submit to run; work that was dropped at the end has not waited for a thread."""
    under = compared(EXECUTORS, needs=[], env={}, packs=["executors"])
    assert under.calls() == {"executor wait": 1 + 5 + 1 + 20}
    assert under.errors() == {}
    (row,) = under.report["calls"]
    assert 4 * 0.15e9 < row["total_ns"] < 60e9
    assert row["max_ns"] > 0.15e9
    assert row["min_ns"] < 0.1e9


CODECS = """
    import io, json, pickle
    for _ in range(3): json.loads(json.dumps({SECRET: SECRET}))
    pickle.loads(pickle.dumps(SECRET))
    try: json.loads(SECRET)
    except ValueError: print("no JSON")
    file = io.StringIO()
    json.dump([SECRET], file); file.seek(0); json.load(file)
"""


def test_json_is_watched_when_somebody_asks(compared: Compared) -> None:
    """`json.load` uses `loads`."""
    under = compared(CODECS, needs=[], env={}, packs=["json"])
    assert under.calls() == {"json dumps": 3, "json loads": 3 + 1 + 1, "json dump": 1, "json load": 1}
    assert under.errors() == {"json loads": 1}


def test_json_and_pickle_are_off_by_themselves(compared: Compared) -> None:
    """Nothing of them is watched unless somebody names them."""
    under = compared(CODECS + "    import http.client\n", needs=[], env={})
    assert not [target for target in under.watched if target.startswith(("json:", "pickle:"))]
