"""Transactions that a service keeps whole: of each name and ten minutes a few.

In: examples of snapshots. Out: rows, each with the part of the call tree that it needs, so that it outlives its run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from hookmon.collector.columns import check
from hookmon.collector.examples import LiveExample
from hookmon.collector.rows import Example
from hookmon.core.record import Record
from hookmon.services import limits
from hookmon.services.clock import minute_of
from hookmon.services.packing import pack_value, unpack_value
from hookmon.services.places import Place, flags_of, is_sound, node_of

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.services.store import ServiceStore

_TEN = 10  # minutes


class ExampleText(Record, slots=True):
    """A transaction that was kept whole, as the store has it."""

    name: str
    kind: str
    duration_ns: int
    is_failed: bool
    body: bytes


_KEPT = (
    "duration_ns",
    "status",
    "left_out",
    "pid",
    "computed_ns",
    "failed",
    "has_failed",
    "error",
    "started_at_ns",
    "trace_id",
    "span_id",
    "parent_id",
    "trace_flags",
)
"""Fields of an Example that are kept as they are."""


def pick(examples: Iterable[LiveExample]) -> list[ExampleText]:
    """Return those that are kept, of each name: the first that failed, and the slowest."""
    groups: dict[tuple[str, str], list[LiveExample]] = {}
    for example in examples:
        groups.setdefault((example.name, example.kind), []).append(example)
    found = []
    for (name, kind), group in groups.items():
        failed = [example for example in group if example.row.is_first_failed or example.row.has_failed]
        first = min(failed, key=lambda example: example.row.started_ns, default=None)
        slowest = sorted(group, key=lambda example: -example.row.duration_ns)
        kept = [example for example in (first, *slowest) if example is not None]
        seen: set[tuple[int, int]] = set()
        for example in kept:
            row = example.row
            if (row.pid, row.started_ns) not in seen and len(seen) < limits.MOST_EXAMPLES:
                seen.add((row.pid, row.started_ns))
                found.append(ExampleText(name, kind, row.duration_ns, example is first, _body(example)))
    return found


def _body(example: LiveExample) -> bytes:
    """Return an example with the places that it needs, each after the one above it."""
    alone = example.alone()
    row = alone.row
    return pack_value(
        {
            "nodes": [[node.parent, node.name, node.kind, node.target, node.call_site, flags_of(node)] for node in alone.nodes],
            "node": row.node,
            "spans": row.spans,
            "row": {name: getattr(row, name) for name in _KEPT},
        }
    )


def add_examples(connection: sqlite3.Connection, service: int, start: int, minute: int, examples: Iterable[ExampleText]) -> None:
    """Keep transactions whole, of each name and ten minutes a few: the first that failed and the slowest."""
    first = minute - minute % _TEN
    names = set()
    for example in examples:
        names.add((example.name, example.kind))
        connection.execute(
            "INSERT INTO examples (service, start, minute, name, kind, duration_ns, is_failed, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [service, start, minute, example.name, example.kind, example.duration_ns, example.is_failed, example.body],
        )
    for name, kind in names:
        rows = connection.execute(
            "SELECT id, duration_ns, is_failed FROM examples"
            " WHERE service = ? AND minute BETWEEN ? AND ? AND name = ? AND kind = ? ORDER BY id",
            [service, first, first + _TEN - 1, name, kind],
        ).fetchall()
        kept = {number for number, _, is_failed in rows if is_failed}
        kept = {min(kept)} if kept else set()
        for number, _, _ in sorted(rows, key=lambda row: -row[1]):
            if len(kept) < limits.MOST_EXAMPLES:
                kept.add(number)
        connection.executemany("DELETE FROM examples WHERE id = ?", [(row[0],) for row in rows if row[0] not in kept])


def examples_of(store: ServiceStore, service: str, since_s: float, until_s: float) -> list[ExampleText]:
    """Return the transactions of a service that were kept whole and were written in a window. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT examples.name, kind, duration_ns, is_failed, body FROM examples JOIN services ON services.id = service"
            " WHERE services.name = ? AND minute BETWEEN ? AND ? ORDER BY duration_ns DESC LIMIT ?",
            [service, minute_of(since_s), minute_of(until_s - 1), limits.ALL_EXAMPLES],
        ).fetchall()
    return [ExampleText(name, kind, duration_ns, bool(is_failed), body) for name, kind, duration_ns, is_failed, body in rows]


def add_to(run: Run, texts: Iterable[ExampleText]) -> None:
    """Add examples to a window, with nodes of their own that have counted nothing; such as cannot be read are left out."""
    indices: dict[Place, int] = {}
    for text in sorted(texts, key=lambda text: -text.duration_ns):
        try:
            body = unpack_value(text.body)
            found = [Place(*row) for row in body["nodes"]]
            check(Example, {name: value for name, value in body["row"].items() if name != "failed"})
            spans = [(int(at), int(lane), int(start), int(length)) for at, lane, start, length in body["spans"]]
            row = Example(0, 0, spans=spans, **body["row"])
            if not all(is_sound(place) for place in found):
                continue
            if not all(0 <= at < len(found) for at in (body["node"], *(span[0] for span in spans))):
                continue
            if not all(0 <= at < len(spans) for at in row.failed):
                continue
        except (ValueError, TypeError, KeyError):
            continue
        numbers: list[int] = []
        for place in found:
            above = numbers[place.parent] if 0 <= place.parent < len(numbers) else -1
            key = place._replace(parent=above)
            if key not in indices:
                indices[key] = len(run.nodes)
                run.nodes.append(node_of(above, place))
            numbers.append(indices[key])
        row.node = numbers[body["node"]]
        row.spans = [(numbers[at], lane, start_ns, length_ns) for at, lane, start_ns, length_ns in spans]
        row.started_ns = row.started_at_ns - round(run.since_s * 1e9)
        row.is_slow, row.is_first_failed = not text.is_failed, text.is_failed
        run.examples.append(row)
