"""Chooses the wrapper for a callable: by what the callable is, and by the engine.

In: a callable, its target and span template. Out: an object that is that callable in every way but that its calls are timed.
Runs in the watched process, when a module is patched. The compiled engine has wrappers for functions and C callables. A callable
object of the program's own gets wrapt's proxy with both engines: that knows all of Python's protocols.
"""

from __future__ import annotations

from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    WrapperDescriptorType,
)

from hookmon.core import layout
from hookmon.core.span import fixed_name
from hookmon.probe.base.frames import drop_frame, hide_frames, looks_at_caller
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import (
    CO_ASYNC_GENERATOR,
    CO_COROUTINE,
    CO_GENERATOR,
    CO_ITERABLE_COROUTINE,
    is_partial,
)
from hookmon.probe.base.target import call_site, is_expected, is_own, locate, note_maker
from hookmon.probe.engine import compiled
from hookmon.probe.naming.names import LONGEST_NAME, only_key, span_finder
from hookmon.probe.recording import control, recorder, tree
from hookmon.probe.transactions import computing, context, examples, nested, paired_spans, renaming, response, statuses, traces
from hookmon.probe.wrappers import coroutines, generators, monitoring, weighing
from hookmon.probe.wrappers.observers import ObservedCoroutine, needs_result, quick_reader, route_reader, transaction_observer
from hookmon.probe.wrappers.proxy import copy_of, deep_copy_of, is_called_in_c, look_like

__tracebackhide__ = True  # pytest and others leave frames of such modules out of what they show of a failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Signature
    from typing import Any, SupportsIndex

    from hookmon.probe.base.shapes import Args, Function, KwArgs
    from hookmon.probe.base.target import Span, Target
    from hookmon.probe.naming.names import FindSpan
    from hookmon.probe.wrappers.observers import Observer

_GENERATOR_FLAGS = CO_GENERATOR | CO_ASYNC_GENERATOR
_PLAIN_TYPES = (FunctionType, BuiltinFunctionType, MethodDescriptorType, ClassMethodDescriptorType, WrapperDescriptorType)

_PLAIN_NAMES = ("_lru_cache_wrapper", "cython_function_or_method", "nb_func", "nb_method", "instancemethod")
"""Types of functions in C that have no name of their own in Python: the last three are nanobind's and pybind11's."""
_PROXIES = ("ObjectProxy", "BaseObjectProxy")  # wrapt's; __class__ of anything else may be code of the program

if TYPE_CHECKING:
    from hookmon.probe.wrappers import calls as wrappers  # which says what the wrappers of both engines are
elif compiled:
    wrappers = compiled
else:
    from hookmon.probe.wrappers import calls as wrappers

if compiled:
    from hookmon.probe import _engine

    _engine.configure(
        recorder.root,
        tree.no_children,
        context.members,
        call_site=call_site,
        close_abandoned=paired_spans.close_abandoned,
        enter_thread=recorder.enter_thread,
        flat_node=recorder.flat_node,
        follow_awaitable=coroutines.follow_awaitable,
        follow_code=monitoring.follow_code,
        free_lane=recorder.free_lane,
        give_back=weighing.give_back,
        is_expected=is_expected,
        is_own=is_own,
        is_target_off=control.is_target_off,
        join=context.join,
        join_from_now_on=recorder.join_from_now_on,
        keep_example=examples.keep_example,
        locate=locate,
        look=recorder.look,
        nest=nested.nest,
        new_bucket=recorder.new_bucket,
        new_computing=computing.new_computing,
        new_lane=recorder.new_lane,
        new_node=recorder.new_node,
        new_per_transaction=traces.new_per_transaction,
        note_maker=note_maker,
        notice_fork=recorder.notice_fork,
        prefer_events=monitoring.prefer_events,
        rename=renaming.rename,
        runs_alone=computing.runs_alone,
        status_node=statuses.status_node,
        tail=response.tail,
        take_new_plan=control.take_new_plan,
        timed_generator=generators.timed_generator,
        weigh=weighing.weigh,
        wrap_awaitable=coroutines.wrap_awaitable,
    )

