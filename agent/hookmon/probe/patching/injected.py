"""The copies of code that have calls in them, and what each was made of. CPython 3.11 only: see injection.

In: a code object and what times its calls. Out: the copy; and for a copy the code that the compiler has made. Runs in the watched
process. Whoever translates code, or sends it elsewhere, is to get the latter: see `compilers`.
"""

from __future__ import annotations

import sys

from hookmon.probe.patching import codes
from hookmon.probe.wrappers import monitoring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

_around: dict[int, CodeType] = {}
"""The same as `monitoring.originals`, for code that has no calls in it, but functions that have."""
_copies: list[CodeType] = []


_translator: list[bool] = []
"""Whether there is a library that fails on wrappers, once that is known."""


def beats_wrappers() -> bool:
    """Say whether functions are to have calls in them here that a wrapper would serve as well, and cheaper.

    torch.compile takes a wrapper for a function, by its `__class__`, and fails as it is none ("Guard failed on the same frame",
    torch 2.13). So it is where torch is installed: it may be imported after what it compiles.
    """
    if not _translator:
        from importlib.machinery import PathFinder

        _translator.append("torch" in sys.modules or PathFinder.find_spec("torch") is not None)
    return _translator[0]


def is_copy(code: CodeType) -> bool:
    """Say whether code has calls in it."""
    return id(code) in monitoring.originals


def original_of(code: CodeType) -> CodeType | None:
    """Return the code that one with calls in it was made of, None for any other code."""
    return monitoring.originals.get(id(code))


def plain(code: CodeType) -> CodeType:
    """Return code without any call of ours, in it or in its functions: that which the compiler has made."""
    return monitoring.originals.get(id(code)) or _around.get(id(code)) or code


def injector(code: CodeType, timer: Any, takes_arguments: bool) -> Callable[[CodeType], CodeType]:
    """Return what puts the calls for a timer into a copy of a code object, whose nested functions may be replaced by then."""
    from hookmon.probe.patching.injection import inject as put_calls  # only on 3.11
    from hookmon.probe.wrappers.event_sources import code_events

    start, returned, unwound, yielded, waited, resumed = code_events(code, timer, takes_arguments)

    def make(present: CodeType) -> CodeType:
        made = put_calls(
            present,
            start=start,
            returned=returned,
            unwound=unwound,
            yielded=yielded,
            waited=waited,
            resumed=resumed,
            takes_arguments=takes_arguments,
        )
        monitoring.originals[id(made)] = code
        _copies.append(made)
        return made

    return make


def rebuild(code: CodeType, injectors: dict[int, Callable[[CodeType], CodeType]]) -> CodeType:
    """Return code in which some functions have calls in them. What has none is the same object as before."""
    made: dict[int, tuple[CodeType, CodeType]] = {}
    present = codes.rebuild(code, injectors, made)
    for new, old in made.values():
        _around[id(new)] = old
        _copies.append(new)
    return present
