"""Watches functions themselves, whoever holds them: by their code, and not by a wrapper under their name.

In: the code of a module that is about to be executed, or a function that is there already. Out: watched code objects, and
which entries of `calls` they serve. Runs in the watched process, once for each watched module. What is no function of Python,
and what does more than time (hooks, paired spans, what is read off calls), is the patcher's.
"""

from __future__ import annotations

from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)

from hookmon.core.globs import is_glob
from hookmon.core.span import fixed_name
from hookmon.probe.patching import codes
from hookmon.probe.patching.codes import LOCALS, CodeOfFunction, functions_in, plainly_defined, stands_for
from hookmon.probe.patching.entries import MISSING, find_targets, owner_of, raw_attribute
from hookmon.probe.patching.injected import beats_wrappers, injector, is_copy, original_of, rebuild
from hookmon.probe.patching.own_modules import OwnModule
from hookmon.probe.recording import notes
from hookmon.probe.wrappers import monitoring, weighing
from hookmon.probe.wrappers.code_timers import code_timer, mark, own_timer
from hookmon.probe.wrappers.make import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.shapes import Owner
    from hookmon.probe.base.target import Target

    MakeTarget = Callable[[str, str, WatchPlan], Target]

ways: dict[tuple[str, str], str] = {}
"""{(module, qualified name): way} of the functions that are watched by their code."""
_served: dict[tuple[int, str, str], set[str]] = {}
"""{(watch, module, entry of its calls): ways} of the entries that stand for such functions."""
prepared: dict[str, CodeType] = {}
"""{module: its code} of those that were watched before they were executed."""
_with_arguments: dict[int, tuple[Callable[[bool], Any], str]] = {}
"""{id of a code object: (what makes its timer, way)} of those that are named by their arguments."""
watches_of: dict[str, tuple[list[tuple[WatchPlan, str]], MakeTarget]] = {}
"""{module: (its watches with each entry of their `calls`, what makes their targets)}."""


def applies(watch: WatchPlan) -> bool:
    """Say whether the functions of a watch may be watched by their code: it does nothing but time them."""
    does_more = watch["adapter"] or "hook" in watch or "until" in watch or watch["entry_name"] or watch["entry_status"]
    return not (does_more or watch["entry_body"] or watch["pack"] or watch.get("via") == monitoring.NAME)


def prepare(
    module: str,
    code: CodeType,
    pairs: list[tuple[WatchPlan, str]],
    make_target: MakeTarget,
    *,
    is_all: bool = False,
    decorated: frozenset[str] = frozenset(),
) -> CodeType:
    """Watch functions of a module that is about to be executed; return the code to execute.

    `pairs` are its watches, each with each entry of their `calls`, those first that beat others. On 3.11 the code that is
    returned is another one. There only those functions are watched now that no name will lead to, decorated and nested ones; or
    with `is_all` every function. `decorated` are methods that may be getters, where nobody can look once the code has run.
    """
    if prepared.get(module) is code:
        _note_shared(module, code)
    prepared[module] = code
    watches_of[module] = pairs, make_target
    functions = list(functions_in(code)) if any(not watch.get("own") for watch, _ in pairs) else []
    plain: set[int] = set() if not functions or monitoring.HAS_EVENTS or is_all or beats_wrappers() else plainly_defined(code)
    injected: dict[int, Callable[[CodeType], CodeType]] = {}
    done: set[int] = set()
    for watch, call in pairs:
        if not applies(watch) or (watch.get("via") == monitoring.FUNCTION and not monitoring.HAS_SLOTS):
            continue
        if watch.get("own"):
            if monitoring.watch_file(code.co_filename, OwnModule(module, code)):
                found = {monitoring.FUNCTION, monitoring.CODE}
            else:
                found = {_watch_own(own, module, injected) for own in codes.find_own(code) if id(own) not in done}
            _served[watch["id"], module, call] = found - {""}
            continue
        for function in functions:
            if id(function.code) in done or id(function.code) in plain or not stands_for(call, function.name):
                continue
            name = call if function.name == f"{call}.__init__" else function.name
            way = _watch(function, make_target(module, name, watch), watch, injected, may_be_getter=function.name in decorated)
            if way:
                done.add(id(function.code))
                ways[module, function.name] = way
                _served.setdefault((watch["id"], module, call), set()).add(way)
    return rebuild(code, injected) if injected else code


