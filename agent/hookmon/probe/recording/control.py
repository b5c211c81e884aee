"""What the launcher tells the processes of a run: one page of its run folder, which each maps for reading.

In: the run folder. Out: the window in which a moment lies, and what is switched off. A page that cannot be read says nothing, and
never will. Runs in the watched process; a load and a branch for each call and each transaction. Forks have the mapping of their
parent.

Off means: a call that begins while it is off is not recorded, and what it calls belongs to its caller. A coroutine or generator
begins with its first step. What has begun before is counted when it ends.
"""

from __future__ import annotations

import sys

from hookmon.core import layout
from hookmon.core.switches import Off
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import mmap, os
from hookmon.probe.engine import choose
from hookmon.probe.recording.arena import fill_standard_descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base.target import Target

_BLANK = memoryview(bytes(layout.PAGE_BYTES)).cast("Q")
_TRIES = 3  # to read what is off; after that it has changed so often that the next call may ask again

SWITCH = layout.CONTROL_SWITCH
words = _BLANK
"""The page, for the pure engine: a call asks `words[SWITCH]`, and only where that is not 0 `is_off`."""

_off = Off(())
_off_at = 0  # the value of the switch at which that was read


@shielded(None)
def begin(folder: str) -> None:
    """Map the page in a run folder."""
    global _plan_taken
    _plan_taken = 0  # of a run before
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(f"{folder}/{layout.CONTROL_NAME}", flags)
    except OSError:  # made by an older launcher, or another user's
        return
    try:
        if os.fstat(descriptor).st_size == layout.PAGE_BYTES:
            map_control(descriptor)
    finally:
        os.close(descriptor)


@choose
def map_control(descriptor: int, /) -> None:
    """Map the page. Raises OSError where that cannot be done."""
    global words
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}  # else it keeps a descriptor
    placeholders = fill_standard_descriptors(descriptor)
    try:
        page = memoryview(mmap.mmap(descriptor, layout.PAGE_BYTES, prot=mmap.PROT_READ, **options)).cast("Q")
    finally:
        for placeholder in placeholders:
            os.close(placeholder)
    if page[layout.CONTROL_MAGIC] == layout.CONTROL_IS_OURS:
        words = page


@choose
def unmap_control() -> None:
    """Let go of the page: hookmon is detached."""
    global words
    words = _BLANK


@choose
def control_page() -> bytes:
    """Return a copy of the page."""
    return words.tobytes()


def window_of(end_ns: int) -> int:
    """Return the window in which a transaction ends, 0 where examples are kept of the run as a whole. For the pure engine."""
    window_ns = words[layout.CONTROL_WINDOW_NS]
    return end_ns // window_ns if window_ns and end_ns < words[layout.CONTROL_UNTIL_NS] else 0


@choose
def window_length_ns() -> int:
    """Return how long windows are now, 0 where there are none."""
    return words[layout.CONTROL_WINDOW_NS]


@choose
def switch_now() -> int:
    """Return the switch as it is now, 0 while nothing is off."""
    return words[layout.CONTROL_SWITCH]


def is_off(target: Target) -> bool:
    """Say whether a call of a target that begins now is not to be recorded. In both engines; the compiled one seldom asks."""
    switch = switch_now()
    if switch & layout.SWITCH_PLAN:
        take_new_plan()
    if not switch or switch & layout.SWITCH_ALL_OFF:
        return bool(switch)
    if target.switched_at != switch:
        target.is_off = is_target_off(target)
        target.switched_at = _off_at
    return target.is_off


@choose
def plan_number() -> int:
    """Return the number of the newest addition to the plan, 0 where there is none."""
    return words[layout.CONTROL_PLAN]


take_plan: Callable[[int, bool], bool] | None = None
"""Takes an addition to the plan: `session` puts its function here."""

_plan_taken = 0


@shielded(True)
def take_new_plan(is_importing: bool = False) -> bool:
    """Take what was added to the plan, where this process has not yet; say whether it has now. At a watched call or import."""
    global _plan_taken
    number, before = plan_number(), _plan_taken
    if number != before:
        _plan_taken = number  # first: taking it may call something watched
        if take_plan is not None and not take_plan(number, is_importing):
            _plan_taken = before
    return _plan_taken == number


@shielded(False)
def is_target_off(target: Target) -> bool:
    """Say whether the page has a target among those that are off."""
    _read()
    return _off.takes(target.path, target.pack)


def _read() -> None:
    """Read what is off, if that has changed. It may change meanwhile: then it is read again."""
    global _off, _off_at
    for _ in range(_TRIES):
        page = control_page()
        known = memoryview(page).cast("Q")
        switch = known[layout.CONTROL_SWITCH]
        if switch == _off_at:
            return
        text = page[8 * layout.CONTROL_OFF :][: known[layout.CONTROL_OFF_BYTES]]
        is_whole = not switch & layout.SWITCH_CHANGING and switch == switch_now()
        if is_whole or not switch:
            _off, _off_at = Off(text.decode("utf-8", "replace").splitlines() if switch else ()), switch
            return
    _off, _off_at = Off(()), 0
