"""Finds the targets of a watch in a loaded module and puts a timed stand-in in their place.

In: a module that has just been imported and the watches for it. Out: patched attributes, each of which can be changed back,
and a note about each target: active, not found (with the names that are there), refused (with the reason). Runs in the
watched process, once for each watched module.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

from hookmon.core import layout
from hookmon.probe import early_references, notes
from hookmon.probe.guard import failures, shielded
from hookmon.probe.stand_ins import RefusedError, application, is_marked, is_timed, one_end, stand_in, told_before
from hookmon.probe.target import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from hookmon.core.plan import WatchPlan

_MISSING: Any = object()


class Patches:
    """All that was changed in this process, in order."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []  # (owner, attribute, what was in its own dictionary or _MISSING)

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a module, class or descriptor, and remember what was there.

        Raises RefusedError for a type that cannot be changed.
        """
        before = vars(owner).get(name, _MISSING) if hasattr(owner, "__dict__") else getattr(owner, name)
        try:
            _set(owner, name, value)
        except (TypeError, AttributeError) as error:
            raise RefusedError(
                f"{getattr(owner, '__name__', owner)} is a C type, which Python does not let anybody patch"
            ) from error
        self._undo.append((owner, name, before))

    def undo(self) -> None:
        """Change everything back, last first."""
        while self._undo:
            owner, name, before = self._undo.pop()
            if before is _MISSING:
                type.__delattr__(owner, name) if isinstance(owner, type) else delattr(owner, name)
            else:
                _set(owner, name, before)


def _set(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, type):
        type.__setattr__(owner, name, value)
    elif isinstance(owner, ModuleType):
        owner.__dict__[name] = value
    else:
        setattr(owner, name, value)


def patch_module(module: ModuleType, name: str, watches: list[WatchPlan], patches: Patches) -> None:
    """Apply all watches of one module. One that fails is noted and leaves the others alone."""
    for watch, call in sorted(_pairs(watches), key=_turn):
        _apply(module, name, watch, call, patches)
    for failure in failures:
        notes.note("hookmon", failure)
    failures.clear()


def _pairs(watches: list[WatchPlan]) -> list[tuple[WatchPlan, str]]:
    pairs = [(watch, call) for watch in watches for call in watch["calls"]]
    pairs += [(watch, call) for watch in watches for call in watch.get("until", ())]
    return pairs + [(watch, call) for watch in watches if "hook" in watch for call in watch["hook"]["unregister"]]


def _turn(pair: tuple[WatchPlan, str]) -> tuple[bool, bool]:
    """Sort pairs: a name that was spelt out beats a glob, and the ends of a longer span go around what is timed by itself."""
    watch, call = pair
    return "until" in watch, _is_glob(call)


@shielded(None)
def _apply(module: ModuleType, name: str, watch: WatchPlan, call: str, patches: Patches) -> None:
    path = f"{name}:{call}"
    number = watch["id"]
    try:
        if watch["adapter"]:
            _adapt(module, name, watch, call, patches)
        elif not _patch_call(module, name, watch, call, patches):
            notes.note_watch(number, path, layout.TARGET_NOT_FOUND, "\n".join(_names_there(module, call))[:3900])
            return
    except RefusedError as refusal:
        notes.note_watch(number, path, layout.TARGET_REFUSED, str(refusal))
    except Exception as error:
        notes.note_watch(number, path, layout.TARGET_REFUSED, f"{type(error).__name__}: {error}")
        raise
    else:
        notes.note_watch(number, path, layout.TARGET_ACTIVE)


def _adapt(module: ModuleType, name: str, watch: WatchPlan, call: str, patches: Patches) -> None:
    """Let the pack's adapter, a module of hookmon.packs or a file of somebody else's, do what setting an attribute cannot."""
    adapter = _adapter(watch["adapter"])

    def timed(function: Any, qualified_name: str, scope_at: int | None = None) -> Any:
        target = target_of(name, qualified_name, watch)
        if scope_at is not None:
            return application(function, target, watch["span"], scope_at)
        return stand_in(function, target, watch["span"], is_method=True)

    adapter.patch(module, call, timed, patches)


def _adapter(name: str) -> Any:
    if not name.endswith(".py"):
        __import__(f"hookmon.packs.{name}")
        return sys.modules[f"hookmon.packs.{name}"]
    if name not in _adapters:
        # By its name it is one of ours: no call site lies in it, and what fails in it is caught. No byte code is written.
        adapter = ModuleType(f"hookmon.packs.{name.rpartition('/')[2].removesuffix('.py')}")
        with open(name, "rb") as file:
            exec(compile(file.read(), name, "exec", dont_inherit=True), vars(adapter))
        _adapters[name] = adapter
    return _adapters[name]


_adapters: dict[str, ModuleType] = {}
"""Adapters that came by their path."""


def target_of(module_name: str, call: str, watch: WatchPlan) -> Target:
    """Return the Target of one callable."""
    package = module_name.partition(".")[0] if watch["pack"] else ""
    path = f"{module_name}:{call}"
    return Target(
        path,
        watch["kind"],
        watch["pack"],
        package,
        watch["nested"],
        entry=watch["entry"],
        marks=(watch["entry_name"], watch["entry_status"], watch["entry_body"]),
        waits=watch["waits"],
    )


def _patch_call(module: ModuleType, module_name: str, watch: WatchPlan, call: str, patches: Patches) -> bool:
    """Patch what one entry of `calls` names; say whether anything was found."""
    *classes, last = call.split(".")
    owner: Any = module
    for each in classes:
        owner = _raw(owner, each)
        if not isinstance(owner, type):
            return False
    found = False
    for name in list(_matching(owner, module_name, last)):
        is_taken = owner is module and name in vars(module) and early_references.has_any(vars(module), name)
        raw = _raw(owner, name)
        if raw is _MISSING:
            continue
        found = True
        qualified = ".".join((*classes, name))
        target = target_of(module_name, qualified, watch)
        if "hook" in watch:
            _patch_hook(module, owner, name, raw, target, watch, patches)
        elif "until" in watch:
            made = _end(raw, target, watch, is_last=call in watch["until"], is_method=isinstance(owner, type))
            patches.replace(owner, name, made)
        elif isinstance(raw, type):
            _patch_class(raw, target, watch["span"], patches)
        elif type(raw).__name__ == "cached_property" and hasattr(raw, "func"):
            if not is_timed(raw.func):
                patches.replace(raw, "func", stand_in(raw.func, target, watch["span"], is_method=True))
        else:
            value = _timed_attribute(raw, owner, target, watch["span"])
            if value is not raw:
                patches.replace(owner, name, value)
                if is_taken:
                    early_references.note(module, module_name, name, raw)
    return found


def _patch_hook(module: ModuleType, owner: Any, name: str, raw: Any, target: Target, watch: WatchPlan, patches: Patches) -> None:
    """Take callbacks on their way through a registration function; a class's is its `__init__`."""
    if isinstance(raw, type):
        owner, name, raw = raw, "__init__", _raw(raw, "__init__")
    value = _through(raw, target, watch, is_method=isinstance(owner, type))
    if value is not raw and not _waits(module, watch["hook"]["since"], lambda: patches.replace(owner, name, value), patches):
        patches.replace(owner, name, value)


