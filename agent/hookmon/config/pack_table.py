"""All packs of hookmon in one table: checked once, when hookmon is built or after a change, and later read in one piece.

In: packs, or the bytes of a table. Out: the bytes, or the packs. A table is what marshal makes of {"made_by": see MADE_BY,
"files": {name of a pack's file: its size}, "packs": [a pack as a tuple of plain values, see `_plain`]}. Runs in the launcher, and
where hookmon is built.
"""

from __future__ import annotations

import marshal
import os
from functools import cache, partial
from pathlib import Path

from hookmon import __version__
from hookmon.config import packs
from hookmon.config.collect import Collected
from hookmon.config.packs import FOLDER, Pack
from hookmon.config.problem import Place, Problem
from hookmon.config.targets import Target
from hookmon.config.watch import Hook, Watch
from hookmon.core import consulted
from hookmon.core.record import asdict, fields

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

TABLE_NAME = "packs.table"
_MARSHAL_VERSION = 2  # the same for every CPython
_HEADER = tuple(name for name in fields(Pack) if name not in ("content", "origin"))  # what the table [pack] says
MADE_BY = (2, __version__, *_HEADER, *fields(Watch), *fields(Hook))
"""The format, and all that a pack and a watch have."""

_tables: list[Callable[[], bytes]] = []


def shipped_packs(problems: list[Problem]) -> list[Pack]:
    """Return hookmon's own packs as `packs.read_packs` does, read once: a collector asks for each program that begins."""
    consulted.note_own(FOLDER, ".toml")
    shipped, found = _shipped_packs()
    problems += found
    return list(shipped)


@cache
def _shipped_packs() -> tuple[tuple[Pack, ...], tuple[Problem, ...]]:
    for table in (installed_table, *_tables):
        found = decode(table())
        if found is not None:
            return tuple(found), ()
    problems: list[Problem] = []
    return tuple(packs.read_packs(problems)), tuple(problems)


def add_table(table: Callable[[], bytes]) -> None:
    """Have the packs of hookmon read from a table, b"" for none, where none was installed with them."""
    _tables.append(table)


def installed_table() -> bytes:
    """Return the table that was made when hookmon was built. A clone has none, or one that may be out of date."""
    try:
        return (FOLDER / TABLE_NAME).read_bytes() if consulted.is_installed() else b""
    except OSError:
        return b""


def encode(checked: Sequence[Pack], folder: Path = FOLDER) -> bytes:
    """Return the table of the packs of a folder, which have no mistake."""
    content = {"made_by": MADE_BY, "files": _sizes(folder), "packs": [_plain(pack) for pack in checked]}
    return marshal.dumps(content, _MARSHAL_VERSION)


def decode(content: bytes, folder: Path = FOLDER) -> list[Pack] | None:
    """Return the packs of a table; None where it is damaged, of another version, or of other files than those in the folder."""
    try:
        table = marshal.loads(content)
        if table["made_by"] != MADE_BY or table["files"] != _sizes(folder):
            return None
        return [_pack(folder, *values) for values in table["packs"]]
    except (ValueError, EOFError, TypeError, KeyError, OSError):
        return None


def write(folder: Path) -> None:
    """Check the packs of a folder and lay their table beside them, for an installation. Raises ValueError for a mistake."""
    problems: list[Problem] = []
    checked = packs.read_packs(problems, folder)
    if problems:
        raise ValueError("\n".join(map(str, problems)))
    (folder / TABLE_NAME).write_bytes(encode(checked, folder))


def _sizes(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as found:
        return {entry.name: entry.stat().st_size for entry in found if entry.name.endswith(".toml")}


def _plain(pack: Pack) -> tuple[Any, ...]:
    content = pack.content
    header = [getattr(pack, name) for name in _HEADER]
    watches = [tuple(asdict(watch).values()) for watch in content.watches]
    targets = [[target for target, _ in placed] for placed in (content.placed, content.placed_hooks)]
    return header, watches, *targets


def _pack(folder: Path, header: list[Any], watches: list[tuple[Any, ...]], targets: list[Target], hooks: list[Target]) -> Pack:
    values = dict(zip(_HEADER, header, strict=True))
    path = folder / f"{values['name']}.toml"
    content = Collected(
        [_watch(watch) for watch in watches], _placed(path, "placed", targets), _placed(path, "placed_hooks", hooks)
    )
    return Pack(**values, content=content)


def _watch(values: tuple[Any, ...]) -> Watch:
    watch = dict(zip(fields(Watch), values, strict=True))
    if watch["hook"] is not None:
        watch["hook"] = Hook(**watch["hook"])
    return Watch(**watch)


def _placed(path: Path, attribute: str, targets: list[Target]) -> list[tuple[Target, Place]]:
    label = packs.label_of(path)
    return [(target, Place(label, partial(_line, path, attribute, number))) for number, target in enumerate(targets)]


def _line(path: Path, attribute: str, number: int) -> int:
    """Return the line of a target. Only a mistake needs it: then the file is read after all."""
    pack = packs.read_pack(path, [])
    placed: list[tuple[Target, Place]] = getattr(pack.content, attribute) if pack else []
    return placed[number][1].line if number < len(placed) else 0
