"""Turns checked `[budget."NAME"]` tables into limits with numbers in them: nanoseconds, shares and factors."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hookmon.config import checks
from hookmon.config.document import Document
from hookmon.config.problem import Place
from hookmon.config.settings import USER, settings_of
from hookmon.config.validate import Table
from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_NUMBERS: dict[Any, Callable[[Any], float]] = {
    checks.duration: checks.duration_ns_of,
    checks.part: checks.part_of,
    checks.growth: checks.growth_of,
    checks.amount: float,
    checks.repetition: float,
}


class Limit(Record, frozen=True):
    """One line of a budget. `text` is as it was written, `number` in nanoseconds, as a share or factor, or in calls."""

    key: str
    number: float
    text: str
    place: Place


class Budget(Record, frozen=True):
    """The limits of what is called `name`, which may be a glob."""

    name: str
    limits: tuple[Limit, ...]
    place: Place


def budgets(document: Document, tables: Iterable[Table]) -> tuple[Budget, ...]:
    """Return the budgets of a document, in its order."""
    found = []
    for table in tables:
        limits = []
        for key, setting in settings_of(str(table.path[0]), USER).items():
            value = table.values.get(key, "")
            if value != "":
                place = document.place((*table.path, key))
                limits.append(Limit(key, _NUMBERS[setting.check](value), str(value), place))
        limits.sort(key=lambda limit: limit.place.line)
        found.append(Budget(str(table.path[-1]), tuple(limits), table.place))
    return tuple(found)
