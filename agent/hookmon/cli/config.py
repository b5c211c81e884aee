"""`hookmon config`: the configuration that a run would have here, each value with who decided it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from hookmon.cli import _options, _output
from hookmon.core.record import asdict


@click.command("config", short_help="Show the configuration, and where each value comes from.")
@_options.configuration
@click.option("--schema", is_flag=True, help="Print a JSON Schema of hookmon.toml, for editors.")
@click.option("--all", "everything", is_flag=True, help="Show the watches of the packs, too.")
@_output.as_json
def command(schema: bool, everything: bool, as_json: bool, **options: Any) -> None:
    """Show every value that a run started here would have, and where it comes from.

    The options are those of hookmon run. A configuration with mistakes is refused as there, with exit code 2.
    """
    if schema:
        _print_schema()
        return
    from hookmon.config.origins import DEFAULT, Origins, origins

    found: Origins = origins(Path.cwd(), **options)
    if as_json:
        _output.print_json(
            {
                "path": str(found.config.path) if found.config.path else None,
                "project": str(found.config.project),
                "values": [asdict(value) for value in found.values],
                "packs": [asdict(state) for state in found.packs],
            }
        )
        return
    from hookmon.report.screen import Column, Piece, Screen

    screen = Screen(sys.stdout)
    path = found.config.path
    screen.line((f"{path}" if path else "no hookmon.toml: the defaults, and all packs", "bold"))
    own = {number for number, watch in enumerate(found.config.watches, 1) if not watch.pack}
    rows: list[list[Piece]] = []
    for value in found.values:
        if value.number and not everything and (value.number not in own or value.origin == DEFAULT):
            continue
        table = f"{value.table} {value.number}: " if value.number else f"{value.table}." if value.table else ""
        key = table + value.key
        rows.append([(key, ""), (json.dumps(value.value, ensure_ascii=False), "cyan"), (value.origin, "dim")])
    screen.title("Values")
    screen.table([Column("", least=12), Column("", least=16), Column("", least=10)], rows)
    screen.title("Packs")
    packs: list[list[Piece]] = [
        [
            (state.name, ""),
            ("on" if state.is_on else "off", "" if state.is_on else "yellow"),
            (state.origin, "dim"),
            (state.description, "dim"),
        ]
        for state in found.packs
    ]
    screen.table([Column("", least=10), Column("", least=3), Column("", least=10), Column("", rank=1, least=20)], packs)
    screen.write()


def _print_schema() -> None:
    from hookmon.config.packs import read_packs
    from hookmon.config.schema import schema

    _output.print_json(schema([pack.name for pack in read_packs([])]))
