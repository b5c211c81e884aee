"""A Flask app whose one view only answers: `flask_plain.py serve READY_FILE`, or `flask_plain.py REQUESTS` without a server.

REQUESTS are made by hand, as a server does it, for cachegrind: two such runs differ by that of their requests.
"""

from __future__ import annotations

import gc
import io
import sys
from pathlib import Path

from flask import Flask

app = Flask("plain")


@app.get("/")
def view() -> dict[str, object]:
    """Answer with some JSON."""
    return {"items": [{"number": number, "name": f"item {number}"} for number in range(10)]}


def request() -> None:
    """Call the application once."""
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": False,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    body = app(environ, lambda status, headers, exc_info=None: None)
    assert b"item 9" in b"".join(body)
    body.close()


if sys.argv[1] == "serve":
    from serving import serve

    serve(app, Path(sys.argv[2]))
else:
    gc.disable()  # or the counts would differ by when it runs
    for _ in range(int(sys.argv[1])):
        request()
