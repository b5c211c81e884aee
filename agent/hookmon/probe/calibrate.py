"""Measures what hookmon costs here: `python -m hookmon.probe.calibrate WRAPT_FOLDER CLOCK_SOURCE ENGINE...` prints it as JSON.

An ENGINE is one that was built into the user's cache: ending of extension modules, size and path, with "=" between them.

Runs in a process of its own, with the interpreter that the program ran on. The shortest of several rounds counts: noise only
adds. Rounds of all kinds take turns for a tenth of a second and more: a processor has slow moments that last longer than a round.
Writes to a shard in a private folder that it removes.
"""

from __future__ import annotations

import sys
import tempfile
from time import perf_counter_ns

vars(sys.modules["hookmon.probe"])["built_engines"] = {
    suffix: (path, int(size), "") for suffix, size, path in (word.split("=", 2) for word in sys.argv[3:])
}
from hookmon.core import layout  # noqa: E402
from hookmon.probe import engine  # noqa: E402  (which asks for those)
from hookmon.probe.base.target import Target  # noqa: E402
from hookmon.probe.recording import recorder  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from hookmon.probe.base.shapes import Function

_ROUNDS = 60
_CALLS = 100  # a round is over before another process gets its turn
_FEW = 20  # the same, squared
_FURTHER_NS = 1 << 33  # a duration whose octave no place of theirs has


def main() -> None:
    """Print as JSON what each kind of event costs in addition, in nanoseconds; and `pace_ns`, the pace at which that was.

    `call_ns` is a plain call, `step_ns` a step of a generator, `made_ns` a generator or coroutine from its making to its end,
    `traced_ns` what a call inside a transaction adds, `sited_ns` what it adds to know the line that calls, `transaction_ns` a
    transaction, `place_ns` what a new place with its first octave takes that is not charged where it is made, `octave_ns` the
    same of a further octave. These are of wrappers; with `event_` or `slot_` before them, of functions that are watched by their
    code. Where an interpreter has no such way, it has the price of a wrapper.
    """
    recorder.wrapt_folder = sys.argv[1] if len(sys.argv) > 1 else ""
    engine.use_clock(sys.argv[2] if len(sys.argv) > 2 else "")
    from hookmon.probe.recording.overhead import charge_places, pace_ns

    charge_places()  # before the engine is given what makes them
    from hookmon.probe.wrappers.make import stand_in

    def nothing() -> None:
        return

    def count(end: int) -> Iterator[int]:
        yield from range(end)

    async def wait() -> None:
        return

    def inside(function: Callable[[], None], times: int) -> None:
        for _ in range(times):
            function()

    def repeat(body: Callable[[Callable[[], None], int], None], function: Callable[[], None], times: int) -> None:
        for _ in range(_FEW):
            body(function, times)

    def watch(function: Function, kind: str = "function", *, entry: bool = False, template: str = "") -> Any:
        return stand_in(function, Target(f"calibration:{kind}", kind, "", "", False, entry=entry), template, is_method=False)

    def call(function: Callable[[], None]) -> None:
        for _ in range(_CALLS):
            function()

    def walk(function: Callable[[int], Iterator[int]], end: int, times: int) -> None:
        for _ in range(times):
            for _ in function(end):
                pass

    def drive(function: Callable[[], Coroutine[None, None, None]]) -> None:
        for _ in range(_CALLS):
            try:
                function().send(None)
            except StopIteration:
                pass

    def rounds_of(way: str, one: Any, many: Any, later: Any) -> dict[str, Callable[[], None]]:
        return {
            f"{way}call": lambda: call(one),
            f"{way}walk": lambda: walk(many, _CALLS, 1),
            f"{way}generators": lambda: walk(many, 1, _CALLS),
            f"{way}coroutines": lambda: drive(later),
        }

    with tempfile.TemporaryDirectory(prefix="hookmon-") as folder:
        recorder.start(folder, "calibration")
        timed, timed_count, timed_wait, query = (
            watch(nothing),
            watch(count),
            watch(wait),
            watch(nothing, "sql"),
        )
        task = watch(inside, "task", entry=True)
        plain: dict[str, Callable[[], None]] = {
            "nothing": lambda: call(nothing),
            "bare walk": lambda: walk(count, _CALLS, 1),
            "bare generators": lambda: walk(count, 1, _CALLS),
            "bare coroutines": lambda: drive(wait),
        }
        ways: dict[str, tuple[Any, Any, Any]] = {"": (timed, timed_count, timed_wait)}
        for way, by in (("event_", "code"), ("slot_", "function")):
            ways[way] = tuple(
                _by_code(function, by) or own for function, own in zip((nothing, count, wait), ways[""], strict=True)
            )
        for way, functions in ways.items():
            plain |= rounds_of(way, *functions)
        best = _places(watch)
        best |= _turns(plain, pace_ns)
        first_pace = best["pace"]
        best |= _turns(  # last: from the first transaction on each call at the root of its lane asks for one
            {
                "bare tasks": lambda: repeat(inside, nothing, _FEW),
                "empty tasks": lambda: repeat(task, nothing, 0),
                "tasks": lambda: repeat(task, timed, _FEW),
                "queries": lambda: repeat(task, query, _FEW),
            },
            pace_ns,
        )
    price: dict[str, float] = {}
    for way in ways:
        of_one_ns = (best[f"{way}generators"] - best["bare generators"]) / _CALLS  # made, one step, and the step that ends it
        step_ns = (best[f"{way}walk"] - best["bare walk"] - of_one_ns) / (_CALLS - 1)
        price |= {
            f"{way}call_ns": (best[f"{way}call"] - best["nothing"]) / _CALLS,
            f"{way}step_ns": step_ns,
            f"{way}generator_ns": of_one_ns - 2 * step_ns,
            f"{way}coroutine_ns": (best[f"{way}coroutines"] - best["bare coroutines"]) / _CALLS - step_ns,
        }
    call_ns = price["call_ns"]
    bodies_ns = best["bare tasks"] / _FEW
    traced_ns = (best["tasks"] - best["empty tasks"]) / _FEW / _FEW - bodies_ns / _FEW - call_ns
    sited_ns = (best["queries"] - best["tasks"]) / _FEW / _FEW
    price |= {
        "traced_ns": traced_ns,
        "sited_ns": sited_ns,
        "transaction_ns": best["empty tasks"] / _FEW,
        "place_ns": best["places"] / _CALLS,
        "octave_ns": best["octaves"] / _CALLS,
        "pace_ns": min(first_pace, best["pace"]),
    }
    sys.stdout.write("{" + ", ".join(f'"{name}": {max(value, 0):.1f}' for name, value in price.items()) + "}\n")


