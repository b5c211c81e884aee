"""Addresses of backends, as people write them: URLs to send to, addresses to listen at. No message has a user or password."""

from __future__ import annotations

WEB = ("http", "https")
BROKERS = ("redis", "rediss", "unix")
"""Schemes of URLs to send to; `unix` is a socket of a Redis on this machine."""


def fault_of_url(text: str, schemes: tuple[str, ...] = WEB) -> str:
    """Return what is wrong with a URL to send to, "" for nothing."""
    from urllib.parse import urlsplit

    text = text.strip()
    if any(char.isspace() or not char.isprintable() for char in text):
        return "a blank or a control character is in the URL"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return f"it is no URL: {schemes[0]}://HOST:PORT"
    host = (parts.netloc or parts.path).rpartition("@")[2].partition("?")[0][:60]
    if parts.scheme in schemes and port != 0 and (parts.path if parts.scheme == "unix" else parts.hostname):
        return ""
    shown = f"{parts.scheme}://{host}" if parts.netloc else host
    meant = f"; {schemes[0]}://{text}?" if "://" not in text and "@" not in text and "?" not in text and text else ""
    return f"{shown!r} is no URL of {' or '.join(schemes[:2])}: {schemes[0]}://HOST:PORT{meant}"


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of "host:port", ":port" or "port"; the host is loopback where none is named. Raises ValueError."""
    host, _, port = text.strip().rpartition(":")
    is_whole = not host.startswith("[") or host.endswith("]")
    if (
        not (port.isascii() and port.isdecimal() and int(port) < 65_536)
        or (":" in host and not host.startswith("["))
        or not is_whole
    ):
        raise ValueError(f"{text[:60]!r} is no address to listen at: HOST:PORT, as 127.0.0.1:9464")
    return host.strip("[]") or "127.0.0.1", int(port)
