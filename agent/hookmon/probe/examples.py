"""The slowest transactions of each name, kept whole.

In: a transaction that has ended, with the calls in it. Out: records of the shard, `core.layout.EXAMPLE`, written over when a
slower one comes. Runs in the watched process, rarely; both engines call it.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe import recorder
from hookmon.probe.guard import shielded
from hookmon.probe.overhead import charged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.recorder import Node

_MOST_EXAMPLES = 2_000  # names of transactions: 7 kB each

_examples: dict[Node, list[tuple[int, int]]] = {}  # (duration, index of the record), fastest first
_examples_of = 0  # recorder.forks, when they were written


@charged
@shielded(None)
def keep_if_slow(node: Node, started_ns: int, duration_ns: int, status: int, traces: list[Any]) -> None:
    """Write a transaction into the shard when it is one of the slowest of its name.

    The node knows from then on which durations need not be asked for any more.
    """
    global _examples_of
    if _examples_of != recorder.forks:  # those belong to the parent's shard
        _examples.clear()
        _examples_of = recorder.forks
    kept = _examples.get(node)
    if kept is None:
        if len(_examples) >= _MOST_EXAMPLES:
            node.floor_ns = 1 << 62
            return
        kept = _examples[node] = []
    if len(kept) < layout.EXAMPLES:
        arena = recorder.arena()
        if arena is None or not node.number:
            return
        at = arena.record(layout.EXAMPLE, node.number, [0] * (layout.EXAMPLE_WORDS - 1))
        if not at:
            return
    elif duration_ns > kept[0][0]:
        _, at = kept.pop(0)
    else:
        return
    kept.append((duration_ns, at))
    kept.sort()
    if len(kept) >= layout.EXAMPLES:
        node.floor_ns = kept[0][0]
    _write_example(at, started_ns, duration_ns, status, traces)


def _write_example(at: int, started_ns: int, duration_ns: int, status: int, traces: list[Any]) -> None:
    spans = [
        (length_ns, began_ns, node.number | lane << 32)
        for lane, trace in enumerate(traces)
        for node, began_ns, length_ns, _, _ in trace.events()
        if began_ns >= started_ns
    ]
    calls = sum(event[4] for trace in traces for event in trace.events())
    spans.sort(reverse=True)
    del spans[layout.EXAMPLE_MOST_SPANS :]
    spans.sort(key=lambda span: span[1])
    words = recorder.words
    words[at + layout.EXAMPLE_TURN] |= 1
    words[at + layout.EXAMPLE_STARTED_NS] = started_ns
    words[at + layout.EXAMPLE_DURATION_NS] = duration_ns
    words[at + layout.EXAMPLE_STATUS] = status
    words[at + layout.EXAMPLE_SPANS] = len(spans)
    words[at + layout.EXAMPLE_LEFT_OUT] = calls - len(spans)
    place = at + layout.EXAMPLE_FIRST
    for length_ns, began_ns, number in spans:
        words[place] = number
        words[place + 1] = began_ns - started_ns
        words[place + 2] = length_ns
        place += 3
    words[at + layout.EXAMPLE_TURN] = (words[at + layout.EXAMPLE_TURN] | 1) + 1
