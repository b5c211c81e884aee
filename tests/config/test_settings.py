"""Every line of the table of settings has its effect: it reaches the plan, or something that is known to read it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookmon.cli import _plan
from hookmon.config import checks, origins, settings
from hookmon.config.load import load
from hookmon.config.packs import read_file
from hookmon.config.settings import FLAG, ONE_OR_MORE, PACK, PAIRS, ROOT, SETTINGS, TEXT, TEXTS, USER, Setting
from hookmon.core import plan

KEYS_READ_BY_THE_LAUNCHER = {"samples": "cli/_session.py"}
"""The same of keys that stand before all tables."""

READ_BY_THE_LAUNCHER = {"budget": "config/load.py", "packs": "config/load.py", "service": "config/load.py"}
READ_BY_THE_LAUNCHER |= {"pack": "config/packs.py"}
READ_BY_THE_LAUNCHER |= dict.fromkeys(("export", "export.otlp", "export.prometheus", "export.stream"), "config/exports.py")
"""Tables of which the program needs nothing, and the module that reads each."""

AGENT = Path(settings.__file__).resolve().parents[1]

OTHER_VALUES: dict[str, str] = {
    "max_overhead": '"7%"',
    "redact": '"all"',
    "signals": '["gc"]',
    "module": '"shop.prices"',
    "file": '"plugins/*.py"',
    "calls": '["Shop.sell"]',
    "until": '["Shop.sold"]',
    "kind": '"sql"',
    "entry_body": '"{result.body}"',
    "callable": '["done", "*failed"]',
    "base": '["shop:Base", "shop:Mixin"]',
    "expected": '["shop:Stop"]',
    "adapter": '"beside"',
    "via": '"name"',
}
"""TOML of a value that is not the default, of keys that do not take any text; with the setting's own name, the others do."""

IN_THE_PLAN = {"max_overhead": 0.07}
"""What a value of the file has become there, where that is something else."""

OF_THE_PLAN = [
    setting
    for setting in SETTINGS
    if setting.table not in READ_BY_THE_LAUNCHER and (setting.table or setting.key not in KEYS_READ_BY_THE_LAUNCHER)
]


def other_value(setting: Setting) -> str:
    """Return TOML of a value that is not the default."""
    by_type = {TEXT: f'"{setting.key}"', FLAG: str(not setting.default).lower(), TEXTS: f'["{setting.key}"]'}
    by_type |= {PAIRS: f'{{arg0 = "{setting.key}"}}', ONE_OR_MORE: f'["{setting.key}", "other"]'}
    return OTHER_VALUES.get(setting.key) or by_type[setting.type]


def plan_of(folder: Path, setting: Setting) -> tuple[dict[str, Any], Any]:
    """Return the part of the plan that is about a setting's table, and the value that was written for it."""
    value = other_value(setting)
    needed = {} if setting.table == ROOT else {"module": '"shop"', "calls": '["sell"]'}
    if setting.key == "file":
        del needed["module"]
    if setting.type == PAIRS:
        needed["until"] = '["stop"]'
    lines = [f"{key} = {text}" for key, text in (needed | {setting.key: value}).items()]
    text = "\n".join([*([] if setting.table == ROOT else [f"[[{setting.table}]]"]), *lines, ""])
    (folder / "beside.py").touch()
    problems: list = []
    if USER in setting.writers:
        (folder / "hookmon.toml").write_text(text, "utf-8")
        config = load(folder)
    else:
        (folder / "acme.toml").write_text(f'[pack]\ndescription = "a pack"\n\n{text}', "utf-8")
        assert read_file(folder / "acme.toml", "acme.toml", "", problems), problems
        if setting.key == "propagates":
            (folder / "hookmon.toml").write_text("propagate = true\n", "utf-8")
        config = load(folder, pack=[str(folder / "acme.toml")], no_pack=["*"])
    (folder / "run").mkdir()
    watches = _plan.write(folder / "run", config, "0")
    whole = plan.decode((folder / "run" / plan.FILE_NAME).read_bytes())
    assert whole["watches"] == watches
    written = tomllib.loads(f"value = {value}")["value"]
    if setting.table == ROOT:
        return whole, IN_THE_PLAN.get(setting.key, written)
    (watch,) = [watch for watch in watches if watch["source"].startswith(("hookmon.toml", "pack acme"))]
    if setting.key == "file":
        assert watch["files"] == [str(folder.resolve() / "plugins/*.py")]
        return {"file": watch["module"]}, written
    found = {**watch, **watch.get("hook", {})}
    if setting.type == PAIRS:
        found[setting.key] = dict(found[setting.key])
    return found, str(folder / "beside.py") if setting.key == "adapter" else written


