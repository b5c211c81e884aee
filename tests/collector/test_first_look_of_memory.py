"""The most memory of a short program, of which only its first moments were seen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.runs import wait_until

from hookmon.collector.first_looks import FirstLooks

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("line", "known"), [(b"12 kB", 0), (b"9204 kB", 9204 * 1024)])
def test_a_look_while_the_image_is_loaded_tells_no_peak(line: bytes, known: int):
    """The kernel counts a few pages then; what the kernel says at the end counts where it says more."""
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        looks = FirstLooks(program.pid)
        wait_until(looks.look, "the image of the program")
        looks.files["status"] = b"VmHWM:\t " + line + b"\n"
        looks.ended_ns = looks.seen_ns
        assert looks.row(0)["rss_max_bytes"] == known
        assert looks.row(64 << 20)["rss_max_bytes"] == 64 << 20
        assert looks.row(0)["parent_pid"] == os.getpid()
    finally:
        program.communicate(b"\n")
