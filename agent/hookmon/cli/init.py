"""`hookmon init`: a first hookmon.toml, with comments, from what is installed and what the project's modules are called."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookmon import __version__
from hookmon.cli import _output
from hookmon.config.settings import ROOT, USER, settings_of
from hookmon.core.errors import HookmonError
from hookmon.report.texts import inert

if TYPE_CHECKING:
    from hookmon.config.packs import Pack

_MOST_MODULES = 8


@click.command("init", short_help="Write a first hookmon.toml.")
@click.option("--python", metavar="FILE", default="", help="The interpreter of your program; else the python on PATH.")
@_output.as_json
def command(python: str, as_json: bool) -> None:
    """Write a hookmon.toml with comments into this folder: which packs will be at work, and how to watch your own functions.

    The interpreter is started once and asked for its libraries. A file that is there is never overwritten.
    """
    from hookmon.cli._versions import libraries_of
    from hookmon.collector.hints import module_names
    from hookmon.collector.interpreter import ask
    from hookmon.config.find import HOOKMON_TOML, find_config
    from hookmon.config.packs import read_packs

    here = Path.cwd()
    there = find_config(here)
    if there is not None and there.parent == here.resolve():
        raise HookmonError(f"{there}: there is a configuration already", code="file-exists")
    interpreter = _interpreter(python)
    shipped = read_packs([])
    answer = ask([interpreter], os.environ, libraries=libraries_of(shipped))
    there_are = answer.libraries if answer.is_supported else {}
    packs: list[tuple[Pack, str | None]] = []  # and installed version: "" for the standard library, None for none
    for pack in shipped:
        name, version = there_are.get(pack.library, ("", ""))
        found = f"{name} {version}" if name else None
        packs.append((pack, found if pack.library else ""))
    modules = [name for name in module_names(here) if not name.startswith(("test", "setup", "conftest"))]
    modules.sort(key=lambda name: (name.count(".") == 0, name))  # modules of packages first: a module at the top may be a script
    text = _text(f"{answer.name} {answer.version}", packs, modules)
    path = here / HOOKMON_TOML
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise HookmonError(f"{path}: there is a configuration already", code="file-exists") from None
    except OSError as error:
        raise _output.write_error(path, "the configuration", error) from error
    active = [pack.name for pack, version in packs if version is not None and pack.on]
    if as_json:
        _output.print_json({"path": str(path), "python": answer.executable, "version": answer.version, "packs": active})
        return
    from hookmon.report.screen import Screen

    screen = Screen(sys.stdout)
    screen.line((f"{HOOKMON_TOML} is written", "bold"), (f", for {answer.name} {answer.version}", ""))
    screen.paragraph(f"At work for what is installed there: {', '.join(active)}.", indent=2)
    if not answer.is_supported:
        screen.paragraph("This interpreter cannot be watched: hookmon needs CPython 3.11 or newer.", "yellow", indent=2)
    screen.paragraph("Next: hookmon run COMMAND", "cyan")
    screen.write()


def _interpreter(python: str) -> str:
    """Return the path of the interpreter that is meant. Raises HookmonError when there is none."""
    if python:
        found = shutil.which(python)
        if found is None:
            raise HookmonError(f"--python {python}: there is no such interpreter", code="interpreter")
        return found
    environment = os.environ.get("VIRTUAL_ENV", "")
    if environment and os.access(f"{environment}/bin/python", os.X_OK):
        return f"{environment}/bin/python"
    return shutil.which("python") or shutil.which("python3") or sys.executable


def _text(python: str, packs: list[tuple[Pack, str | None]], modules: list[str]) -> str:
    """Return the text of the file. All of it is comments, so it changes nothing yet.

    Lines that begin with ## are prose; a line that begins with # becomes a setting without the sign.
    """
    lines = [
        f"## hookmon {__version__}. Take the # away from what you want to set; lines with ## are prose.",
        "## hookmon config shows what holds, and where it comes from; hookmon config --schema describes every key for editors.",
        "",
    ]
    for setting in settings_of(ROOT, USER).values():
        lines += [f"# {setting.key} = {json.dumps(setting.default)}  # {setting.help}"]
    lines += ["", "## Your own functions, by the name of their module. A glob may stand in the last part."]
    lines += ["# [[watch]]", f"# module = {json.dumps(modules[0] if modules else 'shop.pricing')}"]
    if len(modules) > 1:
        more = f" and {len(modules) - _MOST_MODULES - 1} more" if len(modules) > _MOST_MODULES + 1 else ""
        lines.append(f"##         also here: {', '.join(modules[1 : _MOST_MODULES + 1])}{more}")
    lines += ['# calls = ["quote", "Basket.total", "Repo.*"]']
    for setting in settings_of("watch", USER).values():
        if setting.default is not None:
            lines.append(f"# {setting.key} = {json.dumps(setting.default)}  # {setting.help}")
    lines += ["", f"## Packs, for what is installed for {python}:"]
    for pack, version in packs:
        if version is not None and pack.on:
            lines.append(f"##   {pack.name}: {pack.description}" + (f" ({version})" if version else ""))
    silent = [pack.name for pack, version in packs if not pack.on]
    lines += [f"## Off until enable names them: {', '.join(silent)}."] if silent else []
    absent = [pack.name for pack, version in packs if version is None and pack.on]
    lines += [f"## Not installed there, and at work once they are: {', '.join(absent)}."] if absent else []
    lines += ["# [packs]"]
    for setting in settings_of("packs", USER).values():
        lines.append(f"# {setting.key} = {json.dumps(setting.default)}  # {setting.help}")
    return "\n".join(inert(line) for line in lines) + "\n"
