"""The callbacks of one registration function: their names, and their stand-ins.

In: what was registered, with the arguments of that call. Out: stand-ins, in the place of callbacks or as attributes of the
objects whose methods are called. Runs in the watched process.

The same callback under the same name gets the same stand-in as long as that lives, so a framework that compares by identity
finds it again. Nothing here keeps a callback alive: whoever stores the stand-in does.
"""

from __future__ import annotations

from _weakref import ref
from types import FunctionType, MethodType, ModuleType

from hookmon.core.span import parse
from hookmon.probe import notes
from hookmon.probe.attributes import own_dictionary
from hookmon.probe.callables import called
from hookmon.probe.guard import shielded
from hookmon.probe.names import span_finder
from hookmon.probe.stand_ins import RefusedError, is_timed, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.target import Span, Target

    Args = tuple[Any, ...]
    KwArgs = dict[str, Any]

_DEEPEST = 4
"""So many lists, tuples and dictionaries inside each other are looked through for callbacks."""

_FIXED_ROOTS = ("callable", "object", "method", "self", "class", "function")
"""Of a span's fields: what is the same at each call for one object of the framework and one callback."""

_MOST_REMEMBERED = 10_000
_known: dict[int, dict[int, list[tuple[Span, Any]]]] = {}
"""{watch: {id of a callback: [(span, weak reference to its stand-in)]}}; an entry goes with its stand-in, which holds the
callback: the id is nobody else's until then."""


