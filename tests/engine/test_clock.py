"""The compiled engine's clock, which goes by the processor's time-stamp counter where the kernel does."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.runs import PYTHON, calls, hookmon_run, watch

from hookmon.collector.launch import clock_source

if importlib.util.find_spec("hookmon.probe._engine") is None:
    pytest.skip("the compiled engine was not built", allow_module_level=True)
if clock_source() != "tsc" or platform.machine() != "x86_64":
    pytest.skip("the kernel does not keep time by the time-stamp counter here", allow_module_level=True)

AGENT = Path(__file__).resolve().parents[2] / "agent"
SANITIZERS = os.environ.get("HOOKMON_SANITIZED", "").replace(":", " ")
SANITIZED = {name: value for name, value in os.environ.items() if name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}

PRELUDE = """
import os, time
from hookmon.probe import _engine, engine
def apart_ns():
    "How far the engine's clock is outside of what the system's says just before and after."
    before, now, after = time.monotonic_ns(), _engine.now_ns(), time.monotonic_ns()
    return max(before - now, now - after, 0)
def watch_clocks(duration_s, pause_s=0):
    found, end = [], time.monotonic() + duration_s
    while time.monotonic() < end:
        found.append(apart_ns())
        time.sleep(pause_s) if pause_s else None
    return sorted(found)
def check(found):
    assert found[len(found) // 2] < 1_000 and found[-1] < 50_000, (len(found), found[len(found) // 2], found[-5:])
assert not _engine.uses_counter()
engine.use_clock("tsc")
assert _engine.uses_counter()
"""


def clocks(code: str, **environment: str) -> None:
    """Run code in a fresh interpreter."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(AGENT), "LD_PRELOAD": SANITIZERS, **SANITIZED, **environment}
    done = subprocess.run([sys.executable, "-c", PRELUDE + code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_clock_is_the_monotonic_one():
    """From the first nanosecond on, through the corrections after 1, 4, 16 … ms and then each second."""
    clocks("check(watch_clocks(2.5)); assert _engine.uses_counter()")


def test_the_clock_is_right_after_a_pause():
    """However long nobody asked."""
    clocks("watch_clocks(0.1); check(watch_clocks(4, pause_s=1.3)); assert _engine.uses_counter()")


def test_the_clock_is_right_in_a_forked_child():
    """Which goes on with what its parent knew."""
    clocks("""
watch_clocks(0.1)
child = os.fork()
check(watch_clocks(1.2))
assert _engine.uses_counter()
if child: assert os.waitpid(child, 0)[1] == 0
""")


def test_another_clock_source_leaves_the_system_its_clock():
    """And so does a plan that says nothing, of an older launcher."""
    code = PRELUDE.replace('engine.use_clock("tsc")', 'engine.use_clock("hpet"); engine.use_clock("")')
    code = code.replace("assert _engine.uses_counter()", "assert not _engine.uses_counter()")
    environment = {"PATH": os.defpath, "PYTHONPATH": str(AGENT), "LD_PRELOAD": SANITIZERS, **SANITIZED}
    code += "found = watch_clocks(0.2); assert found[-1] == 0"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


STRANGE_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

/* From the call of become_strange on, the monotonic clock is JUMP_NS ahead, and runs at RATE_PERCENT of its rate. */
static int strange;

void
become_strange(void)
{
    strange = 1;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    static long long began, jump, percent;
    if (!real) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        jump = atoll(getenv("JUMP_NS"));
        percent = atoll(getenv("RATE_PERCENT"));
    }
    int result = real(clock, now);
    if (clock != CLOCK_MONOTONIC || result || !strange) {
        return result;
    }
    long long ns = now->tv_sec * 1000000000LL + now->tv_nsec;
    if (!began) {
        began = ns;
    }
    ns = began + jump + (ns - began) * percent / 100;
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    ("jump_ns", "rate_percent"),
    [("10000000000", "100"), ("0", "98"), ("0", "102")],
    ids=["a jump, as after a suspend", "a slower clock", "a faster clock"],
)
def test_a_counter_that_goes_apart_from_the_clock_is_not_used_again(tmp_path: Path, jump_ns: str, rate_percent: str):
    """The system's clock changes in mid-run; within a second or so stamps are that clock's, and stay so."""
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(STRANGE_CLOCK, "utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    code = """
import ctypes
check(watch_clocks(0.2))
assert _engine.uses_counter()
ctypes.CDLL(None).become_strange()
watch_clocks(2)
watch_clocks(1)  # a jump may have ended the first
assert not _engine.uses_counter()
assert watch_clocks(0.3)[-1] == 0
"""
    clocks(code, LD_PRELOAD=f"{SANITIZERS} {library}", JUMP_NS=jump_ns, RATE_PERCENT=rate_percent)


@pytest.mark.parametrize(("engine", "uses"), [("compiled", "True"), ("pure", "none")])
@pytest.mark.skipif(bool(SANITIZERS), reason="the launcher passes no sanitizers on")
def test_a_program_under_the_launcher_keeps_time_by_the_counter(tmp_path: Path, engine: str, uses: str):
    """The launcher looks what the kernel uses, and says it in the plan."""
    (tmp_path / "shop.py").write_text("def quote(): pass\n", "utf-8")
    code = """
import shop, sys
shop.quote()
engine = sys.modules.get("hookmon.probe._engine")
print(engine.uses_counter() if engine else "none")
"""
    ended = hookmon_run([PYTHON, "-c", code], cwd=tmp_path, config=watch("shop", "quote"), env={"HOOKMON_ENGINE": engine})
    assert ended.stdout == f"{uses}\n"
    assert calls(ended.report, "shop:quote") == 1
