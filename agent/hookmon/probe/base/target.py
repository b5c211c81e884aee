"""What is watched: callables, and the names under which their calls are counted.

In: paths and names. Out: the keys of the call tree, and the place in the program that a span is called from. Runs in the
watched process. From the first transaction on, the place is part of the key for calls of clients (sql, cache, http …): the same
statement from two lines is two spans, so that a repetition can be told from a coincidence.
"""

from __future__ import annotations

import os
import sys

from hookmon.core import layout
from hookmon.core.plan import CARRIERS, CLIENT_KINDS, GC
from hookmon.probe.base.guard import shielded
from hookmon.probe.engine import choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import Any

_PLUMBING = frozenset(("hookmon", "asyncio", "concurrent", "contextlib", "functools", "threading"))


@choose
class TargetFields:
    """What the engine reads of a target: on these depends what its places in the call tree are."""

    __slots__ = (
        "carrier",
        "entry",
        "flags",
        "has_sites",
        "is_all_own",
        "is_sampled",
        "kind",
        "may_be_covered",
        "nested",
        "nodes",
        "package",
        "place",
        "recursions",
    )

    carrier: str
    entry: bool
    flags: int
    has_sites: bool
    is_all_own: bool
    is_sampled: bool
    kind: str
    may_be_covered: bool
    nested: bool
    nodes: list[Any]
    package: str
    place: str
    recursions: list[Any]


class Target(TargetFields):
    """One callable of the program, as it is watched."""

    __slots__ = ("_spans", "cost_ns", "expected", "is_off", "pack", "path", "sited", "switched_at", "templates")

    def __init__(
        self,
        path: str,
        kind: str,
        pack: str,
        package: str,
        nested: bool,
        *,
        entry: bool = False,
        templates: tuple[str, str, str] = ("", "", ""),
        waits: bool = False,
        part: bool = False,
        flags: int = 0,
        expected: Sequence[str] = (),
    ) -> None:
        """`package` is the library whose own frames are no call sites; "" when the direct caller is meant.

        `templates` are those of the open transaction's name, status and body, which are read off its calls. `expected` are
        exceptions that are no errors of it, "module:Class".
        """
        self.path = path
        self.place = ""  # "file:line" of a function that the user has named
        self.kind = kind
        self.pack = pack
        self.package = package
        self.nested = nested
        self.entry = entry
        self.may_be_covered = (kind in CLIENT_KINDS or (entry and kind == "request")) and not nested  # see tree.is_covered
        self.carrier = CARRIERS.get(kind, kind)
        self.has_sites = True  # it is kept where a call came from
        self.flags = flags | entry * layout.FLAG_ENTRY | waits * layout.FLAG_WAITS | part * layout.FLAG_PART
        self.flags |= bool(expected) * layout.FLAG_EXPECTS
        self.expected = frozenset(expected)
        self.sited = kind in CLIENT_KINDS and not waits
        self.templates = templates
        self.cost_ns = 0  # as far as `overhead` knows
        self.is_sampled = False
        self.is_off = False  # at that value of the switch: see recording/control.py
        self.switched_at = 0
        self.is_all_own = False  # it is watched because all of a program's own functions are
        self.nodes: list[Any] = []  # of such a one,
        self.recursions: list[Any] = []  # and those of calls in itself: what they call is called by the outer one
        self._spans: dict[tuple[str, str], Span] = {}

    def keep(self, node: Any, flags: int) -> None:
        """Know a node, as long as it is there."""
        if self.is_all_own:
            (self.recursions if flags & layout.FLAG_FOLDED else self.nodes).append(node)

    def forget_nodes(self) -> None:
        """Have none yet, as in a forked child."""
        if self.is_all_own:
            self.nodes.clear()
            self.recursions.clear()
            self.cost_ns = 0

    def expects(self, error: type) -> bool:
        """Say whether an exception of this class is no error of the target: by its name or that of a class it inherits from."""
        return bool(self.expected) and any(_path_of(cls) in self.expected for cls in _MRO.__get__(error))

    def is_error(self, error: BaseException) -> bool:
        """Say whether an exception is an error of the target, and interrupts it not only."""
        return isinstance(error, Exception) and not self.expects(type(error))

    def span(self, name: str, site: str = "") -> Span:
        """Return the span of a name, and of a call site where that counts. Beyond the limit of names it is "(other)"."""
        span = self._spans.get((name, site))
        if span is None:
            if len(self._spans) >= layout.MOST_NAMES_OF_A_TARGET:
                name, site = layout.OTHER_NAMES, ""
            span = self._spans.setdefault((name, site), Span(self, name, site))
        return span


