"""The packs of queues: a message is one call by task, queue or exchange; the broker's own count is the truth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers import Valkey
from support.stubs import AmqpStub

from packs.conftest import Compared

KOMBU = """
    import kombu
    orders, pay = kombu.Exchange("orders", type="fanout"), kombu.Queue("pay")
    with kombu.Connection("memory://") as connection:
        channel = connection.channel()
        log = kombu.Queue("log", orders)(channel)
        log.declare()
        with connection.Producer() as producer:
            producer.publish({"key": SECRET}, exchange=orders, routing_key=SECRET, headers={"key": SECRET}, declare=[orders])
            producer.publish(SECRET, SECRET, exchange="orders")
            for _ in range(3): producer.publish({"key": SECRET}, routing_key="pay", declare=[pay])
        with connection.Producer(exchange=orders) as producer: producer.publish(SECRET, routing_key=SECRET)
        with connection.Producer() as producer:
            for client in ("5b7a563a-e0d4-3349-abc7-1cd065bfadd6", "5b7a563ae0d43349abc71cd065bfadd6"):
                producer.publish({"key": SECRET}, routing_key=client)
        connection.SimpleQueue("simple").put({"key": SECRET})
        print([kombu.Queue(name)(channel).queue_declare(passive=True).message_count for name in ("log", "pay", "simple")])
"""


def test_kombu_messages_are_counted_by_exchange_or_queue(compared: Compared) -> None:
    """As many as are in the queues of its own broker in memory; what answers one client is not named by it."""
    under = compared(KOMBU, needs=["kombu"], env={})
    assert under.calls("queue") == {"publish orders": 3, "publish pay": 3, "publish simple": 1, "publish (reply)": 2}
    assert under.stdout == "[3, 3, 1]\n"


CELERY = """
    import celery
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")

    @app.task(name="shop.pay")
    def pay(card): return len(card)

    for _ in range(3): pay.delay(SECRET)
    pay.apply_async((SECRET,), {}, headers={"key": SECRET}, queue="fast")
    app.send_task("shop.ship", args=(SECRET,), kwargs={"to": SECRET})
    celery.group(pay.s(SECRET) for _ in range(4)).apply_async()
    with app.connection() as connection:
        channel = connection.default_channel
        print([channel.queue_declare(name, passive=True).message_count for name in ("celery", "fast")])
    app.conf.task_always_eager = True
    print(pay.delay(SECRET).get() == len(SECRET))
"""


def test_celery_tasks_are_counted_by_name(compared: Compared) -> None:
    """With kombu's message in it; an eager one, which is not sent, is a call as well."""
    under = compared(CELERY, needs=["celery"], env={})
    assert under.calls("queue") == {"send shop.pay": 3 + 1 + 4 + 1, "send shop.ship": 1}
    assert under.stdout == "[8, 1]\nTrue\n"


RQ = """
    import datetime, os, redis, rq
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushall()
    queue = rq.Queue("low", connection=client)
    queue.enqueue("shop.mail", SECRET, to=SECRET, description=SECRET)
    first = queue.enqueue(os.path.join, SECRET, job_id=SECRET)
    queue.enqueue("shop.after", SECRET, depends_on=first)
    queue.enqueue_call("shop.mail", args=(SECRET,))
    queue.enqueue_many([rq.Queue.prepare_data("shop.mail", (SECRET,)) for _ in range(3)])
    queue.enqueue_in(datetime.timedelta(hours=1), "shop.later", SECRET)
    print(len(queue), queue.deferred_job_registry.count, queue.scheduled_job_registry.count)
"""


def test_rq_jobs_are_counted_by_function(valkey: Valkey, compared: Compared) -> None:
    """As many as are in its queue and registries on a real server."""
    under = compared(RQ, needs=["rq", "redis"], env={"REDIS_URL": valkey.url}, packs=["rq"])
    counts = {"shop.mail": 2 + 3, "posixpath.join": 1, "shop.after": 1, "shop.later": 1}
    assert under.calls() == {f"enqueue {name}": count for name, count in counts.items()}
    assert under.stdout == "6 1 1\n"


