"""What the first lines of a report say of a program that ran on the pure engine though there could be the compiled one.

In: a Report. Out: a Remark, or None where there is nothing to say.
"""

from __future__ import annotations

from hookmon.core.engine_notes import command_in
from hookmon.core.layout import ENGINE_NOTES
from hookmon.core.record import Record
from hookmon.report.model import Report

_MOST_COMMANDS = 2


class Remark(Record, frozen=True):
    """`text` is a sentence, after which the `commands` come that build the compiled engine; `more` are sentences without one."""

    text: str
    commands: list[str]
    more: list[str]


def remark_of(report: Report) -> Remark | None:
    """Return what to say, a command for each interpreter, of the first ones."""
    details = list(dict.fromkeys(spot.detail for spot in report.blind_spots if spot.kind in ENGINE_NOTES))
    if not details:
        return None
    commands = list(dict.fromkeys(filter(None, map(command_in, details))))
    more = [f"{detail[0].upper()}{detail[1:]}." for detail in details if not command_in(detail)][:_MOST_COMMANDS]
    if len(commands) > _MOST_COMMANDS:
        more.append(f"The commands for {len(commands) - _MOST_COMMANDS} more interpreters stand under blind spots.")
    which = "A part of it" if "compiled" in report.header.engine else "It"
    text = f"{which} ran on the pure engine, where a call costs ten times as much. To build the compiled one:"
    return Remark(text if commands else "", commands[:_MOST_COMMANDS], more)
