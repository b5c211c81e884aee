"""The account of time: what the time of a run is made of, and how much of it watched calls explain.

In: a run. Out: an Account, or None where nothing is known. Pure computation. The words mean:

- *computing*: a thread of the run had a processor. It is the CPU time of all processes, hookmon's work inside them included.
- *waiting for a processor*: a thread was ready to run while others had the processors. The scheduler of Linux counts it.
- *at work*: computing or waiting for a processor.
- *waiting for others*: the rest of the duration, in which no thread was at work. The others are timers, disks, networks, other
  programs, users. A server that nobody asks waits for others.

**The whole** is the duration of the run, where its threads were at work one after the other: then their times at work, added
up, are time of the run. How long they may have been side by side is known within a bound (`collector.overlap`), and up to a
tenth of the duration is let pass: so far off may a part be. Beyond that nobody knows how long no thread was at work. The whole
is then the time at work of all threads together, and waiting for others is no part of it.

**A part that is not known is left out**, never estimated. Where the scheduler does not tell how long threads waited for a
processor (no Linux, threads that came and went between two looks), all waiting is one part. Where nobody read the CPU time,
there is no account.

**Watched calls explain** the time of the outermost watched calls of each thread and task, those that have not returned
included. It is held against the duration, where that is the whole, with two exceptions, which are held against the time at
work:

- A program with transactions that waits for others for more than a fifth of the duration may be one that is asked for them: how
  long nobody asked is not to be explained.
- Of coroutines in several tasks the time in their own steps counts: what they await passes at the same time.

It is exact for calls of one thread, for a single one, and for steps of coroutines. Else it is the most that it can be
(`at_most`): calls may have been side by side, or may have waited while none of the program was at work. It is never more than
what it is held against.
"""

from __future__ import annotations

from shlex import join

from hookmon.collector.store import Node, Run
from hookmon.core.arguments import HIDDEN
from hookmon.core.record import Record
from hookmon.report.load import cpu_ns, waits
from hookmon.report.texts import percent, split_duration

COMPUTING = "computing"
FOR_A_PROCESSOR = "waiting for a processor"
FOR_OTHERS = "waiting for others"
WAITING = "waiting"

_MOST_BESIDE = 0.1  # of the duration: so far off may the parts be
_MOST_UNSEEN = 0.1  # of the CPU time: threads whose waits nobody has read
_UNSEEN_NS = 30_000_000  # and no less: CPU time comes in ticks of 10 ms a process
_WAITS_MUCH = 0.2  # of the duration: a program with transactions that waits more for others may be one that nobody asks
_EXPLAINED = 0.5
_OVERLOADED = 0.5  # nanoseconds of waiting for each one with a processor
_LONG_WAIT_NS = 200_000_000


class Part(Record, slots=True):
    """A part of the time. `name` is one of the words above, or WAITING for both; `share` is of the whole."""

    name: str
    time_ns: int
    share: float


class Explained(Record, slots=True):
    """What watched calls explain: `time_ns` of `of_ns`, which are the `run` or its time at `work`. At most, with `at_most`."""

    of: str
    of_ns: int
    time_ns: int
    share: float
    at_most: bool


class Account(Record, slots=True):
    """The time of a run. `whole_ns` is the sum of the parts: of the `run` its duration, of `work` what all threads took of it.

    `explained` is None where no process was watched. `command` shows what is not explained, "" where that is less than half or
    where nothing would. `busy_share` is how much of the time at work went by waiting for a processor on a machine that had too
    much to do, 0.0 on any other.
    """

    of: str
    whole_ns: int
    duration_ns: int
    parts: list[Part]
    explained: Explained | None
    command: str
    busy_share: float


def account_of(run: Run) -> Account | None:
    """Return the account of a run; None where nobody has read its CPU time."""
    computing_ns = cpu_ns(run)
    if run.state == "recovered" or run.duration_ns <= 0 or computing_ns <= 0:
        return None
    ran_ns = run.total("ran_ns")
    is_told = ran_ns > 0 and computing_ns - ran_ns <= max(_UNSEEN_NS, _MOST_UNSEEN * computing_ns)
    waited_ns = run.total("waited_ns") if is_told else 0
    beside_ns = _beside_ns(run, computing_ns)
    if beside_ns is not None and beside_ns <= _MOST_BESIDE * run.duration_ns:
        of, whole_ns = "run", run.duration_ns
        at_work = _fit({COMPUTING: computing_ns, FOR_A_PROCESSOR: waited_ns}, whole_ns)
        times = at_work | {FOR_OTHERS if is_told else WAITING: whole_ns - sum(at_work.values())}
    else:
        of, whole_ns = "work", computing_ns + waited_ns
        times = {COMPUTING: computing_ns, FOR_A_PROCESSOR: waited_ns}
    if not is_told:
        del times[FOR_A_PROCESSOR]
    parts = [Part(name, time_ns, time_ns / whole_ns) for name, time_ns in times.items()]
    explained = _explained(run, of, computing_ns + waited_ns, times.get(FOR_OTHERS, times.get(WAITING, 0)))
    command = _command(run) if explained is not None and explained.share < _EXPLAINED else ""
    return Account(of, whole_ns, run.duration_ns, parts, explained, command, _busy_share(run))


