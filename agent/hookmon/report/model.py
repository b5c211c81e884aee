"""The report as plain data: everything that a format shows, and nothing of how it shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hookmon.collector.store import BlindSpot, CallSeries, InFlight, Node, Process, Run, Sample, Watched
from hookmon.report import notes
from hookmon.report.calls import CallRow, KindRow, by_kind, by_name, walk_of
from hookmon.report.findings import Finding, failing, findings
from hookmon.report.transactions import TransactionRow, transactions
from hookmon.report.watches import WatchGroup, fold


@dataclass(slots=True)
class Header:
    """The run itself. `overhead_share` is of `cpu_ns`, or of `duration_ns` where no CPU time is known."""

    id: int
    name: str
    command: list[str]
    project: str  # the folder that `location` of findings is relative to
    started_at: str
    state: str
    duration_ns: int
    exit_code: int | None
    python: str
    hookmon: str
    engine: str
    main_pid: int
    cpu_ns: int  # of all processes
    overhead_ns: int
    overhead_share: float
    call_cost_ns: float
    step_cost_ns: float
    unnamed_calls: int

    @property
    def ending(self) -> str:
        """What stands for an exit code that is not known."""
        return "still running" if self.state == "running" else "exit code unknown"


@dataclass(slots=True)
class Report:
    """One run, ready to be shown."""

    header: Header
    kinds: list[KindRow]  # most self time first
    calls: list[CallRow]  # most self time first
    transactions: list[TransactionRow]  # most time first, the rest of the program last
    findings: list[Finding]  # the worst first
    nodes: list[Node]  # for `calls.tree`, which only some formats need and which takes as long as all the rest
    processes: list[Process]  # the main process first, then as they were started
    watched: list[Watched]
    groups: list[WatchGroup]  # the same, folded
    blind_spots: list[BlindSpot]
    in_flight: list[InFlight]  # the longest first
    still_running: list[str]
    nothing: list[str]  # why nothing was recorded, empty where something was
    notes: list[notes.Note]  # sentences on what is wrong with the program or with the figures
    next: list[tuple[str, str]]  # commands, and what they are for
    series: list[CallSeries]  # packed: `report.series` has the functions that unpack it and the samples
    interval_ns: int
    samples: list[Sample]
    settings: list[dict[str, Any]]  # table, key, value, origin: the configuration without its watches
    config: str  # the file that was read, "" for none
    cpu: str  # the model, "" where it is not known
    cores: int
    started_ns: int  # CLOCK_MONOTONIC: what the times of examples and processes are counted from


def build(run: Run) -> Report:
    """Return the report of a run."""
    walk = walk_of(run.nodes)
    calls = by_name(run.nodes, walk)
    watched_processes = sum(bool(process.python) for process in run.processes)
    rows = transactions(run.nodes, run.examples, watched_processes, walk)
    groups = fold(run.watched, {node.target for node in run.nodes} | _telling(run))
    in_flight = sorted(run.in_flight, key=lambda call: -call.since_ns)
    return Report(
        header=_header(run),
        kinds=by_kind(calls),
        calls=calls,
        transactions=rows,
        findings=findings(rows, failing(calls, run.series), run.interval_ns, run.project),
        nodes=run.nodes,
        processes=sorted(run.processes, key=lambda process: (process.pid != run.main_pid, process.started_ns, process.pid)),
        watched=run.watched,
        groups=groups,
        blind_spots=run.blind_spots,
        in_flight=in_flight,
        still_running=run.still_running,
        nothing=[] if calls else notes.nothing(run, groups),
        notes=notes.remarks(run, calls),
        next=notes.next_commands(run, recorded=bool(calls)),
        series=run.series,
        interval_ns=run.interval_ns,
        samples=run.samples,
        settings=run.settings,
        config=run.config,
        cpu=run.cpu,
        cores=run.cores,
        started_ns=run.started_ns,
    )


def _telling(run: Run) -> set[str]:
    """Return the targets that only tell names, statuses and ends of something: they have no calls of their own."""
    marks = [watch for watch in run.plan if not watch.get("entry") and (watch.get("entry_name") or watch.get("entry_status"))]
    told = [(watch, call) for watch in marks for call in watch["calls"]]
    told += [(watch, call) for watch in run.plan for call in watch.get("until", ())]
    return {f"{watch['module']}:{call}" for watch, call in told}


def _header(run: Run) -> Header:
    cpu_ns = sum(process.cpu_ns for process in run.processes)
    whole_ns = cpu_ns or run.duration_ns
    return Header(
        id=run.id,
        name=run.name,
        command=run.command,
        project=run.project,
        started_at=run.started_at,
        state=run.state,
        duration_ns=run.duration_ns,
        exit_code=run.exit_code,
        python=run.python,
        hookmon=run.hookmon,
        engine=run.engine,
        main_pid=run.main_pid,
        cpu_ns=cpu_ns,
        overhead_ns=run.overhead_ns,
        overhead_share=run.overhead_ns / whole_ns if whole_ns else 0.0,
        call_cost_ns=run.call_cost_ns,
        step_cost_ns=run.step_cost_ns,
        unnamed_calls=run.unnamed_calls,
    )
