"""`hookmon doctor`: whether a command would be watched, and what stands in the way."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from shlex import join
from typing import Any

import click

from hookmon.cli import _options, _output


@click.command(
    "doctor",
    short_help="Tell whether a command would be watched.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@_options.configuration
@_output.as_json
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def command(command: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Tell whether COMMAND would be watched, and why not.

    Its interpreter is started once and asked; COMMAND itself is not started. Exit code 0: it would be watched; 1: it would not.
    """
    from hookmon.cli._diagnosis import ABSENT, NO, NOTE, Check, diagnose
    from hookmon.config.origins import origins

    checks = diagnose(list(command), origins(Path.cwd(), **options))
    is_watched = not any(check.answer == NO and check.is_needed for check in checks)
    if as_json:
        _output.print_json(
            {"command": list(command), "watched": is_watched, "checks": [asdict(check) for check in checks]},
        )
        return 0 if is_watched else 1
    from hookmon.report.screen import Piece, Screen

    screen = Screen(sys.stdout)
    verdict = ("would be watched", "green") if is_watched else ("would not be watched", "red")
    screen.flow([(join(command), "bold"), verdict])
    screen.line()
    absent = [check for check in checks if check.detail.endswith(ABSENT)]  # dozens of packs: one line on a screen
    names = ", ".join(check.what.removeprefix("pack ") for check in absent)
    checks = [check for check in checks if check not in absent]
    checks += [Check("packs", NOTE, f"{ABSENT}: {names}", is_needed=False)] if absent else []
    widest = max(len(check.what) for check in checks)
    for check in checks:
        style = "" if check.answer != NO else "red" if check.is_needed else "yellow"
        head: list[Piece] = [(check.what.ljust(widest), ""), (check.answer.ljust(5), style)]
        words: list[Piece] = [(word, "" if check.is_needed else "dim") for word in check.detail.split(" ") if word]
        screen.flow(head + words, indent=widest + 7)
    screen.write()
    return 0 if is_watched else 1
