"""A client that asks for one page, again and again, as fast as the answers come."""

from __future__ import annotations

import socket
import threading
import time

from benchmarks.limits import Unavailable

ANSWER_S = 10.0
"""How long one answer may take, in seconds."""

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_MOST_AT_ONCE = 65_536


class Client:
    """Asks one server, on one connection for as long as the server keeps it open. Of one thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: socket.socket | None = None

    def ask(self) -> None:
        """Ask for the page and take the answer. Raises Unavailable when it is an error, is none or does not come in time."""
        is_new = self._connection is None
        try:
            is_kept = self._exchange()
        except TimeoutError:
            raise Unavailable(f"the server has not answered in {ANSWER_S:.0f} s") from None
        except OSError as error:
            self.close()
            if is_new:
                raise Unavailable(f"the server does not answer: {error}") from error
            self.ask()  # it has closed a connection that it had promised to keep
            return
        if not is_kept:
            self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self) -> bool:
        """Send the request and read the answer; return whether the server keeps the connection."""
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_S)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(_REQUEST)
        answer = self._read(b"")
        while b"\r\n\r\n" not in answer:
            answer = self._read(answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *fields = head.lower().split(b"\r\n")
        headers = dict(field.split(b": ", 1) for field in fields)
        if not status.startswith((b"http/1.1 200", b"http/1.0 200")):
            raise Unavailable(f"the server answered {status.decode('latin-1')}")
        if b"content-length" not in headers:
            raise Unavailable("the server answered without a length")
        while len(body) < int(headers[b"content-length"]):
            body = self._read(body)
        return status.startswith(b"http/1.1") and headers.get(b"connection") != b"close"

    def _read(self, before: bytes) -> bytes:
        """Return what there is with what has come meanwhile. Raises ConnectionError when the server has closed instead."""
        assert self._connection is not None
        more = self._connection.recv(_MOST_AT_ONCE)
        if not more:
            raise ConnectionError("it has closed the connection")
        return before + more


def requests_per_second(port: int, clients: int, seconds: float) -> float:
    """Ask from some connections at once. Raises Unavailable with the first reason of one of them."""
    counts = [0] * clients
    reasons: list[Unavailable] = []
    end = time.monotonic() + seconds

    def ask(number: int) -> None:
        client = Client(port)
        try:
            while time.monotonic() < end and not reasons:
                client.ask()
                counts[number] += 1
        except Unavailable as reason:
            reasons.append(reason)
        finally:
            client.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if reasons:
        raise reasons[0]
    return sum(counts) / seconds
