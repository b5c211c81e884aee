"""Waiting for a pooled connection: seen apart from the statements, and as long as it was."""

from __future__ import annotations

import pytest
from support.servers import Postgres, Valkey

from hookmon.testing import Recorded

from .conftest import Compared
from .test_postgres import count_statements, dsn

PSYCOPG = """
    import os, threading, time
    from psycopg_pool import ConnectionPool

    with ConnectionPool(os.environ["DSN"], min_size=1, max_size=1, open=False) as pool:
        pool.wait()
        inside = threading.Event()

        def hold():
            with pool.connection() as connection:
                connection.execute("SELECT %s AS held", (SECRET,))
                inside.set()
                time.sleep(0.3)

        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()
        for n in range(3):
            with pool.connection() as connection:
                connection.execute("SELECT %s AS taken, 2 AS more", (SECRET,))
        thread.join()
"""
PSYCOPG_ASYNC = """
    import asyncio, os
    from psycopg_pool import AsyncConnectionPool

    async def main():
        async with AsyncConnectionPool(os.environ["DSN"], min_size=1, max_size=1, open=False) as pool:
            await pool.wait()
            inside = asyncio.Event()

            async def hold():
                async with pool.connection() as connection:
                    await connection.execute("SELECT %s AS held", (SECRET,))
                    inside.set()
                    await asyncio.sleep(0.3)

            task = asyncio.create_task(hold())
            await inside.wait()
            for n in range(3):
                async with pool.connection() as connection:
                    await connection.execute("SELECT %s AS taken, 2 AS more", (SECRET,))
            await task

    asyncio.run(main())
"""
ASYNCPG = """
    import asyncio, asyncpg, os

    async def main():
        async with asyncpg.create_pool(os.environ["DSN"], min_size=1, max_size=1) as pool:
            inside = asyncio.Event()

            async def hold():
                async with pool.acquire() as connection:
                    await connection.fetch("SELECT $1::text AS held", SECRET)
                    inside.set()
                    await asyncio.sleep(0.3)

            task = asyncio.create_task(hold())
            await inside.wait()
            for n in range(3):
                async with pool.acquire() as connection:
                    await connection.fetch("SELECT $1::text AS taken, 2 AS more", SECRET)
            await task

    asyncio.run(main())
"""
SQLALCHEMY = """
    import os, threading, time, sqlalchemy as sa

    engine = sa.create_engine(os.environ["DSN"].replace("postgresql", "postgresql+psycopg2"), pool_size=1, max_overflow=0)
    inside = threading.Event()

    def hold():
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT :s AS held"), {"s": SECRET})
            inside.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    for n in range(3):
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT :s AS taken, 2 AS more"), {"s": SECRET})
    thread.join()
    engine.dispose()
"""
REDIS = """
    import os, threading, time, {library}

    client = {library}.Redis(connection_pool={library}.BlockingConnectionPool.from_url(os.environ["URL"], max_connections=1))
    inside = threading.Event()

    def hold():
        with client.client() as held:
            held.get(SECRET + " held")
            inside.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    for n in range(3): client.exists(SECRET)
    thread.join()
    client.connection_pool.disconnect()
"""
REDIS_ASYNC = """
    import asyncio, os, {library}.asyncio as redis

    async def main():
        client = redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(os.environ["URL"], max_connections=1))
        inside = asyncio.Event()

        async def hold():
            async with client.client() as held:
                await held.get(SECRET + " held")
                inside.set()
                await asyncio.sleep(0.3)

        task = asyncio.create_task(hold())
        await inside.wait()
        for n in range(3): await client.exists(SECRET)
        await task
        await client.connection_pool.disconnect()

    asyncio.run(main())
"""
POOLS = {
    "psycopg_pool": (PSYCOPG, ("psycopg", "psycopg_pool"), "psycopg pool wait"),
    "psycopg_pool, asyncio": (PSYCOPG_ASYNC, ("psycopg", "psycopg_pool"), "psycopg pool wait"),
    "asyncpg": (ASYNCPG, ("asyncpg",), "asyncpg pool wait"),
    "SQLAlchemy": (SQLALCHEMY, ("sqlalchemy", "psycopg2"), "sqlalchemy pool wait"),
}
POOLS_OF_REDIS = {
    f"{library}{asyncio}": (program.format(library=library), (library,), f"{library} pool wait")
    for library in ("redis", "valkey")
    for asyncio, program in (("", REDIS), (", asyncio", REDIS_ASYNC))
}


@pytest.mark.parametrize("name", POOLS)
def test_the_wait_for_a_connection_is_seen(name: str, postgres: Postgres, compared: Compared):
    """The one checkout that met a pool without a connection is a call, and took as long as the connection was held."""
    program, needs, span = POOLS[name]
    under = compared(program, needs=needs, env={"DSN": dsn(postgres)}, before=postgres.reset)
    calls = under.calls("sql")
    statements = {name: count for name, count in calls.items() if name.endswith((" held", " more"))}
    assert sorted(statements.values()) == [1, 3]
    assert statements == {name: count for name, count in count_statements(postgres).items() if name in statements}
    assert_waited_once(under, span)