DRAMATIQ = """
    import dramatiq, os, redis
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushall()
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.brokers.stub import StubBroker
    for broker in (RedisBroker(url=os.environ["REDIS_URL"]), StubBroker()):
        dramatiq.set_broker(broker)

        @dramatiq.actor(broker=broker)
        def mail(to): pass

        mail.send(SECRET)
        mail.send_with_options(args=(SECRET,), delay=100_000)
        (mail.message(SECRET) | mail.message(SECRET)).run()
        dramatiq.group([mail.message(SECRET) for _ in range(3)]).run()
    print(client.llen("dramatiq:default"), client.llen("dramatiq:default.DQ"))
"""


def test_dramatiq_messages_are_counted_by_actor(valkey: Valkey, compared: Compared) -> None:
    """With a broker as many as are in its queues on a real server; a pipeline sends its first one only."""
    under = compared(DRAMATIQ, needs=["dramatiq", "redis"], env={"REDIS_URL": valkey.url}, packs=["dramatiq"])
    assert under.calls() == {"send mail": 2 * (1 + 1 + 1 + 3)}
    assert under.stdout == "5 1\n"


HUEY = """
    import os
    from huey import RedisHuey, MemoryHuey
    for huey in (RedisHuey("shop", url=os.environ["REDIS_URL"]), MemoryHuey("shop", immediate=False)):
        huey.flush()

        @huey.task()
        def ship(to): pass

        @huey.task(name="parcel")
        def pack(what): pass

        for _ in range(3): ship(SECRET)
        ship.schedule((SECRET,), delay=100_000)
        pack(SECRET)
        print(huey.pending_count())
"""


def test_huey_tasks_are_counted_by_name(valkey: Valkey, compared: Compared) -> None:
    """As many as its storages have, one of them on a real server."""
    under = compared(HUEY, needs=["huey", "redis"], env={"REDIS_URL": valkey.url}, packs=["huey"])
    assert under.calls() == {"enqueue ship": 2 * 4, "enqueue parcel": 2}
    assert under.stdout == "5\n5\n"


@pytest.fixture
def amqp() -> Iterator[AmqpStub]:
    """A stub that has counted nothing yet."""
    stub = AmqpStub()
    yield stub
    stub.stop()


PIKA = """
    import os, pika
    where = pika.ConnectionParameters("127.0.0.1", int(os.environ["PORT"]), credentials=pika.PlainCredentials("shop", SECRET))
    connection = pika.BlockingConnection(where)
    channel = connection.channel()
    properties = pika.BasicProperties(headers={"key": SECRET}, correlation_id=SECRET)
    for _ in range(3): channel.basic_publish("orders", SECRET, SECRET.encode(), properties)
    channel.basic_publish(exchange="", routing_key="pay", body=SECRET)
    for client in ("amq.gen-PsPwBgJ3Wq0", "amq.rabbitmq.reply-to.g1h2AA", "5b7a563a-e0d4-3349-abc7-1cd065bfadd6"):
        channel.basic_publish("", client, SECRET.encode())
    channel.basic_publish("", "answers.5b7a563ae0d43349abc71cd065bfadd6", SECRET.encode())
    connection.close()
"""


def test_pika_messages_are_counted_by_exchange_or_queue(amqp: AmqpStub, compared: Compared) -> None:
    """As many as reach a stub that speaks enough of AMQP 0-9-1; queues that are made for the answers to one client are one."""
    under = compared(PIKA, needs=["pika"], env={"PORT": str(amqp.port)}, before=amqp.reset)
    assert under.calls("queue") == {"publish orders": 3, "publish pay": 1, "publish (reply)": 3, "publish answers.*": 1}
    assert amqp.published == {"orders": 3, "": 5}
