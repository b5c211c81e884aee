"""Filters of span templates: each makes a text of a value.

In: any value. Out: a text, or None where there is nothing to show. Runs in the watched process; nothing of the program runs.
"""

from __future__ import annotations

from hookmon.probe.base.introspect import MISSING, attribute, callable_name
from hookmon.probe.base.private import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Filter = Callable[[object], str | None]  # None: there is nothing to show

_LONGEST_NAME = 200
_LONGEST_VALUE = 100
_MOST_PARTS = 1_000

redact = "literals"
"""What is taken out of SQL: "off", "literals" or "all"; the plan says it, before the first name is made."""


def _plain_text(value: Any) -> str | None:
    """Return a text or number as a plain str, None for anything else."""
    value_type = type(value)
    if issubclass(value_type, str):
        return str.__str__(value) if value_type is str else "".join(str.__iter__(value))
    if issubclass(value_type, bytes):
        return bytes.decode(value, "utf-8", "replace")
    if value_type in (bool, int, float):
        return repr(value)
    return int.__repr__(value) if issubclass(value_type, int) else None  # an enumeration's


def _text(value: object) -> str | None:
    text = _plain_text(value)
    return text and text[:_LONGEST_VALUE]


def _text_filter(change: Callable[[str], str | None]) -> Filter:
    """Return a filter that changes a text. It returns None for a value without text, and for one that `change` refuses."""

    def apply(value: object) -> str | None:
        text = _text(value)
        return None if text is None else change(text)

    return apply


def _command(text: str) -> str | None:
    words = text.upper().split(None, 2)
    return " ".join(words[: 2 if words[0] in _CONTAINERS else 1]) if words else None


