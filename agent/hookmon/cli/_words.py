"""The words of a `hookmon run` that its program need not wait for: those that this module understands, as click does.

In: the words after `run`. Out: the values of the options and the command, or None for a line that is left to click: one with
another option, with a mistake, or with anything that could be meant in two ways. `tests/cli/test_words.py` holds the table
against click's own options, and what comes out against what click makes of the same line. Imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

FLAG, VALUE, VALUES = "flag", "value", "values"
"""Kinds of options: without a value, with one, given as often as one likes."""

OF_CONFIGURATION = {
    "--config": VALUE,
    "--no-config": FLAG,
    "--watch": VALUES,
    "--own": FLAG,
    "--pack": VALUES,
    "--no-pack": VALUES,
    "--signal": VALUES,
    "--imports": FLAG,
}
"""Options that choose the configuration; so do `--no-export` and `--no-service`."""

OPTIONS = {**OF_CONFIGURATION, "--name": VALUE, "--quiet": FLAG, "--no-export": FLAG, "--no-service": FLAG}


def parse(words: Sequence[str]) -> tuple[dict[str, Any], list[str]] | None:
    """Return {option as a parameter: value} of all OPTIONS, and the command; None where click has to look at the line."""
    given: dict[str, Any] = {name_of(option): {FLAG: False, VALUE: None, VALUES: ()}[kind] for option, kind in OPTIONS.items()}
    at = 0
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "--":
            at += 1
            break
        option, sign, value = words[at].partition("=")
        kind = OPTIONS.get(option)
        at += 1
        if kind == FLAG and not sign:
            given[name_of(option)] = True
            continue
        if kind not in (VALUE, VALUES):
            return None
        if not sign:
            value = words[at] if at < len(words) else ""
            at += 1
        if not value or value.startswith("-") or (kind == VALUE and given[name_of(option)] is not None):
            return None
        given[name_of(option)] = value if kind == VALUE else (*given[name_of(option)], value)
    command = list(words[at:])
    if not command or not command[0] or command[0].startswith("-"):
        return None
    given["name"] = given["name"] or ""
    return given, command


def name_of(option: str) -> str:
    """Return the parameter of an option."""
    return option[2:].replace("-", "_")


def configuration_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given of a configuration as click has it, the parameters of `config.load`."""
    from pathlib import Path

    chosen = {name: given[name] for name in map(name_of, OF_CONFIGURATION)}
    return chosen | {"config": Path(given["config"]) if given["config"] else None}
