"""The scanner gives each key and array element of accepted TOML its line."""

from __future__ import annotations

import tomllib

import pytest

from hookmon.config.lines import line_numbers

TRICKY = '''\
# a comment = ["with", 'quotes', { and = brackets }
title = "a # no comment" # a comment
"quoted.key" = 1
'single' . dotted . "k\\u0065y" = 2
[[watch]] # first
module = """
[[watch]]
calls = ["not this"]
quotes: \\""" and "two"" and more
""""
calls = [ # opened
  "a", 'b',

  # in between
  """c
""", [1, 2,
  3],
]
when = 1979-05-27 07:32:00
[watch.more]
x = { y = [ "}", 1 ], "z" = {} }
[[watch]]
literal = \'\'\'it's ''quoted'\'\'\'\'
[[watch.inner]]
v = true
[[watch.inner]]
v = -inf
  [ tool . "hookmon" ]
  empty = []
'''


def paths(value, path=()):
    """Yield the path of every key and element of `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*path, key)
        yield from paths(below, (*path, key))


def test_every_path_that_tomllib_reads_has_a_line():
    """Scanner and tomllib see the same keys and elements."""
    assert set(line_numbers(TRICKY)) == set(paths(tomllib.loads(TRICKY)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("quoted.key",), 3),
        (("single", "dotted", "key"), 4),
        (("watch",), 5),
        (("watch", 0), 5),
        (("watch", 0, "module"), 6),
        (("watch", 0, "calls"), 11),
        (("watch", 0, "calls", 1), 12),
        (("watch", 0, "calls", 2), 15),
        (("watch", 0, "calls", 3), 16),
        (("watch", 0, "calls", 3, 2), 17),
        (("watch", 0, "when"), 19),
        (("watch", 0, "more", "x", "z"), 21),
        (("watch", 1), 22),
        (("watch", 1, "literal"), 23),
        (("watch", 1, "inner", 1, "v"), 27),
        (("tool", "hookmon"), 28),
        (("tool", "hookmon", "empty"), 29),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else str(value),
)
def test_a_path_has_the_line_it_begins_on(path, line):
    """Headers, keys, quoted keys, elements and what comes after multi-line values have their own lines."""
    assert line_numbers(TRICKY)[path] == line


def test_windows_line_ends_count_once():
    """Lines end at the line feed, whatever stands before it."""
    assert line_numbers("a = 1\r\n\r\nb = [\r\n1]\r\n") == {("a",): 1, ("b",): 3, ("b", 0): 4}


@pytest.mark.parametrize("text", ["a = [1, @", "[[x", "= 3", "a", "a = {b", "\ufeffa = 1", '"a'])
def test_what_the_scanner_cannot_read_ends_the_scan(text):
    """Syntax of a later TOML costs lines, nothing else."""
    assert isinstance(line_numbers(text), dict)
