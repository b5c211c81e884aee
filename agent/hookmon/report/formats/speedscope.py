"""A profile for https://www.speedscope.app, in its own file format: the call tree, as wide as its self times."""

from __future__ import annotations

import json
from shlex import join

from hookmon.report.flame import edges, slices
from hookmon.report.model import Report
from hookmon.report.texts import inert, inert_json

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TextIO

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

UNREAD = ("examples", "statuses", "samples", "sampled_processes", "sampled_frames", "sampled_stacks")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the profile, in ASCII. A frame's `file` is its target: where the function lives."""
    numbers: dict[tuple[str, str], int] = {}
    frames: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    found = slices(report.nodes)
    for piece, opens in edges(found):
        node = report.nodes[piece.index]
        number = numbers.setdefault((node.name, node.target), len(frames))
        if number == len(frames):
            frames.append({"name": inert(node.name), "file": inert(node.target)})
        at_ns = piece.begin_ns if opens else piece.end_ns
        events.append({"type": "O" if opens else "C", "frame": number, "at": at_ns})
    title = inert(join(report.header.command)) or "hookmon"
    document = {
        "$schema": _SCHEMA,
        "name": title,
        "exporter": f"hookmon {report.header.hookmon}",
        "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": [
            {
                "type": "evented",
                "name": title,
                "unit": "nanoseconds",
                "startValue": 0,
                "endValue": max((piece.end_ns for piece in found), default=0),
                "events": events,
            }
        ],
    }
    file.write(inert_json(json.dumps(document, separators=(",", ":"))) + "\n")