@pytest.mark.parametrize("setting", OF_THE_PLAN, ids=[f"{setting.table}.{setting.key}" for setting in OF_THE_PLAN])
def test_every_setting_reaches_the_plan(setting: Setting, tmp_path: Path):
    """A line in the table that nobody passes on would be a setting without an effect."""
    found, written = plan_of(tmp_path, setting)
    assert written != setting.default
    assert found[setting.key] == written


@pytest.fixture
def later() -> Iterator[Any]:
    """Add lines to the table of settings, for this test."""
    before = settings.SETTINGS

    def add(*lines: Setting) -> None:
        settings.SETTINGS = (*before, *lines)
        settings.settings_of.cache_clear()
        settings.tables_of.cache_clear()

    yield add
    settings.SETTINGS = before
    settings.settings_of.cache_clear()
    settings.tables_of.cache_clear()


@pytest.mark.parametrize(("table", "writer"), [(ROOT, USER), ("watch", USER), ("watch", PACK), ("hook", USER), ("hook", PACK)])
@pytest.mark.parametrize(("type", "default"), [(TEXT, ""), (FLAG, False), (TEXTS, [])], ids=["text", "flag", "texts"])
def test_a_setting_more_is_one_line_in_the_table(later, tmp_path: Path, table: str, type: str, default: Any, writer: str):
    """No other module of the launcher's side has to hear of it, and `hookmon config` shows it."""
    added = Setting(
        table=table, key="latest", type=type, default=default, check=checks.anything, help="a new one", writers=(writer,)
    )
    later(added)
    found, written = plan_of(tmp_path, added)
    assert found["latest"] == written != default
    if writer == USER:
        rows = [row for row in origins.origins(tmp_path).values if row.key == "latest" and row.origin != origins.DEFAULT]
        assert [(row.table, row.value) for row in rows] == [(table, written)]


def test_a_setting_that_nobody_wrote_is_not_in_the_plan(later, tmp_path: Path):
    """So the plan of a run stays what it was, and two runs that say the same compare as such."""
    later(Setting(table="watch", key="latest", type=FLAG, default=False, check=checks.anything, help="a new one"))
    (tmp_path / "hookmon.toml").write_text('[[watch]]\nmodule = "shop"\ncalls = ["sell"]\n', "utf-8")
    (watch,) = [watch for watch in load(tmp_path).watches if watch.module == "shop"]
    assert "latest" not in watch.to_plan(1)


def test_no_setting_is_called_as_something_else_in_the_plan():
    """Both stand in one dictionary."""
    root = {setting.key for setting in SETTINGS if setting.table == ROOT} - set(IN_THE_PLAN) - {"redact"}
    assert not root & {"run_folder", "wrapt_folder", "hookmon", "clock_source", "watches"}
    watch = {setting.key for setting in SETTINGS if setting.table in ("watch", "hook")}
    assert not watch & {"id", "pack", "source", "hook", "others"}


@pytest.mark.parametrize("table", READ_BY_THE_LAUNCHER)
def test_a_table_that_is_not_for_the_program_has_its_reader(table: str):
    """The module takes the checked table by its name."""
    assert f'tables["{table}"]' in (AGENT / READ_BY_THE_LAUNCHER[table]).read_text("utf-8")


def test_what_propagates_is_there_only_where_it_is_wanted(tmp_path: Path):
    """By itself nothing that the program sends is changed."""
    assert not [watch for watch in load(tmp_path).watches if watch.adapter == "propagation"]
    (tmp_path / "hookmon.toml").write_text("propagate = true\n", "utf-8")
    found = {watch.pack for watch in load(tmp_path).watches if watch.adapter == "propagation"}
    assert found == {"aiohttp_client", "grpc", "http", "httpx", "httpx2", "kombu", "pika"}
