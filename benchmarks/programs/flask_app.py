"""A Flask app whose one view does five GETs, served by gunicorn: `flask_app.py VALKEY_PORT READY_FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import redis
from flask import Flask
from serving import serve

app = Flask(__name__)
client = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))


@app.get("/")
def view() -> str:
    """Answer after five GETs."""
    return "".join(str(client.get(f"key{number}")) for number in range(5))


serve(app, Path(sys.argv[2]))
