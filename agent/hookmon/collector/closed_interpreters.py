"""Shards that are not written to any more though their process lives: those of interpreters that were closed.

In: a process and the files of its shards. Out: which of them it has not mapped. Runs on the launcher's side. A shard is mapped
from before its header is written until its interpreter has ended, and never again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from hookmon.core import layout

_ENDINGS = (layout.SHARD_SUFFIX.encode(), layout.SHARD_SUFFIX.encode() + b" (deleted)")


def unmapped(pid: int, files: Mapping[str, tuple[int, int] | None]) -> set[str]:
    """Return the names of shards, {name: device and inode}, that their living process has not mapped.

    None where that cannot be told: another user's process, no /proc, or a file system that shows other devices or inodes there,
    which is known by a shard that the process has mapped.
    """
    mapped = set()
    with suppress(OSError, ValueError), open(f"/proc/{pid}/maps", "rb") as lines:
        for line in lines:
            if line.rstrip().endswith(_ENDINGS):
                device, inode = line.split(None, 5)[3:5]
                major, minor = device.split(b":")
                mapped.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
        return {name for name, file in files.items() if file not in mapped} if mapped & set(files.values()) else set()
    return set()
