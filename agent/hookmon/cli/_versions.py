"""Which versions of the packs' libraries an interpreter has. Asked of the interpreter itself, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from hookmon.core.errors import HookmonError

if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.config.load import Config
    from hookmon.config.packs import Pack

_LOOK_UP = """
import json, sys
from importlib import metadata
found, modules = {}, None
for library, module in json.load(sys.stdin):
    try:
        found[library] = [library, metadata.version(library)]
    except metadata.PackageNotFoundError:
        if modules is None:
            modules = metadata.packages_distributions()
        for name in modules.get(module, [])[:1]:
            found[library] = [name, metadata.version(name)]
json.dump(found, sys.stdout)
"""
"""From [[library, module]] on stdin to {library: [distribution, version]}: psycopg2 may be installed as psycopg2-binary."""

_PATIENCE_S = 20.0
_INCOMPLETE = ("not found", "refused")


def installed(python: str, packs: Iterable[Pack]) -> dict[str, tuple[str, str]]:
    """Return {library: (distribution, version)} of what is installed for an interpreter.

    Raises HookmonError when that is no Python from 3.10 on.
    """
    import json
    import subprocess

    interpreter = os.path.abspath(python) if os.sep in python else python
    wanted = [(each.library, each.content.watches[0].module.partition(".")[0]) for each in packs if each.library]
    try:
        done = subprocess.run(
            [interpreter, "-c", _LOOK_UP],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            check=True,
            cwd=os.sep,  # where no json.py of the project comes in the way
            timeout=_PATIENCE_S,
        )
        found: dict[str, list[str]] = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise HookmonError(f"{interpreter}: it cannot say what is installed: {reason[-1]}", code="interpreter") from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HookmonError(f"{interpreter}: this is no Python that can be asked: {error}", code="interpreter") from error
    return {library: (name, version) for library, (name, version) in found.items()}


def name_versions(run: Run, config: Config, python: str) -> None:
    """Say of each target that a pack has missed which version of the library the program had."""
    rows = [row for row in run.watched if row.pack and row.status in _INCOMPLETE]
    packs = {each.name: each for each, _ in config.offered}
    if not rows or not python:
        return
    with suppress(HookmonError):  # then it is said without the version
        versions = installed(python, [packs[name] for name in {row.pack for row in rows}])
        for row in rows:
            pack = packs[row.pack]
            if pack.library in versions:
                tested = f"; the pack was tested with {', '.join(pack.tested)}" if pack.tested else ""
                said = f"{' '.join(versions[pack.library])} is installed{tested}"
                row.detail = f"{row.detail}; {said}" if row.detail else said