class Callbacks:
    """The callbacks of one registration function: finds their names and their stand-ins. No method of it raises."""

    def __init__(self, function: Any, target: Target, watch: WatchPlan, is_method: bool, takes_out: bool) -> None:
        self._target = target
        self.takes_out = takes_out
        hook = watch["hook"]
        self._methods = hook["methods"]
        self._base = hook["base"]
        self._skipped = hook["skip"]
        self._known = _known.setdefault(watch["id"], {})
        fields = [part for part in parse(watch["span"]) if not isinstance(part, str)]
        self._is_remembered = all(path[0] in _FIXED_ROOTS for paths, _ in fields for path in paths)
        self._spans: dict[tuple[int, int, int], tuple[Any, Any, Span]] = {}  # weak references to framework's object and callback
        self._find_span, _ = span_finder(watch["span"], target, function, is_method, ("callable", "object", "method"))

    @shielded(None)
    def swap(self, value: Any, args: Args, kwargs: KwArgs) -> Any:
        """Return the stand-in for a callback, None for anything that is to be handed on as it is.

        Where the hook names methods, value is an object (or several) that gets its stand-ins as attributes.
        """
        if self._methods:
            for each in _all_in(value, 0):
                self._time_methods(each, args, kwargs)
            return None
        return self._stand_in(value, args, kwargs)

    @shielded(None)
    def swap_inside(self, value: Any, args: Args, kwargs: KwArgs, depth: int = 0) -> Any:
        """Do the same for what a list or dictionary holds, in its place; return the stand-in when value is a callback itself."""
        if self._methods:
            return self.swap(value, args, kwargs)
        kind = type(value)
        if depth > _DEEPEST:
            return None
        if issubclass(kind, list | dict):
            pairs = list(dict.items(value)) if issubclass(kind, dict) else list(enumerate(list.__iter__(value)))
            put = dict.__setitem__ if issubclass(kind, dict) else list.__setitem__
            for key, each in pairs:
                made = self.swap_inside(each, args, kwargs, depth + 1)
                if made is not None:
                    put(value, key, made)
            return None
        if kind is tuple:
            return self.copy(value, args, kwargs, depth)
        return self._stand_in(value, args, kwargs)

    @shielded(None)
    def copy(self, value: Any, args: Args, kwargs: KwArgs, depth: int = 0) -> Any:
        """Return a list, tuple or dictionary like value that has stand-ins in it, a stand-in for a callback, or None."""
        kind = type(value)
        if kind in (list, tuple) and depth <= _DEEPEST:
            found = [self.copy(each, args, kwargs, depth + 1) for each in value]
            if all(each is None for each in found):
                return None
            return kind(old if new is None else new for old, new in zip(value, found, strict=True))
        if kind is dict and depth <= _DEEPEST:
            made = {key: self.copy(each, args, kwargs, depth + 1) for key, each in value.items()}
            return {key: each if made[key] is None else made[key] for key, each in value.items()}
        if self._methods:
            return self.swap(value, args, kwargs)
        span = self._span_of(value, args)
        if span is None:
            made = self._stand_in(value, args, kwargs)
            self._remember_span(value, args, made)
            return made
        if type(value) is MethodType:
            return MethodType(stand_in(value.__func__, self._target, "", is_method=False, span=span), value.__self__)
        return stand_in(value, self._target, "", is_method=False, span=span)

    def copy_of_result(self, args: Args, kwargs: KwArgs, result: Any) -> Any:
        """Return the `copy` of what a call with these arguments returned or yielded."""
        return self.copy(result, args, kwargs)

    def _span_of(self, value: Any, args: Args) -> Span | None:
        """Return the span of a callback that this object of the framework has handed out before: at each signal that is sent."""
        function, kind = (value.__func__, type(value.__self__)) if type(value) is MethodType else (value, None)
        found = self._spans.get((id(args[0]) if args else 0, id(function), id(kind)))
        return found[2] if found is not None and found[0]() is args[0] and found[1]() is function else None

    def _remember_span(self, value: Any, args: Args, made: Any) -> None:
        if not self._is_remembered or not args or not isinstance(made, FunctionType | MethodType):
            return
        function, kind = (value.__func__, type(value.__self__)) if type(value) is MethodType else (value, None)
        span = next((one for one, each in self._known.get(id(function), ()) if each() is getattr(made, "__func__", made)), None)
        if span is None:
            return
        if len(self._spans) >= _MOST_REMEMBERED:
            self._spans.clear()
        try:
            self._spans[id(args[0]), id(function), id(kind)] = (ref(args[0]), ref(function), span)
        except TypeError:  # of a class without room for weak references: its names are found each time
            return

    def _stand_in(self, value: Any, args: Args, kwargs: KwArgs, owner: Any = None, method: str = "") -> Any:
        kind: Any = type(value)
        function = value.__func__ if kind is MethodType else value
        if not hasattr(kind, "__call__") or issubclass(kind, type) or is_timed(function):  # noqa: B004 - callable() asks for this
            return None
        known = self._known.get(id(function), [])
        if self.takes_out and len(known) < 2:
            made = known[0][1]() if known else None
        else:
            name = called(value)
            path = f"{name.module}:{name}"
            if any(path == each or path.startswith((f"{each}.", f"{each}:")) for each in self._skipped):
                return None
            if owner is None:
                owner = value.__self__ if kind is MethodType else value
            span = self._find_span(args, {**kwargs, "callable": name, "object": owner, "method": method or name.name})
            if self.takes_out:  # what was registered under this name, else what was registered last
                made = next((each() for one, each in known if one.name == span.name), known[-1][1]())
            else:
                made = next((each() for one, each in known if one is span), None)
                if made is None:
                    made = self._make(function, span)
        if made is None:
            return None
        return MethodType(made, value.__self__) if kind is MethodType else made

    def _make(self, function: Any, span: Span) -> Any:
        try:
            made = stand_in(function, self._target, "", is_method=False, span=span)
        except RefusedError as refusal:
            notes.note("hook", f"{span.name} is not timed: {refusal}")
            return None
        known, key = self._known, id(function)

        def forget(gone: Any) -> None:
            left = [pair for pair in known.get(key, ()) if pair[1] is not gone]
            if left:
                known[key] = left
            else:
                known.pop(key, None)

        known.setdefault(key, []).append((span, ref(made, forget)))
        return made

    def _time_methods(self, owner: Any, args: Args, kwargs: KwArgs) -> None:
        """Give an object stand-ins for its methods, as attributes of its own; its class stays as it is.

        So a framework that asks whether a class overrides a method is answered as before.
        """
        own = owner.__dict__ if isinstance(owner, ModuleType) else own_dictionary(owner)
        for name, method in _methods_of(owner, own, self._methods, self._base):
            made = self._stand_in(method, args, kwargs, owner, name)
            if made is not None:
                own[name] = made
                if not isinstance(owner, ModuleType) and own_dictionary(owner).get(name) is not made:
                    notes.note("hook", f"{called(method)} is not timed: its class has __slots__ and no room for a stand-in")
                    return


def _methods_of(owner: Any, own: Any, patterns: list[str], base: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, method) of each that a pattern names and that is not just inherited from the class `base`."""
    from fnmatch import fnmatchcase

    names = dict.fromkeys(name for each in type(owner).__mro__ for name in vars(each))
    for name in {**names, **dict.fromkeys(own)}:
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if name in own:
            if type(own[name]) in (FunctionType, MethodType):
                yield name, own[name]
            continue
        definer = next(each for each in type(owner).__mro__ if name in vars(each))
        if isinstance(vars(definer)[name], FunctionType) and f"{definer.__module__}:{definer.__qualname__}" != base:
            yield name, MethodType(vars(definer)[name], owner)


def _all_in(value: Any, depth: int) -> Iterator[Any]:
    """Yield the objects in lists, tuples and dictionaries, or value itself."""
    kind = type(value)
    if not issubclass(kind, list | tuple | dict):
        if value is not None:
            yield value
    elif depth <= _DEEPEST:
        inside = dict.values(value) if issubclass(kind, dict) else (list if issubclass(kind, list) else tuple).__iter__(value)
        for each in list(inside):
            yield from _all_in(each, depth + 1)
