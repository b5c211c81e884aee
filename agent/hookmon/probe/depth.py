"""Room on the stack for our own frames. Runs in the watched process."""

from __future__ import annotations

import sys

from hookmon.probe.engine import compiled

_STEP = 16
_FRAMES_OF_OURS = 0 if compiled else 2 if sys.version_info < (3, 12) else 1  # 3.11 counts the C call between as well
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
