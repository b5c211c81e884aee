"""W3C trace context: what of a header is read, and what is none."""

from __future__ import annotations

import pytest

from hookmon.core.traceparent import ids_of_spans, parse, render, span_id_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"
IDS = (0x4BF92F3577B34DA6, 0xA3CE929D0E0E4736, 0x00F067AA0BA902B7)


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (VALID, 1),
        (VALID.encode(), 1),
        (f" \t{VALID}\t ", 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"01-{TRACE}-{SPAN}-01", 1),
        (f"fe-{TRACE}-{SPAN}-01-what-comes-later", 1),
        (f"cc-{TRACE}-{SPAN}-01-", 1),
    ],
    ids=lambda value: str(value)[:70],
)
def test_what_a_header_says(header: object, flags: int):
    """The trace's id in two halves, the caller's span, and the flags that have a meaning."""
    assert parse(header) == (*IDS, flags)


@pytest.mark.parametrize(
    "header",
    [
        None,
        7,
        bytearray(VALID.encode()),
        "",
        VALID[:-1],
        f"{VALID}-",
        f"{VALID}0",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        VALID.upper(),
        f"00-{TRACE[:-1]}G-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}0-01",
        f"0x-{TRACE}-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-1 ",
        f"+0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-٠١",
        f"{VALID},{VALID}",
        f"{VALID}\n",
        f"\n{VALID}",
        f"01-{TRACE}-{SPAN}-01-{'x' * 10_000}",
        b"\xff" * 55,
        b"\0" * 55,
    ],
    ids=lambda value: repr(value)[:70],
)
def test_what_is_none(header: object):
    """Malformed, all zero, version ff, several in one, no text: as if there were no header."""
    assert parse(header) is None


def test_what_is_sent_is_read():
    """A header of ours is one."""
    assert render(*IDS, 1) == VALID
    assert parse(render(1, 0, 2, 0)) == (1, 0, 2, 0)


def test_spans_have_ids_of_their_own():
    """By when they began; also where two began at once, and never that of the transaction or zero."""
    ids = ids_of_spans(SPAN, 10**15, [0, 5, 5, 5, 6, 2**40])
    assert len({*ids, SPAN}) == 7
    assert all(len(one) == 16 and int(one, 16) for one in ids)
    assert ids[1] == f"{span_id_of(int(SPAN, 16), 10**15 + 5):016x}"
    assert len({span_id_of(7, start) for start in range(100_000)}) == 100_000
