"""The packs of SDKs that speak HTTP through another library: one line for a call, and the stub server's own count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stubs import Answer, HttpStub, json_answer

from packs.conftest import Compared

SLACK = """
    import asyncio, os
    from slack_sdk import WebClient, WebhookClient
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_client import AsyncWebClient
    client = WebClient(token=SECRET, base_url=os.environ["URL"] + "/api/")
    for _ in range(3): client.chat_postMessage(channel=SECRET, text=SECRET)
    print(client.users_list(cursor=SECRET)["ok"])
    try: client.conversations_info(channel=SECRET)
    except SlackApiError as error: print(error.response["error"])
    print(WebhookClient(os.environ["URL"] + "/services/" + SECRET).send(text=SECRET).status_code)
    async def main():
        client = AsyncWebClient(token=SECRET, base_url=os.environ["URL"] + "/api/")
        await asyncio.gather(*[client.chat_postMessage(channel=SECRET, text=SECRET) for _ in range(5)])
    asyncio.run(main())
"""
STRIPE = """
    import asyncio, os, stripe
    stripe.api_key, stripe.api_base, stripe.enable_telemetry = SECRET, os.environ["URL"], False
    for _ in range(3): stripe.Customer.create(name=SECRET, metadata={"key": SECRET})
    print(stripe.Customer.retrieve("cus_" + SECRET).id)
    client = stripe.StripeClient(SECRET, base_addresses={"api": os.environ["URL"]})
    services = getattr(client, "v1", client)
    services.payment_intents.confirm("pi_" + SECRET)
    try: services.charges.retrieve("missing")
    except stripe.InvalidRequestError: print("missing")
"""
TWILIO = """
    import os
    from twilio.base.exceptions import TwilioRestException
    from twilio.rest import Client
    client = Client("AC" + SECRET, SECRET)
    client.api.base_url = os.environ["URL"]
    client.verify.base_url = os.environ["URL"]
    for _ in range(3): print(client.messages.create(to=SECRET, from_=SECRET, body=SECRET).sid)
    client.verify.v2.services(SECRET).verifications.create(to=SECRET, channel="sms")
    try: client.messages("missing").fetch()
    except TwilioRestException as error: print(error.status)
"""
HVAC = """
    import os, hvac
    client = hvac.Client(url=os.environ["URL"], token=SECRET)
    for _ in range(3): client.secrets.kv.v2.create_or_update_secret(path=SECRET, secret={SECRET: SECRET})
    print(client.secrets.kv.v2.read_secret_version(path=SECRET, raise_on_deleted_version=True)["data"])
    client.auth.approle.login(role_id=SECRET, secret_id=SECRET)
    try: client.secrets.kv.v2.read_secret_version(path="missing", raise_on_deleted_version=True)
    except hvac.exceptions.InvalidPath: print("missing")
"""
DOCKER = """
    import os, docker
    client = docker.DockerClient(base_url=os.environ["URL"].replace("http:", "tcp:"), version="1.43")
    for _ in range(3): print(client.containers.list(filters={"name": SECRET}))
    client.api.create_container("busybox", environment={"KEY": SECRET}, name=SECRET)
    client.api.remove_container(SECRET)
    try: client.images.get("missing")
    except docker.errors.ImageNotFound: print("missing")
"""
KUBERNETES = """
    import os
    from kubernetes import client
    configuration = client.Configuration(host=os.environ["URL"])
    configuration.api_key["authorization"] = SECRET
    api = client.CoreV1Api(client.ApiClient(configuration))
    for _ in range(3): print(api.list_namespaced_pod(SECRET, label_selector="key=" + SECRET).items)
    api.create_namespaced_secret(SECRET, {"metadata": {"name": SECRET}, "stringData": {"key": SECRET}})
    try: api.read_namespaced_pod("missing", SECRET)
    except client.ApiException as error: print(error.status)
"""
OPENSEARCH = """
    import asyncio, os
    from opensearchpy import AsyncOpenSearch, NotFoundError, OpenSearch
    where = dict(hosts=[os.environ["URL"]], http_auth=(SECRET, SECRET))
    client = OpenSearch(**where)
    for _ in range(3): client.index(index="goods-" + SECRET, id=SECRET, body={"name": SECRET})
    client.search(index="goods-" + SECRET, body={"query": {"match": {"name": SECRET}}})
    client.bulk(body=[{"index": {"_index": SECRET, "_id": SECRET}}, {"n": SECRET}])
    client.indices.create(index=SECRET)
    try: client.get(index="goods", id="missing")
    except NotFoundError: print("missing")
    async def main():
        async with AsyncOpenSearch(**where) as client:
            await asyncio.gather(*[client.search(index=SECRET, body={"query": {}}) for _ in range(5)])
    asyncio.run(main())
