"""What becomes of shards that are saved: they go, or are kept first where the environment asks for it.

In: a shard or a whole run folder. Runs on the launcher's side only. `HOOKMON_KEEP_SHARDS=FOLDER` is there for those who want to
look into what was recorded: `hookmon.testing` searches it for what must not be there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hookmon.collector import run_folder
from hookmon.core import layout

KEEP_VARIABLE = "HOOKMON_KEEP_SHARDS"


def discard(path: Path) -> None:
    """Delete a shard, or a run folder that this process holds; what cannot be deleted or kept stays without a word."""
    keep = os.environ.get(KEEP_VARIABLE)
    if keep:
        import shutil

        shards = path.glob(f"**/*{layout.SHARD_SUFFIX}") if path.is_dir() else [path]
        for shard in shards:
            with suppress(OSError):
                shutil.copyfile(shard, Path(keep, shard.name))
    if path.is_dir():
        run_folder.remove(path)
    else:
        with suppress(OSError):
            path.unlink()
