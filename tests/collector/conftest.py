"""Shards that the real writer made, in a fresh interpreter, with something of everything in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AGENT = Path(__file__).resolve().parents[2] / "agent"

PROGRAM = """
import os, sys
from hookmon.core import layout
from hookmon.probe.recording import notes, recorder
recorder.wrapt_folder = sys.argv[2]
recorder.start(sys.argv[1], "0.1")
from hookmon.probe.wrappers.make import wrappers
from hookmon.probe.base.target import Target
target = Target("shop.pricing:quote", "cache", "redis", "", True)
def fail(depth):
    if depth: timed[depth % 20](depth - 1)
    else: raise ValueError
timed = [wrappers.Timed(fail, target.span(f"quote {number} \\u00e4"), None, -1) for number in range(20)]
for depth in range(30):
    try: timed[0](depth)
    except ValueError: pass
notes.note_watch(1, "shop.pricing:quote", layout.TARGET_ACTIVE)
notes.note_watch(2, "shop.pricing:qoute", layout.TARGET_NOT_FOUND, "quote\\nother")
notes.note("early reference", "a.b was taken")
wrappers.Timed(lambda: os._exit(0), target.span("leave"), None, -1)()
"""


@pytest.fixture(scope="session")
def shard(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a shard whose process ended within a call."""
    import wrapt

    folder = tmp_path_factory.mktemp("shard")
    command = [sys.executable, "-c", PROGRAM, str(folder), str(Path(wrapt.__file__).parent)]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(AGENT), "PATH": os.defpath})
    (path,) = folder.glob("*.shard")
    return path.read_bytes()
