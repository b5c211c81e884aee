"""Servers of the Model Context Protocol over stdio: tool calls against what the client asked for and what the tools counted."""

from __future__ import annotations

import pytest
from support.clients import children
from support.engines import ENGINES

from .conftest import Compared

SERVER = """
import asyncio, logging, sqlite3
MAKE
logging.disable(logging.CRITICAL)
ran = []

@server.tool()
async def pay(card: str) -> str:
    ran.append("pay")
    sqlite3.connect(":memory:").execute("SELECT 1")
    return card

@server.tool()
def lose(card: str) -> str:
    ran.append("lose")
    raise ValueError(card)

@server.tool()
async def counted() -> str:
    return " ".join(f"{name}={ran.count(name)}" for name in ("pay", "lose"))

RUN
"""

CLIENT = """
    import asyncio, os, sys
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client
    with open("server.py", "w") as file: file.write(SERVER)

    async def main():
        parameters = StdioServerParameters(command=sys.executable, args=["server.py"], env=dict(os.environ))
        with open(os.devnull, "w") as log:
            async with stdio_client(parameters, log) as (read, write), ClientSession(read, write) as session:
                await session.initialize()
                async def ask(name, **arguments):
                    answer = await session.call_tool(name, arguments)
                    return getattr(answer, "is_error", None) or getattr(answer, "isError", False), answer.content[0].text
                print([await ask("pay", card=SECRET) == (False, SECRET) for _ in range(5)])
                print([(await ask("lose", card=SECRET))[0] for _ in range(2)])
                try: print((await ask("nothing", card=SECRET))[0])
                except Exception as error: print(True)
                print((await ask("counted"))[1])
    asyncio.run(main())
"""

MAKES = {
    "mcp": (
        "try: from mcp.server.mcpserver import MCPServer as Server\n"
        "except ImportError: from mcp.server.fastmcp import FastMCP as Server\n"
        "server = Server('shop')",
        "server.run()",
    ),
    "fastmcp": (
        "from fastmcp import FastMCP\nserver = FastMCP('shop')",
        "asyncio.run(server.run_async(transport='stdio', show_banner=False))",
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("library", MAKES)
def test_each_tool_call_of_mcp_is_a_transaction(library: str, engine: str, compared: Compared) -> None:
    """By the tools' own count, with what a tool asks for in it; a tool that raises has failed, one that is not there is none."""
    make, start = MAKES[library]
    server = SERVER.replace("MAKE", make).replace("RUN", start)
    program = CLIENT.replace("file.write(SERVER)", f"file.write({server!r})")
    under = compared(program, needs=["mcp", library], env={"HOOKMON_ENGINE": engine}, packs=[library, "sqlite3"])
    assert under.stdout.splitlines()[1:] == ["[True, True]", "True", "pay=5 lose=2"]
    assert under.stdout.startswith(str([True] * 5))
    rows = {row["name"]: (row["calls"], row["errors"]) for row in under.report["transactions"] if row["kind"] == "task"}
    assert rows == {"tool pay": (5, 0), "tool lose": (2, 2), "tool counted": (1, 0)}
    selected = {key: calls for key, calls in children(under, "sql").items() if key[2].startswith("SELECT")}
    assert selected == {("tool pay", "", "SELECT ?"): 5}
