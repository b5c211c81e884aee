"""The check on a screen: what is broken first, then what cannot be judged, and how much is kept."""

from __future__ import annotations

from typing import TextIO

from hookmon.report.check.judge import BROKEN, KEPT, UNJUDGED, Check
from hookmon.report.screen import Screen
from hookmon.report.texts import count

_STYLES = {BROKEN: "red", UNJUDGED: "yellow", KEPT: "green"}


def write(check: Check, file: TextIO, *, width: int | None) -> None:
    """Write the screen, a line for each limit."""
    screen = Screen(file, width)
    for verdict in (BROKEN, UNJUDGED, KEPT):
        for row in check.of(verdict):
            place = row.location or (f"{row.file}:{row.line}" if row.line else row.file)
            screen.flow([(f"{verdict:<10}", _STYLES[verdict]), (row.sentence, ""), (place, "cyan")], between="  ", indent=12)
    screen.line((verdict_of(check), "bold"))
    screen.write()


def verdict_of(check: Check) -> str:
    """Return the check in one sentence."""
    broken, unjudged, kept = (len(check.of(verdict)) for verdict in (BROKEN, UNJUDGED, KEPT))
    if not check.rows:
        return "There is nothing to judge: no budget is configured."
    base = f" against {check.base_title}" if check.base is not None else ""
    parts = [f"{count(broken)} broken"] if broken else []
    parts += [f"{count(kept)} kept"] if kept else []
    parts += [f"{count(unjudged)} not judged"] if unjudged else []
    return f"Budgets of {check.title}{base}: {', '.join(parts)}."
