"""A Flask app whose one view does five GETs, served by gunicorn: `flask_app.py VALKEY_PORT READY_FILE`.

One worker with four threads, which keeps connections open. Its port and its pid are in the ready file once it can be asked.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import redis
from flask import Flask
from gunicorn.app.base import BaseApplication

READY = Path(sys.argv[2])
app = Flask(__name__)
client = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))


@app.get("/")
def view() -> str:
    """Answer after five GETs."""
    return "".join(str(client.get(f"key{number}")) for number in range(5))


def tell_ready(worker: Any) -> None:
    """Write the port and the pid of the worker."""
    port = worker.sockets[0].getsockname()[1]
    READY.with_suffix(".new").write_text(f"{port} {os.getpid()}", "utf-8")
    READY.with_suffix(".new").rename(READY)


class Served(BaseApplication):
    """gunicorn, set up here and not by its command line."""

    def load_config(self) -> None:
        """Set what is not as gunicorn has it by itself."""
        settings = {
            "bind": "127.0.0.1:0",
            "workers": 1,
            "worker_class": "gthread",
            "threads": 4,
            "keepalive": 60,
            "graceful_timeout": 2,
            "loglevel": "critical",
            "post_worker_init": tell_ready,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application."""
        return app


Served().run()
