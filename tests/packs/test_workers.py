"""Workers of task queues: jobs against what was sent, failures and retries, and what jobs do against the server's count."""

from __future__ import annotations

from textwrap import dedent

import pytest
from support.clients import children, program
from support.engines import ENGINES
from support.servers import Valkey

from hookmon.testing import Recorded

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

CELERY_JOBS = """
    import os, platform, celery, redis
    platform.platform = str  # which the worker's banner asks, and which starts uname
    app = celery.Celery("shop", broker=os.environ["URL"], backend=os.environ["URL"])
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
    cache = redis.Redis.from_url(os.environ["URL"])

    @app.task(name="shop.pay")
    def pay(card): cache.strlen(card)

    @app.task(name="shop.lose")
    def lose(card): raise ValueError(card)

    @app.task(bind=True, max_retries=2, name="shop.again")
    def again(self, card):
        cache.ttl(card)
        raise self.retry(countdown=0)
"""
CELERY = """
    import os, subprocess, sys, time
    sys.path.insert(0, "")
    from shop import again, lose, pay
    options = ["-P", POOL, "-c", "2", "-l", "critical", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "shop", "worker", *options]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sent = [pay.delay(SECRET) for _ in range(20)] + [lose.delay(SECRET) for _ in range(3)] + [again.delay(SECRET)]
    for result in sent: result.get(timeout=50, propagate=False)
    time.sleep(0.5)
    worker.terminate()
    worker.wait()
    print(sorted(result.state for result in sent[-4:]))
"""


def jobs(recorded: Recorded) -> dict[str, tuple[int, int]]:
    """Return {name: (runs, errors)} of the jobs."""
    return {row["name"]: (row["calls"], row["errors"]) for row in recorded.report["transactions"] if row["kind"] == "task"}


def commands_of(recorded: Recorded) -> dict[tuple[str, str], int]:
    """Return {(job, command): calls} of the Redis commands that jobs send."""
    found = children(recorded, "cache")
    return {(job, name): calls for (job, _, name), calls in found.items() if name in ("redis STRLEN", "redis TTL")}


@EACH_ENGINE
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_celery_tasks_are_transactions_in_the_worker(compared: Compared, valkey: Valkey, pool: str, engine: str) -> None:
    """Once for each run, in every pool; a failure is an error, a retry is none before the last."""
    under = compared(
        program(CELERY_JOBS, f"POOL = {pool!r}\n{dedent(CELERY)}"),
        needs=["celery", "redis"],
        env={"URL": valkey.url, "HOOKMON_ENGINE": engine},
        packs=["celery", "redis"],
        before=valkey.reset,
    )
    assert jobs(under) == {"shop.pay": (20, 0), "shop.lose": (3, 3), "shop.again": (3, 1)}
    counted = valkey.commands()
    assert commands_of(under) == {
        ("shop.pay", "redis STRLEN"): counted["strlen"],
        ("shop.again", "redis TTL"): counted["ttl"],
    }


RQ_JOBS = """
    import os, redis
    cache = redis.Redis.from_url(os.environ["URL"])
    def pay(card): cache.strlen(card)
    def lose(card):
        cache.ttl(card)
        raise ValueError(card)
"""
RQ = """
    import logging, os, sys, redis, rq
    sys.path.insert(0, "")
    logging.disable(logging.CRITICAL)
    import shop
    connection = redis.Redis.from_url(os.environ["URL"])
    queue = rq.Queue("shop", connection=connection)
    for _ in range(5): queue.enqueue(shop.pay, SECRET)
    queue.enqueue(shop.lose, SECRET, retry=rq.Retry(max=1))
    rq.Worker([queue], connection=connection).work(burst=True)
    for _ in range(2): queue.enqueue(shop.pay, card=SECRET)
    rq.SimpleWorker([queue], connection=connection).work(burst=True)
"""

DRAMATIQ = """
    import logging, os, time, dramatiq, redis
    from dramatiq.brokers.redis import RedisBroker
    logging.disable(logging.CRITICAL)
    cache = redis.Redis.from_url(os.environ["URL"])
    broker = RedisBroker(url=os.environ["URL"])
    dramatiq.set_broker(broker)
    @dramatiq.actor(max_retries=0)
    def pay(card):
        cache.strlen(card)
        done.append(1)
    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=2)
    def lose(card):
        cache.ttl(card)
        done.append(1)
        raise ValueError(card)
    done = []
    for _ in range(7): pay.send(SECRET)
    lose.send(SECRET)
    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
    worker.start()
    end = time.monotonic() + 60
    while len(done) < 9 and time.monotonic() < end: time.sleep(0.02)
    worker.stop()
"""

HUEY = """
    import logging, os, time, huey, redis
    logging.disable(logging.CRITICAL)
    cache = redis.Redis.from_url(os.environ["URL"])
    queue = huey.RedisHuey("shop", url=os.environ["URL"])
    @queue.task()
    def pay(card):
        cache.strlen(card)
        done.append(1)
    @queue.task(retries=1)
    def lose(card):
        cache.ttl(card)
        done.append(1)
        raise ValueError(card)
    done = []
    for _ in range(7): pay(SECRET)
    lose(SECRET)
    consumer = queue.create_consumer(workers=2, periodic=False)
    consumer.start()
    end = time.monotonic() + 60
    while len(done) < 9 and time.monotonic() < end: time.sleep(0.02)
    consumer.stop(graceful=True)
"""


@EACH_ENGINE
@pytest.mark.parametrize(
    ("library", "text", "names"),
    [
        ("rq", program(RQ_JOBS, RQ), ("shop.pay", "shop.lose")),
        ("dramatiq", DRAMATIQ, ("pay", "lose")),
        ("huey", HUEY, ("pay", "lose")),
    ],
    ids=["rq", "dramatiq", "huey"],
)
def test_jobs_are_transactions_in_the_worker(
    compared: Compared, valkey: Valkey, library: str, text: str, names: tuple[str, str], engine: str
) -> None:
    """Once for each run, in processes of their own and in threads; what raises is an error, each time that it is tried."""
    under = compared(
        text,
        needs=[library, "redis"],
        env={"URL": valkey.url, "HOOKMON_ENGINE": engine},
        packs=[library, "redis"],
        before=valkey.reset,
    )
    pay, lose = names
    assert jobs(under) == {pay: (7, 0), lose: (2, 2)}
    assert [name for name in under.calls("queue") if "?" in name] == []  # what is tried again is sent under its name, too
    counted = valkey.commands()
    found = {key: calls for key, calls in commands_of(under).items() if key[0] in names}
    assert found[pay, "redis STRLEN"] == counted["strlen"] == 7
    assert found[lose, "redis TTL"] == 2
