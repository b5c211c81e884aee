"""`propagate = true`: what a transaction sends has a `traceparent` with the span that is kept of it; by itself nothing has."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest
from support.clients import program
from support.engines import ENGINES
from support.servers import Valkey

from hookmon.testing import Recorded, run

from .conftest import ENGINE, PYTHON, Compared, _has

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)
OWN = f"00-{'a' * 32}-{'b' * 16}-01"

JOB = """
[[watch]]
module = "__main__"
calls = ["job"]
kind = "task"
entry = true
"""
PROPAGATE = "propagate = true\n" + JOB

SERVER = f"""
    import asyncio, http.client, json, sys, threading, urllib.request
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    OWN = {{"traceparent": {OWN!r}}}
    got = {{}}
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            got[self.path] = self.headers.get_all("traceparent")
            self.send_response(302 if self.path == "/from" else 200)
            if self.path == "/from": self.send_header("Location", "/to")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{{server.server_port}}"
    base = f"http://{{host}}/"
"""
END = """
    job()
    server.shutdown()
    print(json.dumps(got))
"""
CLIENTS = {
    "http": """
    def job():
        for path, headers in (("plain", {}), ("own", OWN), ("named", {"TraceParent": OWN["traceparent"]})):
            client = http.client.HTTPConnection(host)
            client.request("GET", "/" + path, headers=headers)
            client.getresponse().read()
            client.close()
        urllib.request.urlopen(base + "urllib").read()
    """,
    "requests": """
    import requests
    def job():
        requests.get(base + "plain")
        requests.get(base + "own", headers=OWN)
        requests.get(base + "from")
    """,
    "urllib3": """
    import urllib3
    def job():
        pool = urllib3.PoolManager()
        pool.request("GET", base + "plain")
        pool.request("GET", base + "own", headers=OWN)
        pool.request("GET", base + "again")
    """,
    "httpx": """
    import httpx
    def job():
        with httpx.Client() as client:
            request = client.build_request("GET", base + "plain")
            for _ in range(2): client.send(request)
            assert "traceparent" not in request.headers
            client.get(base + "own", headers=OWN)
            client.get(base + "from", follow_redirects=True)
        async def main():
            async with httpx.AsyncClient() as client: await client.get(base + "async")
        asyncio.run(main())
    """,
    "aiohttp": """
    import aiohttp
    def job():
        async def main():
            async with aiohttp.ClientSession() as session:
                for path, headers in (("plain", {}), ("own", OWN), ("from", {})):
                    async with session.get(base + path, headers=headers) as response: await response.read()
        asyncio.run(main())
    """,
}
PACKS = {
    "http": ["http"],
    "requests": ["requests", "http"],
    "urllib3": ["urllib3", "http"],
    "httpx": ["httpx"],
    "aiohttp": ["aiohttp_client"],
}


def spans(recorded: Recorded) -> tuple[str, set[str]]:
    """Return the trace's id of the one job, and the ids of the calls that are kept of it."""
    (job,) = [row for row in recorded.report["transactions"] if row["name"] == "job"]
    (example,) = job["examples"]
    return example["trace_id"], {span["span_id"] for span in example["spans"]}


@EACH_ENGINE
@pytest.mark.parametrize("client", CLIENTS)
def test_http_goes_out_with_the_span_that_is_kept_of_it(client: str, engine: str) -> None:
    """Each hop once; a header of the program's own stays, and nothing is added where nobody has asked."""
    if missing := _has(tuple({"http": ()}.get(client, (client,)))):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    given = {"packs": PACKS[client], "env": ENGINE | {"HOOKMON_ENGINE": engine}, "python": PYTHON}
    recorded = run(dedent(SERVER) + dedent(CLIENTS[client]) + dedent(END), config=PROPAGATE, **given)
    assert (recorded.exit_code, recorded.stderr) == (0, ""), recorded.stderr
    got = json.loads(recorded.stdout)
    trace_id, kept = spans(recorded)
    for path, headers in got.items():
        if path in ("/own", "/named"):
            assert headers == [OWN]
            continue
        (header,) = headers
        version, its_trace, span_id, flags = header.split("-")
        assert (version, its_trace, flags) == ("00", trace_id, "03")
        assert span_id in kept, path
    assert recorded.blind_spots == []
    recorded = run(dedent(SERVER) + dedent(CLIENTS[client]) + dedent(END), config=JOB, **given)
    for path, headers in json.loads(recorded.stdout).items():
        assert headers == ([OWN] if path in ("/own", "/named") else None)


