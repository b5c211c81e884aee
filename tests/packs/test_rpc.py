"""The packs of RPC: gRPC against a real server that counts, GraphQL against the number of operations executed."""

from __future__ import annotations

import pytest

from packs.conftest import Compared

GRPC = """
    import asyncio, grpc
    from collections import Counter
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event

    served = Counter()

    read = Event()

    def took(reply):
        read.set()
        return len(reply)

    def broken(request, context):
        yield request
        read.wait(30)  # or gRPC may tell the client of the failure first, and drop the message
        read.clear()
        context.abort(grpc.StatusCode.INTERNAL, SECRET)

    class Plain(grpc.aio.UnaryUnaryClientInterceptor, grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_unary(self, go_on, details, request): return await go_on(details, request)
        async def intercept_unary_stream(self, go_on, details, request): return await go_on(details, request)

    class Till(grpc.GenericRpcHandler):
        def service(self, details):
            served[details.method] += 1
            return {
                "One": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
                "Fail": grpc.unary_unary_rpc_method_handler(
                    lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, SECRET)
                ),
                "Many": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([request] * 3)),
                "Less": grpc.unary_stream_rpc_method_handler(broken),
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
        try: print([took(reply) for reply in channel.unary_stream("/shop.Till/Less")(text)])
        except grpc.RpcError as error: print(error.code())
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
            print(len([reply async for reply in channel.unary_stream("/shop.Till/Many")(text)]))
            print(len(await channel.stream_unary("/shop.Till/Sum")(iter([text, text]))))
            call = channel.stream_stream("/shop.Till/Chat")()
            await call.write(text)
            print(len(await call.read()))
            await call.done_writing()
            print(await call.read() is grpc.aio.EOF)
            await less(channel)
    async def less(channel):
        try: print([took(reply) async for reply in channel.unary_stream("/shop.Till/Less")(text)])
        except grpc.RpcError as error: print(error.code())
    asyncio.run(main())
    """,
    "interceptors": """
    async def main():
        async with grpc.aio.insecure_channel(where, interceptors=[Plain()]) as channel:
            one, fail = channel.unary_unary("/shop.Till/One"), channel.unary_unary("/shop.Till/Fail")
            await asyncio.gather(*[one(text, metadata=metadata) for _ in range(3)])
            for _ in range(2):
                try: await fail(text)
                except grpc.RpcError as error: print(error.code())
            print(len([reply async for reply in channel.unary_stream("/shop.Till/Many")(text)]))
            try: print([took(reply) async for reply in channel.unary_stream("/shop.Till/Less")(text)])
            except grpc.RpcError as error: print(error.code())
    asyncio.run(main())
    """,
}
GRPC_CALLS = {"grpc /shop.Till/One": 5, **{f"grpc /shop.Till/{name}": 1 for name in ("Fail", "Many", "Less", "Sum", "Chat")}}

QUIET = {"GRPC_VERBOSITY": "NONE"}
"""Some releases say on stderr when a connection ended before its server did."""


def with_calls(kind: str) -> str:
    """Return the program of a server and its client."""
    return GRPC.replace("    PROGRAM\n", GRPC_PROGRAMS[kind].rstrip(" "))


def test_grpc_calls_are_as_many_as_the_server_had(compared: Compared) -> None:
    """By full method name; the messages of both streams and their ends are waited for apart."""
    under = compared(with_calls("sync"), needs=["grpc"], env=QUIET, packs=["grpc"])
    assert under.calls() == GRPC_CALLS | {"grpc stream wait": 4 + 2 + 2 + 1}
    assert under.errors() == {"grpc /shop.Till/Fail": 1, "grpc stream wait": 1}
    assert dict(eval(under.stdout.splitlines()[-1])) == {name.partition(" ")[2]: count for name, count in GRPC_CALLS.items()}


def test_grpc_calls_of_asyncio_are_as_many_as_the_server_had(compared: Compared) -> None:
    """Up to the end of the call, and the messages of streams up to their ends."""
    under = compared(with_calls("asyncio"), needs=["grpc"], env=QUIET, packs=["grpc"])
    waits = under.calls()["grpc stream wait"]
    # three messages and the end, one and the failure, one and the end, which `read` does not wait for when it has come by then
    assert waits in (4 + 2 + 2, 4 + 2 + 1)
    assert under.calls() == GRPC_CALLS | {"grpc stream wait": waits}
    assert under.errors() == {"grpc /shop.Till/Fail": 1, "grpc stream wait": 1}
    assert dict(eval(under.stdout.splitlines()[-1])) == {name.partition(" ")[2]: count for name, count in GRPC_CALLS.items()}


def test_grpc_calls_fail_behind_interceptors_too(compared: Compared) -> None:
    """Which stand between asyncio's client and the call that knows how it ended."""
    under = compared(with_calls("interceptors"), needs=["grpc"], env=QUIET, packs=["grpc"])
    expected = {"grpc /shop.Till/One": 3, "grpc /shop.Till/Fail": 2, "grpc /shop.Till/Many": 1, "grpc /shop.Till/Less": 1}
    assert under.calls() == expected | {"grpc stream wait": 4 + 2}
    assert under.errors() == {"grpc /shop.Till/Fail": 2, "grpc stream wait": 1}


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

    class Failing:
        async def hello(self, info): raise ValueError(SECRET)
        async def boom(self, info): raise ValueError(SECRET)

    query = 'query Greet { hello(name: "%s") }' % SECRET
    for _ in range(3): graphql_sync(schema, query, Root())
    graphql_sync(schema, 'query Greet($name: String) { hello(name: $name) }', Root(), variable_values={"name": SECRET})
    graphql_sync(schema, '{ hello(name: "%s") }' % SECRET, Root())
    graphql_sync(schema, 'mutation { name(to: "%s") }' % SECRET, Root())
    print(len(graphql_sync(schema, "{ boom }", Root()).errors))
    print(len(graphql_sync(schema, "{ %s }" % SECRET.split("-")[0], Root()).errors))
    print(len(graphql_sync(schema, "{ " + SECRET, Root()).errors))
    several = "query First { hello } query Second { hello }"
    graphql_sync(schema, several, {"hello": lambda info: SECRET}, operation_name="Second")
    graphql_sync(schema, "fragment Part on Query { hello } query Whole { ...Part }", {"hello": lambda info: SECRET})
    async def main():
        print(len((await graphql(schema, "query Late { late: boom hello }", Failing())).errors))
        return await asyncio.gather(*[graphql(schema, query, Later()) for _ in range(5)])
    print(len([reply.data["hello"] == SECRET for reply in asyncio.run(main())]))
