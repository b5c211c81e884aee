"""Containers without an engine: namespaces of pids and mounts, a root folder of their own, mostly read-only, and any user.

A `Container` binds the interpreter, its packages and this source tree where they are, so the same command lines work in it. What
runs first in it is its PID 1. Its pids, its mounts and its /dev are its own; the kernel, the clock and the network are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.runs import HOOKMON, Started, wait_until

ROOT = Path(__file__).resolve().parents[2]
UNSHARE = ["unshare", "--pid", "--mount", "--fork", "--kill-child"]
NOBODY_KNOWN = 12_345
"""A user without an entry in /etc/passwd, as platforms give one."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/sys")

_SET_UP = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size=4m,mode=755 none {root}
cd {root}
mkdir proc dev
mount -t proc proc proc
mount -t tmpfs -o size=64k,mode=755 none dev
for spec in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9"; do
    set -- $spec
    mknod -m 666 dev/$1 c $2 $3
done
ln -s /proc/self/fd dev/fd
{mounts}
{limits}
mount -o remount,ro {root}
mount -o remount,ro {root}/dev
exec chroot {root} /usr/bin/setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all {command}
"""


@cache
def is_allowed() -> bool:
    """Say whether this process may make namespaces of pids and mounts."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "setpriv", "chroot"))):
        return False
    return subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0


def need() -> None:
    """Skip the test where no container can be made."""
    if not is_allowed():
        pytest.skip("no permission here to make namespaces of pids and mounts (unshare)")


@dataclass
class Container:
    """How a container is to be. `folder` is one outside, for its files; `/app` in it is `folder / "app"`.

    `volumes` are {path inside: folder outside}, `memories` {path inside: size} file systems in memory. `limits` are lines
    of shell before the program starts.
    """

    folder: Path
    uid: int = NOBODY_KNOWN
    gid: int = 0
    volumes: dict[str, Path] = field(default_factory=dict)
    memories: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    limits: str = ""
    cwd: str = "/app"
    is_app_writable: bool = False
    _started: list[Started] = field(default_factory=list)

    def start(self, command: list[str], *, env: dict[str, str] | None = None, report_path: Path | None = None) -> Started:
        """Start a command as its PID 1. The process outside is `unshare`, which ends as the command does, and takes it along."""
        need()
        app = self.folder / "app"
        app.mkdir(exist_ok=True)
        root = Path(tempfile.mkdtemp(prefix="root-", dir=self.folder))
        binds = {path: path for path in _needed() if os.path.exists(path)} | {"/app": str(app)}
        mounts = [  # first: what is bound may lie below one, as an environment in /tmp does
            f"mkdir -p .{path} && mount -t tmpfs -o size={size},mode=1777 none .{path}" for path, size in self.memories.items()
        ]
        mounts += [_bind(path, source, is_writable=path == "/app" and self.is_app_writable) for path, source in binds.items()]
        mounts += [_bind(path, str(source), is_writable=True) for path, source in self.volumes.items()]
        words = {"PATH": os.path.dirname(sys.executable) + ":/usr/bin:/bin", **self.env, **(env or {})}
        inside = ["env", "-i", "-C", self.cwd, *(f"{name}={value}" for name, value in words.items()), *command]
        script = _SET_UP.format(
            root=root,
            mounts="\n".join(mounts),
            limits=self.limits,
            uid=self.uid,
            gid=self.gid,
            command=_quote(inside),
        )
        started = Started([*UNSHARE, "sh", "-c", script], cwd=self.folder, report_path=report_path)
        self._started.append(started)
        return started

    def end(self) -> None:
        """End what a test that has failed left running."""
        for started in self._started:
            if not started.is_finished:
                started.kill()

    def run(self, command: list[str], **started: Any) -> Any:
        """Start a command and wait for its end."""
        return self.start(command, **started).finish()

    def hookmon(self, *args: str, **started: Any) -> Any:
        """Run a verb of the command line in it to its end."""
        return self.run([HOOKMON, *args], **started)


@contextmanager
def memory_limit(size_bytes: int) -> Iterator[tuple[str, Path]]:
    """Give a line of shell that limits the memory of a container, and the file in which its kernel counts who it has killed."""
    folders = {"memory.limit_in_bytes": Path("/sys/fs/cgroup/memory"), "memory.max": Path("/sys/fs/cgroup")}
    group = None
    for name, above in folders.items():
        with suppress(OSError):
            group = Path(tempfile.mkdtemp(prefix="hookmon-", dir=above))
            (group / name).write_text(str(size_bytes))
            break
    if group is None or not (group / "cgroup.procs").exists():
        pytest.skip("no permission here to limit memory (cgroup)")
    events = group / ("memory.events" if (group / "memory.events").exists() else "memory.oom_control")
    try:
        yield f"echo $$ > {group}/cgroup.procs", events
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the container's last process")
        group.rmdir()


def init_of(started: Started) -> int:
    """Return the pid, outside, of what runs as PID 1 in a container that was just started."""
    children = Path(f"/proc/{started.process.pid}/task/{started.process.pid}/children")
    wait_until(lambda: children.read_text().strip(), "the container")
    (init,) = children.read_text().split()
    return int(init)


@cache
def _needed() -> list[str]:
    """Return the folders that an interpreter with hookmon needs, without those that lie in another."""
    python = Path(sys.executable)
    folders = {*_SYSTEM, sys.prefix, os.path.realpath(sys.prefix), sys.base_prefix, str(python.resolve().parents[1]), str(ROOT)}
    folders |= {entry for entry in sys.path if entry.endswith("site-packages") and os.path.isdir(entry)}
    return sorted(path for path in folders if not any(path != other and Path(path).is_relative_to(other) for other in folders))


def _bind(path: str, source: str, *, is_writable: bool) -> str:
    """Return the lines of shell that mount a folder of outside."""
    if os.path.islink(source):
        return f"ln -s {os.readlink(source)} .{path}"
    lines = f"mkdir -p .{path} && mount --bind {source} .{path}"
    return lines if is_writable else f"{lines} && mount -o remount,ro,bind .{path}"


def _quote(words: list[str]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
