"""The operating system's functions and clocks, in function objects of our own.

Out: `os`, `mmap` and `fcntl` with the functions that the probe needs, and clocks. Runs in the watched process.

Tests replace what they find: freezegun any module attribute that is a clock, pyfakefs any that is a file function or a module of
that name, `mock.patch` what is named. We would read the wrong time or a fake file, or advance a clock that ticks at each look. So
each built-in module is made once more here, outside sys.modules: other function objects for the same C. They stand on objects
that are no modules, where nobody looks for file functions.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Functions:
    """A module's functions and constants, on an object that is no module."""

    def __init__(self, name: str) -> None:
        importlib: Any = sys.modules["_frozen_importlib"]
        external: Any = sys.modules["_frozen_importlib_external"]
        spec = importlib.BuiltinImporter.find_spec(name) or external.PathFinder.find_spec(name)
        module = importlib.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.__dict__.update(vars(module))

    def __getattr__(self, name: str) -> object:
        """Raise AttributeError for what this system lacks."""
        raise AttributeError(name)


def read(path: str) -> tuple[bytes, int]:
    """Return the content of a file and the user that it belongs to. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts), os.fstat(descriptor).st_uid
    finally:
        os.close(descriptor)


os: Any = Functions("posix")
mmap: Any = Functions("mmap")
fcntl: Any = Functions("fcntl")
_time: Any = Functions("time")

monotonic_ns = _time.monotonic_ns
process_time_ns = _time.process_time_ns
thread_time_ns = _time.thread_time_ns
time_ns = _time.time_ns
