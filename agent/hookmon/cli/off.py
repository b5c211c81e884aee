"""`hookmon off`: records nothing more of a program that goes on, or not of some targets, until `hookmon on`."""

from __future__ import annotations

import click

from hookmon.cli import _output


@click.command("off", short_help="Stop recording a running program, or parts of it.")
@click.argument("run", default="", metavar="[RUN|SERVICE]")
@click.option("--watch", multiple=True, metavar="NAME", help="Only module:call, a glob, a pack, a name in the report.")
@_output.as_json
def command(run: str, watch: tuple[str, ...], as_json: bool) -> None:
    """Switch off what is recorded of a running program, until `hookmon on`. The program goes on and is told nothing.

    RUN is a number, a name, or a process of a run; of a SERVICE it is all that runs; without either the newest run. Calls that
    have begun are counted when they end; what begins from now on is not, and each watched call costs a load and a branch. What
    a call does that is off belongs to its caller. The report says when it was off, and for what. --watch may be given several
    times. Exit code 1 when nothing runs.
    """
    from hookmon.cli._switching import switch

    switch(run, watch, as_json, is_off=True)
