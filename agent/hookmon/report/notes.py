"""Sentences of the report: why nothing was recorded, what does not add up, what to do next."""

from __future__ import annotations

from shlex import join, quote

from hookmon.collector.store import InFlight, Run
from hookmon.core.layout import ENGINE_NOTES, MOST_NAMES_OF_A_TARGET, OTHER_NAMES
from hookmon.core.record import Record
from hookmon.report.calls import CallRow
from hookmon.report.texts import count, duration, inert, listing
from hookmon.report.watches import WatchGroup

_MOST_FAILING = 3


class Note(Record, slots=True):
    """A sentence of ours, and the foreign name that it is about, "" for none."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{inert(self.subject)}: {self.text}" if self.subject else self.text


def reasons_for_nothing(run: Run, groups: list[WatchGroup]) -> list[str]:
    """Return why a run recorded no call, and what to do about it."""
    if run.in_flight:
        return [f"No watched call ended: {count(len(run.in_flight), 'call')} had begun and not returned, see below."]
    if run.since_s:
        return ["No watched call ended in that time." if run.processes else f"Nothing of {run.service} ran in that time."]
    if run.processes and not any(process.python for process in run.processes):
        reason = "the reason stands under blind spots" if run.blind_spots else "it may not be a Python program"
        return [f"No process of this run was watched: {reason}."]
    if any(watch.get("own") for watch in run.plan):
        return [
            "No function of the program's own was called.",
            "Its own are all modules but those that are installed (site-packages) or of the standard library.",
            'To watch a library: --watch "NAME.**:**".',
        ]
    own = next((group for group in groups if not group.pack), WatchGroup(""))
    if own.active:
        return [
            f"{count(own.active, 'function')} watched, and none was called: {listing([row.target for row in own.uncalled], 3)}.",
            *(f"Mind that {detail}." for detail in dict.fromkeys(row.detail for row in own.uncalled if row.detail)),
            "Does this run reach the code that calls them?",
        ]
    if own.failed:
        return ["Nothing that you named could be watched: the list below says why for each."]
    if own.absent:
        modules = list(dict.fromkeys(row.target.partition(":")[0] for row in own.absent))
        return [f"The program imported no module that you named. Looked for: {listing(modules, 6)}."]
    if not groups:
        return [
            "Nothing was asked for: no pack is on, and hookmon.toml has no [[watch]] table.",
            "Name functions with --watch MODULE:CALLS.",
        ]
    in_place = [group.pack for group in groups if group.active]
    seen = "The program imported no library that a pack is for."
    if in_place:
        seen = f"No call was seen of what packs watch; in place: {listing(in_place, 8)}."
    return [
        seen,
        "Your own functions are watched with --own, all of them, with --watch MODULE:CALLS or a [[watch]] table in hookmon.toml.",
    ]


def remarks(run: Run, calls: list[CallRow], names: list[CallRow]) -> list[Note]:
    """Return what a reader of the figures must know; `names` are the calls as the reader sees them."""
    found = []
    if run.state == "recovered":
        found.append(Note("", "hookmon itself was killed during this run; these are all the figures that could still be read."))
    elif run.state == "running":
        found.append(Note("", "This run goes on; these are the figures so far."))
    if calls and run.engine == "pure" and not any(spot.kind in ENGINE_NOTES for spot in run.blind_spots):  # else the head says it
        found.append(Note("", "The pure engine counted, which costs ten times as much a call as the compiled one."))
    if run.unnamed_calls:
        lost = count(run.unnamed_calls, "call")
        found.append(Note("", f"The call tree was full: {lost} counted by name, without the place they came from."))
    if run.more.get("processes"):
        more, of_them = count(run.more["processes"], "more process"), count(run.more["calls"], "call")
        used = duration(run.more["cpu_ns"])
        found.append(Note("", f"{more} with the fewest calls are added up, without rows: {of_them}, {used} of CPU time."))
    for row in calls:
        if row.name == OTHER_NAMES:
            kept, rest = count(MOST_NAMES_OF_A_TARGET), count(row.figures.calls, "call")
            found.append(Note(row.target, f"more names than the {kept} that are kept apart; {rest} stand under {OTHER_NAMES}."))
    raised = [row for row in names if row.figures.errors]
    inner = max((row.figures.errors for row in raised if row.kind != "hook"), default=0)
    failing = [row for row in raised if row.kind != "hook" or row.figures.errors > inner]  # hooks pass on what a test raised
    failing.sort(key=lambda row: -row.figures.errors)
    found += [
        Note(row.name, f"{count(row.figures.errors)} of {count(row.figures.calls, 'call')} {_failed(row.kind)}.")
        for row in failing[:_MOST_FAILING]
    ]
    if len(failing) > _MOST_FAILING:
        found.append(Note("", f"{count(len(failing) - _MOST_FAILING, 'more name')} had calls that raised."))
    return found


def _failed(kind: str) -> str:
    """Return what errors are: of a request also a status from 500 on, which nothing needs to have raised."""
    return "failed" if kind == "request" else "raised"


def in_flight_text(call: InFlight, state: str) -> str:
    """Return how long a call in flight had been running, and when that was."""
    when = "when its process ended" if call.killed else "so far" if state == "running" else "when the run ended"
    return f"for {duration(call.since_ns)} {when}"


def next_commands(run: Run, *, recorded: bool, finding: str) -> list[tuple[str, str]]:
    """Return the commands that help from here, each with what it is for. `finding` is the id of the worst, "" for none."""
    is_watched = any(process.python for process in run.processes)
    if not recorded and not run.in_flight and is_watched:
        command = inert(join(run.command)) if run.command else "COMMAND"
        if any(watch.get("own") for watch in run.plan):
            return [(f"hookmon run --watch 'NAME.**:**' -- {command}", "watch all functions of a library")]
        return [(f"hookmon run --own -- {command}", "watch all functions of your own")]
    if run.since_s:
        return [(f"hookmon history {quote(inert(run.service))}", "the same service over the day, beside other days")]
    if not run.id:
        return []  # it is not kept
    worst = [(f"hookmon explain {finding} {run.id}", "the worst finding, an example, what to change")] if finding else []
    return [
        *worst,
        *([(f"hookmon suggest {run.id}", "what to watch from now on")] if any(watch.get("own") for watch in run.plan) else []),
        (f"hookmon open {run.id}", "the whole run as a page"),
        (f"hookmon report {run.id} --all", "every name and process"),
    ]
