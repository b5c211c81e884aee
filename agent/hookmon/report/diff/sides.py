"""The two runs of a diff themselves: what each was, and what to know when they are compared."""

from __future__ import annotations

from hookmon.collector.store import Run
from hookmon.core.record import Record
from hookmon.report.account import account_of, sentence
from hookmon.report.load import waits
from hookmon.report.texts import duration
from hookmon.report.titles import window_of

_MUCH_LONGER_NS = 60_000_000_000


class Side(Record, slots=True):
    """One of the two runs.

    `waits` is how long its processes were ready and had no processor, for each second that they had one, None where that is not
    known; `others` the share of all processors that other processes used; `account` says what its time was, "" for not known.
    """

    id: int
    name: str
    command: list[str]
    started_at: str
    duration_ns: int
    exit_code: int | None
    python: str
    engine: str
    hookmon: str
    host: str
    cpu: str
    cores: int
    waits: float | None
    others: float
    account: str
    service: str = ""
    version: str = ""
    window: str = ""  # of a window of a service: the time that it covers, local; "" for a run


def side_of(run: Run) -> Side:
    """Return what a diff says of a run itself."""
    capacity_ns = run.duration_ns * run.cores
    account = account_of(run)
    return Side(
        run.id,
        run.name,
        run.command,
        run.started_at,
        run.duration_ns,
        run.exit_code,
        run.python,
        run.engine,
        run.hookmon,
        run.host,
        run.cpu,
        run.cores,
        waits(run),
        min(1.0, run.others_ns / capacity_ns) if capacity_ns > 0 else 0.0,
        sentence(account) if account is not None else "",
        run.service,
        run.version,
        window_of(run),
    )


def is_empty(run: Run) -> bool:
    """Say whether this is a window of a service in which nothing ran."""
    return bool(run.since_s) and not run.processes


def notes_on(a: Run, b: Run) -> list[str]:
    """Return what to know when two runs are compared, a sentence each."""
    found = []
    for letter, run in (("A", a), ("B", b)):
        if run.state == "running":
            found.append(f"{letter} still goes on: these are its figures so far")
        elif run.state == "recovered":
            found.append(f"{letter} was cut short: hookmon itself was killed")
        if is_empty(run):
            found.append(f"nothing of {run.service} ran in {letter}")
        if run.unnamed_calls:
            found.append(f"the call tree of {letter} was full: some calls are counted without the place they came from")
    if a.since_s and b.since_s and abs(a.duration_ns - b.duration_ns) > _MUCH_LONGER_NS:
        found.append(
            f"A is {duration(a.duration_ns)} long, B {duration(b.duration_ns)}: counts outside transactions differ by that alone"
        )
    if is_empty(a) or is_empty(b):
        return found  # what ran in the other one differs from nothing in all that it is
    if a.version != b.version:
        found.append(f"the versions differ: {a.version or 'none'} and {b.version or 'none'}")
    if a.command != b.command:
        found.append("the commands differ")
    if a.hookmon != b.hookmon:
        found.append(f"the runs were made by hookmon {a.hookmon} and {b.hookmon}")
    return found
