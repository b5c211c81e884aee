"""The numbers that C and Python share have one source, and an engine that was built for others is refused with the reason."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.runs import environment, write

from hookmon.core import layout

ROOT = Path(__file__).resolve().parents[2]
PROBE = ROOT / "agent" / "hookmon" / "probe"
HEADER = PROBE / "c" / "numbers.h"
C_FILES = [PROBE / "_engine.c", *sorted(path for path in (PROBE / "c").glob("*.h") if path != HEADER)]
DEFINES = {name: int(value, 0) for name, value in re.findall(r"^#define (\w+) (\w+)", HEADER.read_text("utf-8"), re.MULTILINE)}
TELLING = {value for value in DEFINES.values() if value >= 20} - {32, 64, 256, 512, 1_000, 1_024} | {layout.LANE_DEPTH - 1}
"""Values by which a number that was typed once more is found. Others mean something else as well: 64 is a line of the cache,
1,000 are nanoseconds, 32 is half a word, 256 are as many as a byte tells, and 512 and 1,024 are sizes of tables."""

PROGRAM = """
def deep(levels):
    return deep(levels - 1) if levels else 0
for _ in range(20):
    deep(12)
"""
CONFIG = '[[watch]]\nmodule = "__main__"\ncalls = ["deep"]\n'


def code_of(path: Path) -> str:
    """Return a C file without comments and texts."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', "", path.read_text("utf-8"), flags=re.DOTALL)


def test_the_header_and_the_digest_are_current():
    """`.ci/numbers` writes both anew."""
    subprocess.run([sys.executable, ROOT / ".ci" / "numbers", "--check"], check=True)
    assert DEFINES["NUMBERS"] == layout.NUMBERS


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_no_part_of_the_engine_has_a_shared_number_of_its_own(path: Path):
    """Neither by its value, nor by its name, nor as an offset from a place in the shard."""
    code = code_of(path)
    assert {int(word) for word in re.findall(r"(?<![\w.])\d+(?![\w.])", code)} & TELLING == set()
    assert set(re.findall(r"#define (\w+)", code)) & set(DEFINES) == set()
    assert set(re.findall(r"\b(\w+) = -?\d", code)) & set(DEFINES) == set()
    assert re.findall(r"\b(?:base|total|per) [-+] \d|\bat \+ [2-9]|words\)?\[\d", code) == []


def tree_with(folder: Path, old: str, new: str) -> Path:
    """Return a copy of this tree in which one line of core/layout.py is another one."""
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("agent", "bootstrap", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    path = folder / "agent" / "hookmon" / "core" / "layout.py"
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")
    return folder


LAUNCHER = [sys.executable, "-m", "hookmon"]


def run_in(tree: Path, engine: str) -> dict:
    """Run the program with the hookmon of a tree and return the report."""
    write(tree, {"app.py": PROGRAM, "hookmon.toml": CONFIG})
    line = [*LAUNCHER, "run", "--format", "json", "--output", "report.json", "--", sys.executable, "app.py"]
    subprocess.run(line, cwd=tree, env=environment_of(tree, engine), check=True, capture_output=True)
    report: dict = json.loads((tree / "report.json").read_text())
    return report


def version_in(tree: Path, engine: str) -> str:
    """Return the last line of what the hookmon of a tree says of itself."""
    line = [*LAUNCHER, "--version", "-v"]
    done = subprocess.run(line, cwd=tree, env=environment_of(tree, engine), check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def environment_of(tree: Path, engine: str) -> dict[str, str]:
    return environment(tree, {"PYTHONPATH": f"{tree / 'agent'}:{tree / 'bootstrap'}", "HOOKMON_ENGINE": engine})


def spots(report: dict) -> list[tuple[str, str]]:
    return [(spot["kind"], spot["detail"]) for spot in report["blind_spots"]]


def counts(report: dict) -> list[tuple[str, int]]:
    """Return how often each node of the tree was called."""
    return [(node["name"], node["calls"]) for node in report["tree"]]


compiled_only = pytest.mark.skipif(not list(PROBE.glob("_engine*.so")), reason="the compiled engine was not built in this tree")


@compiled_only
def test_an_engine_that_was_built_for_other_numbers_is_refused_and_the_reason_is_told(tmp_path: Path):
    """It would write past the places that the collector reads: the pure engine counts, and nothing is lost."""
    tree = tree_with(tmp_path, f"NUMBERS = 0x{layout.NUMBERS:08X}", "NUMBERS = 0x1")
    report = run_in(tree, "compiled")
    assert sum(calls for name, calls in counts(report) if name == "deep") == 260
    told = f"the pure engine counted in {sys.executable}: the compiled one was built from other sources"
    assert spots(report) == [("stale engine", f"{told}; hookmon engine build --python {sys.executable}")]
    assert version_in(tree, "compiled") == "engine pure (the compiled one was built from other sources)"


def test_an_engine_that_is_missing_was_not_built(tmp_path: Path):
    """Why, hookmon does not know: there may have been no compiler, or a compiler that failed."""
    for name in ("agent", "bootstrap"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    assert version_in(tmp_path, "compiled") == "engine pure (the compiled one was not built for this interpreter)"


@compiled_only
@pytest.mark.skipif("HOOKMON_BOTH" not in os.environ, reason="compiles the engine; .ci/interpreters asks for it (HOOKMON_BOTH)")
@pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler")
def test_a_changed_number_reaches_the_compiled_engine(tmp_path: Path):
    """Lanes of 12 places instead of 30: refused until it is built anew, then the figures of both engines are the same."""
    tree = tree_with(tmp_path, f"LANE_DEPTH = {layout.LANE_DEPTH}", "LANE_DEPTH = 12")
    subprocess.run([sys.executable, tree / ".ci" / "numbers"], check=True)
    assert [kind for kind, _ in spots(run_in(tree, "compiled"))] == ["stale engine"]
    build(tree / "agent" / "hookmon" / "probe")
    compiled, pure = run_in(tree, "compiled"), run_in(tree, "pure")
    assert version_in(tree, "compiled") == "engine compiled"
    assert spots(compiled) == spots(pure) == []
    assert sum(calls for _, calls in counts(compiled)) == 260
    assert counts(compiled) == counts(pure)


def build(probe: Path) -> None:
    """Compile the engine in its folder."""
    include = Path(sysconfig.get_path("include"))
    (file,) = probe.glob("_engine*.so")
    file.unlink()  # what it was copied from is another file, but a process may have this one mapped
    paths = [f"-I{include}", f"-I{include.parent}"]
    line = [
        os.environ.get("CC", "cc"),
        "-O1",
        "-fPIC",
        "-shared",
        *paths,
        str(probe / "_engine.c"),
        str(probe / "_engine_others.c"),
        "-o",
        str(file),
    ]
    subprocess.run(line, check=True)
