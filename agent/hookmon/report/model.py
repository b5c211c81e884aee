"""The report as plain data: everything that a format shows, and nothing of how it shows it."""

from __future__ import annotations

from collections.abc import Iterable

from hookmon.collector.counters import Walk, by_status, walk_of
from hookmon.collector.store import BlindSpot, CallSeries, InFlight, Node, Process, Run, Sample, Watched, no_collection
from hookmon.core.globs import is_glob
from hookmon.core.plan import IMPORT, OWN
from hookmon.core.record import Record
from hookmon.report import notes
from hookmon.report.account import Account, account_of
from hookmon.report.calls import CallRow, KindRow, by_kind, by_name, merge_alike
from hookmon.report.findings import Finding, failing_series, findings
from hookmon.report.imports import ImportRow, imports
from hookmon.report.load import cpu_ns
from hookmon.report.own import Own, own_of
from hookmon.report.samples import Branch, Sampling, branches, sampling
from hookmon.report.signals import SignalRow, signal_rows
from hookmon.report.statuses import by_name as by_name_and_status
from hookmon.report.texts import location
from hookmon.report.titles import window_of
from hookmon.report.transactions import TransactionRow, transactions
from hookmon.report.watches import WatchGroup, fold

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_SHORT_RUN_NS = 60_000_000_000


class Header(Record, slots=True):
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
    processes: int  # how many there were; of very many not all have a row
    cpu_ns: int  # of all processes
    overhead_ns: int
    launcher_cpu_ns: int
    overhead_share: float
    call_cost_ns: float
    step_cost_ns: float
    unnamed_calls: int
    launcher_rss_max_bytes: int = 0  # of `hookmon run` itself; 0: not known, as in the run files of 0.1
    attached_after_ns: int = 0  # how long the program had run when hookmon was attached to it, 0 where that started it
    service: str = ""  # of which this is a run, or a window
    version: str = ""
    window: str = ""  # of a window of a service: the time that it covers, local; "" for a run

    @property
    def overhead_is_known(self) -> bool:
        """Say whether there was a launcher at the end that could find out."""
        return self.state == "finished" and not self.window

    @property
    def ending(self) -> str:
        """What stands for an exit code that is not known."""
        if self.state == "running":
            return "still running"
        return "attached while it ran" if self.attached_after_ns else "exit code unknown"


class Report(Record, slots=True):
    """One run, ready to be shown."""

    header: Header
    account: Account | None  # of the time, None where nothing is known of it
    kinds: list[KindRow]  # most self time first
    calls: list[CallRow]  # most self time first
    names: list[CallRow]  # the same for readers, who cannot tell the targets of one name apart; imports have their own table
    own: Own | None  # of a run with --own
    transactions: list[TransactionRow]  # most time first, the rest of the program last
    findings: list[Finding]  # the worst first
    signals: list[SignalRow]  # what was measured that is no call, by name
    imports: list[ImportRow]  # as a tree, where they were asked for
    sampling: Sampling  # where it computed, by samples: no counts
    branches: list[Branch]  # the sampled stacks as a tree
    nodes: list[Node]  # for `calls.tree`, which only some formats need and which takes as long as all the rest
    walk: Walk  # of the nodes
    processes: list[Process]  # the main process first, then as they were started; of very many, those with the most calls
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