def _waits(module: ModuleType, since: list[str], put: Callable[[], None], patches: Patches) -> bool:
    """Let something be put in place when one of the functions `since` is first called; say whether that is possible."""
    found = [(owner, name, _raw(owner, name)) for owner, name in _owners(module, since)]
    if not since or len(found) < len(since) or not all(isinstance(raw, FunctionType) for *_, raw in found):
        return False

    def begin(*_call: Any) -> None:
        if waiting:
            waiting.pop()
            for owner, name, raw in found:
                patches.replace(owner, name, raw)
            put()

    waiting = [begin]
    for owner, name, raw in found:
        patches.replace(owner, name, told_before(raw, begin))
    return True


def _owners(module: ModuleType, calls: list[str]) -> Iterator[tuple[Any, str]]:
    """Yield (module or class, name) of each of these functions that is there."""
    for call in calls:
        *classes, name = call.split(".")
        owner: Any = module
        for each in classes:
            owner = _raw(owner, each)
        if (owner is module or isinstance(owner, type)) and _raw(owner, name) is not _MISSING:
            yield owner, name


def _through(raw: Any, target: Target, watch: WatchPlan, *, is_method: bool) -> Any:
    from hookmon.probe import hooks  # only who has hooks pays for it

    takes_out = target.path.partition(":")[2] in watch["hook"]["unregister"]
    return hooks.replaced(raw, target, watch, is_method=is_method, takes_out=takes_out)


def _end(raw: Any, target: Target, watch: WatchPlan, *, is_last: bool, is_method: bool) -> Any:
    """Return what is to stand where one of the two ends of a span stands: the same kind of descriptor."""
    if isinstance(raw, classmethod | staticmethod):
        is_method = isinstance(raw, classmethod)
        return type(raw)(one_end(raw.__func__, target, watch, is_method=is_method, is_last=is_last))
    return one_end(raw, target, watch, is_method=is_method, is_last=is_last)


def _raw(owner: Any, name: str) -> Any:
    """Return an attribute as it stands in its module's or class's dictionary, inherited ones included."""
    for each in owner.__mro__ if isinstance(owner, type) else (owner,):
        if name in vars(each):
            return vars(each)[name]
    return _MISSING


def _is_glob(call: str) -> bool:
    return any(char in call for char in "*?[")


