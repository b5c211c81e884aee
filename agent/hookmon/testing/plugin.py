"""The pytest plugin: a fixture `watched` that counts what a test calls, `assert watched.calls("sql") <= 5`.

It counts where the test-suite runs under `hookmon run pytest`: the process's own shard is read when a test asks, and nothing is
added to the calls themselves. In a plain `pytest` such a test is skipped with that reason. Starting the probe then would come too
late: the modules are imported by that time, and calls through names that were taken before would be missed without a word.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hookmon.collector.counters import CallKey, Counters

_RUN_VARIABLE = "HOOKMON_RUN"
_PROBE = "hookmon.probe.start"

_Counts = dict["CallKey", "Counters"]


class Watched:
    """What was called in this process since the test began: in all threads and tasks, and only what has ended.

    `what` is a kind ("sql"), a name or a target as the report shows them, or a glob of these; "*" is everything. A wait for
    a pool has a name, and is no call of a kind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before: _Counts = {}
        self.reset()

    def reset(self) -> None:
        """Count from now on."""
        self._before = _counts(self._folder)

    def calls(self, what: str = "*") -> int:
        """Return how many calls there were."""
        return sum(counters.calls for counters in self._since(what).values())

    def errors(self, what: str = "*") -> int:
        """Return how many calls raised."""
        return sum(counters.errors for counters in self._since(what).values())

    def names(self, what: str = "*") -> dict[str, int]:
        """Return {name: calls}, to see which ones there were."""
        found: dict[str, int] = {}
        for key, counters in self._since(what).items():
            found[key.name] = found.get(key.name, 0) + counters.calls
        return found

    def _since(self, what: str) -> _Counts:
        from hookmon.collector.counters import Counters

        found = {}
        for key, counters in _counts(self._folder).items():
            grown = counters.since(self._before.get(key) or Counters())
            if grown.calls and any(text == what or fnmatchcase(text, what) for text in key):
                found[key] = grown
        return found


@pytest.fixture
def watched() -> Watched:
    """Count the calls that this test makes to what hookmon watches; skips where the suite does not run under hookmon."""
    reason = _absence()
    if reason:
        pytest.skip(reason)
    return Watched(Path(os.environ[_RUN_VARIABLE]))


def _absence() -> str:
    """Return why there is nothing to count with, "" when there is something."""
    import sys

    from hookmon.core.switch import DISABLED, is_disabled

    if not os.environ.get(_RUN_VARIABLE) or _PROBE not in sys.modules:
        return "calls are counted only when the tests run under hookmon: hookmon run pytest"
    return DISABLED if is_disabled(os.environ) else ""


def _counts(folder: Path) -> _Counts:
    """Return the counts of this process's own shard; a process has none before its first watched call.

    Raises ShardError when it cannot be read: a wrong zero would let every test pass.
    """
    from hookmon.collector.counters import CallKey, Counters
    from hookmon.collector.shards import ShardReader
    from hookmon.core.layout import FLAG_PART, FLAG_WAITS, SHARD_SUFFIX

    found: _Counts = {}
    for path in folder.glob(f"**/{os.getpid()}-*{SHARD_SUFFIX}"):
        reader = ShardReader(path)
        try:
            data = reader.read()
        finally:
            reader.close()
        for node in data.nodes if data.pid == os.getpid() else ():
            if not node.flags & FLAG_PART:
                key = CallKey(node.name, "" if node.flags & FLAG_WAITS else node.kind, node.target)
                found.setdefault(key, Counters()).add_node(node)
    return found
