"""A function of the user that sees each row before any exporter does, and may drop it or give it other attributes.

In: "module:function" of the configuration, then rows. Out: rows, of which none has the name and attributes of another one: those
that have become equal are added up. Runs in the launcher or in `hookmon export`, never in the program.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from inspect import iscoroutinefunction, signature
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from hookmon.core.record import replace
from hookmon.export.documents import DocumentError, document_of, renamed
from hookmon.export.rows import Row, Spread
from hookmon.export.settings import ExportError

_TOLD_EVERY_S = 60.0
_MOST_SERIES = 4_400  # twice what a run exports: the names and attributes that a filter has ever made

Document = dict[str, Any]


def load_filter(text: str, folder: str) -> Callable[[Document], object]:
    """Return the function that "module:function" names; the folder of the configuration is searched last. Raises ExportError."""
    module_name, _, path = text.partition(":")
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found: Any = import_module(module_name)
    except (Exception, SystemExit) as error:  # a script, perhaps, that ends itself
        line = f"filter in [export]: {module_name} cannot be imported ({type(error).__name__}: {error})"
        raise ExportError(line[:300], code="export-filter") from error
    for name in path.split("."):
        if not hasattr(found, name):
            where = getattr(found, "__file__", None) or module_name
            near = get_close_matches(name, [known for known in dir(found) if not known.startswith("__")], n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ExportError(f"filter in [export]: there is no {path!r} in {Path(where).name}{meant}", code="export-filter")
        found = getattr(found, name)
    if not callable(found):
        raise ExportError(f"filter in [export]: {text} is {type(found).__name__}, and no function", code="export-filter")
    fault = _fault_of_call(found)
    if fault:
        raise ExportError(
            f"filter in [export]: {text} {fault}; allowed: a function of one argument, the row", code="export-filter"
        )
    return found  # type: ignore[no-any-return]


def _fault_of_call(function: Callable[..., object]) -> str:
    """Return why a function cannot be called with a row, "" where it can, or where nobody knows."""
    if iscoroutinefunction(function):
        return "is a coroutine function, and nothing awaits it"
    try:
        signature(function).bind({})
    except TypeError as error:
        return f"cannot be called with a row ({error})"
    except ValueError:  # of a function in C that does not tell
        pass
    return ""


class RowFilter:
    """Applies a function to rows. A row for which it fails is not exported, as it may have been meant to be dropped."""

    def __init__(self, function: Callable[[Document], object], name: str, tell: Callable[[str], None]) -> None:
        """Begin; `tell` takes a line for the user, in any thread. `name` is how the configuration calls the function."""
        self.failures = 0
        self._function = function
        self._name = name
        self._tell = tell
        self._told_at = float("-inf")
        self._last = ""
        self._kinds: dict[str, tuple[str, str]] = {}
        self._known: set[object] = set()
        self._lock = Lock()

    def __call__(self, rows: list[Row]) -> list[Row]:
        """Return what is left of rows. One exporter at a time gets here, as the function is the user's."""
        with self._lock:
            kept: dict[object, Row] = {}
            for row in rows:
                found = self._apply(row)
                if found is not None:
                    known = kept.get(found.key)
                    kept[found.key] = found if known is None else _add(known, found)
            return list(kept.values())

    def loss(self) -> str:
        """Return how often it has failed, as one line, "" for never."""
        rows = "1 row, which is" if self.failures == 1 else f"{self.failures} rows, which are"
        return f"filter {self._name} failed for {rows} missing ({self._last})" if self.failures else ""

    def _apply(self, row: Row) -> Row | None:
        try:
            document = self._function(document_of(row))
            found = None if document is None else renamed(row, document)
            if found is not None:
                self._check(found)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a filter does, the run goes on
            self.failures += 1
            self._last = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if monotonic() - self._told_at >= _TOLD_EVERY_S:
                self._told_at = monotonic()
                self._tell(f"hookmon: {self.loss()} [export-filter]")
            return None
        return found

    def _check(self, row: Row) -> None:
        """Raise DocumentError for what would be two metrics of one name, or for attributes that are new with each row."""
        instrument = row.instrument
        kind = self._kinds.setdefault(instrument.name, (instrument.kind, instrument.unit))
        if kind != (instrument.kind, instrument.unit):
            raise DocumentError(f"{instrument.name} is a {kind[0]} in {kind[1]} already, this one a {instrument.kind}")
        if row.key not in self._known:
            if len(self._known) >= _MOST_SERIES:
                raise DocumentError(f"it has made {_MOST_SERIES} series, and makes more")
            self._known.add(row.key)


def _add(one: Row, other: Row) -> Row:
    """Return the sum of two rows of one series."""
    is_over = one.is_over and other.is_over
    exemplars = one.exemplars + other.exemplars
    if one.spread is None or other.spread is None:
        return replace(one, value=one.value + other.value, is_over=is_over, exemplars=exemplars)
    filled = [spread for spread in (one.spread, other.spread) if spread.count] or [one.spread]
    buckets = dict(one.spread.buckets)
    for index, count in other.spread.buckets.items():
        buckets[index] = buckets.get(index, 0) + count
    low, high = min(spread.min for spread in filled), max(spread.max for spread in filled)
    spread = Spread(buckets, one.spread.count + other.spread.count, one.spread.sum + other.spread.sum, low, high)
    return replace(one, spread=spread, is_over=is_over, exemplars=exemplars)
