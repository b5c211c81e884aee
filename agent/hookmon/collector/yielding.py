"""How work that takes long lets the launcher look at signals: it calls a function that it was given, again and again.

The launcher has one thread, in which shards are read, added up and saved, and which passes signals on to the program. To call the
function often costs nothing: `launch` has a look at signals when the last one was some time ago.
"""

from __future__ import annotations

NODES_A_LOOK = 1_000
"""Nodes that are read or added by Python between two looks: ten milliseconds."""

WORDS_A_LOOK = 50_000
"""Words of a shard that are passed over between two looks; a node with its buckets has fifty."""

ROWS_A_LOOK = 500
"""Rows of a run file that are written between two looks."""


def nothing() -> None:
    """Do nothing: for those who have no signals to pass on."""
