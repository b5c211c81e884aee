"""What a report says of a program that ran on the pure engine: the reason, and the command that builds the compiled one.

In: a note of the probe and the interpreter that it ran on. Out: the detail of a blind spot. The launcher makes it, the report
takes the command out of it again.
"""

from __future__ import annotations

from hookmon.core.layout import NOTE_UNKNOWN_PYTHON

COMMAND = "hookmon engine build --python "
_BEFORE = "; "


def build_command(interpreter: str) -> str:
    """Return the command that builds the compiled engine for an interpreter."""
    from shlex import quote  # the probe has no use for it

    return COMMAND + quote(interpreter or "PYTHON")


def why_pure(kind: str, reason: str, interpreter: str) -> str:
    """Return why the pure engine counted there, and at the end the command, where there is one that helps."""
    text = f"the pure engine counted in {interpreter or 'a program that embeds Python'}: {reason}"
    return text if kind == NOTE_UNKNOWN_PYTHON or not interpreter else f"{text}{_BEFORE}{build_command(interpreter)}"


def command_in(detail: str) -> str:
    """Return the command at the end of such a detail, "" where there is none."""
    before, found, words = detail.rpartition(_BEFORE + COMMAND)
    return COMMAND + words if before and found else ""
