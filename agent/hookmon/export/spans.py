"""A transaction that was kept whole, as a trace with the names and attributes of OpenTelemetry's conventions.

In: an example. Out: a Trace. Its values are those of metrics, and as few: routes, hosts, tables; never the text of a statement,
an argument, a call site or a path. The ids are the example's, so whoever exports it makes the same ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

from hookmon.collector.counters import CallKey
from hookmon.core.traceparent import RANDOM, SAMPLED
from hookmon.export import names
from hookmon.export.rows import OVERFLOW, Attributes, Instrument, Link, Span, Trace

if TYPE_CHECKING:
    from hookmon.collector.examples import LiveExample, LiveSpan

_KINDS = {"http": "client", "sql": "client", "cache": "client", "rpc": "client", "queue": "producer"}
_TRACE_FLAGS = 0xFF
_OTHER = "_OTHER"


def trace_of(example: LiveExample, reason: str, systems: Mapping[str, str], consumers: Collection[str]) -> Trace:
    """Return the trace of an example that has ids. `systems` are those of `names.name_call`, `consumers` those of Targets.

    With the caller's decision not to keep its trace it is a trace of its own, with a link to the caller's span: nobody would ever
    see what is above it. The id of that trace comes of the example's own ids.
    """
    row = example.row
    flags = row.trace_flags & _TRACE_FLAGS
    trace_id, root_id, parent_id = (bytes.fromhex(text) for text in (row.trace_id, row.span_id, row.parent_id))
    link = None
    if parent_id and not flags & SAMPLED:
        link = Link(trace_id, parent_id, flags)
        trace_id = blake2b(trace_id + root_id, digest_size=16).digest()
        flags, parent_id = SAMPLED | RANDOM, b""
    root = Span(
        _name_of_transaction(example, *names.name_transaction(_key_of(example), row.status)),
        _kind_of_transaction(example, consumers),
        root_id,
        parent_id,
        row.started_at_ns,
        row.started_at_ns + row.duration_ns,
        _attributes_of_transaction(example, reason),
        row.has_failed,
    )
    calls = [_span_of(span, row.started_at_ns, systems) for span in example.spans()]
    return Trace(trace_id, flags, bool(parent_id), (root, *calls), link, _key_of(example), row.status)


def _key_of(call: LiveExample | LiveSpan) -> CallKey:
    return CallKey(call.name, call.kind, call.target)


def _kind_of_transaction(example: LiveExample, consumers: Collection[str]) -> str:
    if example.kind == "request":
        return "server"
    came_by_message = example.kind == "queue" or example.row.parent_id or _package_of(example.target) in consumers
    return "consumer" if came_by_message else "internal"


def _name_of_transaction(example: LiveExample, instrument: Instrument, attributes: Attributes) -> str:
    found = dict(attributes)
    if instrument == names.SERVER and attributes != OVERFLOW:
        return " ".join(str(found[name]) for name in ("http.request.method", "http.route") if name in found).replace(
            _OTHER, "HTTP", 1
        )
    return str(found.get("hookmon.transaction.name", example.kind))


def _attributes_of_transaction(example: LiveExample, reason: str) -> Attributes:
    row = example.row
    _, attributes = names.name_transaction(_key_of(example), row.status)
    found = dict(attributes) if attributes != OVERFLOW else {}
    if row.has_failed:
        found["error.type"] = names.clean(row.error) or found.get("error.type") or str(row.status or _OTHER)
    found |= {"hookmon.trace.reason": reason, "process.pid": row.pid, **_function_of(example.target)}
    if row.left_out:
        found["hookmon.trace.spans_left_out"] = row.left_out
    if row.computed_ns >= 0:
        found["hookmon.trace.cpu_ns"] = row.computed_ns
    return tuple(sorted(found.items()))


def _span_of(span: LiveSpan, began_ns: int, systems: Mapping[str, str]) -> Span:
    name, found = _describe(_key_of(span), systems)
    if span.has_failed:
        found["error.type"] = _OTHER  # of calls inside a transaction it is known that they raised, and no more
    if span.lane:
        found["hookmon.call.lane"] = span.lane
    start_ns = began_ns + span.start_ns
    return Span(
        name,
        _KINDS.get(span.kind, "internal"),
        bytes.fromhex(span.span_id),
        bytes.fromhex(span.parent_id),
        start_ns,
        start_ns + span.duration_ns,
        tuple(sorted(found.items())),
        span.has_failed,
    )


def _describe(key: CallKey, systems: Mapping[str, str]) -> tuple[str, dict[str, str | int | bool]]:
    """Return the name of the span of a call, and its attributes."""
    instrument, attributes = names.name_call(key, systems)
    found = dict(attributes) if attributes != OVERFLOW else {}
    name = str(found.get("hookmon.call.name") or names.clean(key.kind))
    if instrument == names.CLIENT:
        name = str(found["http.request.method"]).replace(_OTHER, "HTTP")
    elif instrument == names.DATABASE:
        parts = (found["db.operation.name"], found.get("db.collection.name"))
        name = found["db.query.summary"] = " ".join(str(part) for part in parts if part)
    return name, {**found, **_function_of(key.target)}


def _function_of(target: str) -> dict[str, str]:
    """Return what the called function is: "shop.pricing.quote"."""
    return {"code.function.name": names.clean(target.replace(":", "."))} if ":" in target else {}


def _package_of(target: str) -> str:
    return target.partition(":")[0].partition(".")[0]
