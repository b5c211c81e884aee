"""Finds the targets of a watch in a loaded module and puts a timed stand-in in their place.

In: a module that has just been imported, and its watches. Out: patched attributes, each of which can be changed back, and a note
about each target: active, not found (with the names that are there), or refused (with the reason). Runs in the watched process,
once for each watched module.
"""

from __future__ import annotations

import sys
from types import ClassMethodDescriptorType, CodeType, FunctionType, ModuleType

from hookmon.core import layout
from hookmon.core.globs import is_glob
from hookmon.probe.base.guard import failures, shielded
from hookmon.probe.base.private import os, read
from hookmon.probe.base.target import Target
from hookmon.probe.patching import by_code, renewals  # noqa: F401  (functions that get other code)
from hookmon.probe.patching.entries import (
    MISSING,
    callable_names,
    empty_class,
    find_targets,
    owners,
    raw_attribute,
    sort_by_likeness,
)
from hookmon.probe.patching.stale_bindings import Places, parts
from hookmon.probe.recording import notes
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.endpoints import wrap_endpoint
from hookmon.probe.wrappers.make import (
    RefusedError,
    application,
    is_observed,
    is_ours,
    is_timed,
    observe_before,
    stand_in,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.shapes import Function, Owner
    from hookmon.probe.patching.patches import Patches


def prepare_module(code: CodeType, name: str, exact: list[WatchPlan], wide: list[WatchPlan]) -> CodeType:
    """Watch functions of a module by their code, before it is executed; return the code to execute.

    The watches of this very module beat those of several.
    """
    pairs = [pair for watches in (exact, wide) for pair in sorted(pairs_of(watches), key=_sort_key)]
    return by_code.prepare(name, code, pairs, target_of)


def patch_module(module: ModuleType, name: str, watches: list[WatchPlan], patches: Patches) -> None:
    """Apply all watches of one module. One that fails is noted and leaves the others alone."""
    pairs = sorted(pairs_of(watches), key=_sort_key)
    if not all(by_code.is_prepared(name, watch) for watch in watches):
        shielded(None)(by_code.search)(module, name, pairs, target_of)
        shielded(None)(by_code.finish)(module, name)
    places = _places(module, name, pairs, patches) or Places(module, [], patches.replace)
    for watch, call in pairs:
        if watch.get("own") and _note_own(module, name, watch, call):
            continue
        _apply(module, name, watch, call, patches, places)
    for failure in failures:
        notes.note("hookmon", failure)
    failures.clear()


@shielded(None)
def _places(module: ModuleType, name: str, pairs: list[tuple[WatchPlan, str]], patches: Patches) -> Places:
    """Find out who else holds what is to be patched. What adapters patch is not looked for: they know what they do."""
    found = [
        place
        for watch, call in pairs
        if not (watch["adapter"] or by_code.is_prepared(name, watch))
        for place in _places_to_patch(module, name, watch, call)
    ]
    return Places(module, found, patches.replace)


def _places_to_patch(module: ModuleType, module_name: str, watch: WatchPlan, call: str) -> Iterator[tuple[Owner, str]]:
    """Yield the places that one entry of `calls` is to change, without those where something of ours stands already."""
    found = [(owner, name) for owner, name, _ in find_targets(module, module_name, call)]
    for owner, name in (*found, *owners(module, watch["hook"]["since"] if "hook" in watch else [])):
        if issubclass(type(vars(owner).get(name)), type):
            owner, name = vars(owner)[name], "__init__"
        if name in vars(owner) and not is_ours(vars(owner)[name]):
            yield owner, name


def pairs_of(watches: list[WatchPlan]) -> list[tuple[WatchPlan, str]]:
    """Return each watch with each name that it patches."""
    pairs = [(watch, call) for watch in watches for call in watch["calls"]]
    pairs += [(watch, call) for watch in watches for call in watch.get("until", ())]
    return pairs + [(watch, call) for watch in watches if "hook" in watch for call in watch["hook"]["unregister"]]


def _sort_key(pair: tuple[WatchPlan, str]) -> tuple[bool, bool]:
    """Return the key to sort pairs by: names go before globs, and so beat them; paired spans go last, around other wrappers."""
    watch, call = pair
    return "until" in watch, is_glob(call)


@shielded(True)
def _note_own(module: ModuleType, name: str, watch: WatchPlan, call: str) -> bool:
    """Note whether own functions are watched by their code; say whether nothing is left to be done by names."""
    if by_code.is_prepared(name, watch):
        ways = by_code.ways_of(watch, name, call)
        if ways:
            notes.note_watch(watch["id"], f"{watch['module']}:{call}", layout.TARGET_ACTIVE, " ".join(sorted(ways)))
        return True
    if str(getattr(module, "__file__", "")).endswith(".so"):
        text = f"{name} is compiled, and perhaps others are: no function in such a module can be seen, nor what it takes"
        notes.note_once("compiled module", text)
        return True
    return False


@shielded(None)
def _apply(module: ModuleType, name: str, watch: WatchPlan, call: str, patches: Patches, places: Places) -> None:
    path = f"{name}:{call}"
    number = watch["id"]
    ways: set[str] = set()
    try:
        if watch["adapter"]:
            _adapt(module, name, watch, call, patches)
        else:
            ways = _patch_call(module, name, watch, call, places)
            if not ways:
                names = dict.fromkeys((*callable_names(module, call), *by_code.names_in(name)))
                notes.note_watch(number, path, layout.TARGET_NOT_FOUND, sort_by_likeness(names, call))
                return
    except RefusedError as refusal:
        notes.note_watch(number, path, layout.TARGET_REFUSED, str(refusal))
    except Exception as error:
        notes.note_watch(number, path, layout.TARGET_REFUSED, f"{type(error).__name__}: {error}")
        raise
    else:
        notes.note_watch(number, path, layout.TARGET_ACTIVE, " ".join(sorted(ways)))


def _adapt(module: ModuleType, name: str, watch: WatchPlan, call: str, patches: Patches) -> None:
    """Call the watch's adapter, which does more than set an attribute: a module of hookmon.packs, or a file by its path."""
    adapter = _adapter(watch["adapter"])

    def wrap(function: Function, qualified_name: str, scope_at: int | None = None) -> Function:
        target = target_of(name, qualified_name, watch)
        if scope_at is not None:
            return application(function, target, watch["span"], scope_at)
        return stand_in(function, target, watch["span"], is_method=True)

    adapter.patch(module, call, wrap, patches)


def _adapter(name: str) -> ModuleType:
    if not name.endswith(".py"):
        __import__(f"hookmon.packs.{name}")
        return sys.modules[f"hookmon.packs.{name}"]
    if name not in _adapters:
        # By its name it is one of ours: no call site lies in it, and what fails in it is caught. No byte code is written.
        adapter = ModuleType(f"hookmon.packs.{name.rpartition('/')[2].removesuffix('.py')}")
        content, owner = read(name)
        if owner not in (os.geteuid(), 0, os.stat(name.rpartition("/")[0] or ".").st_uid):
            raise RefusedError(f"its adapter {name} belongs to another user, in a folder that is not theirs")
        exec(compile(content, name, "exec", dont_inherit=True), vars(adapter))
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
        templates=(watch["entry_name"], watch["entry_status"], watch["entry_body"]),
        waits=watch["waits"],
        part=watch.get("part", False),
        expected=watch.get("expected", ()),
    )