"""
NIQUESTS = """
    import asyncio, os, niquests
    url = os.environ["URL"]
    with niquests.Session() as session:
        session.headers["X-Key"] = SECRET
        for _ in range(3): print(session.get(url + "/" + SECRET, params={"key": SECRET}).status_code)
        print(session.get(url + "/moved").status_code, session.post(url + "/missing", data=SECRET).status_code)
    async def main():
        async with niquests.AsyncSession() as session:
            for answer in await asyncio.gather(*[session.get(url + "/" + SECRET) for _ in range(5)]): print(answer.status_code)
    asyncio.run(main())
"""
QDRANT = """
    import asyncio, os
    from qdrant_client import AsyncQdrantClient, QdrantClient, models
    where = dict(url=os.environ["URL"], check_compatibility=False)
    client = QdrantClient(**where)
    points = [models.PointStruct(id=1, vector=[0.5, 0.5], payload={"name": SECRET})]
    for _ in range(3): client.upsert("goods-" + SECRET, points)
    print(client.query_points("goods-" + SECRET, query=[0.5, 0.5]).points)
    try: client.get_collection("missing")
    except Exception as error: print(type(error).__name__)
    client.close()
    async def main():
        client = AsyncQdrantClient(**where)
        await asyncio.gather(*[client.query_points(SECRET, query=[0.5, 0.5]) for _ in range(5)])
        await client.close()
    asyncio.run(main())
"""
WEAVIATE = """
    import os, weaviate
    port = int(os.environ["URL"].rpartition(":")[2])
    where = dict(http_host="127.0.0.1", http_port=port, http_secure=False, grpc_host="127.0.0.1", grpc_port=1, grpc_secure=False)
    auth = weaviate.classes.init.Auth.api_key(SECRET)
    with weaviate.connect_to_custom(**where, auth_credentials=auth, skip_init_checks=True) as client:
        use = getattr(client.collections, "use", client.collections.get)
        goods = use("Goods")
        for _ in range(3): goods.data.insert({"name": SECRET}, vector=[0.5])
        client.collections.delete(SECRET)
        try: use("Missing").config.get()
        except weaviate.exceptions.UnexpectedStatusCodeError as error: print(error.status_code)
"""
PINECONE = """
    import os
    from pinecone import Pinecone
    index = Pinecone(api_key=SECRET).Index(host=os.environ["URL"])
    for _ in range(3): index.upsert(vectors=[{"id": SECRET, "values": [0.5], "metadata": {"name": SECRET}}])
    print(index.query(vector=[0.5], top_k=1, filter={"name": SECRET}).matches)
    index.delete(ids=[SECRET])
"""
AZURE = """
    import logging, os
    logging.disable()  # it warns of answers without a body
    from azure.core.exceptions import ResourceNotFoundError
    from azure.storage.blob import BlobServiceClient
    client = BlobServiceClient(os.environ["URL"] + "/shop", credential={"account_name": "shop", "account_key": "aHVzaA=="})
    container = client.get_container_client(SECRET)
    for _ in range(3): container.upload_blob(SECRET, SECRET.encode(), overwrite=True, metadata={"key": SECRET})
    container.delete_blob(SECRET)
    try: container.get_blob_client("missing").get_blob_properties()
    except ResourceNotFoundError as error: print(error.status_code)
"""
GOOGLE = """
    import os
    from google.api_core.exceptions import NotFound
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    options = {"api_endpoint": os.environ["URL"]}
    client = storage.Client(project=SECRET, credentials=AnonymousCredentials(), client_options=options)
    for _ in range(3): client.get_bucket(SECRET)
    client.bucket(SECRET).delete_blob(SECRET)
    try: client.get_bucket("missing")
    except NotFound as error: print(error.code)
    client.close()
    del client  # at the interpreter's end it could not close itself
