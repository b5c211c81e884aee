"""The packs of redis and valkey: commands by name, without keys, values and passwords; the server's own count is the truth."""

from __future__ import annotations

import pytest
import redis
import redis.cluster
from support.servers import Valkey, ValkeyCluster

from packs.conftest import SECRET, Compared

PROGRAM = """
    import asyncio, os, {library} as redis, {library}.asyncio
    url = os.environ["URL"].replace("//", "//shop:" + SECRET + "@")
    with redis.from_url(url, client_name=SECRET) as client:
        for n in range(3): client.set(f"{{SECRET}}:{{n}}", SECRET, ex=100)
        client.execute_command("GET " + SECRET)
        client.hset(SECRET, mapping={{SECRET: SECRET}})
        client.config_get("maxmemory")
        with client.pipeline() as pipeline: print(pipeline.incr("n").sadd(SECRET + "s", SECRET).execute())
        try: client.lpush(SECRET, SECRET)
        except redis.ResponseError as error: print(type(error).__name__)
        client.eval("return redis.call('GET', KEYS[1] .. ARGV[1])", 1, SECRET, SECRET)
        client.publish(SECRET, SECRET)

    async def main():
        async with {library}.asyncio.from_url(url) as client:
            await asyncio.gather(*[client.get(SECRET + "a") for _ in range(20)])
            async with client.pipeline() as pipeline: print(await pipeline.incr("n").get(SECRET + "b").execute())

    asyncio.run(main())
"""
COUNTS = {"SET": 3, "GET": 1 + 20, "HSET": 1, "CONFIG GET": 1, "LPUSH": 1, "EVAL": 1, "PUBLISH": 1}


@pytest.mark.parametrize("library", ["redis", "valkey"])
def test_commands_are_as_many_as_the_server_had(library: str, valkey: Valkey, compared: Compared) -> None:
    """A pipeline is one call; what a script calls is the server's affair."""
    with redis.Redis.from_url(valkey.url) as client:
        client.execute_command("ACL", "SETUSER", "shop", "on", f">{SECRET}", "~*", "&*", "+@all")
    under = compared(PROGRAM.format(library=library), needs=[library], env={"URL": valkey.url}, before=valkey.reset)
    calls = {name: count for name, count in under.calls("cache").items() if not name.endswith((" wait", " connect"))}
    assert calls == {f"{library} {name}": count for name, count in COUNTS.items()} | {f"{library} pipeline": 2}
    assert under.errors("cache") == {f"{library} LPUSH": 1}
    served = valkey.commands()
    own = {name.lower(): count for name, count in COUNTS.items() if name != "CONFIG GET"}
    own["get"] += 1 + 1  # in the script, in a pipeline
    assert {name: served[name] for name in own} == own
    assert served["exec"] == 2


CLUSTER = """
    import os
    from redis.cluster import RedisCluster
    client = RedisCluster(host="127.0.0.1", port=int(os.environ["PORT"]), password=SECRET)
    client.set("{t}a", 1)

    def move(pipeline):
        number = int(pipeline.get("{t}a"))
        pipeline.multi()
        pipeline.set("{t}a", number + 1)

    for _ in range(5): client.transaction(move, "{t}a")
    print(client.get("{t}a"))
    client.close()
"""


def test_what_a_transaction_of_a_cluster_reads_is_counted(compared: Compared) -> None:
    """Before MULTI each command is a round trip of its own."""
    with ValkeyCluster(SECRET) as cluster:
        under = compared(CLUSTER, needs=["redis"], env={"PORT": str(cluster.port)}, before=cluster.reset)
        calls = {name: count for name, count in under.calls("cache").items() if not name.endswith("connect")}
        if not hasattr(redis.cluster, "TransactionStrategy"):
            pytest.skip(f"redis-py {redis.__version__} has no transactions in a cluster")
        own = {name: calls.get(f"redis {name.upper()}") for name in ("set", "get", "watch")}
        assert own == {"set": 1, "get": 5 + 1, "watch": 5}
        assert calls["redis pipeline"] == 5
        server = cluster.commands()
        assert {name: server[name] for name in own} == own | {"set": 1 + 5}  # in the pipelines
        assert server["exec"] == 5
