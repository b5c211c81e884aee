"""A small service for the container of this folder: prices, and a health check that is no request of a customer."""

import time
from collections.abc import Callable, Iterable
from typing import Any


def quote(sku: str) -> int:
    """Return the price of a piece in cents, as if a supplier had been asked."""
    time.sleep(0.002)
    return 100 + len(sku)


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer a request (WSGI)."""
    path = environ["PATH_INFO"]
    if path == "/healthz":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok\n"]
    if path.startswith("/quotes/"):
        price = quote(path.removeprefix("/quotes/"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d\n" % price]
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no such page\n"]
