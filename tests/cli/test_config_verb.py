"""`hookmon config` and `hookmon init`."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.interpreters import need
from support.runs import hookmon, hookmon_run, write

from hookmon.config.load import load
from hookmon.config.packs import read_packs
from hookmon.config.schema import schema
from hookmon.core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("warm_launcher")

TOML = """\
max_overhead = "10%"

[[watch]]
module = "shop.pricing"
calls = ["quote"]
kind = "sql"

[packs]
disable = ["redis", "httpx"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a configuration."""
    return write(tmp_path, {"hookmon.toml": TOML})


def config_of(folder: Path, *options: str) -> Any:
    done = hookmon(["config", "--json", *options], cwd=folder)
    assert (done.stderr, done.exit_code) == ("", 0)
    return json.loads(done.stdout)


def test_each_value_has_its_origin(project: Path):
    """The line of the file, the option, or the default."""
    rows = config_of(project, "--watch", "a:b")["values"]
    own = {(row["number"], row["key"]): (row["value"], row["origin"]) for row in rows if row["number"] < 3}
    assert (
        own
        | {
            (0, "max_overhead"): ("10%", "hookmon.toml:1"),
            (1, "module"): ("shop.pricing", "hookmon.toml:3"),
            (1, "calls"): (["quote"], "hookmon.toml:3"),
            (1, "span"): ("", "default"),
            (1, "kind"): ("sql", "hookmon.toml:3"),
            (1, "nested"): (False, "default"),
            (2, "module"): ("a", '--watch "a:b"'),
            (2, "calls"): (["b"], '--watch "a:b"'),
            (2, "span"): ("", "default"),
            (2, "kind"): ("function", "default"),
            (2, "nested"): (False, "default"),
        }
        == own
    )


def test_each_pack_says_who_decided(project: Path):
    """An option has the last word."""
    packs = {
        row["name"]: (row["is_on"], row["origin"]) for row in config_of(project, "--pack", "redis", "--no-pack", "http")["packs"]
    }
    assert packs["redis"] == (True, "--pack redis")
    assert packs["httpx"] == (False, "hookmon.toml:9")
    assert packs["http"] == (False, "--no-pack http")
    assert packs["requests"] == (True, "default")


def test_what_config_shows_is_what_a_run_has(project: Path):
    """Both come from one place."""
    shown = [row["value"] for row in config_of(project)["values"] if row["key"] == "module"]
    assert shown == [watch.module for watch in load(project).watches]


def test_the_screen_shows_own_watches_and_all_on_request(project: Path):
    """Those of packs are many."""
    screen = hookmon(["config"], cwd=project).stdout
    assert "shop.pricing" in screen
    assert "sqlite3.dbapi2" not in screen
    assert not re.search(r"watch .*  default\n", screen)  # a table of three lines has nine keys more
    assert re.search(r"watch .*: nested +false +default\n", hookmon(["config", "--all"], cwd=project).stdout)
    assert "sqlite3.dbapi2" in hookmon(["config", "--all"], cwd=project).stdout


def test_without_a_file_there_are_defaults(tmp_path: Path):
    """Said as such."""
    assert config_of(tmp_path)["path"] is None
    assert {row["origin"] for row in config_of(tmp_path)["packs"]} == {"default"}
    assert "no hookmon.toml" in hookmon(["config"], cwd=tmp_path).stdout


def test_mistakes_are_told_as_by_a_run(project: Path):
    """All of them, with exit code 2."""
    write(project, {"hookmon.toml": "a = 1\nb = 2\n"})
    done = hookmon(["config"], cwd=project)
    assert (done.exit_code, len(done.stderr.splitlines()), done.stdout) == (2, 2, "")


def test_the_project_is_that_of_a_run(project: Path, tmp_path_factory: pytest.TempPathFactory):
    """A file of --config that lies elsewhere does not move it."""
    elsewhere = write(tmp_path_factory.mktemp("conf"), {"hookmon.toml": TOML, "app.py": ""}) / "hookmon.toml"
    shown = config_of(project, "--config", str(elsewhere))["project"]
    report = hookmon_run([sys.executable, "-c", ""], cwd=project, options=["--config", str(elsewhere)]).report
    assert shown == report["run"]["project"] == str(project)


def test_the_schema_is_one(tmp_path: Path):
    """As its own schema says."""
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads(hookmon(["config", "--schema"], cwd=tmp_path).stdout)
    jsonschema.Draft202012Validator.check_schema(document)
    assert set(document["properties"]) >= {"max_overhead", "watch", "packs"}


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (TOML, True),
        ("", True),
        ('max_overhead = "off"', True),
        ('max_overhead = "3"', False),
        ("max_overhead = 3", False),
        ("unknown = 1", False),
        ('[[watch]]\nmodule = "a"', False),
        ('[[watch]]\nmodule = "a"\ncalls = []', False),
        ('[[watch]]\nmodule = "a"\ncalls = "b"', False),
        ('[[watch]]\nmodule = "a"\ncalls = ["b"]\nkind = "sqll"', False),
        ('[[watch]]\nmodule = "a"\ncalls = ["b"]\nnested = "yes"', False),
        ('[watch]\nmodule = "a"\ncalls = ["b"]', False),
        ('[[watch]]\nmodule = "a.**"\ncalls = ["b"]', True),
        ('[[watch]]\nfile = "a/*.py"\ncalls = ["b"]', True),
        ('[[watch]]\ncalls = ["b"]', False),
        ('[[watch]]\nmodule = "a"\nfile = "a.py"\ncalls = ["b"]', False),
        ('[packs]\ndisable = ["*"]', True),
        ('[packs]\nenable = ["*"]', False),
        ('[packs]\ndisable = ["nope"]', False),
    ],
)
def test_the_schema_and_the_checks_agree(tmp_path: Path, text: str, is_right: bool):
    """What an editor marks, a run refuses, and the other way round."""
    jsonschema = pytest.importorskip("jsonschema")
    write(tmp_path, {"hookmon.toml": text})
    document = schema([pack.name for pack in read_packs([])])
    assert jsonschema.Draft202012Validator(document).is_valid(tomllib.loads(text)) is is_right
    try:
        load(tmp_path)
        assert is_right
    except ConfigError:
        assert not is_right


# init


def test_a_first_file_changes_nothing_and_is_read(tmp_path: Path):
    """It is all comments."""
    write(tmp_path, {"shop/__init__.py": "", "shop/pricing.py": "", "test_shop.py": ""})
    done = hookmon(["init", "--python", sys.executable], cwd=tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    text = (tmp_path / "hookmon.toml").read_text()
    assert tomllib.loads(text) == {}
    assert 'module = "shop.pricing"' in text
    assert "test_shop" not in text
    assert load(tmp_path).watches == load(Path("/")).watches


def test_the_comments_become_settings(tmp_path: Path):
    """Every line with one sign is right when it is taken away."""
    hookmon(["init"], cwd=tmp_path)
    path = tmp_path / "hookmon.toml"
    path.write_text(re.sub(r"^# ", "", path.read_text(), flags=re.MULTILINE))
    written = tomllib.loads(path.read_text())
    assert set(written) >= {"max_overhead", "watch", "packs"}
    assert load(tmp_path).watches[0].module == "shop.pricing"


def test_it_says_which_packs_will_be_at_work(tmp_path: Path):
    """From the libraries of that interpreter, with their versions."""
    libraries = {name: pytest.importorskip(name) for name in ("redis", "httpx", "requests")}
    found = json.loads(hookmon(["init", "--python", sys.executable, "--json"], cwd=tmp_path).stdout)
    assert {*libraries, "sqlite3"} <= set(found["packs"])
    assert f"(redis {libraries['redis'].__version__})" in (tmp_path / "hookmon.toml").read_text()


@pytest.mark.parametrize("name", ["hookmon.toml", "pyproject.toml"])
def test_a_configuration_that_is_there_stays(tmp_path: Path, name: str):
    """Byte for byte."""
    (tmp_path / name).write_text("[tool.hookmon]\n" if name == "pyproject.toml" else "")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = hookmon(["init"], cwd=tmp_path)
    assert (done.exit_code, done.stderr.split()[-1]) == (2, "[file-exists]")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_link_is_not_followed(tmp_path: Path):
    """A file of that name is there, even one that leads nowhere."""
    os.symlink("elsewhere", tmp_path / "hookmon.toml")
    assert hookmon(["init"], cwd=tmp_path).exit_code == 2
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("python", ["no-such-python", "/bin/ls"])
def test_an_interpreter_that_is_none_is_refused(tmp_path: Path, python: str):
    """And nothing is written."""
    done = hookmon(["init", "--python", python], cwd=tmp_path)
    assert (done.exit_code, done.stderr.split()[-1]) == (2, "[interpreter]")
    assert not (tmp_path / "hookmon.toml").exists()


def test_an_interpreter_that_is_too_old_is_named(tmp_path: Path):
    """The file is written all the same."""
    done = hookmon(["init", "--python", need("3.8")], cwd=tmp_path)
    assert done.exit_code == 0
    assert "cannot be watched" in done.stdout
