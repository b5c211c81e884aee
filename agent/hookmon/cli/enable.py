"""`hookmon enable`: programs of an environment can be watched without a launcher from now on, once HOOKMON is set for them."""

from __future__ import annotations

from pathlib import Path

import click

from hookmon.cli import _output


@click.command("enable", short_help="Let programs be watched that nobody can start by hookmon run.")
@click.option(
    "--venv", type=click.Path(path_type=Path), metavar="PATH", help="An environment, or its python; else hookmon's own."
)
@_output.as_json
def command(venv: Path | None, as_json: bool) -> None:
    """Write a line into the site-packages of an environment that brings hookmon in where HOOKMON is set.

    Python executes it at each start, with -I and -E, too; without HOOKMON or HOOKMON_RUN in the environment of the process it
    does nothing. The environment may have another Python than hookmon, and needs no hookmon. `hookmon disable` takes it away.
    Exit code 1 where it cannot be written.
    """
    from hookmon.collector import door

    environment = door.find_environment(venv)
    was_there = bool(door.look(environment).files)
    files = door.write(environment)
    if as_json:
        _output.print_json({"python": environment.python, "files": [str(path) for path in files], "renewed": was_there})
        return
    from hookmon.report.texts import inert

    for path in files:
        click.echo(inert(f"{'renewed' if was_there else 'written'}: {path}"))
    click.echo(inert(f"HOOKMON=1 watches a program of {environment.prefix}; hookmon disable takes this back"))