def _patch_call(module: ModuleType, module_name: str, watch: WatchPlan, call: str, places: Places) -> set[str]:
    """Patch what one entry of `calls` names; return the ways in which what was found is watched, none where nothing was.

    Raises RefusedError when all of it is taken.
    """
    ways: set[str] = set()
    prepared = by_code.ways_of(watch, module_name, call)
    refusal = ""
    is_found = False
    for owner, name, qualified in find_targets(module, module_name, call):
        raw = raw_attribute(owner, name)
        if raw is MISSING or by_code.is_left(raw, watch):
            continue
        is_found = True
        target = target_of(module_name, qualified, watch)
        if by_code.is_elsewhere(raw):
            prepared = prepared if is_glob(call) else set()
            by_code.leave(module_name, qualified, raw)
        way = by_code.applies(watch) and (
            by_code.way_of(module_name, qualified, raw) or by_code.watch_attribute(owner, name, raw, target, watch)
        )
        if way:
            ways.add(way)
            continue
        taker = places.taker(*((raw, "__init__") if isinstance(raw, type) else (owner, name)))
        if taker:
            way = by_code.inject(raw, target, watch, isinstance(owner, type))
            if way:
                ways.add(way)
                continue
            refusal = f"it was handed on before it could be watched, to {taker}"
            left = "left as it is, it is not counted under this name: watch what it calls, or make a [[hook]] of what took it"
            notes.note("early reference", f"{module_name}:{qualified}{_place_of(raw)} {refusal[3:]}; {left}")
            continue
        try:
            _patch_one(module, owner, name, raw, target, watch, call, places)
            ways.add(monitoring.NAME)
        except RefusedError as error:
            refusal = str(error)
            if is_glob(call):  # the others that it stands for may be patched
                notes.note("refused", f"{module_name}:{qualified}{_place_of(raw)}: {refusal}")
    ways |= prepared
    nothing_of = "" if is_found or ways else empty_class(module, module_name, call)
    if nothing_of:
        refusal = explain_empty_class(nothing_of)
    if refusal and not ways:
        raise RefusedError(refusal)
    return ways


