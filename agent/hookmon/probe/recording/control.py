"""What the launcher tells the processes of a run: one page of its run folder, which each maps for reading.

In: the run folder. Out: the window in which a moment lies. A page that cannot be read says nothing, and never will. Runs in the
watched process; a load and a branch for each transaction. Forks have the mapping of their parent.
"""

from __future__ import annotations

import sys

from hookmon.core import layout
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import mmap, os
from hookmon.probe.engine import choose
from hookmon.probe.recording.arena import fill_standard_descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_words: memoryview | None = None


@shielded(None)
def begin(folder: str) -> None:
    """Map the page in a run folder."""
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
    global _words
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}  # else it keeps a descriptor
    placeholders = fill_standard_descriptors(descriptor)
    try:
        page = memoryview(mmap.mmap(descriptor, layout.PAGE_BYTES, prot=mmap.PROT_READ, **options)).cast("Q")
    finally:
        for placeholder in placeholders:
            os.close(placeholder)
    if page[layout.CONTROL_MAGIC] == layout.CONTROL_IS_OURS:
        _words = page


@choose
def unmap_control() -> None:
    """Let go of the page: hookmon is detached."""
    global _words
    _words = None


def window_of(end_ns: int) -> int:
    """Return the window in which a transaction ends, 0 where examples are kept of the run as a whole. For the pure engine."""
    words = _words
    if words is None:
        return 0
    window_ns = words[layout.CONTROL_WINDOW_NS]
    return end_ns // window_ns if window_ns and end_ns < words[layout.CONTROL_UNTIL_NS] else 0


@choose
def window_length_ns() -> int:
    """Return how long windows are now, 0 where there are none."""
    words = _words
    return words[layout.CONTROL_WINDOW_NS] if words is not None else 0
