"""The time of reading a response's body is in a row: `http body`, whoever reads it; the program's own clock is the truth."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stubs import Answer, HttpStub

from packs.conftest import Compared

BODY = b"a line of a body\n" * 4_000


class SlowShop(HttpStub):
    """Sends the head of what is below /slow at once, and the body when somebody has asked for /go."""

    def __init__(self) -> None:
        self._go = threading.Event()
        super().__init__(self._answer, self._wait)

    def _answer(self, _method: str, path: str, _body: bytes) -> Answer:
        if path == "/go":
            self._go.set()
        return 200, {"Content-Type": "text/plain"}, BODY

    def _wait(self, path: str) -> None:
        if path.startswith("/slow"):
            assert self._go.wait(60)
            self._go.clear()


@pytest.fixture
def shop() -> Iterator[SlowShop]:
    stub = SlowShop()
    yield stub
    stub.stop()


HEAD = """
    import os, socket, threading, time
    port = int(os.environ["PORT"])
    url = f"http://127.0.0.1:{port}/slow"
    where = dict(aws_access_key_id=SECRET, aws_secret_access_key=SECRET, region_name="eu", endpoint_url=url)
    spent = []

    def go():
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /go HTTP/1.0\\r\\nConnection: close\\r\\n\\r\\n")
            while connection.recv(65536): pass

    def read_slowly(read):
        threading.Timer(0.1, go).start()
        begun = time.perf_counter_ns()
        size = read()
        spent.append(time.perf_counter_ns() - begun)
        print(size)

    async def aread_slowly(read):
        asyncio.get_running_loop().call_later(0.1, go)
        begun = time.perf_counter_ns()
        size = await read
        spent.append(time.perf_counter_ns() - begun)
        print(size)

    async def size_of(pieces):
        size = 0
        async for piece in pieces: size += len(piece)
        return size
"""
TAIL = """
    with open(os.environ["SPENT"], "w") as file: print(sum(spent), file=file)
