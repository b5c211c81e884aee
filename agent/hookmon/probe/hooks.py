"""Times callbacks: what a framework is given to call later, each under its own name.

In: the function with which callbacks are registered, and a `[[hook]]` that says where in it the callback is. Out: a function
in its place that hands on a timed stand-in for each callback; the program keeps its own. Runs in the watched process, when a
module is patched and at each registration; a call of a callback is a call of a stand-in and nothing else.

The same callback under the same name gets the same stand-in as long as that lives, so a framework that compares by identity
finds it again. Nothing here keeps a callback alive: whoever stores the stand-in does.
"""

from __future__ import annotations

import sys
from _weakref import ref
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType

from hookmon.probe import notes
from hookmon.probe.callables import called, is_partial
from hookmon.probe.finder import among_importlib
from hookmon.probe.guard import shielded
from hookmon.probe.names import attribute, own_dictionary, parameters, span_finder
from hookmon.probe.stand_ins import RefusedError, is_timed, stand_in

__tracebackhide__ = True  # pytest and others leave frames of such modules out of what they show of a failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.target import Span, Target

    Args = tuple[Any, ...]
    KwArgs = dict[str, Any]

_CODE_FLAGS = 0x80  # inspect.CO_COROUTINE
_GENERATOR_FLAG = 0x20
_DEEPEST = 4
"""So many lists, tuples and dictionaries inside each other are looked through for callbacks."""

_MISSING: Any = object()
_registrations: set[Any] = set()
"""The functions that stand in for those with which callbacks are registered."""

_known: dict[int, dict[int, list[tuple[Span, Any]]]] = {}
"""{watch: {id of a callback: [(span, weak reference to its stand-in)]}}; an entry goes with its stand-in, which holds the
callback: the id is nobody else's until then."""


def registration(function: Any, target: Target, watch: WatchPlan, *, is_method: bool, takes_out: bool = False) -> Any:
    """Return what is to stand where a registration function stands.

    With `takes_out` it is one that gets callbacks in order to forget them or to look them up. Raises RefusedError when
    the callback cannot be where the `[[hook]]` says.
    """
    if not isinstance(function, FunctionType):
        raise RefusedError("it is not written in Python, so no callback can be taken from its arguments")
    if function in _registrations:
        return function
    if function.__code__.co_flags & _CODE_FLAGS:
        raise RefusedError("it is a coroutine function, through which no callback can be registered")
    callbacks = _Callbacks(function, target, watch, is_method, takes_out)
    where = watch["hook"]["callable"]
    root, dot, rest = where.partition(".")
    if where == "result":
        register = _result(function, callbacks)
    elif where == "decorated":
        register = _decorator(function, callbacks)
    elif dot or root == "self":
        position, keyword = (0, "") if root == "self" else (-1, "") if root == "module" else _place(function, root, is_method)
        register = _holder(function, callbacks, position, keyword, rest.split(".") if rest else [])
    else:
        register = _argument(function, callbacks, *_place(function, where, is_method))
    _registrations.add(_like(register, function))
    return register


def replaced(raw: Any, target: Target, watch: WatchPlan, *, is_method: bool, takes_out: bool = False) -> Any:
    """Return what is to stand where an attribute stands: the same kind of descriptor around a registration function."""
    if isinstance(raw, classmethod | staticmethod):
        inner = raw.__func__
        made = registration(inner, target, watch, is_method=isinstance(raw, classmethod), takes_out=takes_out)
        return raw if made is inner else type(raw)(made)
    return registration(raw, target, watch, is_method=is_method, takes_out=takes_out)


class _Callbacks:
    """The callbacks of one registration function: finds their names and their stand-ins. No method of it raises."""

    def __init__(self, function: Any, target: Target, watch: WatchPlan, is_method: bool, takes_out: bool) -> None:
        self._target = target
        self._takes_out = takes_out
        hook = watch["hook"]
        self._methods = hook["methods"]
        self._base = hook["base"]
        self._skipped = hook["skip"]
        self._known = _known.setdefault(watch["id"], {})
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
        return self.swap(value, args, kwargs)

    def _stand_in(self, value: Any, args: Args, kwargs: KwArgs, owner: Any = None, method: str = "") -> Any:
        kind: Any = type(value)
        function = value.__func__ if kind is MethodType else value
        if not hasattr(kind, "__call__") or issubclass(kind, type) or is_timed(function):  # noqa: B004 - callable() asks for this
            return None
        known = self._known.get(id(function), [])
        if self._takes_out and len(known) < 2:
            made = known[0][1]() if known else None
        else:
            name = called(value)
            path = f"{name.module}:{name}"
            if any(path == each or path.startswith((f"{each}.", f"{each}:")) for each in self._skipped):
                return None
            if owner is None:
                owner = value.__self__ if kind is MethodType else value
            span = self._find_span(args, {**kwargs, "callable": name, "object": owner, "method": method or name.name})
            if self._takes_out:  # what was registered under this name, else what was registered last
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
            if isinstance(own[name], FunctionType | MethodType):
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


