"""What two windows of a service differ by because people do not ask for the same: no change of the program.

Counts of two runs of one program are the same, so each difference is one. Windows of a service have the traffic that came. How
often requests came says nothing of the program, and calls in each of them follow what was asked for. So a count is called changed
only where it differs by more than a tenth, and by more than three times what chance does to numbers of such a size (Poisson); and
the errors of requests, where their share does.
"""

from __future__ import annotations

from math import sqrt

from hookmon.report.texts import count, percent

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.report.diff.model import CountRow

_SHARE = 0.1
_SIGMAS = 3.0


def keep_beyond_traffic(rows: list[CountRow]) -> None:
    """Take back that a count has changed where traffic alone does as much."""
    requests = {row.transaction: (row.calls_a, row.calls_b) for row in rows if not row.name}
    for row in rows:
        of_a, of_b = requests.get(row.transaction, (1, 1))
        if row.name:
            row.changed = row.changed and (_differs(row.calls_a, row.calls_b, of_a, of_b) or _fails(row))
        else:
            row.changed = row.changed and (not row.calls_a or not row.calls_b or _fails(row))


def _differs(calls_a: int, calls_b: int, of_a: int, of_b: int) -> bool:
    """Say whether calls in one transaction are more or fewer."""
    if not of_a or not of_b:
        return False
    wanted = calls_a * of_b / of_a
    scatter = sqrt(calls_b + calls_a * (of_b / of_a) ** 2)
    return abs(calls_b - wanted) > max(_SHARE * wanted, _SIGMAS * scatter)


def _fails(row: CountRow) -> bool:
    """Say whether the share of errors is another one."""
    whole = row.calls_a + row.calls_b
    if not row.calls_a or not row.calls_b or row.errors_a + row.errors_b > whole:
        return False
    share = (row.errors_a + row.errors_b) / whole
    scatter = sqrt(share * (1 - share) * (1 / row.calls_a + 1 / row.calls_b))
    return abs(row.errors_a / row.calls_a - row.errors_b / row.calls_b) > _SIGMAS * scatter > 0 or (
        share in (0.0, 1.0) and row.errors_a * row.calls_b != row.errors_b * row.calls_a
    )


def traffic_note(rows: list[CountRow]) -> str:
    """Return how many transactions came in each window, "" where they are as many."""
    a, b = (sum(getattr(row, name) for row in rows if not row.name) for name in ("calls_a", "calls_b"))
    if a == b:
        return ""
    more = f", {percent(abs(b / a - 1))} {'more' if b > a else 'fewer'} than A" if a else ""
    return f"A had {count(a, 'transaction')}, B {count(b)}{more}; that alone is no change"