def _watch_own(code: CodeType, module: str, injected: dict[int, Callable[[CodeType], CodeType]]) -> str:
    """Watch one of all of a program's own functions by its code; return the way."""
    timer, target = own_timer(code, module)
    if monitoring.HAS_EVENTS:
        return mark(target, monitoring.watch(code, timer))
    mark(target, monitoring.CODE)
    injected[id(code)] = _may_be_given_up(injector(code, timer, False))
    return monitoring.CODE


def _may_be_given_up(make: Callable[[CodeType], CodeType]) -> Callable[[CodeType], CodeType]:
    """Have it known of what code the one with calls in it was made."""

    def make_and_remember(present: CodeType) -> CodeType:
        made = make(present)
        weighing.remember_unwatched(made, present)
        return made

    return make_and_remember


def _watch(
    function: CodeOfFunction,
    target: Target,
    watch: WatchPlan,
    injected: dict[int, Callable[[CodeType], CodeType]],
    *,
    may_be_getter: bool,
) -> str:
    """Watch one function's code; return the way. Where calls have to be put into it, `injected` gets what does that."""
    code = function.code

    def make_timer(is_method: bool) -> Any:
        return code_timer(code, target, watch["span"], is_method=is_method)

    timer = make_timer(function.is_method)
    if not monitoring.HAS_EVENTS:
        injected[id(code)] = injector(code, timer, watch["entry"] or takes_arguments(watch["span"]))
        return mark(target, monitoring.CODE)
    way = monitoring.watch(code, timer, by_events=may_be_getter or watch.get("via") == monitoring.CODE)
    if takes_arguments(watch["span"]):
        _with_arguments[id(code)] = make_timer, way
    return mark(target, way)


def takes_arguments(span: str) -> bool:
    """Say whether a template names calls by their arguments."""
    return bool(span) and not fixed_name(span)


def is_prepared(module: str, watch: WatchPlan) -> bool:
    """Say whether a watch of all own functions has been applied to a module's code: nothing is left to be done by names."""
    return bool(watch.get("own")) and module in prepared


def is_left(raw: object, watch: WatchPlan) -> bool:
    """Say whether a watch of all own functions leaves an attribute, or code, alone: it is no function, or not worth it."""
    function, is_getter, _ = _function_of(raw, False)
    code = raw if type(raw) is CodeType else function.__code__ if function is not None and not is_getter else None
    return bool(watch.get("own")) and (code is None or not codes.is_worth_it(code))


def ways_of(watch: WatchPlan, module: str, call: str) -> set[str]:
    """Return the ways in which functions are watched that an entry of `calls` stands for; none where none is."""
    return _served.get((watch["id"], module, call), set())


def way_of(module: str, name: str, raw: object) -> str:
    """Return the way in which an attribute's function is watched by its code already, "" where it is not."""
    function, _, _ = _function_of(raw, False)
    if function is not None and is_copy(function.__code__):
        return monitoring.CODE
    return ways.get((module, name), "") or ways.get((module, f"{name}.__init__"), "")


