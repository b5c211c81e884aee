"""A row as a plain document: what a filter gets, and what a stream has.

In: a row. Out: a dict that JSON can have, with new dicts in it. The other way round only what a filter may change is read.
"""

from __future__ import annotations

from typing import Any

from hookmon.core.record import replace
from hookmon.export.names import clean
from hookmon.export.rows import SCALE, Attributes, Row


class DocumentError(ValueError):
    """A document that is no row."""


def document_of(row: Row) -> dict[str, Any]:
    """Return {"name", "unit", "kind", "attributes"} with {"value"}, or for a histogram {"count", "sum", "min", "max", "scale",
    "buckets"}: {index: count} in OpenTelemetry's numbering, so that bucket i ends at 2**((i + 1) / 2**scale).
    """
    found: dict[str, Any] = {"name": row.instrument.name, "unit": row.instrument.unit, "kind": row.instrument.kind}
    found["attributes"] = dict(row.attributes)
    spread = row.spread
    if spread is None:
        return found | {"value": row.value}
    figures = {"count": spread.count, "sum": spread.sum, "min": spread.min, "max": spread.max, "scale": SCALE}
    return found | figures | {"buckets": {str(index): count for index, count in sorted(spread.buckets.items())}}


def renamed(row: Row, document: Any) -> Row:
    """Return a row with the name and the attributes of a document, and its own figures. Raises DocumentError."""
    if not isinstance(document, dict):
        raise DocumentError(f"it returned {type(document).__name__}, not the row or None")
    name, attributes = document.get("name"), document.get("attributes")
    if not isinstance(name, str) or not name or clean(name) != name:
        raise DocumentError(f"the name is {name!r:.60}, and no text")
    if not isinstance(attributes, dict):
        raise DocumentError(f"the attributes are {type(attributes).__name__}, and no dict")
    return replace(row, instrument=row.instrument._replace(name=name), attributes=_attributes(attributes))


def _attributes(found: dict[Any, Any]) -> Attributes:
    for name, value in found.items():
        if not isinstance(name, str) or not name:
            raise DocumentError(f"an attribute is called {name!r:.60}, and no text")
        if not isinstance(value, str | int):
            raise DocumentError(f"the attribute {name[:60]} is {type(value).__name__}: a text, a whole number or a truth value")
    cleaned = {clean(name): clean(value) if isinstance(value, str) else value for name, value in found.items()}
    return tuple(sorted(cleaned.items()))
