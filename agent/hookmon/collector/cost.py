"""What hookmon itself cost the program: what it took by its own clock, and the price of each event times their number.

In: what each process counted, and the interpreter that it ran on. Out: the run's overhead. Setting up, patching and new places of
the call tree are timed where they happen; what that leaves out of a place has a price. What happens at each call is too short for
that: its price is measured in a process of that interpreter with the engine at work, once for each interpreter and version, and
kept in the user's cache folder. A processor has more than one pace, so the price is scaled by what a call that does nothing took
then and in the run.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import log
from pathlib import Path

from hookmon.collector import engines, launch, places
from hookmon.collector.node_rows import NodeRows
from hookmon.collector.records import RawNode
from hookmon.collector.shards import ShardData
from hookmon.collector.store import Run
from hookmon.core import layout
from hookmon.core.histogram import SUB_BUCKETS

_OF_CALLS = ("call", "step", "generator", "coroutine")
_BY_EVENTS, _BY_SLOT = "event_", "slot_"
_EVENTS = (
    *_OF_CALLS,
    *(_BY_EVENTS + name for name in _OF_CALLS),
    *(_BY_SLOT + name for name in _OF_CALLS),
    "traced",
    "sited",
    "transaction",
)
"""What has a price: `NAME_ns` of probe.calibrate. A call costs what the way costs in which its function is watched."""

_MADE = ("place", "octave")
"""What has a price for what is not charged where it is made: places with their first octaves, and further octaves."""

_FALLBACK = {f"{event}_ns": 1_000.0 for event in (*_EVENTS, *_MADE)} | {"pace_ns": 0.0}
_PRICES = 5  # how they are measured: what was kept before is of another way
_TIMEOUT_S = 20
_UNTIMED_SAVES = 0.5
"""Share of a call's price that a call does not cost which is only counted (measured: 0.6 compiled, 0.5 pure)."""
_AFTER = 0.1
"""Share of what set-up and places took that they take later, of the garbage collector and when they are taken down at the end.

Measured in instructions: 0.06 for places of the call tree, 0.2 for the set-up."""
_MANY, _DEARER = 300, 0.6
"""Where calls are spread over so many places, each costs so much more than at the one place at which prices are measured.

The places push each other, and what the program works on, out of the processor's caches, and no branch is foreseen (measured: 0.3
to 0.5 of functions that do nothing, and up to 0.8 of programs)."""
_WIDEST = 4.0
"""How far apart two paces may be: further is no processor's, but a look that was interrupted."""

Work = dict[str, Counter[str]]
"""By engine: how often each event happened, `own_ns`, and `looks` and `paces_ps` by which the events are scaled."""


def add_work(work: Work, data: ShardData) -> None:
    """Add what one process did."""
    done = work.setdefault(data.engine or "pure", Counter())
    done["own_ns"] += data.own_ns
    before = sum(done[event] for event in _EVENTS)
    by_node = _add_compiled(done, data.nodes) if isinstance(data.nodes, NodeRows) else _add_nodes(done, data.nodes)
    events = sum(done[event] for event in _EVENTS) - before
    done["spread"] += round(events * _spread(by_node))
    if data.pace_ps:
        done["looks"] += events
        done["paces_ps"] += events * data.pace_ps


def _add_nodes(done: Counter[str], nodes: Sequence[RawNode]) -> list[int]:
    """Add the events of some nodes; return how many each had."""
    traced: list[bool] = []
    for node in nodes:
        inside = node.parent >= 0 and traced[node.parent] and not node.flags & layout.FLAG_AFTER
        is_transaction = bool(node.flags & layout.FLAG_ENTRY) and not inside
        traced.append(inside or is_transaction)
        calls = node.calls
        way = _BY_EVENTS if node.flags & layout.FLAG_BY_EVENTS else _BY_SLOT if node.flags & layout.FLAG_BY_SLOT else ""
        done[f"{way}step"] += node.steps
        done["transaction"] += calls * is_transaction
        done["traced"] += calls * inside
        done["sited"] += calls * bool(node.flags & layout.FLAG_SITED)
        if not node.steps:
            done[f"{way}call"] += round(calls - node.untimed * _UNTIMED_SAVES)
        else:
            done[way + ("coroutine" if node.flags & layout.FLAG_COROUTINE else "generator")] += calls
    done["place"] += len(nodes)
    done["octave"] += sum(_further_octaves(node.buckets) for node in nodes)
    return [node.calls + node.steps for node in nodes]


