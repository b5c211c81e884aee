"""Waiting for a pooled connection: seen apart from the statements, and as long as it was."""

from __future__ import annotations

import pytest
from support.servers import Postgres

from .conftest import Compared
from .test_postgres import counted, dsn

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
POOLS = {
    "psycopg_pool": (PSYCOPG, ("psycopg", "psycopg_pool"), "psycopg pool wait"),
    "psycopg_pool, asyncio": (PSYCOPG_ASYNC, ("psycopg", "psycopg_pool"), "psycopg pool wait"),
    "asyncpg": (ASYNCPG, ("asyncpg",), "asyncpg pool wait"),
    "SQLAlchemy": (SQLALCHEMY, ("sqlalchemy", "psycopg2"), "sqlalchemy pool wait"),
}


@pytest.mark.parametrize("name", POOLS)
def test_the_wait_for_a_connection_is_seen(name: str, postgres: Postgres, compared: Compared):
    """One call for each checkout; the one that had to wait took as long as the connection was held."""
    program, needs, span = POOLS[name]
    under = compared(program, needs=needs, env={"DSN": dsn(postgres)}, before=postgres.reset)
    calls = under.calls("sql")
    assert calls[span] == 4
    statements = {name: count for name, count in calls.items() if name.endswith((" held", " more"))}
    assert sorted(statements.values()) == [1, 3]
    assert statements == {name: count for name, count in counted(postgres).items() if name in statements}
    (row,) = [row for row in under.report["calls"] if row["name"] == span]
    assert 200_000_000 < row["max_ns"] < 10_000_000_000
