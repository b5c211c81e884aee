"""Many requests at once in one event loop: each statement belongs to the request that awaits it."""

from __future__ import annotations

from collections import Counter

import pytest
from support.servers import Postgres

from .conftest import Compared
from .test_postgres import count_statements, dsn

PROGRAM = """
    import asyncio, os
    {imports}

    async def read(connection):
        for n in range(3):
            await connection.execute("SELECT 1 AS one")
            await asyncio.sleep(0)

    async def write(connection):
        async with connection.transaction():
            await connection.execute("SELECT 1 AS one, 2 AS two")

    async def request(pool, work):
        async with pool.{take}() as connection:
            await work(connection)

    async def main():
        async with {make} as pool:
            await asyncio.gather(*[request(pool, work) for work in (read, write) * 50])

    asyncio.run(main())
"""
POOLS = {
    "asyncpg": {
        "imports": "import asyncpg",
        "take": "acquire",
        "make": "asyncpg.create_pool(os.environ['DSN'], min_size=1, max_size=5)",
    },
    "psycopg_pool": {
        "imports": "from psycopg_pool import AsyncConnectionPool",
        "take": "connection",
        "make": "AsyncConnectionPool(os.environ['DSN'], min_size=1, max_size=5, open=False)",
    },
}
CONFIG = """
[[watch]]
module = "__main__"
calls = ["read", "write"]
kind = "function"
"""


@pytest.mark.parametrize("library", POOLS)
def test_no_statement_is_charged_to_another_request(library: str, postgres: Postgres, compared: Compared):
    """A hundred requests over five connections: the tree has each statement below the function that ran it."""
    program = PROGRAM.format(**POOLS[library])
    under = compared(program, needs=[library], env={"DSN": dsn(postgres)}, before=postgres.reset, config=CONFIG)
    tree = under.report["tree"]
    below: Counter[tuple[str, str]] = Counter()
    for node in tree:
        if node["name"].startswith("SELECT ? AS one"):
            below[tree[node["parent"]]["name"] if node["parent"] >= 0 else "", node["name"]] += node["calls"]
    assert below == {("read", "SELECT ? AS one"): 150, ("write", "SELECT ? AS one, ? AS two"): 50}
    server = count_statements(postgres)
    assert {name: server[name] for _, name in below} == {name: count for (_, name), count in below.items()}
    (wait,) = [count for name, count in under.calls("sql").items() if name.endswith("pool wait")]
    assert wait == 100 - 5  # the first get those that are opened
