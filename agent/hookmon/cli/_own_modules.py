"""Finds the modules of hookmon by what is compiled of them, with a third of the looks at files that Python takes for each.

A program waits until its launcher has imported what starts it. Only what this interpreter itself would use is used: the file in
`__pycache__` that was compiled of the source as it is. Where there is none, Python finds the module as ever, and compiles it.
What starts a program stands in one more file there, the bundle, which `_bundling` writes, and which holds as long as all of its
sources are as they were. Runs in the launcher, imports built-in modules only, and not even `__future__`, which is none.
"""

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

_HEAD = MAGIC_NUMBER + bytes(4)  # of PEP 552: no flags. Behind it time and size of the source, 4 bytes each
_LARGEST_BYTES = 1 << 20
_BUNDLE = "_bundle"
_MODULE = type(sys)


class OwnModules:
    """A finder for the modules in the folder of hookmon; `tail` is how the names of compiled files end."""

    def __init__(self, folder: str, tail: str) -> None:
        self._folder, self._tail = folder, tail

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> "ModuleSpec | None":
        """Return the spec of a module of hookmon, None for any other, and for one of which nothing is compiled as it is now."""
        package, _, rest = name.partition(".")
        if package != "hookmon" or not rest:
            return None
        place = f"{self._folder}/{rest.replace('.', '/')}"
        folder, _, own = place.rpartition("/")
        return self._spec(name, folder, own) or self._spec(name, place, "__init__")

    def _spec(self, name: str, folder: str, own: str) -> "ModuleSpec | None":
        cached, source = f"{folder}/__pycache__/{own}{self._tail}", f"{folder}/{own}.py"
        code = _code(cached, source)
        return None if code is None else _spec_of(name, source, cached, code)


class _Loader(SourceFileLoader):
    """Executes the code that was found. Whoever asks for code later gets it as ever."""

    def __init__(self, name: str, path: str, code: "CodeType") -> None:
        super().__init__(name, path)
        self._code: CodeType | None = code

    def get_code(self, fullname: str) -> "CodeType | None":
        code, self._code = self._code, None
        return super().get_code(fullname) if code is None else code


def install(with_bundle: bool = False) -> None:
    """Have them found so from now on, where hookmon itself lies in a folder, and what is compiled beside it.

    `with_bundle`: what starts a program is wanted now.
    """
    folder, tail = place()
    if folder:
        sys.meta_path.insert(0, OwnModules(folder, tail))
        if with_bundle:
            load_bundle(folder, tail)


def place() -> tuple[str, str]:
    """Return the folder of hookmon, and how the names of compiled files end; "" twice where they are not found so."""
    spec = __spec__
    if spec is None or not isinstance(spec.loader, SourceFileLoader) or not spec.cached or sys.pycache_prefix is not None:
        return "", ""
    folder, _, tail = spec.cached.rpartition("/cli/__pycache__/_own_modules")
    return folder, tail if folder else ""


def bundle_of(folder: str, tail: str) -> str:
    """Return the path of the bundle: MAGIC_NUMBER and a marshalled list of (module, source, its `state_of`, code), by need."""
    return f"{folder}/cli/__pycache__/{_BUNDLE}{tail}"


def state_of(path: str) -> tuple[int, ...]:
    """Return what tells a source from what it was. Raises OSError."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def load_bundle(folder: str, tail: str) -> None:
    """Import all modules of the bundle, by themselves, where none of them has changed since; else do nothing."""
    try:
        with open(bundle_of(folder, tail), "rb", 0) as file:
            content = file.read()
        if not content.startswith(MAGIC_NUMBER):
            return
        modules = marshal.loads(memoryview(content)[len(MAGIC_NUMBER) :])
        for _, source, state, code in modules:
            if state_of(source) != state or code.co_filename != source or not source.startswith(folder):
                return
    except (OSError, ValueError, EOFError, TypeError, AttributeError):
        return
    for name, source, _, code in modules:
        if name not in sys.modules:
            _execute(name, source, tail, code)


def _execute(name: str, source: str, tail: str, code: "CodeType") -> None:
    folder, _, own = source[:-3].rpartition("/")
    spec = _spec_of(name, source, f"{folder}/__pycache__/{own}{tail}", code)
    module: Any = _MODULE(name)
    module.__spec__, module.__loader__, module.__package__ = spec, spec.loader, spec.parent
    module.__file__, module.__cached__ = source, spec.cached
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    package, _, last = name.rpartition(".")
    setattr(sys.modules[package], last, module)


def _spec_of(name: str, source: str, cached: str, code: "CodeType") -> ModuleSpec:
    spec = ModuleSpec(name, _Loader(name, source, code), origin=source)
    spec.has_location = True
    spec.cached = cached
    if source.endswith("/__init__.py"):
        spec.submodule_search_locations = [source[: -len("/__init__.py")]]
    return spec


def _code(cached: str, source: str) -> "CodeType | None":
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