"""
SDKS = {  # library: (what has to be there, program, calls, those that fail, requests of it besides: redirects and retries)
    "slack_sdk": (
        ["slack_sdk", "aiohttp"],
        SLACK,
        {"slack chat.postMessage": 8, "slack users.list": 1, "slack conversations.info": 1, "slack webhook": 1},
        {"slack conversations.info": 1},
        0,
    ),
    "stripe": (
        ["stripe", "requests"],
        STRIPE,
        {"stripe POST customers": 3, "stripe GET customers": 1, "stripe POST payment_intents": 1, "stripe GET charges": 1},
        {"stripe GET charges": 1},
        0,
    ),
    "twilio": (
        ["twilio"],
        TWILIO,
        {"twilio Api POST": 3, "twilio Verify POST": 1, "twilio Api GET": 1},
        {"twilio Api GET": 1},
        0,
    ),
    "hvac": (
        ["hvac"],
        HVAC,
        {"vault POST secret": 3, "vault GET secret": 2, "vault POST auth": 1},
        {"vault GET secret": 1},
        0,
    ),
    "docker": (
        ["docker"],
        DOCKER,
        {"docker GET containers": 3, "docker POST containers": 1, "docker DELETE containers": 1, "docker GET images": 1},
        {},
        0,
    ),
    "kubernetes": (
        ["kubernetes"],
        KUBERNETES,
        {"kubernetes GET pods": 4, "kubernetes POST secrets": 1},
        {"kubernetes GET pods": 1},
        0,
    ),
    "opensearch": (
        ["opensearchpy", "aiohttp"],
        OPENSEARCH,
        {"opensearch _doc": 4, "opensearch _search": 6, "opensearch _bulk": 1, "opensearch PUT": 1},
        {"opensearch _doc": 1},
        0,
    ),
    "niquests": (["niquests"], NIQUESTS, {"GET 127.0.0.1:*": 9, "POST 127.0.0.1:*": 1}, {}, 1),
    "weaviate": (
        ["weaviate"],
        WEAVIATE,
        {"weaviate GET meta": 1, "weaviate POST objects": 3, "weaviate DELETE schema": 1, "weaviate GET schema": 1},
        {"weaviate GET schema": 1},
        0,
    ),
    "pinecone": (
        ["pinecone"],
        PINECONE,
        {"pinecone POST vectors": 4, "pinecone POST query": 1},
        {},
        0,
    ),
    "azure": (
        ["azure.storage.blob"],
        AZURE,
        {"azure PUT 127.0.0.1:*": 3, "azure DELETE 127.0.0.1:*": 1, "azure HEAD 127.0.0.1:*": 1},
        {},
        0,
    ),
    "google_cloud": (
        ["google.cloud.storage"],
        GOOGLE,
        {"GET 127.0.0.1:* b": 4, "DELETE 127.0.0.1:* b": 1},
        {"GET 127.0.0.1:* b": 1},
        0,
    ),
    "qdrant": (
        ["qdrant_client"],
        QDRANT,
        {
            "qdrant PUT /collections/{collection_name}/points": 3,
            "qdrant POST /collections/{collection_name}/points/query": 6,
            "qdrant GET /collections/{collection_name}": 1,
        },
        {"qdrant GET /collections/{collection_name}": 1},
        0,
    ),
}


def answer(method: str, path: str, body: bytes) -> Answer:
    """Answer as the servers of these SDKs would, as far as they look."""
    if "/missing" in path:
        return json_answer(
            {"error": {"message": "missing", "type": "invalid_request_error"}, "errors": [], "message": "No such image"}, 404
        )
    if path.startswith("/api/conversations"):
        return json_answer({"ok": False, "error": "channel_not_found"})
    if path.startswith("/shop/"):
        return (
            (202 if method == "DELETE" else 201),
            {"Content-Type": "application/octet-stream", "ETag": "1", "Last-Modified": "Tue, 01 Dec 2026 05:00:00 GMT"},
            b"",
        )
    if path.startswith("/v1/") and "schema/Missing" in path:
        return json_answer({"error": [{"message": "no"}]}, 404)
    if path.startswith("/services"):
        return 200, {"Content-Type": "text/plain"}, b"ok"
    if "containers/json" in path or path.endswith("images/json"):
        return json_answer([])
    if path.startswith("/collections"):
        result: object = {"points": []} if path.endswith("query") else {"operation_id": 1, "status": "completed"}
        return json_answer({"result": result, "status": "ok", "time": 0.1})
    if path.startswith("/api/v1/namespaces"):
        return json_answer({"kind": "PodList", "apiVersion": "v1", "items": [], "metadata": {}})
    content = {
        "ok": True,
        "id": "1",
        "sid": "1",
        "object": "thing",
        "data": {"data": {}},
        "auth": {"client_token": "t"},
        "hits": {},
    }
    return json_answer(
        content | {"Id": "1", "Warnings": [], "version": "1.30.0", "upsertedCount": 1, "matches": [], "namespace": ""},
        201 if path.endswith(".json") else 200,
    )


@pytest.fixture
def api() -> Iterator[HttpStub]:
    """A server that has counted nothing yet."""
    stub = HttpStub(answer)
    yield stub
    stub.stop()


@pytest.mark.parametrize("library", SDKS)
def test_a_call_of_an_sdk_is_one_call(library: str, api: HttpStub, compared: Compared) -> None:
    """By what it does, with the request of whatever it speaks HTTP through in it; never what is asked about."""
    needs, program, calls, errors, more = SDKS[library]
    under = compared(program, needs=needs, env={"URL": api.url}, before=api.reset)
    found = under.calls("http")
    assert {name: count for name, count in found.items() if not name.endswith(("pool wait", " connect", " body"))} == calls
    assert under.errors("http") == errors
    assert api.total() == sum(calls.values()) + more
