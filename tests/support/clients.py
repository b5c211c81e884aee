"""A real web server with real clients, as text for a program of a test: the client's own counts are the truth."""

from __future__ import annotations

from textwrap import dedent

from hookmon.testing import Recorded

_DRIVER = '''
import collections, http.client, json, os, socket, subprocess, sys, threading, time

def serve(command, requests, clients=4, rounds=5):
    """Start a server, let each client send all requests in its own order, end the server; print {label: {status: times}}."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, *[part.replace("PORT", str(port)) for part in command]])
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < end and server.poll() is None, "the server does not answer"
            time.sleep(0.02)
    counts = collections.defaultdict(collections.Counter)
    lock = threading.Lock()

    def work(client):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for turn in range(rounds):
            for at in range(len(requests)):
                label, method, path, body = requests[(at + client) % len(requests)]
                headers = {"X-Secret": SECRET, "Cookie": "session=" + SECRET}
                connection.request(method, path, body=body, headers=headers)
                response = connection.getresponse()
                response.read()
                if response.status >= 400:
                    connection.close()  # as some servers do, without saying so: after a failure, or with a body unread
                with lock:
                    counts[label][response.status] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    time.sleep(0.3)  # what goes on after the responses
    server.terminate()
    server.wait(20)
    print(json.dumps(counts, sort_keys=True))
'''


def program(application: str, call: str) -> str:
    """Return a program that writes `application` to shop.py, and then runs `call`, in which `serve` is known."""
    write = f"open('shop.py', 'w').write({dedent(application)!r})"
    return f"{_DRIVER}\n{write}\n{dedent(call)}"


def transactions(recorded: Recorded) -> dict[str, tuple[int, int]]:
    """Return {name: (calls, errors)} of the requests."""
    return {row["name"]: (row["calls"], row["errors"]) for row in recorded.report["transactions"] if row["kind"] == "request"}


def children(recorded: Recorded, *kinds: str) -> dict[tuple[str, str, str], int]:
    """Return {(transaction, place, name): calls} of the calls of these kinds."""
    found: dict[tuple[str, str, str], int] = {}
    for row in recorded.report["transactions"]:
        for child in row["children"]:
            if child["kind"] in kinds and child["calls"]:
                key = (row["name"], child["place"], child["name"])
                found[key] = found.get(key, 0) + child["calls"]
    return found


def place_of(found: dict[tuple[str, str, str], int], name: str) -> str:
    """Return where a call was made: releases of Starlette run a streamed body in the request's task or in one of its own."""
    return next(place for _, place, called in found if called == name)


def interleaved(recorded: Recorded) -> dict[tuple[str, str, str], tuple[int, float, int]]:
    """Return {(transaction, place, name): (calls, mean in one transaction, most)} of the program's own functions."""
    return {
        (row["name"], child["place"], child["name"]): (child["calls"], child["per_call_mean"], child["per_call_max"])
        for row in recorded.report["transactions"]
        for child in row["children"]
        if child["kind"] == "function"
    }
