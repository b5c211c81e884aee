"""`hookmon packs`: lists the packs, whether each is on and why, and which version of its library is there to be watched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli._versions import installed_versions
from hookmon.config.checks import TESTED_AGAINST
from hookmon.core.errors import HookmonError
from hookmon.report.texts import inert

if TYPE_CHECKING:
    from hookmon.config.load import Config


@click.command("packs", short_help="List the packs and what they watch.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--python", "python", metavar="PYTHON", help="Look for libraries where this interpreter does.")
@click.option("--pack", multiple=True, metavar="NAME|FILE", help="As for hookmon run.")
@click.option("--no-pack", multiple=True, metavar="NAME", help="As for hookmon run.")
@click.option("--check", is_flag=True, help="Try every target of the libraries that are installed; exit 1 where one is lost.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--markdown", is_flag=True, help="Write the table of the documentation: what does not depend on this machine.")
def command(
    names: tuple[str, ...],
    python: str | None,
    pack: tuple[str, ...],
    no_pack: tuple[str, ...],
    check: bool,
    as_json: bool,
    markdown: bool,
) -> None:
    """List the packs: on or off and why, the library's version that is installed, and the number of targets.

    With NAMEs, only those, each with all its targets. --check imports each library under a real `hookmon run`, and
    says which targets of a pack the installed release has lost.
    """
    from hookmon.config.load import load

    config = load(Path.cwd(), pack=pack, no_pack=no_pack)
    if markdown:
        click.echo(table(config), nl=False)
        return
    known = [pack.name for pack, _ in config.offered]
    for name in names:
        if name not in known:
            raise HookmonError(f"there is no pack {name}; there are {', '.join(known)}", code="unknown-pack")
    rows = [row for row in _rows(config, python) if not names or row["name"] in names]
    if check:
        _check(config, rows, python or sys.executable, as_json=as_json)
        return
    if as_json:
        import json

        click.echo(json.dumps({"packs": rows, "left_out": [str(left_out) for left_out in config.left_out]}, indent=1))
        return
    _print(rows, with_targets=bool(names))
    for left_out in config.left_out:
        click.echo(inert(str(left_out)))


def _rows(config: Config, python: str | None) -> list[dict[str, Any]]:
    """Return what there is to say of each pack."""
    versions = installed_versions(python or sys.executable, [pack for pack, _ in config.offered])
    rows = []
    for pack, verdict in config.offered:
        distribution, version = versions.get(pack.library, ("", ""))
        is_on = verdict.is_on and pack.name in config.packs
        left_out = verdict.is_on and not is_on
        rows.append(
            {
                "name": pack.name,
                "state": "on" if is_on else "off",
                "why": "left out" if left_out else str(verdict.place) if verdict.place else "by default",
                "library": pack.library,
                "distribution": distribution,
                "version": version,
                "tested": pack.tested,
                "against": pack.against,
                "tests": pack.tests,
                "origin": pack.origin,
                "description": pack.description,
                "targets": pack.targets,
            }
        )
    return rows


def _check(config: Config, rows: list[dict[str, Any]], python: str, *, as_json: bool) -> None:
    """Try the targets of the packs of these rows whose library is there, and say what was found; exit 1 where one is lost."""
    from hookmon.cli._pack_check import LOST, THERE, try_targets

    packs = {pack.name: pack for pack, _ in config.offered}
    found = []
    for row in rows:
        if row["library"] and not row["version"]:
            continue
        tried = try_targets(packs[row["name"]], python)
        others = [target for target in tried if target.state != THERE]
        found.append(
            {key: row[key] for key in ("name", "library", "distribution", "version", "tested")}
            | {"targets": [{"target": target.target, "state": target.state, "detail": target.detail} for target in tried]}
        )
        if as_json:
            continue
        version = f"{row['distribution']} {row['version']}" if row["library"] else "standard library"
        of = f"{len(tried) - len(others)} of {len(tried)} targets there" if others else f"all {len(tried)} targets there"
        click.echo(inert(f"{row['name']}  {version}  {of}"))
        for target in others:
            click.echo(inert(f"    {target.state}: {target.target}: {target.detail}"))
        if any(target.state == LOST for target in tried) and row["tested"]:
            click.echo(inert(f"    the pack was tested with {', '.join(row['tested'])}"))
    if as_json:
        import json

        click.echo(json.dumps({"packs": found}, indent=1))
    if any(target["state"] == LOST for row in found for target in row["targets"]):
        raise SystemExit(1)


def _print(rows: list[dict[str, Any]], *, with_targets: bool) -> None:
    cells = []
    for row in rows:
        version = f"{row['distribution']} {row['version']}" if row["version"] else "not installed"
        library = version if row["library"] else "standard library"
        why = "" if row["why"] == "by default" else f" ({row['why']})"
        count = len(row["targets"])
        cells.append((row["name"], row["state"] + why, library, f"{count} target{'s' if count > 1 else ''}"))
    widths = [max((len(line[column]) for line in cells), default=0) for column in range(4)]
    for row, line in zip(rows, cells, strict=True):
        click.echo(inert("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()))
        if with_targets:
            click.echo(inert(f"  {row['description']}"))
            if row["against"]:
                releases = ", ".join(row["tested"]) if row["library"] else "the interpreters"
                click.echo(inert(f"  tested with {releases} against {TESTED_AGAINST[row['against']]}"))
            for target in row["targets"]:
                click.echo(inert(f"    {target}"))


def table(config: Config) -> str:
    """Return the packs that hookmon ships as a table of Markdown, the same on every machine."""
    lines = ["| pack | kinds | targets | hold | tested with | against | `-k` | shows |", "|---|---|---|---|---|---|---|---|"]
    shipped = [pack for pack, _ in config.offered if not pack.origin]
    for pack in shipped:
        watches = pack.content.watches
        kinds = ", ".join(dict.fromkeys(watch.kind for watch in watches))
        modules = len({watch.module for watch in watches})
        targets = f"{len(pack.targets)} in {modules} module{'s' if modules > 1 else ''}"
        hold = " and ".join(sorted({"adapter" if watch.adapter else "attributes" for watch in watches}, reverse=True))
        tested = ", ".join(pack.tested) if pack.library else "the interpreters"
        description = pack.description.replace("|", "\\|")
        off = "" if pack.on else " (off)"
        against, tests = TESTED_AGAINST.get(pack.against, ""), pack.tests.removesuffix(".py")
        lines.append(f"| `{pack.name}`{off} | {kinds} | {targets} | {hold} | {tested} | {against} | `{tests}` | {description} |")
    return "\n".join([*lines, ""])
