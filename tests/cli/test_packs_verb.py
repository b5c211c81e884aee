"""`hookmon packs`: what there is, what is on, and which versions are installed."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from support.runs import hookmon

from hookmon.config.packs import FOLDER, read_packs

pytestmark = pytest.mark.usefixtures("warm_launcher")


def list_packs(folder: Path, *options: str) -> dict[str, dict]:
    """Return the rows of the JSON by name."""
    result = hookmon(["packs", "--json", *options], cwd=folder)
    assert (result.exit_code, result.stderr) == (0, "")
    return {row["name"]: row for row in json.loads(result.stdout)["packs"]}


def test_every_shipped_pack_is_listed(tmp_path: Path):
    """With its targets; all are on by default but those that say otherwise."""
    rows = list_packs(tmp_path)
    assert sorted(rows) == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert {name for name, row in rows.items() if row["state"] == "off"} == {
        "click",
        "json",
        "pickle",
        "traitlets",
        "twisted",
        "typer",
    }
    assert {row["why"] for row in rows.values()} == {"by default"}
    assert {name: row["targets"] for name, row in rows.items()} == {pack.name: pack.targets for pack in read_packs([])}


def test_versions_are_those_of_this_environment(tmp_path: Path):
    """As pip would say; a library that goes by another name is found by its module."""
    pytest.importorskip("redis")
    rows = list_packs(tmp_path)
    assert rows["redis"]["version"] == metadata.version("redis")
    assert rows["sqlite3"]["library"] == rows["sqlite3"]["version"] == ""
    try:
        expected = metadata.version("psycopg2-binary")
    except metadata.PackageNotFoundError:
        pytest.skip("psycopg2-binary is not installed")
    assert (rows["psycopg2"]["distribution"], rows["psycopg2"]["version"]) == ("psycopg2-binary", expected)


def test_versions_can_be_those_of_another_interpreter(tmp_path: Path):
    """One that knows nothing of hookmon; modules of the project do not get in its way."""
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    (tmp_path / "json.py").write_text("1/0")
    lib = next((tmp_path / "env").glob("lib/python*/site-packages"))
    info = lib / "redis-4.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: redis\nVersion: 4.9.9\n")
    rows = list_packs(tmp_path, "--python", "env/bin/python")
    assert rows["redis"]["version"] == "4.9.9"
    assert rows["requests"]["version"] == ""


@pytest.mark.parametrize("python", ["nowhere/python", "/bin/true", "/bin/false"])
def test_an_interpreter_that_is_none_is_told(python: str, tmp_path: Path):
    """In one line."""
    result = hookmon(["packs", "--python", python], cwd=tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert f"{python}: " in result.stderr


def test_who_switched_a_pack_off_is_told(tmp_path: Path):
    """The line of the file, or the option, which has the last word."""
    (tmp_path / "hookmon.toml").write_text('[packs]\ndisable = ["redis", "httpx"]\n')
    rows = list_packs(tmp_path, "--pack", "httpx", "--no-pack", "requests")
    told = {name: (row["state"], row["why"]) for name, row in rows.items() if row["why"] != "by default"}
    assert told == {
        "redis": ("off", "hookmon.toml:2"),
        "httpx": ("on", "--pack httpx"),
        "requests": ("off", "--no-pack requests"),
    }


def test_the_screen_says_it_in_a_line_for_each(tmp_path: Path):
    """And for the packs that are named, with the targets."""
    result = hookmon(["packs", "--no-pack", "http"], cwd=tmp_path)
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in result.stdout.splitlines()}
    assert lines["sqlite3"] == "on standard library 8 targets"
    assert lines["http"].startswith("off (--no-pack http) standard library")
    result = hookmon(["packs", "sqlite3"], cwd=tmp_path)
    shown = [line.strip() for line in result.stdout.splitlines()]
    first = shown.index("sqlite3.dbapi2:Cursor.execute")
    assert shown[first : first + 3] == [
        "sqlite3.dbapi2:Cursor.execute",
        "sqlite3.dbapi2:Cursor.executemany",
        "sqlite3.dbapi2:Cursor.executescript",
    ]
    assert "tested with the interpreters against the library alone" in shown
    result = hookmon(["packs", "nothing"], cwd=tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no pack nothing; there are " in result.stderr


def test_the_table_in_the_docs_is_that_of_the_code(tmp_path: Path):
    """`.ci/tables` writes it anew."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, root / ".ci" / "tables", "--check"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


TILL = """
[pack]
library = "till"
tested = ["1.0", "2.0"]
description = "Sales"

[[watch]]
module = "till"
calls = ["Counter.sell", "Counter.gone"]

[[watch]]
module = "till.old"
calls = ["Shelf.sell"]

[[watch]]
module = "till.taken_away"
calls = ["Shelf.take"]

[[watch]]
module = "till.extra"
calls = ["scan"]

[[watch]]
module = "till.failing"
calls = ["fail"]
"""


def install_till(python: Path, pack: str) -> None:
    """Put a library and what brings its pack into an environment."""
    site = next(python.parent.parent.glob("lib/python*/site-packages"))
    files = {
        "till/__init__.py": "class Counter:\n    def sell(self): pass\nprint('{')\n",
        "till/extra.py": "import no_such_scanner\ndef scan(): pass\n",
        "till/failing.py": "1/0\n",
        "till-2.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: till\nVersion: 2.5\n",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    (python.parent.parent / "till.toml").write_text(pack)


@pytest.mark.process
def test_check_says_which_targets_a_release_has_lost(tmp_path: Path):
    """What is in another release's module is not lost, nor what needs another library or cannot be imported; one lost fails."""
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    install_till(python, TILL)
    options = ["--pack", str(tmp_path / "env" / "till.toml"), "--python", str(python)]
    result = hookmon(["packs", "--check", "till", "--json", *options], cwd=tmp_path)
    assert result.exit_code == 1, result.stderr
    (row,) = json.loads(result.stdout)["packs"]
    assert (row["version"], row["tested"]) == ("2.5", ["1.0", "2.0"])
    assert {target["target"]: target["state"] for target in row["targets"]} == {
        "till:Counter.sell": "there",
        "till:Counter.gone": "lost",
        "till.old:Shelf.sell": "in other releases",
        "till.taken_away:Shelf.take": "lost",
        "till.extra:scan": "not tried",
        "till.failing:fail": "not tried",
    }
    result = hookmon(["packs", "--check", "till", *options], cwd=tmp_path)
    lines = result.stdout.splitlines()
    assert lines[0] == "till  till 2.5  1 of 6 targets there"
    assert "    not tried: till.failing:fail: importing till.failing raised ZeroDivisionError" in lines
    assert lines[-1] == "    the pack was tested with 1.0, 2.0"


@pytest.mark.process
def test_check_passes_where_all_is_there(tmp_path: Path):
    """And passes over packs whose library is not installed."""
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    result = hookmon(["packs", "--check", "sqlite3", "redis", "--python", str(python)], cwd=tmp_path)
    assert (result.exit_code, result.stdout) == (0, "sqlite3  standard library  all 8 targets there\n"), result.stderr
