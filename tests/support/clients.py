"""A real web server with real clients, as text for a program of a test: the client's own counts are the truth."""

from __future__ import annotations

from textwrap import dedent

_DRIVER = '''
import collections, http.client, json, os, socket, subprocess, sys, threading, time

def serve(command, requests, clients=4, rounds=5):
    """Start a server, let each client send all requests in its own order, end the server; print {label: {status: times}}."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, *[part.replace("PORT", str(port)) for part in command]])
    end = time.monotonic() + 30
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
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for turn in range(rounds):
            for at in range(len(requests)):
                label, method, path, body = requests[(at + client) % len(requests)]
                headers = {"X-Secret": SECRET, "Cookie": "session=" + SECRET}
                connection.request(method, path, body=body, headers=headers)
                response = connection.getresponse()
                response.read()
                if response.status >= 500:
                    connection.close()  # as some servers do, without saying so
                with lock:
                    counts[label][response.status] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for each in threads: each.start()
    for each in threads: each.join()
    time.sleep(0.3)  # what goes on after the responses
    server.terminate()
    server.wait(20)
    print(json.dumps(counts, sort_keys=True))
'''


def program(application: str, call: str) -> str:
    """Return a program that writes `application` to shop.py, and then runs `call`, in which `serve` is known."""
    write = f"open('shop.py', 'w').write({dedent(application)!r})"
    return f"{_DRIVER}\n{write}\n{dedent(call)}"
