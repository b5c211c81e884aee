"""What the values of the tables `[export.…]` may be, and which of them a run has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hookmon.config.problem import Mistake
from hookmon.core import arguments
from hookmon.core.endpoints import BROKERS, fault_of_url, split_address

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

    from hookmon.config.packs import Pack

EXPORTERS = ("otlp", "prometheus", "stream")

SECRET = frozenset(
    (("export.otlp", "headers"), ("export.otlp", "endpoint"), ("export.otlp", "traces_endpoint"), ("export.stream", "url"))
)
"""Tables and keys whose values are kept and shown without what is secret in them."""

LONGEST_INTERVAL_S = 3_600
LEAST_WINDOW_S = 1
MOST_ENTRIES = 10_000_000


def endpoint(value: str) -> Iterator[Mistake]:
    """A URL of http or https; "" for the one that the variables name."""
    fault = fault_of_url(value) if value else ""
    if fault:
        yield Mistake(fault, '"http://127.0.0.1:4318", or with its path', code="not-an-endpoint")


def listen(value: str) -> Iterator[Mistake]:
    """An address of this machine."""
    try:
        split_address(value)
    except ValueError as error:
        yield Mistake(str(error), '"127.0.0.1:9464"', code="not-an-endpoint")


def headers(values: Sequence[object]) -> Iterator[Mistake]:
    """Texts "name=value". No message has a value."""
    for index, value in enumerate(values):
        if isinstance(value, str) and not value.partition("=")[0].strip().replace("-", "").replace("_", "").isalnum():
            yield Mistake("a header has no name", '"name=value"', at=(index,), code="not-an-endpoint")
        elif isinstance(value, str) and "=" not in value:
            yield Mistake("a header has no value", '"name=value"', at=(index,), code="not-an-endpoint")


def broker(value: str) -> Iterator[Mistake]:
    """A URL of Redis; "" for none."""
    fault = fault_of_url(value, BROKERS) if value else ""
    if fault:
        yield Mistake(fault, '"redis://127.0.0.1:6379/0"', code="not-an-endpoint")


def entries(value: float) -> Iterator[Mistake]:
    """A whole number of entries."""
    if value != int(value) or not 1 <= value <= MOST_ENTRIES:
        yield Mistake(f"{value} is no number of entries", f"a whole number from 1 to {MOST_ENTRIES}", code="not-an-amount")


def function(value: str) -> Iterator[Mistake]:
    """A function, "module:function"; "" for none."""
    module, colon, path = value.partition(":")
    names = [*module.split("."), *path.split(".")]
    if value and not (colon and all(name.isidentifier() for name in names)):
        yield Mistake(f"{value!r} names no function", '"module:function"', code="not-a-module")


def interval(value: float) -> Iterator[Mistake]:
    """Seconds; 0 for what the variables or the default say."""
    if not 0 <= value <= LONGEST_INTERVAL_S:
        yield Mistake(f"{value} is no interval", f"seconds from 0 to {LONGEST_INTERVAL_S}", code="not-an-amount")


def shown(table: str, key: str, value: Any) -> Any:
    """Return a value as it may be kept and shown."""
    if (table, key) not in SECRET:
        return value
    if isinstance(value, list):
        return [f"{str(item).partition('=')[0]}={arguments.HIDDEN}" for item in value]
    return arguments.mask([str(value)])[0]


def systems(packs: Iterable[Pack]) -> dict[str, str]:
    """Return what the targets of packs are clients of, OpenTelemetry's db.system.name, by the first part of their modules."""
    return {watch.module.partition(".")[0]: pack.database for pack in packs if pack.database for watch in pack.content.watches}


def consumers(packs: Iterable[Pack]) -> frozenset[str]:
    """Return the packages, by the first part of their modules, whose jobs come by a message: they put them in a queue, too."""
    found: set[str] = set()
    for pack in packs:
        watches = pack.content.watches
        if any(watch.kind == "queue" for watch in watches):
            found.update(watch.module.partition(".")[0] for watch in watches if watch.entry and watch.kind == "task")
    return frozenset(found)


def window(value: float) -> Iterator[Mistake]:
    """Seconds; 0 for the default."""
    if value and not LEAST_WINDOW_S <= value <= LONGEST_INTERVAL_S:
        yield Mistake(f"{value} is no window", f"seconds from {LEAST_WINDOW_S} to {LONGEST_INTERVAL_S}", code="not-an-amount")


def chosen(tables: Mapping[str, Sequence[Any]], exports: Sequence[str], *, is_off: bool) -> dict[str, dict[str, Any]]:
    """Return the values of the exporters that are on, by name: those with a table, and those that options name.

    Only what is written: variables stand before the defaults.
    """
    if is_off:
        return {}
    if not tables:
        return {name: {} for name in exports}
    written = {"otlp": tables["export.otlp"], "prometheus": tables["export.prometheus"], "stream": tables["export.stream"]}
    found = {
        name: {key: value for key, value in own[0].values.items() if key in own[0].written}
        for name, own in written.items()
        if own
    }
    return found | {name: found.get(name, {}) for name in exports}


def filter_of(tables: Mapping[str, Sequence[Any]]) -> str:
    """Return the function that sees each row before it is exported, "module:function", "" for none."""
    return "".join(str(table.values["filter"]) for table in tables["export"]) if tables else ""
