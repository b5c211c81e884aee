"""A part of a run that is no service: what `hookmon report RUN --last 10m` can say of it."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hookmon.cli import _output, _runs, _windows
from hookmon.core.errors import HookmonError, RunFileError

if TYPE_CHECKING:
    from hookmon.cli._time_range import TimeRange
    from hookmon.collector.store import Run

_UNREAD = ("nodes", "examples", "statuses", "watched", "samples", "sampled_frames", "sampled_stacks", "sampled_processes")


def write(which: str, given: TimeRange, format: str, output: Path | None, *, is_last: bool, everything: bool) -> None:
    """Write what was called in a part of a run. `is_last`: of a run that has ended it is the part before its end.

    Raises RunFileError where there is no such run or it has nothing of that time, HookmonError for a format that shows more
    than series tell.
    """
    from hookmon.report import excerpt

    try:
        run = _runs.find(_runs.store_here(), which, without=_UNREAD)
    except RunFileError as error:
        raise _windows.refuse_run(which, "report", "--last 10m") from error
    if format not in ("text", "json"):
        raise HookmonError(
            f"run {run.id} is kept as a whole: of a part of it there is text and JSON; hookmon run --service NAME keeps more",
            code="whole-run",
        )
    since, until = given.since, given.until
    if is_last and run.state != "running":
        end = _end_of(run)
        since, until = end - (until - since), end
    found = excerpt.excerpt(run, since, until)

    def render(file: TextIO) -> None:
        if format == "json":
            excerpt.write_json(found, file)
        else:
            excerpt.write(found, file, everything=everything)

    if output is None:
        render(sys.stdout)
        return
    with _output.open_output(output, "the report") as file:
        render(file)


def _end_of(run: Run) -> float:
    return datetime.fromisoformat(run.started_at).timestamp() + run.duration_ns / 1e9
