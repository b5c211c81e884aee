"""A Flask app whose one view does five GETs: `flask_app.py VALKEY_PORT READY_FILE`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import redis
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

logging.getLogger("werkzeug").disabled = True
app = Flask(__name__)
client = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))


@app.get("/")
def view() -> str:
    """Answer after five GETs."""
    return "".join(str(client.get(f"key{number}")) for number in range(5))


WSGIRequestHandler.protocol_version = "HTTP/1.1"  # connections stay open
WSGIRequestHandler.disable_nagle_algorithm = True
server = make_server("127.0.0.1", 0, app, threaded=True)
ready = Path(sys.argv[2])
ready.with_suffix(".new").write_text(f"{server.port} {os.getpid()}", "utf-8")
ready.with_suffix(".new").rename(ready)
server.serve_forever()
