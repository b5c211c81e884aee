"""What somebody may have meant who misspelt a name. Pure functions; the second looks at the file names of a project."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

_MOST_FILES = 5_000
_SKIPPED = frozenset(("node_modules", "__pycache__", "site-packages", "build", "dist"))


def near_name(call: str, names: list[str]) -> str:
    """Return "did you mean …?" for a call that is not among the names that are there, "" when none is near."""
    near = get_close_matches(call, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def near_module(module: str, project: Path) -> str:
    """Return "did you mean …?" for a module that was never imported, from the Python files below a folder."""
    names = module_names(project)
    if module in names:
        return ""
    near = get_close_matches(module, names, n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else ""


def module_names(project: Path) -> list[str]:
    """Return the dotted names under which the files of a folder, or of its src folder, could be imported."""
    names: list[str] = []
    seen = 0
    for folder, folders, files in os.walk(project):
        folders[:] = [each for each in folders if not each.startswith(".") and each not in _SKIPPED]
        seen += len(files)
        if seen > _MOST_FILES:
            break
        parts = Path(folder).relative_to(project).parts
        if parts[:1] == ("src",):
            parts = parts[1:]
        if not all(part.isidentifier() for part in parts):
            continue
        for file in files:
            stem, extension = os.path.splitext(file)
            if extension == ".py" and stem.isidentifier():
                dotted = parts if stem == "__init__" else (*parts, stem)
                if dotted:
                    names.append(".".join(dotted))
    return names
