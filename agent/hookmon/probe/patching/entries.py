"""Finds what an entry of `calls` names in a loaded module: functions, methods, classes, or what a glob stands for.

In: a module and a call as it stands in a watch. Out: owners and names. Nothing is changed here. Runs in the watched process.
"""

from __future__ import annotations

from types import FunctionType

from hookmon.core.globs import is_glob, matches

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


def _count_common(one: str, other: str) -> int:
    """Return with how many characters both begin. `os.path.commonprefix` is deprecated on 3.15."""
    for count, (mine, its) in enumerate(zip(one, other, strict=False)):
        if mine != its:
            return count
    return min(len(one), len(other))


def sort_by_likeness(names: Iterable[str], call: str) -> str:
    """Return names, one a line, as many as fit into a note. Those that begin and end as the misspelt call does come first."""

    def likeness(name: str) -> int:
        return _count_common(name, call) + _count_common(name[::-1], call[::-1])

    return "\n".join(sorted(names, key=likeness, reverse=True))[:_ROOM]
