"""The writer's side of a shard, a private file that is mapped once and grows, and where the shards of a process go.

In: requests for records. Out: indices into one memoryview of 64-bit words. Runs in the watched process.

The whole address range is mapped at once, while the file has only as much storage as was reserved: the file is stretched
for the moment of the mapping and cut back before anything is touched, so growing never moves a counter and costs no
descriptor. Storage is reserved before it is used, hence a full disk is an OSError here and never a SIGBUS.
"""

from __future__ import annotations

import sys

from hookmon.core import layout
from hookmon.core.arguments import mask
from hookmon.probe import engine
from hookmon.probe.base.private import fcntl, mmap, monotonic_ns, os, time_ns
from hookmon.probe.base.target import call_site
from hookmon.probe.recording.records import Records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base.target import Span, Target

_OWN_DESCRIPTORS = "/proc/self/fd"
_FIRST_DESCRIPTOR = 200  # out of the way of programs that count on getting the lowest numbers


class Arena(Records):
    """One shard being written."""

    __slots__ = (
        "_descriptor",
        "_identity",
        "_is_own",
        "_largest",
        "_mapping",
        "_open",
        "_target_count",
        "_targets",
        "path",
    )

    def __init__(self, path: str, header: list[int], text: bytes, folder: int | None = None) -> None:
        """Create the file of the shard and map it. `folder` is an open one that `path` begins at.

        `header` holds the first header words, `text` the fields of layout.TEXT_FIELDS joined by zero bytes.
        Raises OSError when the folder is gone, full or not ours, or when no descriptor or address space is left.
        """
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        self._open: Callable[[], int] = lambda: move_up(os.open(path, flags, dir_fd=folder))
        descriptor = move_up(os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder))
        try:
            _reserve_storage(descriptor, 0, layout.FIRST_BYTES)
            self._mapping, self._largest, copy = _map(descriptor)
        except BaseException:
            os.close(descriptor)
            os.unlink(path, dir_fd=folder)
            raise
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._descriptor = descriptor
        self._is_own = not self._is_mine(copy)
        if not self._is_own:
            os.close(descriptor)
            self._descriptor = copy
        content = memoryview(self._mapping)
        super().__init__(content.cast("Q"), layout.FIRST_BYTES // 8)
        self._targets: dict[Target, int] = {}
        self._target_count = 0
        self.path = path
        words = self.words
        text = text[: layout.PAGE_BYTES - layout.HEADER_TEXT * 8]
        content[layout.HEADER_TEXT * 8 : layout.HEADER_TEXT * 8 + len(text)] = text
        words[layout.HEADER_TEXT_BYTES] = len(text)
        words[layout.HEADER_CAPACITY] = self.capacity
        words[layout.HEADER_STATE] = layout.STATE_RECORDING
        self.reserve(layout.SCRATCH_WORDS)
        for index, value in enumerate(_identity(), layout.HEADER_NAMESPACE):
            words[index] = value
        for index, value in enumerate(header, layout.HEADER_VERSION):
            words[index] = value
        words[layout.HEADER_MAGIC] = layout.MAGIC

    def note(self, kind: str, detail: str) -> None:
        """Tell the collector of something that could not be seen."""
        self.record(layout.NOTE, 0, [self.string(kind), self.string(detail)])

    def target(self, target: Target) -> int:
        """Return the number of a target, 0 when it could not be stored."""
        number = self._targets.get(target)
        if number is not None:
            return number
        kinds = self.string(target.kind) | self.string(target.pack) << 32
        self._target_count = number = self._target_count + 1
        if not self.record(layout.TARGET, number, [self.string(target.path), kinds, self.string(target.place)]):
            return 0
        return self._targets.setdefault(target, number)

    def node(self, parent: int, span: Span, flags: int) -> tuple[int, int]:
        """Write the record of a new node; return its number and its index. The index is 0 when there is no space left."""
        self.nodes = number = self.nodes + 1
        names = self.string(span.name) << 32
        target = self.target(span.target)
        site = self.string(call_site(span)) << 32 if span.target.has_sites else 0
        flags |= span.target.flags | layout.FLAG_SITED * bool(span.site)
        values = [parent | names, target | site, flags]
        return number, self.record(layout.NODE, number, values, layout.NODE_WORDS - 4)

    def close_in_child(self) -> None:
        """Forget the parent's shard after a fork. The mapping stays, with its descriptor, for code that still looks at it.

        Nothing more is handed out, not even to code that the fork interrupted (a signal handler may fork anywhere). The number of
        our descriptor may belong to the child's own shard by now; growing that would not grow this one.
        """
        self.capacity = 0
        if self._is_own and self._is_mine(self._descriptor):
            os.close(self._descriptor)

    def let_go(self) -> None:
        """Close the file, in the process that wrote it. The mapping goes with the last reference to it.

        With the compiled engine that is never, and the mapping's own copy of the descriptor is closed here.
        """
        self.capacity = 0
        if (self._is_own or engine.NAME == "compiled") and self._is_mine(self._descriptor):
            os.close(self._descriptor)

    def grow(self) -> bool:
        """Double the storage up to the limit; say whether there is more now."""
        capacity = self.capacity
        if not capacity:
            return False  # left behind by a fork
        target = min(capacity * 2, capacity + 131_072, self._largest // 8)
        if target > capacity:
            descriptor = self._descriptor
            try:
                if not self._is_mine(descriptor):  # the program closed all descriptors, as daemons do
                    descriptor, self._is_own = self._open(), True
                    self._descriptor = descriptor
                if self._is_mine(descriptor):
                    _reserve_storage(descriptor, capacity * 8, target * 8)
                    if not self.capacity:  # a signal handler has forked in between
                        return False
                    if self.capacity < target:
                        self.capacity = target
                        self.words[layout.HEADER_CAPACITY] = target
                    return True
            except OSError:
                pass  # full, moved away or no longer ours: said in the header, the report tells
        if self.capacity:
            self.words[layout.HEADER_STATE] = layout.STATE_FULL
        return False

    def _is_mine(self, descriptor: int) -> bool:
        """Say whether a descriptor is still our file and not one that the program opened under the same number."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity


def _identity() -> tuple[int, int, int]:
    """Return this process's PID namespace, when it began and its image, zeros where there is no /proc; see proc_pid_stat(5)."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
        descriptor = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(descriptor, 2048).rpartition(b")")[2].split()
        finally:
            os.close(descriptor)
        return namespace, int(fields[19]), int(fields[45])
    except (OSError, ValueError, IndexError):
        return 0, 0, 0


def _reserve_storage(descriptor: int, start: int, end: int) -> None:
    """Have storage behind a part of the file. Raises OSError where the program would be left with too little of it.

    In memory that is shared, the program may itself rely on what is free: it dies of SIGBUS where there is none.
    """
    status = os.fstatvfs(descriptor)
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    if total and free - (end - start) < min(total // layout.LEFT_SHARE, layout.MOST_LEFT_BYTES):
        raise OSError("too little room would be left")
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, start, end - start)
    else:  # macOS
        os.pwrite(descriptor, bytes(end - start), start)


def _map(descriptor: int) -> tuple[Any, int, int]:
    """Map as much address space as there is to be had, and leave the file as large as it was. Return the mapping and its size.

    The third is the number of the mapping's own copy of the descriptor, unless another thread has just taken it. That copy
    goes with the mapping, at the end of the interpreter: a program may make and end many of them.
    """
    size = layout.LARGEST_BYTES
    while True:
        placeholders = fill_standard_descriptors(descriptor)
        try:
            os.ftruncate(descriptor, size)
            copy = os.dup(descriptor)
            os.close(copy)  # the lowest free number, which the mapping's copy will have
            return mmap.mmap(descriptor, size), size, copy
        except (OSError, ValueError, MemoryError):  # limits of file size or address space
            size //= 4
            if size < layout.FIRST_BYTES:
                raise
        finally:
            os.ftruncate(descriptor, layout.FIRST_BYTES)
            for placeholder in placeholders:
                os.close(placeholder)


def fill_standard_descriptors(own: int) -> list[int]:
    """Occupy what is free of 0 to 2 while mapping: mmap keeps a copy of our descriptor under the lowest free number.

    A program that has closed them, as daemons do, would otherwise write its output into the shard.
    """
    taken: list[int] = []
    while True:
        try:
            descriptor = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # another root folder
            descriptor = os.dup(own)
        taken.append(descriptor)
        if descriptor > 2:
            return taken


def move_up(descriptor: int) -> int:
    """Move a descriptor to a high number, which no program expects; return it. Where the limit is low it stays as it is."""
    try:
        moved: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
    except OSError:
        return descriptor
    os.close(descriptor)
    return moved


class Place:
    """Where the shards of a process go: into the run folder, or into the drop in it once the process has given up root.

    The run folder is its user's alone. What root has started may become another user, who could not make a file there for the
    forks to come. So the launcher of root puts the drop into it: a folder in which anybody may make files, and list or read none
    but his own (mode 1733). Nobody gets there by its path, which leads through the run folder; only who has inherited the
    descriptor that is opened here as long as the process is root.
    """

    __slots__ = ("_drop", "_folder", "_identity", "_version")

    def __init__(self, folder: str, version: str) -> None:
        self._folder = folder
        self._version = version
        self._drop = -1
        self._identity = (-1, -1)
        if os.geteuid() == 0:
            try:
                status = os.lstat(f"{folder}/{layout.DROP_NAME}")
                self._identity = (status.st_dev, status.st_ino)
                self._drop = self._open_drop()
            except OSError:
                pass  # made by an older launcher, or no descriptor is left

    def _open_drop(self) -> int:
        """Return a descriptor of the drop: that of another interpreter in this process, which nothing would close with it."""
        try:
            names = os.listdir(_OWN_DESCRIPTORS)
        except OSError:
            names = []  # there is no /proc
        for name in names:
            if self._is_drop(int(name)):
                return int(name)
        flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return move_up(os.open(f"{self._folder}/{layout.DROP_NAME}", flags))

    def let_go(self) -> None:
        """Close the drop. Whoever has the Place makes no shard any more."""
        if self._is_drop(self._drop):
            os.close(self._drop)

    def new_shard(self) -> Arena | None:
        """Return a new shard for this process, None where none can be made."""
        now_ns = monotonic_ns()
        fields = (self._version, engine.NAME, sys.version.split()[0], sys.executable or "", *mask(sys.orig_argv))
        text = "\0".join(fields).encode("utf-8", "surrogateescape")
        header = [layout.VERSION, os.getpid(), os.getppid(), now_ns, time_ns()]
        name = f"{os.getpid()}-{now_ns}{layout.SHARD_SUFFIX}"
        try:
            return Arena(f"{self._folder}/{name}", header, text)
        except (OSError, MemoryError, ValueError):
            pass  # another user's, full, gone, or out of reach since a chroot
        try:
            return Arena(name, header, text, self._drop) if self._is_drop(self._drop) else None
        except (OSError, MemoryError, ValueError):
            return None

    def _is_drop(self, descriptor: int) -> bool:
        """Say whether a descriptor is one of the drop: daemons close all that they have."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity
