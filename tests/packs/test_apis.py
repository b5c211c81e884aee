"""The packs of clients that speak HTTP through another library: one line for a call, and the stub server's own count."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.stubs import Answer, HttpStub, json_answer

from packs.conftest import Compared


def answer(method: str, path: str, body: bytes) -> Answer:
    """Answer as Elasticsearch, S3, DynamoDB, OpenAI or Anthropic would, as far as their clients look."""
    if path.startswith("/v1/"):
        return _model(path, json.loads(body or b"{}"))
    if path == "/bucket-1/missing":
        return 404, {"Content-Type": "application/xml"}, b"<Error><Code>NoSuchKey</Code></Error>"
    if path.startswith("/bucket-1/"):
        return 200, {"Content-Type": "application/xml", "ETag": '"1"'}, b""
    if path == "/":
        return json_answer({"TableNames": []}, **{"Content-Type": "application/x-amz-json-1.0"})
    status = 404 if path.endswith("/missing") else 200
    content = {"hits": {"total": {"value": 0}, "hits": []}, "items": [], "errors": False, "count": 0}
    return json_answer(content, status, **{"X-Elastic-Product": "Elasticsearch"})


def _model(path: str, asked: dict[str, object]) -> Answer:
    if asked.get("model") == "no-such-model":
        return json_answer({"error": {"message": "no such model", "type": "invalid_request_error"}, "type": "error"}, 404)
    events: list[tuple[str, object]]
    if path.endswith("/messages"):
        message = {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "stop_reason": "end_turn",
            "stop_sequence": None,
        }
        message |= {"content": [{"type": "text", "text": "tea"}], "usage": {"input_tokens": 1, "output_tokens": 1}}
        whole = message
        events = [
            ("message_start", {"type": "message_start", "message": {**message, "content": []}}),
            ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            *[
                (
                    "content_block_delta",
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "tea"}},
                )
                for _ in range(3)
            ],
            ("content_block_stop", {"type": "content_block_stop", "index": 0}),
            ("message_stop", {"type": "message_stop"}),
        ]
    elif path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        whole = {"object": "list", "model": "m", "data": [vector], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        events = []
    elif path.endswith("/models"):
        whole, events = {"object": "list", "data": []}, []
    else:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "tea"}}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        part = {"index": 0, "finish_reason": None, "delta": {"content": "tea"}}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [part]}
        events = [("", chunk)] * 3
    if not asked.get("stream"):
        return json_answer(whole)
    text = "".join((f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n" for name, data in events)
    return 200, {"Content-Type": "text/event-stream"}, (text + ("" if events[0][0] else "data: [DONE]\n\n")).encode()


@pytest.fixture
def api() -> Iterator[HttpStub]:
    """A server that has counted nothing yet."""
    stub = HttpStub(answer)
    yield stub
    stub.stop()


BOTOCORE = """
    import os, botocore.session
    session = botocore.session.get_session()
    where = dict(region_name="eu-west-1", endpoint_url=os.environ["URL"], aws_access_key_id=SECRET, aws_secret_access_key=SECRET)
    s3 = session.create_client("s3", config=botocore.config.Config(s3={"addressing_style": "path"}), **where)
    for _ in range(3): s3.put_object(Bucket="bucket-1", Key=SECRET, Body=SECRET.encode(), Metadata={"key": SECRET})
    try: s3.get_object(Bucket="bucket-1", Key="missing")
    except Exception as error: print(type(error).__name__)
    tables = session.create_client("dynamodb", **where)
    print(tables.list_tables(ExclusiveStartTableName=SECRET)["TableNames"])
    try: tables.put_item(TableName=SECRET)
    except Exception as error: print(type(error).__name__)
"""


def test_a_call_of_an_aws_service_is_one_call(api: HttpStub, compared: Compared) -> None:
    """By service and operation, with the request of urllib3 in it."""
    under = compared(BOTOCORE, needs=["botocore"], env={"URL": api.url}, before=api.reset)
    calls = {"aws s3 PutObject": 3, "aws s3 GetObject": 1, "aws dynamodb ListTables": 1, "aws dynamodb PutItem": 1}
    assert one_line_each(under.calls("http")) == calls
    assert under.errors("http") == {"aws s3 GetObject": 1, "aws dynamodb PutItem": 1}
    assert api.total() == sum(calls.values()) - 1  # what is no valid call is not sent


AIOBOTOCORE = """
    import asyncio, os
    from aiobotocore.session import get_session
    from botocore.config import Config
    async def main():
        keys = dict(aws_access_key_id=SECRET, aws_secret_access_key=SECRET)
        where = dict(region_name="eu-west-1", endpoint_url=os.environ["URL"], **keys)
        async with get_session().create_client("s3", config=Config(s3={"addressing_style": "path"}), **where) as s3:
            for _ in range(3): await s3.put_object(Bucket="bucket-1", Key=SECRET, Body=SECRET.encode(), Metadata={"key": SECRET})
            try: await s3.get_object(Bucket="bucket-1", Key="missing")
            except s3.exceptions.NoSuchKey as error: print(type(error).__name__)
    asyncio.run(main())
