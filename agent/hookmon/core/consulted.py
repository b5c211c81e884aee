"""Which files and folders a configuration has come from, so that it need not be read again while they are as they were.

In: paths, noted where they are consulted, before that. Out: what tells of each whether it has changed. Runs before the program
starts, and imports built-in modules only. Nothing is noted unless somebody records.
"""

from __future__ import annotations

import os
import time

from hookmon import __version__

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from types import TracebackType

_TICK_NS = 100_000_000  # of the clock that file systems take times from, or longer,
_SECOND_NS = 1_000_000_000
_COARSE_NS = 2 * _SECOND_NS  # but of those that know seconds only

State = tuple[int, ...]
"""What tells a file or folder from what it was: when it was changed, its size and which one it is; () where there is none."""


class Consulted:
    """What was consulted while this was the recording one.

    `states` are those of files and folders of which a change matters; `there` says of others whether they were there.
    """

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.there: dict[str, bool] = {}
        self.is_settled = True  # a later change of any of them is certain to be seen

    def __enter__(self) -> Consulted:
        _recording.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _recording.remove(self)

    def note(self, path: str) -> None:
        """Note a file or folder as it is now."""
        if path in self.states:
            return
        now_ns = time.time_ns()  # before it is looked at
        state = self.states[path] = state_of(path)
        for changed_ns in state[:2]:
            if now_ns - changed_ns < (_TICK_NS if changed_ns % _SECOND_NS else _COARSE_NS):
                self.is_settled = False

    def has_changed(self) -> bool:
        """Say whether anything is not as it was noted."""
        return have_changed(self.states, self.there)


_recording: list[Consulted] = []


def note(path: str | os.PathLike[str]) -> None:
    """Note that the content of a file, or what there is in a folder, is about to be consulted."""
    for consulted in _recording:
        consulted.note(os.path.abspath(path))


def note_own(folder: str | os.PathLike[str], suffix: str) -> None:
    """Note the files of hookmon itself in a folder, as `note`: where it is installed, the record of that stands for all."""
    if not _recording:
        return
    if is_installed():
        note(record())
        return
    note(folder)
    for name in os.listdir(folder):
        if name.endswith(suffix):
            note(os.path.join(folder, name))


def is_installed() -> bool:
    """Say whether an installer has laid these files here, and written a record of it."""
    return os.path.exists(record())


def record() -> str:
    """Return the path of that record."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.join(os.path.dirname(package), f"hookmon-{__version__}.dist-info", "RECORD")


def note_existence(path: str | os.PathLike[str]) -> None:
    """Note that it matters whether something is there, and nothing else of it."""
    for consulted in _recording:
        consulted.there.setdefault(os.path.abspath(path), os.path.exists(path))


def state_of(path: str) -> State:
    """Return what is to be compared. A link is what it leads to, and one that leads nowhere is itself."""
    try:
        status = os.stat(path)
    except OSError:
        try:
            status = os.lstat(path)
        except OSError:
            return ()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode


def have_changed(states: dict[str, State], there: dict[str, bool]) -> bool:
    """Say whether any of what was consulted is not as it was. A program may wait for it: nothing is asked twice."""
    for path, state in states.items():
        if state_of(path) != state if state else os.path.lexists(path):
            return True
    return any(os.path.exists(path) != was_there for path, was_there in there.items() if path not in states)
