"""What somebody may have meant who misspelt the name of a function, or that of a module among a project's files."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from hookmon.core.globs import Glob, is_glob

_MOST_FILES = 5_000
_MOST_HINTS = 50
"""Of each kind in one run: to find a near name takes milliseconds, and the user's shell waits for it."""
_SKIPPED = frozenset(("node_modules", "__pycache__", "site-packages", "build", "dist"))


class Hints:
    """The hints of one run, for the first names that need one."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._names_left = _MOST_HINTS
        self._modules: dict[str, str] = {}
        self._known: list[str] | None = None

    def of_name(self, call: str, names: list[str]) -> str:
        """Return what `near_name` does, "" for one too many."""
        self._names_left -= 1
        return near_name(call, names) if self._names_left >= 0 else ""

    def of_watch(self, module: str, files: list[str]) -> str:
        """Return what to say of a module, glob of modules, or globs of files, of which nothing was imported.

        It is what `near_module`, `near_glob` or `about_files` return, and "" for one too many.
        """
        if module not in self._modules and len(self._modules) < _MOST_HINTS:
            if self._known is None and not files:
                self._known = module_names(self._project)
            find = near_glob if is_glob(module) else near_module
            self._modules[module] = about_files(files) if files else find(module, self._known or [])
        return self._modules.get(module, "")


def near_name(call: str, names: list[str]) -> str:
    """Return "did you mean …?" for a call that is not among the names that are there, "" when none is near."""
    near = get_close_matches(call, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def near_module(module: str, names: list[str]) -> str:
    """Return "did you mean …?" for a module that was never imported, from the names of those that could be."""
    if module in names:
        return ""
    near = get_close_matches(module, names, n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else ""


def near_glob(glob: str, names: list[str]) -> str:
    """Return a hint for a glob of which no module was imported: that there are some, or "did you mean …?" for its package."""
    compiled = Glob(glob)
    there = sorted(name for name in names if compiled.takes(name))
    if len(there) > 1:
        return f"{there[0]} and others are there, and no process has imported one"
    if there:
        return f"{there[0]} is there, and no process has imported it"
    package, dot, rest = glob.partition(".")
    if glob.endswith(".*") and glob[:-2] in names:
        return f"{glob[:-2]} has no modules in it; did you mean {glob[:-2]}?"
    packages = sorted({name.partition(".")[0] for name in names})
    near = get_close_matches(package, packages, n=1, cutoff=0.75) if package not in packages and not is_glob(package) else []
    return f"did you mean {near[0]}{dot}{rest}?" if near else ""


def about_files(files: list[str]) -> str:
    """Return a hint for globs of files of which none was loaded: whether there are any."""
    from glob import iglob

    first = next((path for file in files for path in iglob(file, recursive=True)), "")
    if first:
        return f"{first} is there, and no process has loaded it as a module"
    return f"there is no file {files[0]}"


def module_names(project: Path) -> list[str]:
    """Return the dotted names under which the files of a folder, or of its src folder, could be imported."""
    names: list[str] = []
    seen = 0
    for folder, folders, files in os.walk(project):
        folders[:] = [folder for folder in folders if not folder.startswith(".") and folder not in _SKIPPED]
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