def _add_compiled(done: Counter[str], nodes: NodeRows) -> list[int]:
    """Do the same with compiled nodes."""
    counts, transactions, traced, sited, octaves, by_node = nodes.compiled.events()
    names = [way + event for way in ("", _BY_EVENTS, _BY_SLOT) for event in _OF_CALLS]
    totals = (*counts, transactions, traced, sited, octaves, len(by_node))
    for event, count in zip((*names, "transaction", "traced", "sited", "octave", "place"), totals, strict=True):
        done[event] += count
    return by_node


def _further_octaves(buckets: Mapping[int, int]) -> int:
    """Return in how many octaves durations lie, without the first one."""
    return len({bucket // SUB_BUCKETS for bucket in buckets}) - 1 if len(buckets) > 1 else 0


def _spread(events: list[int]) -> float:
    """Return how much dearer an event is than the price, by how many of the places have nine tenths of the events."""
    left = 0.9 * sum(events)
    places = 0
    for some in sorted(events, reverse=True):
        if left <= 0:
            break
        left -= some
        places += 1
    return 1 + _DEARER * min(1.0, log(max(1, places)) / log(_MANY))


def add_cost(run: Run, work: Work, interpreter: str) -> None:
    """Set the run's overhead and what it was computed from; zero when nothing was recorded."""
    for engine, done in sorted(work.items(), key=lambda item: sum(item[1][event] for event in _EVENTS)):
        price = _price(interpreter or sys.executable, engine, run.hookmon)
        pace = done["paces_ps"] / done["looks"] / 1000 / price["pace_ns"] if done["looks"] and price["pace_ns"] else 1.0
        pace = min(_WIDEST, max(1 / _WIDEST, pace))
        run.call_cost_ns, run.step_cost_ns = (round(price[name] * pace, 1) for name in ("call_ns", "step_ns"))  # most of all last
        of_calls = sum(done[event] * price[f"{event}_ns"] * pace for event in _EVENTS)
        of_calls *= done["spread"] / max(1, sum(done[event] for event in _EVENTS))
        of_places = sum(done[made] * price[f"{made}_ns"] * pace for made in _MADE)
        run.overhead_ns += round(of_calls + of_places + done["own_ns"] * (1 + _AFTER))


def _price(interpreter: str, engine: str, version: str) -> dict[str, float]:
    cache = places.cache() / "cost.json"
    known: dict[str, dict[str, float]] = {}
    try:
        key = _key(interpreter, engine, version)
    except OSError:
        return _FALLBACK
    try:
        known = json.loads(cache.read_text("utf-8"))
        price = known.get(key)
        if price is not None:
            return {name: float(price[name]) for name in _FALLBACK}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = known if isinstance(known, dict) else {}
    price = _measure(interpreter, engine)
    if price is None:
        return _FALLBACK
    with suppress(OSError):
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = cache.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({**known, key: price}), "utf-8")
        fresh.replace(cache)
    return price


def _key(interpreter: str, engine: str, version: str) -> str:
    """Return what a price is of. Raises OSError when the interpreter is gone."""
    status = os.stat(interpreter)
    return f"{_PRICES} {version} {engine} {launch.clock_source()} {interpreter} {status.st_mtime_ns} {os.uname().nodename}"


def _measure(interpreter: str, engine: str) -> dict[str, float] | None:
    """Run the calibration; None when the interpreter cannot."""
    import subprocess  # the price of an interpreter is remembered

    agent = str(Path(__file__).resolve().parents[2])
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOOKMON", "PYTHON"))}
    environment["PYTHONPATH"] = agent
    environment["HOOKMON_ENGINE"] = engine
    built = [f"{engine.suffix}={engine.size_bytes}={engine.path}" for engine in engines.built() if not engine.problem]
    command = [interpreter, "-m", "hookmon.probe.calibrate", launch.wrapt_folder(), launch.clock_source(), *built]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=True, cwd=agent)
        price = json.loads(done.stdout)
        return {name: float(price[name]) for name in _FALLBACK}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
