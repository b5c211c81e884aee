"""Methods of HTTP, as they stand in names: a client may send any word, so those that are not known have one name for all.

Runs in the watched process.
"""

from __future__ import annotations


def method_of(text: str) -> str:
    """Return a method of HTTP in capitals; OTHER for what is none, as anybody may send any. WEBSOCKET is that scope of ASGI."""
    text = text.upper()
    return text if text in _METHODS else "OTHER"


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "WEBSOCKET"))
_METHODS |= {"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "QUERY"}