def _fit(times: dict[str, int], whole_ns: int) -> dict[str, int]:
    """Return times that are no more than the whole together: clocks of processes are not read at one moment."""
    sum_ns = sum(times.values())
    return times if sum_ns <= whole_ns else {name: time_ns * whole_ns // sum_ns for name, time_ns in times.items()}


def _beside_ns(run: Run, computing_ns: int) -> int | None:
    """Return the most that threads were at work side by side; None where that is not known."""
    if run.since_s:
        return None  # a row is a start of the service, with all its processes
    seen_ns = cpu_ns(run, of_rows=True)
    unseen_ns = computing_ns - seen_ns if computing_ns - seen_ns > _UNSEEN_NS else 0  # of processes that came and went unseen
    if run.beside_ns is not None:
        return run.beside_ns + unseen_ns
    is_alone = len(run.processes) == 1 and not run.more.get("processes") and run.processes[0].threads_max <= 1
    return unseen_ns if is_alone else None


def _busy_share(run: Run) -> float:
    waited = waits(run)
    if waited is None or waited < _OVERLOADED or run.total("waited_ns") < _LONG_WAIT_NS:
        return 0.0
    return waited / (1 + waited)


def _explained(run: Run, of: str, at_work_ns: int, waiting_ns: int) -> Explained | None:
    if not any(process.python for process in run.processes):
        return None
    roots = _outermost(run.nodes)
    plain_ns = sum(node.total_ns for node in roots if not node.steps)
    plain_ns += sum(call.stack[0][1] for call in run.in_flight if call.stack and call.lane != "task")
    awaiting_ns = sum(node.total_ns for node in roots if node.steps)
    in_steps_ns = sum(min(node.active_ns, node.total_ns) for node in roots if node.steps)
    is_asked = any(node.entry and node.calls for node in run.nodes) and waiting_ns > _WAITS_MUCH * run.duration_ns
    is_alone = run.lanes == 1 or sum(node.calls for node in roots) + len(run.in_flight) <= 1
    if of == "run" and not is_asked and (is_alone or awaiting_ns <= plain_ns):
        of_ns, time_ns, at_most = run.duration_ns, plain_ns + awaiting_ns, not is_alone and plain_ns + awaiting_ns > 0
    else:
        of, of_ns, time_ns, at_most = "work", at_work_ns, plain_ns + in_steps_ns, plain_ns > 0
    time_ns = max(0, min(time_ns, of_ns))
    return Explained(of, of_ns, time_ns, time_ns / of_ns if of_ns else 0.0, at_most)


def _outermost(nodes: list[Node]) -> list[Node]:
    """Return the nodes that no watched call is around, in the same thread or task."""
    return [
        node for node in nodes if not node.flat and not node.detached and (node.parent < 0 or bool(nodes[node.parent].detached))
    ]


def _command(run: Run) -> str:
    """Return the command that watches all of the program, "" where it was that, or cannot be told."""
    if not run.command or run.attached_after_ns or "--own" in run.options:
        return ""
    is_cut = any(row["key"] == "redact" and row["value"] == "all" for row in run.settings)
    options = run.options if _can_be_pasted(run.options) and not is_cut else []
    words = run.command if _can_be_pasted(run.command) and not is_cut else ["COMMAND"]
    parting = ["--"] if words[0].startswith("-") else []
    return join(["hookmon", "run", *options, "--own", *parting, *words])


def _can_be_pasted(words: list[str]) -> bool:
    """Say whether words are all there, and on one line: what is secret was hidden when they were kept."""
    return all(word.isprintable() and HIDDEN not in word for word in words)


def sentence(account: Account) -> str:
    """Return the account as one sentence without a full stop; the parts that it shows add up to the whole that it shows."""
    whole, shown = split_duration(account.whole_ns, [part.time_ns for part in account.parts])
    told = [f"{text} {part.name}" for text, part in zip(shown, account.parts, strict=True) if text]
    if account.of == "run":
        text = f"{whole} = {' + '.join(told)}"
    else:
        text = (
            f"all threads and processes together: {whole} at work = {' + '.join(told)}"
            if len(told) > 1
            else (f"all threads and processes together: {' + '.join(told)}")
        )
    return text + (f"; {_explanation(account.explained)}" if account.explained else "")


def _explanation(explained: Explained) -> str:
    whole = " of the time at work" if explained.of == "work" else ""
    if not explained.time_ns:
        return f"watched calls explain nothing{whole}" if not whole else "watched calls explain none of it"
    if explained.at_most and explained.time_ns == explained.of_ns:
        return f"watched calls may explain all{whole or ' of it'}"
    return f"watched calls explain {'at most ' if explained.at_most else ''}{percent(explained.share)}{whole}"


def warning(account: Account) -> str:
    """Return what a reader must know about all times of the run, "" for nothing."""
    if not account.busy_share:
        return ""
    share = percent(account.busy_share)
    return f"The machine was busy: {share} of the time at work went by waiting for a processor. Times are not the program's own."
