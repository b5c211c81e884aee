"""Where functions begin, read out of their source.

In: sampled frames, which have a line in the midst of their function. Out: the same with the first lines of the functions.
Compiles source files and executes nothing. Runs in the launcher, at the end of a run, while the files are most likely those that
ran.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import thread_time_ns
from types import CodeType

from hookmon.collector.samples import SampledFrame, SampledStack
from hookmon.core.record import replace

_BUDGET_NS = 1_000_000_000  # of processor time: the files with the most samples come first
_LARGEST_BYTES = 2_000_000

Functions = dict[str, list[tuple[int, int]]]
"""The first and the last line of the functions of a file, by the last part of their qualified names."""


def locate(frames: Sequence[SampledFrame], stacks: Sequence[SampledStack]) -> list[SampledFrame]:
    """Return the frames with the first lines of their functions, 0 for what is in no readable file."""
    seen: Counter[str] = Counter()
    for stack in stacks:
        for file in {frames[at].file for at in stack.frames}:
            seen[file] += stack.samples
    begun_ns = thread_time_ns()
    known: dict[str, Functions] = {}
    for file, _ in seen.most_common():
        if file.endswith(".py") and thread_time_ns() - begun_ns < _BUDGET_NS:
            known[file] = functions_of(file)
    return [replace(row, first_line=first_line(known.get(row.file, {}), row.function, row.line)) for row in frames]


def first_line(functions: Functions, name: str, line: int) -> int:
    """Return the first line, decorators included, of the function of a name around a line; 0 where there is none."""
    around = [first for first, last in functions.get(name.rpartition(".")[2], ()) if first <= line <= last]
    return max(around, default=0)


def functions_of(file: str) -> Functions:
    """Return the functions of a source file; none where it cannot be read, or is not what this Python can compile."""
    found: Functions = {}
    with suppress(OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as source, warnings.catch_warnings():
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
                return found
            warnings.simplefilter("ignore")
            module = compile(source.read(), file, "exec", dont_inherit=True)
        for code in _walk(module):
            lines = [line for _, _, line in code.co_lines() if line]
            found.setdefault(code.co_name, []).append((code.co_firstlineno, max(lines, default=code.co_firstlineno)))
    return found


def _walk(code: CodeType) -> Iterator[CodeType]:
    waiting = [code]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