def search(module: ModuleType, name: str, pairs: list[tuple[WatchPlan, str]], make_target: MakeTarget) -> None:
    """Watch the functions of a module that was executed before anybody asked for its code: those that are there.

    They are found by what they have as their globals. The garbage collector is asked for that, a few times at most.
    """
    global _searches
    wanted = [(watch, call) for watch, call in pairs if applies(watch) and _leads_nowhere(module, call)]
    if name in prepared or not wanted or _searches >= _MOST_SEARCHES:
        return
    from gc import get_referrers

    _searches += 1
    space = vars(module)
    made = [function for function in get_referrers(space) if type(function) is FunctionType and function.__globals__ is space]
    named = (
        set()
        if monitoring.HAS_EVENTS or beats_wrappers()
        else {id(code) for _, call in wanted for code in _named(module, name, call)}
    )
    injected: dict[int, Callable[[CodeType], CodeType]] = {}
    for function in made:
        code = function.__code__
        if is_copy(code):
            continue
        for one in (CodeOfFunction(code, codes.is_method(code.co_qualname)), *functions_in(code)):
            for watch, call in wanted:
                is_free = id(one.code) not in injected and id(one.code) not in named and not monitoring.way_of(one.code)
                if is_free and stands_for(call, one.name) and not is_left(one.code, watch):
                    way = _watch(one, make_target(name, one.name, watch), watch, injected, may_be_getter=True)
                    if way:
                        ways[name, one.name] = way
                        _served.setdefault((watch["id"], name, call), set()).add(way)
        present = rebuild(code, injected)
        if present is not code:
            function.__code__ = present
        monitoring.take(function)


def _named(module: ModuleType, name: str, call: str) -> Iterator[CodeType]:
    """Yield the code of the functions to which names lead: on 3.11 wrappers are put there."""
    for owner, attribute, _ in find_targets(module, name, call):
        function, _, _ = _function_of(raw_attribute(owner, attribute), isinstance(owner, type))
        if function is not None:
            yield function.__code__


def _leads_nowhere(module: ModuleType, call: str) -> bool:
    """Say whether an entry of `calls` may stand for functions that no name in a module leads to."""
    if is_glob(call) or LOCALS in call:
        return True
    *classes, name = call.split(".")
    owner = owner_of(module, classes)
    raw = raw_attribute(owner, name) if owner is not MISSING else MISSING
    return raw is not MISSING and not isinstance(raw, type) and type(raw) not in _IN_C and _function_of(raw, False)[0] is None


_MOST_SEARCHES = 100
_searches = 0


def is_elsewhere(raw: object) -> bool:
    """Say whether an attribute is not what its code has made of it.

    Something in C stands there, as of `datetime`; or a method that is dispatched on its argument, whose calls are those of all
    its functions.
    """
    return type(raw) in _IN_C or type(raw).__name__ == "singledispatchmethod"


_IN_C = (BuiltinFunctionType, ClassMethodDescriptorType, MethodDescriptorType, WrapperDescriptorType)


def leave(module: str, name: str, raw: object) -> None:
    """Watch a function no more by its code: what stands under its name is watched, or refused."""
    if ways.pop((module, name), ""):
        function = getattr(raw, "func", None)
        function = getattr(function, "__func__", function)
        if type(function) is FunctionType:
            release(function)


def release(function: FunctionType) -> None:
    """Let a function be as it was."""
    code = original_of(function.__code__)
    if code is not None:
        function.__code__ = code
    elif monitoring.way_of(function.__code__):
        monitoring.release(function)
        monitoring.leave(function.__code__)


def finish(module: ModuleType, name: str) -> None:
    """Look at the classes of a module that has been executed: what their code alone does not tell.

    The getter of a property is called past its slot. A static method has no `self` before its arguments.
    """
    for cls in _classes_of(module, name):
        for raw in list(vars(cls).values()):
            function, is_getter, _ = _function_of(raw, True)
            if function is None or not monitoring.way_of(function.__code__):
                continue
            code = function.__code__
            if is_getter and monitoring.prefer_events(code):
                monitoring.release(function)
                if ways.get((name, code.co_qualname)) == monitoring.FUNCTION:
                    ways[name, code.co_qualname] = monitoring.CODE
            elif isinstance(raw, staticmethod) and id(code) in _with_arguments:
                make_timer, way = _with_arguments.pop(id(code))
                monitoring.watch(code, make_timer(False), by_events=way == monitoring.CODE)


