"""Span templates at work: from the arguments of a call to its span.

In: a parsed template and the callable. Out: a function of (args, kwargs) that never raises and runs no code of the program:
attributes are read from instance dictionaries, slots and class constants, values are text only when they are text or
numbers, anything else shows its type. Runs in the watched process, on the hot path of templated targets.
"""

from __future__ import annotations

import os
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType

from hookmon.core.span import parse
from hookmon.probe.callables import called
from hookmon.probe.guard import shielded
from hookmon.probe.methods import method_of
from hookmon.probe.target import own_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.target import Span, Target

    FindSpan = Callable[[tuple[Any, ...], dict[str, Any]], Span]
    Read = Callable[[tuple[Any, ...], dict[str, Any]], str]
    Filter = Callable[[Any], str | None]  # None: there is nothing to show

LONGEST_NAME = 200
_LONGEST_VALUE = 100
_MOST_KNOWN = 10_000
_MOST_PARTS = 1_000
_MISSING = object()

redact = "literals"
"""What is taken out of SQL: "off", "literals" or "all"; the plan says it, before the first name is made."""


def span_finder(
    template: str, target: Target, function: Any, is_method: bool, given: tuple[str, ...] = ()
) -> tuple[FindSpan, int]:
    """Return the function that finds the span of a call, and the position of the argument that alone decides, or -1.

    `is_method` says that the first positional argument is `self`, which `{arg0}` does not count. `given` are roots that the
    caller of `find` adds to its keywords. A field that finds nothing reads "?". Raises ValueError for a template that
    `core.span` refuses.
    """
    fields = parse(template)
    parts: list[str | Read] = [
        part if isinstance(part, str) else _reader(part, target, function, is_method, given) for part in fields
    ]
    fallback = target.span(target.path.partition(":")[2])

    @shielded(fallback)
    def find(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        name = "".join([part if isinstance(part, str) else part(args, kwargs) for part in parts])
        return target.span(name[:LONGEST_NAME])

    return find, _only_argument(fields, is_method)


def text_finder(
    template: str, target: Target, function: Any, is_method: bool
) -> Callable[[tuple[Any, ...], dict[str, Any]], str]:
    """Return the function that reads a template's text off a call, "" where one of its fields finds nothing.

    The keyword `result` is what the call has returned. Raises ValueError for a template that `core.span` refuses.
    """
    parts: list[str | Read] = [
        part if isinstance(part, str) else _reader(part, target, function, is_method, ()) for part in parse(template)
    ]

    def find(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        found = [part if isinstance(part, str) else part(args, kwargs) for part in parts]
        return "" if "?" in found else "".join(found)[:LONGEST_NAME]

    return find


def remembering(find: FindSpan, position: int) -> FindSpan:
    """Return a `find` that remembers spans by the hash of the argument that decides: the values are not kept."""
    known: dict[int, Span] = {}

    def find_quickly(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        if len(args) > position and type(args[position]) is str:
            key = hash(args[position])
            if key in known:
                return known[key]
            span = find(args, kwargs)
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[key] = span
            return span
        return find(args, kwargs)

    return find_quickly if position >= 0 else find


def locating(find: FindSpan) -> FindSpan:
    """Return a `find` that tells spans apart by the line of the program's own code that calls."""
    known: dict[tuple[Span, str, int], Span] = {}

    def find_there(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        span = find(args, kwargs)
        filename, line = own_place()
        if not filename:
            return span
        key = (span, filename, line)
        found = known.get(key)
        if found is None:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            found = known[key] = span.target.span(span.name, f"{filename}:{line}")
        return found

    return find_there


def _only_argument(fields: list[Any], is_method: bool) -> int:
    """Return the position of the argument when a template has one field and that is a positional argument itself, else -1."""
    found = [part for part in fields if not isinstance(part, str)]
    if len(found) != 1:
        return -1
    paths, _ = found[0]
    root = paths[0][0]
    if len(paths) > 1 or len(paths[0]) > 1 or not (root.startswith("arg") and root[3:].isdigit()):
        return -1
    return int(root[3:]) + is_method


def _reader(
    field: tuple[tuple[tuple[str, ...], ...], str], target: Target, function: Any, is_method: bool, given: tuple[str, ...]
) -> Read:
    paths, filter_name = field
    apply = _FILTERS[filter_name]
    if paths[0][0] == "function":
        constant = target.path.partition(":")[2]
        if paths[0][1:] == ("name",):
            constant = constant.rpartition(".")[2]
        constant = apply(constant) or ""
        return lambda args, kwargs: constant
    readers = [(_root_reader(root, function, is_method, given), attributes) for root, *attributes in paths]

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        text: str | None = None
        found: Any = _MISSING
        for root_of, attributes in readers:
            value = root_of(args, kwargs)
            for name in attributes:
                value = attribute(value, name)
            shown = apply(value)
            if shown:
                return shown
            if value is not _MISSING and (value is not None or found is _MISSING):
                found, text = value, shown
            elif text is None:
                text = shown
        return _instead(found) if text is None else text

    return read


def _root_reader(root: str, function: Any, is_method: bool, given: tuple[str, ...]) -> Callable[[Any, Any], Any]:
    if root in given:
        return lambda args, kwargs: kwargs.get(root, _MISSING)
    if root in ("self", "class"):

        def own(args: Any, _: Any) -> Any:
            value = args[0] if is_method and args else _MISSING
            if root == "self" or value is _MISSING or issubclass(type(value), type):
                return value  # a class method gets the class itself
            return type(value)

        return own
    if root.startswith("arg") and root[3:].isdigit():
        position = int(root[3:]) + is_method
        names = parameters(function)
        keyword = names[position] if position < len(names) else ""
    else:
        keyword = root
        names = parameters(function)
        position = names.index(root) if root in names else 1_000_000

    def argument(args: Any, kwargs: Any) -> Any:
        return args[position] if position < len(args) else kwargs.get(keyword, _MISSING)

    return argument


def parameters(function: Any) -> tuple[str, ...]:
    """Return the names of the positional parameters of a Python function, none for anything else."""
    while isinstance(getattr(function, "__wrapped__", None), FunctionType):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount] if code is not None else ()


def attribute(value: Any, name: str) -> Any:
    """Return an attribute, or what a plain dictionary, list or tuple holds; _MISSING where code of the program would run."""
    if value is _MISSING:
        return value
    if type(value) is dict:
        return value.get(name, _MISSING)
    if name.isdigit():
        is_there = type(value) in (tuple, list) and int(name) < len(value)
        return value[int(name)] if is_there else _MISSING
    on_class: Any = _MISSING
    for owner in type(value).__mro__:
        on_class = owner.__dict__.get(name, _MISSING)
        if on_class is not _MISSING:
            break
    if type(on_class) is MemberDescriptorType or type(on_class).__name__ == "_tuplegetter":  # slots, named tuples
        return on_class.__get__(value)
    if not hasattr(type(on_class), "__set__"):
        own = own_dictionary(value).get(name, _MISSING)
        if own is not _MISSING:
            return own
    return on_class if type(on_class) in (str, int) else _MISSING


def own_dictionary(value: Any) -> Any:
    """Return an instance's dictionary, {} where it has none, or one that a property of the program would have to make."""
    for owner in type(value).__mro__:
        found = owner.__dict__.get("__dict__", _MISSING)
        if found is not _MISSING:
            return found.__get__(value) if type(found) is GetSetDescriptorType else {}
    return {}


def _instead(value: Any) -> str:
    """Return what stands for a value that has no text to show: the name of a class or of a value's type, "?" for nothing.

    The type is asked and never the value, whose `__class__` may be a property of the program.
    """
    kind = type(value)
    if value is _MISSING or issubclass(kind, str | bytes):
        return "?"
    if value is None:
        return "None"
    return type.__getattribute__(value, "__name__") if issubclass(kind, type) else kind.__name__


def _exactly(value: Any) -> str | None:
    """Return a text or number as a plain str, None for anything else."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value) if kind is str else "".join(str.__iter__(value))
    if issubclass(kind, bytes):
        return bytes.decode(value, "utf-8", "replace")
    return repr(value) if kind in (bool, int, float) else None


def _text(value: Any) -> str | None:
    text = _exactly(value)
    return text and text[:_LONGEST_VALUE]


def _changed(change: Callable[[str], str | None]) -> Filter:
    """Return the filter that changes a text; None when it cannot be read, or is not what the filter is for."""

    def apply(value: Any) -> str | None:
        text = _text(value)
        return None if text is None else change(text)

    return apply


def _command(text: str) -> str | None:
    words = text.upper().split(None, 2)
    return " ".join(words[: 2 if words[0] in _CONTAINERS else 1]) if words else None


_CONTAINERS = frozenset(("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY"))
_CONTAINERS |= {"MEMORY", "MODULE", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"}
"""Redis commands whose second word says what they do (redis.io, "Commands", 7.x)."""


def _host(value: Any) -> str | None:
    """Return host and port of a URL, without user, path or query; the port only when it is not the scheme's own.

    The URL is a text, or an object that keeps its pieces as yarl's does (`_scheme`, `_netloc`). None for anything else: a
    path may stand where a URL is expected, and is nobody's business.
    """
    if not issubclass(type(value), str | bytes):
        scheme, rest = _exactly(attribute(value, "_scheme")), _exactly(attribute(value, "_netloc"))
        return _place(scheme, rest) if scheme and rest else _text(value)
    url = _exactly(value) or ""
    scheme, slashes, rest = url.partition("://")
    if not slashes or not scheme.translate(_IN_SCHEMES).isalnum():
        return None
    for end in "/?#":
        rest = rest.partition(end)[0]
    return _place(scheme, rest)


def _name(value: Any) -> str | None:
    """Return a path as it is seen from the folder that the process was in at first; None for digits, which name nothing."""
    text = str(value) if type(value).__module__.partition(".")[0] == "pathlib" else _exactly(value)
    if text is None or text.isdigit():
        return None
    return text.removeprefix(_here)[:_LONGEST_VALUE]


_here = os.getcwd().rstrip("/") + "/"


def _test(value: Any) -> str | None:
    """Return the identifier of a test without its parameters, which may hold data."""
    text = _exactly(value)
    if value is None or text is None:
        return None
    path, colons, name = text.partition("::")
    return f"{path}{colons}{name.partition('[')[0]}"[:LONGEST_NAME]


def _place(scheme: str, rest: str) -> str | None:
    place = rest.rpartition("@")[2][:_LONGEST_VALUE]
    host, colon, port = place.rpartition(":")
    if not colon or "]" in port:
        return place or None
    if port in ("", _OWN_PORTS.get(scheme.lower())):
        return host
    return place if port.isdigit() else None  # what a password with a slash in it leaves behind


_IN_SCHEMES = str.maketrans("", "", "+-.")
_OWN_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def _port(value: Any) -> str:
    text = _text(value)
    return f":{text}" if text and text.isdigit() and text not in ("80", "443") else ""


def _program(value: Any) -> str | None:
    """Return the name of the program that a command line starts, None where its first word is no plain name.

    What follows it is never looked at; `PASSWORD=x make` begins with no name.
    """
    kind = type(value)
    if issubclass(kind, list | tuple):
        each: Any = list if issubclass(kind, list) else tuple
        text = _exactly(each.__getitem__(value, 0)) if each.__len__(value) else None
    else:
        text = _exactly(value)
        text = text and text.strip().partition(" ")[0]
    name = (text or "").rpartition("/")[2][:_LONGEST_VALUE]
    return name if name.translate(_IN_PROGRAMS).isalnum() else None


_IN_PROGRAMS = str.maketrans("", "", "+-._")


def _sql(value: Any) -> str | None:
    from hookmon.probe.fingerprint import fingerprint  # only who names SQL pays for re

    statement = _statement(value)
    return _text(value) if statement is None else fingerprint(statement, redact)


def _statement(value: Any) -> str | None:
    """Return the text of a statement, also of one that psycopg's `sql` module has composed; None for anything else.

    Its classes keep what they are made of in `_obj` (psycopg 3.1 to 3.3) or `_wrapped` (psycopg2 2.9).
    """
    kind = type(value)
    if issubclass(kind, str | bytes):
        return _exactly(value)
    inside = attribute(value, "_obj")
    if inside is _MISSING:
        inside = attribute(value, "_wrapped")
    name = type.__getattribute__(kind, "__name__")
    if name == "SQL" and issubclass(type(inside), str):
        return _exactly(inside)
    if name == "Identifier" and type(inside) in (list, tuple):
        names = [_exactly(part) or "" for part in inside]
        return ".".join(name if name.isidentifier() else f'"{name}"' for name in names)
    if name == "Composed" and type(inside) is list:
        return "".join(_statement(part) or " ? " for part in inside[:_MOST_PARTS])
    return None


_FILTERS: dict[str, Filter] = {
    "": _text,
    "upper": _changed(str.upper),
    "lower": _changed(str.lower),
    "command": _changed(_command),
    "word": _changed(lambda text: text.partition(" ")[0]),
    "host": _host,
    "port": _port,
    "file": lambda value: (text := _exactly(value)) and text.rpartition("/")[2][:_LONGEST_VALUE],
    "program": _program,
    "method": _changed(method_of),
    "sql": _sql,
    "name": _name,
    "test": _test,
    "callable": lambda value: None if value is _MISSING else str.__str__(called(value))[:_LONGEST_VALUE],
}