"""


def test_graphql_operations_are_counted_by_name_or_type(compared: Compared) -> None:
    """The schema is parsed as well; what is no valid query is not executed, and what is no query not validated.

    The name is that of the operation that is executed; one whose result has errors, at once or later, is an error.
    """
    under = compared(GRAPHQL, needs=["graphql"], env={}, packs=["graphql"])
    assert under.calls("rpc") == {
        "graphql Greet": 3 + 1 + 5,
        "graphql query": 2,
        "graphql mutation": 1,
        **dict.fromkeys(("graphql Second", "graphql Whole", "graphql Late"), 1),
    }
    assert under.calls("function") == {"graphql parse": 1 + 17, "graphql validate": 16}
    assert under.errors() == {"graphql parse": 1, "graphql query": 1, "graphql Late": 1}


FAILING = """
    import asyncio, traceback
    from graphql import build_schema, execute, parse
    schema, question = build_schema("type Query { a: Int }"), parse("{ a }")

    def told(error):
        print([(frame.filename.rpartition("/")[2], frame.name) for frame in traceback.extract_tb(error.__traceback__)][1:-1])

    def stopped(*_): raise KeyboardInterrupt
    try: execute(schema, question, field_resolver=stopped)
    except KeyboardInterrupt as error: told(error)
    try: execute(schema, None)
    except Exception as error: told(error)

    async def cancelled(*_):
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def main():
        try: await execute(schema, question, field_resolver=cancelled)
        except asyncio.CancelledError as error: told(error)
    asyncio.run(main())
"""


def test_what_graphql_raises_has_no_line_of_ours(compared: Compared) -> None:
    """From a resolver that is interrupted or cancelled, and of its own."""
    under = compared(FAILING, needs=["graphql"], env={}, packs=["graphql"])
    assert under.stdout.count("execute.py") > 2


SERVERS_OF_GRAPHQL = {  # a schema, and how it is asked, which returns whether there are errors
    "strawberry": """
    import strawberry
    @strawberry.type
    class Query:
        @strawberry.field
        def hello(self, name: str) -> str: return count("hello", name)
        @strawberry.field
        async def late(self, name: str) -> str: return count("late", name)
        @strawberry.field
        def boom(self) -> str: return count("boom", 1 / 0)
    schema = strawberry.Schema(Query)
    def ask(text, **values): return bool(schema.execute_sync(text, variable_values=values).errors)
    async def ask_later(text, **values): return bool((await schema.execute(text, variable_values=values)).errors)
    """,
    "ariadne": """
    from ariadne import QueryType, graphql, graphql_sync, make_executable_schema
    query = QueryType()
    query.set_field("hello", lambda _, info, name: count("hello", name))
    query.set_field("boom", lambda _, info: count("boom", 1 / 0))
    @query.field("late")
    async def late(_, info, name): return count("late", name)
    fields = "hello(name: String!): String!  late(name: String!): String!  boom: String!"
    schema = make_executable_schema("type Query { %s }" % fields, query)
    def ask(text, **values): return "errors" in graphql_sync(schema, {"query": text, "variables": values})[1]
    async def ask_later(text, **values): return "errors" in (await graphql(schema, {"query": text, "variables": values}))[1]
    """,
}
ASKED = """
    import asyncio, logging
    from collections import Counter
    logging.disable(logging.CRITICAL)
    counts = Counter()
    def count(name, value):
        counts[name] += 1
        return value
    SCHEMA
    print([ask("query Greet($name: String!) { hello(name: $name) }", name=SECRET) for _ in range(3)])
    print(ask('{ hello(name: "%s") }' % SECRET), ask("query Broken { boom }"))
    print(ask("{ %s }" % SECRET.split("-")[0]))
    late = "query Late($name: String!) { late(name: $name) }"
    async def main(): print(await asyncio.gather(*[ask_later(late, name=SECRET) for _ in range(4)]))
    asyncio.run(main())
    print(sorted(counts.items()))
"""


@pytest.mark.parametrize("library", SERVERS_OF_GRAPHQL)
def test_operations_of_graphql_servers_are_counted_once_by_name(library: str, compared: Compared) -> None:
    """By how often their resolvers ran, with the pack of what they lie on; a query that is not valid runs none."""
    program = ASKED.replace("    SCHEMA\n", SERVERS_OF_GRAPHQL[library].lstrip("\n").rstrip(" "))
    under = compared(program, needs=[library], env={}, packs=["graphql"])
    assert under.calls("rpc") == {"graphql Greet": 3, "graphql query": 1, "graphql Broken": 1, "graphql Late": 4}
    assert under.errors("rpc") == {"graphql Broken": 1}
    assert eval(under.stdout.splitlines()[-1]) == [("hello", 4), ("late", 4)]
