"""Span templates at work: from the arguments of a call to its span.

In: a parsed template and the callable. Out: a function of (args, kwargs) that never raises and runs no code of the program:
attributes are read from instance dictionaries, slots and class constants. A text or a number is shown, of any other value its
type. Runs in the watched process, on the hot path of templated targets.
"""

from __future__ import annotations

from sys import intern
from types import FunctionType

from hookmon.core import layout
from hookmon.core.span import parse
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import MISSING, attribute
from hookmon.probe.base.target import own_place
from hookmon.probe.naming.filters import FILTERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.core.span import Field
    from hookmon.probe.base.shapes import Args, Function, KwArgs
    from hookmon.probe.base.target import Span, Target

    FindSpan = Callable[[Args, KwArgs], Span]
    Read = Callable[[Args, KwArgs], str]

LONGEST_NAME = 200
_MOST_KNOWN = layout.MOST_KNOWN


def span_finder(
    template: str, target: Target, function: Function, is_method: bool, given: tuple[str, ...] = ()
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
    def find(args: Args, kwargs: KwArgs) -> Span:
        name = "".join([part if isinstance(part, str) else part(args, kwargs) for part in parts])
        return target.span(name[:LONGEST_NAME])

    return find, _only_argument(fields, is_method)


def text_finder(template: str, target: Target, function: Function, is_method: bool) -> Read:
    """Return the function that reads a template's text off a call, "" where one of its fields finds no text.

    The keyword `result` is what the call has returned. Raises ValueError for a template that `core.span` refuses.
    """
    parts: list[str | Read] = [
        part if isinstance(part, str) else _reader(part, target, function, is_method, (), _no_text) for part in parse(template)
    ]

    def find(args: Args, kwargs: KwArgs) -> str:
        found = [part if isinstance(part, str) else part(args, kwargs) for part in parts]
        return "" if "?" in found else "".join(found)[:LONGEST_NAME]

    return find


def remember_spans(find: FindSpan, position: int, key: str | None = None) -> FindSpan:
    """Return a `find` that remembers spans by the hash of the one argument, or of its key, that decides. Values are not kept."""
    known: dict[int, Span] = {}

    def find_quickly(args: Args, kwargs: KwArgs) -> Span:
        value: Any = args[position] if len(args) > position else None
        if key is not None:
            value = value.get(key) if type(value) is dict else None
        if type(value) is str:
            hashed = hash(value)
            if hashed in known:
                return known[hashed]
            span = find(args, kwargs)
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[hashed] = span
            return span
        return find(args, kwargs)

    return find_quickly if position >= 0 else find


def locate_spans(find: FindSpan) -> FindSpan:
    """Return a `find` that tells spans apart by the line of the program's own code that calls, from the first transaction on."""
    from hookmon.probe.recording import recorder  # here, since names are made without an engine, too

    known: dict[tuple[Span, str, int], Span] = {}

    def find_there(args: Args, kwargs: KwArgs) -> Span:
        span = find(args, kwargs)
        if not recorder.joining:
            return span
        filename, line = own_place(span.target)
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


def _only_argument(fields: list[str | Field], is_method: bool) -> int:
    """Return the position of the argument when a template has one field and that is a positional argument itself, else -1."""
    found = [part for part in fields if not isinstance(part, str)]
    if len(found) != 1:
        return -1
    paths, _ = found[0]
    root = paths[0][0]
    if len(paths) > 1 or len(paths[0]) > 1 or not (root.startswith("arg") and root[3:].isdigit()):
        return -1
    return int(root[3:]) + is_method


def only_key(template: str, function: Function, is_method: bool) -> tuple[int, str | None]:
    """Return the position of an argument whose one key decides alone, and the key: `{environ.REQUEST_METHOD}`. Else -1, None."""
    fields = plain_fields([part for part in parse(template) if not isinstance(part, str)], function, is_method)
    if fields is not None and len(fields) == 1:
        position, names = fields[0]
        if position >= 0 and len(names) == 1 and type(names[0]) is str:
            return position, names[0]
    return -1, None


def plain_fields(
    fields: list[Field], function: Function, is_method: bool
) -> tuple[tuple[int, tuple[str | int, ...]], ...] | None:
    """Return (position, names) of each field, with position -1 for the result; None where one is not that simple."""
    found = []
    for paths, _ in fields:
        root, *names = paths[0]
        if root in parameters(function):
            position = parameters(function).index(root)
        elif root.startswith("arg") and root[3:].isdigit():
            position = int(root[3:]) + is_method
        else:
            position = {"self": 0 if is_method else -2, "result": -1}.get(root, -2)
        if position < -1 or len(paths) > 1:
            return None
        # interned, as the names are in which instances have their attributes: the engine compares addresses
        found.append((position, tuple(int(name) if name.isdigit() else intern(name) for name in names)))
    return tuple(found)


def _no_text(_value: object) -> str:
    return "?"


def _reader(
    field: Field,
    target: Target,
    function: Function,
    is_method: bool,
    given: tuple[str, ...],
    substitute: Callable[[object], str] | None = None,
) -> Read:
    paths, filter_name = field
    apply = FILTERS[filter_name]
    if paths[0][0] == "function":
        constant = target.path.partition(":")[2]
        if paths[0][1:] == ("name",):
            constant = constant.rpartition(".")[2]
        constant = apply(constant) or ""
        return lambda args, kwargs: constant
    readers = [(root_reader(root, function, is_method, given), attributes) for root, *attributes in paths]

    def read(args: Args, kwargs: KwArgs) -> str:
        text: str | None = None
        found: Any = MISSING
        for root_of, attributes in readers:
            value = root_of(args, kwargs)
            for name in attributes:
                value = attribute(value, name)
            shown = apply(value)
            if shown:
                return shown
            if value is not MISSING and (value is not None or found is MISSING):
                found, text = value, shown
            elif text is None:
                text = shown
        return (substitute or _substitute)(found) if text is None else text

    return read


def root_reader(root: str, function: Function, is_method: bool, given: tuple[str, ...] = ()) -> Callable[[Args, KwArgs], object]:
    """Return a function that reads the root of a field off (args, kwargs)."""
    if root in given:
        return lambda args, kwargs: kwargs.get(root, MISSING)
    if root in ("self", "class"):

        def own(args: Args, _: KwArgs) -> object:
            value = args[0] if is_method and args else MISSING
            if root == "self" or value is MISSING or issubclass(type(value), type):
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

    def argument(args: Args, kwargs: KwArgs) -> object:
        return args[position] if position < len(args) else kwargs.get(keyword, MISSING)

    return argument


def parameters(function: Any) -> tuple[str, ...]:
    """Return the names of the positional parameters of a Python function, none for anything else."""
    while isinstance(getattr(function, "__wrapped__", None), FunctionType):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount] if code is not None else ()


def _substitute(value: object) -> str:
    """Return the text for a value that has none: the name of a class or of the value's type, "?" for nothing.

    The type is asked and never the value, whose `__class__` may be a property of the program.
    """
    value_type = type(value)
    if value is MISSING or issubclass(value_type, str | bytes):
        return "?"
    if value is None:
        return "None"
    return type.__getattribute__(value, "__name__") if issubclass(value_type, type) else value_type.__name__
