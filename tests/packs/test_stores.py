"""The packs of caches and stores: pymemcache against a real memcached, pymongo against a stub that counts commands."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest
from support.servers import _free_port, wait_for_port
from support.stubs import MongoStub

from packs.conftest import Compared


@pytest.fixture
def memcached() -> Iterator[int]:
    """The port of a memcached that has counted nothing yet."""
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("memcached is not installed")
    port = _free_port()
    process = subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"])
    wait_for_port(port, process)
    yield port
    process.terminate()
    process.wait()


def read_stats(port: int) -> dict[str, int]:
    """Return memcached's own counts."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"stats\r\nquit\r\n")
        text = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    return {name: int(number) for name, number in re.findall(r"STAT ((?:cmd|delete|incr)_\w+) (\d+)", text)}


MEMCACHED = """
    import os
    from pymemcache.client.base import Client, PooledClient
    from pymemcache.client.hash import HashClient
    from pymemcache.exceptions import MemcacheError
    where = ("127.0.0.1", int(os.environ["PORT"]))
    for client in (Client(where), PooledClient(where, max_pool_size=2), HashClient([where])):
        for n in range(3): client.set(SECRET, SECRET.encode(), noreply=False)
        print(client.get(SECRET), client.get_many([SECRET, "b"]))
        client.set_many({SECRET: b"1", "n": b"2"}, noreply=False)
        print(client.incr(SECRET, 5), client.delete(SECRET, noreply=False), client.touch(SECRET, noreply=False))
        try: client.set(SECRET + " ", b"x")
        except MemcacheError as error: print(type(error).__name__)
    client = Client(where)
    raw = getattr(client, "raw_command", lambda *_: client.get(SECRET))  # new in 4.0
    raw("get " + SECRET, b"END\\r\\n")
    print(client.gets(SECRET))
    client.close()
"""


def test_memcached_commands_are_counted_without_their_keys(memcached: int, compared: Compared) -> None:
    """Through all three kinds of clients; the server counts a command for two keys as two."""
    before: dict[str, int] = {}
    under = compared(
        MEMCACHED, needs=["pymemcache"], env={"PORT": str(memcached)}, before=lambda: before.update(read_stats(memcached))
    )
    counts = {"set": 3 * 4 + 2, "get": 3 * 2 + 1, "gets": 1, "incr": 3, "delete": 3, "touch": 3}
    calls = under.calls("cache")
    assert calls.pop("memcached connect") == 4
    assert calls == {f"memcached {name}": count for name, count in counts.items()}
    assert under.errors("cache") == {"memcached set": 2}  # HashClient finds a bad key out before
    own = {name: count - before[name] for name, count in read_stats(memcached).items()}
    assert own["cmd_set"] == counts["set"] - 2 + 3  # less those with a bad key, one more for each second key
    assert own["cmd_get"] == counts["get"] + counts["gets"] + 3
    assert own["cmd_touch"] == counts["touch"]
    assert own["incr_hits"] == counts["incr"]
    assert own["delete_hits"] == counts["delete"]


@pytest.fixture
def mongo() -> Iterator[MongoStub]:
    """A stub that has counted nothing yet."""
    pytest.importorskip("bson")
    stub = MongoStub()
    yield stub
    stub.stop()


MONGO = """
    import os, pymongo
    from pymongo.errors import OperationFailure
    client = pymongo.MongoClient(os.environ["URL"], directConnection=True)
    goods = client.shop.goods
    for n in range(3): goods.insert_one({"_id": n, "name": SECRET})
    goods.insert_many([{"name": SECRET}, {"name": SECRET}])
    print(goods.find_one({"name": SECRET}), len(list(goods.find({"name": SECRET}, batch_size=2))))
    goods.update_one({"name": SECRET}, {"$set": {"name": SECRET}})
    goods.delete_many({"name": SECRET})
    goods.bulk_write([pymongo.DeleteOne({"name": SECRET}), pymongo.InsertOne({"name": SECRET})])
    print(len(list(goods.aggregate([{"$match": {"name": SECRET}}]))), goods.distinct("name", {"name": SECRET}))
    print(goods.find_one_and_update({"name": SECRET}, {"$set": {"name": SECRET}}), goods.count_documents({"name": SECRET}))
    client.shop.command("ping", comment=SECRET)
    try: client.shop.command("nonsense", SECRET)
    except OperationFailure: print("no such command")
    client.close()
"""
MONGO_ASYNC = """
    import asyncio, os
    from pymongo import AsyncMongoClient
    async def main():
        async with AsyncMongoClient(os.environ["URL"], directConnection=True) as client:
            goods = client.shop.goods
            await asyncio.gather(*[goods.insert_one({"_id": n, "name": SECRET}) for n in range(20)])
            print(len([document async for document in goods.find({"name": SECRET}, batch_size=2)]))
            print(await goods.find_one({"name": SECRET}))
    asyncio.run(main())
"""
MONGO_CALLS = {
    "Collection.insert_one goods": 3,
    "Collection.insert_many goods": 1,
    "Collection.find_one goods": 1,
    "Cursor.fetch goods": 2,
    "Collection.update_one goods": 1,
    "Collection.delete_many goods": 1,
    "Collection.bulk_write goods": 1,
    "Collection.aggregate goods": 1,
    "Collection.distinct goods": 1,
    "Collection.find_one_and_update goods": 1,
    "Collection.count_documents goods": 1,
    "Database.command": 2,
}


def test_mongodb_calls_are_counted_by_method_and_collection(mongo: MongoStub, compared: Compared) -> None:
    """One command each, but for the bulk with its two kinds of writes; what cursors fetch is not seen before 4.9."""
    url = f"mongodb://127.0.0.1:{mongo.port}/"
    under = compared(MONGO, needs=["pymongo"], env={"URL": url}, before=mongo.commands.clear)
    fetched = {"Cursor.fetch goods": MONGO_CALLS["Cursor.fetch goods"]}
    is_old = under.watched["pymongo.synchronous.cursor:Cursor._send_message"] == "never imported"
    assert under.calls("cache") | (fetched if is_old else {}) == MONGO_CALLS
    assert under.errors("cache") == {"Database.command": 1}
    assert sum(mongo.commands.values()) == sum(MONGO_CALLS.values()) + 1


def test_mongodb_calls_of_asyncio_are_counted(mongo: MongoStub, compared: Compared) -> None:
    """Interleaved ones as well."""
    url = f"mongodb://127.0.0.1:{mongo.port}/"
    under = compared(MONGO_ASYNC, needs=["pymongo.asynchronous"], env={"URL": url}, before=mongo.commands.clear)
    counts = {"AsyncCollection.insert_one goods": 20, "AsyncCursor.fetch goods": 2, "AsyncCollection.find_one goods": 1}
    assert under.calls("cache") == counts
    assert sum(mongo.commands.values()) == sum(counts.values())
