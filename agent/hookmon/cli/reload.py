"""`hookmon reload`: has the programs of a run that goes on watch what the configuration says now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon import __version__
from hookmon.cli import _options, _output, _runs
from hookmon.core.errors import HookmonError
from hookmon.core.record import Record, asdict, field

if TYPE_CHECKING:
    from hookmon.collector.additions import Additions, Watch
    from hookmon.collector.live import LiveRun
    from hookmon.collector.shards import ShardData
    from hookmon.config.load import Config

PUT_IN = "put in"
_PACK = "pack "
_MOST_LISTED = 10


@click.command("reload", short_help="Read the configuration again for a running program.")
@click.argument("run", default="", metavar="[RUN|SERVICE]")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for the answers of the processes.",
)
@_output.as_json
def command(run: str, wait: float, as_json: bool) -> int:
    """Read the configuration of a running program again: what it watches more is put in, what it watches no more is taken out.

    RUN is a number, a name, or a process of a run; of a SERVICE it is all that runs; without either the newest run. The file and
    the options are those of `hookmon run`. A process changes its functions at its next watched call or import, without a signal
    or a thread; those that start later have it from their start. What is taken out is off from now on. Told is what was put
    in where, what was not found, and what takes a restart, with the reason: then the exit code is 1, until it is otherwise.
    """
    with _runs.open_running(run) as running:
        results = [_reload(live, wait) for live in running]
    if as_json:
        _output.print_json([asdict(result) for result in results])
    else:
        for result in results:
            for line in result.lines():
                _output.tell(f"hookmon: run {result.run}: {line}")
    return int(any(result.restarts or result.failed or result.missing() for result in results))


class Result(Record):
    """What became of one run. `put_in` has by name what its processes have said: {"put in", "not found", "refused …": pids}."""

    run: int
    taken_out: list[str] = field(default_factory=list)
    back_again: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    put_in: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    late: list[int] = field(default_factory=list)  # processes that have not come to it
    failed: dict[int, str] = field(default_factory=dict)  # those that could not, and why

    def missing(self) -> list[str]:
        """Return the user's targets that could be put in nowhere."""
        return [name for name, said in self.put_in.items() if said and PUT_IN not in said and not name.startswith(_PACK)]

    def lines(self) -> Iterator[str]:
        """Yield it as sentences."""
        if self.taken_out:
            yield f"taken out: {', '.join(self.taken_out)}"
        if self.back_again:
            yield f"back again: {', '.join(self.back_again)}"
        yield from (f"takes a restart: {restart}" for restart in self.restarts)
        for name, said in self.put_in.items():
            told = ", ".join(f"{state} in {_processes(len(pids))}" for state, pids in said.items())
            more = "; a function inside another one takes a restart" if name in self.missing() and "<locals>" in name else ""
            yield f"{name}: {told or 'waits for its module to be imported'}{more}"
        yield from (f"process {pid} takes a restart: {reason}" for pid, reason in self.failed.items())
        if self.late:
            listed = ", ".join(map(str, self.late[:_MOST_LISTED])) + " …" * (len(self.late) > _MOST_LISTED)
            yield f"{_processes(len(self.late))} will change at the next watched call or import: {listed}"
        if not (self.taken_out or self.back_again or self.restarts or self.put_in or self.failed):
            yield "it watches what the configuration says"


def _reload(live: LiveRun, wait_s: float) -> Result:
    """Reload one run."""
    from hookmon.collector import additions
    from hookmon.collector.switches import Switch

    live.look(time.monotonic_ns())  # reads the run's rows
    run, switch = live.run, Switch(live.folder)
    if run.hookmon != __version__:
        raise HookmonError(f"run {run.id} was started by hookmon {run.hookmon}: it takes a restart", code="not-switched")
    config = _load(live)
    known = additions.plan_of(run)
    before, out_before = additions.read(live.folder), list(live.switched.out)
    wanted = [dict(watch.to_plan(0)) for watch in config.watches]
    found = additions.difference(known, wanted, max((watch["id"] for watch in known), default=0) + 1)
    result = Result(run.id, restarts=[*_settings(live, config), *found.restarts])
    if found.added:
        number = before.number + 1
        whole = _whole_plan(live, [*known, *found.added])
        additions.write(live.folder, additions.Additions(number, [*before.watches, *found.added]), whole, _modules(whole))
        switch.tell_plan(number)
    if found.out != out_before:
        switch.take_out(found.out, found.kept)
    result.taken_out = [line for line in found.out if line not in out_before]
    result.back_again = [line for line in out_before if line not in found.out]
    if found.added:
        _wait_for_answers(live, number, found.added, wait_s, result)
        if not result.late:
            switch.end_telling()
    _note_missing(live, before, wanted, result)
    return result


def _load(live: LiveRun) -> Config:
    """Return the configuration with which `hookmon run` was started, as it is now. Raises ConfigError."""
    from hookmon.config.load import load

    run = live.run
    values = _options.parse(run.options)
    if run.config:
        values["config"] = Path(run.config)
    return load(Path(run.project or "."), **values)