def _classes_of(module: ModuleType, name: str) -> Iterator[type]:
    """Yield the classes that a module defines, and those within them."""
    waiting: list[Any] = [module]
    seen: set[int] = set()
    while waiting:
        owner = waiting.pop()
        for value in list(vars(owner).values()):
            is_own = issubclass(type(value), type) and type.__getattribute__(value, "__module__") == name
            if is_own and id(value) not in seen:
                seen.add(id(value))
                waiting.append(value)
                yield value


def watch_attribute(owner: Owner, name: str, raw: object, target: Target, watch: WatchPlan) -> str:
    """Watch the function that is, or that is in, an attribute of a module or class; return the way, "" where there is none.

    What is inherited or comes from elsewhere under another name is left to the wrapper, whose calls are those by this name.
    """
    function, is_getter, is_method = _function_of(raw, isinstance(owner, type))
    if function is None or not applies(watch) or vars(owner).get(name) is not raw:
        return ""
    if watch.get("via") == monitoring.FUNCTION and not monitoring.HAS_SLOTS:
        raise RefusedError(
            'via is "function", and a function has a slot for that with the compiled engine from CPython 3.12 on only'
        )
    if not monitoring.HAS_EVENTS:
        is_wanted = watch.get("via") == monitoring.CODE or beats_wrappers()
        return inject(raw, target, watch, isinstance(owner, type)) if is_wanted else ""
    known = monitoring.way_of(function.__code__)
    if known:  # by another entry
        return known
    return watch_function(function, target, watch, is_method=is_method, is_getter=is_getter)


def watch_function(function: FunctionType, target: Target, watch: WatchPlan, *, is_method: bool, is_getter: bool = False) -> str:
    """Watch one function; return the way, "" where there is none."""
    code = function.__code__
    if is_copy(code):
        return monitoring.CODE
    timer = code_timer(code, target, watch["span"], is_method=is_method)
    if not monitoring.HAS_EVENTS:
        function.__code__ = injector(code, timer, watch["entry"] or takes_arguments(watch["span"]))(code)
        return mark(target, monitoring.CODE)
    way = monitoring.watch(code, timer, by_events=is_getter or watch.get("via") == monitoring.CODE)
    if way:
        monitoring.take(function)
    return mark(target, way)


def inject(raw: object, target: Target, watch: WatchPlan, is_in_class: bool) -> str:
    """Watch a function that has been handed on by calls in its bytecode (3.11); return the way, "" where that cannot be."""
    function, _, is_method = _function_of(raw, is_in_class)
    if function is None or not applies(watch) or monitoring.HAS_EVENTS:
        return ""
    return watch_function(function, target, watch, is_method=is_method)


def is_watched(raw: object) -> bool:
    """Say whether a function, or that in a descriptor, is watched by its code."""
    function, _, _ = _function_of(raw, False)
    return function is not None and (is_copy(function.__code__) or bool(monitoring.way_of(function.__code__)))


def _function_of(raw: Any, is_in_class: bool) -> tuple[FunctionType | None, bool, bool]:
    """Return (function of Python or None, whether it is a getter, whether its first argument is `self`) of an attribute."""
    if isinstance(raw, type):
        raw, is_in_class = vars(raw).get("__init__"), True
    if isinstance(raw, staticmethod):
        raw, is_in_class = raw.__func__, False
    elif isinstance(raw, classmethod):
        raw = raw.__func__
    is_getter = isinstance(raw, property)
    if is_getter:
        raw = raw.fget
    elif type(raw).__name__ == "cached_property" and hasattr(raw, "func"):
        raw = raw.func
    return raw if type(raw) is FunctionType else None, is_getter, is_in_class


def _note_shared(module: str, code: CodeType) -> None:
    """Say that a module's code is executed once more: its functions are counted together with those of the first time."""
    notes.note(
        "shared code",
        f"{module} ({code.co_filename}) is executed more than once from one and the same code object: its functions share their "
        "code, and are counted as one",
    )


def names_in(module: str) -> list[str]:
    """Return the qualified names of the functions of a module that was watched before it was executed, nested ones included."""
    code = prepared.get(module)
    return [function.name for function in functions_in(code)] if code is not None else []
