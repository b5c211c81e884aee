"""The sentences and figures of a diff, which the screen and Markdown share."""

from __future__ import annotations

from hookmon.report.diff.intervals import Ratio
from hookmon.report.diff.model import APART, CHANGED, FEW, GONE, NEW, NOISE, CountRow, Diff, TimeRow
from hookmon.report.diff.sides import Side
from hookmon.report.texts import count, duration

ONLY = {GONE: "only in A", NEW: "only in B"}


def change(ratio: float) -> str:
    """Return a ratio as people say it: `+12 %`, `−30 %`, `×3.1`."""
    if ratio >= 2:
        return f"×{ratio:.2g}" if ratio < 100 else f"×{ratio:.0f}"
    return f"{(ratio - 1) * 100:+.0f} %"


def interval(ratio: Ratio | None) -> str:
    """Return the bounds of a ratio, "–" for none."""
    return f"{change(ratio.low)} to {change(ratio.high)}" if ratio else "–"


def ratio_text(row: TimeRow) -> tuple[str, Ratio | None]:
    """Return which figure of a row to show, `typical` or `p95`, with its ratio: the one that tells the verdict."""
    if row.typical is not None and not row.typical.is_real and row.tail is not None and row.tail.is_real:
        return "p95", row.tail
    return "typical", row.typical


def durations(row: TimeRow) -> tuple[str, str]:
    """Return the durations of A and B that `ratio_text` is about."""
    pair = (row.p95_a_ns, row.p95_b_ns) if ratio_text(row)[0] == "p95" else (row.typical_a_ns, row.typical_b_ns)
    return duration(pair[0]), duration(pair[1])


def per(number: float) -> str:
    """Return a number of calls, with up to three digits behind the point."""
    return count(round(number)) if number == round(number) else f"{number:,.3f}".rstrip("0").rstrip(".")


def count_cells(row: CountRow) -> tuple[str, str]:
    """Return how often it was called in A and in B, and the errors where those differ."""
    errors_a, errors_b = count(row.errors_a, "error"), count(row.errors_b, "error")
    if errors_a == errors_b:
        return per(row.per_a), per(row.per_b)
    if row.per_a == row.per_b:
        return errors_a, errors_b
    return f"{per(row.per_a)}, {errors_a}", f"{per(row.per_b)}, {errors_b}"


def summarize_unchanged(diff: Diff) -> list[str]:
    """Return what was left out because it did not change, or cannot be judged."""
    times: dict[str, int] = {}
    for row in diff.times:
        if row.verdict not in CHANGED and row.verdict not in ONLY:
            times[row.verdict] = times.get(row.verdict, 0) + 1
    parts = [f"{count(times[verdict])} {verdict}" for verdict in (NOISE, FEW, APART) if verdict in times]
    same = len(diff.counts) - len(diff.changed_counts)
    lines = [f"Times: {', '.join(parts)}."] if parts else []
    alike = "the same, or as traffic differs" if diff.b.window else "the same"
    return [*lines, f"Counts: {count(same)} {alike}."] if same else lines


def verdict(diff: Diff) -> str:
    """Return the diff in one sentence."""
    slower = sum(row.verdict == "slower" for row in diff.times)
    faster = sum(row.verdict == "faster" for row in diff.times)
    mixed = len(diff.changed_times) - slower - faster
    same = "no count changed beyond what traffic does" if diff.b.window else "all counts are the same"
    parts = [f"{count(len(diff.changed_counts), 'count')} changed" if diff.changed_counts else same]
    if diff.apart:
        parts.append("times are not comparable")
    elif diff.changed_times:
        words = ((slower, "slower"), (faster, "faster"), (mixed, "mixed"))
        parts.append(", ".join(f"{count(number)} {word}" for number, word in words if number))
    else:
        parts.append("no time changed beyond noise")
    return "; ".join(parts)


def reach(diff: Diff) -> str:
    """Return how well times can be told apart, "" where they are not compared."""
    if diff.apart:
        return ""
    reasons = [text for letter, side in (("A", diff.a), ("B", diff.b)) if (text := _wait_text(letter, side))]
    if max(diff.common, 1 / diff.common) >= 1.1:
        reasons.insert(0, f"in the middle of all names B was {change(diff.common)}, as a machine does to all that compute")
    why = f": {'; '.join(reasons)}" if reasons else ""
    of_runs = "what the rest of the program did and the scatter of the calls"
    beyond = "what a name does by itself and the scatter of the calls" if diff.b.window else of_runs
    return f"Times are called changed beyond {beyond}, at 95 % for all rows together{why}."


def _wait_text(letter: str, side: Side) -> str:
    if side.waits is None or side.waits < 0.1:
        return ""
    return f"{letter} waited {side.waits:.1f} s for a processor for each second that it had one"
