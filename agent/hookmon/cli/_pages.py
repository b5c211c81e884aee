"""Pages that are written to be looked at now, and the browser that shows them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from hookmon.cli import _output


def write(wanted: Path | None, render: Callable[[TextIO], None]) -> Path:
    """Write a page, whole or not at all, readable by its owner only, and return where it is.

    That is `wanted`, or a new file in the folder for temporary ones where nothing is wanted or its folder cannot be written.
    """
    folder = wanted.parent if wanted is not None and os.access(wanted.parent, os.W_OK) else Path(tempfile.gettempdir())
    try:
        number, name = tempfile.mkstemp(prefix="hookmon-", suffix=".html", dir=folder)
        with open(number, "w", encoding="utf-8", newline="\n") as file:
            render(file)
        if wanted is None or folder != wanted.parent:
            return Path(name)
        os.replace(name, wanted)
    except OSError as error:
        raise _output.write_error(folder, "the page", error) from error
    return wanted


def show(path: Path) -> None:
    """Open a page in the browser; without a display do nothing."""
    if not _has_display():
        return
    import webbrowser

    webbrowser.open(path.absolute().as_uri())


def _has_display() -> bool:
    """Say whether a browser would have a screen: text browsers would take over this terminal."""
    if sys.platform == "darwin":
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))