_CONTAINERS = frozenset(("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY"))
_CONTAINERS |= {"MEMORY", "MODULE", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"}
"""Redis commands whose second word says what they do (redis.io, "Commands", 7.x)."""


def _host(value: object) -> str | None:
    """Return host and port of a URL, without user, path or query; the port only when it is not the scheme's own.

    The URL is a text, or an object that keeps its pieces as yarl's does (`_scheme`, `_netloc`; before yarl 1.17 in a `_val`
    of urllib's). None for anything else: a path may stand where a URL is expected, and is nobody's business.
    """
    if not issubclass(type(value), str | bytes):
        parts, prefix = attribute(value, "_val"), ""
        if parts is MISSING:
            parts, prefix = value, "_"
        scheme, rest = (_plain_text(attribute(parts, prefix + name)) for name in ("scheme", "netloc"))
        return _place(scheme, rest) if scheme and rest else _text(value)
    url = _plain_text(value) or ""
    scheme, slashes, rest = url.partition("://")
    if not slashes or not scheme.translate(_IN_SCHEMES).isalnum():
        return None
    for end in "/?#":
        rest = rest.partition(end)[0]
    return _place(scheme, rest)


def _name(value: object) -> str | None:
    """Return a path relative to the folder in which the process began; None for digits, which name nothing."""
    text = str(value) if type(value).__module__.partition(".")[0] == "pathlib" else _plain_text(value)
    if text is None or text.isdigit():
        return None
    return text.removeprefix(_here)[:_LONGEST_VALUE]


def _working_folder() -> str:
    try:
        return str(os.getcwd()).rstrip("/") + "/"
    except OSError:  # it has been deleted
        return ""


_here = _working_folder()


def _test(value: object) -> str | None:
    """Return the identifier of a test without its parameters, which may hold data."""
    text = _plain_text(value)
    if value is None or text is None:
        return None
    path, colons, name = text.partition("::")
    return f"{path}{colons}{name.partition('[')[0]}"[:_LONGEST_NAME]


def _place(scheme: str, rest: str) -> str | None:
    place = rest.rpartition("@")[2][:_LONGEST_VALUE]
    host, colon, port = place.rpartition(":")
    if not colon or "]" in port:
        return place or None
    if port in ("", _OWN_PORTS.get(scheme.lower())):
        return host
    return _at_port(host, port) if port.isdigit() else None  # what a password with a slash in it leaves behind


def _peer(value: object) -> str | None:
    """Return host and port of a connection, a pool or a URL in pieces, or a host that is a text, without user and password.

    Of http.client's connections through a tunnel those of its other end.
    """
    text = _plain_text(value)
    if text is not None:
        return text.rpartition("@")[2][:_LONGEST_VALUE]
    number, name = _text(attribute(value, "_tunnel_port")), "_tunnel_host"  # pools of urllib3 have one, too
    if not number:
        number, name = _text(attribute(value, "port")) or "", "host"
    host = (_plain_text(attribute(value, name)) or "").rpartition("@")[2][:_LONGEST_VALUE]
    if not host or not number.isdigit() or number in ("80", "443"):
        return host or None
    return _at_port(f"[{host}]" if ":" in host and host[0] != "[" else host, number)


def _at_port(host: str, port: str) -> str:
    """Return host and port; `*` for a port that this machine has chosen, which is another one in each run."""
    is_ours = host in _OURS or host.startswith("127.")
    return f"{host}:*" if is_ours and len(port) > 4 and int(port) >= _FIRST_EPHEMERAL else f"{host}:{port}"


_IN_SCHEMES = str.maketrans("", "", "+-.")
_OURS = frozenset(("localhost", "[::1]", "0.0.0.0", "[::]"))
_FIRST_EPHEMERAL = 32_768
"""Of Linux (ip(7), ip_local_port_range); other systems begin with 49,152."""
_OWN_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def _port(value: object) -> str:
    text = _text(value)
    return f":{text}" if text and text.isdigit() and text not in ("80", "443") else ""


def _program(value: object) -> str | None:
    """Return the name of the program that a command line starts, None where its first word is no plain name.

    What follows it is never looked at; `PASSWORD=x make` begins with no name.
    """
    value_type = type(value)
    if issubclass(value_type, list | tuple):
        holder: Any = list if issubclass(value_type, list) else tuple
        text = _plain_text(holder.__getitem__(value, 0)) if holder.__len__(value) else None
    else:
        text = _plain_text(value)
        text = text and text.strip().partition(" ")[0]
    name = (text or "").rpartition("/")[2][:_LONGEST_VALUE]
    return name if name.translate(_IN_PROGRAMS).isalnum() else None


_IN_PROGRAMS = str.maketrans("", "", "+-._")


def _sql(dialect: str) -> Filter:
    """Return the filter for statements of a dialect."""

    def apply(value: object) -> str | None:
        from hookmon.probe.naming.fingerprint import fingerprint  # only who names SQL pays for re

        statement = _statement(value)
        return _text(value) if statement is None else fingerprint(statement, redact, dialect)

    return apply


def _generic(text: str) -> str:
    from hookmon.probe.naming.statements import mask_generated

    return mask_generated(text, "*")


def _queue(text: str) -> str:
    """Return a queue's name; "(reply)" for one that RabbitMQ, NATS or a client's library made for the answers to one client."""
    name = "*" if text.startswith(("amq.gen-", "amq.rabbitmq.reply-to", "_INBOX.")) else _generic(text)
    return "(reply)" if name == "*" else name


def _statement(value: object) -> str | None:
    """Return the text of a statement, also of a t-string and of what psycopg's `sql` module has composed; None for anything else.

    The classes of that module keep what they are made of in `_obj` (psycopg 3.1 to 3.3) or `_wrapped` (psycopg2 2.9).
    """
    value_type = type(value)
    if issubclass(value_type, str | bytes):
        return _plain_text(value)
    name = type.__getattribute__(value_type, "__name__")
    if name == "Template" and type.__getattribute__(value_type, "__module__") == "string.templatelib":
        strings, fields = attribute(value, "strings"), attribute(value, "interpolations")
        return "".join([text + field for text, field in zip(strings, [*map(_field, fields), ""], strict=True)])
    inside = attribute(value, "_obj")
    if inside is MISSING:
        inside = attribute(value, "_wrapped")
    if name == "SQL" and issubclass(type(inside), str):
        return _plain_text(inside)
    if name == "Identifier" and type(inside) in (list, tuple):
        names = [_plain_text(part) or "" for part in inside]
        return ".".join(name if name.isidentifier() else f'"{name}"' for name in names)
    if name == "Composed" and type(inside) is list:
        return "".join(_statement(part) or " ? " for part in inside[:_MOST_PARTS])
    return None


def _route(text: str) -> str:
    from hookmon.probe.naming.routes import show_route  # only some frameworks have routes that are regular expressions

    return show_route(text)


def _path(text: str) -> list[str]:
    """Return the parts of the path of a URL, or of a path, that is not empty."""
    rest = text.partition("://")[2].partition("/")[2] if "://" in text else text
    for end in "?#":
        rest = rest.partition(end)[0]
    return [part for part in rest.split("/") if part]


def _resource(text: str) -> str | None:
    """Return the first part of a path that is no version: what an API calls its collections. None for what is no plain word.

    Of Kubernetes the kind, behind the group and the namespace: `/apis/apps/v1/namespaces/shop/deployments`.
    """
    parts = _path(text)
    if parts[:1] == ["apis"]:
        parts = parts[2:]
    while parts and _is_version(parts[0]):
        parts = parts[1:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return parts[0] if parts and parts[0].translate(_IN_WORDS).isalpha() else None


def _is_version(part: str) -> bool:
    return part == "api" or part[0].isdigit() or (part[0] == "v" and part[1:2].isdigit())


def _endpoint(text: str) -> str | None:
    """Return the first part of a path with an underscore before it: so OpenSearch calls what it does, and no index may be called.

    What is no path, as a method, is itself.
    """
    if "/" not in text:
        return text
    return next((part for part in _path(text) if part[0] == "_" and part.translate(_IN_WORDS).isalpha()), None)


_IN_WORDS = str.maketrans("", "", "-_")


def _field(interpolation: object) -> str:
    """Return the text for a field of a t-string, as psycopg 3.3 reads it: a name or a part of SQL, `?` for a value."""
    value, spec = attribute(interpolation, "value"), attribute(interpolation, "format_spec")
    if spec == "i" and type(value) is str:
        return value if value.isidentifier() else f'"{value}"'
    return (spec in ("i", "q") and not issubclass(type(value), str) and _statement(value)) or "?"


def method_of(text: str) -> str:
    """Return a method of HTTP in capitals, OTHER for any other word: a client may send what it likes.

    WEBSOCKET is that scope of ASGI.
    """
    text = text.upper()
    return text if text in _METHODS else "OTHER"


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "WEBSOCKET"))
_METHODS |= {"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "QUERY"}


FILTERS: dict[str, Filter] = {
    "": _text,
    "upper": _text_filter(str.upper),
    "lower": _text_filter(str.lower),
    "command": _text_filter(_command),
    "word": _text_filter(lambda text: text.partition(" ")[0]),
    "host": _host,
    "peer": _peer,
    "port": _port,
    "file": lambda value: (text := _plain_text(value)) and text.rpartition("/")[2][:_LONGEST_VALUE],
    "program": _program,
    "sql": _sql(""),
    "mysql": _sql("mysql"),
    "postgresql": _sql("postgresql"),
    "sqlite": _sql("sqlite"),
    "generic": _text_filter(_generic),
    "queue": _text_filter(_queue),
    "name": _name,
    "test": _test,
    "callable": lambda value: None if value is MISSING else str.__str__(callable_name(value))[:_LONGEST_VALUE],
    "method": _text_filter(method_of),
    "route": _text_filter(lambda text: "/" + text.lstrip("/")),
    "regex": _text_filter(_route),
    "member": _text_filter(lambda text: text.rpartition(".")[2].lstrip("_")),
    "resource": _text_filter(_resource),
    "endpoint": _text_filter(_endpoint),
}
