"""Makes frames of ours count for nothing where frames are counted: stack levels of warnings, callers of logging, recursion.

In: our functions that call the program's. Out: the same functions. Runs in the watched process, when our modules are loaded.
CPython passes over frames whose file name has "importlib" and "_bootstrap" in it: `is_internal_filename` of warnings.c, and from
3.11 on `logging._is_internal_frame`. `sys._getframe` passes over nothing, so the pure engine leaves functions alone that ask for
it. In a traceback a frame has its entry when an exception comes into it; from there it can be taken out again.
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


def unseen(function: F) -> F:
    """Let nobody who counts frames count those of a function, nor those of the functions that it makes."""
    own: Any = function
    own.__code__ = _rename(own.__code__)
    return function


def leave_traceback(error: BaseException) -> None:
    """Take the entry of the frame that handles an exception off its traceback. A bare `raise` must follow, which adds none.

    (RAISE_VARARGS without an argument and RERAISE go past PyTraceBack_Here, 3.11 to 3.15.) The class of the exception is not
    asked: a frozen dataclass refuses.
    """
    traceback = _traceback.__get__(error)
    if traceback is not None:
        _traceback.__set__(error, traceback.tb_next)


_traceback: Any = vars(BaseException)["__traceback__"]


def looks_at_caller(function: object) -> bool:
    """Say whether a function asks for frames itself, as `attrs.make_class` and `namedtuple` do for the module of who calls."""
    code = getattr(function, "__code__", None) if isinstance(function, FunctionType) else None
    return code is not None and not _LOOKING.isdisjoint(code.co_names)


_LOOKING = frozenset(("_getframe", "_getframemodulename", "currentframe"))


def _rename(code: CodeType) -> CodeType:
    constants = (_rename(constant) if isinstance(constant, CodeType) else constant for constant in code.co_consts)
    return code.replace(co_filename=FILENAME, co_consts=tuple(constants))


_STEP = 16
_FRAMES_OF_OURS = 0 if NAME == "compiled" else 2 if sys.version_info < (3, 12) else 1  # 3.11 counts the C call between as well
_FRAMES_TO_RECORD = 12  # of what makes the record of a place, which runs above the deepest call
_deepest = 0


def allow_depth(depth: int) -> None:
    """Make up for our own frames on the stack, so that a recursion gets as deep as without us.

    Each watched call takes one more Python frame. Only those who nest deeper than ever pay, and only they see another
    sys.getrecursionlimit(): it is raised a step ahead, from the first sixteen calls inside each other on.
    """
    global _deepest
    if depth > _deepest:
        if depth % _STEP == 0 and _FRAMES_OF_OURS:
            ahead = _FRAMES_OF_OURS * _STEP + _FRAMES_TO_RECORD if depth == _STEP else 0
            sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES_OF_OURS * _STEP + ahead)
        _deepest = depth