def explain_empty_class(cls: str) -> str:
    """Say why a glob finds nothing in a class."""
    return f"{cls} has no function of its own; what it inherits, properties and other descriptors are to be named one by one"


def _patch_one(
    module: ModuleType, owner: Owner, name: str, raw: Any, target: Target, watch: WatchPlan, call: str, places: Places
) -> None:
    """Put what a watch makes of one name in its place."""
    if "hook" in watch:
        _patch_hook(module, owner, name, raw, target, watch, places)
    elif "until" in watch:
        places.put(owner, name, raw, wrap_endpoint_attribute(raw, target, watch, call, is_method=isinstance(owner, type)))
    elif isinstance(raw, type):
        _patch_class(raw, target, watch["span"], places)
    elif type(raw).__name__ == "cached_property" and hasattr(raw, "func"):
        if not is_timed(raw.func):
            places.put_inside(raw, "func", stand_in(raw.func, target, watch["span"], is_method=True))
    elif type(raw).__name__ == "singledispatchmethod" and type(getattr(raw, "dispatcher", None)) is FunctionType:
        from hookmon.probe.patching import dispatched  # few programs have one

        def wrap(function: object) -> object:
            if type(getattr(function, "__func__", function)) is not FunctionType:
                return function  # a partial, say, which may bind in another way than a stand-in, or not at all
            try:
                return _time_attribute(function, owner, target, watch["span"])
            except RefusedError:
                return function

        if not dispatched.is_timed(raw):
            places.put_inside(raw.dispatcher, "dispatch", dispatched.timed_dispatch(raw.dispatcher.dispatch, wrap))
    else:
        value = _time_attribute(raw, owner, target, watch["span"])
        if value is not raw:
            places.put(owner, name, raw, value)


def _place_of(raw: object) -> str:
    """Return where a function is defined, " (file:line)"; "" where Python does not say."""
    *_, function = parts(raw)
    code = getattr(function, "__code__", None)
    return f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""


def _patch_hook(
    module: ModuleType, owner: Owner, name: str, raw: object, target: Target, watch: WatchPlan, places: Places
) -> None:
    """Wrap a registration function, through which callbacks come. That of a class is its `__init__`."""
    if isinstance(raw, type):
        owner, name, raw = raw, "__init__", raw_attribute(raw, "__init__")
    value = wrap_registration(raw, target, watch, is_method=isinstance(owner, type))
    if value is not raw and not _defer(module, watch["hook"]["since"], lambda: places.put(owner, name, raw, value), places):
        places.put(owner, name, raw, value)


