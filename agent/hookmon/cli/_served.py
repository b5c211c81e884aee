"""The runs that `hookmon serve` follows: of programs that asked for one, and those that have outlived their launcher.

In: a request, or a run folder that nobody holds. Out: a run, saved as by `hookmon run`. Runs in the collector's one thread; only
the end of a run, which may start an interpreter to price its calls, has a thread of its own.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from hookmon.cli import _services
from hookmon.cli._session import Session
from hookmon.collector.spool import seen_by
from hookmon.core import arguments
from hookmon.core.errors import HookmonError, RunFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookmon.collector.collect import Collector
    from hookmon.collector.machine import Machine
    from hookmon.collector.run_folder import Note
    from hookmon.collector.spool import Request
    from hookmon.collector.store import BlindSpot, Run
    from hookmon.config.load import Config
    from hookmon.core.plan import WatchPlan
    from hookmon.export.exporters import Targets

_JUST_ON = ("1", "on", "true", "yes")
"""Values of HOOKMON that are no names of services."""

_GONE_NS = 2_000_000_000
"""How long nothing of a run may be seen before it is over: a daemon may be between two of its forks."""

_ENDING_S = 0.1  # between two looks meanwhile
_SEEN_S = 5.0  # how often survivors are looked after
_MOST_SHARDS = 200  # of survivors that have ended; more are folded meanwhile


def _service(wanted: str, config: Config) -> str:
    """Return the service that HOOKMON names, else the configuration's. Raises HookmonError for what cannot be one."""
    from hookmon.config.checks import service

    if wanted.lower() in _JUST_ON:
        return config.service
    for mistake in service(wanted):
        raise HookmonError(f"HOOKMON={wanted}: {mistake.found}; allowed is 1, or {mistake.allowed}")
    return wanted


class Served(Session):
    """The run of a program that was started without a launcher."""

    _collector: Collector
    _machine: Machine
    number = 0
    is_over = False

    def __init__(self, request: Request, config: Config) -> None:
        self._exporting = ExitStack()
        self._trouble: list[BlindSpot] = []
        command = request.command or [request.executable]
        service = _service(request.wanted, config)
        super().__init__(command, "", config, [], service=service, exports=self._prepare_exports(config))
        self._request = request
        self._cpu_ns = 0
        self._is_settled = False
        self._gone_ns = 0  # since when nothing of it is seen, CLOCK_MONOTONIC; 0: something is
        self._end: threading.Thread | None = None

    def _prepare_exports(self, config: Config) -> Targets | None:
        """Return where to export to. What keeps that from being done, as an address that another run has, is told later."""
        from hookmon.cli import _exporting
        from hookmon.collector.store import BlindSpot

        try:
            return self._exporting.enter_context(_exporting.prepared(config.exporters, config))
        except HookmonError as error:
            self._trouble.append(BlindSpot("export lost", f"nothing was exported: {error}"))
            return None

    def prepare(self) -> Path:
        """Write plan and run file; return the run folder. Raises HookmonError where that cannot be done."""
        from hookmon.collector import signals
        from hookmon.collector.store import Store

        run = self._begin(Store.of_project(self._config.project), signals.Inherited((), ignores_children=False))
        if run is None:
            raise HookmonError("there is no place for the files of a run", code="no-run-folder")
        self._run = run
        self.number = run.id
        return self._folder

    def follow(self) -> None:
        """Begin to follow the program, which may be in the run from now on."""
        from hookmon.collector.collect import Collector
        from hookmon.collector.machine import Machine

        self._machine = Machine()
        observers = [*self._start_sampler(self._run), *self._start_exporters(self._run)]
        observers += _services.recorders(self._run, self._run_file.path, lambda: self._cpu_ns)
        self._collector = Collector(self._run, self._run_file, observers=observers, window_ns=self._window_ns)
        self._collector.follow(self._request.pid, is_child=False)

    def _describe(self, watches: Sequence[WatchPlan]) -> Run:
        run = super()._describe(watches)
        run.oldest, run.served = self._request.started, self._request.wanted
        return run

    def tick(self) -> float:
        """Do what is due; return the seconds until there is something again. Says in `is_over` that the run has ended."""
        if self._end is not None:
            if not self._end.is_alive():
                self.is_over = True
            return _ENDING_S
        begun_ns, now_ns = time.thread_time_ns(), time.monotonic_ns()
        arguments.redact = self._config.redact
        self._settle()
        wait = self._collector.tick()
        if self._collector.processes.watchers:
            self._gone_ns = 0
        elif not self._gone_ns or now_ns - self._gone_ns < _GONE_NS:
            self._gone_ns = 0 if self._collector.is_anything_running() else self._gone_ns or now_ns
        else:
            self._end = threading.Thread(target=self._finish_safely)
            self._end.start()
        self._cpu_ns += time.thread_time_ns() - begun_ns
        return min(wait, _ENDING_S) if self._gone_ns else wait

    def _settle(self) -> None:
        """Write, once, what earlier starts of the service have left: when the program has got its answer."""
        if not self._is_settled:
            self._is_settled = True
            with seen_by(self._request):
                _services.settle(self._service, self._config.project)

    def _finish_safely(self) -> None:
        from hookmon.cli import _output

        try:
            self._finish(self._collector, self._machine, None, self._gone_ns)
        except Exception as error:  # noqa: BLE001  # the shards stay, and other runs go on
            _output.tell(f"hookmon: run {self.number} cannot be saved: {error!r}")
        finally:
            self._exporting.close()

    def _blind_spots(self) -> list[BlindSpot]:
        return super()._blind_spots() + self._trouble

    def _own_cpu_ns(self) -> int:
        return self._cpu_ns + time.thread_time_ns()

    def leave(self) -> None:
        """Follow it no more: the next collector does, or whoever asks for the report reads what there is."""
        from hookmon.collector import run_folder

        if self._end is not None:
            self._end.join()
            return
        self._exporting.close()
        run_folder.let_go(self._folder)

    def describe(self) -> dict[str, Any]:
        """Return what `hookmon serve --status` shows of it."""
        return {
            "run": self.number,
            "project": str(self._config.project),
            "pid": self._request.pid,
            "command": join(self._run.command),
            "started_at": self._run.started_at,
            "kind": "program",
        }


