"""The parts of the compiled engine: each can be read, and edited, by itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = sorted((ROOT / "agent" / "hookmon" / "probe" / "c").glob("*.h"))
BY_NAME = pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
INCLUDE = Path(sysconfig.get_path("include"))
CC = os.environ.get("CC", "cc")


def code_of(path: Path) -> str:
    """Return a part without its comments and texts."""
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', "", path.read_text("utf-8"), flags=re.DOTALL)


FLAGS = ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-cast-function-type"]
FLAGS += [f"-I{INCLUDE}", f"-I{INCLUDE.parent}"]


def complaints(*included: Path) -> str:
    """Return what the compiler says of the last of some headers, whose functions others use."""
    line = [CC, *FLAGS, "-fsyntax-only", *(word for path in included for word in ("-include", str(path))), "-x", "c", os.devnull]
    return subprocess.run(line, capture_output=True, text=True).stderr


def of_python(folder: Path) -> Path:
    """Write a header that includes Python's, and have it read once: gcc takes what it made of it for each part."""
    header = folder / "python.h"
    header.write_text("#define PY_SSIZE_T_CLEAN\n#include <Python.h>\n")
    subprocess.run([CC, *FLAGS, "-x", "c-header", str(header), "-o", f"{header}.gch"], check=True)
    return header


@pytest.mark.process
@pytest.mark.skipif(shutil.which(CC) is None, reason=f"there is no C compiler ({CC})")
@pytest.mark.skipif(not (INCLUDE / "Python.h").exists(), reason="this interpreter came without its headers")
def test_each_part_compiles_alone_and_without_a_warning(tmp_path: Path):
    """It includes what it uses; Python's header by way of base.h."""
    python = of_python(tmp_path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = dict(zip([path.name for path in PARTS], pool.map(lambda path: complaints(python, path), PARTS), strict=True))
    said["base.h alone"] = complaints(PARTS[0].parent / "base.h")
    assert {name: text for name, text in said.items() if text} == {}
    included = {path.name: set(re.findall(r'^#include "(\w+\.h)"', path.read_text("utf-8"), re.MULTILINE)) for path in PARTS}
    assert [name for name, others in included.items() if not others and name not in ("base.h", "numbers.h")] == []


@BY_NAME
def test_a_part_is_read_once_and_says_what_it_is(path: Path):
    """First a comment, then the guard."""
    assert re.match(r"/\* [^*]+\*?(?:[^*]|\*[^/])*\*/\n#pragma once\n", path.read_text("utf-8"))


@pytest.mark.parametrize("path", [*PARTS, PARTS[0].parents[1] / "_engine.c"], ids=lambda path: path.name)
def test_what_a_part_refers_to_is_there(path: Path):
    """Modules of Python by their path below probe, other parts by their names."""
    probe = PARTS[0].parents[1]
    comments = " ".join(re.findall(r"/\*.*?\*/", path.read_text("utf-8"), re.DOTALL))
    modules = re.findall(r"[\w/]+\.py\b", comments)
    parts = re.findall(r"(?:c/)?(\w+\.h)\b", re.sub(r"(?:Include|internal)/\S+|pycore_\w+\.h", "", comments))
    assert [name for name in modules if not (probe / name).exists()] == []
    assert [name for name in parts if not (probe / "c" / name).exists()] == []


PAST_THE_INTERFACE = (
    r"\b_Py[A-Z]\w+|PyASCIIObject|PyFunctionObject|co_code_adaptive|ht_cached_keys|tp_version_tag|PY_VERSION_HEX|"
    r"->(?:context|context_ver|cframe|current_frame|c_recursion_remaining|cached|cached_by|cached_at)\b"
)
ALSO_IN = {part: {"PY_VERSION_HEX"} for part in ("base.h", "errors.h", "_engine.c")}  # the interface itself has changed


@pytest.mark.parametrize("path", [*PARTS, PARTS[0].parents[1] / "_engine.c"], ids=lambda path: path.name)
def test_only_compat_reads_past_the_interface(path: Path):
    """How CPython is laid out, and in which version, is known in one place; `->context` of our own structs is only compared."""
    if path.name in ("compat.h", "c_recursion.h"):  # the second is a part of the first
        return
    found = set(re.findall(PAST_THE_INTERFACE, re.sub(r"\b(?:self|lane|lane\))->context\b", "", code_of(path))))
    assert found <= ALSO_IN.get(path.name, set())
