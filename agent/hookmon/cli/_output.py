"""What the verbs print, and in which form: options and writers that several of them share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hookmon.cli._telling import tell as tell
from hookmon.core.errors import HookmonError

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TextIO

as_json: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
"""The option of verbs that have no --format."""

format_as_json: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")


def choose_format(format: str, as_json: bool) -> str:
    """Return the format that --format and --json ask for. Raises UsageError when they disagree."""
    if as_json and format not in ("text", "json"):
        raise click.UsageError(f"--json and --format {format} ask for two formats")
    return "json" if as_json else format


def refuse_binary(format: str, file: TextIO) -> None:
    """Raise HookmonError when a format of bytes would go to a terminal."""
    if format == "text" or not file.isatty():
        return  # importing the screen here would only delay the start of a program
    refuse_binary_without_file(format)


def refuse_binary_without_file(format: str) -> None:
    """Raise HookmonError when a format needs a file of its own."""
    from hookmon.report import is_binary

    if format != "text" and is_binary(format):
        raise HookmonError(f"--format {format} is binary: it needs --output FILE", code="binary-format")


def check_output(output: Path) -> None:
    """Refuse now what could not be written after the run."""
    folder = output.parent
    if output.is_dir():
        raise HookmonError(f"--output {output}: that is a folder", code="output")
    if not folder.is_dir():
        raise HookmonError(f"--output {output}: there is no folder {folder}", code="output")
    if not os.access(output if output.exists() else folder, os.W_OK):
        raise HookmonError(f"--output {output}: it cannot be written", code="output")


def print_json(document: Any) -> None:
    """Print a document on stdout, in ASCII: foreign text in it cannot act on a terminal."""
    from hookmon.report.texts import inert_json

    click.echo(inert_json(json.dumps(document, indent=2)))


@contextmanager
def open_output(path: Path, what: str) -> Iterator[TextIO]:
    """Open the file of --output for a document. Raises HookmonError when it cannot be written."""
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise write_error(path, what, error) from error


def write_error(path: Path, what: str, error: OSError) -> HookmonError:
    """Return the error for a file that cannot be written."""
    return HookmonError(f"{path}: {what} cannot be written: {error.strerror}", code="output")
