"""Requests by the status of their responses. In: what was counted of each name and status. Out: rows, and a line for a reader."""

from __future__ import annotations

from collections.abc import Iterable

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.record import Record
from hookmon.report.texts import count, duration

NO_STATUS = "none"
"""Of requests that had none: a websocket, a client that left before the response began."""

_MOST_TOLD = 4


class StatusRow(Record, slots=True):
    """The requests of a name with one status, "503", or with those of a class that are not counted one by one, "5xx"."""

    status: str
    figures: Counters


def label(status: int) -> str:
    """Return the text of a status as it is counted: "503", "5xx" for 5, "none" for 0."""
    return NO_STATUS if not status else f"{status}xx" if status < 10 else str(status)


def by_name(counted: dict[tuple[CallKey, int], Counters]) -> dict[tuple[str, str], list[StatusRow]]:
    """Return {(name, kind): rows}, in the order of the statuses; "none" comes last."""
    groups: dict[tuple[str, str], dict[int, Counters]] = {}
    for (key, status), counters in counted.items():
        if counters.calls:
            groups.setdefault((key.name, key.kind), {}).setdefault(status, Counters()).add(counters)
    return {
        key: [StatusRow(label(status), group[status]) for status in sorted(group, key=_order)] for key, group in groups.items()
    }


def _order(status: int) -> tuple[bool, float]:
    return (not status, status if status >= 10 else status * 100 + 99.5)


def says_something(rows: Iterable[StatusRow]) -> bool:
    """Say whether there is more than success. Where no request has a status, nobody has asked for one."""
    statuses = {row.status for row in rows}
    return statuses != {NO_STATUS} and any(status[0] not in "23" for status in statuses)


def summary(rows: list[StatusRow]) -> str:
    """Return the statuses of a name in words, most requests first: "58 × 200, 2 × 503"."""
    if len(rows) == 1:
        return rows[0].status
    ranked = sorted(rows, key=lambda row: -row.figures.calls)
    told = [f"{count(row.figures.calls)} × {row.status}" for row in ranked[:_MOST_TOLD]]
    more = sum(row.figures.calls for row in ranked[_MOST_TOLD:])
    return ", ".join(told) + (f", {count(more)} others" if more else "")


def sentence(rows: list[StatusRow]) -> str:
    """Return the same with how long they took: "200: 58, p95 31 ms; 503: 2, p95 1.2 ms"."""
    return "; ".join(f"{row.status}: {count(row.figures.calls)}, p95 {duration(row.figures.p95_ns)}" for row in rows)
