"""A window of a service as a Run: what reports, diffs and checks are made of.

In: the store, the name of a service, and two moments. Out: a Run whose call tree is that of `places`: transactions, and the
calls in them with their lines. What starts that go on have counted since they last wrote is read from their shards.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from hookmon.collector.examples import LiveExample
from hookmon.collector.identity import memory_of
from hookmon.collector.rows import BlindSpot, Process, Status
from hookmon.collector.store import Run, RunFile
from hookmon.core.errors import RunFileError
from hookmon.services import places
from hookmon.services.clock import MINUTE_S, Clock
from hookmon.services.courses import interval_s, samples_of, series_of
from hookmon.services.examples import ExampleText, add_to, examples_of, pick
from hookmon.services.off import Stretch as Switching
from hookmon.services.off import blind_spots, stretches_of, unpack_stretches
from hookmon.services.places import PEAKS, SUMS, Counts, Places
from hookmon.services.reading import Start, Stretch, starts, stretch
from hookmon.services.recovery import Whole, is_attended, look
from hookmon.services.store import ServiceStore
from hookmon.services.writing import About

_OF_THE_MACHINE = ("places", "engine", "host", "cpu", "cores", "options", "config")


def window(
    store: ServiceStore,
    service: str,
    since_s: float,
    until_s: float,
    *,
    clock: Clock | None = None,
    with_running: bool = True,
) -> Run:
    """Return a window of a service as a Run, from the minute of `since_s` to that of `until_s`, in seconds since 1970.

    `since_s`, `until_s`, `started_at` and `duration_ns` of the run say what it covers really: whole minutes, whole hours where
    the minutes were dropped, and never more than until now. `name` and `service` are the service's; `command` and `version`
    those of its last start in the window. There is a row of `processes` for each start. `started_ns` is 0: examples count
    from `started_at` on. `state` is "finished", `exit_code` None, and `id` 0, for no run file is meant. What was dropped of
    the service is a blind spot of the kind "history". Series and samples are by minute, or by hour, as far as they are written.

    With `with_running`, what starts that have not ended have counted since they last wrote is added, where it falls into the
    window; that takes a look at their processes. Raises StoreError where there is no such service, or the store cannot be read.
    """
    now_s = (clock or Clock()).now_s()
    whole = stretch(store, service, since_s, until_s)
    known = starts(store, service, whole.since_s, max(whole.until_s, until_s))
    tree = Places()
    numbers = tree.numbers_of(whole.places)
    counts: dict[int, Counts] = {}
    for number, own in whole.counts.items():
        if number in numbers:
            counts.setdefault(numbers[number], Counts()).add(own)
    kept = examples_of(store, service, whole.since_s, min(whole.until_s, until_s))
    ends_s = [float(whole.until_s)]
    switched: dict[int, list[Switching]] = {}
    for start in known if with_running else ():
        if until_s <= start.seen_s <= now_s:
            continue  # all that it counted until then is written; what it counts now belongs to a later minute
        found = _rest(service, start, whole, until_s, now_s)
        if found is None or not whole.since_s <= found.at_s < max(until_s, whole.until_s) + MINUTE_S:
            continue
        ends_s.append(found.at_s)
        start.python = start.python or found.run.python
        start.pid = start.pid or found.run.main_pid
        switched[start.id] = stretches_of(Path(found.run.run_folder)) or unpack_stretches(start.switched)
        whole.rss_bytes[start.id] = max(whole.rss_bytes.get(start.id, 0), _rss_bytes(found))
        totals = {numbers[at]: own for at, own in whole.totals.get(start.id, {}).items() if at in numbers}
        calls = _add_rest(counts, tree, found, totals)
        whole.calls[start.id] = whole.calls.get(start.id, 0) + calls
        cpu_ns = found.run.total("cpu_ns") - whole.used_ns.get(start.id, 0)
        whole.cpu_ns[start.id] = whole.cpu_ns.get(start.id, 0) + max(0, cpu_ns)
        kept += _examples_of_rest(found, start, whole.since_s)
    end_s = min(now_s, max(ends_s))
    run = _run_of(service, known, whole.since_s, end_s)
    _set_tree(run, tree, counts)
    add_to(run, kept)
    run.processes = [_process_of(start, whole, end_s) for start in known]
    every_s = interval_s(whole.since_s, whole.until_s, whole.pieces)
    run.interval_ns = every_s * 10**9
    run.series = series_of(whole.since_s, every_s, whole.pieces, whole.places)
    run.samples = samples_of(whole.since_s, whole.pieces, {start.id: start.pid for start in known})
    run.more = {"cpu_ns": whole.cpu_ns.get(0, 0)}
    run.launcher_cpu_ns = whole.launcher_cpu_ns
    run.blind_spots = [BlindSpot("history", line) for line in whole.limits]
    stretches = [row for start in known for row in switched.get(start.id, unpack_stretches(start.switched))]
    run.blind_spots += blind_spots(stretches, whole.since_s, end_s, now_s)
    if known:
        _describe_machine(run, known[-1])
    return run


def _describe_machine(run: Run, last: Start) -> None:
    """Take over what no minute has and the run file of the last start knows, as long as it is kept."""
    with suppress(RunFileError):
        head = RunFile(last.run_file).head()
        if head.run_key == last.key:
            for name in _OF_THE_MACHINE:
                setattr(run, name, getattr(head, name))


def _rest(service: str, start: Start, whole: Stretch, until_s: float, now_s: float) -> Whole | None:
    """Return a start that has not ended, as it is now; None where the window has all of it that it can have."""
    if start.id not in whole.totals:
        return None
    about = About(
        service,
        start.key,
        str(start.run_file),
        start.command,
        start.version,
        start.project,
        start.hookmon,
        start.machine,
        start.started_s,
    )
    if until_s < now_s - 2 * MINUTE_S and is_attended(about):
        return None  # it is there minute by minute
    return look(about)


def _add_rest(counts: dict[int, Counts], tree: Places, found: Whole, totals: dict[int, Counts]) -> int:
    """Add what a start has counted since it last wrote; return how many transactions that are."""
    now = dict(enumerate(tree.count([(found.run.nodes, found.run.statuses)])))
    for number in now.keys() | totals.keys():
        new = now.get(number, Counts()).since(totals.get(number, Counts()))
        if not new.is_nothing():
            counts.setdefault(number, Counts()).add(new)
    of_all = now[0].since(totals.get(0, Counts()))
    return max(0, of_all.sums[0])


def _rss_bytes(found: Whole) -> int:
    """Return the memory of the processes of a start that run, 0 where they are not to be seen."""
    rss_bytes = 0
    for row in found.run.processes if found.is_local else ():
        if row.state == "running":
            with suppress(OSError):
                rss_bytes += memory_of(row.pid)
    return rss_bytes


def _examples_of_rest(found: Whole, start: Start, since_s: float) -> list[ExampleText]:
    """Return the examples of a run that no minute has yet."""
    first_ns = max(since_s, start.seen_s) * 1e9
    rows = (row for row in found.run.examples if row.started_at_ns + row.duration_ns > first_ns)
    return pick(LiveExample(row, found.run.nodes) for row in rows)


def _run_of(service: str, known: list[Start], since_s: float, until_s: float) -> Run:
    last = known[-1] if known else None
    return Run(
        id=0,
        name=service,
        service=service,
        version=last.version if last else "",
        command=last.command if last else [],
        started_at=datetime.fromtimestamp(since_s).astimezone().isoformat(timespec="milliseconds"),
        hookmon=last.hookmon if last else "",
        project=last.project if last else "",
        main_pid=last.pid if last else 0,
        state="finished",
        duration_ns=max(0, round((until_s - since_s) * 1e9)),
        python=last.python if last else "",
        since_s=float(since_s),
        until_s=float(until_s),
    )


def _set_tree(run: Run, tree: Places, counts: dict[int, Counts]) -> None:
    """Make nodes and statuses of counts by place. What is less than nothing is nothing: its calls are elsewhere by now."""
    indices: dict[int, int] = {}
    for number, place in enumerate(tree.rows):
        own = counts.get(number) or Counts()
        if place.kind == places.WHOLE:
            continue
        if place.kind == places.STATUS:
            if own.sums[0] > 0 and place.parent in indices:
                run.statuses.append(_status_of(indices[place.parent], place.name, own))
            continue
        indices[number] = len(run.nodes)
        node = places.node_of(indices.get(place.parent, -1), place)
        for name, value in zip(SUMS, own.sums, strict=True):
            setattr(node, name, max(0, value))
        for name, value in zip(PEAKS, own.peaks, strict=True):
            setattr(node, name, value if name != "given_up" else bool(value))
        node.min_ns = own.min_ns
        node.buckets = {bucket: calls for bucket, calls in own.buckets.items() if calls > 0}
        run.nodes.append(node)


def _status_of(node: int, status: str, own: Counts) -> Status:
    sums = dict(zip(SUMS, (max(0, value) for value in own.sums), strict=True))
    return Status(
        node,
        int(status) if status.isdecimal() else 0,
        calls=sums["calls"],
        errors=sums["errors"],
        interrupted=sums["interrupted"],
        untimed=sums["untimed"],
        total_ns=sums["total_ns"],
        min_ns=own.min_ns,
        max_ns=own.peaks[0],
        buckets={bucket: calls for bucket, calls in own.buckets.items() if calls > 0},
    )


def _process_of(start: Start, whole: Stretch, end_s: float) -> Process:
    """Return one start as a row of processes. What hours have is of all starts together, and stands in the run's `more`."""
    began_s, ended_s = max(start.started_s, whole.since_s), min(start.ended_s or end_s, end_s)
    state = "running" if start.ended_s is None else "killed" if (start.exit_code or 0) < 0 else "exited"
    return Process(
        start.pid,
        0,
        start.command,
        python=start.python,
        state=state if start.exit_code is not None or state == "running" else "gone",
        exit_code=start.exit_code,
        started_ns=round((start.started_s - whole.since_s) * 1e9),
        duration_ns=max(0, round((ended_s - began_s) * 1e9)),
        calls=whole.calls.get(start.id, 0),
        cpu_ns=whole.cpu_ns.get(start.id, 0),
        rss_max_bytes=whole.rss_bytes.get(start.id, 0),
    )
