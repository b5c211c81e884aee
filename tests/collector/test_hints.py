"""What somebody may have meant."""

from __future__ import annotations

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
    assert hints.near_module(module, tmp_path) == said


def test_a_large_project_is_looked_at_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for a hint."""
    monkeypatch.setattr(hints, "_MOST_FILES", 3)
    for number in range(10):
        (tmp_path / f"folder{number}").mkdir()
        (tmp_path / f"folder{number}" / "mod.py").touch()
    assert hints.near_module("nothing", tmp_path) == ""
