"""Signals that are no calls: counters, gauges and histograms, each with a record of its own in the shard.

In: numbers from adapters and from `probe.signals`. Out: words of METRIC and BUCKETS records. Runs in the watched process, in
whatever thread measures something; in both engines. An instrument begins a record where it has none, in a forked child as well:
what was measured before the fork is the parent's. Between the last call of a function and the last store is one straight line, as
in `wrappers.calls`, so that no thread or signal handler can come between.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.histogram import SUB_BUCKETS, bucket_of, bucket_of_amount
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.recording import recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 2.0**62
_VALUE, _COUNT, _MIN, _MAX = layout.METRIC_VALUE, layout.METRIC_COUNT, layout.METRIC_MIN, layout.METRIC_MAX

_instruments: dict[tuple[str, str, str], Instrument] = {}
_some_left_out = False


class Instrument:
    """One signal of this process. `_words` and `_reals` are the memory that its record lies in, seen twice.

    `is_kept` is false for one too many, which has no record.
    """

    __slots__ = ("_at", "_buckets", "_forks", "_reals", "_words", "is_kept", "kind", "name", "unit")

    def __init__(self, name: str, unit: str, *, is_kept: bool = True) -> None:
        self.name = name
        self.unit = unit
        self.is_kept = is_kept
        self.kind = layout.METRIC_KINDS.index(type(self).__name__.lower())
        self._forks = -1
        self._buckets: dict[int, int] = {}

    def _begin(self) -> None:
        """Begin a record in the shard of this process; without one, or without room in it, one that is nobody's."""
        forks = recorder.forks
        arena = recorder.open_arena() if self.is_kept else None
        at = 0
        words = memoryview(bytearray(8 * layout.METRIC_WORDS)).cast("Q")
        if arena is not None:
            arena.nodes = number = arena.nodes + 1
            names = arena.string(self.name) | arena.string(self.unit) << 32
            at = arena.record(layout.METRIC, number, [names, self.kind, *[0] * (layout.METRIC_WORDS - 3)])
            words = arena.words if at else words
        self._words, self._reals = words, words.cast("B").cast("d")
        self._at = at
        self._buckets = {}
        self._forks = forks  # the last, and what it was at first: a signal handler may have forked in between

    def _new_octave(self, bucket: int) -> None:
        """Make room for the octave that a bucket is in."""
        arena, forks = recorder.open_arena(), recorder.forks
        octave = bucket // SUB_BUCKETS
        at = 0
        if arena is not None and self._at and forks == self._forks:
            number = self._words[self._at] >> 32
            at = arena.record(layout.BUCKETS, number, [octave, *[0] * SUB_BUCKETS])
        for index in range(SUB_BUCKETS):
            self._buckets[octave * SUB_BUCKETS + index] = at + layout.BUCKETS_FIRST + index if at else 0


class Counter(Instrument):
    """What only grows."""

    __slots__ = ()

    def add_unshielded(self, value: float = 1) -> None:
        """Add a value, as `add` does, for who is shielded already."""
        value = float(value)
        while self._forks != recorder.forks:
            self._begin()
        if 0 <= value < _LARGEST:
            at = self._at
            self._reals[at + _VALUE] += value
            self._words[at + _COUNT] += 1

    @shielded(None)
    def add(self, value: float = 1) -> None:
        """Add a value, which is not below zero."""
        self.add_unshielded(value)


class Gauge(Instrument):
    """What goes up and down."""

    __slots__ = ()

    @shielded(None)
    def set(self, value: float) -> None:
        """Say what it is now."""
        value = float(value)
        now_ns = monotonic_ns()
        while self._forks != recorder.forks:
            self._begin()
        if -_LARGEST < value < _LARGEST:
            at, words, reals = self._at, self._words, self._reals
            reals[at + _VALUE] = value
            words[at + layout.METRIC_AT_NS] = now_ns
            if not words[at + _COUNT] or value < reals[at + _MIN]:
                reals[at + _MIN] = value
            if not words[at + _COUNT] or value > reals[at + _MAX]:
                reals[at + _MAX] = value
            words[at + _COUNT] += 1


class Histogram(Instrument):
    """How values are spread. Those in seconds are told apart from a nanosecond on, all others from one on."""

    __slots__ = ("_scale",)

    def __init__(self, name: str, unit: str, *, is_kept: bool = True) -> None:
        super().__init__(name, unit, is_kept=is_kept)
        self._scale = layout.METRIC_SCALES.get(unit, 0)

    def record_unshielded(self, value: float) -> None:
        """Record one value, as `record` does, for who is shielded already."""
        value = float(value)
        if not -_LARGEST < value < _LARGEST:
            return
        scale = self._scale
        bucket = bucket_of(round(value * scale)) if scale else bucket_of_amount(round(value))
        while self._forks != recorder.forks or bucket not in self._buckets:
            if self._forks != recorder.forks:
                self._begin()
            else:
                self._new_octave(bucket)
        at, words, reals = self._at, self._words, self._reals
        place = self._buckets[bucket]
        if place:
            words[place] += 1
        reals[at + _VALUE] += value
        if not words[at + _COUNT] or value < reals[at + _MIN]:
            reals[at + _MIN] = value
        if not words[at + _COUNT] or value > reals[at + _MAX]:
            reals[at + _MAX] = value
        words[at + _COUNT] += 1

    @shielded(None)
    def record(self, value: float) -> None:
        """Record one value."""
        self.record_unshielded(value)


_KINDS: dict[str, type[Instrument]] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


def instrument(name: str, unit: str, kind: str) -> Any:
    """Return the signal of a name, unit and kind, of which a process has one. Raises ValueError for an unknown kind.

    Beyond MOST_METRICS it is one that keeps nothing, and the report says so.
    """
    global _some_left_out
    key = (name, unit, kind)
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of a signal: {', '.join(_KINDS)}")
    if key in _instruments or len(_instruments) < layout.MOST_METRICS:
        return _instruments.setdefault(key, _KINDS[kind](name, unit))
    arena = recorder.arena()
    if arena is not None and not _some_left_out:
        _some_left_out = True
        arena.note(
            "signals", f"a process has {layout.MOST_METRICS} signals, and no room for more: {name} was the first one left out"
        )
    return _KINDS[kind](name, unit, is_kept=False)