def _defer(module: ModuleType, since: list[str], put: Callable[[], None], places: Places) -> bool:
    """Call `put` when one of the functions `since` is first called; say whether that is possible."""
    found = [(owner, name, raw_attribute(owner, name)) for owner, name in owners(module, since)]
    if not since or len(found) < len(since) or not all(isinstance(raw, FunctionType) for *_, raw in found):
        return False
    if any(places.taker(owner, name) for owner, name, _ in found):
        return False

    def begin(*_call: object) -> None:
        if waiting:
            waiting.pop()
            for owner, name, raw, made in waiting_wrappers:
                places.put(owner, name, made, raw)
            put()

    waiting = [begin]
    waiting_wrappers = [(owner, name, raw, observe_before(raw, begin)) for owner, name, raw in found]
    for owner, name, raw, made in waiting_wrappers:
        places.put(owner, name, raw, made)
    return True


def wrap_registration(raw: object, target: Target, watch: WatchPlan, *, is_method: bool) -> Any:
    """Return what replaces a registration function: the same kind of descriptor."""
    from hookmon.probe.patching import hooks  # only who has hooks pays for it

    takes_out = target.path.partition(":")[2] in watch["hook"]["unregister"]
    return hooks.wrap_attribute(raw, target, watch, is_method=is_method, takes_out=takes_out)


def wrap_endpoint_attribute(raw: Any, target: Target, watch: WatchPlan, call: str, *, is_method: bool) -> Any:
    """Return what replaces a function that begins or ends paired spans, or both: the same kind of descriptor."""
    if isinstance(raw, classmethod | staticmethod):
        is_method = isinstance(raw, classmethod)
        return type(raw)(wrap_endpoint_attribute(raw.__func__, target, watch, call, is_method=is_method))
    for is_last, calls in ((False, watch["calls"]), (True, watch["until"])):
        if call in calls:
            raw = wrap_endpoint(raw, target, watch, is_method=is_method, is_last=is_last)
    return raw


def _patch_class(cls: type, target: Target, template: str, places: Places) -> None:
    """Time the making of instances."""
    raw = raw_attribute(cls, "__init__")
    if is_timed(raw):
        return
    if not isinstance(raw, FunctionType):
        raise RefusedError(f"{cls.__name__} is a class without an __init__ in Python, whose making cannot be timed")
    places.put(cls, "__init__", raw, stand_in(raw, target, template, is_method=True))


def _time_attribute(raw: object, owner: object, target: Target, template: str) -> object:
    """Return what replaces `raw`: the same kind of descriptor around a timed callable."""
    is_method = isinstance(owner, type)
    if _is_done(raw, target):
        return raw
    if isinstance(raw, classmethod | staticmethod):
        inner = raw.__func__
        if _is_done(inner, target):
            return raw
        timed = stand_in(inner, target, template, is_method=isinstance(raw, classmethod))
        return type(raw)(timed)
    if type(raw) is ClassMethodDescriptorType:  # in C, as of `dict.fromkeys`: called itself, it takes the class first
        return classmethod(stand_in(raw, target, template, is_method=True))
    if isinstance(raw, property):
        if raw.fget is None or is_timed(raw.fget):
            return raw
        return _property_like(raw, stand_in(raw.fget, target, template, is_method=True))
    if not callable(raw):
        raise RefusedError(f"it is {_article(type(raw).__name__)}, which cannot be called")
    return stand_in(raw, target, template, is_method=is_method and hasattr(type(raw), "__get__"))


def _property_like(raw: property, getter: Function) -> property:
    """Return `raw` with another getter. Its class may have an `__init__` of its own, as werkzeug's cached_property does."""
    if type(raw) is property:
        return raw.getter(getter)
    try:
        made = type(raw).__new__(type(raw))
        vars(made).update(vars(raw))
        property.__init__(made, getter, raw.fset, raw.fdel, raw.__doc__)
        if hasattr(raw, "__name__"):  # from 3.13 on, it is not in its dictionary
            made.__name__ = raw.__name__  # type: ignore[attr-defined]
    except (TypeError, AttributeError) as error:  # it has slots, or a `__new__` of its own
        raise RefusedError(f"it is {_article(type(raw).__name__)}, a property that cannot be copied") from error
    return made


def _is_done(value: object, target: Target) -> bool:
    """Say whether a callable is such a stand-in already. One that the user has timed can still be observed."""
    only_observes = any(target.templates) and not target.entry
    return is_observed(value) if only_observes else is_timed(value)


def _article(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeiou" else f"a {word}"
