"""A program on a framework, run bare and under hookmon with each engine: what it prints is the same.

On the interpreter whose libraries are to be tested, see conftest.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.runs import environment, write
from support.sound import assert_sound

from hookmon.testing import Recorded, run

from .conftest import PYTHON

Both = Callable[..., Recorded]


def require(*modules: str) -> None:
    """Skip the test unless the interpreter has these modules, none of which is imported: keras wants its backend said before."""
    code = "import sys; from importlib.util import find_spec; print(*[name for name in sys.argv[1:] if not find_spec(name)])"
    missing = subprocess.run([PYTHON, "-c", code, *modules], capture_output=True, text=True, check=True).stdout.strip()
    if missing:
        pytest.skip(f"not installed for {PYTHON}: {missing}")


def version_of(library: str) -> tuple[int, ...]:
    """Return the first two numbers of the version that the interpreter has of a library."""
    code = f"from importlib.metadata import version; print(version({library!r}))"
    text = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in text.split(".")[:2])


@pytest.fixture(params=ENGINES)
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    """Return a function that runs a program, or a command, with these packs and no others.

    `seen` makes of (output, folder) what has to be the same; None: nothing is compared but the exit code.
    """

    def start(
        program: str,
        *packs: str,
        command: Sequence[str] = ("app.py",),
        files: Mapping[str, str] | None = None,
        seen: Callable[[str, Path], str] | None = lambda text, folder: text.replace(str(folder), "FOLDER"),
        timeout_s: float = 60.0,
        config: str = "",
    ) -> Recorded:
        bare_folder = write(tmp_path / "work", {"app.py": program, **(files or {})})
        bare = subprocess.run(
            [PYTHON, *command], capture_output=True, text=True, cwd=bare_folder, env=environment(bare_folder), timeout=timeout_s
        )
        found = run(
            program,
            packs=packs,
            config=config,
            files=files,
            command=[PYTHON, *command],
            env={"HOOKMON_ENGINE": request.param, **{name: None for name in os.environ if name.startswith("PYTEST")}},
            timeout_s=timeout_s,
        )
        assert found.exit_code == bare.returncode, bare.stderr + found.stderr
        if seen is not None:
            folder = found.folder / "work"
            assert seen(found.stdout, folder) == seen(bare.stdout, bare_folder)
            assert seen(found.stderr, folder) == seen(bare.stderr, bare_folder)
        failed = {target: state for target, state in found.watched.items() if state.startswith(("not found", "refused"))}
        assert failed == {}
        assert_sound(found.report)
        return found

    return start