TimedCallable = wrappers.TimedCallable
Timed = wrappers.Timed
Observed: Any = wrappers.Observed
ObservedBefore: Any = wrappers.ObservedBefore
Selective: Any = wrappers.Selective
CallbackSource: Any = getattr(compiled, "CallbackSource", None)
"""The compiled engine's class of functions that hand callbacks out; None where `hooks` makes such a function itself."""


class RefusedError(Exception):
    """A target is there and cannot be patched; the text says why."""


def is_timed(value: object) -> bool:
    """Say whether a value is a stand-in of ours that times all its calls."""
    is_ours = isinstance(value, TimedCallable) and not issubclass(type(value), Selective)
    return is_ours or type(value).__dict__.get("hookmon_stand_in", False)


def wrapper_classes() -> list[type]:
    """Return the classes of stand-ins that time all their calls."""
    found: list[type] = [TimedCallable]
    for wrapper_class in found:
        found += wrapper_class.__subclasses__()
    return found


def can_stand_in(value: object) -> bool:
    """Say whether a callback can have a stand-in that nobody can tell from it by calls, copies or introspection.

    It can when it is a function of Python or C, a method of one, a partial, or what wrapt has made of a function.
    """
    if type(value) is MethodType:
        value = value.__func__
    value_type = type(value)
    if value_type in _PLAIN_TYPES or value_type.__name__ in _PLAIN_NAMES or is_partial(value):
        return True
    return any(base.__name__ in _PROXIES for base in value_type.__mro__) and isinstance(value, FunctionType)


def is_observed(value: object) -> bool:
    """Say whether a value is a stand-in whose calls are observed and not timed."""
    return isinstance(value, wrappers.Observed)


def is_ours(value: object) -> bool:
    """Say whether a value is one of ours: a stand-in, or a function of an adapter or a hook."""
    if type(value) is FunctionType:
        return str(value.__globals__.get("__name__")).startswith("hookmon.")
    return is_timed(value) or is_observed(value) or type(value).__module__.startswith("hookmon.")


def stand_in(function: Any, target: Target, template: str, *, is_method: bool, span: Span | None = None) -> Function:
    """Return the timed stand-in for a callable, named by a template or, once and for all, by a span.

    A target that is only observed is not timed. Raises RefusedError for what none is for, ValueError for a bad template.
    """
    if not compiled and looks_at_caller(function):
        raise RefusedError("it looks at the frame of its caller, and with the pure engine it would find ours")
    if any(target.templates):
        observed = _wrap_observed(function, target, is_method)
        if not target.entry:
            return observed
        function = observed
    span, name, position, key = naming(function, target, template, is_method, span)
    code = getattr(function, "__code__", None)
    if not target.pack and code is not None:
        target.place = f"{code.co_filename}:{code.co_firstlineno}"
    flags = flags_of(function)
    if flags & CO_ITERABLE_COROUTINE:
        raise RefusedError("it is a coroutine of types.coroutine, for whose generator nothing can stand in")
    wrapper_class: type[TimedCallable] = wrappers.Timed
    if flags & CO_COROUTINE:
        wrapper_class = wrappers.TimedCoroutineFunction
        target.flags |= layout.FLAG_COROUTINE
    elif flags & _GENERATOR_FLAGS or (_is_contextlib(function) and flags_of(function.__wrapped__) & _GENERATOR_FLAGS):
        wrapper_class = wrappers.TimedGeneratorFunction
    elif not hasattr(type(function), "__get__"):
        wrapper_class = wrappers.TimedCallable
    naming_of = (span, name, position, target.sited, key, 0, target)
    if compiled and isinstance(function, MethodDescriptorType):
        method: Function = compiled.TimedMethod(function, *naming_of)
        return method
    if isinstance(function, FunctionType | wrappers.Observed):
        made = wrapper_class(function, *naming_of)
        return made if compiled else wrappers.hide_call(made)
    if compiled and not isinstance(function, _PLAIN_TYPES) and type(function).__name__ not in _PLAIN_NAMES:
        proxy: Function = _proxy(function, wrapper_class(function, *naming_of))
        return proxy
    made = _class_like(wrapper_class, function)(function, *naming_of)
    return made if compiled else wrappers.hide_call(made)