def _whole_plan(live: LiveRun, watches: list[dict[str, Any]]) -> dict[str, Any]:
    from hookmon.core import plan

    return {**plan.decode((live.folder / plan.FILE_NAME).read_bytes()), "watches": watches}


def _modules(whole: dict[str, Any]) -> bytes:
    from hookmon.cli import _plan

    return "\n".join(_plan.lines_of_plan(whole)).encode("utf-8", "surrogateescape")


def _settings(live: LiveRun, config: Config) -> list[str]:
    """Return the settings besides watches that are others now, a sentence each."""
    from hookmon.core import plan

    before = plan.decode((live.folder / plan.FILE_NAME).read_bytes())
    now = {**config.root, "redact": config.redact, "max_overhead": config.max_overhead}
    changed = [key for key in now if key in before and _differ(before[key], now[key])]
    return [f"{key} is {now[key]!r} now, and was {before[key]!r}" for key in changed]


def _differ(before: object, now: object) -> bool:
    return list(before) != list(now) if isinstance(before, list | tuple) and isinstance(now, list | tuple) else before != now


def _wait_for_answers(live: LiveRun, number: int, added: list[Watch], wait_s: float, result: Result) -> None:
    """Wait for the processes, and note what became of what was put in."""
    end = time.monotonic() + wait_s
    while True:
        there, answered, said = _answers(live, number, {watch["id"] for watch in added}, result)
        if not there - answered or time.monotonic() >= end:
            break
        time.sleep(0.05)
    result.put_in |= _states(added, said)
    result.late = sorted(there - answered)


def _note_missing(live: LiveRun, before: Additions, wanted: list[Watch], result: Result) -> None:
    """Note what an earlier reload could put in nowhere, and which processes could not take it, as long as it is wanted."""
    calls = {(watch["module"], call) for watch in wanted for call in watch["calls"]}
    added = [
        {**watch, "calls": [call]} for watch in before.watches for call in watch["calls"] if (watch["module"], call) in calls
    ]
    if added:
        _, _, said = _answers(live, before.number, {watch["id"] for watch in added}, result)
        result.put_in |= {name: states for name, states in _states(added, said).items() if states and PUT_IN not in states}


def _states(watches: list[Watch], said: dict[str, dict[str, set[int]]]) -> dict[str, dict[str, list[int]]]:
    """Return {name: {what became of it: processes}} of all targets of these watches, and of their packs."""
    states: dict[str, dict[str, list[int]]] = {}
    for name, paths in _by_name(watches).items():
        known: dict[str, set[int]] = {}
        for path in paths:
            for state, pids in said.get(path, {}).items():
                known[state] = known.get(state, set()) | pids
        states[name] = {state: sorted(pids) for state, pids in known.items()}
    return states


def _by_name(watches: list[Watch]) -> dict[str, list[str]]:
    """Return the targets that are put in: one by one those of the user, together those of a pack."""
    names: dict[str, list[str]] = {}
    for watch in watches:
        for call in watch["calls"]:
            path = f"{watch['module']}:{call}"
            names.setdefault(f"{_PACK}{watch['pack']}" if watch["pack"] else path, []).append(path)
    return names


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _answers(
    live: LiveRun, number: int, ids: set[int], result: Result
) -> tuple[set[int], set[int], dict[str, dict[str, set[int]]]]:
    """Return the processes that record, those that have taken an addition, and {target: {what became of it: processes}}."""
    from hookmon.core import layout

    words = {layout.TARGET_ACTIVE: PUT_IN, layout.TARGET_NOT_FOUND: "not found", layout.TARGET_REFUSED: "refused"}
    there, answered = set(), set()
    said: dict[str, dict[str, set[int]]] = {}
    for data in _shards(live):
        there.add(data.pid)
        for kind, detail in data.notes:
            taken, _, reason = detail.partition(" ")
            if kind == layout.NOTE_PLAN and taken == str(number):
                answered.add(data.pid)
                if reason:
                    result.failed[data.pid] = reason
        for (watch, target), (status, detail) in data.watches.items():
            if watch in ids:
                state = words.get(status, "not found")
                if status == layout.TARGET_REFUSED:
                    state += f" ({detail})"
                said.setdefault(target, {}).setdefault(state, set()).add(data.pid)
    return there, answered, said


def _shards(live: LiveRun) -> list[ShardData]:
    """Read the shards of the processes that run."""
    from hookmon.collector import run_folder
    from hookmon.collector.shards import ShardReader
    from hookmon.core import layout
    from hookmon.core.errors import ShardError

    alive = {process.pid for process in live.look(time.monotonic_ns()).processes}
    found = []
    with suppress(OSError):
        for name in run_folder.files_of(live.folder):
            if name.endswith(layout.SHARD_SUFFIX):
                with suppress(ShardError):
                    reader = ShardReader(live.folder / name)
                    try:
                        found.append(reader.read())
                    finally:
                        reader.close()
    return [data for data in found if data.pid in alive]
