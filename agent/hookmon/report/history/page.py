"""What the page of a service's days shows, as one document of plain values. In: Days. Out: what `assets/history.js` reads.

Like the page of a run it is read by its own script only, so its shape may change with any version. A curve is its points, each
`[minute, seconds, calls, errors, p50_ns, p95_ns, p99_ns]`, and its figures.
"""

from __future__ import annotations

from hookmon.core.record import asdict
from hookmon.report.history.model import Curve, Days, Row
from hookmon.report.history.wording import gaps, headline, is_slower, reach, state, used, version_changes

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any


def document(days: Days) -> dict[str, Any]:
    """Return the whole document."""
    first = days.days[0]
    return {
        "service": days.service,
        "transaction": days.transaction,
        "noun": days.noun,
        "goes_on": days.goes_on,
        "when": f"{first.date} {days.now_clock} {days.zone}".strip() if days.goes_on else first.date,
        "state": state(days),
        "last_start": asdict(days.last_start) if days.last_start else None,
        "verdict": {"state": _tone(days), "title": headline(days), "detail": reach(days)},
        "days": [
            {key: value for key, value in asdict(day).items() if key not in ("parts", "used", "starts", "gaps")}
            | {
                "starts": [asdict(mark) | {"told": told} for mark, told in version_changes(day.starts)],
                "used": used(day),
                "gaps": gaps(day),
            }
            for day in days.days
        ],
        "whole": _row(days.whole),
        "rows": [_row(row) for row in days.rows],
        "notes": days.notes,
        "run": {"project": ""},  # that call sites are told from: there are none here
    }


def _row(row: Row) -> dict[str, Any]:
    now, then = row.curves[0].figures, row.curves[1].figures
    curves = [_curve(curve) for curve in row.curves]
    return {"name": row.name, "kind": row.kind, "is_slower": is_slower(now, then), "curves": curves}


def _curve(curve: Curve) -> dict[str, Any]:
    points = []
    for point in curve.points:
        of = point.figures
        points.append([point.minute, round(point.seconds), of.calls, of.errors, of.p50_ns, of.p95_ns, of.p99_ns])
    return {"points": points, "figures": asdict(curve.figures), "whole_calls": curve.whole.calls}


def _tone(days: Days) -> str:
    """Return how the verdict looks: bad, warn, low or good, as on other pages."""
    now, then = (days.whole.curves[at].figures for at in (0, 1))
    if not days.days[0].is_kept:
        return "low"
    if is_slower(now, then):
        return "bad"
    if any(is_slower(*(curve.figures for curve in row.curves[:2])) for row in days.rows) or now.errors > 2 * then.errors:
        return "warn"
    return "good"