@choose
class Span:
    """A name under which calls of a target are counted: the key of the call tree. `site` is "" where it is no part of it.

    `made_at` is where its first coroutine was made, "" for none.
    """

    __slots__ = ("made_at", "name", "site", "target")

    def __init__(self, target: Target, name: str, site: str = "", /) -> None:
        self.target = target
        self.name = name
        self.site = site
        self.made_at = ""


_MRO: Any = type.__dict__["__mro__"]


def _path_of(cls: type) -> str:
    """Return "module:Class", as they stand in a class itself: what a metaclass makes of them is code of the program."""
    module = type.__getattribute__(cls, "__module__")
    qualified = type.__dict__["__qualname__"].__get__(cls)
    return f"{module}:{qualified}"


@shielded(False)
def is_expected(span: Span, error: type) -> bool:
    """Say whether an exception of this class is no error of a span's target. The compiled engine asks where FLAG_EXPECTS is."""
    return span.target.expects(error)


def is_own(filename: str) -> bool:
    """Say whether a file is the program's own code: neither the standard library's, nor an installed package's, nor ours.

    What is called <…> was made by a library (attrs, dataclasses, SQLAlchemy) or is CPython's step from C to Python (`<shim>`
    in 3.12), unless somebody has typed it. The scripts that pip puts beside the interpreter have no ending.
    """
    if filename.startswith("<"):
        return filename.startswith(_TYPED)
    filename = os.path.normpath(filename)  # what was started as ../venv/bin/celery has that way in its name
    if filename.startswith(_SCRIPTS) and not filename.endswith(".py"):
        return False
    return not filename.startswith(_FOREIGN) and "/site-packages/" not in filename and "/dist-packages/" not in filename


_FOREIGN = (os.path.dirname(os.__file__) + "/", os.path.dirname(os.path.dirname(__file__)) + "/")
_ROOTS = (sys.prefix, getattr(sys.modules.get("site"), "USER_BASE", None))
_SCRIPTS = tuple([f"{root}/bin/" for root in _ROOTS if root])
_TYPED: tuple[str, ...] = ("<stdin>", "<console>", "<ipython-input", "<python-input", "<doctest ")
if getattr(sys, "argv", [""])[:1] == ["-c"]:
    _TYPED += ("<string>",)

_own: dict[str, bool] = {}


def own_place(target: Target | None = None) -> tuple[str, int]:
    """Return file and line of the innermost frame of the program's own code, ("", 0) when there is none.

    Where a frame of `target` is about to begin, that is not it: see `_caller`.
    """
    frame: FrameType | None = _caller(target, sys._getframe(1))
    for _ in range(layout.MOST_FRAMES):
        if frame is None:
            break
        filename = frame.f_code.co_filename
        own = _own.get(filename)
        if own is None:
            own = _own[filename] = is_own(filename)
        if own:
            return filename, frame.f_lineno
        frame = frame.f_back
    return "", 0


def _caller(target: Target | None, frame: FrameType) -> FrameType | None:
    """Return the frame that calls a target: where its code tells of a call, its own frame has begun already."""
    if target is None or not target.flags & layout.FLAG_BY_EVENTS:
        return frame
    inner: FrameType | None = frame
    while inner is not None and _is_ours(inner):
        inner = inner.f_back
    if inner is not None and f"{inner.f_code.co_filename}:{inner.f_code.co_firstlineno}" == target.place:
        return inner.f_back
    return frame


def _is_ours(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] == "hookmon"


def locate(span: Span) -> Span:
    """Return the span of the same name at the calling line of the program's own code; the span itself when there is none."""
    filename, line = own_place(span.target)
    return span.target.span(span.name, f"{filename}:{line}") if filename else span


def call_site(span: Span) -> str:
    """Return "file:line" of the calling frame, "" when there is none. Frames of ours, of the library and of plumbing are skipped.

    A span with a site has that. A wait has the line of the program's own code, whatever libraries call in between. A coroutine
    that became a task is called by the event loop: it has the place where it was made. Nobody calls the garbage collector.
    """
    if span.target.kind == GC:
        return ""
    if span.site:
        return span.site
    if span.target.flags & layout.FLAG_WAITS:
        filename, line = own_place(span.target)
        if filename:
            return f"{filename}:{line}"
    frame: FrameType | None = _caller(span.target, sys._getframe(1))
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if isinstance(module, str):
            top = module.partition(".")[0]
            if top == "asyncio" and span.made_at:
                return span.made_at
            filename = frame.f_code.co_filename
            is_made = filename.startswith("<") and not filename.startswith(_TYPED)
            if top not in _PLUMBING and top != span.target.package and not is_made:
                return f"{filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@shielded(None)
def note_maker(span: Span) -> None:
    """Remember where the first coroutine of a span was made."""
    span.made_at = call_site(span)
