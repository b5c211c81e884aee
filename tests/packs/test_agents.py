"""The packs of what stands above clients of models and stores: agents by name, with their calls of a model in them; Chroma."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from support.servers import _free_port
from support.stubs import Answer, HttpStub, json_answer

from .conftest import ENGINE, PYTHON, Compared
from .hooked import require

PYDANTIC_AI = """
    import asyncio, os
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    model = OpenAIChatModel("gpt-9", provider=OpenAIProvider(base_url=os.environ["URL"] + "/v1", api_key=SECRET))
    agent = Agent(model, name="shopper", system_prompt=SECRET)
    for n in range(2): print(agent.run_sync(SECRET).output)
    print(asyncio.run(agent.run(SECRET)).output)
"""
AGENTS = """
    import asyncio, os, platform
    platform.platform = str  # which openai asks, and which starts uname
    import agents, openai
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=os.environ["URL"] + "/v1", api_key=SECRET, max_retries=0)
    model = agents.OpenAIChatCompletionsModel("gpt-9", client)
    agent = agents.Agent(name="shopper", instructions=SECRET, model=model)
    async def main():
        for n in range(3): print((await agents.Runner.run(agent, SECRET)).final_output)
    asyncio.run(main())
"""


def answer(method: str, path: str, body: bytes) -> Answer:
    """Answer as OpenAI would."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "tea"}}
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    model = json.loads(body)["model"]
    return json_answer(
        {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    )


@pytest.mark.parametrize(("module", "program"), [("pydantic_ai", PYDANTIC_AI), ("agents", AGENTS)])
def test_a_run_of_an_agent_has_its_calls_of_a_model_in_it(module: str, program: str, compared: Compared) -> None:
    """By the agent's name; the calls are those of the model's own library, one for each request."""
    if module == "pydantic_ai" and ENGINE.get("HOOKMON_ENGINE") == "pure":
        pytest.skip("the pure engine does not watch what looks at the frame of its caller")
    stub = HttpStub(answer)
    try:
        under = compared(program, needs=[module, "openai"], env={"URL": stub.url}, before=stub.reset)
    finally:
        stub.stop()
    assert under.calls("function") == {"agent shopper": 3}
    calls = {name: count for name, count in under.calls("http").items() if not name.endswith((" connect", " body"))}
    assert calls == {"openai gpt-9": 3}
    assert stub.total() == 3


CHROMA = """
    import os, chromadb
    from chromadb.config import Settings
    settings = Settings(anonymized_telemetry=False)
    port = os.environ["PORT"]
    if port: client = chromadb.HttpClient("127.0.0.1", int(port), settings=settings)
    else: client = chromadb.EphemeralClient(settings=settings)
    goods = client.get_or_create_collection("goods", embedding_function=None)
    for n in range(3): goods.add(ids=[f"{SECRET}-{n}"], embeddings=[[0.5, n]], documents=[SECRET], metadatas=[{"key": SECRET}])
    print(goods.query(query_embeddings=[[0.5, 0.5]], n_results=1, where={"key": SECRET})["ids"][0][0] == SECRET + "-0")
    print(goods.count(), len(goods.get(ids=[SECRET + "-1"])["ids"]))
    goods.delete(ids=[SECRET + "-1"])
    try: goods.query(query_embeddings=[[0.5]], n_results=1)
    except Exception as error: print(type(error).__name__)
    client.delete_collection("goods")
"""


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[str]:
    """The port of a real Chroma server."""
    require("chromadb")
    program, port = Path(PYTHON).with_name("chroma"), _free_port()
    line = [program, "run", "--host", "127.0.0.1", "--port", str(port), "--path", str(tmp_path / "data")]
    server = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    end = time.monotonic() + 60
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat").close()
            break
        except URLError:
            assert server.poll() is None, "Chroma has ended"
            assert time.monotonic() < end, "Chroma does not answer"
            time.sleep(0.1)
    yield str(port)
    server.terminate()
    server.wait()


@pytest.mark.parametrize(("place", "kind"), [("a server", "http"), ("the process", "cache")])
def test_calls_of_chroma_are_counted_by_what_they_do(
    place: str, kind: str, compared: Compared, request: pytest.FixtureRequest
) -> None:
    """Of a server they are calls by HTTP, with the request of httpx in them."""
    port = request.getfixturevalue("chroma") if kind == "http" else ""
    under = compared(CHROMA, needs=["chromadb"], env={"PORT": port})
    calls = {name: count for name, count in under.calls(kind).items() if name.startswith("chroma ")}
    assert calls == {"chroma add": 3, "chroma query": 2, "chroma count": 1, "chroma get": 1, "chroma delete": 1}
    assert under.errors(kind) == {"chroma query": 1}
