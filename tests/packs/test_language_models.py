"""The packs of language models' libraries: one line for a call, by model, and the stub server's own count."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.stubs import Answer, HttpStub, json_answer

from packs.conftest import Compared

MISTRAL = """
    import asyncio, os
    try: from mistralai.client import Mistral
    except ImportError: from mistralai import Mistral
    where = dict(api_key=SECRET, server_url=os.environ["URL"])
    messages = [{"role": "user", "content": SECRET}]
    client = Mistral(**where)
    for _ in range(3): print(client.chat.complete(model="large-9", messages=messages).choices[0].message.content)
    with client.chat.stream(model="large-9", messages=messages) as stream: print(len(list(stream)))
    client.embeddings.create(model="embed-2", inputs=[SECRET])
    client.models.list()
    try: client.chat.complete(model="no-such-model", messages=messages)
    except Exception as error: print(type(error).__name__)
    async def main():
        async with Mistral(**where) as client:
            await asyncio.gather(*[client.chat.complete_async(model="small-9", messages=messages) for _ in range(5)])
    asyncio.run(main())
"""
COHERE = """
    import asyncio, os, cohere
    where = dict(api_key=SECRET, base_url=os.environ["URL"])
    messages = [{"role": "user", "content": SECRET}]
    client = cohere.ClientV2(**where)
    for _ in range(3): print(client.chat(model="command-9", messages=messages).message.content[0].text)
    print(len(list(client.chat_stream(model="command-9", messages=messages))))
    client.embed(model="embed-2", texts=[SECRET], input_type="search_document", embedding_types=["float"])
    try: client.chat(model="no-such-model", messages=messages)
    except cohere.NotFoundError as error: print(type(error).__name__)
    async def main():
        async with cohere.AsyncClientV2(**where) as client:
            await asyncio.gather(*[client.chat(model="command-9-mini", messages=messages) for _ in range(5)])
    asyncio.run(main())
"""
OLLAMA = """
    import asyncio, os, ollama
    messages = [{"role": "user", "content": SECRET}]
    client = ollama.Client(host=os.environ["URL"], headers={"X-Key": SECRET})
    for _ in range(3): print(client.chat(model="llama-9", messages=messages)["message"]["content"])
    print(len(list(client.chat(model="llama-9", messages=messages, stream=True))))
    client.embed(model="embed-2", input=SECRET)
    client.list()
    try: client.chat(model="no-such-model", messages=messages)
    except ollama.ResponseError as error: print(error.status_code)
    async def main():
        client = ollama.AsyncClient(host=os.environ["URL"])
        await asyncio.gather(*[client.chat(model="llama-9-mini", messages=messages) for _ in range(5)])
    asyncio.run(main())
"""
GENAI = """
    import asyncio, os
    from google import genai
    from google.genai import errors, types
    client = genai.Client(api_key=SECRET, http_options=types.HttpOptions(base_url=os.environ["URL"]))
    for _ in range(3): print(client.models.generate_content(model="gemini-9", contents=SECRET).text)
    print([part.text for part in client.models.generate_content_stream(model="gemini-9", contents=SECRET)])
    client.models.embed_content(model="embed-2", contents=SECRET)
    client.models.get(model="gemini-9")
    try: client.models.generate_content(model="no-such-model", contents=SECRET)
    except errors.ClientError as error: print(error.code)
    async def main():
        asked = [client.aio.models.generate_content(model="gemini-9-mini", contents=SECRET) for _ in range(5)]
        await asyncio.gather(*asked)
        await client.aio.aclose()
    asyncio.run(main())
"""
LITELLM = """
    import asyncio, os
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm
    litellm.suppress_debug_info, litellm.turn_off_message_logging = True, True
    where = dict(api_key=SECRET, api_base=os.environ["URL"] + "/v1", num_retries=0, max_retries=0)
    messages = [{"role": "user", "content": SECRET}]
    for _ in range(3): print(litellm.completion(model="openai/gpt-9", messages=messages, **where).choices[0].message.content)
    litellm.embedding(model="openai/embed-2", input=[SECRET], **where)
    try: litellm.completion(model="openai/no-such-model", messages=messages, **where)
    except litellm.NotFoundError: print("no such model")
    async def main():
        for answer in [await litellm.acompletion(model="openai/gpt-9-mini", messages=messages, **where) for _ in range(5)]:
            print(answer.choices[0].message.content)
    asyncio.run(main())
"""
HUGGINGFACE = """
    import os
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import asyncio, os
    from huggingface_hub import AsyncInferenceClient, InferenceClient
    messages = [{"role": "user", "content": SECRET}]
    client = InferenceClient(base_url=os.environ["URL"] + "/v1", api_key=SECRET)
    for _ in range(3): print(client.chat_completion(messages, model="zephyr-9").choices[0].message.content)
    print(len(list(client.chat_completion(messages, model="zephyr-9", stream=True))))
    try: client.chat_completion(messages, model="no-such-model")
    except Exception as error: print(type(error).__name__)
    async def main():
        async with AsyncInferenceClient(base_url=os.environ["URL"] + "/v1", api_key=SECRET) as client:
            await asyncio.gather(*[client.chat_completion(messages, model="zephyr-9-mini") for _ in range(5)])
    asyncio.run(main())