@no_collection()
def build(run: Run) -> Report:
    """Return the report of a run."""
    walk = walk_of(run.nodes)
    calls = by_name(run.nodes, walk)
    for row in calls:
        row.location = location(run.places.get(row.target, ""), run.project)
    of_program = [row for row in calls if row.kind not in (IMPORT, OWN)]
    names = merge_alike(of_program, run.nodes)
    rows = transactions(run.nodes, run.examples, watched_processes(run), walk)
    statuses = by_name_and_status(by_status(run.nodes, run.statuses))
    for transaction in rows:
        transaction.statuses = statuses.get((transaction.name, transaction.kind), [])
    naming = _naming_targets(run)
    own = {row.target for row in run.watched if not row.pack}
    groups = fold(run.watched, {node.target for node in run.nodes} | _ending_targets(run) | (naming & own), naming)
    in_flight = sorted(run.in_flight, key=lambda call: -call.since_ns)
    of_own = own_of(run, walk)
    inner = (
        {text for row in of_own.functions for text in (row.target, row.name)} if of_own is not None else set()
    )  # how they end is between themselves
    told = [row for row in of_program if row.target not in inner]
    found = [
        finding
        for finding in findings(rows, failing_series(told, run.series), run.interval_ns, run.project, time_at_work(run, rows))
        if finding.kind != "errors" or finding.call not in inner
    ]
    return Report(
        header=_header(run),
        account=account_of(run),
        kinds=by_kind(run.nodes),
        calls=calls,
        names=names,
        own=of_own,
        transactions=rows,
        findings=found,
        signals=signal_rows(run.signals, run.project),
        imports=imports(run.nodes),
        sampling=sampling(run),
        branches=branches(run),
        nodes=run.nodes,
        walk=walk,
        processes=sorted(run.processes, key=lambda process: (process.pid != run.main_pid, process.started_ns, process.pid)),
        watched=run.watched,
        groups=groups,
        blind_spots=run.blind_spots,
        in_flight=in_flight,
        still_running=run.still_running,
        nothing=[] if calls else notes.reasons_for_nothing(run, groups),
        notes=notes.remarks(run, of_program, [row for row in names if row.target not in inner]),
        next=notes.next_commands(run, recorded=bool(calls), finding=found[0].id if found else ""),
        series=run.series,
        interval_ns=run.interval_ns,
        samples=run.samples,
        settings=run.settings,
        config=run.config,
        cpu=run.cpu,
        cores=run.cores,
        started_ns=run.started_ns,
    )


def time_at_work(run: Run, rows: list[TransactionRow]) -> int:
    """Return what the time of a finding is held against: what the run recorded, or used of the CPU; of a short run all of it.

    A server waits for its requests for hours; that makes none of them faster.
    """
    recorded_ns = sum(row.figures.total_ns for row in rows)
    return max(recorded_ns, cpu_ns(run), min(run.duration_ns, _SHORT_RUN_NS))


def watched_processes(run: Run) -> int:
    """Return how many processes the probe was in."""
    return run.more.get("watched", 0) + sum(bool(process.python) for process in run.processes)


def _naming_targets(run: Run) -> set[str]:
    """Return the targets that only tell names and statuses of transactions: they have no calls of their own."""
    return _targets(run, (watch for watch in run.plan if not watch.get("entry") and _tells(watch)))


def _tells(watch: dict[str, Any]) -> bool:
    of_requests = watch.get("kind") == "request" and watch.get("adapter")
    return bool(watch.get("entry_name") or watch.get("entry_status") or of_requests)


def _ending_targets(run: Run) -> set[str]:
    """Return the targets that end what another function begins."""
    return _targets(run, run.plan, "until")


def _targets(run: Run, watches: Iterable[dict[str, Any]], key: str = "calls") -> set[str]:
    """Return the targets of some watches; those of watches of several modules as they were found in modules."""
    asked = [(watch, call) for watch in watches for call in watch.get(key, ())]
    wide = {(watch["source"], call) for watch, call in asked if watch.get("files") or is_glob(watch["module"])}
    found = {row.target for row in run.watched if wide and (row.source, row.target.partition(":")[2]) in wide}
    return found | {f"{watch['module']}:{call}" for watch, call in asked}


def _header(run: Run) -> Header:
    used_ns = cpu_ns(run)
    whole_ns = used_ns or run.duration_ns
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
        processes=len(run.processes) + run.more.get("processes", 0),
        cpu_ns=used_ns,
        overhead_ns=run.overhead_ns,
        launcher_cpu_ns=run.launcher_cpu_ns,
        launcher_rss_max_bytes=run.launcher_rss_max_bytes,
        overhead_share=run.overhead_ns / whole_ns if whole_ns else 0.0,
        call_cost_ns=run.call_cost_ns,
        step_cost_ns=run.step_cost_ns,
        unnamed_calls=run.unnamed_calls,
        attached_after_ns=run.attached_after_ns,
        service=run.service,
        version=run.version,
        window=window_of(run),
    )
