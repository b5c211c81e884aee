"""What a single value may be; each check yields what is wrong with it. The table in `settings` says which check is whose."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hookmon.config.problem import Mistake, closest, quote
from hookmon.core import layout
from hookmon.core import span as span_template
from hookmon.core.globs import EVERYTHING, SUFFIXES
from hookmon.core.plan import KINDS, REDACTIONS

_CALLS_ALLOWED = '"name", "Class.name", "Class.*" (a glob only in the last part), "factory.<locals>.name"'
_NESTED = ("<locals>", "<lambda>")
_WAYS = ("auto", "function", "code", "name")
TESTED_AGAINST = {"server": "a real server", "stub": "a stub of the protocol", "library": "the library alone"}
"""How sure a pack is: what its tests had before them, in the words of the table of packs."""

_SIGNALS = Path(__file__).parent.parent / "probe" / "signals"
_GLOB_PARTS = re.compile(r"[*?]|\[[^\[\]]+\]")


def anything(_value: object) -> Iterator[Mistake]:
    """Yield nothing: the type says it all."""
    yield from ()


def module(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` is a dotted module name or "__main__"."""
    if not _is_dotted(name):
        guess = name.strip().removesuffix(".py").replace("/", ".").replace("-", "_")
        meant = guess if _is_dotted(guess) else ""
        yield Mistake(
            f"module {quote(name)} is not a module name",
            'a dotted name as in an import, "shop.pricing", or "__main__"',
            meant,
            code="not-a-module",
        )


_MODULES_ALLOWED = '"shop.pricing", "shop.*" (the modules in a package), "shop.**" (it and all below), "__main__"'