@pytest.mark.parametrize("name", POOLS_OF_REDIS)
def test_the_wait_for_a_connection_of_redis_is_seen(name: str, valkey: Valkey, compared: Compared):
    """Of a pool that blocks, with the commands that the server had."""
    program, needs, span = POOLS_OF_REDIS[name]
    under = compared(program, needs=needs, env={"URL": valkey.url}, before=valkey.reset)
    assert {word: under.calls("cache")[f"{needs[0]} {word}"] for word in ("GET", "EXISTS")} == {"GET": 1, "EXISTS": 3}
    assert valkey.commands() == {"get": 1, "exists": 3}
    assert_waited_once(under, span)


def assert_waited_once(under: Recorded, span: str) -> None:
    """The connection was held for 0.3 s; the holder and the one that waits take turns for less than a third of it."""
    (row,) = [row for row in under.report["calls"] if row["name"] == span]
    assert row["calls"] == 1
    assert 200_000_000 < row["max_ns"] < 10_000_000_000


OPENING_PSYCOPG = """
    import os
    from psycopg_pool import ConnectionPool, NullConnectionPool

    pids = set()
    for make, least in ((ConnectionPool, 2), (ConnectionPool, 0), (NullConnectionPool, 0)):
        with make(os.environ["DSN"], min_size=least, max_size=2) as pool:
            for n in range(2):
                with pool.connection() as one, pool.connection() as two:
                    for connection in (one, two): pids.add(connection.execute("SELECT pg_backend_pid()").fetchone())
            with pool.connection() as one: pids.add(one.execute("SELECT pg_backend_pid()").fetchone())
    print(len(pids))
"""
OPENING_PSYCOPG_ASYNC = """
    import asyncio, os
    from psycopg_pool import AsyncConnectionPool

    pids = set()
    async def main():
        for least in (2, 0):
            async with AsyncConnectionPool(os.environ["DSN"], min_size=least, max_size=2) as pool:
                for n in range(2):
                    async with pool.connection() as one, pool.connection() as two:
                        for connection in (one, two):
                            pids.add(await (await connection.execute("SELECT pg_backend_pid()")).fetchone())

    asyncio.run(main())
    print(len(pids))
"""
OPENING_ASYNCPG = """
    import asyncio, asyncpg, os

    async def main():
        pids = set()
        async with asyncpg.create_pool(os.environ["DSN"], min_size=0, max_size=2) as pool:
            for n in range(3):
                async with pool.acquire() as one, pool.acquire(timeout=30) as two:
                    for connection in (one, two): pids.add(await connection.fetchval("SELECT pg_backend_pid()"))
                if n: await pool.expire_connections()
        print(len(pids))

    asyncio.run(main())
"""
OPENING_SQLALCHEMY = """
    import os, sqlalchemy as sa

    engine = sa.create_engine(os.environ["DSN"].replace("postgresql", "postgresql+psycopg"), pool_size=2, max_overflow=0)
    pids = set()
    for n in range(3):
        with engine.connect() as one, engine.connect() as two:
            for connection in (one, two): pids.add(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar())
        if n: engine.dispose()
    print(len(pids))
"""
OPENING = {
    "psycopg_pool": (OPENING_PSYCOPG, ("psycopg", "psycopg_pool"), "psycopg connect"),
    "psycopg_pool, asyncio": (OPENING_PSYCOPG_ASYNC, ("psycopg", "psycopg_pool"), "psycopg connect"),
    "asyncpg": (OPENING_ASYNCPG, ("asyncpg",), "asyncpg connect"),
    "SQLAlchemy": (OPENING_SQLALCHEMY, ("sqlalchemy", "psycopg"), "psycopg connect"),
}
OPENING_REDIS = """
    import asyncio, os, {library}, {library}.asyncio
    ids = set()
    client = {library}.Redis(connection_pool={library}.BlockingConnectionPool.from_url(os.environ["URL"], max_connections=2))
    for n in range(3):
        with client.client() as one, client.client() as two: ids |= {{one.client_id(), two.client_id()}}
        if n: client.connection_pool.disconnect()

    async def main():
        pool = {library}.asyncio.BlockingConnectionPool.from_url(os.environ["URL"], max_connections=2)
        client = {library}.asyncio.Redis(connection_pool=pool)
        for n in range(3):
            async with client.client() as one, client.client() as two: ids.update([await one.client_id(), await two.client_id()])
            if n: await pool.disconnect()

    asyncio.run(main())
    print(len(ids))
"""


@pytest.mark.parametrize("name", OPENING)
def test_opening_a_connection_is_no_wait_for_the_pool(name: str, postgres: Postgres, compared: Compared):
    """Where nobody holds a connection there is no wait; as many are opened as processes of the server have answered."""
    program, needs, span = OPENING[name]
    under = compared(program, needs=needs, env={"DSN": dsn(postgres)}, before=postgres.reset)
    assert under.calls("sql")[span] == int(under.stdout)
    assert_no_wait(under)


@pytest.mark.parametrize("library", ["redis", "valkey"])
def test_opening_a_connection_of_redis_is_no_wait_for_the_pool(library: str, valkey: Valkey, compared: Compared):
    """As many are opened as the server has given numbers to; in asyncio and without."""
    under = compared(OPENING_REDIS.format(library=library), needs=[library], env={"URL": valkey.url}, before=valkey.reset)
    assert under.calls("cache")[f"{library} connect"] == int(under.stdout)
    assert_no_wait(under)


def assert_no_wait(under: Recorded) -> None:
    """No call is one, and no finding is about one."""
    assert not [row["name"] for row in under.report["calls"] if row["name"].endswith("pool wait") and row["calls"]]
    assert not [finding for finding in under.report["findings"] if finding["kind"] == "waiting"]
