"""What the page of a diff shows, as one document of plain values. In: a Diff. Out: what `assets/diff.js` reads.

Like the page of a run it is read by its own script only, so its shape may change with any version.
"""

from __future__ import annotations

from hookmon.core.record import asdict
from hookmon.report.diff.model import FASTER, MIXED, SLOWER, Diff, TimeRow
from hookmon.report.diff.sides import Side
from hookmon.report.diff.wording import ratio_text, reach, verdict
from hookmon.report.texts import ending

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any


def document(diff: Diff) -> dict[str, Any]:
    """Return the whole document."""
    own = asdict(diff)
    own["a"], own["b"] = _side(diff.a), _side(diff.b)
    own["times"] = [_time(row) for row in diff.times]
    title = verdict(diff)
    own["verdict"] = {"state": _state(diff), "title": title[0].upper() + title[1:], "detail": reach(diff)}
    return own


def _side(side: Side) -> dict[str, Any]:
    return asdict(side) | {"ending": ending(side.exit_code, "exit code unknown")}


def _time(row: TimeRow) -> dict[str, Any]:
    """Return a row; `shown` is the figure that tells the verdict, typical or p95."""
    return asdict(row) | {"shown": ratio_text(row)[0]}


def _state(diff: Diff) -> str:
    """Return how the verdict looks: bad, warn, low or good, as on the page of a run."""
    verdicts = {row.verdict for row in diff.times}
    if SLOWER in verdicts or any(finding.severity == "high" for finding in diff.new_findings):
        return "bad"
    if MIXED in verdicts or diff.new_findings:
        return "warn"
    better = FASTER in verdicts or diff.gone_findings
    return "low" if diff.apart or (diff.changed_counts and not better) else "good"