def modules(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` is a module, or a glob of modules."""
    if not _GLOB_PARTS.search(name):
        yield from module(name)
        return
    parts = name.split(".")
    if all(part == EVERYTHING or _is_part(part) for part in parts):
        return
    meant = _modules_meant(name)
    yield Mistake(f"module {quote(name)} is not a module name or a glob", _MODULES_ALLOWED, meant, code="not-a-module")


def _is_part(part: str) -> bool:
    """Say whether a part of a glob can stand for a name. Two stars mean all below only where they are a whole part."""
    literal = _GLOB_PARTS.sub("_", part)
    return EVERYTHING not in part and literal.isidentifier()


def _modules_meant(name: str) -> str:
    """Return what a glob that is none was probably meant to be, "" for no idea."""
    guess = name.strip().removesuffix(".py").replace("/", ".").replace("-", "_").strip(".")
    parts = [EVERYTHING if part.strip("*") == "" and len(part) > 1 else part for part in guess.split(".") if part]
    guess = ".".join(parts)
    return guess if guess != name and parts and all(part == EVERYTHING or _is_part(part) for part in parts) else ""


def file(path: str) -> Iterator[Mistake]:
    """Yield a mistake unless `path` can be that of a module, or a glob of such; "" is none."""
    last = path.rpartition("/")[2]
    if not path:
        return
    if not path.isprintable() or not path.strip("/") or path.startswith("~"):
        yield Mistake(f"file {quote(path)} is no path", _FILES_ALLOWED, code="not-a-file")
    elif not last.endswith(SUFFIXES):
        is_module = "." in path and _is_dotted(path)
        meant = f'module = "{path}"' if is_module else f"{path}.py" if last == "*" else f"{path.rstrip('/')}/*.py"
        yield Mistake(f"file {quote(path)} names no Python files", _FILES_ALLOWED, meant, code="not-a-file")
    elif any(EVERYTHING in part and part != EVERYTHING for part in path.split("/")):
        meant = path.replace("**.py", "**/*.py")
        yield Mistake(f"file {quote(path)} has ** in a name", _FILES_ALLOWED, meant if meant != path else "", code="not-a-file")


_FILES_ALLOWED = '"dags/sales.py", "dags/*.py" (those in a folder), "dags/**/*.py" (and all below)'


def calls(names: Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake for each name that cannot be a call; globs are those of `fnmatch`."""
    if not names:
        yield Mistake("calls is empty", f"one or more of {_CALLS_ALLOWED}", code="no-calls")
    for index, name in enumerate(names):
        if isinstance(name, str):
            yield from _call(name, index)


def names(values: Sequence[object]) -> Iterator[Mistake]:
    """Yield what `calls` does, but for an empty array."""
    if values:
        yield from calls(values)


_LONE_PLACES = ("decorated", "result")
"""Places of a callback that stand for themselves, and not beside others."""


def callbacks(places: str | Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake unless `places` say where a registration function has its callbacks.

    Such a place is an argument ("listener", "arg0", "*listeners"), what the returned decorator is put on ("decorated"), what is
    returned or yielded ("result"), or an attribute in which it stands, alone or among others ("self.listeners", "arg0.function",
    "module.LISTENERS").
    """
    if isinstance(places, str):
        yield from _callback(places, ())
        return
    if not places:
        yield Mistake("callable is empty", _PLACES, code="not-a-hook")
    for index, where in enumerate(places):
        if isinstance(where, str):
            yield from _callback(where, (index,))
            if where in _LONE_PLACES and len(places) > 1:
                yield Mistake(f"callable {quote(where)} stands beside others", "it alone", at=(index,), code="contradiction")


_PLACES = '"parameter", "arg0", "*parameters", "decorated", "result", "self.attribute", "arg0.attribute", "module.NAME"'


def _callback(where: str, at: tuple[int, ...]) -> Iterator[Mistake]:
    if not _is_dotted(where) and not (where.startswith("*") and where[1:].isidentifier()):
        guess = where.strip().removesuffix("[]").removesuffix("()").strip("{}")
        meant = guess if guess != where and _is_dotted(guess) else ""
        yield Mistake(f"callable {quote(where)} is no place of a callback", _PLACES, meant, at=at, code="not-a-hook")


def conditions(pairs: Mapping[str, object]) -> Iterator[Mistake]:
    """Yield a mistake for each key that is no field of a call, and for each value that is no text."""
    for key, value in pairs.items():
        if not isinstance(value, str):
            meant = f"{quote(f'{key}.{next(iter(value))}')} = …" if isinstance(value, dict) and value else ""
            found = f"{quote(key)} is {'a table' if isinstance(value, dict) else quote(value)}"
            yield Mistake(found, 'a string, {arg0 = "started"}', meant, at=(key,), code="wrong-type")
            continue
        try:
            parts = span_template.parse(f"{{{key}}}")
        except ValueError:
            parts = []
        if len(parts) != 1 or isinstance(parts[0], str) or parts[0][1] or len(parts[0][0]) > 1:
            allowed = '"arg0", a parameter, "self.attribute", "arg0.attribute"'
            yield Mistake(f"{quote(key)} is no argument of a call", allowed, at=(key,), code="not-a-span")


def packages_or_callables(names: Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake for each name that can be neither a package nor a callable with its module."""
    for index, name in enumerate(names):
        if isinstance(name, str) and not all(_is_dotted(part) for part in name.split(":", 1)):
            yield Mistake(
                f"{quote(name)} is not a package or callable",
                '"shop.plugins", "shop.plugins:on_save"',
                at=(index,),
                code="not-a-hook",
            )


def methods(patterns: Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake for each pattern that cannot be the name of a method."""
    for index, pattern in enumerate(patterns):
        if isinstance(pattern, str) and not _GLOB_PARTS.sub("_", pattern).isidentifier():
            yield Mistake(f"method {quote(pattern)} is not a name", '"saved", "on_*"', at=(index,), code="not-a-hook")


def bases(names: str | Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake unless `names` is a class with its module, or several, or nothing."""
    if isinstance(names, str):
        if names:
            yield from _class("base", names, '"framework.plugin:Plugin"', ())
        return
    for index, name in enumerate(names):
        if isinstance(name, str):
            yield from _class("base", name, '"framework.plugin:Plugin"', (index,))


def exceptions(names: Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake for each name that is no class with its module."""
    for index, name in enumerate(names):
        if isinstance(name, str):
            yield from _class("exception", name, '"framework.errors:Skip", "builtins:KeyError"', (index,))


def _class(what: str, name: str, allowed: str, at: tuple[int, ...]) -> Iterator[Mistake]:
    module_name, colon, class_name = name.partition(":")
    if not (colon and _is_dotted(module_name) and _is_dotted(class_name)):
        head, _, last = name.rpartition(".")
        guess = f"{head}:{last}" if head else f"builtins:{name}"
        meant = guess if not colon and _is_dotted(name) and (head or hasattr(builtins, name)) else ""
        yield Mistake(f"{what} {quote(name)} is not a class with its module", allowed, meant, at=at, code="not-a-hook")


def _call(name: str, index: int) -> Iterator[Mistake]:
    *parents, last = parts = name.split(".")
    literals = [
        _GLOB_PARTS.sub("_", part) for part in parts
    ]  # what a glob stands for could be a letter, so an identifier is left
    if any(char in part for part in parents for char in "*?[]") and "<locals>" not in parents:
        yield Mistake(f"call {quote(name)} has a glob before its last part", _CALLS_ALLOWED, at=(index,), code="not-a-call")
    elif any("[" in literal or "]" in literal for literal in literals):
        yield Mistake(
            f"call {quote(name)} has a bracket that belongs to no [set]", _CALLS_ALLOWED, at=(index,), code="not-a-call"
        )
    elif not all(literal.isidentifier() or literal in _NESTED for literal in literals) or last == "<locals>":
        yield Mistake(f"call {quote(name)} is not a name", _CALLS_ALLOWED, _call_meant(name), at=(index,), code="not-a-call")


def _call_meant(name: str) -> str:
    guess = name.strip().removesuffix("()").rpartition(":")[2]
    return guess if guess != name and _is_dotted(guess) else ""


def span(template: str) -> Iterator[Mistake]:
    """Yield a mistake unless `template` is one that core.span can read."""
    try:
        span_template.parse(template)
    except ValueError as error:
        yield Mistake(f"span {quote(template)}: {error}", code="not-a-span")


def place(template: str) -> Iterator[Mistake]:
    """Yield a mistake unless `template` is one plain field, or empty."""
    try:
        parts = span_template.parse(template)
    except ValueError as error:
        yield Mistake(f"{quote(template)}: {error}", code="not-a-span")
        return
    if parts and (len(parts) > 1 or isinstance(parts[0], str) or len(parts[0][0]) > 1 or parts[0][1]):
        yield Mistake(f"{quote(template)} is not one place", 'a field without a filter, "{result.response}"', code="not-a-span")


def kind(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` is one of core.plan's kinds."""
    if name not in KINDS:
        yield Mistake(f"kind {quote(name)} is unknown", ", ".join(KINDS), closest(name, KINDS), code="unknown-kind")


def against(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` is what a pack can have been tested against, or is empty."""
    if name and name not in TESTED_AGAINST:
        allowed = ", ".join(quote(ground) for ground in TESTED_AGAINST)
        yield Mistake(f"against {quote(name)} is unknown", allowed, closest(name, TESTED_AGAINST), code="unknown-ground")


def via(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` is a way in which a function can be watched."""
    if name not in _WAYS:
        allowed = ", ".join(quote(way) for way in _WAYS)
        yield Mistake(f"via {quote(name)} is unknown", allowed, closest(name, _WAYS), code="unknown-way")


_LONGEST_SERVICE = 100


def service(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` can be that of a service, or is empty. A number is one of a run or a process."""
    if name and (not name.isprintable() or name != name.strip() or name.startswith("-") or len(name) > _LONGEST_SERVICE):
        allowed = f"printable text of at most {_LONGEST_SERVICE} characters, without blanks at its ends or a hyphen before it"
        yield Mistake(f"service {quote(name[:_LONGEST_SERVICE])} is not a name", allowed, name.strip(" -"), code="not-a-name")
    elif name.isdecimal() or name == "last" or "/" in name or name.endswith(".sqlite"):
        yield Mistake(
            f"service {quote(name)} would be taken for a run", "a name that is no number, no path and not last", code="not-a-name"
        )


def redact(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` is one of core.plan's redactions."""
    if name not in REDACTIONS:
        yield Mistake(
            f"redact {quote(name)} is unknown",
            ", ".join(f'"{redaction}"' for redaction in REDACTIONS),
            closest(name, REDACTIONS),
            code="unknown-redaction",
        )


def signals(names: Sequence[object]) -> Iterator[Mistake]:
    """Yield a mistake for each name that no module in hookmon/probe/signals has."""
    for index, name in enumerate(names):
        if isinstance(name, str) and name not in (known := signal_names()):
            yield Mistake(
                f"signal {quote(name)} is unknown", ", ".join(known), closest(name, known), at=(index,), code="unknown-signal"
            )


def signal_names() -> list[str]:
    """Return the names of the signals there are, found by listing: the probe is never imported here."""
    return sorted(path.stem for path in _SIGNALS.glob("[a-z]*.py"))


def adapter(name: str) -> Iterator[Mistake]:
    """Yield a mistake unless `name` can be a module in hookmon.packs."""
    if not name.isidentifier():
        yield Mistake(f"adapter {quote(name)} is not a name", "the name of a module beside the pack", code="not-a-module")


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def share(value: str) -> Iterator[Mistake]:
    """A share in per cent, "3%", or "off"."""
    if value == "off":
        return
    number = value.strip().removesuffix("%")
    try:
        is_share = value.strip().endswith("%") and 0 < float(number) <= 100
    except ValueError:
        is_share = False
    if not is_share:
        yield Mistake(f"{quote(value)} is no share", 'a percentage above 0 such as "3%", or "off"', code="not-a-share")


_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ns|us|µs|ms|s|min)\s*")
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_GROWTH = re.compile(r"\s*\+\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
FEWEST_REPEATED = layout.REPEATED - 1
"""The least number of repetitions that a budget can allow: from REPEATED on they are told."""


def duration(value: str) -> Iterator[Mistake]:
    """A duration with its unit, "60ms"."""
    if value and not _DURATION.fullmatch(value):
        yield Mistake(f"{quote(value)} is no duration", 'a number with ns, us, ms, s or min, "60ms"', code="not-a-duration")


def duration_ns_of(value: str) -> float:
    """Return the nanoseconds that a checked duration stands for."""
    match = _DURATION.fullmatch(value)
    assert match is not None
    return float(match[1]) * _UNITS_NS[match[2]]


def part(value: str) -> Iterator[Mistake]:
    """A share in per cent, "1%"; none is "0%"."""
    if value and (not _PART.fullmatch(value) or part_of(value) > 1):
        yield Mistake(f"{quote(value)} is no share", 'a percentage from 0 to 100, "1%"', code="not-a-share")


def part_of(value: str) -> float:
    """Return the share, 0.0 to 1.0, that a checked one stands for."""
    match = _PART.fullmatch(value)
    assert match is not None
    return float(match[1]) / 100


def growth(value: str) -> Iterator[Mistake]:
    """By how much something may grow, "+10%"."""
    if value and not _GROWTH.fullmatch(value):
        meant = f"+{value.strip()}" if _PART.fullmatch(value) else ""
        yield Mistake(f"{quote(value)} is no growth", 'a percentage with its sign, "+10%"', meant, code="not-a-share")


def growth_of(value: str) -> float:
    """Return what a checked growth allows to multiply by: 1.1 for "+10%"."""
    match = _GROWTH.fullmatch(value)
    assert match is not None
    return 1 + float(match[1]) / 100


def amount(value: float) -> Iterator[Mistake]:
    """A number of calls, 0 for none at all."""
    if not 0 <= value < float("inf"):
        yield Mistake(f"{quote(value)} is no number of calls", "a number from 0 on", code="not-an-amount")


MOST_SAMPLES = 1_000
"""A second: beyond that the sampler does not keep up with a few threads."""


def rate(value: float) -> Iterator[Mistake]:
    """Samples a second, 0 for none."""
    if not (0 <= value <= MOST_SAMPLES and value == int(value)):
        yield Mistake(
            f"{quote(value)} is no rate", f"a whole number of samples a second, at most {MOST_SAMPLES}", code="not-an-amount"
        )


def repetition(value: float) -> Iterator[Mistake]:
    """A number of repetitions: fewer than five are not told apart."""
    if not FEWEST_REPEATED <= value < float("inf"):
        found = f"max_repetition {quote(value)} cannot be checked"
        yield Mistake(found, f"a number from {FEWEST_REPEATED} on: fewer than five are not counted", code="not-an-amount")


def share_of(value: str) -> float:
    """Return the share that a checked value stands for, 0.0 for "off"."""
    return 0.0 if value == "off" else float(value.strip().removesuffix("%")) / 100
