"""What a reader is told of the statuses of responses."""

from __future__ import annotations

import pytest

from hookmon.collector.counters import Counters
from hookmon.report.statuses import NO_STATUS, StatusRow, says_something

SAID = {
    "of nothing": ([], False),
    "of success alone": (["200", "302", "2xx"], False),
    "of requests that have none at all: entries of one's own": ([NO_STATUS], False),
    "of some that have none: their clients left": (["200", NO_STATUS], True),
    "of failure": (["200", "503"], True),
    "of failure alone": (["404"], True),
    "of a class": (["5xx"], True),
}


@pytest.mark.parametrize("kind", SAID)
def test_statuses_are_told_where_there_is_more_than_success(kind: str):
    """An entry that the user has named has no status, and a column of "none" would be no answer to anything."""
    statuses, is_said = SAID[kind]
    assert says_something(StatusRow(status, Counters(calls=1)) for status in statuses) == is_said
