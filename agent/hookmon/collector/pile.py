"""What very many or very large shards have counted, in little memory: their sum, and of each one its part of it, packed.

In: the totals of a shard each time that it was read. Out: the totals of all of them. Runs in the launcher; pure computation.
"""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Callable, Hashable

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.yielding import nothing

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _K = TypeVar("_K", bound=Hashable)

_NUMBERS = (
    "calls",
    "errors",
    "total_ns",
    "self_ns",
    "min_ns",
    "max_ns",
    "interrupted",
    "untimed",
    "active_ns",
    "steps",
    "spent_ns",
    "spent_calls",
)
_FASTEST = 1  # of zlib's levels


class Pile:
    """The totals of some shards, by the names of their files."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._parts: dict[str, bytes] = {}

    def __contains__(self, name: str) -> bool:
        """Say whether there are totals of a shard."""
        return name in self._parts

    def put(self, name: str, totals: Totals, look: Callable[[], None] = nothing) -> None:
        """Take the totals of a shard in the place of those that it had before. `look` is called now and then."""
        self._change(self.get(name), totals, look)
        self._parts[name] = _pack(totals)

    def get(self, name: str) -> Totals:
        """Return the totals of a shard, none where none were put in."""
        part = self._parts.get(name)
        return _unpack(part) if part is not None else Totals()

    def remove(self, name: str) -> None:
        """Take out the totals of a shard, if there are any."""
        if name in self._parts:
            self._change(self.get(name), Totals(), nothing)
            del self._parts[name]

    def _change(self, before: Totals, after: Totals, look: Callable[[], None]) -> None:
        whole = self.totals
        _replace(whole.by_key, before.by_key, after.by_key, look)
        _replace(whole.by_transaction, before.by_transaction, after.by_transaction, look)
        _replace(whole.by_status, before.by_status, after.by_status, look)
        transactions = _grow(whole.transactions, before.transactions, after.transactions)
        self.totals = Totals(whole.by_key, transactions, whole.by_transaction, whole.by_status)


def _replace(whole: dict[_K, Counters], before: dict[_K, Counters], after: dict[_K, Counters], look: Callable[[], None]) -> None:
    """Add to sums by how much these have grown. The sums that change are made anew: a snapshot may hold those of before."""
    nothing = Counters()
    for key in before.keys() | after.keys():
        look()
        old, new = before.get(key, nothing), after.get(key, nothing)
        if (old.calls, old.errors, old.spent_ns, old.self_ns) == (new.calls, new.errors, new.spent_ns, new.self_ns):
            continue
        sums = _grow(whole.get(key, nothing), old, new)
        if sums.calls or sums.total_ns:
            whole[key] = sums
        else:
            whole.pop(key, None)


def _grow(known: Counters, before: Counters, after: Counters) -> Counters:
    sums = Counters.sum_of((known, after.less(before)))
    sums.histograms = [{bucket: count for bucket, count in sums.buckets.items() if count}]
    sums.sites = {site: calls for site, calls in sums.sites.items() if calls}
    return sums


def _pack(totals: Totals) -> bytes:
    return zlib.compress(
        marshal.dumps(
            (
                [(tuple(key), _values(counters)) for key, counters in totals.by_key.items()],
                _values(totals.transactions),
                [(tuple(key), _values(counters)) for key, counters in totals.by_transaction.items()],
                [((tuple(key), status), _values(counters)) for (key, status), counters in totals.by_status.items()],
            )
        ),
        _FASTEST,
    )


def _unpack(packed: bytes) -> Totals:
    by_key, transactions, by_transaction, by_status = marshal.loads(zlib.decompress(packed))  # our own
    return Totals(
        {CallKey(*key): _counters(values) for key, values in by_key},
        _counters(transactions),
        {CallKey(*key): _counters(values) for key, values in by_transaction},
        {(CallKey(*key), status): _counters(values) for (key, status), values in by_status},
    )


def _values(counters: Counters) -> tuple[Any, ...]:
    return *(getattr(counters, name) for name in _NUMBERS), counters.buckets, counters.sites


def _counters(values: tuple[Any, ...]) -> Counters:
    *numbers, buckets, sites = values
    counters = Counters(*numbers)
    counters.histograms, counters.sites = [buckets] if buckets else [], sites
    return counters
