"""Brings the probe into a program that runs, and takes it out again: what the scripts of `hookmon attach` and `detach` call.

In: a run folder. Out: an answer in one line (core.attachment). Runs in the watched process, in its main thread, at whatever point
that had come to. CPython has the way in, `sys.remote_exec`, from 3.14 on.

All modules are imported already, so the finder hands over those in sys.modules at once, `__main__` among them. When the probe
goes, everything that it has changed is changed back where it still is as we left it. What stays does nothing: modules of hookmon
in sys.modules, handlers of forks, which nobody can take back, and wrappers that the program has taken meanwhile: they call
through and count for nobody.
"""

from __future__ import annotations

import sys

from hookmon.core import attachment
from hookmon.probe import start
from hookmon.probe.finder import Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SESSION = "hookmon.probe.session"


class Attachment(start.Arrivals):
    """What becomes of watched modules in a program that hookmon was attached to. It stays, and serves the next time again."""

    is_attached = True

    def __init__(self, attempt: Callable[[Callable[[], None]], Exception | None]) -> None:
        super().__init__("", self._note_reason, attempt)
        self.reason = ""  # why nothing is recorded
        self._finder: Finder | None = None

    def _note_reason(self, reason: str) -> None:
        self.reason = reason

    def begin(self, run_folder: str, begun_ns: int) -> None:
        """Watch what is there, and what comes. Raises OSError where the run folder cannot be read, and what the set-up does."""
        self.run_folder, self.reason = run_folder, ""
        self._failures, self._session = 0, None
        names = frozenset(self.read(start._MODULES_FILE).decode().split()) - {start._AT_ONCE}
        self.set_up()
        self._finder = Finder(names, self.patch)
        self.watch_also = self._finder.watch_also
        self._finder.install()
        self.add_own(begun_ns)
        self.tell_own()

    def end(self) -> int:
        """Change everything back; return how many wrappers the program has kept."""
        finder, self._finder = self._finder, None
        if finder is not None:
            finder.uninstall()
        session: Any = self._session or sys.modules.get(_SESSION)
        self._session = None
        self._failures = start._ATTEMPTS  # a module that is just being imported sets up nothing any more
        self._late.clear()
        self.run_folder = ""
        try:
            if session is not None:
                return session.end()  # type: ignore[no-any-return]
            if "hookmon.probe.recording.recorder" in sys.modules:  # the set-up has failed behind it
                from hookmon.probe.recording.stopping import stop

                stop()
            return 0
        finally:
            sys.modules.pop(_SESSION, None)  # the next one has another plan
            vars(sys.modules["hookmon.probe"]).pop("session", None)


def attach(run_folder: str, begun_ns: int, attempt: Callable[[Callable[[], None]], Exception | None]) -> str:
    """Begin to record this process into a run folder; return the answer. `attempt` returns what a call raises."""
    known: Any = vars(sys.modules["hookmon.probe"]).get("arrivals")
    if known is not None and known.run_folder:
        return f"it is watched already, into {known.run_folder}"
    if known is None:
        known = Attachment(attempt)
        vars(sys.modules["hookmon.probe"])["arrivals"] = known
        sys.modules["posix"].register_at_fork(
            before=known.work.hold_off, after_in_parent=known.work.let_go, after_in_child=known.after_fork
        )
    is_done = False
    try:
        known.begin(run_folder, begun_ns)
        if known.reason:
            return str(known.reason)
        _leave_note(run_folder)
        is_done = True
    finally:
        if not is_done:
            known.end()
    return attachment.DONE


def detach(run_folder: str, begun_ns: int, attempt: object) -> str:  # noqa: ARG001  # both scripts call alike
    """End what `attach` began; return the answer: with the number of wrappers that the program has kept."""
    known: Any = vars(sys.modules["hookmon.probe"]).get("arrivals")
    if known is None or not known.is_attached:
        return "hookmon was not attached to it"
    if not known.run_folder:
        return f"{attachment.DONE} 0"
    if known.run_folder != run_folder:
        return f"hookmon is attached to it by another run, into {known.run_folder}"
    return f"{attachment.DONE} {known.end()}"


def _leave_note(run_folder: str) -> None:
    """Tell the collector that this process is watched from now on, as the bootstrap does at a start."""
    from hookmon.core import layout
    from hookmon.probe.base.private import monotonic_ns, os

    now_ns = monotonic_ns()
    namespace = os.stat("/proc/self/ns/pid").st_ino
    stat = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        known = os.read(stat, 2048).rpartition(b")")[2].decode("ascii", "replace")
    finally:
        os.close(stat)
    version = ".".join(map(str, sys.version_info[:3]))
    fields = (os.getpid(), os.getppid(), now_ns, "", version, sys.executable or "", namespace, known, *sys.orig_argv)
    path = f"{run_folder}/{os.getpid()}-{now_ns}{layout.BIRTH_SUFFIX}"
    note = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(note, "\0".join(map(str, fields)).encode("utf-8", "surrogateescape"))
    finally:
        os.close(note)
