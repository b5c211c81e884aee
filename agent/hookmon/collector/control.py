"""What a run's processes are told: one page of its run folder (`core.layout.CONTROL_…`), which they map for reading.

In: a wish for windows, from the launcher or from whoever looks on. Out: the page. A wish holds for some time and has to be made
again, so nobody has to take one back: who is killed has stopped wishing. Of two wishes the shorter windows hold.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

from hookmon.core import layout

WINDOW_NS = 60_000_000_000
"""How long windows are where nobody says."""

_LONG_NS = 10 * WINDOW_NS  # a run that lasts longer wants the slowest of today, and not only those of all of it
_HOLDS = 3  # windows
_WORD = struct.Struct("=Q")


def page() -> bytes:
    """Return a page that says nothing."""
    return _WORD.pack(layout.CONTROL_IS_OURS).ljust(layout.PAGE_BYTES, b"\0")


class Control:
    """The page of one run. `window_ns` are the windows that its launcher wants, 0: those of a minute in a long run."""

    def __init__(self, folder: Path, window_ns: int = 0, started_ns: int = 0) -> None:
        self._path = folder / layout.CONTROL_NAME
        self._window_ns = window_ns
        self._started_ns = started_ns
        self._renew_ns = 0

    def renew(self, now_ns: int) -> None:
        """Ask for the windows that the launcher wants, if it does by now."""
        if self._window_ns or now_ns - self._started_ns > _LONG_NS:
            self.ask_for_windows(now_ns, self._window_ns or WINDOW_NS)

    def ask_for_windows(self, now_ns: int, window_ns: int = WINDOW_NS) -> None:
        """Have examples kept by windows of such a length for the next three of them. Often called; writes once a window.

        Where there is no page, or it is another user's, nothing happens.
        """
        if now_ns < self._renew_ns:
            return
        self._renew_ns = now_ns + window_ns
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if os.fstat(descriptor).st_size == layout.PAGE_BYTES:
                    self._write(descriptor, now_ns, window_ns)
            finally:
                os.close(descriptor)

    def _write(self, descriptor: int, now_ns: int, window_ns: int) -> None:
        said = struct.unpack(f"={layout.CONTROL_WORDS}Q", os.pread(descriptor, 8 * layout.CONTROL_WORDS, 0))
        if said[layout.CONTROL_MAGIC] != layout.CONTROL_IS_OURS:
            return
        others_ns, until_ns = said[layout.CONTROL_WINDOW_NS], said[layout.CONTROL_UNTIL_NS]
        if until_ns > now_ns and 0 < others_ns < window_ns:
            window_ns = others_ns
        os.pwrite(descriptor, _WORD.pack(window_ns), 8 * layout.CONTROL_WINDOW_NS)
        until_ns = max(until_ns, now_ns + _HOLDS * window_ns)
        os.pwrite(descriptor, _WORD.pack(until_ns), 8 * layout.CONTROL_UNTIL_NS)
