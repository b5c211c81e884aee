"""Which modules are watched, where the plan has globs: of modules ("app.**") and of files ("/srv/dags/*.py").

In: the lines of the run folder's list of modules. Out: what the finder asks at each import. Runs in the watched process, and is
imported at its start only where there are globs.
"""

from __future__ import annotations

import sys

from hookmon.core.globs import SUFFIXES, Glob, is_glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NOBODYS = frozenset(("__main__", "__mp_main__", "hookmon", "hookmon_bootstrap", "sitecustomize", "usercustomize", "wrapt"))
"""Modules and packages that a glob takes only where it names them; so it is with the standard library."""

_INSTALLED = ("/site-packages/", "/dist-packages/")
_STANDARD_LIBRARY = f"{sys._stdlib_dir}/"  # type: ignore[attr-defined]
"""Its folder; some of its modules are not among its public names."""


def sort_out(lines: Iterable[str]) -> Names:
    """Return what a list of modules stands for. Files begin with a slash."""
    paths = [line for line in lines if line.startswith("/")]
    patterns = [line for line in lines if is_glob(line) and not line.startswith("/")]
    return Names(frozenset(lines) - {*paths, *patterns}, patterns, Files(paths) if paths else None)


def is_installed(origin: object) -> bool:
    """Say whether a module with that origin is a library's: installed, built in, or without a file."""
    if type(origin) is not str or not origin.endswith(SUFFIXES):
        return True
    return origin.startswith(_STANDARD_LIBRARY) or any(part in origin for part in _INSTALLED)


class Names:
    """The names of watched modules, some of them globs. It answers as a set does.

    Where there are files, any name may be that of a watched module, until its origin is known.
    """

    def __init__(self, exact: frozenset[str], patterns: Iterable[str], files: Files | None = None) -> None:
        self._exact = exact
        self._files = files
        self._by_root: dict[str, list[Glob]] = {}  # by the first part of the names, "" where that is a glob itself
        for glob in map(Glob, patterns):
            self._by_root.setdefault(glob.root, []).append(glob)
        self._rootless = self._by_root.pop("", [])

    def __contains__(self, name: str) -> bool:
        if name in self._exact or self._files is not None:
            return True
        root = name.partition(".")[0]
        if root in self._by_root and any(glob.takes(name) for glob in self._by_root[root]):
            return True
        if not self._rootless or root in sys.stdlib_module_names or root in _NOBODYS:
            return False
        return any(glob.takes(name) for glob in self._rootless)

    def __or__(self, names: set[str]) -> Names:
        self._exact |= names
        return self

    def admits(self, name: str, origin: object) -> bool:
        """Say whether a name that is in here is to be watched, now that the module's origin is known.

        What only a glob takes whose first part is one, as `**`, is watched if it is of the program's own: neither installed nor
        of the standard library.
        """
        root = name.partition(".")[0]
        if name in self._exact or any(glob.takes(name) for glob in self._by_root.get(root, ())):
            return True
        if root in _NOBODYS:
            return False
        if self._files is not None and self._files.take(origin):
            return True
        is_own = root not in sys.stdlib_module_names and not is_installed(origin)
        return is_own and any(glob.takes(name) for glob in self._rootless)

    def intersection(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are in here."""
        return [name for name in names if name in self]


class Files:
    """The files of watched modules, as globs of absolute paths.

    What is installed, or of the standard library, is taken by a glob only where that names the folder.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._globs = [(Glob(path, "/"), is_installed(f"{_literal_beginning(path)}x.py")) for path in paths]
        self._beginnings = tuple({_literal_beginning(path) for path in paths})

    def take(self, origin: object) -> bool:
        """Say whether the file that a module's spec calls its origin is watched."""
        if type(origin) is not str:
            return False
        if not origin.startswith("/") and origin.endswith(SUFFIXES):
            origin = f"{sys.modules['posix'].getcwd()}/{origin}"
        if "/." in origin or "//" in origin:
            origin = _normal(origin)
        if not origin.startswith(self._beginnings):
            return False
        is_own = not is_installed(origin)
        return any((is_own or takes_installed) and glob.takes(origin) for glob, takes_installed in self._globs)


def _literal_beginning(path: str) -> str:
    """Return what all paths of a glob begin with: up to the last slash before its first sign that stands for something else."""
    signs = [at for at in map(path.find, "*?[") if at >= 0]
    return path[: path.rfind("/", 0, min(signs, default=len(path))) + 1]


def _normal(path: str) -> str:
    """Return what os.path.normpath does, which importlib does not do with the paths that it is given."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
