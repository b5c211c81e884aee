"""SQLAlchemy above each driver: the statement is counted once, by the driver's pack, and the ORM's own work beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.runs import watch
from support.servers import Postgres

from .conftest import SECRET, Compared
from .hooked import Both, both, require
from .test_postgres import count_statements

__all__ = ["both"]

MODELS = """
    import os, sqlalchemy as sa
    from sqlalchemy import event, orm

    Base = orm.declarative_base()

    class Customer(Base):
        __tablename__ = "customer"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(100))
        orders = orm.relationship("Order")

    class Order(Base):
        __tablename__ = "order"
        id = sa.Column(sa.Integer, primary_key=True)
        customer_id = sa.Column(sa.ForeignKey("customer.id"))
        text = sa.Column(sa.String(100))

    def work(session):
        session.add_all([Customer(id=n, name=SECRET, orders=[Order(text=SECRET), Order(text=SECRET)]) for n in range(1, 6)])
        session.commit()
        for customer in session.execute(sa.select(Customer).where(Customer.name == SECRET)).scalars():
            print(len(customer.orders))
        for n in range(7):
            session.execute(sa.select(Order.text).where(Order.id == n)).all()

    executed = []

    def listen(engine):
        event.listen(engine, "before_cursor_execute", lambda *args: executed.append(args[2]))
        return engine
"""
SYNC = """
    engine = listen(sa.create_engine(os.environ["DSN"]))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    executed.clear()
    with orm.Session(engine) as session:
        work(session)
    engine.dispose()
    print(len(executed))
"""
ASYNC = """
    import asyncio
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    async def main():
        engine = create_async_engine(os.environ["DSN"])
        listen(engine.sync_engine)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        executed.clear()
        async with AsyncSession(engine) as session:
            await session.run_sync(work)
        await engine.dispose()

    asyncio.run(main())
    print(len(executed))
"""
DRIVERS = {  # program, modules
    "psycopg": (SYNC, ("sqlalchemy.dialects.postgresql.psycopg", "psycopg")),
    "asyncpg": (ASYNC, ("asyncpg", "greenlet")),
    "aiosqlite": (ASYNC, ("aiosqlite", "greenlet")),
}
if "HOOKMON_PACKS_PYTHON" in os.environ:  # the same again, for those who have the time
    DRIVERS |= {
        "psycopg2": (SYNC, ("psycopg2",)),
        "psycopg_async": (ASYNC, ("sqlalchemy.dialects.postgresql.psycopg", "psycopg", "greenlet")),
        "sqlite3": (SYNC, ()),
    }
OF_THE_PROGRAM = ("SELECT ", "INSERT ")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_statement_is_counted_once(driver: str, postgres: Postgres, compared: Compared, tmp_path: Path):
    """As often as SQLAlchemy's own events and the server say, whatever the driver; lazy loads are named by their attribute."""
    program, needs = DRIVERS[driver]
    url = f"postgresql+{driver}://postgres:{SECRET}@127.0.0.1:{postgres.port}/postgres"
    if "sqlite" in driver:
        url = f"sqlite+{driver}:///{tmp_path}/{SECRET}.db".replace("+sqlite3", "")
    under = compared(MODELS + program, needs=["sqlalchemy", *needs], env={"DSN": url}, before=postgres.reset)
    statements = {
        name: count
        for name, count in under.calls("sql").items()
        if name.startswith(OF_THE_PROGRAM) and ("customer" in name or '"order"' in name) and "pg_catalog" not in name
    }
    executed = int(under.stdout.split()[-1])
    assert sum(statements.values()) == executed
    assert executed - 1 - 5 - 7 in (1 + 1, 1 + 10)  # the orders go in at once where the driver and SQLAlchemy can do that
    hooks = under.calls("hook")
    assert hooks["lazy load Customer.orders"] == 5
    assert hooks["Session.commit"] == 1
    assert hooks["Session.execute"] >= 8
    assert hooks["Session.flush"] >= 1
    if "sqlite" not in url:
        server = {
            name: count for name, count in count_statements(postgres).items() if name in statements and "INSERT" not in name
        }
        assert server == {name: count for name, count in statements.items() if "INSERT" not in name}
    assert "sqlalchemy pool wait" not in under.calls("sql")  # a pool that may open more connections has nobody wait


GREENLETS = """
    import asyncio
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    async def ask(engine, statement, times):
        async with AsyncSession(engine) as session:
            for _ in range(times):
                await session.execute(text(statement))

    async def users(engine):
        await ask(engine, "select 1", 31)

    async def both(engine):
        await asyncio.gather(ask(engine, "select 2", 7), ask(engine, "select 3", 9))

    async def main():
        engine = create_async_engine("sqlite+aiosqlite://")
        for _ in range(3):
            await users(engine)
        await both(engine)
        await engine.dispose()

    asyncio.run(main())
"""


def test_what_a_task_asks_in_greenlets_is_one_row_of_calls(both: Both):
    """SQLAlchemy's asyncio makes a greenlet for each await: the calls of a task are one after the other all the same."""
    require("sqlalchemy", "aiosqlite", "greenlet")
    config = watch("__main__", "users", "both", kind="request", entry=True)
    found = both(GREENLETS, "sqlalchemy", "aiosqlite", config=config)
    rows = {row["name"]: row for row in found.report["transactions"]}

    def repetitions_in(transaction: str) -> list[tuple[str, int, int]]:
        children = rows[transaction]["children"]
        return [
            (child["repeated"], child["most_repeated"]) for child in children if child["name"] in ("Session.execute", "select ?")
        ]

    assert repetitions_in("users") == [(3, 31), (3, 31)]
    assert repetitions_in("both") == [(2, 9), (2, 9)]
    assert [title for title in found.findings if "Session.execute" in title] == []  # the statements say it
