"""`hookmon help`: what a code in a message means and what to do about it, or how a verb is used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hookmon.cli import _output
from hookmon.core.errors import HookmonError
from hookmon.core.record import asdict

if TYPE_CHECKING:
    from hookmon.report.codes import Code


@click.command("help", short_help="Explain a code of a message, a word of a report, or a verb.")
@click.argument("code", nargs=-1)
@_output.as_json
@click.pass_context
def command(ctx: click.Context, code: tuple[str, ...], as_json: bool) -> None:
    """Explain CODE: the word in brackets at the end of an error, or before the colon of a blind spot in a report.

    CODE may be another word of a report (self, each, gone) or a verb, too. Without CODE all codes and words are listed.
    """
    from hookmon.report import codes, words

    text = " ".join(code)
    root = ctx.find_root()
    verbs = root.command.list_commands(root) if isinstance(root.command, click.Group) else []
    if not text:
        _list(as_json)
        return
    found = codes.find(text) or (None if text in verbs else words.find(text))
    if found is not None:
        if as_json:
            _output.print_json(asdict(found))
        else:
            _show(found)
        return
    if text in verbs and isinstance(root.command, click.Group):
        verb = root.command.get_command(root, text)
        if verb is not None:
            click.echo(verb.get_help(click.Context(verb, info_name=text, parent=root)))
            return
    near = codes.find_near(text, [*words.WORDS, *verbs])
    meant = f"; did you mean {near}?" if near else "; hookmon help lists all"
    raise HookmonError(f"there is no code, word or verb {text!r}{meant}", code="unknown-code")


def _show(code: Code) -> None:
    from hookmon.report.screen import Screen

    screen = Screen(sys.stdout)
    screen.line((code.name, "bold"), (f"  {code.group}", "dim"))
    screen.line()
    screen.paragraph(code.cause)
    screen.paragraph(code.remedy, "cyan")
    screen.write()


def _list(as_json: bool) -> None:
    from hookmon.report.codes import CODES
    from hookmon.report.screen import Column, Screen
    from hookmon.report.words import WORDS

    known = [*CODES.values(), *WORDS.values()]
    if as_json:
        _output.print_json([asdict(code) for code in known])
        return
    screen = Screen(sys.stdout)
    screen.line(("hookmon help CODE", "cyan"), (" says what to do about one of them.", ""))
    for group in dict.fromkeys(code.group for code in known):
        screen.title(group[0].upper() + group[1:])
        rows = [[(code.name, "bold"), (code.cause, "")] for code in known if code.group == group]
        screen.table([Column("", least=16), Column("", least=20)], rows)
    screen.write()
