"""Which parts of a file have changed since it was read last, by a check of each page: the bytes are not kept.

In: the bytes of a shard, as often as they are read. Out: stretches of words. Runs in the launcher; pure computation.
"""

from __future__ import annotations

from array import array
from zlib import crc32

_BYTES = 1024  # half a dozen records
_WORDS = _BYTES // 8

Stretch = tuple[int, int]
"""(its first word, the word behind its last one)"""


class Pages:
    """The pages of one file."""

    def __init__(self) -> None:
        self._checks = array("I")

    def take(self, content: bytes) -> list[Stretch]:
        """Keep a check of each page; return where pages have another one than before, in order. New pages are in none."""
        view = memoryview(content)
        before, checks = self._checks, array("I", [crc32(view[at : at + _BYTES]) for at in range(0, len(content), _BYTES)])
        self._checks = checks
        found: list[Stretch] = []
        for page in [page for page, (old, new) in enumerate(zip(before, checks, strict=False)) if old != new]:
            first = page * _WORDS
            if found and found[-1][1] == first:
                found[-1] = found[-1][0], first + _WORDS
            else:
                found.append((first, first + _WORDS))
        return found
