"""The Session of a run that `_brief` has begun: its folder, its run file and its program are there already."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hookmon.cli import _words
from hookmon.cli._session import Session, look_through
from hookmon.collector import launch, run_folder
from hookmon.collector.collect import Collector
from hookmon.collector.machine import Machine
from hookmon.collector.places import cache
from hookmon.collector.store import BlindSpot, Run, RunFile, Sample, Store
from hookmon.core.errors import RunFileError

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.cli._brief import BriefRun
    from hookmon.config.packs import Pack


class AdoptedSession(Session):
    """One run from the moment on in which its program is left to the collector."""

    def __init__(self, brief: BriefRun) -> None:
        self._brief = brief
        self._folder = Path(brief.folder.path)
        run_folder.adopt(brief.folder)
        launch.raise_limit()
        assert brief.run_file is not None
        self._run_file = RunFile(Path(brief.run_file.path))
        run = self._run_file.load()
        self._machine = Machine(brief.machine_ns)
        self.collector = Collector(run, self._run_file)

    def follow(self) -> None:
        """Begin to follow the program, which runs."""
        with suppress(RunFileError):  # the note in the run folder says the same
            self._run_file.save(self.collector.run)
        self.collector.follow(self._brief.looks.pid)
        self._adopt_children()

    def follow_ended(self) -> None:
        """Take over what was seen of the program, which has ended and was waited for."""
        brief, looks, processes = self._brief, self._brief.looks, self.collector.processes
        self.collector.follow(looks.pid, used_ns=brief.used_ns)
        self.collector.roster.adopt(looks, brief.peak_bytes).is_main = True
        if looks.seen_ns:
            processes.samples.append(Sample(**looks.sample(processes.started_ns)))
        self._adopt_children()

    def _adopt_children(self) -> None:
        self.collector.roster.adopt_children(self._brief.children.values(), time.monotonic_ns())

    def finish(self, code: int) -> Run:
        """Save the run and return it."""
        ended_ns = time.monotonic_ns()
        run = self._finish(self.collector, self._machine, code, ended_ns)
        store = Store(self._run_file.path.parent)
        with suppress(RunFileError):
            store.drop_oldest()
        return run

    def _own_blind_spots(self) -> list[BlindSpot]:
        return [BlindSpot("pack", text) for text in self._brief.entry["left_out"]]

    def _offered_packs(self) -> Iterable[Pack]:
        """Return all packs there are; their files are read now, for few runs need to know."""
        from hookmon.config.load import load

        return [pack for pack, _ in load(Path.cwd(), **_words.configuration_of(self._brief.given)).offered]


def sweep(store: str, mark: str) -> None:
    """Save what killed launchers have left, some in a store, and mark when that was done."""
    with suppress(OSError):
        cache().mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(mark).touch(0o600)
    look_through(Store(Path(store)))
