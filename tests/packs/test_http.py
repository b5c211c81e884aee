"""The packs of HTTP clients: a request is one call by method and host, and the server's own count is the truth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stubs import Answer, HttpStub, json_answer

from packs.conftest import Compared


def answer(method: str, path: str, body: bytes) -> Answer:
    """Answer as a shop would, where there is something at all."""
    return json_answer({"goods": []}, 404 if path.startswith("/missing") else 200)


@pytest.fixture
def shop() -> Iterator[HttpStub]:
    """A server that has counted nothing yet."""
    stub = HttpStub(answer)
    yield stub
    stub.stop()


HEAD = """
    import os
    port = int(os.environ["PORT"])
    url = f"http://127.0.0.1:{port}"
    there = f"http://{SECRET}:{SECRET}@127.0.0.1:{port}/there/{SECRET}?key={SECRET}#{SECRET}"
    headers = {"Authorization": f"Bearer {SECRET}", "X-Key": SECRET}
"""
CLIENTS = {  # library, program, {name: calls}, {name: errors}, by how much the server's count is higher: redirects, retries
    "urllib": (
        "urllib.request",
        """
        from urllib.request import Request, build_opener, urlopen
        from urllib.error import HTTPError, URLError
        plain = there.replace(f"{SECRET}:{SECRET}@", "")
        try: urlopen(there)
        except URLError: print("no such host")
        for _ in range(3): urlopen(Request(plain, headers=headers)).read()
        urlopen(plain, SECRET.encode()).read()
        urlopen(url + "/moved").read()
        try: urlopen(url + "/missing/" + SECRET)
        except HTTPError as error: print(error.code); error.close()
        print(urlopen("data:text/plain," + SECRET).read() == SECRET.encode())
        try: urlopen(SECRET)
        except ValueError: print("no URL")
        """,
        {"urlopen 127.0.0.1:*": 7, "urlopen ?": 2},
        {"urlopen 127.0.0.1:*": 2, "urlopen ?": 1},
        1 - 3,  # what is no URL of the server does not reach it
    ),
    "http.client": (
        "http.client",
        """
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for method in ("GET", "GET", "POST", "HEAD"):
            connection.request(method, "/there/" + SECRET, body=SECRET if method == "POST" else None, headers=headers)
            print(len(connection.getresponse().read()))
        connection.request("GET", "/closes")
        try: connection.getresponse()
        except http.client.RemoteDisconnected as error: print(error)
        connection.close()
        try: http.client.HTTPConnection(f"{SECRET}:{SECRET}@127.0.0.1", port).request("GET", "/")
        except OSError: print("no such host")
        """,
        {
            "GET 127.0.0.1:*": 3,
            "POST 127.0.0.1:*": 1,
            "HEAD 127.0.0.1:*": 1,
            "GET 127.0.0.1:* send": 4,
            "POST 127.0.0.1:* send": 1,
            "HEAD 127.0.0.1:* send": 1,
        },
        {"GET 127.0.0.1:*": 1, "GET 127.0.0.1:* send": 1},
        0,  # sending is a part, and what does not get so far is no call
    ),
    "requests": (
        "requests",
        """
        import requests
        for _ in range(3): requests.get(there, headers=headers, params={"q": SECRET})
        with requests.Session() as session:
            session.auth = (SECRET, SECRET)
            print(session.post(there, json={"key": SECRET}, cookies={"c": SECRET}).status_code)
            print(len(session.get(url + "/moved").history), session.get(url + "/missing/" + SECRET).status_code)
            try: session.get(url + "/closes", params={"q": SECRET})
            except requests.ConnectionError: print("closed")
        """,
        {"GET 127.0.0.1:*": 6, "POST 127.0.0.1:*": 1},
        {"GET 127.0.0.1:*": 1},
        1,
    ),
    "urllib3": (
        "urllib3",
        """
        import urllib3
        pool = urllib3.PoolManager(headers=headers)
        plain = there.replace(f"{SECRET}:{SECRET}@", "")
        for _ in range(3): pool.request("GET", plain, fields={"q": SECRET})
        print(pool.request("POST", plain, body=SECRET).status, pool.request("GET", url + "/moved").status)
        with urllib3.HTTPConnectionPool("127.0.0.1", port, block=True) as one:
            print(one.request("GET", "/missing/" + SECRET, headers=headers).status)
            try: one.request("GET", "/closes?" + SECRET, retries=2)
            except urllib3.exceptions.MaxRetryError: print("closed")
        """,
        {"GET 127.0.0.1:*": 6, "POST 127.0.0.1:*": 1},
        {"GET 127.0.0.1:*": 1},
        1 + 2,
    ),
    "httpx": (
        "httpx",
        """
        import httpx
        for _ in range(3): httpx.get(there, headers=headers, params={"q": SECRET})
        with httpx.Client(follow_redirects=True, auth=(SECRET, SECRET), base_url=url) as client:
            print(client.post("/there/" + SECRET, json={"key": SECRET}).status_code, len(client.get("/moved").history))
            with client.stream("GET", "/missing/" + SECRET) as answer: print(answer.status_code, len(answer.read()))
            try: client.get("/closes")
            except httpx.RemoteProtocolError: print("closed")
        """,
        {"GET 127.0.0.1:*": 6, "POST 127.0.0.1:*": 1},
        {"GET 127.0.0.1:*": 1},
        1,
    ),
    "httpx, asyncio": (
        "httpx",
        """
        import asyncio, httpx
        async def main():
            async with httpx.AsyncClient(follow_redirects=True, headers=headers) as client:
                await asyncio.gather(*[client.get(there) for _ in range(20)])
                print(len((await client.get(url + "/moved")).history))
                try: await client.get(url + "/closes?" + SECRET)
                except httpx.RemoteProtocolError: print("closed")
        asyncio.run(main())
        """,
        {"GET 127.0.0.1:*": 22},
        {"GET 127.0.0.1:*": 1},
        1,
    ),
    "aiohttp": (
        "aiohttp",
        """
        import aiohttp, asyncio
        async def main():
            async with aiohttp.ClientSession(headers={"X-Key": SECRET}, cookies={"c": SECRET}) as session:
                async def one():
                    async with session.get(there, params={"q": SECRET}) as answer: await answer.read()
                await asyncio.gather(*[one() for _ in range(20)])
                from yarl import URL
                async with session.post(URL(there), json={"key": SECRET}) as answer: print(answer.status)
                async with session.get(url + "/moved") as answer: print(len(answer.history))
                try: await session.post(url + "/closes?" + SECRET)
                except aiohttp.ServerDisconnectedError: print("closed")
                try: await session.get(SECRET)
                except aiohttp.InvalidURL: print("no URL")
            async with aiohttp.ClientSession(base_url=url) as session:
                for path in ("/missing/" + SECRET, "/there"):
                    async with session.get(path) as answer: print(answer.status)
        asyncio.run(main())
        """,
        {"GET 127.0.0.1:*": 23, "POST 127.0.0.1:*": 2, "GET ?": 1},
        {"POST 127.0.0.1:*": 1, "GET ?": 1},
        1 - 1,
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_request_is_one_call(name: str, shop: HttpStub, compared: Compared) -> None:
    """As many calls as the server had requests, less the redirects and retries, which belong to the call that met them.

    The port is one that the system has chosen: no part of a name that is to be the same in the next run.
    """
    library, program, calls, errors, more = CLIENTS[name]
    under = compared(HEAD + program.replace("\n    ", "\n"), needs=[library], env={"PORT": str(shop.port)}, before=shop.reset)

    beside = ("pool wait", "connect", "body")
    assert {name: n for name, n in under.calls("http").items() if not name.endswith(beside)} == calls
    assert under.errors("http") == errors
    counted = {name: count for name, count in calls.items() if not name.endswith(" send")}
    assert shop.total() == sum(counted.values()) + more
    if name == "http.client":
        assert under.kinds["http"] == shop.total()
