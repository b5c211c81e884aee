"""What is written into a shard: words that are handed out one behind the other, records of them, and strings, each once.

In: memory with a header. Out: indices of its words. Runs in the watched process. `_engine` has its own, and writes new places of
the call tree there without any Python.

Nothing locks. CPython switches threads and runs signal handlers only at calls and backward jumps (3.11 to 3.15: `RESUME`,
`CALL`, `JUMP_BACKWARD`), so a straight line without them is atomic under the GIL; `reserve` relies on that. A trace function
of the program runs at each new line besides, and may make watched calls: what hands out numbers and places does it in one
statement.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.engine import choose


@choose
class Records:
    """The used part of a shard's words.

    `capacity` are the words that have storage behind them, 0 where nothing more is handed out; `nodes` is how many have a number.
    """

    __slots__ = ("_bytes", "_string_count", "_strings", "capacity", "nodes", "used", "words")

    def __init__(self, words: memoryview, capacity: int, /) -> None:
        self.words = words
        self._bytes = words.cast("B")
        self._strings: dict[str, int] = {}
        self._string_count = 0
        self.capacity = capacity
        self.used = layout.SCRATCH
        self.nodes = 0

    def grow(self) -> bool:
        """Have storage behind more words; say whether there is more now."""
        return False

    def reserve(self, size: int, /) -> int:
        """Return the index of `size` fresh words, 0 when there is no space left."""
        self.used = end = (at := self.used) + size  # one statement: a trace function runs between two
        while end > self.capacity:
            if not self.grow():
                if self.used == end:
                    self.used = at
                return 0
        words = self.words
        words[at] = size << 8
        words[layout.HEADER_USED] = self.used
        return at

    def record(self, record_type: int, number: int, values: list[int], zeros: int = 0) -> int:
        """Write a record of `values` behind its head, and of so many zeros; return its index, 0 when there is no space left."""
        at = self.reserve(len(values) + zeros + 1)  # fresh words are zero
        if at:
            words = self.words
            for index, value in enumerate(values, at + 1):
                words[index] = value
            words[at] |= record_type | number << 32
        return at

    def string(self, text: str, /) -> int:
        """Return the number of a string, 0 when it could not be stored. What is longer than layout.LONGEST_STRING is cut."""
        number = self._strings.get(text)
        if number is not None:
            return number
        content = text.encode("utf-8", "backslashreplace")[: layout.LONGEST_STRING]
        at = self.reserve(layout.STRING_FIRST + (len(content) + 7) // 8)
        if not at:
            return 0
        self._string_count = number = self._string_count + 1
        number = self._strings.setdefault(text, number)
        first = 8 * (at + layout.STRING_FIRST)
        self._bytes[first : first + len(content)] = content
        self.words[at + layout.STRING_BYTES] = len(content)
        self.words[at] |= layout.STRING | number << 32
        return number
