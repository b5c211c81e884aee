"""The shard's numbers fit together."""

from __future__ import annotations

from hookmon.core import layout


def test_the_record_head_keeps_its_three_parts():
    """Type, size and number can be read back."""
    head = layout.record_head(layout.NODE, layout.NODE_WORDS, 77)
    assert (head & 0xFF, head >> 8 & 0xFFFFFF, head >> 32) == (layout.NODE, layout.NODE_WORDS, 77)


def test_the_scratch_record_holds_a_lane_and_a_node():
    """What a forked child still writes stays inside it."""
    assert layout.SCRATCH_WORDS >= 1 + layout.LANE_WORDS + layout.NODE_WORDS + 2


def test_the_header_fits_its_page():
    """Its text begins behind its words."""
    assert layout.HEADER_TEXT > layout.HEADER_TEXT_BYTES > layout.HEADER_HIDDEN_LANES
    assert layout.HEADER_TEXT * 8 < layout.PAGE_BYTES


def test_the_longest_record_fits_its_size_field():
    """24 bits of words."""
    assert layout.LARGEST_BYTES // 8 < 2**24


def test_the_magic_is_readable():
    """In a hex dump."""
    assert layout.MAGIC.to_bytes(8, "little") == b"HOOKMON1"
