"""Has the modules of tests compiled once for all workers of pytest-xdist.

pytest rewrites the assertions of each module, and keeps what it has made beside it. In a fresh clone nothing is kept yet, and
each worker would rewrite all of them at the same time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

WORTH_IT = 50
"""So many modules are rewritten in the time in which the processes start that do it."""


def keep_rewritten(tests: Path) -> None:
    """Have all modules below a folder rewritten, where many are not, by as many processes as there are processors."""
    modules = sorted(tests.rglob("test_*.py"), key=lambda path: path.stat().st_size)
    if sys.dont_write_bytecode or len([path for path in modules if not _is_kept(path)]) < WORTH_IT:
        return
    count = os.cpu_count() or 1
    collecting = [_collect(modules[number::count]) for number in range(count)]
    for process in collecting:
        process.wait()


def _is_kept(path: Path) -> bool:
    kept = path.parent.joinpath("__pycache__").glob(f"{path.stem}.{sys.implementation.cache_tag}-pytest-*.pyc")
    return any(file.stat().st_mtime >= path.stat().st_mtime for file in kept)


def _collect(modules: Iterable[Path]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *map(str, modules)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
