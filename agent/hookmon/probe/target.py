"""What is watched: callables, and the names under which their calls are counted.

In: paths and names. Out: the keys of the call tree, and the place in the program that a span is called from. Runs in the
watched process.
"""

from __future__ import annotations

import sys

from hookmon.core import layout
from hookmon.probe.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_PLUMBING = frozenset(("hookmon", "asyncio", "concurrent", "contextlib", "functools", "threading"))


class Target:
    """One callable of the program, as it is watched."""

    __slots__ = ("_spans", "counted", "is_sampled", "kind", "nested", "number", "pack", "package", "path")

    def __init__(self, path: str, kind: str, pack: str, package: str, nested: bool) -> None:
        """`package` is the library that a call site is looked for outside of; "" when the direct caller is meant."""
        self.path = path
        self.kind = kind
        self.pack = pack
        self.package = package
        self.nested = nested
        self.number = 0
        self.counted = 0  # calls, as `overhead` knows them
        self.is_sampled = False
        self._spans: dict[str, Span] = {}

    def span(self, name: str) -> Span:
        """Return the span of a name; beyond the limit of names it is the one called "(other)"."""
        span = self._spans.get(name)
        if span is None:
            if len(self._spans) >= layout.MOST_NAMES_OF_A_TARGET:
                name = "(other)"
            span = self._spans.setdefault(name, Span(self, name))
        return span


class Span:
    """A name under which calls of a target are counted: the key of the call tree."""

    __slots__ = ("made_at", "name", "target")

    def __init__(self, target: Target, name: str) -> None:
        self.target = target
        self.name = name
        self.made_at = ""


def call_site(span: Span) -> str:
    """Return "file:line" of the first frame that is neither ours, the library's nor plumbing; "" when there is none.

    A coroutine that became a task has only the event loop below it: the place where it was made stands in for it.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if isinstance(module, str):
            top = module.partition(".")[0]
            if top == "asyncio" and span.made_at:
                return span.made_at
            if top not in _PLUMBING and top != span.target.package:
                return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@shielded(None)
def note_maker(span: Span) -> None:
    """Remember where the first coroutine of a span was made."""
    span.made_at = call_site(span)
