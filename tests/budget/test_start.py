"""What the probe costs a program that does nothing: in real interpreters, in counts and in milliseconds."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hookmon.collector import launch
from hookmon.config.load import load
from hookmon.core import plan

PAIRS = 15
ATTEMPTS = 8
MODULES = "import sys; sys.stdout.write(' '.join(sys.modules))"


@pytest.fixture
def probed(tmp_path: Path) -> dict[str, str]:
    """The environment of a watched program, all packs on."""
    config = load(tmp_path, config=None, no_config=True, watch=(), pack=(), no_pack=())
    watches = [watch.to_plan(number) for number, watch in enumerate(config.watches, 1)]
    content: plan.PlanData = {"run_folder": str(tmp_path), "wrapt_folder": "", "hookmon": "0.1.0", "watches": watches}
    (tmp_path / plan.FILE_NAME).write_bytes(plan.encode(content))
    (tmp_path / plan.MODULES_FILE_NAME).write_text("\n".join(sorted({watch["module"] for watch in watches})))
    return launch.environment(plain(), tmp_path)


def plain() -> dict[str, str]:
    """Return an environment without anything of Python's."""
    return {"PATH": os.defpath}


def run(code: str, env: dict[str, str]) -> str:
    """Run code and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_probe_brings_at_most_four_modules(probed: dict[str, str]):
    """Beyond those of a bare interpreter, in the same environment."""
    added = set(run(MODULES, probed).split()) - set(run(MODULES, plain()).split())
    assert "hookmon.probe.start" in added
    assert len(added) <= 4, sorted(added)


def test_nothing_heavy_comes_with_it(probed: dict[str, str]):
    """No threads, sockets, loops, logs, types."""
    heavy = {"threading", "socket", "ssl", "asyncio", "logging", "typing", "wrapt", "psutil", "re", "json", "mmap"}
    added = set(run(MODULES, probed).split()) - set(run(MODULES, plain()).split())
    assert not added & heavy


def duration_s(code: str, env: dict[str, str]) -> float:
    """Return how long an interpreter takes from its start to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    return time.perf_counter() - started


def is_little(with_us_s: Callable[[], float], without_us_s: Callable[[], float]) -> bool:
    """Say whether we add 5 ms at most, or half on a machine so busy that the program itself takes more than 10.

    The medians of pairs that take turns, in the best of some attempts, for noise only adds.
    """
    for _ in range(ATTEMPTS):
        pairs = [(with_us_s(), without_us_s()) for _ in range(PAIRS)]
        added = statistics.median(longer - shorter for longer, shorter in pairs)
        if added <= max(0.005, statistics.median(shorter for _, shorter in pairs) / 2):
            return True
    return False


def test_start_and_end_of_an_empty_program_take_five_milliseconds_more(probed: dict[str, str]):
    """`python -c pass`, from outside."""
    assert is_little(lambda: duration_s("pass", probed), lambda: duration_s("pass", plain()))


LEAVE = """
import os, sys, types
sys.path.insert(0, {agent!r})
from hookmon.probe.recording import recorder
recorder.wrapt_folder = {wrapt!r}
if {watched}:
    recorder.start({folder!r}, "test")
    from hookmon.probe.patching.patcher import patch_module
    from hookmon.probe.patching.patches import Patches
    module = types.ModuleType("shop")
    exec("def quote(n): return n", vars(module))
    plan = dict(id=1, module="shop", calls=["quote"], span="quote {{arg0}}", kind="function", nested=False, pack="",
                source="", adapter="", entry=False, entry_name="", entry_status="", entry_body="", waits=False)
    patch_module(module, "shop", [plan], Patches())
    for number in range(300): module.quote(number)
import time
print(time.monotonic_ns())
sys.stdout.flush()
"""


def exit_s(watched: bool, folder: Path) -> float:
    """Return the time from the last line of a program to its end."""
    import wrapt

    agent = str(Path(launch.__file__).resolve().parents[2])
    code = LEAVE.format(agent=agent, wrapt=str(Path(wrapt.__file__).parent), watched=watched, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain(), check=True)
    return (time.monotonic_ns() - int(done.stdout)) / 1e9


def test_the_end_of_a_program_takes_five_milliseconds_more(tmp_path: Path):
    """With 300 names recorded: there is nothing left to do."""
    assert is_little(lambda: exit_s(True, tmp_path), lambda: exit_s(False, tmp_path))


def test_the_version_is_told_without_rich_and_psutil():
    """A prompt answer."""
    code = """
import sys
sys.argv = ["hookmon", "--version"]
from hookmon.cli.main import main
try: main()
except SystemExit: pass
sys.stdout.write(" ".join({"rich", "psutil", "wrapt", "hookmon.probe"} & set(sys.modules)))
"""
    agent = str(Path(launch.__file__).resolve().parents[2])
    assert run(code, plain() | {"PYTHONPATH": agent}).splitlines()[1:] == []
