"""The pack of gRPC servers: transactions against the servers' own counts, sync and asyncio, with interceptors and without."""

from __future__ import annotations

from textwrap import dedent

import pytest
from support.engines import ENGINES

from packs.conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

CALLED = """
    import asyncio, grpc
    from collections import Counter
    from concurrent.futures import ThreadPoolExecutor
    served = Counter()

    def call_all(where):
        with grpc.insecure_channel(where) as channel:
            text, metadata = SECRET.encode(), (("key", SECRET), ("authorization", "Bearer " + SECRET))
            one = channel.unary_unary("/shop.Till/One")
            for _ in range(7): one(text, metadata=metadata)
            for name in ("Lost", "Lost", "Broken", "Broken", "Broken", "Later", "Nowhere"):
                try: channel.unary_unary("/shop.Till/" + name)(text)
                except grpc.RpcError as error: print(name, error.code())
            print(len(list(channel.unary_stream("/shop.Till/Many")(text))))
            try: print(len(list(channel.unary_stream("/shop.Till/Less")(text))))
            except grpc.RpcError as error: print(error.code())
            print(len(channel.stream_unary("/shop.Till/Sum")(iter([text, text]))))
            print(len(list(channel.stream_stream("/shop.Till/Chat")(iter([text, text])))))

    def methods():
        def of(kind, behavior): return getattr(grpc, kind + "_rpc_method_handler")(behavior)
        unary = {"One": one, "Lost": lost, "Broken": broken, "Later": later}
        return {name: of("unary_unary", behavior) for name, behavior in unary.items()} | {
            "Many": of("unary_stream", many), "Less": of("unary_stream", less), "Sum": of("stream_unary", join),
            "Chat": of("stream_stream", chat),
        }

    class Till(grpc.GenericRpcHandler):
        def service(self, details):
            name = details.method.rpartition("/")[2]
            if name in methods(): served[name] += 1
            return methods().get(name)
"""
SYNC = """
    import sqlite3
    def one(request, context):
        sqlite3.connect(":memory:").execute("SELECT 1").close()
        return request
    def lost(request, context): context.abort(grpc.StatusCode.NOT_FOUND, SECRET)
    def broken(request, context): raise ValueError(SECRET)
    def later(request, context):
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        return request
    def many(request, context): yield from [request] * 3
    def less(request, context):
        yield request
        context.abort(grpc.StatusCode.INTERNAL, SECRET)
    def join(requests, context): return b"".join(requests)
    def chat(requests, context): yield from requests
"""
ASYNC = """
    import sqlite3
    async def one(request, context):
        await asyncio.sleep(0)
        sqlite3.connect(":memory:").execute("SELECT 1").close()
        return request
    async def lost(request, context): await context.abort(grpc.StatusCode.NOT_FOUND, SECRET)
    async def broken(request, context): raise ValueError(SECRET)
    async def later(request, context):
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        return request
    async def many(request, context):
        for _ in range(3):
            yield request
    async def less(request, context):
        await context.write(request)
        await context.abort(grpc.StatusCode.INTERNAL, SECRET)
    async def join(requests, context): return b"".join([part async for part in requests])
    async def chat(requests, context):
        async for part in requests: yield part
"""
SERVE_SYNC = """
    class Passing(grpc.ServerInterceptor):
        def intercept_service(self, go_on, details): return go_on(details)
    server = grpc.server(ThreadPoolExecutor(4), interceptors=INTERCEPTORS)
    REGISTER
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    call_all(f"127.0.0.1:{port}")
    server.stop(None).wait()
    print(sorted(served.items()))
"""
SERVE_ASYNC = """
    class Passing(grpc.aio.ServerInterceptor):
        async def intercept_service(self, go_on, details): return await go_on(details)
    async def main():
        server = grpc.aio.server(interceptors=INTERCEPTORS)
        REGISTER
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await asyncio.get_running_loop().run_in_executor(None, call_all, f"127.0.0.1:{port}")
        await server.stop(None)
    import logging
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
    print(sorted(served.items()))
"""
GENERIC = "server.add_generic_rpc_handlers((Till(),))"
REGISTERED = """(
            server.add_registered_method_handlers("shop.Till", methods())
            if hasattr(server, "add_registered_method_handlers") else server.add_generic_rpc_handlers((Till(),)))"""
"""The first where the release has it."""
PROGRAMS = {  # handlers, server, interceptors, how handlers are registered
    "sync": (SYNC, SERVE_SYNC, "None", GENERIC),
    "sync, intercepted": (SYNC, SERVE_SYNC, "(Passing(),)", GENERIC),
    "sync, registered": (SYNC, SERVE_SYNC, "()", REGISTERED),
    "asyncio": (ASYNC, SERVE_ASYNC, "None", GENERIC),
    "asyncio, intercepted": (ASYNC, SERVE_ASYNC, "[Passing()]", GENERIC),
    "asyncio, registered": (ASYNC, SERVE_ASYNC, "None", REGISTERED),
}
QUIET = {"GRPC_VERBOSITY": "NONE"}
CALLS = {"One": 7, "Lost": 2, "Broken": 3, "Later": 1, "Many": 1, "Less": 1, "Sum": 1, "Chat": 1}
FAILED = {"Broken": 3, "Later": 1, "Less": 1}


@EACH_ENGINE
@pytest.mark.parametrize("name", PROGRAMS)
def test_calls_to_a_grpc_server_are_transactions(name: str, engine: str, compared: Compared) -> None:
    """As many as it served, streams up to their end; what they do belongs to them; NOT_FOUND is the caller's mistake."""
    handlers, serve, interceptors, register = PROGRAMS[name]
    text = "import logging\nlogging.disable(logging.CRITICAL)\n" + dedent(CALLED) + dedent(handlers)
    text += dedent(serve.replace("INTERCEPTORS", interceptors).replace("REGISTER", register))
    under = compared(text, needs=["grpc"], env=QUIET | {"HOOKMON_ENGINE": engine}, packs=["grpc_server", "sqlite3"])
    assert under.transactions == {f"grpc /shop.Till/{method}": calls for method, calls in CALLS.items()}
    assert under.errors("request") == {f"grpc /shop.Till/{method}": calls for method, calls in FAILED.items()}
    assert under.calls_in("grpc /shop.Till/One")["SELECT ?"] == 7
    if register == GENERIC:
        assert dict(eval(under.stdout.splitlines()[-1])) == CALLS
