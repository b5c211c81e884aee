"""What hookmon itself cost: the price of one watched call, measured on this machine, times the calls.

In: a run and the interpreter that it ran on. Out: its overhead. The price is measured in a process of that interpreter with
the engine at work, once for each interpreter and version, and kept in the user's cache folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hookmon.collector import launch
from hookmon.collector.store import Run

_FALLBACK = {"call_ns": 1_000.0, "step_ns": 1_000.0}
_TIMEOUT_S = 20
_UNTIMED_SAVES = 0.5
"""Share of a call's price that a call does not cost which is only counted (measured: 0.6 compiled, 0.5 pure)."""


def add_cost(run: Run, interpreter: str) -> None:
    """Set the run's overhead and what it was computed from; zero when nothing was recorded."""
    calls = sum(node.calls - node.untimed * _UNTIMED_SAVES for node in run.nodes)
    steps = sum(node.steps for node in run.nodes)
    if not calls and not steps:
        return
    engine = run.engine.partition(",")[0] or "pure"
    price = _price(interpreter or sys.executable, engine, run.hookmon)
    run.call_cost_ns, run.step_cost_ns = price["call_ns"], price["step_ns"]
    run.overhead_ns = round(calls * run.call_cost_ns + steps * run.step_cost_ns)


def _price(interpreter: str, engine: str, version: str) -> dict[str, float]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "hookmon" / "cost.json"
    known: dict[str, dict[str, float]] = {}
    try:
        known = json.loads(cache.read_text("utf-8"))
        key = f"{version} {engine} {launch.clock_source()} {interpreter} {os.stat(interpreter).st_mtime_ns} {os.uname().nodename}"
        price = known.get(key)
        if price is not None:
            return {"call_ns": float(price["call_ns"]), "step_ns": float(price["step_ns"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = {}
    price = _measured(interpreter, engine)
    if price is None:
        return _FALLBACK
    with suppress(OSError):
        key = f"{version} {engine} {launch.clock_source()} {interpreter} {os.stat(interpreter).st_mtime_ns} {os.uname().nodename}"
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = cache.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({**known, key: price}), "utf-8")
        fresh.replace(cache)
    return price


def _measured(interpreter: str, engine: str) -> dict[str, float] | None:
    """Run the calibration; None when the interpreter cannot."""
    agent = str(Path(__file__).resolve().parents[2])
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOOKMON", "PYTHON"))}
    environment["PYTHONPATH"] = agent
    environment["HOOKMON_ENGINE"] = engine
    from importlib.util import find_spec

    spec = find_spec("wrapt")
    folder = str(Path(spec.origin).parent) if spec is not None and spec.origin else ""
    command = [interpreter, "-m", "hookmon.probe.calibrate", folder, launch.clock_source()]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=True, cwd=agent)
        price = json.loads(done.stdout)
        return {"call_ns": float(price["call_ns"]), "step_ns": float(price["step_ns"])}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