"""
CLIENTS = {  # name: modules, program
    "urllib": (
        (),
        """
        from urllib.request import urlopen
        answer = urlopen(url); read_slowly(lambda: len(answer.read()))
        answer = urlopen(url); read_slowly(lambda: sum(len(line) for line in answer))
        """,
    ),
    "http.client": (
        (),
        """
        import http.client
        connections = []
        def answer():
            connections.append(http.client.HTTPConnection("127.0.0.1", port))
            connections[-1].request("GET", "/slow")
            return connections[-1].getresponse()
        one = answer(); read_slowly(lambda: len(one.read()))
        two = answer(); read_slowly(lambda: sum(iter(lambda: two.readinto(bytearray(1000)), 0)))
        three = answer(); read_slowly(lambda: sum(map(len, iter(lambda: three.read1(1000), b""))))
        four = answer(); read_slowly(lambda: sum(map(len, iter(four.readline, b""))))
        """,
    ),
    "requests": (
        ("requests",),
        """
        import requests
        one = requests.get(url, stream=True); read_slowly(lambda: len(one.content))
        two = requests.get(url, stream=True); read_slowly(lambda: sum(map(len, two.iter_content(1000))))
        three = requests.get(url, stream=True); read_slowly(lambda: len(three.raw.read()))
        """,
    ),
    "urllib3": (
        ("urllib3",),
        """
        import urllib3
        pool = urllib3.PoolManager()
        one = pool.request("GET", url, preload_content=False); read_slowly(lambda: len(one.read()))
        two = pool.request("GET", url, preload_content=False); read_slowly(lambda: sum(map(len, two.stream(1000))))
        """,
    ),
    "botocore": (
        ("botocore",),
        """
        import botocore.session
        s3 = botocore.session.get_session().create_client("s3", **where)
        one = s3.get_object(Bucket="goods", Key="one")["Body"]; read_slowly(lambda: len(one.read()))
        two = s3.get_object(Bucket="goods", Key="two")["Body"]; read_slowly(lambda: sum(map(len, two.iter_chunks(1000))))
        """,
    ),
    "aiobotocore": (
        ("aiobotocore",),
        """
        import asyncio
        from aiobotocore.session import get_session
        async def main():
            async with get_session().create_client("s3", **where) as s3:
                one = (await s3.get_object(Bucket="goods", Key="one"))["Body"]
                await aread_slowly(size_of_all(one))
                two = (await s3.get_object(Bucket="goods", Key="two"))["Body"]
                await aread_slowly(size_of(two.iter_chunks(1000)))
        async def size_of_all(body): return len(await body.read())
        asyncio.run(main())
        """,
    ),
    "aiohttp": (
        ("aiohttp",),
        """
        import asyncio, aiohttp
        async def main():
            ways = [
                lambda answer: size_of_all(answer.read()),
                lambda answer: size_of_all(answer.text()),
                lambda answer: size_of_pieces(answer.content.read, 1000),
                lambda answer: size_of_pieces(answer.content.readany),
                lambda answer: size_of_pieces(answer.content.readline),
                lambda answer: size_of_all(answer.content.readexactly(68000)),
                lambda answer: size_of(answer.content.iter_chunked(1000)),
                lambda answer: size_of(answer.content.iter_any()),
                lambda answer: size_of(answer.content),
            ]
            async with aiohttp.ClientSession() as session:
                for way in ways:
                    async with session.get(url) as answer: await aread_slowly(way(answer))
        async def size_of_all(body): return len(await body)
        async def size_of_pieces(read, *args):
            size = 0
            while piece := await read(*args): size += len(piece)
            return size
        asyncio.run(main())
        """,
    ),
    **{
        library: (
            (library,),
            f"""
        import asyncio, {library} as httpx
        with httpx.Client() as client:
            with client.stream("GET", url) as answer: read_slowly(lambda: len(answer.read()))
            with client.stream("GET", url) as answer: read_slowly(lambda: sum(map(len, answer.iter_raw(1000))))
            with client.stream("GET", url) as answer: read_slowly(lambda: sum(map(len, answer.iter_lines())))
        async def main():
            async with httpx.AsyncClient() as client:
                async with client.stream("GET", url) as answer: await aread_slowly(size_of_all(answer))
                async with client.stream("GET", url) as answer: await aread_slowly(size_of(answer.aiter_bytes(1000)))
        async def size_of_all(answer): return len(await answer.aread())
        asyncio.run(main())
        """,
        )
        for library in ("httpx", "httpx2")
    },
}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_time_of_a_body_has_a_row(client: str, shop: SlowShop, compared: Compared, tmp_path: Path) -> None:
    """As long as the program itself has waited for it, each way to read; most of that, where other programs want the machine."""
    needs, program = CLIENTS[client]
    spent = tmp_path / "spent"
    text = HEAD + program.replace("\n    ", "\n") + TAIL
    under = compared(text, needs=needs, env={"PORT": str(shop.port), "SPENT": str(spent)})
    spent_ns = int(spent.read_text())
    rows = [row for row in under.report["calls"] if row["name"] == "http body"]
    assert 0.5 * spent_ns < sum(row["total_ns"] for row in rows) < spent_ns
    assert {row["kind"] for row in rows} == {"http"}
    assert under.errors("http") == {}


SERVER = """
    import asyncio, os
    from aiohttp import ClientSession, web

    async def take(request):
        size = 0
        async for piece in request.content.iter_chunked(1000): size += len(piece)
        return web.json_response({"size": size})

    async def slowly():
        for _ in range(5):
            await asyncio.sleep(0.02)
            yield b"x" * 5000

    async def main():
        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with ClientSession() as session, session.post(f"http://127.0.0.1:{port}/", data=slowly()) as answer:
            await asyncio.sleep(0.2)  # its body has come
            print(await answer.json())
        await runner.cleanup()

    asyncio.run(main())
"""


def test_what_a_server_reads_of_a_request_is_no_body_of_a_client(compared: Compared) -> None:
    """aiohttp's server waits for it by the same class: of what has come no call is one, of an answer's text at most."""
    under = compared(SERVER, needs=["aiohttp"], env={})
    (request,) = under.report["transactions"][:1]
    assert request["name"] == "POST /"
    assert "http body" not in [child["name"] for child in request["children"]]
