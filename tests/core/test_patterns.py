"""Which names an entry of `calls` stands for."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

import pytest

from hookmon.core.globs import matches

PATTERNS = {
    "": ["", "a"],
    "*": ["", "a", "abc"],
    "a*": ["a", "abc", "ba"],
    "*a": ["a", "ba", "ab", "aba"],
    "*a*b*": ["ab", "xaxbx", "ba"],
    "?": ["", "a", "ab"],
    "on_*_e?d": ["on_epoch_end", "on_e_ed", "on_end"],
    "[a-c]*": ["a", "cx", "d", ""],
    "[!_]*": ["total", "_total", ""],
    "[]]": ["]", "["],
    "[!]]x": ["]x", "ax"],
    "[": ["[", "a"],
    "[ab": ["[ab", "a"],
    "[a-]": ["a", "-", "b"],
    "**": ["", "ab"],
}


@pytest.mark.parametrize(("pattern", "name"), [(pattern, name) for pattern, names in PATTERNS.items() for name in names])
def test_a_glob_means_what_fnmatch_means(pattern: str, name: str):
    """Case counts."""
    assert matches(name, pattern) == fnmatchcase(name, pattern)


def test_random_globs_mean_the_same():
    """Of the signs of globs and a few letters."""
    chance = random.Random(12)
    for _ in range(20_000):
        pattern = "".join(chance.choices("ab_*?[]!", k=chance.randrange(8)))
        name = "".join(chance.choices("ab_[]!A", k=chance.randrange(8)))
        assert matches(name, pattern) == fnmatchcase(name, pattern), (pattern, name)


def test_many_stars_take_no_time():
    """The way back is to the last star only."""
    assert not matches("a" * 2_000, "*a" * 40 + "b")