def naming(
    function: Any, target: Target, template: str, is_method: bool, span: Span | None
) -> tuple[Span | None, FindSpan | None, int, str | None]:
    """Return a fixed span, or the function that finds it, with the position and the key of the one argument that decides."""
    if span is None:
        always = fixed_name(template)[:LONGEST_NAME] if template else target.path.partition(":")[2]
        span = target.span(always) if always else None
    if span is not None:
        return span, None, -1, None
    name, position = span_finder(template, target, function, is_method)
    return None, name, *((position, None) if position >= 0 else only_key(template, function, is_method))


def is_run(function: object) -> bool:
    """Say whether a function has not done its work when it returns: of a generator, a coroutine, a context manager."""
    return bool(flags_of(function) & (CO_COROUTINE | _GENERATOR_FLAGS)) or _is_contextlib(function)


def application(function: Function, target: Target, template: str, scope_at: int) -> Function:
    """Return the stand-in for an ASGI application whose HTTP requests and websockets are transactions (see `asgi`).

    `scope_at` is the position of its scope: 1 for the method of a class. Raises ValueError for a bad template.
    """
    if compiled:
        wrapper_class: Callable[..., Function] = compiled.Application
    else:
        from hookmon.probe.wrappers.asgi import Application

        wrapper_class = Application
    named = _application_method if scope_at else _application
    name, _ = span_finder(template, target, named, bool(scope_at))
    return wrapper_class(function, None, name, scope_at, False, "method", 0, target)


def _application(scope: object, receive: object, send: object) -> None:
    """Have the parameters of an application, for the names of its calls. It is never called."""


def _application_method(self: object, scope: object, receive: object, send: object) -> None:
    """Have the parameters of an application that is a method. It is never called."""


def observe(
    function: Function, observer: Observer, *, route_of: tuple[Callable[[Args, KwArgs, Any], str], tuple[Any, ...]] | None = None
) -> Function:
    """Return the stand-in for a Python function that is not timed but observed: `observer(args, kwargs, result)` follows a call.

    A coroutine function is observed when it is called, without a result. `route_of` is for a function that knows the route of the
    open request, which is cheaper: (name_of, fields). `name_of(args, kwargs, result)` returns the name, or "" where `observer`
    is to be called. Each field is (position or keyword, or -1 for the result; names below it). What the fields lead to, with the
    prefix that the transaction has, has to decide alone about the name.
    """
    wrapper_class = wrappers.ObservedBefore if flags_of(function) & CO_COROUTINE else wrappers.Observed
    quick = route_reader(*route_of) if route_of is not None else None
    return wrapper_class(function, None, shielded(None)(observer), -1, False, quick)


def observe_before(function: Function, observer: Observer) -> Function:
    """Return the stand-in for a Python function that is not timed: `observer(args, kwargs, None)` goes before each call."""
    return wrappers.ObservedBefore(function, None, shielded(None)(observer), -1)


@hide_frames
def chain(method: Any, make: Function, given: object, then: Function) -> Function:
    """Return a function in the looks of `method`, a method of a C type, that calls `then(make(self, given), …)` instead.

    It is timed as `method` would be. A call with keyword arguments goes to `method` itself.
    """
    if compiled:
        made: Function = compiled.Chained(method, make, given, then)
        return made

    def call(self: object, /, *args: object, **kwargs: object) -> object:
        try:
            return method(self, *args, **kwargs) if kwargs else then(make(self, given), *args)
        except BaseException as error:
            drop_frame(error)
            raise

    call.__module__ = method.__objclass__.__module__
    return look_like(call, method)


