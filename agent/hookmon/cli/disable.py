"""`hookmon disable`: takes back what `hookmon enable` has written."""

from __future__ import annotations

from pathlib import Path

import click

from hookmon.cli import _output


@click.command("disable", short_help="Take back hookmon enable.")
@click.option(
    "--venv", type=click.Path(path_type=Path), metavar="PATH", help="An environment, or its python; else hookmon's own."
)
@_output.as_json
def command(venv: Path | None, as_json: bool) -> None:
    """Remove what `hookmon enable` has written into an environment, and nothing else.

    Programs that run go on being watched until they end. Exit code 0 as well where there was nothing to remove, 1 where it cannot
    be removed, or a file of that name is not hookmon's.
    """
    from hookmon.collector import door

    environment = door.find_environment(venv)
    files = door.remove(environment)
    if as_json:
        _output.print_json({"python": environment.python, "files": [str(path) for path in files]})
        return
    from hookmon.report.texts import inert

    for path in files:
        click.echo(inert(f"removed: {path}"))
    if not files:
        click.echo(inert(f"nothing of hookmon enable is in {environment.site_packages}"))
