"""Collapsed stacks, `outer;inner 1234`, as flamegraph.pl and its successors read them: self time in whole microseconds."""

from __future__ import annotations

from hookmon.report.flame import slices
from hookmon.report.model import Report
from hookmon.report.texts import inert

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

UNREAD = ("examples", "statuses", "samples", "sampled_processes", "sampled_frames", "sampled_stacks")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write a line for each place that took half a microsecond of its own or more."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    names: list[str] = []
    for piece in slices(report.nodes):
        node = report.nodes[piece.index]
        del names[piece.depth :]
        names.append(_frame(node.name))
        self_us = round(node.self_ns / 1_000)
        if self_us > 0:
            line = f"{';'.join(names)} {self_us}\n"
            file.write(line.encode(encoding, "backslashreplace").decode(encoding))


def _frame(name: str) -> str:
    """Return a name that cannot end its frame."""
    return inert(name).replace(";", ",").strip() or "(unnamed)"
