"""Hides our frames from whoever counts frames: stack levels of warnings, callers of logging, the limit of recursion.

In: our functions that call the program's. Out: the same functions. Runs in the watched process, when our modules are loaded.
CPython skips frames whose file name has "importlib" and "_bootstrap" in it: `is_internal_filename` of warnings.c, and from 3.11
on `logging._is_internal_frame`. `sys._getframe` skips nothing, so the pure engine does not wrap functions that call it. A
traceback gets an entry for a frame when an exception comes into the frame; the frame can take that entry out again.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType

from hookmon.probe.engine import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    F = TypeVar("F")

FILENAME = "<frozen importlib._bootstrap of hookmon>"


def hide_frames(function: F) -> F:
    """Hide the frames of a function, and of the functions that it makes, from whoever counts frames. Used as a decorator."""
    own: Any = function
    own.__code__ = _rename(own.__code__)
    return function


def drop_frame(error: BaseException) -> None:
    """Take the entry of the handling frame off an exception's traceback. A bare `raise` must follow, which adds none.

    (RAISE_VARARGS without an argument and RERAISE go past PyTraceBack_Here, 3.11 to 3.15.) The class of the exception is not
    asked to set the attribute: a frozen dataclass refuses.
    """
    traceback = _traceback.__get__(error)
    if traceback is not None:
        _traceback.__set__(error, traceback.tb_next)


_traceback: Any = vars(BaseException)["__traceback__"]


def looks_at_caller(function: object) -> bool:
    """Say whether a function asks for frames itself, as `attrs.make_class` and `namedtuple` do for the module of who calls.

    DuckDB's, in C++, look for a table among the variables of who calls ("replacement scans").
    """
    if isinstance(function, FunctionType):
        return asks_for_frames(function.__code__)
    return (getattr(function, "__module__", None), getattr(function, "__name__", None)) in _LOOKING_IN_C


def asks_for_frames(code: CodeType) -> bool:
    """Say whether the code of a function asks for frames."""
    return not _LOOKING.isdisjoint(code.co_names)


_LOOKING = frozenset(("_getframe", "_getframemodulename", "currentframe"))
_LOOKING_IN_C = frozenset(
    (module, name) for module in ("_duckdb", "duckdb.duckdb") for name in ("execute", "executemany", "sql", "query")
)


def _rename(code: CodeType) -> CodeType:
    constants = (_rename(constant) if isinstance(constant, CodeType) else constant for constant in code.co_consts)
    return code.replace(co_filename=FILENAME, co_consts=tuple(constants))


_STEP = 16
_FRAMES_OF_OURS = 0 if NAME == "compiled" else 2 if sys.version_info < (3, 12) else 1  # 3.11 counts the C call between as well
_FRAMES_TO_RECORD = 12  # of what makes the record of a place, which runs above the deepest call
_deepest = 0
_has_room_for_events = NAME == "compiled"


def allow_depth(depth: int) -> None:
    """Raise the limit of recursion by our own frames, so that a recursion gets as deep as without us.

    Each watched call takes one more Python frame. `depth` is how many watched calls are open. When they nest deeper than before,
    the limit is raised in steps of sixteen, one step ahead. A program whose watched calls nest less deep keeps its own limit.
    """
    global _deepest
    if depth > _deepest:
        if depth % _STEP == 0 and _FRAMES_OF_OURS:
            ahead = _FRAMES_OF_OURS * _STEP + _FRAMES_TO_RECORD if depth == _STEP else 0
            sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES_OF_OURS * _STEP + ahead)
        _deepest = depth


def allow_events(depth: int) -> None:
    """Raise the limit of recursion once by what our functions take on top of a call that its code tells of, in Python.

    A program whose watched calls nest less than sixteen deep keeps its own limit.
    """
    global _has_room_for_events
    if depth >= _STEP and not _has_room_for_events:
        _has_room_for_events = True
        sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES_TO_RECORD)
