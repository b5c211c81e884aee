"""Packs of installed packages: found by their entry points, and left out, each on its own, when something is wrong with them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from hookmon.config.load import load
from hookmon.core.errors import ConfigError
from hookmon.testing import run

PACK = """
[pack]
library = "till"
description = "sales"

[[watch]]
module = "till"
calls = ["sell"]
"""
HEADER = '[pack]\ndescription = "d"\n'


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a package with packs, {name: text}, where Python finds it; a package's code would fail if it were imported."""
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "site"

    def put(packs: dict[str, str], name: str = "acme", value: str = "", adapter: str = "") -> Path:
        folder = site / name / "inner"
        folder.mkdir(parents=True)
        for module in (site / name / "__init__.py", folder / "__init__.py"):
            module.write_text("raise SystemExit('somebody imported it')")
        for pack, text in packs.items():
            (folder / f"{pack}.toml").write_text(text)
        if adapter:
            (folder / "slip.py").write_text(adapter)
        info = site / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        entries = "".join(f"{pack} = {value or f'{name}.inner'}\n" for pack in packs)
        (info / "entry_points.txt").write_text(f"[hookmon.packs]\n{entries}")
        return site

    monkeypatch.syspath_prepend(str(site))
    return put


@pytest.mark.parametrize("kind", ["egg", "upper case", "archive"])
def test_a_pack_is_found_however_its_package_is_installed(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    """As an old egg; spelt as some file systems do; in an archive, where no pack can be read, which is said."""
    site = install({"till": PACK})
    info = site / "acme-1.2.dist-info"
    if kind == "egg":
        info = info.rename(site / "EGG-INFO")
        (info / "METADATA").rename(info / "PKG-INFO")
        site = site.rename(tmp_path / "acme-1.2-py3.egg")
        monkeypatch.syspath_prepend(str(site))
    elif kind == "upper case":
        info.rename(site / "ACME-1.2.DIST-INFO")
    else:
        monkeypatch.syspath_prepend(shutil.make_archive(str(tmp_path / "acme"), "zip", site))
        shutil.rmtree(site)
    config = load(tmp_path)
    assert ("till" in config.packs) == (kind != "archive")
    assert [left_out.name for left_out in config.left_out] == (["till"] if kind == "archive" else [])


def test_a_pack_of_an_installed_package_is_on(install, tmp_path: Path):
    """Like one that is shipped; its package is not imported."""
    install({"till": PACK})
    config = load(tmp_path)
    assert "till" in config.packs
    assert [pack.origin for pack, _ in config.offered if pack.name == "till"] == ["acme 1.2"]
    assert config.left_out == []
    assert "acme" not in sys.modules
    assert "till" not in load(tmp_path, no_pack=["till"]).packs


WRONG = {
    "not TOML": ({"till": "["}, "inner/till.toml:1: this is not TOML"),
    "unknown key": ({"till": HEADER + '[[watch]]\nmodul = "x"\n'}, 'there is no key "modul" in watch'),
    "no adapter": ({"till": PACK + 'adapter = "slip"\n'}, 'adapter "slip" is not there'),
    "name of a shipped pack": ({"redis": PACK}, "there is another pack redis"),
    "target of a shipped pack": (
        {"till": HEADER + '[[watch]]\nmodule = "redis.client"\ncalls = ["Pipeline.execute"]\n'},
        '"Pipeline.execute" of module "redis.client" is watched a second time',
    ),
}


@pytest.mark.parametrize(("packs", "expected"), WRONG.values(), ids=WRONG)
def test_a_mistake_costs_that_pack_only(install, packs: dict[str, str], expected: str, tmp_path: Path):
    """It is left out and named with its package; everything else is there."""
    bare = load(tmp_path).packs
    install(packs)
    install({"other": PACK.replace("till", "other")}, name="beside")
    config = load(tmp_path)
    assert sorted(config.packs) == sorted([*bare, "other"])
    (left_out,) = map(str, config.left_out)
    assert left_out.startswith(f"the pack {next(iter(packs))} of acme 1.2 is left out: ")
    assert expected in left_out


@pytest.mark.parametrize("value", ["nowhere", "acme.nowhere", "acme.inner:till", "..", "sys"])
def test_an_entry_point_that_leads_nowhere_is_left_out(install, value: str, tmp_path: Path):
    """Its value is the package in whose folder the pack lies."""
    install({"till": PACK}, value=value)
    (left_out,) = map(str, load(tmp_path).left_out)
    assert f"{value} is no folder of an installed package" in left_out


def test_a_pack_that_the_user_names_works_or_is_refused(install, tmp_path: Path):
    """What is asked for is not left out in silence."""
    install({"till": PACK + "more = 1\n"})
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, pack=["till"])
    assert [problem for problem in caught.value.problems if 'there is no key "more"' in problem]


def test_a_pack_can_take_the_place_of_a_shipped_one(install, tmp_path: Path):
    """When that is switched off."""
    install({"till": HEADER + '[[watch]]\nmodule = "redis.client"\ncalls = ["Pipeline.execute"]\n'})
    config = load(tmp_path, no_pack=["redis"])
    assert "till" in config.packs
    assert config.left_out == []


@pytest.mark.process
def test_a_run_uses_it_and_names_what_is_left_out(install, tmp_path: Path):
    """With its adapter; the blind spots name the pack that could not be read."""
    adapter = "def patch(module, call, timed, patches):\n    patches.replace(module, 'sell', timed(module.sell, call))\n"
    site = install({"till": PACK + 'span = "sold"\nadapter = "slip"\n', "broken": "["}, adapter=adapter)
    library = {"till.py": "def sell(price):\n    return price\n"}
    result = run("import till\nprint(till.sell(3))", files=library, env={"PYTHONPATH": str(site)})
    assert (result.exit_code, result.stdout, result.stderr) == (0, "3\n", "")
    assert result.calls() == {"sold": 1}
    (spot,) = result.blind_spots
    assert spot.startswith("pack: the pack broken of acme 1.2 is left out: inner/broken.toml:1: this is not TOML")
