"""Two engines in one process: each call is priced as by the one that counted it, and the process names both."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.interpreters import need_engine
from support.runs import blind_spots, calls, hookmon_run, watch, write

import hookmon
from hookmon.collector import cost

SHOP = "def quote(x): return x\n"
PROGRAM = """
import os, sys
try:
    import _interpreters
    execute = _interpreters.exec
except ImportError:
    import _xxsubinterpreters as _interpreters
    execute = _interpreters.run_string
import shop
shop.quote(0)
os.environ["HOOKMON_ENGINE"] = "pure"  # as where the compiled engine serves the first interpreter alone
other = _interpreters.create()
assert execute(other, "import sys; sys.path.insert(0, '.'); import shop; shop.quote(1); shop.quote(2)") is None
_interpreters.destroy(other)
for n in range(4_999): shop.quote(n)
"""
COMPILED_S, PURE_S = 0.01, 40.0
"""What a call is said to cost: far more than all else that is counted as cost, so that no machine is too slow for this."""


def write_prices(folder: Path, python: str) -> None:
    """Keep prices as if they had been measured: of calls alone, whichever way they are watched, and scaled by nothing."""
    prices = {}
    for engine, price_s in (("compiled", COMPILED_S), ("pure", PURE_S)):
        price = dict.fromkeys(cost._FALLBACK, 0.0) | dict.fromkeys(("call_ns", "event_call_ns", "slot_call_ns"), price_s * 1e9)
        prices[cost._key(python, engine, hookmon.__version__)] = price
    folder.mkdir(parents=True)
    (folder / "cost.json").write_text(json.dumps(prices), "utf-8")


@pytest.mark.parametrize("beside", ["told", "by itself"])
def test_calls_have_the_price_of_the_engine_that_counted_them(beside: str, tmp_path: Path) -> None:
    """5,000 calls of the first interpreter and two of another one, which is on the pure engine: of 3.13t it is so by itself."""
    python = need_engine(sys.executable)
    program = PROGRAM
    if beside == "by itself":
        if not sysconfig.get_config_var("Py_GIL_DISABLED"):
            pytest.skip("here the compiled engine serves all interpreters")
        program = program.replace('os.environ["HOOKMON_ENGINE"]', "told")
    write(tmp_path, {"shop.py": SHOP, "app.py": program})
    ask = [python, "-c", "import sys; print(sys.executable)"]
    recorded = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    write_prices(tmp_path / "cache" / "hookmon", recorded)
    config = '[packs]\ndisable = ["*"]\n' + watch("shop", "quote")
    result = hookmon_run([python, "app.py"], cwd=tmp_path, config=config, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    report = result.report
    assert result.exit_code == 0, result.stderr
    assert calls(report, "shop:quote") == 5_002
    assert [row["engine"] for row in report["processes"]] == ["compiled, pure"]
    assert set(report["run"]["engine"].split(", ")) == {"compiled", "pure"}
    overhead_s = report["run"]["overhead_ns"] / 1e9
    expected_s = 5_000 * COMPILED_S + 2 * PURE_S
    assert expected_s <= overhead_s < expected_s + 20, "what is added took hookmon's own clock"
    assert report["run"]["call_cost_ns"] == COMPILED_S * 1e9, "the price of most calls"
    assert blind_spots(report) == []