def _by_code(function: Any, by: str) -> Any:
    """Return a copy of a function that is watched by its code, in one of the ways; None where the interpreter has none."""
    from types import FunctionType

    from hookmon.probe.patching import by_code
    from hookmon.probe.wrappers import monitoring

    if by == monitoring.FUNCTION and not monitoring.HAS_SLOTS:
        return None
    copy = FunctionType(function.__code__.replace(co_name=f"{by}_{function.__name__}"), function.__globals__)
    target = Target(f"calibration:{copy.__code__.co_name}", "function", "", "", False)
    way = by_code.watch_function(copy, target, {"span": "", "via": by, "entry": False}, is_method=False)  # type: ignore[typeddict-item]
    return copy if way else None


def _places(watch: Callable[..., Any]) -> dict[str, float]:
    """Return what new places and further octaves take in a round, without what is charged for them, in nanoseconds."""

    def leaf(_: str) -> None:
        return

    def caller() -> None:
        for name in names:
            leaves(name)

    def count() -> None:
        for node in nodes:
            recorder.count_call(node, _FURTHER_NS)

    names = [f"leaf {number}" for number in range(_CALLS)]
    leaves = watch(leaf, template="{arg0}")
    watch(caller)()  # the names are known from then on
    best = dict.fromkeys(("places", "again", "octaves", "octaves again"), 1e18)
    for _ in range(_ROUNDS):
        begin = watch(caller)  # under another target the places are new
        nodes: list[Any] = []
        for first, again, run in (("places", "again", begin), ("octaves", "octaves again", count)):
            best[first] = min(best[first], _uncharged_ns(run))
            best[again] = min(best[again], _uncharged_ns(run), _uncharged_ns(run))
            nodes = recorder.all_nodes()[-_CALLS:]
    return {"places": best["places"] - best["again"], "octaves": best["octaves"] - best["octaves again"]}


def _uncharged_ns(run: Callable[[], None]) -> int:
    """Return how long something takes without what hookmon charges for it where it happens."""
    charged_ns, started_ns = recorder.words[layout.HEADER_OWN_NS], perf_counter_ns()
    run()
    taken_ns = perf_counter_ns() - started_ns
    return taken_ns - (recorder.words[layout.HEADER_OWN_NS] - charged_ns)


def _turns(bodies: dict[str, Callable[[], None]], pace_ns: Callable[[], float]) -> dict[str, float]:
    """Return the shortest duration of each, in nanoseconds, and "pace" of the same moments: the processor changes its own."""
    best = dict.fromkeys((*bodies, "pace"), 1e18)
    for _ in range(_ROUNDS):
        for name, run in bodies.items():
            started_ns = perf_counter_ns()
            run()
            best[name] = min(best[name], perf_counter_ns() - started_ns)
        best["pace"] = min(best["pace"], pace_ns())
    return best


if __name__ == "__main__":
    main()
