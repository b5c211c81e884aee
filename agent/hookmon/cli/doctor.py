"""`hookmon doctor`: whether a command would be watched, and what stands in the way."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _options, _output
from hookmon.core.record import asdict

if TYPE_CHECKING:
    from hookmon.cli._diagnosis import Check


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

    Its interpreter is started once and asked; COMMAND itself is not started. Exit code 0: it would be watched, or what it starts
    (a wrapper, a shell script); 1: it would not.
    """
    from hookmon.cli._diagnosis import ABSENT, NO, UNKNOWN, diagnose
    from hookmon.config.origins import origins

    checks = diagnose(list(command), origins(Path.cwd(), **options))
    is_watched = not any(check.answer == NO and check.is_needed for check in checks)
    is_known = not is_watched or all(check.answer != UNKNOWN for check in checks)
    if as_json:
        _output.print_json(
            {
                "command": list(command),
                "watched": is_watched if is_known else None,
                "checks": [asdict(check) for check in checks],
            },
        )
        return 0 if is_watched else 1
    from hookmon.report.screen import Piece, Screen

    screen = Screen(sys.stdout)
    verdict = ("would be watched", "green") if is_watched else ("would not be watched", "red")
    if not is_known:
        verdict = ("is no Python itself: it depends on what it starts", "yellow")
    screen.flow([(join(command), "bold"), verdict])
    screen.line()
    checks = _fold(checks, ABSENT)
    widest = max(len(check.what) for check in checks)
    answers = max(5, *(len(check.answer) for check in checks))
    for check in checks:
        style = "" if check.answer != NO else "red" if check.is_needed else "yellow"
        head: list[Piece] = [(check.what.ljust(widest), ""), (check.answer.ljust(answers), style)]
        words: list[Piece] = [(word, "" if check.is_needed else "dim") for word in check.detail.split(" ") if word]
        screen.flow(head + words, indent=widest + answers + 2)
    screen.write()
    return 0 if is_watched else 1


def _fold(checks: list[Check], absent: str) -> list[Check]:
    """Return the checks, with one line for all packs of the same answer: there are dozens, and a screen is small.

    `absent` is how the text of those ends whose library is missing.
    """
    from hookmon.cli._diagnosis import NO, NOTE, Check

    why = {
        check.what: absent if check.detail.endswith(absent) else check.detail
        for check in checks
        if check.what.startswith("pack ") and check.answer == NO
    }
    folded = [check for check in checks if check.what not in why]
    for text in dict.fromkeys(why.values()):
        names = [name.removeprefix("pack ") for name, own in why.items() if own == text]
        folded.append(Check("packs", NOTE, f"{text}: {', '.join(names)}", is_needed=False))
    return folded