GRPC = """
    import asyncio, json, sys
    from concurrent import futures
    import grpc, grpc.aio
    got = []
    def answer(request, context):
        got.append(sorted(value for key, value in context.invocation_metadata() if key == "traceparent"))
        return b"answer"
    def answers(request, context):
        answer(request, context)
        yield b"answer"
    unary = grpc.unary_unary_rpc_method_handler(answer)
    stream = grpc.unary_stream_rpc_method_handler(answers)
    handler = grpc.method_handlers_generic_handler("shop.Shop", {"Unary": unary, "Stream": stream})
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    own = (("traceparent", OWN),)
    def job():
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/shop.Shop/Unary")
            call(b""); call(b"", metadata=own); call(b"", metadata=[("other", "x")])
            call.with_call(b""); call.future(b"").result()
            call(b"", compression=grpc.Compression.Gzip)
            list(channel.unary_stream("/shop.Shop/Stream")(b""))
        async def main():
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_unary("/shop.Shop/Unary")
                await call(b""); await call(b"", metadata=own); await call(b"", compression=grpc.Compression.Gzip)
        asyncio.run(main())
    job()
    server.stop(None)
    print(json.dumps(got))
"""


@EACH_ENGINE
def test_grpc_goes_out_with_it(engine: str) -> None:
    """Sync and asyncio, unary and streams, with metadata of any kind; once each."""
    if missing := _has(("grpc",)):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    given = {"packs": ["grpc"], "env": ENGINE | {"HOOKMON_ENGINE": engine}, "python": PYTHON}
    recorded = run(f"OWN = {OWN!r}\n{dedent(GRPC)}", config=PROPAGATE, **given)
    assert recorded.exit_code == 0, recorded.stderr
    got = json.loads(recorded.stdout)
    assert len(got) == 10
    trace_id, kept = spans(recorded)
    for number, headers in enumerate(got):
        (header,) = headers
        if number in (1, 8):
            assert header == OWN
        else:
            assert header.split("-")[1] == trace_id
    assert sum(header[0].split("-")[2] in kept for header in got) >= 5
    recorded = run(f"OWN = {OWN!r}\n{dedent(GRPC)}", config=JOB, **given)
    assert [headers for headers in json.loads(recorded.stdout) if headers] == [[OWN], [OWN]]


CELERY_JOBS = """
    import os, celery, platform
    platform.platform = str
    app = celery.Celery("shop", broker=os.environ["URL"], backend=os.environ["URL"])
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)

    @app.task(name="shop.outer")
    def outer(): inner.delay().forget()

    @app.task(name="shop.inner")
    def inner(): app.backend.client.set("inner", "")
"""
CELERY = """
    import os, subprocess, sys, time, redis
    sys.path.insert(0, "")
    from shop import outer
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "shop", "worker", "-P", "solo", "-l", "critical"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    outer.delay().get(timeout=50)
    client = redis.Redis.from_url(os.environ["URL"])
    for _ in range(1000):
        if client.exists("inner"): break
        time.sleep(0.05)
    time.sleep(0.5)
    worker.terminate()
    worker.wait()
"""


@EACH_ENGINE
def test_a_job_that_sends_a_job_is_one_trace(compared: Compared, valkey: Valkey, engine: str) -> None:
    """The second has the first one's trace, and the span of its sending for a parent; through a real broker."""
    under = compared(
        program(CELERY_JOBS, CELERY),
        needs=["celery", "redis", "kombu"],
        env={"URL": valkey.url, "HOOKMON_ENGINE": engine},
        packs=["celery", "kombu"],
        config="propagate = true\n",
        before=valkey.reset,
    )
    jobs = {row["name"]: row["examples"][0] for row in under.report["transactions"] if row["kind"] == "task"}
    outer, inner = jobs["shop.outer"], jobs["shop.inner"]
    assert outer["parent_id"] == ""
    assert inner["trace_id"] == outer["trace_id"]
    assert inner["parent_id"] in {span["span_id"] for span in outer["spans"]}
