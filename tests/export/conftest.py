"""What a test of this folder has started ends with it, also where the test failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """End what is still there of the processes that the test has started: they wait for files that nobody makes any more."""
    before = set(psutil.Process().children())
    yield
    for child in set(psutil.Process().children()) - before:
        with suppress(psutil.NoSuchProcess):
            for process in (*child.children(recursive=True), child):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
