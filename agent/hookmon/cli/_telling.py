"""What the verbs say on stderr beside what they print, and reports at the end of a run. Without click."""

from __future__ import annotations

import sys
from contextlib import suppress

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from pathlib import Path

    from hookmon.collector.store import Run


def tell(line: str) -> None:
    """Write a line to stderr, from any thread. Where nobody reads it, or its disk is full, nobody is told."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:  # whoever started us may have closed it
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def write_report(run: Run, format: str, output: Path | None) -> None:
    """Write the report of a run, to stderr where there is no `output`. The program's exit code stands, whatever becomes of it."""
    from hookmon.report import render

    try:
        if output is None:
            with suppress(BrokenPipeError):
                render(run, format, file=sys.stderr)
        else:
            with output.open("w", encoding="utf-8", newline="\n") as file:
                render(run, format, file=file)
    except Exception as error:  # noqa: BLE001  # the run is kept, and the exit code is to be that of the program
        tell(f"hookmon: the report cannot be written: {error!r}; hookmon report {run.id} shows the run")
