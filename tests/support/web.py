"""Web applications on real servers, and a client that knows what it has sent.

An application under test has the routes of ROUTES, whatever its framework, and does in each what `store.py` offers. The client is
a program of its own that nobody watches: it starts the server, sends from 4 threads at once, and ends the server.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hookmon.testing import Recorded, run
from support.sound import assert_sound

SECRET = "hush4111-9f27c8e1"
CLIENTS = 4

STORE = """
    # What the routes do: SQL and Redis, in amounts that a test can multiply.
    import os, threading
    import psycopg, redis

    here = threading.local()
    cache = redis.Redis.from_url(os.environ["REDIS_URL"])

    def connection():
        if not hasattr(here, "connection"):
            here.connection = psycopg.connect(os.environ["DSN"], autocommit=True)
        return here.connection

    def user(name):
        for number in range(5):
            cache.get(f"{name}:{number}")
        for number in range(2):
            connection().execute("SELECT name FROM person WHERE name = %s", (name,))
        return "a user"

    def order(body):
        cache.rpush("orders", body)
        connection().execute("INSERT INTO orders VALUES (%s)", (body.decode(),))
        return "an order"

    def feed():
        for number in range(3):
            connection().execute("SELECT number FROM feed")
            yield b"line %d\\n" % number
"""

TABLES = """
    DROP TABLE IF EXISTS person, orders, feed;
    CREATE TABLE person (name text); CREATE TABLE orders (body text); CREATE TABLE feed (number int)
"""

CLIENT = """
    import http.client, json, re, signal, subprocess, sys, threading, time

    command, requests, clients = json.load(open("traffic.json"))
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    lines = []
    for line in server.stdout:
        lines.append(line)
        found = re.search(r"127\\.0\\.0\\.1:(\\d+)", line)
        if found:
            break
    else:
        sys.exit("".join(lines))
    threading.Thread(target=lambda: lines.extend(server.stdout), daemon=True).start()
    got, lock = [], threading.Lock()

    def send(queue):
        for method, path, headers, body in queue:
            client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
            client.request(method, path, body, headers)
            response = client.getresponse()
            with lock:
                got.append((response.status, len(response.read())))
            client.close()

    threads = [threading.Thread(target=send, args=[requests[number::clients]]) for number in range(clients)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    print(json.dumps([got, "".join(lines)]))
"""

GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "--graceful-timeout", "3"]

GUNICORN_CONF = "control_socket_disable = True\n"
"""From 25.1 on; in a file, releases before it pass over it."""


@dataclass
class Served:
    """What one run of a server did. `statuses` is {status: responses}, `log` what the server printed."""

    recorded: Recorded
    statuses: Counter[int]
    log: str

    def requests(self) -> dict[str, int]:
        """Return {name: transactions}."""
        return self._counts(lambda row: row["parent"] < 0 and row["kind"] == "request", "calls")

    def errors(self) -> dict[str, int]:
        """Return {name: transactions that are errors}."""
        return self._counts(lambda row: row["parent"] < 0 and row["kind"] == "request", "errors")

    def counted_statuses(self) -> Counter[int]:
        """Return {status: requests} as the report has them, 0 for those without one."""
        found: Counter[int] = Counter()
        for row in self.recorded.report["transactions"]:
            assert not row["statuses"] or sum(own["calls"] for own in row["statuses"]) == row["calls"]
            for own in row["statuses"]:
                assert own["status"][0] != "5" or own["errors"] == own["calls"]
                found[0 if own["status"] == "none" else int(own["status"])] += own["calls"]
        return found

    def calls(self, kind: str) -> dict[tuple[str, str], int]:
        """Return {(transaction, name): calls} of one kind, wherever below the transaction they are."""
        return self._counts(lambda row: row["kind"] == kind, "calls", by_transaction=True)

    def streamed(self) -> dict[str, int]:
        """Return {transaction: bodies that were made after the response was begun}."""
        tree = self.recorded.report["tree"]
        bodies = [row for row in tree if row["parent"] >= 0 and tree[row["parent"]]["name"] == "(streaming)"]
        found: Counter[str] = Counter()
        for row in bodies:
            found[self._transaction(row)["name"]] += row["calls"]
        return dict(found)

    def _transaction(self, row: Any) -> Any:
        while row["parent"] >= 0:
            row = self.recorded.report["tree"][row["parent"]]
        return row

    def _counts(self, wanted: Any, figure: str, by_transaction: bool = False) -> dict[Any, int]:
        found: Counter[Any] = Counter()
        for row in self.recorded.report["tree"]:
            if wanted(row) and row[figure]:
                found[(self._transaction(row)["name"], row["name"]) if by_transaction else row["name"]] += row[figure]
        return dict(found)


def request(method: str, path: str, body: str = "") -> tuple[str, str, dict[str, str], str]:
    """Return a request with a secret wherever one can be."""
    headers = {"Cookie": f"session={SECRET}", "Authorization": f"Bearer {SECRET}", f"X-{SECRET}": SECRET}
    return method, f"{path}?token={SECRET}", headers, body or SECRET


TRAFFIC = [
    *[request("GET", f"/users/{SECRET}-{number}") for number in range(40)],
    *[request("POST", "/orders") for _ in range(12)],
    *[request("GET", "/feed") for _ in range(8)],
    *[request("GET", "/boom") for _ in range(4)],
    *[request("GET", "/busy") for _ in range(4)],
    *[request("GET", f"/{SECRET}/{number}") for number in range(8)],
    *[request(f"BREW{number}", "/nowhere") for number in range(4)],
]
"""What is sent to every framework: 80 requests."""

STATUSES = {200: 60, 500: 4, 503: 4, 404: 12}


def serve_app(
    app: str,
    command: Sequence[str],
    *,
    packs: Sequence[str],
    env: Mapping[str, str],
    python: str = sys.executable,
    files: Mapping[str, str] | None = None,
    requests: Sequence[Any] = TRAFFIC,
    config: str = "",
) -> Served:
    """Serve `app.py` with `python *command` under hookmon, send the requests, and return what came of it."""
    traffic = json.dumps([[python, *command], list(requests), CLIENTS])
    recorded = run(
        app,
        packs=packs,
        env=env,
        config=config,
        files={
            "store.py": STORE,
            "client.py": CLIENT,
            "traffic.json": traffic,
            "gunicorn.conf.py": GUNICORN_CONF,
            **(files or {}),
        },
        command=[sys.executable, "-I", "client.py"],  # not watched, and hookmon shows commands: no secret in there
        timeout_s=120,
    )
    assert recorded.exit_code == 0, recorded.stdout + recorded.stderr
    assert_sound(recorded.report)
    got, log = json.loads(recorded.stdout)
    served = Served(recorded, Counter(status for status, _ in got), log)
    assert served.counted_statuses() == served.statuses
    return served