def _place(function: Any, where: str, is_method: bool) -> tuple[int, str]:
    """Return position and keyword of an argument; raise RefusedError when the function has none of that name."""
    names = parameters(function)
    if where.startswith("arg") and where[3:].isdigit():
        position = int(where[3:]) + is_method
        return position, names[position] if position < len(names) else ""
    if where in names:
        return names.index(where), where
    inner = function
    while isinstance(getattr(inner, "__wrapped__", None), FunctionType):
        inner = inner.__wrapped__
    code = inner.__code__
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if where not in keywords and not code.co_flags & 0x08:  # inspect.CO_VARKEYWORDS
        raise RefusedError(f'it has no parameter "{where}", but {", ".join((*names[is_method:], *keywords)) or "none at all"}')
    return sys.maxsize, where


def _argument(function: Any, callbacks: _Callbacks, position: int, keyword: str) -> Any:
    """The callback is an argument; where a call leaves it out, it is what the returned decorator is put on."""
    is_taken_out = callbacks._takes_out

    def register(*args: Any, **kwargs: Any) -> Any:
        own = args[position] if position < len(args) else kwargs.get(keyword)
        if own is None and not is_taken_out:
            return _decorating(function(*args, **kwargs), callbacks, args, kwargs)
        made = callbacks.swap(own, args, kwargs)
        if made is None:
            return function(*args, **kwargs)
        if position < len(args):
            result = function(*args[:position], made, *args[position + 1 :], **kwargs)
        else:
            result = function(*args, **{**kwargs, keyword: made})
        return own if result is made else result

    return register


def _decorator(function: Any, callbacks: _Callbacks) -> Any:
    """The callback is what the returned decorator is put on."""

    def register(*args: Any, **kwargs: Any) -> Any:
        return _decorating(function(*args, **kwargs), callbacks, args, kwargs)

    return register


def _decorating(decorate: Any, callbacks: _Callbacks, args: Args, kwargs: KwArgs) -> Any:
    """Return a decorator that hands stand-ins on to a decorator; anything that cannot be one is returned as it is."""
    if not isinstance(decorate, FunctionType | MethodType) and not is_partial(decorate):
        return decorate

    def register(own: Any, /, *more: Any, **named: Any) -> Any:
        made = callbacks.swap(own, args, kwargs)
        if made is None:
            return decorate(own, *more, **named)
        result = decorate(made, *more, **named)
        return own if result is made else result

    return _like(register, decorate)


def _result(function: Any, callbacks: _Callbacks) -> Any:
    """What the call returns or yields are the callbacks: for frameworks that keep weak references."""
    if function.__code__.co_flags & _GENERATOR_FLAG:

        def register(*args: Any, **kwargs: Any) -> Any:
            for each in function(*args, **kwargs):
                made = callbacks.copy(each, args, kwargs)
                yield each if made is None else made

        return register

    def register_once(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        made = callbacks.copy(result, args, kwargs)
        return result if made is None else made

    return register_once


def _holder(function: Any, callbacks: _Callbacks, position: int, keyword: str, names: list[str]) -> Any:
    """The callbacks are in an attribute of an argument, or of the module for position -1, before the call or after it."""
    module = ModuleType(function.__module__)
    inside = function.__globals__

    @shielded(None)
    def look(args: Args, kwargs: KwArgs) -> None:
        value: Any = module if position < 0 else args[position] if position < len(args) else kwargs.get(keyword, _MISSING)
        owner = value
        for name in names:
            owner = value
            value = inside.get(name, _MISSING) if owner is module else attribute(owner, name)
        if value is not _MISSING:
            made = callbacks.swap_inside(value, args, kwargs)
            if made is not None and owner is module:
                inside[names[-1]] = made
            elif made is not None and names:
                _put(owner, names[-1], made)

    def register(*args: Any, **kwargs: Any) -> Any:
        look(args, kwargs)
        result = function(*args, **kwargs)
        look(args, kwargs)
        return result

    return register


def _put(owner: Any, name: str, value: Any) -> None:
    """Set an attribute in its slot or in the object's own dictionary, past any code of the program."""
    slot = next((vars(each)[name] for each in type(owner).__mro__ if name in vars(each)), None)
    if type(slot) is MemberDescriptorType:
        slot.__set__(owner, value)
    else:
        own_dictionary(owner)[name] = value


def _like(register: Callable[..., Any], function: Any) -> Any:
    """Give a function the looks of what it stands in for, and let warnings see through it to who called."""
    annotations = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"  # reading the latter may run code
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__", annotations):
        value = getattr(function, name, _MISSING)
        if value is not _MISSING:
            setattr(register, name, value)
    register.__dict__.update(getattr(function, "__dict__", {}))
    register.__wrapped__ = function  # type: ignore[attr-defined]
    return among_importlib(register)