"""


def test_a_call_of_an_aws_service_with_asyncio_is_one_call(api: HttpStub, compared: Compared) -> None:
    """By aiobotocore, with the request of aiohttp in it; a failure is an error."""
    under = compared(AIOBOTOCORE, needs=["aiobotocore"], env={"URL": api.url}, before=api.reset)
    assert one_line_each(under.calls("http")) == {"aws s3 PutObject": 3, "aws s3 GetObject": 1}
    assert under.errors("http") == {"aws s3 GetObject": 1}
    assert api.total() == 4


ELASTICSEARCH = """
    import os
    from elasticsearch import Elasticsearch, NotFoundError
    client = Elasticsearch(os.environ["URL"], basic_auth=(SECRET, SECRET), headers={"X-Key": SECRET})
    for _ in range(3): client.index(index="goods", id=SECRET, document={"name": SECRET})
    client.search(index="goods-" + SECRET, query={"match": {"name": SECRET}})
    print(client.count(index="goods", q=SECRET)["count"])
    print(client.bulk(operations=[{"index": {"_id": SECRET}}, {"n": SECRET}])["errors"])
    client.indices.create(index=SECRET)
    try: client.get(index="goods", id="missing")
    except NotFoundError: print("missing")
    client.close()
"""
ELASTICSEARCH_ASYNC = """
    import asyncio, os
    from elasticsearch import AsyncElasticsearch
    async def main():
        async with AsyncElasticsearch(os.environ["URL"], api_key=SECRET) as client:
            await asyncio.gather(*[client.search(index="goods", query={"match": {"name": SECRET}}) for _ in range(20)])
            await client.indices.refresh(index=SECRET)
    asyncio.run(main())
"""


def test_a_call_of_elasticsearch_is_one_call(api: HttpStub, compared: Compared) -> None:
    """By endpoint, with the request of urllib3 in it."""
    under = compared(ELASTICSEARCH, needs=["elasticsearch"], env={"URL": api.url}, before=api.reset)
    counts = {"index": 3, "search": 1, "count": 1, "bulk": 1, "indices.create": 1, "get": 1}
    assert one_line_each(under.calls("http")) == {f"elasticsearch {name}": count for name, count in counts.items()}
    assert under.errors("http") == {"elasticsearch get": 1}
    assert api.total() == sum(counts.values())


def test_an_asynchronous_call_of_elasticsearch_is_one_call(api: HttpStub, compared: Compared) -> None:
    """With the request of aiohttp in it."""
    under = compared(ELASTICSEARCH_ASYNC, needs=["elasticsearch", "aiohttp"], env={"URL": api.url}, before=api.reset)
    assert one_line_each(under.calls("http")) == {"elasticsearch search": 20, "elasticsearch indices.refresh": 1}
    assert api.total() == 21


OPENAI = """
    import asyncio, os, openai, platform
    platform.platform = str  # which the library asks, and which starts uname
    messages = [{"role": "user", "content": SECRET}]
    where = dict(api_key=SECRET, base_url=os.environ["URL"] + "/v1", max_retries=0, default_headers={"X-Key": SECRET})
    client = openai.OpenAI(**where)
    create = client.chat.completions.create
    for _ in range(3): print(create(model="gpt-9", messages=messages, user=SECRET).choices[0].message.content)
    print([chunk.choices[0].delta.content for chunk in create(model="gpt-9", messages=messages, stream=True)])
    client.embeddings.create(model="embed-2", input=[SECRET])
    client.models.list()
    try: client.chat.completions.create(model="no-such-model", messages=messages)
    except openai.NotFoundError: print("no such model")
    client.close()
    async def main():
        async with openai.AsyncOpenAI(**where) as client:
            await asyncio.gather(*[client.chat.completions.create(model="gpt-9-mini", messages=messages) for _ in range(5)])
            stream = await client.chat.completions.create(model="gpt-9-mini", messages=messages, stream=True)
            print([chunk.choices[0].delta.content async for chunk in stream])
    asyncio.run(main())
"""
ANTHROPIC = """
    import asyncio, os, anthropic, platform
    platform.platform = str  # which the library asks, and which starts uname
    what = dict(max_tokens=9, system=SECRET, messages=[{"role": "user", "content": SECRET}])
    where = dict(api_key=SECRET, base_url=os.environ["URL"], max_retries=0, default_headers={"X-Key": SECRET})
    client = anthropic.Anthropic(**where)
    for _ in range(3): print(client.messages.create(model="opus-9", **what).content[0].text)
    print(len([event.type for event in client.messages.create(model="opus-9", stream=True, **what)]))
    with client.messages.stream(model="opus-9", **what) as stream: print(list(stream.text_stream))
    try: client.messages.create(model="no-such-model", **what)
    except anthropic.NotFoundError: print("no such model")
    client.close()
    async def main():
        async with anthropic.AsyncAnthropic(**where) as client:
            await asyncio.gather(*[client.messages.create(model="haiku-9", **what) for _ in range(5)])
            stream = await client.messages.create(model="haiku-9", stream=True, **what)
            print(len([event.type async for event in stream]))
    asyncio.run(main())
"""
MODELS = {  # program, {name: calls}
    "openai": (
        OPENAI,
        {"gpt-9": 4, "embed-2": 1, "get": 1, "no-such-model": 1, "gpt-9-mini": 6, "stream": 2},
    ),
    "anthropic": (
        ANTHROPIC,
        {"opus-9": 5, "no-such-model": 1, "haiku-9": 6, "stream": 3},
    ),
}


@pytest.mark.parametrize("library", MODELS)
def test_a_call_of_a_language_model_is_one_call(library: str, api: HttpStub, compared: Compared) -> None:
    """By model, with httpx's request in it; never a prompt. The text of a stream is a call of its own."""
    program, counts = MODELS[library]
    under = compared(program, needs=[library], env={"URL": api.url}, before=api.reset)
    assert one_line_each(under.calls("http")) == {f"{library} {name}": count for name, count in counts.items()}
    assert under.errors("http") == {f"{library} no-such-model": 1}
    assert api.total() == sum(counts.values()) - counts["stream"]


def one_line_each(calls: dict[str, int]) -> dict[str, int]:
    """Leave out what a pack asks for inside a call on purpose."""
    return {name: count for name, count in calls.items() if not name.endswith(("pool wait", " connect", " body"))}