"""
LIBRARIES = {  # name: (what has to be there, program, {name of a call: how often}, requests of streams that are httpx's own)
    "mistral": (
        ["mistralai"],
        MISTRAL,
        {"large-9": 4, "embed-2": 1, "list_models_v1_models_get": 1, "no-such-model": 1, "small-9": 5},
        0,
    ),
    "cohere": (["cohere"], COHERE, {"command-9": 4, "embed-2": 1, "no-such-model": 1, "command-9-mini": 5}, 0),
    "ollama": (["ollama"], OLLAMA, {"llama-9": 3, "embed-2": 1, "GET": 1, "no-such-model": 1, "llama-9-mini": 5}, 1),
    "google-genai": (
        ["google.genai"],
        GENAI,
        {"gemini-9": 4, "embed-2": 1, "GET models": 1, "no-such-model": 1, "gemini-9-mini": 5},
        0,
    ),
    "litellm": (
        ["litellm"],
        LITELLM,
        {"openai/gpt-9": 3, "openai/embed-2": 1, "openai/no-such-model": 1, "openai/gpt-9-mini": 5},
        0,
    ),
    "huggingface": (["huggingface_hub"], HUGGINGFACE, {"zephyr-9": 4, "no-such-model": 1, "zephyr-9-mini": 5}, 0),
}


def answer(method: str, path: str, body: bytes) -> Answer:
    """Answer as these services would, as far as their libraries look; none of them counts the tokens of "tea"."""
    asked = json.loads(body or b"{}")
    model = asked.get("model") or path.rpartition("/")[2].partition(":")[0]
    if model == "no-such-model":
        return json_answer({"error": {"message": "no such model", "code": 404, "status": "NOT_FOUND"}, "message": "no"}, 404)
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    if "generateContent" in path or "streamGenerateContent" in path:
        whole = {"candidates": [{"content": {"role": "model", "parts": [{"text": "tea"}]}, "finishReason": "STOP"}]}
        return _stream([whole] * 3) if "stream" in path else json_answer(whole)
    if "mbed" in path:  # embeddings, embed, batchEmbedContents
        vector = {"object": "embedding", "index": 0, "embedding": [0.5], "values": [0.5]}
        many: object = [[0.5]] if path == "/api/embed" else {"float": [[0.5]]} if path == "/v2/embed" else [vector]
        meters = {"api_version": {"version": "2"}}
        return json_answer(
            {"id": "1", "object": "list", "model": "m", "data": [vector], "usage": usage, "embeddings": many}
            | {"meta": meters, "texts": [], "response_type": "embeddings_by_type"}
        )
    if path == "/api/chat":
        part = {
            "model": "m",
            "created_at": "2026-12-01T00:00:00Z",
            "done": True,
            "message": {"role": "assistant", "content": "tea"},
        }
        lines = "".join(json.dumps(part) + "\n" for _ in range(3))
        return (200, {"Content-Type": "application/x-ndjson"}, lines.encode()) if asked.get("stream") else json_answer(part)
    if path == "/v2/chat":
        message = {"role": "assistant", "content": [{"type": "text", "text": "tea"}]}
        whole = {"id": "1", "finish_reason": "COMPLETE", "message": message}
        started = {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}}
        ended = {"type": "message-end", "id": "1", "delta": {"finish_reason": "COMPLETE"}}
        return _stream([started, ended], "") if asked.get("stream") else json_answer(whole)
    if path.endswith("/chat/completions"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "tea"}}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        delta = {"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": "tea"}}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]}
        return _stream([chunk] * 3) if asked.get("stream") else json_answer(whole)
    return json_answer({"object": "list", "data": [], "models": [], "name": "models/gemini-9"})


def _stream(events: list[object], end: str = "data: [DONE]\n\n") -> Answer:
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return 200, {"Content-Type": "text/event-stream"}, (text + (end if "candidates" not in text else "")).encode()


@pytest.fixture
def model_api() -> Iterator[HttpStub]:
    """A server that has counted nothing yet."""
    stub = HttpStub(answer)
    yield stub
    stub.stop()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_call_of_a_model_by_any_library_is_one_call(library: str, model_api: HttpStub, compared: Compared) -> None:
    """With the request of whatever it speaks HTTP through in it; never a prompt."""
    needs, program, counts, streams = LIBRARIES[library]
    under = compared(program, needs=needs, env={"URL": model_api.url}, before=model_api.reset)
    calls = {name: count for name, count in under.calls("http").items() if not name.endswith(("pool wait", " connect", " body"))}
    assert calls.pop("POST 127.0.0.1:*", 0) == streams
    assert calls == {f"{library} {name}".replace("litellm openai", "litellm openai"): count for name, count in counts.items()}
    failed = next(name for name in calls if "no-such-model" in name)
    assert under.errors("http") == {failed: 1}
    assert model_api.total() == sum(counts.values()) + streams
