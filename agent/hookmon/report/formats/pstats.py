"""A file that the standard library's `pstats.Stats` loads, and with it snakeviz, gprof2dot, tuna and others.

The file is what `cProfile.Profile.dump_stats` writes: a marshalled dictionary {function: (calls that are no recursion, calls,
self time, total time, {caller: (calls, calls that are no recursion, self time, total time)})}, times in seconds. A function is
(file, line, name), here (target, 0, name).
"""

from __future__ import annotations

import marshal

from hookmon.collector.store import Node
from hookmon.report.model import Report
from hookmon.report.texts import inert

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

IS_BINARY = True
"""Bytes, so a file has to be named."""

_Function = tuple[str, int, str]
_Figures = tuple[int, int, float, float]

UNREAD = ("examples", "statuses", "samples", "sampled_processes", "sampled_frames", "sampled_stacks")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the bytes to the buffer below the text file."""
    functions: dict[_Function, _Figures] = {}  # (calls that are no recursion, calls, self, total)
    callers: dict[_Function, dict[_Function, _Figures]] = {}
    for index, is_outermost in report.walk:
        node = report.nodes[index]
        figures = _figures(node, is_outermost)
        function = _function(node)
        functions[function] = _add(functions.get(function), figures)
        above = callers.setdefault(function, {})
        if 0 <= node.parent < len(report.nodes):
            caller = _function(report.nodes[node.parent])
            above[caller] = _add(above.get(caller), figures)
    stats = {
        function: (*figures, {caller: (of[1], of[0], of[2], of[3]) for caller, of in callers[function].items()})
        for function, figures in functions.items()
    }
    file.flush()
    file.buffer.write(marshal.dumps(stats))


def _function(node: Node) -> _Function:
    return inert(node.target), 0, inert(node.name)


def _figures(node: Node, is_outermost: bool) -> _Figures:
    total_ns = node.total_ns if is_outermost else 0
    return node.calls if is_outermost else 0, node.calls, node.self_ns / 1e9, total_ns / 1e9


def _add(one: _Figures | None, other: _Figures) -> _Figures:
    if one is None:
        return other
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]
