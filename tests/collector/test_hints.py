"""What somebody may have meant."""

from __future__ import annotations

import difflib
import random
from pathlib import Path

import pytest

from hookmon.collector import hints


@pytest.mark.parametrize(
    ("call", "names", "said"),
    [
        ("qoute", ["quote", "other"], "did you mean quote?"),
        ("Basket.totl", ["Basket", "Basket.total", "total"], "did you mean Basket.total?"),
        ("entirely", ["quote", "other"], ""),
        ("quote", [], ""),
        ("quote", [""], ""),
    ],
)
def test_a_near_name_is_offered(call: str, names: list[str], said: str):
    """One, or none."""
    assert hints.near_name(call, names) == said


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("shop.pricng", "did you mean shop.pricing?"),
        ("shop.pricing", ""),
        ("shp", "did you mean shop?"),
        ("deep.thing", ""),
        ("hidden.thin", ""),
        ("vendord", ""),
        ("utterly.other", ""),
    ],
)
def test_a_near_module_is_offered_from_the_files_of_the_project(tmp_path: Path, module: str, said: str):
    """Below the folder or its src; nothing hidden, nothing installed."""
    for name in (
        "shop/__init__.py",
        "shop/pricing.py",
        "src/deep/thing.py",
        ".hidden/thing.py",
        "node_modules/vendored.py",
        "not-a-name/x.py",
        "setup-it.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert hints.near_module(module, hints.module_names(tmp_path)) == said


def test_a_large_project_is_looked_at_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for a hint."""
    monkeypatch.setattr(hints, "_MOST_FILES", 3)
    for number in range(10):
        (tmp_path / f"folder{number}").mkdir()
        (tmp_path / f"folder{number}" / "mod.py").touch()
    assert hints.near_module("nothing", hints.module_names(tmp_path)) == ""


def test_of_thousands_of_names_the_first_get_a_hint(tmp_path: Path):
    """The user's shell waits for them when the program has ended."""
    (tmp_path / "shop.py").touch()
    near = hints.Hints(tmp_path)
    said = [near.of_name("qoute", ["quote"]) for _ in range(5_000)]
    assert [bool(hint) for hint in said] == [True] * 50 + [False] * 4_950
    assert [near.of_watch("shp", []) for _ in range(5_000)] == ["did you mean shop?"] * 5_000
    assert [bool(near.of_watch(f"shp{number}", [])) for number in range(5_000)].count(True) <= 50


def misspell(chance: random.Random, name: str) -> str:
    """Return a name with up to three letters more, less or other."""
    letters = list(name)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(letters))
        letters[at : at + chance.randint(0, 1)] = chance.choice(["", "x", "e"])
    return "".join(letters) or "x"


def test_the_hint_is_the_one_that_difflib_has():
    """Whatever is not compared could not have been nearer."""
    chance = random.Random(5)
    words = ["compute", "value", "render", "page", "get", "set", "user", "order", "item", "a", "b"]
    for _ in range(500):
        names = ["_".join(chance.choices(words, k=chance.randint(1, 4))) for _ in range(40)]
        call = misspell(chance, chance.choice(names))
        near = difflib.get_close_matches(call, names, n=1, cutoff=0.6)
        assert hints.near_name(call, names) == (f"did you mean {near[0]}?" if near else "")


def test_in_a_large_project_few_modules_get_a_hint(tmp_path: Path):
    """Each is compared with all names, and all of it takes no longer than 40,000 comparisons of letters."""
    (tmp_path / "wide").mkdir()
    for number in range(4_500):
        (tmp_path / "wide" / f"module_number_{number}.py").touch()
    near = hints.Hints(tmp_path)
    said = [near.of_watch(f"wide.modul_numbr_{number}", []) for number in range(250)]
    assert said[0] == "did you mean wide.module_number_0?"
    assert 1 <= sum(map(bool, said)) <= 8
    assert not any(said[8:])
