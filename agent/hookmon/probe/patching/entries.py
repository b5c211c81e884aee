"""Finds what an entry of `calls` names in a loaded module: functions, methods, classes, or what a glob stands for.

In: a module and a call as it stands in a watch. Out: owners and names. Nothing is changed here. Runs in the watched process.
"""

from __future__ import annotations

from os.path import commonprefix
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType
    from typing import Any

    from hookmon.probe.base.shapes import Owner

MISSING: Any = object()

_ROOM = 3_900  # characters of a note in a shard


def find_targets(module: ModuleType, module_name: str, call: str) -> Iterator[tuple[Owner, str, str]]:
    """Yield (module or class, name, path below the module) of each place that an entry of `calls` names. It may be empty."""
    *classes, last = call.split(".")
    owner = owner_of(module, classes)
    if owner is MISSING:
        return
    yield from _targets_in(owner, module_name, last, tuple(classes))


def _targets_in(owner: Owner, module_name: str, pattern: str, path: tuple[str, ...]) -> Iterator[tuple[Owner, str, str]]:
    for name in list(matching_names(owner, module_name, pattern)):
        yield owner, name_in(owner, name), ".".join((*path, written_name(owner, name)))
    for name, inner in list(vars(owner).items()) if pattern in ("*", "**") else ():
        is_class = issubclass(type(inner), type) and type.__getattribute__(inner, "__module__") == module_name
        written = (*path, written_name(owner, name))
        if is_class and type.__getattribute__(inner, "__qualname__") == ".".join(written):  # and no second name of it
            yield from _targets_in(inner, module_name, pattern, written)


def owners(module: ModuleType, calls: list[str]) -> Iterator[tuple[Owner, str]]:
    """Yield (module or class, name) of each of these functions that is there."""
    for call in calls:
        *classes, name = call.split(".")
        owner = owner_of(module, classes)
        if owner is not MISSING and raw_attribute(owner, name) is not MISSING:
            yield owner, name_in(owner, name)


def owner_of(module: ModuleType, classes: list[str]) -> Any:
    """Return the class that a path of names leads to, the module where there is none, MISSING where it leads to no class."""
    owner: Any = module
    for name in classes:
        owner = raw_attribute(owner, name)
        if not isinstance(owner, type):
            return MISSING
    return owner


def raw_attribute(owner: Owner, name: str) -> Any:
    """Return an attribute as it stands in its module's or class's dictionary, inherited ones included."""
    name = name_in(owner, name)
    for holder in owner.__mro__ if isinstance(owner, type) else (owner,):
        if name in vars(holder):
            return vars(holder)[name]
    return MISSING


def name_in(owner: Owner, name: str) -> str:
    """Return a name as it stands in a class's dictionary, where a private one, `__name`, has the name of its class before it."""
    if name.startswith("__") and not name.endswith("__") and isinstance(owner, type):
        for holder in owner.__mro__:
            private = f"_{holder.__name__.lstrip('_')}{name}"
            if private in vars(holder):
                return private
    return name


def written_name(owner: Owner, name: str) -> str:
    """Return a name as it stands in the source: what `name_in` does, undone."""
    if not isinstance(owner, type) or name.endswith("__"):
        return name
    prefix = f"_{owner.__name__.lstrip('_')}"
    return name.removeprefix(prefix) if name.startswith(f"{prefix}__") else name


def is_glob(call: str) -> bool:
    """Say whether an entry of `calls`, or its last part, stands for several names."""
    return any(char in call for char in "*?[")


def matching_names(owner: Owner, module_name: str, pattern: str) -> Iterator[str]:
    """Yield the names that the last part of a call stands for.

    A glob takes the functions that the module or class itself defines, never those it imported or inherited, and names
    with double underscores only when it begins with them.
    """
    if not is_glob(pattern):
        yield pattern
        return
    for name, value in list(vars(owner).items()):
        if not matches(name, pattern) or (name.startswith("__") and not pattern.startswith("__")):
            continue
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if isinstance(function, FunctionType) and (isinstance(owner, type) or function.__module__ == module_name):
            yield name


def matches(name: str, pattern: str) -> bool:
    """Say what `fnmatch.fnmatchcase` says: `*`, `?`, `[a-z]` and `[!a-z]`.

    Without an import: the module that is being patched may be one that fnmatch imports, in the midst of which the program is.
    """
    at = place = 0
    behind_star, tried_at = 0, 0  # where the pattern goes on behind its last `*`, and the first character that is left to it
    while at < len(name):
        after = _after(name[at], pattern, place)
        if place < len(pattern) and pattern[place] == "*":
            place += 1
            behind_star, tried_at = place, at
        elif after:
            at, place = at + 1, after
        elif behind_star:
            tried_at += 1
            at, place = tried_at, behind_star
        else:
            return False
    return not pattern[place:].strip("*")


def _after(char: str, pattern: str, place: int) -> int:
    """Return where a pattern goes on after its sign at `place`, if that matches a character; 0 if it does not."""
    sign = pattern[place : place + 1]
    end = -1
    if sign == "[":
        is_negated = pattern[place + 1 : place + 2] == "!"
        end = pattern.find("]", place + 2 + is_negated)
    if end >= 0:
        return end + 1 if _is_among(char, pattern[place + 1 + is_negated : end]) != is_negated else 0
    return place + 1 if sign and sign in ("?", char) else 0


def _is_among(char: str, chars: str) -> bool:
    at = 0
    while at < len(chars):
        if chars[at + 1 : at + 2] == "-" and at + 2 < len(chars):
            if chars[at] <= char <= chars[at + 2]:
                return True
            at += 3
        elif chars[at] == char:
            return True
        else:
            at += 1
    return False


def empty_class(module: ModuleType, module_name: str, call: str) -> str:
    """Return the class that a glob is for, where it has no function of its own to match; "" for any other call."""
    *classes, last = call.split(".")
    owner = owner_of(module, classes)
    if not is_glob(last) or not isinstance(owner, type) or any(matching_names(owner, module_name, "*")):
        return ""
    return ".".join(classes)


def callable_names(module: ModuleType, call: str) -> Iterator[str]:
    """Yield the callable names that a misspelt one may have meant, as they would stand in `calls`."""
    for name, value in list(vars(module).items()):
        if callable(value) and not name.startswith("__"):
            yield name
            if isinstance(value, type) and "." in call:
                for owner in value.__mro__[:-1]:
                    yield from (f"{name}.{inner}" for inner, _ in list(vars(owner).items()) if not inner.startswith("__"))


def sort_by_likeness(names: Iterable[str], call: str) -> str:
    """Return names, one a line, as many as fit into a note. Those that begin and end as the misspelt call does come first."""

    def likeness(name: str) -> int:
        ends = commonprefix((name, call)), commonprefix((name[::-1], call[::-1]))  # noqa: RUF071  # of characters, as is meant
        return len(ends[0]) + len(ends[1])

    return "\n".join(sorted(names, key=likeness, reverse=True))[:_ROOM]