def _matching(owner: Any, module_name: str, pattern: str) -> Iterator[str]:
    """Yield the names that the last part of a call stands for.

    A glob takes the functions that the module or class itself defines, never those it imported or inherited, and names
    with double underscores only when it begins with them.
    """
    if not _is_glob(pattern):
        yield pattern
        return
    from fnmatch import fnmatchcase

    for name, value in list(vars(owner).items()):
        if not fnmatchcase(name, pattern) or (name.startswith("__") and not pattern.startswith("__")):
            continue
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if isinstance(function, FunctionType) and (isinstance(owner, type) or function.__module__ == module_name):
            yield name


def _names_there(module: ModuleType, call: str) -> Iterator[str]:
    """Yield the callable names that a misspelt one may have meant, as they would stand in `calls`."""
    for name, value in list(vars(module).items()):
        if callable(value) and not name.startswith("__"):
            yield name
            if isinstance(value, type) and "." in call:
                for owner in value.__mro__[:-1]:
                    yield from (f"{name}.{each}" for each, inner in list(vars(owner).items()) if not each.startswith("__"))


def _patch_class(cls: type, target: Target, template: str, patches: Patches) -> None:
    """Time the making of instances."""
    raw = _raw(cls, "__init__")
    if is_timed(raw):
        return
    if not isinstance(raw, FunctionType):
        raise RefusedError(f"{cls.__name__} is a class without an __init__ in Python, whose making cannot be timed")
    patches.replace(cls, "__init__", stand_in(raw, target, template, is_method=True))


def _timed_attribute(raw: Any, owner: Any, target: Target, template: str) -> Any:
    """Return what is to stand where `raw` stands: the same kind of descriptor around a timed callable."""
    is_method = isinstance(owner, type)
    if _is_done(raw, target):
        return raw
    if isinstance(raw, classmethod | staticmethod):
        inner = raw.__func__
        if _is_done(inner, target):
            return raw
        timed = stand_in(inner, target, template, is_method=isinstance(raw, classmethod))
        return type(raw)(timed)
    if isinstance(raw, property):
        if raw.fget is None or is_timed(raw.fget):
            return raw
        return raw.getter(stand_in(raw.fget, target, template, is_method=True))
    if not callable(raw):
        raise RefusedError(f"it is {_article(type(raw).__name__)}, which cannot be called")
    return stand_in(raw, target, template, is_method=is_method and hasattr(type(raw), "__get__"))


def _is_done(value: Any, target: Target) -> bool:
    """Say whether a callable is a stand-in already. One that the user has timed can still tell of a transaction."""
    only_tells = any(target.marks) and not target.entry
    return is_marked(value) if only_tells else is_timed(value)


def _article(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeiou" else f"a {word}"


class MainPatcher:
    """Applies the watches of `__main__` to definitions, one at a time, as the started script makes them."""

    def __init__(self, watches: list[WatchPlan]) -> None:
        self._pairs = _pairs(watches)

    def wants(self, name: str) -> bool:
        """Say whether a qualified name is to be watched: itself, or as the `__init__` of a class that is."""
        return self._pair_of(name) is not None

    def _pair_of(self, name: str) -> tuple[WatchPlan, str] | None:
        found = [pair for pair in self._pairs if _names(pair[1], name)]
        return min(found, key=lambda pair: _is_glob(pair[1])) if found else None

    def decorator(self, name: str) -> Any:
        """Return what stands between a definition and its own decorators."""
        pair = self._pair_of(name)
        assert pair is not None
        watch, call = pair
        target = target_of("__main__", name.removesuffix(".__init__") if call != name else name, watch)

        @shielded(None)
        def timed(function: Any) -> Any:
            if "hook" in watch:
                made = _through(function, target, watch, is_method="." in name)
            elif "until" in watch:
                made = _end(function, target, watch, is_last=call in watch["until"], is_method="." in name)
            else:
                made = stand_in(function, target, watch["span"], is_method="." in name)
            notes.note_watch(watch["id"], f"__main__:{call}", layout.TARGET_ACTIVE)
            return made

        return lambda function: timed(function) or function

    def note_defined(self, names: list[str]) -> None:
        """Note the calls that name nothing in the script."""
        for watch, call in self._pairs:
            path = f"__main__:{call}"
            if not any(_names(call, name) for name in names):
                if call in names:
                    reason = f"{call} is a class without an __init__ of its own, whose making cannot be timed"
                    notes.note_watch(watch["id"], path, layout.TARGET_REFUSED, reason)
                else:
                    notes.note_watch(watch["id"], path, layout.TARGET_NOT_FOUND, "\n".join(names)[:3900])


def _names(call: str, name: str) -> bool:
    """Say whether an entry of `calls` stands for a qualified name of the script."""
    owner, _, last = name.rpartition(".")
    if last == "__init__" and call == owner:
        return True
    call_owner, _, pattern = call.rpartition(".")
    if call_owner != owner:
        return False
    if not _is_glob(pattern):
        return pattern == last
    from fnmatch import fnmatchcase

    return fnmatchcase(last, pattern) and (not last.startswith("__") or pattern.startswith("__"))
