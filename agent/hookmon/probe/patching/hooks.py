"""Times callbacks: what a framework is given to call later, each under its own name.

In: the function with which callbacks are registered, and a `[[hook]]` that says where in it the callback is. Out: a function
in its place that hands on a timed stand-in for each callback; the program keeps its own. Runs in the watched process, when a
module is patched and at each registration; a call of a callback is a call of a stand-in and nothing else.
"""

from __future__ import annotations

import sys
from _weakref import ref
from sys import getrefcount
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType

from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import (
    CO_COROUTINE,
    CO_GENERATOR,
    CO_VARARGS,
    CO_VARKEYWORDS,
    attribute,
    is_partial,
    own_dictionary,
)
from hookmon.probe.naming.names import parameters
from hookmon.probe.patching.callbacks import Callbacks, own_of
from hookmon.probe.patching.contents import Replaced
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
        raise RefusedError(
            f"it is {type(function).__name__}, no function of Python: one in C, or compiled, keeps callbacks where nobody sees "
            "them; watch the callbacks themselves"
        )
    if ref(function) in _registrations or type(function) is CallbackSource:
        return function
    if function.__code__.co_flags & CO_COROUTINE:
        raise RefusedError("it is a coroutine function, through which no callback can be registered")
    callbacks = Callbacks(function, target, watch, is_method, takes_out)
    where = watch["hook"]["callable"]
    if where == "result" and CallbackSource is not None:
        source: Function = CallbackSource(function, None, callbacks.copy_of_result, -1)
        return source
    if where == "result":
        register = _like(_result(function, callbacks), function)
    elif where == "decorated":
        register = _like(_decorator(function, callbacks), function)
    else:
        register = _places(function, callbacks, [where] if isinstance(where, str) else where, is_method)
    _registrations.add(ref(register, _registrations.discard))
    return register


def _places(function: FunctionType, callbacks: Callbacks, wheres: list[str], is_method: bool) -> Function:
    """Return a function that looks for callbacks in several places: arguments, and attributes around the call."""
    register: Function = function
    arguments = []
    for where in wheres:
        root, dot, rest = where.partition(".")
        if dot or root == "self":
            place = (0, "") if root == "self" else (-1, "") if root == "module" else _place(function, root, is_method)[:2]
            register = _like(
                _holder(register, callbacks, *place, rest.split(".") if rest else [], function.__globals__), function
            )
        else:
            arguments.append(_place(function, where, is_method))
    return _like(_arguments(register, callbacks, arguments), function) if arguments else register


def wrap_attribute(raw: object, target: Target, watch: WatchPlan, *, is_method: bool, takes_out: bool = False) -> object:
    """Return what is to stand where an attribute stands: the same kind of descriptor around a registration function."""
    if isinstance(raw, classmethod | staticmethod):
        inner = raw.__func__
        made = registration(inner, target, watch, is_method=isinstance(raw, classmethod), takes_out=takes_out)
        return raw if made is inner else type(raw)(made)
    if isinstance(raw, property):
        return _property(raw, target, watch, takes_out)
    return registration(raw, target, watch, is_method=is_method, takes_out=takes_out)


def _property(raw: property, target: Target, watch: WatchPlan, takes_out: bool) -> property:
    """Return a property whose setter registers. The program reads what it has set, the framework the stand-in."""
    if type(raw) is not property or type(raw.fset) is not FunctionType:
        raise RefusedError(
            f"it is a {type(raw).__name__} without a setter in Python, through which no callback can be registered"
        )
    setter = registration(raw.fset, target, watch, is_method=True, takes_out=takes_out)
    own = raw.fget
    getter: Any = own
    if type(own) is FunctionType:
        package = str(own.__globals__.get("__name__")).partition(".")[0]

        def read(self: object) -> object:
            try:
                value = own(self)
            except BaseException as error:
                drop_frame(error)
                raise
            reader = str(sys._getframe(1).f_globals.get("__name__")).partition(".")[0]
            return value if reader == package else own_of(value)

        getter = _like(read, own)
    set_value: Any = setter
    return property(getter, set_value, raw.fdel, raw.__doc__)


