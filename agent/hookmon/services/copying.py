"""A private copy of a store that lies where nothing can be written: SQLite keeps an index beside a database that has a log.

In: the path of a store. Out: that of a copy, which somebody who writes meanwhile has not changed. Runs on the launcher's side.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ENDS = ("", "-wal")  # of the files that a store is made of; the index is made again
_MOST_TRIES = 20

_State = list[tuple[int, int, int]]


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Give a copy of a store and its log, as long as the block lasts. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="hookmon-") as folder:
        copy = Path(folder, path.name)
        for tried in range(_MOST_TRIES):
            if _copy(path, copy):
                break
            time.sleep(tried / 100)
        else:
            raise OSError(f"{path} is being written all the time")
        yield copy


def _copy(path: Path, copy: Path) -> bool:
    """Copy the files; say whether they are still what they were."""
    before = _state(path)
    for end in _ENDS:
        Path(f"{copy}{end}").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{end}", f"{copy}{end}")
    return _state(path) == before


def _state(path: Path) -> _State:
    found = []
    for end in _ENDS:
        with suppress(FileNotFoundError):
            status = os.stat(f"{path}{end}")
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found
