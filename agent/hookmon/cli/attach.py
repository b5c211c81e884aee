"""`hookmon attach`: a run of a program that was started without hookmon, from now on until somebody detaches."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _options, _output
from hookmon.cli._choice import Choice
from hookmon.cli._session import Session
from hookmon.cli._telling import write_report
from hookmon.core.errors import AttachError, EarlySignal
from hookmon.report import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookmon.collector.attachment import Target
    from hookmon.collector.collect import Collector
    from hookmon.collector.store import Run
    from hookmon.config.load import Config
    from hookmon.core.plan import WatchPlan

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_QUIET_S = 2.0


@click.command("attach", short_help="Watch a program that runs already.")
@_options.configuration
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Detach after so long.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the program may take to its next safe point.",
)
@click.option("--name", default="", help="A name by which the report can be found again.")
@click.option("--format", "format", type=Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to FILE, not to stderr.")
@_output.format_as_json
@click.option("--quiet", is_flag=True, help="Save the run, print no report.")
@click.argument("pid", type=click.IntRange(min=1))
def command(
    pid: int,
    seconds: float | None,
    wait: float,
    name: str,
    format: str,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    **configuration: Any,
) -> int:
    """Watch the program PID, which was started without hookmon, until it ends, Ctrl-C, or `hookmon detach PID`.

    The run is like one of `hookmon run`: `hookmon top PID` shows it live, and it is kept for `hookmon report`. The program has to
    run CPython 3.14 or newer, on Linux, as the same user; one that was started with -X disable-remote-debug or
    PYTHON_DISABLE_REMOTE_DEBUG refuses. What it forks from now on is counted, too. Detaching changes everything back. The exit
    code is 0, 1 when the program cannot be attached to, 2 for a mistake in the options or the configuration.
    """
    from hookmon.collector.attachment import find_target
    from hookmon.config.load import load

    format = _output.choose_format(format, as_json)
    target = find_target(pid)
    checked = load(Path.cwd(), **configuration)
    if output is not None:
        _output.check_output(output)
    elif not quiet:
        _output.refuse_binary_without_file(format)
    run = _Attachment(target, name, checked, _options.words(configuration)).watch(seconds, wait)
    if output is not None or not quiet:
        write_report(run, format, output)
    return 0


class _Attachment(Session):
    """One run of a program that runs already, from the run folder to the saved file."""

    def __init__(self, target: Target, name: str, config: Config, options: list[str]) -> None:
        super().__init__(target.command, name, config, options)
        self._target = target
        self._is_over = False  # the user wants to detach

    def watch(self, seconds: float | None, wait: float) -> Run:
        """Attach, collect until it is over, and detach; return the run. Raises AttachError where that cannot be done."""
        from hookmon.cli._detaching import leave
        from hookmon.collector import signals
        from hookmon.collector.collect import Collector
        from hookmon.collector.machine import Machine

        pid = self._target.pid
        store = self._sweep_store()
        inherited = signals.hold()
        try:
            run = self._begin(store, inherited)
            if run is None:
                raise AttachError(f"process {pid} was left alone: there is no place for the files of a run", code="no-run-folder")
            try:
                collector = Collector(run, self._run_file)
                collector.follow(pid)
                machine = Machine()
                self._bring_in(wait)
            except BaseException:
                self._withdraw()
                raise
            end = f", for {seconds:g} s" if seconds else ""
            _output.tell(f"hookmon: attached to process {pid}{end}; Ctrl-C or hookmon detach {pid} ends it, run {run.id}")
            self._collect(collector, seconds)
            for line in leave(collector, self._target.sender, lambda: signals.next_arrival().number not in _ENDING):
                _output.tell(f"hookmon: {line}")
        finally:
            signals.release(inherited)
        return self._finish(collector, machine, None)

    def _describe(self, watches: Sequence[WatchPlan]) -> Run:
        run = super()._describe(watches)
        run.oldest = self._target.started
        run.attached_after_ns = max(1, self._target.age_ns)
        return run

    def _bring_in(self, wait: float) -> None:
        """Have the program start the probe. Raises AttachError where it does not, EarlySignal where the user does not wait."""
        from hookmon.collector import attachment, signals
        from hookmon.core.attachment import ATTACH, DONE, script_name

        pid, sender = self._target.pid, self._target.sender
        try:
            attachment.write_scripts(self._folder, attachment.agent_folder())
        except OSError as error:
            raise AttachError(f"the run folder cannot be written: {error}", code="no-run-folder") from error
        reason = attachment.request(sender, self._folder / script_name(ATTACH), [pid])[pid]
        if reason:
            raise attachment.describe_refusal(pid, reason)
        begun = time.monotonic()
        is_told = False
        number = 0
        while (answer := attachment.answer_of(self._folder, pid, ATTACH)) is None:
            waited = time.monotonic() - begun
            if not self._target.is_there():
                raise AttachError(f"process {pid} has ended before it came to a safe point", code="attach-waiting")
            if number in _ENDING or waited > wait:
                attachment.withdraw(sender, [pid])
                answer = attachment.wait_for_answers(self._folder, ATTACH, [pid], 0.3).get(pid)  # it may have begun
                if answer is None and number in _ENDING:
                    raise EarlySignal(number)
                break
            if waited > _QUIET_S and not is_told:
                is_told = True
                text = f"hookmon: process {pid}: {attachment.waits_for(pid)}; waiting for its next safe point, up to {wait:g} s"
                _output.tell(text)
            number = signals.next_arrival().number
        if answer is None:
            text = f"process {pid}: {attachment.waits_for(pid)}; nothing came of it in {wait:g} s, and the request was taken back"
            raise AttachError(text, code="attach-waiting")
        if not answer.startswith(DONE):
            raise AttachError(f"process {pid} cannot be watched: {answer}", code="attach-refused")
        self._is_over = number in _ENDING  # it came beside the answer

    def _collect(self, collector: Collector, seconds: float | None) -> None:
        """Collect until the program ends, somebody wants to detach, or the time is over."""
        from hookmon.collector import signals

        end = time.monotonic() + seconds if seconds else float("inf")
        while not self._is_over and self._target.is_there() and time.monotonic() < end:
            wait = min(collector.tick(), end - time.monotonic())
            self._is_over = signals.next_arrival(max(0.0, wait)).number in _ENDING
