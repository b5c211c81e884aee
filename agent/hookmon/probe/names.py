"""Span templates at work: from the arguments of a call to its span.

In: a parsed template and the callable. Out: a function of (args, kwargs) that never raises and runs no code of the program:
attributes are read from instance dictionaries, slots and class constants, values are text only when they are text or
numbers, anything else shows its type. Runs in the watched process, on the hot path of templated targets.
"""

from __future__ import annotations

from types import FunctionType, GetSetDescriptorType, MemberDescriptorType

from hookmon.core.span import parse
from hookmon.probe.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.target import Span, Target

    FindSpan = Callable[[tuple[Any, ...], dict[str, Any]], Span]
    Read = Callable[[tuple[Any, ...], dict[str, Any]], str]

_LONGEST_NAME = 200
_LONGEST_VALUE = 100
_MOST_KNOWN = 10_000
_MISSING = object()


def fixed_name(template: str) -> str:
    """Return the name of every call, "" where the arguments have a say. Raises ValueError for a bad template."""
    parts = parse(template)
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts)[:_LONGEST_NAME] if len(texts) == len(parts) else ""


def span_finder(template: str, target: Target, function: Any, is_method: bool) -> tuple[FindSpan, int]:
    """Return the function that finds the span of a call, and the position of the argument that alone decides, or -1.

    `is_method` says that the first positional argument is `self`, which `{arg0}` does not count. A field that finds
    nothing reads "?". Raises ValueError for a template that `core.span` refuses.
    """
    fields = parse(template)
    parts: list[str | Read] = [part if isinstance(part, str) else _reader(part, target, function, is_method) for part in fields]
    fallback = target.span(target.path.partition(":")[2])

    @shielded(fallback)
    def find(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        name = "".join([part if isinstance(part, str) else part(args, kwargs) for part in parts])
        return target.span(name[:_LONGEST_NAME])

    return find, _only_argument(fields, is_method)


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


def _reader(field: tuple[tuple[tuple[str, ...], ...], str], target: Target, function: Any, is_method: bool) -> Read:
    paths, filter_name = field
    apply = _FILTERS[filter_name]
    if paths[0][0] == "function":
        constant = target.path.partition(":")[2]
        return lambda args, kwargs: constant
    readers = [(_root_reader(root, function, is_method), attributes) for root, *attributes in paths]

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        value: Any = _MISSING
        for root_of, attributes in readers:
            value = root_of(args, kwargs)
            for attribute in attributes:
                value = _attribute(value, attribute)
            if value is not _MISSING:
                break
        return apply(value)

    return read


def _root_reader(root: str, function: Any, is_method: bool) -> Callable[[Any, Any], Any]:
    if root in ("self", "class"):

        def own(args: Any, _: Any) -> Any:
            value = args[0] if is_method and args else _MISSING
            if root == "self" or value is _MISSING or issubclass(type(value), type):
                return value  # a class method gets the class itself
            return type(value)

        return own
    if root.startswith("arg") and root[3:].isdigit():
        position = int(root[3:]) + is_method
        names = _parameters(function)
        keyword = names[position] if position < len(names) else ""
    else:
        keyword = root
        names = _parameters(function)
        position = names.index(root) if root in names else 1_000_000

    def argument(args: Any, kwargs: Any) -> Any:
        return args[position] if position < len(args) else kwargs.get(keyword, _MISSING)

    return argument


def _parameters(function: Any) -> tuple[str, ...]:
    """Return the names of the positional parameters of a Python function, none for anything else."""
    while isinstance(getattr(function, "__wrapped__", None), FunctionType):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount] if code is not None else ()


def _attribute(value: Any, name: str) -> Any:
    """Return an attribute that can be read without running code of the program, else _MISSING."""
    if value is _MISSING:
        return value
    on_class: Any = _MISSING
    for owner in type(value).__mro__:
        on_class = owner.__dict__.get(name, _MISSING)
        if on_class is not _MISSING:
            break
    if type(on_class) is MemberDescriptorType or type(on_class).__name__ == "_tuplegetter":  # slots, named tuples
        return on_class.__get__(value)
    if not hasattr(type(on_class), "__set__"):
        own = _own_dictionary(value).get(name, _MISSING)
        if own is not _MISSING:
            return own
    return on_class if type(on_class) in (str, int) else _MISSING


def _own_dictionary(value: Any) -> Any:
    """Return an instance's dictionary, {} where it has none, or one that a property of the program would have to make."""
    for owner in type(value).__mro__:
        found = owner.__dict__.get("__dict__", _MISSING)
        if found is not _MISSING:
            return found.__get__(value) if type(found) is GetSetDescriptorType else {}
    return {}


def _text(value: Any) -> str:
    return _exactly(value)[:_LONGEST_VALUE]


def _exactly(value: Any) -> str:
    """Return a text or number as a plain str, the name of a class, or the name of a value's type.

    The type is asked and never the value, whose `__class__` may be a property of the program.
    """
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value) if kind is str else "".join(str.__iter__(value))
    if issubclass(kind, bytes):
        return bytes.decode(value, "utf-8", "replace")
    if value is None or kind in (bool, int, float):
        return repr(value)
    if value is _MISSING:
        return "?"
    return type.__getattribute__(value, "__name__") if issubclass(kind, type) else kind.__name__


def _command(value: Any) -> str:
    words = _text(value).upper().split(None, 2)
    return " ".join(words[: 2 if words[0] in _CONTAINERS else 1]) if words else "?"


_CONTAINERS = frozenset(("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY"))
_CONTAINERS |= {"MEMORY", "MODULE", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"}
"""Redis commands whose second word says what they do (redis.io, "Commands", 7.x)."""


def _host(value: Any) -> str:
    """Return host and port of a URL, without user, path or query; a bare host is returned as it is."""
    if not issubclass(type(value), str | bytes):
        return _text(value)
    url = _exactly(value)
    rest = url.partition("://")[2] or url
    for end in "/?#":
        rest = rest.partition(end)[0]
    return rest.rpartition("@")[2][:_LONGEST_VALUE]


def _sql(value: Any) -> str:
    from hookmon.probe.fingerprint import fingerprint  # only who names SQL pays for re

    return fingerprint(_exactly(value)) if issubclass(type(value), str | bytes) else _text(value)


_FILTERS: dict[str, Callable[[Any], str]] = {
    "": _text,
    "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(),
    "command": _command,
    "word": lambda value: _text(value).partition(" ")[0],
    "host": _host,
    "sql": _sql,
}
