"""What the start of a quiet run costs: in modules, instructions and waits for a disk, which are the same on every machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.runs import HOOKMON, PYTHON, environment

pytestmark = pytest.mark.process

MOST_MODULES = 25
"""Of ours, and of the standard library's beyond those of a bare interpreter."""

MOST_INSTRUCTIONS = 1.9
"""Of the launcher alone, beside those of `python -c pass`: 1.6 with CPython 3.13."""

OWN_SCRIPT = Path(__file__).resolve().parents[2] / "bin" / "hookmon"
COMMAND = [PYTHON, str(OWN_SCRIPT), "run", "--quiet", PYTHON, "-c", "pass"]
TELL_MODULES = """
import os, sys
leave = os._exit
def tell(code):
    print(*sys.modules, file=sys.stderr)
    leave(code)
os._exit = tell
if sys.argv[1:]:
    del sys.argv[0]
    sys.path[0] = os.path.dirname(sys.argv[0])
    exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
tell(0)
"""
"""Says which modules there are at the end of a script. Not all come by an import that `-X importtime` would show."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has had this run before; tmp_path is the project."""
    (tmp_path / "hookmon.toml").write_text("")
    (tmp_path / "cache" / "hookmon").mkdir(parents=True)
    (tmp_path / "cache" / "hookmon" / "swept").touch()
    env = environment(tmp_path, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    time.sleep(0.3)  # else the configuration may change unseen
    for _ in range(2):  # the first one prepares the second, and compiles what that imports
        subprocess.run(COMMAND, cwd=tmp_path, env=env, check=True)
    return env


def modules(command: list[str], folder: Path, env: dict[str, str]) -> set[str]:
    """Return the modules that an interpreter has at the end of a script."""
    line = [PYTHON, "-c", TELL_MODULES, *command]
    done = subprocess.run(line, cwd=folder, env=env, check=True, capture_output=True, text=True)
    return set(done.stderr.split())


def test_a_quiet_run_imports_few_modules(tmp_path: Path, env: dict[str, str]):
    """From its start to its end, and none that imports many."""
    added = modules(COMMAND[1:], tmp_path, env) - modules([], tmp_path, env)
    assert "hookmon.cli._brief" in added
    assert len(added) <= MOST_MODULES, " ".join(sorted(added))
    assert {name for name in added if not name.startswith("hookmon")} <= {"__future__", "errno", "fcntl", "resource"}


def test_nothing_is_imported_after_the_spawn_of_a_short_program(tmp_path: Path, env: dict[str, str]):
    """The processor is the program's. Only a small module in C comes, by itself, when the program is waited for."""
    code = """
import os, sys
fork = os.fork
def count():
    global before
    before = set(sys.modules)
    return fork()
os.fork = count
from hookmon.cli import _brief
sys.path[0] = os.path.dirname(sys.argv[1])
assert _brief.run(sys.argv[3:]) == 0
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([PYTHON, "-c", code, *COMMAND[1:]], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['resource']\n", ""), done  # which os.wait4 imports


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind counts the instructions")
@pytest.mark.skipif(sys.platform != "linux", reason="a quiet run begins in this way on Linux")
def test_the_launcher_of_a_quiet_run_takes_few_instructions(tmp_path: Path, env: dict[str, str]):
    """Less than twice those of an interpreter that does nothing."""
    bare, ours = (count_instructions(command, tmp_path, env) for command in ([PYTHON, "-c", "pass"], COMMAND))
    assert ours <= MOST_INSTRUCTIONS * bare, ours / bare


def count_instructions(command: list[str], folder: Path, env: dict[str, str]) -> int:
    """Return the instructions of the first process of a command."""
    line = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    done = subprocess.run(line, cwd=folder, env=env | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found, done.stderr
    return int(found[1])


@pytest.mark.skipif(not shutil.which("strace"), reason="strace shows the system calls")
@pytest.mark.parametrize("is_prepared", [True, False], ids=["prepared", "not prepared"])
def test_a_run_waits_for_no_disk(tmp_path: Path, env: dict[str, str], is_prepared: bool):
    """Neither before its program starts nor after."""
    trace = tmp_path / "trace"
    command = COMMAND if is_prepared else [*COMMAND[:4], "--no-config", *COMMAND[4:]]
    line = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,sync,syncfs,sync_file_range", *command]
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("nothing may be traced here")
    assert (done.returncode, done.stderr) == (0, "")
    assert [call for call in trace.read_text().splitlines() if "sync" in call] == []


def test_the_version_is_told_by_the_same_script(env: dict[str, str], tmp_path: Path):
    """The one that is installed."""
    told = {
        subprocess.run([*command, "--version"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
        for command in ([PYTHON, str(OWN_SCRIPT)], [HOOKMON], [PYTHON, "-m", "hookmon"])
    }
    assert len(told) == 1
    assert os.access(OWN_SCRIPT, os.X_OK)
