"""A run, from the run folder to the saved file: what `hookmon run`, `attach`, `suggest` and `serve` do alike."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from hookmon import __version__
from hookmon.cli import _plan, _services
from hookmon.cli._telling import tell
from hookmon.core import arguments
from hookmon.core.errors import EarlySignal, RunFileError

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hookmon.collector import signals
    from hookmon.collector.collect import Collector
    from hookmon.collector.feed import Observer
    from hookmon.collector.machine import Machine
    from hookmon.collector.sampler import Sampler
    from hookmon.collector.store import BlindSpot, Run, RunFile, Store
    from hookmon.config.load import Config
    from hookmon.config.packs import Pack
    from hookmon.core.plan import WatchPlan
    from hookmon.export.exporters import Exporters, Targets

_RATE = 100
"""Samples a second where --samples stands and the configuration names no rate."""

_GRACE_S = 0.3
"""How long children may outlive the program before the report calls them still running."""


class Session:
    """One run, from the run folder to the saved file."""

    _folder: Path
    _run_file: RunFile
    _is_kept = True
    _sampler: Sampler | None = None
    _exporters: Exporters | None = None

    def __init__(
        self,
        command: list[str],
        name: str,
        config: Config,
        options: list[str],
        service: str = "",
        *,
        is_sampled: bool = False,
        exports: Targets | None = None,
    ) -> None:
        from hookmon.collector.control import WINDOW_NS

        self._command = command
        self._service = service
        self._exports = exports
        self._window_ns = (exports.window_ns if exports is not None else 0) or (WINDOW_NS if service else 0)
        self._options = options
        self._rate = int(config.root["samples"]) or (_RATE if is_sampled else 0)
        self._name = name
        self._config = config
        arguments.redact = config.redact

    def run(self) -> tuple[int, Run | None]:
        """Run the program; return its exit code, -N when signal N killed it, and the run, None where no run can be prepared.

        The program was not started then. Raises LaunchError when it cannot be started: then nothing is left behind.
        """
        from hookmon.collector import launch, signals
        from hookmon.collector.collect import Collector
        from hookmon.collector.machine import Machine

        store = self._sweep_store()
        inherited = signals.hold()
        try:
            run = self._begin(store, inherited)
            if run is None:
                signals.refuse_interrupted(inherited)
                return 0, None
            try:
                pid = launch.start(self._command, self._environment(), inherited)
            except BaseException:
                self._withdraw()
                raise
            launch.raise_limit()
            machine = Machine()
            # From here on nothing is withdrawn: whatever happens to us, `hookmon report` can read what was recorded.
            kept = _services.recorders(run, self._run_file.path)
            observers = [*self._start_sampler(run), *self._start_exporters(run), *kept]
            collector = Collector(run, self._run_file, observers=observers, window_ns=self._window_ns)
            collector.follow(pid)
            code = launch.wait(pid, collector.tick, collector.look_at_ended_program)
        finally:
            signals.release(inherited)
        return code, self._finish(collector, machine, code)

    def _environment(self) -> dict[str, str]:
        """Return the environment of the program."""
        from hookmon.collector import launch

        tracer = 0
        if self._rate:
            from hookmon.collector import pyspy

            tracer = pyspy.tracer()
        return launch.environment(os.environ, self._folder, tracer)

    def _start_sampler(self, run: Run) -> list[Sampler]:
        """Begin to sample where that was asked for; return who does it, as observers of the run."""
        if not self._rate:
            return []
        from hookmon.collector.sampler import Sampler

        self._sampler = Sampler(run, self._rate)
        self._sampler.start()
        return [self._sampler]

    def _start_exporters(self, run: Run) -> list[Observer]:
        """Prepare to export where that was asked for; return who does it, as observers of the run."""
        if self._exports is None:
            return []
        from hookmon.export.exporters import Exporters

        self._exporters = Exporters(self._exports, run, tell, is_first=True)
        return self._exporters.observers

    def _sweep_store(self) -> Store:
        """Return the store of the project, after a look at what killed launchers left there.

        Files of others are read here, and nothing of this run is there yet: whatever ends processes ends this one at once.
        """
        from hookmon.collector import signals
        from hookmon.collector.store import Store

        store = Store.of_project(self._config.project)
        with signals.default_interrupt():
            look_through(store, self._service, self._config.project)
        return store

    def _begin(self, store: Store, inherited: signals.Inherited) -> Run | None:
        """Write the plan and reserve a run file; return None when that is not possible: the program runs all the same."""
        from hookmon.collector import signals
        from hookmon.collector.control import Control

        try:
            self._folder, watches = _plan.prepare(self._config, __version__)
            signals.refuse_interrupted(inherited)
            run = self._describe(watches)
            Control(self._folder, self._window_ns, run.started_ns).renew(run.started_ns)  # before the program does anything
            self._reserve(store, run)
        except EarlySignal:
            self._withdraw()
            raise
        except Exception as error:  # noqa: BLE001  # a full disk or a mistake of ours: neither keeps the program from running
            self._withdraw()
            text = error if isinstance(error, OSError) else repr(error)
            tell(f"hookmon: the run cannot be prepared: {text}; the program runs unwatched [no-run-folder]")
            return None
        return run

    def _describe(self, watches: Sequence[WatchPlan]) -> Run:
        """Return the run as it is before its start."""
        from datetime import datetime

        from hookmon.collector import identity, run_folder
        from hookmon.collector.store import Run
        from hookmon.config.origins import settings

        return Run(
            id=0,
            name=self._name,
            command=arguments.mask(self._command),
            options=arguments.mask(self._options),
            service=self._service,
            version=self._config.version if self._service else "",
            started_at=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            hookmon=__version__,
            project=str(self._config.project),
            run_folder=str(self._folder),
            run_key=run_folder.key(self._folder),
            launcher_pid=os.getpid(),
            launcher_started=identity.created_s(os.getpid()),
            boot=identity.boot_id(),
            pids=run_folder.pid_namespace(),
            oldest=identity.start_of_self(),
            started_ns=time.monotonic_ns(),
            plan=[dict(watch) for watch in watches],
            settings=settings(self._config),
            config=str(self._config.path.resolve()) if self._config.path else "",
        )

    def _reserve(self, store: Store, run: Run) -> None:
        """Save the run as it is before its start. Where no run can be kept, it is in the run folder, and goes with that."""
        from hookmon.collector import run_folder
        from hookmon.collector.store import RunFile, number_of

        try:
            self._run_file = store.reserve()
            run.id = number_of(self._run_file)
            self._run_file.save(run)
            run_folder.name_run_file(self._folder, self._run_file.path)
            return
        except RunFileError as error:
            tell(f"hookmon: {error}; this run is reported and not kept")
        self._unlink_run_file()
        run.id = 0
        self._run_file = RunFile(self._folder / run_folder.UNKEPT_FILE_NAME)
        self._is_kept = False
        with contextlib.suppress(RunFileError):
            self._run_file.save(run)
            run_folder.name_run_file(self._folder, self._run_file.path)

    def _withdraw(self) -> None:
        """Leave nothing of a run that never was."""
        from hookmon.collector import run_folder

        if hasattr(self, "_folder"):
            run_folder.remove(self._folder)
        self._unlink_run_file()

    def _blind_spots(self) -> list[BlindSpot]:
        from hookmon.collector.store import BlindSpot

        spots = self._own_blind_spots()
        if self._exporters:
            spots += [BlindSpot("export lost", loss) for loss in [self._exporters.loss()] if loss]
            spots += [BlindSpot("export full", text) for text in [self._exporters.shortage()] if text]
        return spots

    def _own_blind_spots(self) -> list[BlindSpot]:
        from hookmon.collector.store import BlindSpot

        return [BlindSpot("pack", str(left_out)) for left_out in self._config.left_out]

    def _offered_packs(self) -> Iterable[Pack]:
        return [pack for pack, _ in self._config.offered]

    def _own_cpu_ns(self) -> int:
        return time.process_time_ns()

    def _unlink_run_file(self) -> None:
        if hasattr(self, "_run_file"):
            with contextlib.suppress(OSError):
                self._run_file.path.unlink(missing_ok=True)

    def _finish(self, collector: Collector, machine: Machine, code: int | None, ended_ns: int = 0) -> Run:
        """Wait a moment for children that are just ending, and save the run, which ended just now where `ended_ns` is 0."""
        from hookmon.cli._versions import name_versions
        from hookmon.collector.cost import add_cost
        from hookmon.collector.discard import discard
        from hookmon.collector.identity import own_peak_bytes

        run = collector.run
        run.duration_ns = (ended_ns or time.monotonic_ns()) - run.started_ns
        run.exit_code = code
        deadline = time.monotonic() + _GRACE_S
        while collector.is_anything_running() and time.monotonic() < deadline:
            time.sleep(0.02)
        run = collector.look(state="finished")
        machine.describe(run)
        run.blind_spots += self._blind_spots()
        add_cost(run, collector.work, collector.interpreter)
        run.launcher_cpu_ns = self._own_cpu_ns() + (self._sampler.cpu_ns if self._sampler else 0)
        run.launcher_rss_max_bytes = own_peak_bytes()
        name_versions(run, self._offered_packs, collector.interpreter)
        try:
            collector.end()
        except RunFileError as error:
            tell(f"hookmon: {error}")
            if not self._is_kept and not run.still_running:
                discard(self._folder)  # nobody could find it any more
        if run.still_running:
            from hookmon.collector.spool import ring

            ring()
        return run


def look_through(store: Store, service: str = "", project: Path | None = None) -> None:
    """Save what killed launchers left in a store, and in that of services for a service."""
    from hookmon.collector.recover import sweep

    try:
        sweep(store)
        if project is not None:
            _services.settle(service, project)
    except Exception as error:  # noqa: BLE001  # it is about other runs, and this one stands all the same
        tell(f"hookmon: what earlier runs left cannot be looked through: {error!r}")
