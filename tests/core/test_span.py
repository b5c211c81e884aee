"""Templates of span names."""

from __future__ import annotations

import re

import pytest

from hookmon.core.span import FILTERS, parse


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("", []),
        ("plain", ["plain"]),
        ("{arg0}", [((("arg0",),), "")]),
        ("quote {sku}!", ["quote ", ((("sku",),), ""), "!"]),
        ("{self.table.name}", [((("self", "table", "name"),), "")]),
        ("{ self.table | upper }", [((("self", "table"),), "upper")]),
        ("{url.text, url}", [((("url", "text"), ("url",)), "")]),
        ("{a}{b}", [((("a",),), ""), ((("b",),), "")]),
        ("{{{arg0}}}", ["{", ((("arg0",),), ""), "}"]),
        ("{{}}", ["{}"]),
        ("größe {größe}", ["größe ", ((("größe",),), "")]),
    ],
)
def test_a_template_falls_into_text_and_fields(template: str, parts: list):
    """In the order in which they stand."""
    assert parse(template) == parts


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_known(name: str):
    """By its name."""
    assert parse("{arg0|" + name + "}") == [((("arg0",),), name)]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{", "character 1 is never closed"),
        ("a {arg0", "character 3 is never closed"),
        ("}", "character 1 closes nothing"),
        ("{}", "not a field"),
        ("{arg0.}", "not a field"),
        ("{arg0[1]}", "not a field"),
        ("{arg0()}", "not a field"),
        ("{arg0!r}", "not a field"),
        ("{a,}", "not a field"),
        ("{0}", "not a field"),
        ("{arg0|shout}", "there is no filter 'shout'"),
        ("{arg0|}", "there is no filter ''"),
        ("{arg0|upper|lower}", "there is no filter"),
    ],
)
def test_a_mistake_is_named(template: str, said: str):
    """With what is allowed instead."""
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(template)
