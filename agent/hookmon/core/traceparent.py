"""W3C trace context: the header `traceparent`, and the ids of spans.

In: the value of a header, which may be anything. Out: the ids in it. Shared by both sides of the process boundary.
Source: https://www.w3.org/TR/trace-context-2/, "traceparent Header Field Values".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


LENGTH = 55
SAMPLED = 0x01
RANDOM = 0x02
_LOWEST = "00"
_INVALID = "ff"
_HEX = frozenset("0123456789abcdef")
_PLACES = (2, 35, 52)  # of the dashes
_MASK = 0xFFFFFFFFFFFFFFFF
_LONGEST = 512


def parse(value: object) -> tuple[int, int, int, int] | None:
    """Return (high half of the trace's id, low half, the caller's span id, flags), None for what is no valid header.

    `value` is text or bytes. Blanks around it are allowed. Of a later version the first four fields are read. Of the flags only
    the two that have a meaning are kept.
    """
    if type(value) is bytes:
        value = value[: _LONGEST + 1].decode("latin-1")
    if type(value) is not str or len(value) > _LONGEST:
        return None
    text = value.strip(" \t")
    if len(text) < LENGTH or any(text[place] != "-" for place in _PLACES):
        return None
    version, trace, span, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if not _HEX.issuperset(version + trace + span + flags) or version == _INVALID:
        return None
    if len(text) > LENGTH and (version == _LOWEST or text[LENGTH] != "-"):
        return None
    high, low, span_id = int(trace[:16], 16), int(trace[16:], 16), int(span, 16)
    if not (high or low) or not span_id:
        return None
    return high, low, span_id, int(flags, 16) & (SAMPLED | RANDOM)


def render(trace_high: int, trace_low: int, span_id: int, flags: int) -> str:
    """Return the value of a header of version 00."""
    return f"00-{trace_high:016x}{trace_low:016x}-{span_id:016x}-{flags:02x}"


def span_id_of(root_id: int, start_ns: int) -> int:
    """Return the id of a span of a transaction: by the id of that and when the span began. Never 0.

    The mixing is that of SplitMix64 (Steele, Lea, Flood 2014), in which no two starts meet.
    """
    mixed = (root_id + start_ns * 0x9E3779B97F4A7C15) & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return (mixed ^ mixed >> 31) or 1


def ids_of_spans(root_id: str, started_ns: int, starts_ns: Iterable[int]) -> list[str]:
    """Return the ids, in hex, of a transaction's spans, by when they began since it did. No two are the same."""
    root = int(root_id or "0", 16)
    taken = {root}
    found = []
    for start_ns in starts_ns:
        span_id = span_id_of(root, started_ns + start_ns)
        while span_id in taken:
            span_id = span_id % _MASK + 1
        taken.add(span_id)
        found.append(f"{span_id:016x}")
    return found
