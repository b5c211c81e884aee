"""`hookmon check`: holds the budgets of the configuration against a run, for CI; or writes today's figures as budgets."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _check, _options, _output, _time_range, _windows
from hookmon.cli._choice import Choice
from hookmon.core.errors import HookmonError
from hookmon.report.check import FORMATS, render
from hookmon.report.check.judge import Check

if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.config.load import Config


@click.command("check", short_help="Hold budgets against a run, for CI.")
@click.argument("run", default="last", metavar="[RUN|SERVICE]")
@_time_range.options
@click.option(
    "--against",
    metavar="RUN",
    help="What p95_vs_base and its like refer to: a run; of a service yesterday, last-week, 2h, a day.",
)
@click.option("--format", "format", type=Choice(FORMATS), default="text", show_default=True, help="How to write it.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@_output.format_as_json
@click.option("-q", "--quiet", is_flag=True, help="Print nothing where all budgets are kept: for cron.")
@click.option("--strict", is_flag=True, help="A limit that cannot be judged is as bad as one that is broken.")
@click.option("--update", is_flag=True, help="Write the figures of RUN as limits into the configuration.")
@click.option(
    "--headroom",
    type=click.FloatRange(0, 1000),
    default=20.0,
    show_default=True,
    metavar="PERCENT",
    help="What --update adds to times, shares and calls in the whole run; calls in one transaction are exact and get none.",
)
@_options.configuration
def command(
    run: str,
    last: str | None,
    since: str | None,
    until: str | None,
    against: str | None,
    format: str,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    strict: bool,
    update: bool,
    headroom: float,
    **configuration: Any,
) -> int:
    """Hold the budgets of the configuration against RUN, by default the newest; with --last 1h against that hour of a SERVICE.

    The exit code is 0 when all are kept, 1 when one is broken, 2 for a mistake in the options or the configuration, 3 when there
    is nothing to judge: no budget, or none that any call of the run belongs to. --format github also writes the step summary.
    """
    from hookmon.config.load import load

    format = _output.choose_format(format, as_json)
    config = load(Path.cwd(), **configuration)
    if update:
        from hookmon.cli import _update

        _update.update(_check.run_to_judge(run), config, 1 + headroom / 100)
        return 0
    _check.refuse_without_budgets(config)
    check = _check.judge(*_find(run, last, since, until, against, config))
    if quiet and check.exit_code(strict=strict) == 0:
        return 0
    if output is None:
        render(check, format, file=sys.stdout)
    else:
        _write(check, format, output)
    if format == "github":
        _summarize(check)
    return check.exit_code(strict=strict)


def _find(
    run: str, last: str | None, since: str | None, until: str | None, against: str | None, config: Config
) -> tuple[Run, Config, Run | None]:
    """Return what is to be judged, and what it is to be compared with."""
    now = time.time()
    given = _time_range.parse(last, since, until, now=now)
    if given is None:
        return _check.run_to_judge(run), config, _check.base_of(against)
    service = _windows.service_meant(run)
    if not service:
        raise _windows.refuse_run(run, "check", "--last 1h")
    if against is None:
        return _windows.window(service, given), config, None
    base, found = _windows.pair(service, given, against, now=now)
    return found, config, base


def _write(check: Check, format: str, output: Path) -> None:
    try:
        with output.open("w", encoding="utf-8", newline="\n") as file:
            render(check, format, file=file)
    except OSError as error:
        raise _output.write_error(output, "the check", error) from error


def _summarize(check: Check) -> None:
    """Add the table to the summary of the workflow's step, where there is one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with open(path, "a", encoding="utf-8", newline="\n") as file:
                render(check, "markdown", file=file)
        except OSError as error:
            raise HookmonError(f"{path}: the summary cannot be written: {error.strerror}", code="output") from error
