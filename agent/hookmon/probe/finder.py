"""The import hook: sees watched modules come in, and is not seen.

In: the names of the watched modules. Out: a call of `loaded(module, name)` after each import of one of them. Runs in the
watched process. An unwatched import costs a set look-up. After an import the module has its real loader and spec.
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Loaded = Callable[[Any, str], None]


class Finder:
    """A meta path finder that lets all others find, and hooks the loader of what they found."""

    def __init__(self, names: frozenset[str], loaded: Loaded) -> None:
        """`loaded` is called in the importing thread, under the module's import lock, and must not raise."""
        self._names = names
        self._loaded = loaded
        self._finding: set[tuple[int, str]] = set()
        self._seen: set[str] = set()
        self._hooked: set[str] = set()  # found through us: its loader tells
        self._is_behind = False  # a watched module came past us and was not ready when we looked

    def install(self) -> None:
        """Go first in sys.meta_path and take care of the watched modules that are there already."""
        sys.meta_path.insert(0, self)
        self._catch_up()

    def uninstall(self) -> None:
        """Leave sys.meta_path."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec that the other finders give for a watched module, None for any other name."""
        if self._is_behind or sys.meta_path[0] is not self:
            self._come_first()
        if name not in self._names:
            return None
        me = (get_ident(), name)
        if me in self._finding:  # another tool's finder, which walks sys.meta_path as well
            return None
        self._finding.add(me)
        try:
            for finder in list(sys.meta_path):
                find = getattr(finder, "find_spec", None)
                spec: Any = find(name, path, target) if finder is not self and find is not None else None
                if spec is not None:
                    self._hook(spec, name)
                    return spec
        finally:
            self._finding.discard(me)
        return None

    def notice(self, module: Any, name: str) -> None:
        """Take note of a module that has just been executed."""
        self._seen.add(name)
        self._loaded(sys.modules.get(name, module), name)

    def _hook(self, spec: Any, name: str) -> None:
        self._hooked.add(name)
        loader = spec.loader
        if loader is None:
            return
        if not hasattr(loader, "exec_module"):
            spec.loader = _OldLoader(loader, self, spec)
        elif type(loader).__module__ == "_frozen_importlib_external" and hasattr(loader, "path") and hasattr(loader, "__dict__"):
            # A file loader serves this one module: it stays the loader, with one method of its own until it has run.
            real = loader.exec_module

            def execute(module: Any) -> None:
                vars(loader).pop("exec_module", None)
                real(module)
                self.notice(module, name)

            loader.exec_module = among_importlib(execute)
        else:
            spec.loader = _Loader(loader, self, name)

    def _come_first(self) -> None:
        """Go back to the front: a finder that came in later may have taken watched modules past us."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            sys.meta_path.insert(0, self)
        self._catch_up()

    def _catch_up(self) -> None:
        self._is_behind = False
        for name in self._names - self._seen:
            module = sys.modules.get(name)
            if module is None or name in self._hooked:
                continue
            if getattr(getattr(module, "__spec__", None), "_initializing", False):
                self._is_behind = True
            else:
                self.notice(module, name)


class _OldLoader:
    """Stands in for a loader of the old kind, which has `load_module` and no `exec_module` (importlib takes them to 3.14)."""

    def __init__(self, loader: Any, finder: Finder, spec: Any) -> None:
        self._loader = loader
        self._finder = finder
        self._spec = spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_module(self, name: str) -> Any:
        self._spec.loader = self._loader
        module = self._loader.load_module(name)
        self._finder.notice(module, name)
        return module


class _Loader:
    """Stands in for a loader that is shared (zip archives, builtins, other tools' hooks) until the module is executed."""

    def __init__(self, loader: Any, finder: Finder, name: str) -> None:
        self._loader = loader
        self._finder = finder
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._loader)

    def create_module(self, spec: Any) -> Any:
        create = getattr(self._loader, "create_module", None)
        return create(spec) if create is not None else None

    def exec_module(self, module: Any) -> None:
        spec: Any = getattr(module, "__spec__", None)
        if getattr(spec, "loader", None) is self:
            spec.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._finder.notice(module, self._name)


def among_importlib(function: Any) -> Any:
    """Make a function's frame count as importlib's own.

    CPython cuts those out of the traceback of a module that fails to import (`remove_importlib_frames` in import.c goes
    by the file name); a frame of ours among them would stop that and show the program a dozen lines it never saw.
    """
    function.__code__ = function.__code__.replace(co_filename="<frozen importlib._bootstrap_external>")
    return function


among_importlib(_Loader.exec_module)
among_importlib(_OldLoader.load_module)
