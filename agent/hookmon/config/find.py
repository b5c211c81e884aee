"""Where the configuration and the project are, seen from a start folder upwards."""

from __future__ import annotations

import os
from pathlib import Path

from hookmon.core import consulted

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

PYPROJECT = "pyproject.toml"
HOOKMON_TOML = "hookmon.toml"
_PROJECT_MARKS = (HOOKMON_TOML, PYPROJECT, ".git", "setup.py")


def find_config(start: Path) -> Path | None:
    """Return the nearest hookmon.toml, or pyproject.toml that has a [tool.hookmon], from `start` upwards; None for none.

    Within one folder hookmon.toml wins.
    """
    for folder in _upwards(start):
        consulted.note(folder / HOOKMON_TOML)
        consulted.note(folder / PYPROJECT)
        if os.path.lexists(folder / HOOKMON_TOML):
            return folder / HOOKMON_TOML  # a folder of that name, too: `load` reports it
        if _mentions_hookmon(folder / PYPROJECT):
            return folder / PYPROJECT
    return None


def find_project(start: Path) -> Path:
    """Return the nearest folder from `start` upwards that looks like the top of a project, `start` itself when none does."""
    folders = _upwards(start)
    for folder in folders:
        for mark in _PROJECT_MARKS:
            consulted.note_existence(folder / mark)
            if (folder / mark).exists():
                return folder
    return folders[0]


def _upwards(start: Path) -> list[Path]:
    folder = start.resolve()
    return [folder, *folder.parents]


def _mentions_hookmon(pyproject: Path) -> bool:
    """Say whether the file configures hookmon. A broken file counts if it names the table: the user shall hear of its mistake."""
    try:
        text = pyproject.read_text(encoding="utf-8-sig") if pyproject.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return False
    if "hookmon" not in text:
        return False
    import tomllib  # a search for the project alone does without

    try:
        return hookmon_table(tomllib.loads(text)) is not None
    except (ValueError, RecursionError):  # a TOMLDecodeError, or a number of thousands of digits
        return "tool.hookmon" in text


def hookmon_table(data: dict[str, Any]) -> Any:
    """Return what stands under tool.hookmon, None for nothing."""
    tool = data.get("tool")
    return tool.get("hookmon") if isinstance(tool, dict) else None
