"""Functions that get other code while the program runs: from reloaders, type checkers, profilers. They go on being counted.

In: code that takes the place of a watched function's. Out: code that is watched. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.probe.patching import codes
from hookmon.probe.patching.by_code import applies, names_in, prepared, takes_arguments, watches_of, ways
from hookmon.probe.patching.codes import stands_for
from hookmon.probe.patching.entries import MISSING, owner_of, raw_attribute
from hookmon.probe.patching.injected import injector, is_copy
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.code_timers import code_timer, own_timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType


def renew(module: str, name: str, code: CodeType) -> CodeType:
    """Watch code that takes the place of a watched function's, by whoever made it anew; return the code to use.

    `name` is the function's qualified name. Code that nobody has asked for is returned as it is.
    """
    if is_copy(code) or monitoring.way_of(code):
        return code
    pairs, make_target = watches_of.get(module, ((), None))
    for watch, call in pairs:
        if watch.get("own"):
            if not codes.is_worth_it(code):
                continue
            (timer, _), span = own_timer(code, module, name), ""
        elif applies(watch) and stands_for(call, name) and (watch.get("via") != monitoring.FUNCTION or monitoring.HAS_SLOTS):
            assert make_target is not None
            span = watch["span"]
            target = make_target(module, call if name == f"{call}.__init__" else name, watch)
            timer = code_timer(code, target, span, is_method=_takes_self(module, name))
        else:
            continue
        if not monitoring.HAS_EVENTS:
            return injector(code, timer, takes_arguments(span))(code)
        is_by_events = monitoring.CODE in (watch.get("via"), ways.get((module, name)))
        monitoring.watch(code, timer, by_events=is_by_events)
        break
    return code


def renew_function(function: FunctionType, code: CodeType) -> CodeType:
    """Do that for code that a function has got, or is about to get."""
    return renew(function.__module__, function.__qualname__, code)


monitoring.renew = renew_function


def _takes_self(module: str, name: str) -> bool:
    """Say whether the first argument of a function of a class is the object, or the class."""
    *classes, last = name.split(".")
    owner = owner_of(sys.modules[module], classes) if module in sys.modules else MISSING
    is_static = owner is not MISSING and isinstance(raw_attribute(owner, last), staticmethod)
    return codes.is_method(name) and not is_static


def is_wanted(code: CodeType) -> bool:
    """Say whether a watch names the function that code is of: it may have no wrapper yet (3.11)."""
    name, module = code.co_qualname, module_of(code)
    pairs, _ = watches_of.get(module, ((), None))
    is_named = any(not watch.get("own") and applies(watch) and stands_for(call, name) for watch, call in pairs)
    return is_named and name in names_in(module)  # compilers make functions of their own


def module_of(code: CodeType) -> str:
    """Return the name of the watched module that code stands in, "" where there is none."""
    filename = code.co_filename
    return next((module for module, whole in prepared.items() if whole.co_filename == filename), "")
