"""Measures what one watched call costs here: `python -m hookmon.probe.calibrate WRAPT_FOLDER CLOCK_SOURCE` prints it as JSON.

Runs in a process of its own, with the interpreter that the program ran on. The smallest of several rounds counts: noise only
ever adds. Writes to a shard in a private folder that it removes.
"""

from __future__ import annotations

import sys
import tempfile
from time import perf_counter_ns

from hookmon.probe import engine, recorder
from hookmon.probe.target import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROUNDS = 30
_CALLS = 1_000


def main() -> None:
    """Print {"call_ns": …, "step_ns": …}: what a plain call and one step of a generator cost more than unwatched."""
    recorder.wrapt_folder = sys.argv[1] if len(sys.argv) > 1 else ""
    engine.use_clock(sys.argv[2] if len(sys.argv) > 2 else "")
    from hookmon.probe.stand_ins import stand_in

    def nothing() -> None:
        return

    def count(end: int) -> Iterator[int]:
        yield from range(end)

    with tempfile.TemporaryDirectory(prefix="hookmon-") as folder:
        recorder.start(folder, "calibration")
        target = Target("calibration:nothing", "function", "", "", False)
        timed = stand_in(nothing, target, "", is_method=False)
        timed_count = stand_in(count, target, "", is_method=False)

        def call(function: Callable[[], None]) -> float:
            started_ns = perf_counter_ns()
            for _ in range(_CALLS):
                function()
            return (perf_counter_ns() - started_ns) / _CALLS

        def walk(function: Callable[[int], Iterator[int]]) -> float:
            started_ns = perf_counter_ns()
            for _ in function(_CALLS):
                pass
            return (perf_counter_ns() - started_ns) / _CALLS

        call_ns = min(call(timed) for _ in range(_ROUNDS)) - min(call(nothing) for _ in range(_ROUNDS))
        step_ns = min(walk(timed_count) for _ in range(_ROUNDS)) - min(walk(count) for _ in range(_ROUNDS))
    sys.stdout.write(f'{{"call_ns": {max(call_ns, 0):.1f}, "step_ns": {max(step_ns, 0):.1f}}}\n')


if __name__ == "__main__":
    main()
