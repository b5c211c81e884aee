"""The table of hookmon's packs in the user's cache folder, where no table was installed with them: in a clone.

In: nothing. Out: the packs of `config.packs` are read from it as long as each of their files is as it was. Runs in the launcher.
"""

from __future__ import annotations

import marshal
import os
from pathlib import Path

from hookmon.cli import _prepared
from hookmon.collector import where
from hookmon.config import pack_table, packs
from hookmon.core import consulted

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookmon.config.problem import Problem


def use() -> None:
    """Have the packs read from it."""
    pack_table.add_table(_read)


def keep(states: Mapping[str, consulted.State]) -> None:
    """Write it, where it is not there or does not hold. Raises OSError.

    `states` are those of all that a configuration came from, as it was when it was read: the table holds as long as what of it
    belongs to hookmon, its packs and the code that has checked them, is as it was.
    """
    if pack_table.installed_table() or _read():
        return
    problems: list[Problem] = []
    checked = pack_table.shipped_packs(problems)
    if problems:
        return
    places = (f"{packs.FOLDER.parent}{os.sep}", consulted.record())
    own = {path: state for path, state in states.items() if path.startswith(places)}
    path = Path(_path())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _prepared.replace(str(path), [marshal.dumps(own), pack_table.encode(checked)])


def _path() -> str:
    """Return where it is kept: a clone has its own."""
    return os.path.join(where.cache(), "packs", f"{_prepared.digest(str(packs.FOLDER))}.table")


def _read() -> bytes:
    """Return the table, b"" where there is none that holds."""
    try:
        descriptor = _prepared.open_private(_path())
        with open(descriptor, "rb") as file:
            states = marshal.load(file)
            content = file.read()
    except (OSError, ValueError, EOFError, TypeError):
        return b""
    return b"" if not states or consulted.have_changed(states, {}) else content
