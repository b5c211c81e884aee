"""Workers of asyncio's task queues on real servers: jobs against what was sent and what they did, failures and retries."""

from __future__ import annotations

import pytest
from support.clients import children
from support.engines import ENGINES
from support.servers import Postgres, Valkey

from hookmon.testing import Recorded

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)


def jobs(recorded: Recorded) -> dict[str, tuple[int, int]]:
    """Return {name: (runs, errors)} of the jobs."""
    return {row["name"]: (row["calls"], row["errors"]) for row in recorded.report["transactions"] if row["kind"] == "task"}


def commands_of(recorded: Recorded) -> dict[tuple[str, str], int]:
    """Return {(job, command): calls} of the Redis commands that jobs send themselves."""
    found: dict[tuple[str, str], int] = {}
    for (job, _, name), calls in children(recorded, "cache").items():
        if name in ("redis STRLEN", "redis TTL"):
            found[job, name] = found.get((job, name), 0) + calls
    return found


ARQ = """
    import asyncio, logging, os, arq
    from arq.connections import RedisSettings
    logging.disable(logging.CRITICAL)
    settings = RedisSettings.from_dsn(os.environ["URL"])

    async def pay(ctx, card): await ctx["redis"].strlen(card)
    async def lose(ctx, card): raise ValueError(card)
    async def again(ctx, card):
        await ctx["redis"].ttl(card)
        if ctx["job_try"] == 1: raise arq.Retry(defer=0)

    async def main():
        redis = await arq.create_pool(settings)
        for _ in range(7): await redis.enqueue_job("pay", SECRET)
        for _ in range(2): await redis.enqueue_job("lose", SECRET)
        await redis.enqueue_job("again", SECRET)
        worker = arq.Worker([pay, lose, again], redis_settings=settings, burst=True, poll_delay=0.05, handle_signals=False)
        await worker.main()
        print(worker.jobs_complete, worker.jobs_failed, worker.jobs_retried)
        await worker.close()
        await redis.aclose() if hasattr(redis, "aclose") else await redis.close()
    asyncio.run(main())
"""

TASKIQ = """
    import asyncio, logging, os, warnings
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    import redis.asyncio
    from taskiq import AsyncBroker
    from taskiq.api import run_receiver_task
    from taskiq.brokers.inmemory_broker import InmemoryResultBackend
    cache = redis.asyncio.Redis.from_url(os.environ["URL"])

    class ListBroker(AsyncBroker):
        async def kick(self, message): await cache.rpush("queue", message.message)
        async def listen(self):
            while True:
                found = await cache.blpop("queue", timeout=1)
                if found: yield found[1]
    broker = ListBroker().with_result_backend(InmemoryResultBackend())

    @broker.task(task_name="pay")
    async def pay(card): await cache.strlen(card)
    @broker.task(task_name="lose")
    async def lose(card): raise ValueError(card)
    @broker.task(task_name="again")
    def again(card): return len(card)

    async def main():
        await broker.startup()
        receiver = asyncio.create_task(run_receiver_task(broker, run_startup=True))
        sent = [await task.kiq(SECRET) for task, times in ((pay, 7), (lose, 2), (again, 1)) for _ in range(times)]
        results = [await one.wait_result(check_interval=0.02, timeout=30) for one in sent]
        print(sum(not result.is_err for result in results), sum(result.is_err for result in results))
        await asyncio.sleep(0.3)
        receiver.cancel()
        try: await receiver
        except asyncio.CancelledError: pass
        await cache.aclose()
        await broker.shutdown()
    asyncio.run(main())
"""


@EACH_ENGINE
@pytest.mark.parametrize(
    ("library", "text", "again", "sends", "said"),
    [
        ("arq", ARQ, (2, 0), "enqueue", "8 2 1"),
        ("taskiq", TASKIQ, (1, 0), "send", "8 2"),
    ],
    ids=["arq", "taskiq"],
)
def test_each_job_of_an_asynchronous_worker_is_a_transaction(
    library: str,
    text: str,
    again: tuple[int, int],
    sends: str,
    said: str,
    engine: str,
    valkey: Valkey,
    compared: Compared,
) -> None:
    """By the worker's own count and the server's, where taskiq's broker keeps messages; a retry that is asked for is no error."""
    env = {"URL": valkey.url, "HOOKMON_ENGINE": engine}
    under = compared(text, needs=[library, "redis"], env=env, before=valkey.reset, packs=[library, "redis"])
    assert under.stdout.strip() == said
    assert jobs(under) == {"pay": (7, 0), "lose": (2, 2), "again": again}
    counted = valkey.commands()
    own = {("pay", "redis STRLEN"): counted["strlen"], ("again", "redis TTL"): counted.get("ttl", 0)}
    assert commands_of(under) == {key: count for key, count in own.items() if count}
    queued = {name: calls for name, calls in under.calls("queue").items() if name.startswith(f"{sends} ")}
    assert queued == {f"{sends} pay": 7, f"{sends} lose": 2, f"{sends} again": 1}


PROCRASTINATE = """
    import asyncio, logging, os, sys, psycopg, procrastinate
    logging.disable(logging.CRITICAL)
    connector = procrastinate.PsycopgConnector(conninfo=os.environ["DSN"])
    app = procrastinate.App(connector=connector)

    @app.task(name="pay")
    async def pay(card):
        await app.connector.execute_query_one_async("SELECT 'paid' AS what")
    @app.task(name="lose")
    def lose(card): raise ValueError(card)
    @app.task(name="again", retry=1)
    async def again(card): raise ValueError(card)

    async def main():
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            for _ in range(7): await pay.defer_async(card=SECRET)
            for _ in range(2): await lose.defer_async(card=SECRET)
            await again.defer_async(card=SECRET)
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
            rows = await app.connector.execute_query_all_async(
                "SELECT task_name, status::text, sum(attempts)::int AS tries FROM procrastinate_jobs GROUP BY 1, 2 ORDER BY 1")
            print([tuple(row.values()) for row in rows])
    asyncio.run(main())
"""


@EACH_ENGINE
def test_each_job_of_procrastinate_is_a_transaction(engine: str, postgres: Postgres, compared: Compared) -> None:
    """By its own table in a real PostgreSQL, which counts the jobs' statements too; one that is tried again failed twice."""

    def forget() -> None:
        postgres.execute("DROP SCHEMA public CASCADE")
        postgres.execute("CREATE SCHEMA public")
        postgres.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        postgres.reset()

    forget()
    env = {"DSN": postgres.dsn, "HOOKMON_ENGINE": engine}
    under = compared(
        PROCRASTINATE, needs=["procrastinate", "psycopg_pool"], env=env, before=forget, packs=["procrastinate", "psycopg"]
    )
    assert jobs(under) == {"pay": (7, 0), "lose": (2, 2), "again": (2, 2)}
    assert eval(under.stdout) == [("again", "failed", 2), ("lose", "failed", 2), ("pay", "succeeded", 7)]
    paid = {key: calls for key, calls in children(under, "sql").items() if "what" in key[2]}
    assert paid == {("pay", "", "SELECT ? AS what"): 7}
    assert postgres.statements()["SELECT $1 AS what"] == 7
    assert under.calls("queue") == {"defer pay": 7, "defer lose": 2, "defer again": 1}
