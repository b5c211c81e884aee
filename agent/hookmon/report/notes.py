"""Sentences of the report: why nothing was recorded, what does not add up, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import join

from hookmon.collector.store import InFlight, Run
from hookmon.report.calls import CallRow
from hookmon.report.texts import count, duration, inert, listing
from hookmon.report.watches import WatchGroup

_MOST_FAILING = 3


@dataclass(slots=True)
class Note:
    """A sentence of ours, and the foreign name that it is about, "" for none."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{inert(self.subject)}: {self.text}" if self.subject else self.text


def nothing(run: Run, groups: list[WatchGroup]) -> list[str]:
    """Return why a run recorded no call, and what to do about it."""
    active = sum(group.active for group in groups)
    absent = [row for group in groups for row in group.absent]
    failed = [row for group in groups for row in group.failed]
    if run.in_flight:
        return [f"No watched call ended: {count(len(run.in_flight), 'call')} had begun and not returned, see below."]
    if run.processes and not any(process.python for process in run.processes):
        reason = "the reason stands under blind spots" if run.blind_spots else "it may not be a Python program"
        return [f"No process of this run was watched: {reason}."]
    if active:
        uncalled = [row.target for group in groups for row in group.uncalled]
        return [
            f"{count(active, 'function')} watched, and none was called: {listing(uncalled, 3)}.",
            "Does this run reach the code that calls them? Your own functions are watched with --watch MODULE:CALLS.",
        ]
    if failed and not absent:
        return ["Nothing that was asked for could be watched: the list below says why for each."]
    if absent:
        modules = list(dict.fromkeys(row.target.partition(":")[0] for row in absent))
        return [
            f"The program imported no watched module. Looked for: {listing(modules, 6)}.",
            "Your own functions are watched with --watch MODULE:CALLS, or with a [[watch]] table in hookmon.toml.",
        ]
    return [
        "Nothing was asked for: no pack is on, and hookmon.toml has no [[watch]] table.",
        "Name functions with --watch MODULE:CALLS.",
    ]


def remarks(run: Run, calls: list[CallRow]) -> list[Note]:
    """Return what a reader of the figures must know."""
    found = []
    if run.state == "recovered":
        found.append(Note("", "hookmon itself was killed during this run; these are all the figures that could still be read."))
    elif run.state == "running":
        found.append(Note("", "This run goes on; these are the figures so far."))
    if run.unnamed_calls:
        lost = count(run.unnamed_calls, "call")
        found.append(Note("", f"The call tree was full: {lost} counted by name, without the place they came from."))
    failing = sorted((row for row in calls if row.figures.errors), key=lambda row: -row.figures.errors)
    found += [
        Note(row.name, f"{count(row.figures.errors)} of {count(row.figures.calls, 'call')} raised.")
        for row in failing[:_MOST_FAILING]
    ]
    if len(failing) > _MOST_FAILING:
        found.append(Note("", f"{count(len(failing) - _MOST_FAILING, 'more name')} had calls that raised."))
    return found


def in_flight_text(call: InFlight, state: str) -> str:
    """Return how long a call in flight had been running, and when that was."""
    when = "when it was killed" if call.killed else "so far" if state == "running" else "when the run ended"
    return f"for {duration(call.since_ns)} {when}"


def next_commands(run: Run, *, recorded: bool) -> list[tuple[str, str]]:
    """Return the commands that help from here, each with what it is for."""
    is_watched = any(process.python for process in run.processes)
    if not recorded and not run.in_flight and is_watched:
        command = inert(join(run.command)) if run.command else "COMMAND"
        return [(f"hookmon run --watch MODULE:CALLS -- {command}", "watch functions of your own")]
    if not run.id:
        return []  # it is not kept
    return [
        (f"hookmon report {run.id} --all", "every name and process"),
        (f"hookmon report {run.id} --format markdown", "for a pull request"),
    ]