class Adopted:
    """A run that has lost its launcher, or has outlived it."""

    is_over = False

    def __init__(self, folder: Path, note: Note) -> None:
        """Take a run folder over. Raises HookmonError where somebody else has it, or its run cannot be read."""
        from hookmon.collector import run_folder, survivors
        from hookmon.collector.collect import Collector
        from hookmon.collector.store import RunFile

        self._folder = folder
        self._held = ExitStack()
        if self._held.enter_context(run_folder.claim(folder, note.key)) is None:
            raise RunFileError(f"{folder} is somebody else's")
        try:
            self._run_file = RunFile(Path(note.run_file))
            with suppress(RunFileError):
                self._run_file.roll_back()
            head = self._run_file.head()
            if head.run_key != note.key:
                raise RunFileError(f"{folder} is of another run")
            self._is_running = head.state == "running"
            self._head = head
            if self._is_running:
                run = self._run_file.load()
                observers = _services.recorders(run, self._run_file.path, lambda: -1)
                self._collector = Collector(run, self._run_file, observers=observers)
                self._collector.add_processes_of_folder()
            else:
                found = survivors.final_part(head)
                if found is None:
                    raise RunFileError(f"{folder} has nothing of survivors")
                self._collector = survivors.follow(self._run_file.load_tables(("series", "samples")), *found)
        except BaseException:
            self._held.close()
            raise
        self._next_look = 0.0

    @property
    def number(self) -> int:
        """The number of the run, 0 where it is not kept."""
        return self._head.id

    def tick(self) -> float:
        """Do what is due; return the seconds until there is something again. Says in `is_over` that the run has ended."""
        now = time.monotonic()
        is_due = now >= self._next_look
        if is_due:
            self._next_look = now + _SEEN_S
        wait = max(0.0, self._next_look - now)
        if self._is_running or (is_due and self._has_many_shards()):
            wait = min(wait, self._collector.tick())
        if is_due and not self._collector.is_anything_running():
            self._finish()
            self.is_over = True
        return wait

    def _has_many_shards(self) -> bool:
        from hookmon.collector.run_folder import files_of
        from hookmon.core.layout import SHARD_SUFFIX

        with suppress(OSError):
            return sum(name.endswith(SHARD_SUFFIX) for name in files_of(self._folder)) > _MOST_SHARDS
        return False

    def _finish(self) -> None:
        """Save the run whole, and clear its folder."""
        from hookmon.collector import recover, run_folder, survivors

        if self._is_running:
            run = recover.settle(self._collector)
            self._collector.end()
            _services.settle(run.service, Path(run.project))
        else:
            whole = self._collector.look(unattended=True)
            self._run_file.save(survivors.merge(self._run_file.load(), whole))
            run_folder.remove(self._folder)
        self._held.close()
        _services.settle(self._head.service, Path(self._head.project))

    def leave(self) -> None:
        """Follow it no more."""
        self._held.close()

    def describe(self) -> dict[str, Any]:
        """Return what `hookmon serve --status` shows of it."""
        return {
            "run": self.number,
            "project": self._head.project,
            "pid": self._collector.run.main_pid,
            "command": join(self._head.command),
            "started_at": self._head.started_at,
            "kind": "without its launcher" if self._is_running else "outlived its launcher",
        }
