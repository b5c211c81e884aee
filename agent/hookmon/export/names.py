"""Under which instrument and attributes calls are exported: those of OpenTelemetry's conventions where they are stable.

In: the key of a call or transaction, as it stands in the report. Out: an instrument and attributes, whose values are few: routes,
hosts, tables; never the text of a statement, an argument, a call site or a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hookmon.collector.counters import CallKey
from hookmon.core.layout import OTHER_NAMES
from hookmon.export.rows import OVERFLOW, Attributes, Instrument

SERVER = Instrument("http.server.request.duration", "s", "histogram", "Duration of HTTP server requests.")
CLIENT = Instrument("http.client.request.duration", "s", "histogram", "Duration of HTTP client requests.")
DATABASE = Instrument("db.client.operation.duration", "s", "histogram", "Duration of database client operations.")
TRANSACTION = Instrument("hookmon.transaction.duration", "s", "histogram", "Duration of jobs, tests and other transactions.")
CALL = Instrument("hookmon.call.duration", "s", "histogram", "Duration of calls of other services.")
CALLS = Instrument("hookmon.call.count", "{call}", "counter", "Calls that have ended, those included that were not timed.")
ERRORS = Instrument("hookmon.call.errors", "{call}", "counter", "Calls that have raised an exception.")
SELF_TIME = Instrument("hookmon.call.self_time", "s", "counter", "Time in calls, without the watched calls inside them.")
TRANSACTIONS = Instrument("hookmon.transaction.count", "{transaction}", "counter", "Transactions that have ended.")
FAILED = Instrument("hookmon.transaction.errors", "{transaction}", "counter", "Transactions that have failed.")

LONGEST = 250  # characters of a value, so that it has at most 1,000 bytes: VictoriaMetrics drops points with more than 4,096
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
_OTHER_METHODS = frozenset(("OTHER", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"))
_NO_ROUTE = "(no route)"
_LEAST_STATUS = 100
_FAILED = 500
_OTHER_SYSTEM = "other_sql"
_VERBS = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "UPSERT", "WITH", "VALUES", "CALL", "EXEC", "EXECUTE"),
        *("COPY", "FETCH", "DECLARE", "CLOSE", "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW"),
        *("CREATE", "ALTER", "DROP", "TRUNCATE", "LOCK", "EXPLAIN", "ANALYZE", "VACUUM", "PRAGMA", "LISTEN", "NOTIFY", "USE"),
    )
)
_TABLE = re.compile(
    r"\b(?:FROM|INTO|UPDATE|TABLE|COPY)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+|ONLY\s+)?[\"`]?([A-Za-z_][\w$.]*)", re.IGNORECASE
)
_SEVERAL = re.compile(r"\bJOIN\b|\bUNION\b|;|\bFROM\b[^()]*,", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_. -]{1,80}")
_WAITS = frozenset(("connect", "pool", "pubsub", "wait"))
_CALLS_OUT = frozenset(("rpc", "queue", "process", "template", "http", "cache", "sql"))


def name_transaction(key: CallKey, status: int = 0) -> tuple[Instrument, Attributes]:
    """Return under what a request, job or test is exported: a request of HTTP by its route, where it has one, and its status.

    `status` is 1 to 9 for those of a class that are not told apart, "5xx", which panels that ask for `5..` take too; 0 for none.
    """
    method, _, route = key.name.partition(" ")
    if key.kind == "request" and route and method in _METHODS | _OTHER_METHODS:
        found: dict[str, str | int | bool] = {"http.request.method": method if method in _METHODS else "_OTHER"}
        found["http.route"] = "" if route == _NO_ROUTE else route
        if status:
            found["http.response.status_code"] = status if status >= _LEAST_STATUS else f"{status}xx"
        if status >= _FAILED or status == _FAILED // _LEAST_STATUS:
            found["error.type"] = str(found["http.response.status_code"])
        return SERVER, _attributes(found)
    if key.name == OTHER_NAMES:
        return (SERVER if key.kind == "request" else TRANSACTION), OVERFLOW
    return TRANSACTION, _attributes({"hookmon.transaction.name": key.name, "hookmon.transaction.kind": key.kind})


def name_call(key: CallKey, systems: Mapping[str, str]) -> tuple[Instrument | None, Attributes]:
    """Return under what calls are exported; None for the instrument where there is no histogram of them: functions, hooks.

    `systems` has what is a client of which database, by the first part of the targets' modules.
    """
    if key.name == OTHER_NAMES:
        return None, OVERFLOW
    if key.kind == "http":
        found = _of_http(key.name)
        if found:
            return CLIENT, _attributes(found)
    elif key.kind in ("sql", "cache"):
        found = _of_database(key, systems)
        if found:
            return DATABASE, _attributes(found)
    name = key.name
    if key.kind == "sql" and not _PLAIN.fullmatch(name):
        name = _first_word(name)  # nothing of a statement
    attributes = _attributes({"hookmon.call.name": name, "hookmon.call.kind": key.kind})
    return (CALL if key.kind in _CALLS_OUT else None), attributes


def count_attributes(instrument: Instrument | None, key: CallKey, attributes: Attributes) -> Attributes:
    """Return the attributes of counters beside a histogram of `attributes`: with the kind of the calls."""
    if instrument in (CLIENT, DATABASE) and attributes != OVERFLOW:
        return _attributes({**dict(attributes), "hookmon.call.kind": key.kind})
    return attributes


def clean(value: str) -> str:
    """Return a text as it is exported: no control characters, no halves of characters, not too long."""
    text = value.encode("utf-8", "replace").decode("utf-8")
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _attributes(found: dict[str, str | int | bool]) -> Attributes:
    """Return attributes by name, those left out that have no value."""
    return tuple(
        sorted((name, clean(value) if isinstance(value, str) else value) for name, value in found.items() if value != "")
    )


def _of_http(name: str) -> dict[str, str | int | bool]:
    """Return what a call of HTTP is about; nothing for its parts, and for APIs with names of their own."""
    method, _, place = name.partition(" ")
    if not place or " " in place or not (method in _METHODS or method == "urlopen"):
        return {}
    host, colon, port = place.rpartition(":")
    if not colon or "]" in port:
        host, port = place, ""
    found: dict[str, str | int | bool] = {"http.request.method": method if method in _METHODS else "_OTHER"}
    found["server.address"] = host.strip("[]")
    if port.isdigit():
        found["server.port"] = int(port)
    return found


def _of_database(key: CallKey, systems: Mapping[str, str]) -> dict[str, str | int | bool]:
    """Return what a call of a database is about; nothing for connecting, waiting for a pool, and fetching."""
    package = key.target.partition(":")[0].partition(".")[0]
    system = systems.get(package, _OTHER_SYSTEM if key.kind == "sql" else "")
    first, _, rest = key.name.partition(" ")
    if key.kind == "sql":
        verb = _first_word(key.name).upper()
        if verb not in _VERBS:
            return {}
        table = None if _SEVERAL.search(key.name) else _TABLE.search(key.name)
        return {"db.system.name": system, "db.operation.name": verb, "db.collection.name": table[1] if table else ""}
    if not system or not rest or rest.split()[0] in _WAITS or not _PLAIN.fullmatch(key.name):
        return {}
    if system == "mongodb":
        return {"db.system.name": system, "db.operation.name": first.rpartition(".")[2], "db.collection.name": rest}
    return {"db.system.name": system, "db.operation.name": rest}


def _first_word(name: str) -> str:
    word = re.match(r"[A-Za-z_]{1,30}", name)
    return word[0] if word else "(other)"
