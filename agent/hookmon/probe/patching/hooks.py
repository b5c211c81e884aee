"""Times callbacks: what a framework is given to call later, each under its own name.

In: the function with which callbacks are registered, and a `[[hook]]` that says where in it the callback is. Out: a function
in its place that hands on a timed stand-in for each callback; the program keeps its own. Runs in the watched process, when a
module is patched and at each registration; a call of a callback is a call of a stand-in and nothing else.
"""

from __future__ import annotations

import sys
from _weakref import ref
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType

from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import (
    CO_COROUTINE,
    CO_GENERATOR,
    CO_VARKEYWORDS,
    attribute,
    is_partial,
    own_dictionary,
)
from hookmon.probe.naming.names import parameters
from hookmon.probe.patching.callbacks import Callbacks
from hookmon.probe.wrappers.make import CallbackSource, RefusedError
from hookmon.probe.wrappers.proxy import look_like

__tracebackhide__ = True  # pytest and others leave frames of such modules out of what they show of a failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.shapes import Args, Function, KwArgs
    from hookmon.probe.base.target import Target

_MISSING: Any = object()
_registrations: set[ref[Any]] = set()
"""The functions that stand in for those with which callbacks are registered, weakly: whoever holds one holds its module."""


def registration(function: object, target: Target, watch: WatchPlan, *, is_method: bool, takes_out: bool = False) -> Function:
    """Return what is to stand where a registration function stands.

    With `takes_out` the function gets callbacks in order to forget them or to look them up. Raises RefusedError when
    the callback cannot be where the `[[hook]]` says.
    """
    if not isinstance(function, FunctionType):
        raise RefusedError(f"it is {type(function).__name__}, no Python function from whose arguments a callback could be taken")
    if ref(function) in _registrations or type(function) is CallbackSource:
        return function
    if function.__code__.co_flags & CO_COROUTINE:
        raise RefusedError("it is a coroutine function, through which no callback can be registered")
    callbacks = Callbacks(function, target, watch, is_method, takes_out)
    where = watch["hook"]["callable"]
    root, dot, rest = where.partition(".")
    if where == "result" and CallbackSource is not None:
        source: Function = CallbackSource(function, None, callbacks.copy_of_result, -1)
        return source
    if where == "result":
        register = _result(function, callbacks)
    elif where == "decorated":
        register = _decorator(function, callbacks)
    elif dot or root == "self":
        position, keyword = (0, "") if root == "self" else (-1, "") if root == "module" else _place(function, root, is_method)
        register = _holder(function, callbacks, position, keyword, rest.split(".") if rest else [])
    else:
        register = _argument(function, callbacks, *_place(function, where, is_method))
    _registrations.add(ref(_like(register, function), _registrations.discard))
    return register


def wrap_attribute(raw: object, target: Target, watch: WatchPlan, *, is_method: bool, takes_out: bool = False) -> object:
    """Return what is to stand where an attribute stands: the same kind of descriptor around a registration function."""
    if isinstance(raw, classmethod | staticmethod):
        inner = raw.__func__
        made = registration(inner, target, watch, is_method=isinstance(raw, classmethod), takes_out=takes_out)
        return raw if made is inner else type(raw)(made)
    if isinstance(raw, property):
        raise RefusedError("it is a property: what is assigned to it passes no function of that name")
    return registration(raw, target, watch, is_method=is_method, takes_out=takes_out)


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
    if where not in keywords and not code.co_flags & CO_VARKEYWORDS:
        raise RefusedError(f'it has no parameter "{where}", but {", ".join((*names[is_method:], *keywords)) or "none at all"}')
    return sys.maxsize, where


def _argument(function: FunctionType, callbacks: Callbacks, position: int, keyword: str) -> Function:
    """The callback is an argument. Where a call leaves it out, the call returns a decorator, which is put on the callback."""
    is_taken_out = callbacks.takes_out

    def register(*args: object, **kwargs: object) -> object:
        own = args[position] if position < len(args) else kwargs.get(keyword)
        try:
            if own is None and not is_taken_out:
                result = function(*args, **kwargs)
                is_given_back = any(result is given for given in (*args, *kwargs.values()))  # then it is no decorator
                return result if is_given_back else _wrap_decorator(result, callbacks, args, kwargs)
            made = callbacks.swap(own, args, kwargs)
            if made is None:
                return function(*args, **kwargs)
            if position < len(args):
                result = function(*args[:position], made, *args[position + 1 :], **kwargs)
            else:
                result = function(*args, **{**kwargs, keyword: made})
        except BaseException as error:
            drop_frame(error)
            raise
        callbacks.keep(made, own)
        return own if result is made else result

    return register


def _decorator(function: FunctionType, callbacks: Callbacks) -> Function:
    """The call returns a decorator, which is put on the callback."""

    def register(*args: object, **kwargs: object) -> object:
        try:
            decorate = function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        return _wrap_decorator(decorate, callbacks, args, kwargs)

    return register


def _wrap_decorator(decorate: Any, callbacks: Callbacks, args: Args, kwargs: KwArgs) -> object:
    """Return a decorator that passes a stand-in on to `decorate`. What cannot be a decorator is returned as it is."""
    if type(decorate) not in (FunctionType, MethodType) and not is_partial(decorate):
        return decorate

    def register(own: object, /, *more: object, **named: object) -> object:
        made = callbacks.swap(own, args, kwargs)
        try:
            result = decorate(own if made is None else made, *more, **named)
        except BaseException as error:
            drop_frame(error)
            raise
        if made is None:
            return result
        callbacks.keep(made, own)
        return own if result is made else result

    return _like(register, decorate)


def _result(function: FunctionType, callbacks: Callbacks) -> Function:
    """The call returns or yields the callbacks, as in frameworks that keep weak references.

    The compiled engine has its own for this, CallbackSource: such a function is called at each signal that is sent.
    """
    if function.__code__.co_flags & CO_GENERATOR:

        def register(*args: object, **kwargs: object) -> object:
            try:
                for callback in function(*args, **kwargs):
                    made = callbacks.copy(callback, args, kwargs)
                    yield callback if made is None else made
            except BaseException as error:
                drop_frame(error)
                raise

        return register

    def register_once(*args: object, **kwargs: object) -> object:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        made = callbacks.copy(result, args, kwargs)
        return result if made is None else made

    return register_once


def _holder(function: FunctionType, callbacks: Callbacks, position: int, keyword: str, names: list[str]) -> Function:
    """The callbacks stand in an attribute of an argument, or of the module for position -1. It is looked at around the call."""
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

    def register(*args: object, **kwargs: object) -> object:
        look(args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        look(args, kwargs)
        return result

    return register


def _put(owner: object, name: str, value: object) -> None:
    """Set an attribute in its slot or in the object's own dictionary, past any code of the program."""
    slot = next((vars(cls)[name] for cls in type(owner).__mro__ if name in vars(cls)), None)
    if type(slot) is MemberDescriptorType:
        slot.__set__(owner, value)
    else:
        own_dictionary(owner)[name] = value


def _like(register: Function, function: Function) -> Function:
    """Give a function the looks of what it stands in for. Warnings count no frame of it."""
    annotations = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"  # reading the latter may run code
    for name in ("__type_params__", annotations):
        value = getattr(function, name, _MISSING)
        if value is not _MISSING:
            setattr(register, name, value)
    register.__dict__.update(getattr(function, "__dict__", {}))
    return hide_frames(look_like(register, function))
