"""Finds the modules of hookmon by what is compiled of them, with a third of the looks at files that Python takes for each.

A program waits until its launcher has imported what starts it. Only what this interpreter itself would use is used: the file in
`__pycache__` that was compiled of the source as it is. Where there is none, Python finds the module as ever, and compiles it.
Runs in the launcher, imports built-in modules only.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from types import CodeType

_HEAD = MAGIC_NUMBER + bytes(4)  # of PEP 552: no flags. Behind it time and size of the source, 4 bytes each
_LARGEST_BYTES = 1 << 20


class OwnModules:
    """A finder for the modules in the folder of hookmon; `tail` is how the names of compiled files end."""

    def __init__(self, folder: str, tail: str) -> None:
        self._folder, self._tail = folder, tail

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return the spec of a module of hookmon, None for any other, and for one of which nothing is compiled as it is now."""
        package, _, rest = name.partition(".")
        if package != "hookmon" or not rest:
            return None
        place = f"{self._folder}/{rest.replace('.', '/')}"
        folder, _, own = place.rpartition("/")
        return self._spec(name, folder, own) or self._spec(name, place, "__init__")

    def _spec(self, name: str, folder: str, own: str) -> ModuleSpec | None:
        cached, source = f"{folder}/__pycache__/{own}{self._tail}", f"{folder}/{own}.py"
        code = _code(cached, source)
        if code is None:
            return None
        spec = ModuleSpec(name, _Loader(name, source, code), origin=source)
        spec.has_location = True
        spec.cached = cached
        if own == "__init__":
            spec.submodule_search_locations = [folder]
        return spec


class _Loader(SourceFileLoader):
    """Executes the code that was found. Whoever asks for code later gets it as ever."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code: CodeType | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        code, self._code = self._code, None
        return super().get_code(fullname) if code is None else code


def install() -> None:
    """Have them found so from now on, where hookmon itself lies in a folder, and what is compiled beside it."""
    spec = __spec__
    if spec is None or not isinstance(spec.loader, SourceFileLoader) or not spec.cached or sys.pycache_prefix is not None:
        return
    folder, _, cached = spec.cached.rpartition("/cli/__pycache__/_own_modules")
    if folder:
        sys.meta_path.insert(0, OwnModules(folder, cached))


def _code(cached: str, source: str) -> CodeType | None:
    """Return the code in a compiled file; None where it is not that of the source, or is damaged."""
    try:
        descriptor = os.open(cached, os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(descriptor, _LARGEST_BYTES)
        finally:
            os.close(descriptor)
        status = os.stat(source)
        numbers = int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF
        if content[:16] != _HEAD + b"".join([number.to_bytes(4, "little") for number in numbers]):
            return None
        code: CodeType = marshal.loads(memoryview(content)[16:])
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return code if code.co_filename == source else None
