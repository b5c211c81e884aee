"""A program on a real library, run bare and under hookmon, on the interpreter whose libraries are to be tested.

`HOOKMON_PACKS_PYTHON` names that interpreter; `.ci/packs` sets it to one with older releases of the libraries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from textwrap import dedent

import pytest
from support.servers import MariaDb
from support.sound import assert_sound

from hookmon.testing import Recorded, run

pytest.register_assert_rewrite("packs.web", "packs.hooked")

PYTHON = os.environ.get("HOOKMON_PACKS_PYTHON", sys.executable)
ENGINE = {name: value for name, value in os.environ.items() if name == "HOOKMON_ENGINE"}
"""The engine that this run of the tests asks for."""

SECRET = "hush4111-9f27c8e1"
"""Stands in every argument that can carry one; 16 characters, so that a part of it is found as well."""

Compared = Callable[..., Recorded]


@pytest.fixture(autouse=True)
def _launchers_start_warm(warm_launcher: None) -> None:
    """What is recorded of a library does not depend on the launcher's own start."""


@cache
def _has(modules: tuple[str, ...]) -> str:
    """Return which of these modules the interpreter cannot import."""
    code = "import sys\nfor name in sys.argv[1:]:\n try: __import__(name)\n except ImportError: print(name)"
    return subprocess.run([PYTHON, "-c", code, *modules], capture_output=True, text=True, check=True).stdout.replace("\n", " ")


@pytest.fixture
def compared() -> Compared:
    """Run a program bare, and under hookmon; what a user sees of it is the same, and the secret is nowhere."""

    def compare(
        program: str,
        *,
        needs: Sequence[str],
        env: dict[str, str],
        before: Callable[[], object] = lambda: None,
        secrets: Sequence[str] = (SECRET,),
        **more: object,
    ) -> Recorded:
        missing = _has(tuple(needs))
        if missing:
            pytest.skip(f"not installed for {PYTHON}: {missing}")
        program = f"SECRET = {SECRET!r}\n{dedent(program)}"
        with tempfile.TemporaryDirectory() as folder:
            bare = subprocess.run(
                [PYTHON, "-c", program], capture_output=True, text=True, env=os.environ | env, cwd=folder, timeout=60
            )
        before()
        under = run(program, python=PYTHON, env=ENGINE | env, **more)  # type: ignore[arg-type]
        assert (bare.returncode, bare.stderr) == (0, "")
        assert (under.exit_code, under.stdout, under.stderr) == (0, bare.stdout, "")
        for secret in secrets:
            assert under.leaks(secret) == []
        failed = {target: state for target, state in under.watched.items() if state.startswith(("not found", "refused"))}
        assert failed == {}, json.dumps(failed, indent=1)
        assert [spot for spot in under.blind_spots if not spot.startswith("CPU time: ")] == []  # of greenlets that take turns
        assert_sound(under.report)
        return under

    return compare


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A server that knows the user `shop` by the secret for a password."""
    missing = MariaDb.missing()
    if missing:
        pytest.skip(f"MariaDB is not on this machine: {missing} (apt-get install mariadb-server)")
    server = MariaDb(SECRET)
    yield server
    server.stop()
