"""What somebody may have meant who misspelt the name of a function, or that of a module among a project's files."""

from __future__ import annotations

import os
from difflib import SequenceMatcher
from pathlib import Path

from hookmon.core.globs import Glob, is_glob

_MOST_FILES = 5_000
_MOST_HINTS = 50
"""Of each kind in one run: the user's shell waits for them, and no report that is read shows more."""
_MOST_WORK = 40_000
"""For all hints of one run, in names that are looked at: 0.1 s. What comes after that gets no hint."""
_RATIO = 20
"""What the exact likeness of two names takes, in names that are looked at."""
_SKIPPED = frozenset(("node_modules", "__pycache__", "site-packages", "build", "dist"))


class Hints:
    """The hints of one run, for the first names that need one."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._names_left = _MOST_HINTS
        self._work = _Work(_MOST_WORK)
        self._modules: dict[str, str] = {}
        self._known: list[str] | None = None

    def of_name(self, call: str, names: list[str]) -> str:
        """Return what `near_name` does, "" for one too many."""
        self._names_left -= 1
        return near_name(call, names, self._work) if self._names_left >= 0 else ""

    def of_watch(self, module: str, files: list[str]) -> str:
        """Return what to say of a module, glob of modules, or globs of files, of which nothing was imported.

        It is what `near_module`, `near_glob` or `about_files` return, and "" for one too many.
        """
        if module not in self._modules and len(self._modules) < _MOST_HINTS:
            if self._known is None and not files:
                self._known = module_names(self._project)
            if files:
                self._modules[module] = about_files(files)
            else:
                find = near_glob if is_glob(module) else near_module
                self._modules[module] = find(module, self._known or [], self._work)
        return self._modules.get(module, "")


class _Work:
    """What may still be spent on hints."""

    def __init__(self, left: int) -> None:
        self.left = left


def near_name(call: str, names: list[str], work: _Work | None = None) -> str:
    """Return "did you mean …?" for a call that is not among the names that are there, "" when none is near."""
    near = _nearest(call, names, 0.6, work or _Work(_MOST_WORK))
    return f"did you mean {near}?" if near else ""


def near_module(module: str, names: list[str], work: _Work | None = None) -> str:
    """Return "did you mean …?" for a module that was never imported, from the names of those that could be."""
    if module in names:
        return ""
    near = _nearest(module, names, 0.75, work or _Work(_MOST_WORK))
    return f"did you mean {near}?" if near else ""


def _nearest(word: str, names: list[str], cutoff: float, work: _Work) -> str:
    """Return the name that difflib.get_close_matches puts first, "" for none and where there is no work left to spend.

    That one compares each name letter by letter, 30 µs apiece. Here the letters are counted first, in 2 µs: two names are no more
    alike than the letters that they share. So only those are compared that may be nearer than the nearest so far.
    """
    if work.left < len(names):
        return ""
    work.left -= len(names)
    letters = [(letter, word.count(letter)) for letter in set(word)]
    bounds = []
    for name in names:
        length = len(word) + len(name)
        if 2 * min(len(word), len(name)) >= cutoff * length:
            shared = 0
            for letter, times in letters:
                there = name.count(letter)
                shared += times if times < there else there
            if 2 * shared >= cutoff * length:
                bounds.append((2 * shared / length, name))
    bounds.sort(reverse=True)
    nearest = (cutoff, "")
    matcher = SequenceMatcher()
    matcher.set_seq2(word)
    for bound, name in bounds:
        if bound < nearest[0] or work.left < _RATIO:
            break
        work.left -= _RATIO
        matcher.set_seq1(name)
        nearest = max(nearest, (matcher.ratio(), name))
    return nearest[1]


def near_glob(glob: str, names: list[str], work: _Work | None = None) -> str:
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
    if package in packages or is_glob(package):
        return ""
    near = _nearest(package, packages, 0.75, work or _Work(_MOST_WORK))
    return f"did you mean {near}{dot}{rest}?" if near else ""


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
