"""`hookmon engine`: the compiled engines that are there; builds one for another interpreter, and removes them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hookmon import __version__
from hookmon.cli import _output
from hookmon.core.errors import EngineError
from hookmon.core.record import asdict

if TYPE_CHECKING:
    from hookmon.collector.engines import Engine


@click.group("engine", invoke_without_command=True, short_help="List, build and remove compiled engines.")
@_output.as_json
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the compiled engines: those that were installed with hookmon, and those that were built into the user's cache.

    A program runs on the engine of its own interpreter, whichever environment it is in. Where there is none, the pure engine
    counts the same, and costs ten times as much a call.
    """
    if ctx.invoked_subcommand is not None:
        return
    from hookmon.collector import engines

    rows = [_installed_row(suffix) for suffix in engines.shipped()] + [_row(engine) for engine in engines.built()]
    if as_json:
        _output.print_json(rows)
        return
    from hookmon.report.screen import Column, Piece, Screen

    if not rows:
        click.echo("there is no compiled engine; hookmon engine build --python PATH builds one")
        return
    screen = Screen(sys.stdout)
    cells: list[list[Piece]] = [
        [
            (row["suffix"].strip(".").removesuffix(".so"), "bold"),
            (row["origin"], ""),
            (row["python"], ""),
            (row["problem"] or row["path"], "red" if row["problem"] else "dim"),
        ]
        for row in rows
    ]
    screen.table([Column("for", least=12), Column("is"), Column("python", rank=1), Column("", least=12)], cells)
    screen.write()


@command.command("build")
@click.option("--python", metavar="PATH", help="An interpreter, or the folder of its environment; else hookmon's own.")
@click.option("--include", "includes", multiple=True, metavar="FOLDER", help="Where its headers are, if not where it says.")
@_output.as_json
def build(python: str | None, includes: tuple[str, ...], as_json: bool) -> None:
    """Build the compiled engine for an interpreter, from the sources that hookmon has with it, into the user's cache.

    Every program that starts on such an interpreter from then on runs on it. Needs a C compiler (CC names one) and the
    interpreter's headers. Exit code 1 where it cannot be built, with what is missing.
    """
    from hookmon.collector import engine_build, engines
    from hookmon.report.texts import inert

    interpreter = engine_build.ask(engine_build.find(python), list(includes))
    if not includes and interpreter.suffix in engines.shipped():
        path = engines.PROBE / f"{engines.STEM}{interpreter.suffix}"
        try:
            engine_build.try_out(path, interpreter)
        except EngineError:
            pass  # it is of other sources, or of another system
        else:
            row = _installed_row(interpreter.suffix)
            _say(as_json, row, inert(f"hookmon was installed with the one for {interpreter.name}: there is nothing to build"))
            return
    engine = engine_build.build(interpreter)
    _say(as_json, _row(engine), inert(f"built for {interpreter.name}: {engine.path}"))


@command.command("remove")
@click.option("--python", metavar="PATH", help="Only those for this interpreter.")
@_output.as_json
def remove(python: str | None, as_json: bool) -> None:
    """Remove the engines that were built into the user's cache, those of other versions of hookmon as well."""
    from hookmon.collector import engine_build, engines
    from hookmon.report.texts import inert

    suffix = engine_build.ask(engine_build.find(python)).suffix if python else ""
    found = [engine for engine in engines.built() if not suffix or engine.suffix == suffix]
    for engine in found:
        try:
            engines.remove(engine)
        except OSError as error:
            raise EngineError(f"{engine.path}: {error.strerror or error}") from error
    if as_json:
        _output.print_json([_row(engine) for engine in found])
        return
    for engine in found:
        click.echo(inert(f"removed: {engine.path}"))
    if not found:
        click.echo("there is none to remove")


def _say(as_json: bool, row: dict[str, Any], text: str) -> None:
    if as_json:
        _output.print_json(row)
    else:
        click.echo(text)


def _installed_row(suffix: str) -> dict[str, Any]:
    from hookmon.collector import engines

    row = _row(engines.Engine(engines.PROBE / f"{engines.STEM}{suffix}", suffix, __version__))
    return row | {"origin": "installed"}


def _row(engine: Engine) -> dict[str, Any]:
    return {**asdict(engine), "path": str(engine.path), "origin": "built"}
