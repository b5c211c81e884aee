"""`hookmon run`: the main job. Finds the configuration, starts the program, collects while it runs, reports at its end."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _brief, _exporting, _options, _output, _services
from hookmon.cli._choice import Choice
from hookmon.cli._session import Session
from hookmon.cli._telling import write_report
from hookmon.report import FORMATS

if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.config.load import Config
    from hookmon.core.consulted import Consulted

_UNWATCHED_S = 60.0  # between two ticks where nothing is watched: the program's end and signals wake the launcher


@click.command(
    "run",
    short_help="Run a program and report where its time goes.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@_options.configuration
@click.option("--name", default="", help="A name by which the report can be found again.")
@click.option("--service", default="", metavar="NAME", help="The service that the run belongs to: its minutes are kept.")
@click.option("--no-service", is_flag=True, help="Belong to no service, whatever the configuration says.")
@click.option("--format", "format", type=Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to FILE, not to stderr.")
@_output.format_as_json
@click.option("--quiet", is_flag=True, help="Save the run, print no report.")
@click.option("--samples", "is_sampled", is_flag=True, help="Sample what computes, line by line (needs py-spy).")
@click.option("--export", multiple=True, type=Choice(_exporting.EXPORTERS), help="Export metrics, to otlp traces too.")
@click.option("--no-export", is_flag=True, help="Export nothing, whatever the configuration says.")
@click.option("--check", "is_checked", is_flag=True, help="Hold the budgets of the configuration against the run at its end.")
@click.option("--against", metavar="RUN", help="The run, or run file, that --check compares with.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    name: str,
    service: str,
    no_service: bool,
    format: str,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    is_sampled: bool,
    export: tuple[str, ...],
    no_export: bool,
    is_checked: bool,
    against: str | None,
    command: tuple[str, ...],
    **configuration: Any,
) -> int:
    """Run COMMAND as always and report where its time went.

    The report goes to stderr when COMMAND has ended, and is kept for `hookmon report`. The exit code is that of COMMAND; when a
    signal killed it, hookmon dies of the same one, which shells show as 128+N. 127 and 126 when it cannot be started, 125 when
    hookmon fails before the start, 2 for a mistake in the options or the configuration. With --check, a COMMAND that ended with
    0 gives way to the budgets: 1 when one is broken, 3 when nothing could be judged. Where nothing can be recorded, because disks
    are full, one line says so and COMMAND runs unwatched.
    """
    from hookmon.cli import _pack_table
    from hookmon.config.load import load
    from hookmon.core.consulted import Consulted

    _options.refuse_option(command[0], click.get_current_context().command)
    format = _output.choose_format(format, as_json)
    try:
        here = Path.cwd()
    except OSError as error:
        _output.tell(f"hookmon: the working folder is gone: {error}; the program runs unwatched [no-run-folder]")
        return _run_unwatched(list(command), is_checked=is_checked)
    _pack_table.use()
    with Consulted() as consulted:
        checked = load(here, export=export, no_export=no_export, **configuration)
    if against and not is_checked:
        raise click.UsageError("--against belongs to --check")
    service = _services.named(service, checked, is_off=no_service)
    base = None
    if is_checked:
        from hookmon.cli import _check

        _check.refuse_without_budgets(checked)
        base = _check.base_of(against)
    if output is not None:
        _output.check_output(output)
    elif not quiet:
        _output.refuse_binary_without_file(format)
    with _exporting.prepared(checked.exporters, checked) as to:
        session = Session([*command], name, checked, _options.words(configuration), service, is_sampled=is_sampled, exports=to)
        code, run = session.run()
    if run is None:
        return _run_unwatched(list(command), is_checked=is_checked)
    _prepare_next(checked, consulted)
    if output is not None or not quiet:
        write_report(run, format, output)
    return _judge(run, checked, base, code) if is_checked else code


def _prepare_next(checked: Config, consulted: Consulted) -> None:
    """Keep what the next run of this kind needs before its start, so that its program is started first."""
    if _brief.missing is None:
        return
    from hookmon.cli import _preparing

    try:
        _preparing.prepare(*_brief.missing, checked, consulted)
    except Exception as error:  # noqa: BLE001  # this run is kept, and the exit code is to be that of the program
        _output.tell(f"hookmon: the next start cannot be prepared: {error!r}")


def _run_unwatched(command: list[str], *, is_checked: bool) -> int:
    """Run a program of which nothing can be recorded; return its exit code, -N when signal N killed it.

    Where budgets were to be held, and the program did well, it is the code for nothing to judge.
    """
    from hookmon.collector import launch, signals

    inherited = signals.hold()
    try:
        code = launch.wait(launch.start(command, os.environ, inherited), lambda look: _UNWATCHED_S, lambda: None)
    finally:
        signals.release(inherited)
    if not is_checked:
        return code
    from hookmon.cli._check import NothingToJudgeError

    _output.tell("hookmon: nothing could be judged, as the program was not watched [no-budget]")
    return code or NothingToJudgeError.exit_code


def _judge(run: Run, config: Config, base: Run | None, code: int) -> int:
    """Write what becomes of the budgets to stderr; return their exit code where the program's own is 0."""
    from hookmon.cli import _check
    from hookmon.report.check import render

    check = _check.judge(run, config, base)
    with contextlib.suppress(OSError):  # nobody reads it, or its disk is full: the exit code says it all the same
        render(check, "text", file=sys.stderr)
    return code or check.exit_code()
