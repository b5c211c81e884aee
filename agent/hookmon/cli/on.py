"""`hookmon on`: records again what `hookmon off` has switched off."""

from __future__ import annotations

import click

from hookmon.cli import _output


@click.command("on", short_help="Record again what was switched off.")
@click.argument("run", default="", metavar="[RUN|SERVICE]")
@click.option("--watch", multiple=True, metavar="NAME", help="Only this, of what is off.")
@_output.as_json
def command(run: str, watch: tuple[str, ...], as_json: bool) -> None:
    """Switch on what `hookmon off` has switched off in a running program: all of it, or what --watch names.

    RUN is a number, a name, or a process of a run; of a SERVICE it is all that runs; without either the newest run. Calls that
    begin from now on are counted. Exit code 1 when nothing runs.
    """
    from hookmon.cli._switching import switch

    switch(run, watch, as_json, is_off=False)
