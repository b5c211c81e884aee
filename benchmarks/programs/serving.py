"""gunicorn, set up here and not by its command line: one worker with four threads, which keeps connections open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication


def serve(app: Any, ready: Path) -> None:
    """Serve a WSGI application; its port and the worker's pid are in the ready file once it can be asked."""

    def tell_ready(worker: Any) -> None:
        port = worker.sockets[0].getsockname()[1]
        ready.with_suffix(".new").write_text(f"{port} {os.getpid()}", "utf-8")
        ready.with_suffix(".new").rename(ready)

    class Served(BaseApplication):
        def load_config(self) -> None:
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

        def load(self) -> Any:
            return app

    Served().run()
