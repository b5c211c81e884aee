"""Servers that speak just enough of a protocol for a client library, and count what reaches them."""

from __future__ import annotations

import json
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Answer = tuple[int, dict[str, str], bytes]


class HttpStub:
    """An HTTP server on a free port of 127.0.0.1 that answers with what `answer(method, path, body)` returns.

    `/moved` redirects to `/there`, `/closes` closes the connection without an answer. Between the head and the body of each it
    calls `before_body(path)`.
    """

    def __init__(
        self,
        answer: Callable[[str, str, bytes], Answer] = lambda *_: (200, {}, b"{}"),
        before_body: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.answer = answer
        self.before_body = before_body
        self.requests: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self._body()
                path = self.path.partition("?")[0]
                stub.requests[f"{self.command} {path}"] += 1
                if path == "/closes":
                    self.close_connection = True
                    return
                status, headers, content = stub.answer(self.command, path, body)
                if path == "/moved":
                    status, headers = 302, {"Location": "/there"}
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                stub.before_body(path)
                if self.command != "HEAD":
                    self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    parts = []
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - http.server looks for these

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    def reset(self) -> None:
        """Forget the counts."""
        self.requests.clear()

    def total(self) -> int:
        """Return the number of requests since the last reset."""
        return sum(self.requests.values())

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class TcpStub:
    """A server on `port` that gives each connection to a handler of its own."""

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MongoStub(TcpStub):
    """Answers MongoDB's wire protocol (OP_MSG, and OP_QUERY for the first greeting) with a few canned documents.

    `commands` counts what came in, by command, without what drivers send by themselves. It encodes with pymongo's own bson.
    """

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()
        super().__init__(self._handler())

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        stub = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                import bson

                while head := self.rfile.read(16):
                    length, number, _, code = struct.unpack("<iiii", head)
                    body = self.rfile.read(length - 16)
                    if code == 2004:  # OP_QUERY: flags, collection, skip, limit, document
                        document = bson.decode(body[body.index(b"\0", 4) + 9 :])
                        reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(stub.answer(document))
                        kind = 1
                    else:  # OP_MSG: flags, then the section of the document, then those of what it writes
                        size = struct.unpack("<i", body[5:9])[0]
                        document = bson.decode(body[5 : 5 + size])
                        reply = struct.pack("<iB", 0, 0) + bson.encode(stub.answer(document))
                        kind = 2013
                    self.wfile.write(struct.pack("<iiii", 16 + len(reply), 0, number, kind) + reply)

        return Handler

    def answer(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a command."""
        command = next(iter(document))
        if command.lower() in ("ismaster", "hello"):
            return {
                "ok": 1.0,
                "helloOk": True,
                "ismaster": True,
                "isWritablePrimary": True,
                "maxBsonObjectSize": 16777216,
                "maxMessageSizeBytes": 48000000,
                "maxWriteBatchSize": 100000,
                "minWireVersion": 0,
                "maxWireVersion": 21,
                "readOnly": False,
            }
        if command == "endSessions":
            return {"ok": 1.0}
        self.commands[command] += 1
        name = f"shop.{document.get(command)}"
        if command == "find" and "batchSize" in document:
            return {"ok": 1.0, "cursor": {"id": 7, "ns": name, "firstBatch": [{"n": 1}, {"n": 2}]}}
        if command == "getMore":
            name = f"shop.{document['collection']}"
            return {"ok": 1.0, "cursor": {"id": 0, "ns": name, "nextBatch": [{"n": 3}]}}
        if command in ("find", "aggregate"):
            return {"ok": 1.0, "cursor": {"id": 0, "ns": name, "firstBatch": [{"n": 1}]}}
        if command == "findAndModify":
            return {"ok": 1.0, "value": {"n": 1}, "lastErrorObject": {"updatedExisting": True, "n": 1}}
        if command == "distinct":
            return {"ok": 1.0, "values": [1, 2]}
        if command == "nonsense":
            return {"ok": 0.0, "errmsg": "no such command", "code": 59, "codeName": "CommandNotFound"}
        return {"ok": 1.0, "n": 1, "nModified": 1}


def json_answer(content: object, status: int = 200, **headers: str) -> Answer:
    """Return an answer of JSON."""
    return status, headers, json.dumps(content).encode()


class AmqpStub(TcpStub):
    """Answers as much of AMQP 0-9-1 as a publisher needs; `published` counts messages by exchange."""

    _ANSWERS: ClassVar[dict[tuple[int, int], bytes]] = {  # {method of the client: method that answers it, with its arguments}
        (10, 11): struct.pack(">HHHIH", 10, 30, 2047, 131072, 0),  # start-ok: tune
        (10, 40): struct.pack(">HHB", 10, 41, 0),  # open: open-ok
        (10, 50): struct.pack(">HH", 10, 51),  # close: close-ok
        (20, 10): struct.pack(">HHI", 20, 11, 0),  # channel open: open-ok
        (20, 40): struct.pack(">HH", 20, 41),  # channel close: close-ok
        (60, 10): struct.pack(">HH", 60, 11),  # basic qos: qos-ok
    }

    def __init__(self) -> None:
        self.published: Counter[str] = Counter()
        super().__init__(self._handler())

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        stub = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.read(8)  # "AMQP" and the version
                mechanisms, locales = b"PLAIN", b"en_US"
                start = struct.pack(">HHBB", 10, 10, 0, 9)
                properties = b"\x0ccapabilities" + b"F" + struct.pack(">I", 0)  # a table with an empty one in it
                start += struct.pack(">I", len(properties)) + properties
                self.send(0, start + struct.pack(">I", 5) + mechanisms + struct.pack(">I", 5) + locales)
                while head := self.rfile.read(7):
                    kind, channel, size = struct.unpack(">BHI", head)
                    body = self.rfile.read(size + 1)
                    if kind == 1:
                        self.answer(channel, body)

            def answer(self, channel: int, body: bytes) -> None:
                method: tuple[int, int] = struct.unpack(">HH", body[:4])
                if method == (60, 40):  # basic.publish: reserved, exchange, routing key, flags
                    stub.published[body[7 : 7 + body[6]].decode()] += 1
                elif method in stub._ANSWERS:
                    self.send(channel, stub._ANSWERS[method])

            def send(self, channel: int, body: bytes) -> None:
                self.wfile.write(struct.pack(">BHI", 1, channel, len(body)) + body + b"\xce")

        return Handler

    def reset(self) -> None:
        """Forget the counts."""
        self.published.clear()


class BoltStub(TcpStub):
    """Answers as much of Neo4j's Bolt 5.0 as a driver needs: a row for each statement; one with "nothing" in it fails.

    `statements` counts what came in, by its text, and BEGIN, COMMIT and ROLLBACK.
    """

    _ENDS: ClassVar[dict[int, str]] = {0x11: "BEGIN", 0x12: "COMMIT", 0x13: "ROLLBACK"}  # {tag of a message: what it does}

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()
        super().__init__(self._handler())

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        stub = self

        class Handler(socketserver.StreamRequestHandler):
            has_failed = False

            def handle(self) -> None:
                self.rfile.read(20)  # the magic number, and four versions that the driver knows
                self.wfile.write(b"\0\0\0\5")
                while message := self.message():
                    self.answer(message[1], message[2:])

            def message(self) -> bytes:
                parts = []
                while head := self.rfile.read(2):
                    size = int.from_bytes(head, "big")
                    if not size and parts:
                        break
                    parts.append(self.rfile.read(size))
                return b"".join(parts)

            def answer(self, tag: int, rest: bytes) -> None:
                if tag == 0x0F:  # RESET
                    self.has_failed = False
                if self.has_failed:
                    self.send(b"\xb0\x7e")  # IGNORED
                elif tag == 0x10:  # RUN
                    self.run(_read_text(rest))
                elif tag == 0x3F:  # PULL
                    self.send(b"\xb1\x71" + b"\x91\x01")  # RECORD of one field
                    self.send(_packed_success({}))
                elif tag != 0x02:  # GOODBYE
                    if tag in stub._ENDS:
                        stub.statements[stub._ENDS[tag]] += 1
                    self.send(_packed_success({"server": "Neo4j/5.0.0", "connection_id": "bolt-1"}))

            def run(self, statement: str) -> None:
                stub.statements[statement] += 1
                self.has_failed = "nothing" in statement
                if self.has_failed:
                    code = {"code": "Neo.ClientError.Statement.SyntaxError", "message": "no"}
                    self.send(_packed_success(code).replace(b"\x70", b"\x7f", 1))
                else:
                    self.send(b"\xb1\x70\xa1" + _packed("fields") + b"\x91" + _packed("n"))

            def send(self, message: bytes) -> None:
                self.wfile.write(len(message).to_bytes(2, "big") + message + b"\0\0")

        return Handler


def _packed(text: str) -> bytes:
    """Return a text of PackStream."""
    content = text.encode()
    return (bytes([0x80 + len(content)]) if len(content) < 16 else bytes([0xD0, len(content)])) + content


def _packed_success(texts: dict[str, str]) -> bytes:
    return b"\xb1\x70" + bytes([0xA0 + len(texts)]) + b"".join(_packed(name) + _packed(text) for name, text in texts.items())


def _read_text(packed: bytes) -> str:
    """Return the text with which a value of PackStream begins."""
    width = {0xD0: 1, 0xD1: 2}.get(packed[0], 0)
    size = int.from_bytes(packed[1 : 1 + width], "big") if width else packed[0] & 0x0F
    return packed[1 + width : 1 + width + size].decode()
