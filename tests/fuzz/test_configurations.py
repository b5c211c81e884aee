"""Configurations, packs and plans that were changed at random: read, or refused with what is wrong with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import odd_configs

ROUNDS = int(os.environ.get("HOOKMON_FUZZ", "1"))
"""How many times longer than usual."""

FILES = 8


def test_no_configuration_ends_in_a_traceback_or_without_end(tmp_path: Path):
    """In two gigabytes, a minute for each answer; the number that is printed makes the same files again."""
    command = [sys.executable, odd_configs.__file__, str(tmp_path), "0", str(FILES * ROUNDS)]
    env = {**os.environ, "PYTHONPATH": str(Path(odd_configs.__file__).parents[1]), "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300 * ROUNDS, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
