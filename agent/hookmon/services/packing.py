"""Counts of many places as one compressed text, and back.

In: Counts by the number of their place. Out: bytes of JSON, compressed: ten to forty bytes a place, where a row of a table would
take a hundred and a page of the disk each. What is read may be damaged: then it is a ValueError.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Set
from itertools import chain

from hookmon.services.places import PEAKS, SUMS, Counts

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_INTEGERS = {int}
_LARGEST_BYTES = 32 * 1024 * 1024  # unpacked


def pack(counts: Mapping[int, Counts]) -> bytes:
    """Return counts as bytes, b"" for none."""
    if not counts:
        return b""
    return zlib.compress(_json([[number, *_entry(counts[number])] for number in sorted(counts)]), 6)


def unpack(content: bytes | None) -> dict[int, Counts]:
    """Return what was packed. Raises ValueError when it cannot be read."""
    return {number: _counts(entry) for number, entry in _entries(content)}


def unpack_some(content: bytes | None, numbers: Set[int]) -> dict[int, Counts]:
    """Return what was packed of some places. Raises ValueError when it cannot be read."""
    return {number: _counts(entry) for number, entry in _entries(content) if number in numbers}


def pack_one(counts: Counts) -> str:
    """Return the counts of one place as text."""
    return _json(_entry(counts)).decode()


def unpack_one(content: str | None) -> Counts:
    """Return what `pack_one` has packed. Raises ValueError when it cannot be read."""
    if not content:
        return Counts()
    try:
        return _counts(json.loads(content))
    except RecursionError as error:
        raise ValueError("lists inside lists") from error


def pack_value(value: Any) -> bytes:
    """Return any plain value as compressed JSON."""
    return zlib.compress(_json(value), 6)


def unpack_value(content: bytes) -> Any:
    """Return what `pack_value` has packed. Raises ValueError when it cannot be read."""
    return _load(content)


def _entries(content: bytes | None) -> Iterable[tuple[int, Any]]:
    if not content:
        return
    rows = _load(content)
    if not isinstance(rows, list) or not all(isinstance(row, list) and row and type(row[0]) is int for row in rows):
        raise ValueError("not the counts of places")
    for number, *entry in rows:
        yield number, entry


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _load(content: bytes) -> Any:
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(content, _LARGEST_BYTES)
        if not unpacker.eof:
            raise ValueError("cut off, or too large")
        return json.loads(text)
    except (zlib.error, RecursionError, TypeError) as error:
        raise ValueError(str(error)) from error


def _entry(counts: Counts) -> list[Any]:
    """Return the sums and peaks without zeros at their ends, the minimum, and the buckets: first, calls, distance, calls, …"""
    packed: list[int] = []
    before = 0
    for bucket, calls in sorted(counts.buckets.items()):
        if calls:
            packed += (bucket - before, calls)
            before = bucket
    return [_trim(counts.sums), _trim(counts.peaks), counts.min_ns, packed]


def _trim(numbers: list[int]) -> list[int]:
    end = len(numbers)
    while end and not numbers[end - 1]:
        end -= 1
    return numbers[:end]


def _counts(entry: Any) -> Counts:
    try:
        sums, peaks, min_ns, packed = entry
        if not set(map(type, chain(sums, peaks, packed, (min_ns,)))) <= _INTEGERS:
            raise ValueError("something where a number should be")
        if len(sums) > len(SUMS) or len(peaks) > len(PEAKS):
            raise ValueError("more numbers than there are")
        buckets: dict[int, int] = {}
        bucket = 0
        for distance, calls in _pairs(packed):
            bucket += distance
            buckets[bucket] = calls
    except (TypeError, ValueError) as error:
        raise ValueError(f"not the counts of a place: {error}") from error
    return Counts(sums + [0] * (len(SUMS) - len(sums)), peaks + [0] * (len(PEAKS) - len(peaks)), min_ns, buckets)


def _pairs(numbers: list[int]) -> Iterable[tuple[int, int]]:
    return zip(numbers[::2], numbers[1::2], strict=True)
