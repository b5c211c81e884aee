"""What ten nested calls add, one being 1, in time: `python -m benchmarks.nested`.

Beside the compiled engine stands `functools.partial`, a wrapper in C that does nothing: what it adds to a call of Python is what
any wrapper in C adds, the interpreter's second evaluation loop. In instructions: `benchmarks/instructions.py function nested`.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from benchmarks import limits

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 9
BATCHES = 1500


def main() -> None:
    """Measure in some processes and print the medians, or, in one of them, print what it found."""
    if len(sys.argv) > 1:
        print(*_measure_added(*sys.argv[1:]))
        return
    environment = {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}:{ROOT / 'benchmarks' / 'programs'}"}
    environment["HOOKMON_ENGINE"] = "compiled"
    for subject in ("hookmon", "partial"):
        found = []
        for _ in range(PROCESSES):
            with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
                command = [sys.executable, str(Path(__file__).resolve()), subject, folder]
                printed = limits.check(limits.run(command, limits.PROGRAM_S, env=environment))
                found.append(tuple(map(float, printed.split())))
        one, ten = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(pair[1] / pair[0] for pair in found)
        print(f"{subject:8} one {one:5.1f} ns, ten {ten:6.1f} ns, {ratio:5.2f} times one")


def _measure_added(subject: str, folder: str) -> tuple[float, float]:
    """Return what one call and ten nested ones take longer than bare, in nanoseconds."""
    import loops

    bare, watched = loops.copy_of_shop("bare_shop"), _make_watched(subject, folder)
    best: dict[tuple[str, bool], float] = {}
    for _ in range(BATCHES):
        for name in ("function", "nested"):
            loop, count = loops.LOOPS[name]
            for shop in (bare, watched):
                spent = loop(shop, count) / count
                key = (name, shop is watched)
                best[key] = min(spent, best.get(key, spent))
    return best["function", True] - best["function", False], best["nested", True] - best["nested", False]


def _make_watched(subject: str, folder: str) -> ModuleType:
    import loops

    if subject == "partial":
        shop = loops.copy_of_shop("partial_shop")
        for name in ("function", *(f"level{level}" for level in range(1, 11))):
            setattr(shop, name, functools.partial(getattr(shop, name)))
        return shop
    from patched import watched_shop

    from hookmon.probe import engine

    spec = find_spec("wrapt")
    watched = watched_shop(folder, str(Path(spec.origin).parent) if spec is not None and spec.origin else "")
    engine.use_clock("tsc")
    return watched  # type: ignore[return-value]


if __name__ == "__main__":
    main()
