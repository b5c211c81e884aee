"""The packs of RPC: gRPC against a real server that counts, GraphQL against the number of operations executed."""

from __future__ import annotations

from packs.conftest import Compared

GRPC = """
    import asyncio, grpc
    from collections import Counter
    from concurrent.futures import ThreadPoolExecutor

    served = Counter()

    class Till(grpc.GenericRpcHandler):
        def service(self, details):
            served[details.method] += 1
            return {
                "One": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
                "Fail": grpc.unary_unary_rpc_method_handler(
                    lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, SECRET)
                ),
                "Many": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([request] * 3)),
                "Sum": grpc.stream_unary_rpc_method_handler(lambda requests, context: b"".join(requests)),
                "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
            }[details.method.rpartition("/")[2]]

    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Till(),))
    where = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    text, metadata = SECRET.encode(), (("key", SECRET), ("authorization", "Bearer " + SECRET))
    PROGRAM
    print(sorted(served.items()))
    server.stop(None)
"""
GRPC_PROGRAMS = {  # program, calls that return at once and have messages to wait for
    "sync": """
    with grpc.insecure_channel(where) as channel:
        one = channel.unary_unary("/shop.Till/One")
        for _ in range(3): one(text, metadata=metadata)
        print(len(one.with_call(text)), one.future(text).result() == text)
        try: channel.unary_unary("/shop.Till/Fail")(text)
        except grpc.RpcError as error: print(error.code())
        print(len(list(channel.unary_stream("/shop.Till/Many")(text))))
        print(len(channel.stream_unary("/shop.Till/Sum")(iter([text, text]))))
        print(len(list(channel.stream_stream("/shop.Till/Chat")(iter([text, text])))))
    """,
    "asyncio": """
    async def main():
        async with grpc.aio.insecure_channel(where) as channel:
            one = channel.unary_unary("/shop.Till/One")
            await asyncio.gather(*[one(text, metadata=metadata) for _ in range(5)])
            try: await channel.unary_unary("/shop.Till/Fail")(text)
            except grpc.RpcError as error: print(error.code())
            print(len([each async for each in channel.unary_stream("/shop.Till/Many")(text)]))
            print(len(await channel.stream_unary("/shop.Till/Sum")(iter([text, text]))))
            call = channel.stream_stream("/shop.Till/Chat")()
            await call.write(text)
            print(len(await call.read()))
            await call.done_writing()
            print(await call.read() is grpc.aio.EOF)
    asyncio.run(main())
    """,
}
GRPC_CALLS = {"grpc /shop.Till/One": 5, **{f"grpc /shop.Till/{name}": 1 for name in ("Fail", "Many", "Sum", "Chat")}}


QUIET = {"GRPC_VERBOSITY": "NONE"}
"""Some releases say on stderr when a connection ended before its server did."""


def with_calls(kind: str) -> str:
    """Return the program of a server and its client."""
    return GRPC.replace("    PROGRAM\n", GRPC_PROGRAMS[kind].rstrip(" "))


def test_grpc_calls_are_as_many_as_the_server_had(compared: Compared) -> None:
    """By full method name; the messages of both streams and their ends are waited for apart."""
    under = compared(with_calls("sync"), needs=["grpc"], env=QUIET, packs=["grpc"])
    assert under.calls() == GRPC_CALLS | {"grpc stream wait": 3 + 1 + 2 + 1}
    assert under.errors() == {"grpc /shop.Till/Fail": 1}
    assert dict(eval(under.stdout.splitlines()[-1])) == {name.partition(" ")[2]: count for name, count in GRPC_CALLS.items()}


def test_grpc_calls_of_asyncio_are_as_many_as_the_server_had(compared: Compared) -> None:
    """Up to the end of the call."""
    under = compared(with_calls("asyncio"), needs=["grpc"], env=QUIET, packs=["grpc"])
    assert under.calls() == GRPC_CALLS
    assert under.errors() == {"grpc /shop.Till/Fail": 1}
    assert dict(eval(under.stdout.splitlines()[-1])) == {name.partition(" ")[2]: count for name, count in GRPC_CALLS.items()}


GRAPHQL = """
    import asyncio
    from graphql import build_schema, graphql, graphql_sync
    schema = build_schema("type Query { hello(name: String): String  boom: String } type Mutation { name(to: String): String }")

    class Root:
        def hello(self, info, name): return name
        def boom(self, info): raise ValueError(SECRET)
        def name(self, info, to): return to

    class Later:
        async def hello(self, info, name): return await asyncio.sleep(0.01, name)

    query = 'query Greet { hello(name: "%s") }' % SECRET
    for _ in range(3): graphql_sync(schema, query, Root())
    graphql_sync(schema, 'query Greet($name: String) { hello(name: $name) }', Root(), variable_values={"name": SECRET})
    graphql_sync(schema, '{ hello(name: "%s") }' % SECRET, Root())
    graphql_sync(schema, 'mutation { name(to: "%s") }' % SECRET, Root())
    print(len(graphql_sync(schema, "{ boom }", Root()).errors))
    print(len(graphql_sync(schema, "{ %s }" % SECRET.split("-")[0], Root()).errors))
    print(len(graphql_sync(schema, "{ " + SECRET, Root()).errors))
    async def main(): return await asyncio.gather(*[graphql(schema, query, Later()) for _ in range(5)])
    print(len([each.data["hello"] == SECRET for each in asyncio.run(main())]))
"""


def test_graphql_operations_are_counted_by_name_or_type(compared: Compared) -> None:
    """The schema is parsed as well; what is no valid query is not executed, and what is no query not validated."""
    under = compared(GRAPHQL, needs=["graphql"], env={}, packs=["graphql"])
    assert under.calls("rpc") == {"graphql Greet": 3 + 1 + 5, "graphql query": 2, "graphql mutation": 1}
    assert under.calls("function") == {"graphql parse": 1 + 14, "graphql validate": 13}
    assert under.errors() == {"graphql parse": 1}