def _place(function: Any, where: str, is_method: bool) -> tuple[int, str, bool]:
    """Return position and keyword of an argument, and whether it is that one and all behind it.

    Raises RefusedError when the function has none of that name.
    """
    names = parameters(function)
    if where.startswith("arg") and where[3:].isdigit():
        position = int(where[3:]) + is_method
        return position, names[position] if position < len(names) else "", False
    if where in names:
        return names.index(where), where, False
    inner = function
    while isinstance(getattr(inner, "__wrapped__", None), FunctionType):
        inner = inner.__wrapped__
    code = inner.__code__
    rest = code.co_argcount + code.co_kwonlyargcount
    keywords = code.co_varnames[code.co_argcount : rest]
    stars = [f"*{code.co_varnames[rest]}"] if code.co_flags & CO_VARARGS else []
    if f"*{where.removeprefix('*')}" in stars:
        return code.co_argcount, "", True
    if where not in keywords and (where.startswith("*") or not code.co_flags & CO_VARKEYWORDS):
        raise RefusedError(
            f'it has no parameter "{where}", but {", ".join((*names[is_method:], *keywords, *stars)) or "none at all"}'
        )
    return sys.maxsize, where, False


def _arguments(function: Function, callbacks: Callbacks, places: list[tuple[int, str, bool]]) -> Function:
    """The callbacks are arguments. Where a call leaves all of them out, it returns a decorator, which is put on the callback."""
    is_taken_out = callbacks.takes_out

    def register(*args: object, **kwargs: object) -> object:
        found = _given(places, args, kwargs)
        replaced = Replaced()
        try:
            if not is_taken_out and all(own is None for _, own in found):
                result = function(*args, **kwargs)
                is_given_back = any(result is given for given in (*args, *kwargs.values()))  # then it is no decorator
                return result if is_given_back else _wrap_decorator(result, callbacks, args, kwargs)
            held = [getrefcount(own) for _, own in found]
            swapped = [(at, callbacks.swap(own, args, kwargs, replaced), own) for at, own in found]
            made = {at: new for at, new, _ in swapped if new is not None}
            result = function(*[made.get(at, own) for at, own in enumerate(args)], **{**kwargs, **_named(made)})
        except BaseException as error:
            replaced.put_back()
            drop_frame(error)
            raise
        for new, own in replaced.pairs():
            callbacks.keep(new, own)
        replaced.put_back()
        for (_, new, own), before in zip(swapped, held, strict=True):
            if new is not None:
                callbacks.keep(new, own)
                result = own if result is new else result
            elif replaced.is_in(own) and result is not own and getrefcount(own) > before + 2:  # those of `swapped` and `replaced`
                callbacks.note_kept(own)
        return result

    return register


def _given(places: list[tuple[int, str, bool]], args: Args, kwargs: KwArgs) -> list[tuple[int | str, object]]:
    """Return position or keyword and value of each argument in which callbacks are; None for one that is left out."""
    found: list[tuple[int | str, object]] = []
    for position, keyword, has_rest in places:
        if has_rest:
            found += enumerate(args[position:], position)
        elif position < len(args):
            found.append((position, args[position]))
        else:
            found.append((keyword, kwargs.get(keyword)))
    return found


def _named(made: dict[int | str, object]) -> KwArgs:
    return {at: new for at, new in made.items() if isinstance(at, str)}


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

    def register(*given: object, **named: object) -> object:
        own = given[0] if given else None
        made = callbacks.swap(own, args, kwargs)
        try:
            result = decorate(*given, **named) if made is None else decorate(made, *given[1:], **named)
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


def _holder(
    function: Function, callbacks: Callbacks, position: int, keyword: str, names: list[str], inside: dict[str, Any]
) -> Function:
    """The callbacks stand in an attribute of an argument, or of the module for position -1. It is looked at around the call.

    `inside` is what the module has.
    """
    module = ModuleType("")

    @shielded(None)
    def look(args: Args, kwargs: KwArgs) -> None:
        value: Any = module if position < 0 else args[position] if position < len(args) else kwargs.get(keyword, _MISSING)
        owner = value
        for name in names:
            owner = value
            value = inside.get(name, _MISSING) if owner is module else _attribute(owner, name)
        if value is not _MISSING:
            made = callbacks.swap_inside(_inner(value), args, kwargs)
            if made is not None and owner is module:
                inside[names[-1]] = made
            elif made is not None and names:
                _put(owner, names[-1], type(value)(made) if _inner(value) is not value else made)

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


def _attribute(owner: Any, name: str) -> Any:
    """Return what an object has by a name, and a class in itself; `_MISSING` where code of the program would run."""
    if not issubclass(type(owner), type):
        return attribute(owner, name)
    return type.__dict__["__dict__"].__get__(owner).get(name, _MISSING)


def _inner(value: Any) -> Any:
    """Return the function of a class or static method, as a class has it in itself."""
    return value.__func__ if type(value) is staticmethod or type(value) is classmethod else value


def _put(owner: Any, name: str, value: object) -> None:
    """Set an attribute in its slot or in the object's own dictionary, past any code of the program."""
    if issubclass(type(owner), type):
        type.__setattr__(owner, name, value)
        return
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
