"""What days over each other are made of: what a store kept of them, as plain data.

Whoever reads a store makes it, and `model` makes Days of it.
"""

from __future__ import annotations

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.record import Record, field


class Step(Record, slots=True):
    """What ended within an hour, a minute or any other stretch: seconds since 1970, without `until` itself."""

    since: float
    until: float
    key: CallKey
    counters: Counters


class UsageStep(Record, slots=True):
    """A stretch in which a launcher ran, and what was used in it; of several launchers all together."""

    since: float
    until: float
    cpu_ns: int = 0
    rss_bytes: int = 0  # the most at one moment
    processes: int = 0  # the most at one moment
    launcher_cpu_ns: int = 0
    launcher_rss_bytes: int = 0


class Start(Record, slots=True):
    """One start of the service, in seconds since 1970; `ended` is None while it runs."""

    at: float
    ended: float | None
    version: str
    command: list[str]


class Reading(Record, slots=True):
    """What a store kept of the days of one service. Steps do not overlap, and none reaches over `until`. One that
    reaches over a midnight, in a zone whose hours are not those of UTC, belongs to the day in which it begins.

    `whole` is what all figures together are made of, `rows` those that get a row each: the same, where rows are transactions.
    """

    service: str
    until: float  # everything that ended before is in it
    whole: list[Step] = field(default_factory=list)
    rows: list[Step] = field(default_factory=list)
    usage: list[UsageStep] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    transaction: str = ""  # only what was called in this one
    has_transactions: bool = True  # else rows are calls
    notes: list[str] = field(default_factory=list)  # sentences on what was dropped or is missing


def sum_of(parts: list[Counters]) -> Counters:
    """Return of what was counted of different calls what figures need: Counters.sum_of takes five times as long."""
    if len(parts) == 1:
        return parts[0]
    timed = [part for part in parts if part.calls > part.untimed]
    return Counters(
        calls=sum(part.calls for part in parts),
        errors=sum(part.errors for part in parts),
        total_ns=sum(part.total_ns for part in parts),
        untimed=sum(part.untimed for part in parts),
        min_ns=min((part.min_ns for part in timed), default=0),
        max_ns=max((part.max_ns for part in timed), default=0),
        histograms=[part.buckets for part in timed],
    )
