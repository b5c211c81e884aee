"""`hookmon run`: the main job. Finds the configuration, starts the program, collects while it runs, reports at its end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon import __version__
from hookmon.cli import _options, _output, _plan
from hookmon.core.errors import HookmonError, LaunchError, RunFileError
from hookmon.report import FORMATS

if TYPE_CHECKING:
    from hookmon.collector.collect import Collector
    from hookmon.collector.machine import Machine
    from hookmon.collector.store import Run, RunFile
    from hookmon.config.load import Config

_GRACE_S = 0.3
"""How long children may outlive the program before the report calls them still running."""


@click.command(
    "run",
    short_help="Run a program and report where its time goes.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@_options.configuration
@click.option("--name", default="", help="A name by which the report can be found again.")
@click.option("--format", "format", type=click.Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to FILE, not to stderr.")
@_output.format_as_json
@click.option("--quiet", is_flag=True, help="Save the run, print no report.")
@click.option("--check", "is_checked", is_flag=True, help="Hold the budgets of the configuration against the run at its end.")
@click.option("--against", metavar="RUN", help="The run, or run file, that --check compares with.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    name: str,
    format: str,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    is_checked: bool,
    against: str | None,
    command: tuple[str, ...],
    **configuration: Any,
) -> int:
    """Run COMMAND as always and report where its time went.

    The report goes to stderr when COMMAND has ended, and is kept for `hookmon report`. The exit code is that of COMMAND, 128+N
    when signal N killed it; 127 and 126 when it cannot be started, 125 when hookmon fails before the start, 2 for a mistake in
    the options or the configuration. With --check, a COMMAND that ended with 0 gives way to the budgets: 1 when one is broken, 3
    when nothing could be judged.
    """
    from hookmon.config.load import load

    format = _output.chosen_format(format, as_json)
    checked = load(Path.cwd(), **configuration)
    if against and not is_checked:
        raise click.UsageError("--against belongs to --check")
    base = None
    if is_checked:
        from hookmon.cli import _check

        _check.refuse_without_budgets(checked)
        base = _check.base_of(against)
    if output is not None:
        _check_output(output)
    elif not quiet:
        _output.refuse_binary_without_file(format)
    session = _Session(list(command), name, checked)
    code, run = session.run()
    if output is not None or not quiet:
        _report(run, format, output)
    return _judge(run, checked, base, code) if is_checked else code


class _Session:
    """One run, from the run folder to the saved file."""

    _run_file: RunFile

    def __init__(self, command: list[str], name: str, config: Config) -> None:
        self._command = command
        self._name = name
        self._config = config

    def run(self) -> tuple[int, Run]:
        """Run the program; return its exit code and the run.

        Raises LaunchError when it cannot be started: then nothing is left behind.
        """
        from hookmon.collector import launch
        from hookmon.collector.collect import Collector
        from hookmon.collector.machine import Machine

        folder = _plan.run_folder()
        before = launch.block_signals()
        try:
            try:
                run = self._begin(folder)
                pid = launch.start(self._command, launch.environment(os.environ, folder), before)
            except OSError as error:
                self._withdraw(folder)
                raise LaunchError(f"the run cannot be prepared: {error}", 125, code="no-run-folder") from error
            except BaseException:
                self._withdraw(folder)
                raise
            machine = Machine()
            # From here on nothing is withdrawn: whatever happens to us, `hookmon report` can read what was recorded.
            collector = Collector(run, self._run_file)
            collector.follow(pid)
            code = launch.wait(pid, collector.tick, lambda: collector.main_ended(pid))
        finally:
            launch.unblock_signals(before)
        return code, self._finish(collector, machine, code)

    def _begin(self, folder: Path) -> Run:
        """Write the plan and reserve a run file."""
        import psutil

        from hookmon.collector.recover import sweep
        from hookmon.collector.store import Run, RunFile, Store, number_of
        from hookmon.config.find import find_project
        from hookmon.config.origins import settings

        watches = _plan.write(folder, self._config, __version__)
        store = Store.of_project(find_project(Path.cwd()))
        sweep(store)
        try:
            self._run_file = store.reserve()
        except RunFileError as error:
            click.echo(f"hookmon: {error}; this run is reported and not kept", err=True)
            self._run_file = RunFile(folder / "run.sqlite")
        run = Run(
            id=number_of(self._run_file),
            name=self._name,
            command=self._command,
            started_at=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            hookmon=__version__,
            project=str(find_project(Path.cwd()).resolve()),
            run_folder=str(folder),
            launcher_pid=os.getpid(),
            launcher_started=psutil.Process().create_time(),
            started_ns=time.monotonic_ns(),
            plan=[dict(watch) for watch in watches],
            settings=settings(self._config),
            config=str(self._config.path.resolve()) if self._config.path else "",
        )
        self._run_file.save(run)
        return run

    def _withdraw(self, folder: Path) -> None:
        """Leave nothing of a run that never was."""
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        if hasattr(self, "_run_file"):
            self._run_file.path.unlink(missing_ok=True)

    def _finish(self, collector: Collector, machine: Machine, code: int) -> Run:
        """Wait a moment for children that are just ending, and save the run."""
        from hookmon.cli._versions import name_versions
        from hookmon.collector.cost import add_cost
        from hookmon.collector.store import BlindSpot

        run = collector.run
        run.duration_ns = time.monotonic_ns() - run.started_ns
        run.exit_code = code
        deadline = time.monotonic() + _GRACE_S
        while collector.something_runs() and time.monotonic() < deadline:
            time.sleep(0.02)
        run = collector.look(state="finished")
        machine.describe(run)
        run.blind_spots += [BlindSpot("pack", str(each)) for each in self._config.left_out]
        add_cost(run, collector.interpreter)
        name_versions(run, self._config, collector.interpreter)
        try:
            collector.end()
        except RunFileError as error:
            click.echo(f"hookmon: {error}", err=True)
        return run


def _check_output(output: Path) -> None:
    """Refuse now what could not be written after the run."""
    folder = output.parent
    if output.is_dir():
        raise HookmonError(f"--output {output}: that is a folder", code="output")
    if not folder.is_dir():
        raise HookmonError(f"--output {output}: there is no folder {folder}", code="output")
    if not os.access(output if output.exists() else folder, os.W_OK):
        raise HookmonError(f"--output {output}: it cannot be written", code="output")


def _judge(run: Run, config: Config, base: Run | None, code: int) -> int:
    """Write what becomes of the budgets to stderr; return their exit code where the program's own is 0."""
    from hookmon.cli import _check
    from hookmon.report.check import render

    check = _check.judged(run, config, base)
    with contextlib.suppress(BrokenPipeError):
        render(check, "text", file=sys.stderr)
    return code or check.exit_code()


def _report(run: Run, format: str, output: Path | None) -> None:
    """Write the report. The program's exit code stands, whatever becomes of it."""
    from hookmon.report import render

    try:
        if output is None:
            with contextlib.suppress(BrokenPipeError):
                render(run, format, file=sys.stderr)
        else:
            with output.open("w", encoding="utf-8", newline="\n") as file:
                render(run, format, file=file)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        # OSError is the disk's; the others would be our own mistakes, and not even those may change the exit code
        click.echo(f"hookmon: the report cannot be written: {error!r}; hookmon report {run.id} shows the run", err=True)