def _wrap_observed(function: Function, target: Target, is_method: bool) -> Function:
    if not isinstance(function, FunctionType) and type(function).__name__ not in _PLAIN_NAMES:
        raise RefusedError(f"it is {type(function).__name__}, no function, and cannot tell of a transaction")
    observer = transaction_observer(target, function, is_method)
    if not flags_of(function) & CO_COROUTINE:
        return wrappers.Observed(function, None, observer, -1, False, quick_reader(target, function, is_method))
    if not needs_result(target):
        return wrappers.ObservedBefore(function, None, observer, -1)

    def follow(args: Args, kwargs: KwArgs, coroutine: Any) -> ObservedCoroutine:
        return ObservedCoroutine(coroutine, observer, args, kwargs)

    return wrappers.ObservedCoroutineFunction(function, None, follow, -1)


def _class_like(wrapper_class: type, function: Function, **members: object) -> Callable[..., Any]:
    """Return a subclass of a wrapper class with the name of the callable's own class, for help() and the like."""
    own = type(function)
    members["__slots__"] = ()
    if function.__doc__ is own.__doc__:  # an instance: its text is that of its class
        members["__doc__"] = own.__doc__
    elif compiled:  # or the class would have a text of None, and pydoc would find that
        members["__doc__"] = vars(wrappers.TimedCallable)["__doc__"]
    if isinstance(getattr(own, "__call__", None), FunctionType):  # noqa: B004 - it is looked at, not asked for
        members["__signature__"] = property(lambda self: _signature(function))  # or that of our own `__call__` would be found
    return type(own.__name__, (wrapper_class,), members)


def _signature(function: Function) -> Signature:
    """Return the signature of a callable object. Whoever asks for it has imported inspect."""
    from inspect import signature

    return signature(function)


@hide_frames
def _proxy(function: Function, timed: Function) -> Any:
    """Return wrapt's proxy of a callable object of the program's. Its calls go through `timed`, a compiled wrapper."""
    from hookmon.probe.wrappers.proxy import load_stand_in_base

    def call(self: object, /, *args: object, **kwargs: object) -> object:
        try:
            return timed(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    def reduce(self: object, protocol: SupportsIndex) -> str | tuple[object, ...]:
        return function.__reduce_ex__(protocol)

    def text(self: object) -> str:
        return repr(function)

    def copy(self: object) -> object:
        return copy_of(self, function)

    def deepcopy(self: object, memo: dict[int, object] | None) -> object:
        return deep_copy_of(self, function, memo)

    members = {"__call__": call, "__reduce_ex__": reduce, "__repr__": text, "hookmon_stand_in": True}
    members |= {"__copy__": copy, "__deepcopy__": deepcopy}
    if hasattr(type(function), "__get__"):
        members["__get__"] = lambda self, instance, owner=None: self if instance is None else MethodType(self, instance)
    made = _class_like(load_stand_in_base(recorder.wrapt_folder), function, **members)(function)
    if is_called_in_c(function):
        made.__call__ = timed
    return made


def flags_of(function: object) -> int:
    """Return the flags of a function's code, 0 for what is none."""
    function = function._self_function if isinstance(function, wrappers.Observed) else function
    code = getattr(function, "__code__", None) if isinstance(function, FunctionType) else None
    return code.co_flags if code is not None else 0


def _is_contextlib(function: object) -> bool:
    """Say whether a function was made by contextlib's contextmanager or asynccontextmanager."""
    is_theirs = isinstance(function, FunctionType) and function.__globals__.get("__name__") == "contextlib"
    return is_theirs and hasattr(function, "__wrapped__")
