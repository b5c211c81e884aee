"""How many files of one kind may stay open: a share of those that a process may have, so that there are always some left.

In: wishes. Out: yes or no. What has no room is opened each time that it is read. Runs in the launcher.
"""

from __future__ import annotations

from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit

_MOST = 65_536  # where there is no limit


class Room:
    """The room for one kind of files."""

    def __init__(self, share: int) -> None:
        """Make room for one in `share` of all files that may be open when the first one is."""
        self._share = share
        self._used = 0
        self._most = -1

    def take(self) -> bool:
        """Say whether there is room for one more, and give it away."""
        if self._most < 0:
            limit, _ = getrlimit(RLIMIT_NOFILE)
            self._most = (_MOST if limit == RLIM_INFINITY else limit) // self._share
        if self._used >= self._most:
            return False
        self._used += 1
        return True

    def give_back(self) -> None:
        """Have room for one that was closed."""
        self._used -= 1
