"""Which file counts, and what comes out of it."""

from __future__ import annotations

import pytest

from hookmon.config.find import find_config
from hookmon.config.packs import read_packs
from hookmon.config.watch import Watch

ALL = [pack.name for pack in read_packs([]) if pack.on]


def all_but(*names):
    """Return the names of the packs that are on by themselves without these, as a line."""
    return " ".join(name for name in ALL if name not in names)


SHOP = '[[watch]]\nmodule = "shop"\ncalls = ["quote"]\n'


def test_a_watch_has_what_was_written_and_the_defaults(folder):
    """A watch keeps its keys and the line it began on; what is not written has its default."""
    folder.write('\n[[watch]]\nmodule = "shop.pricing"\ncalls = ["quote", "Repo.*", "get_[ab]?"]\nspan = "quote {arg0}"\n' + SHOP)
    assert folder.own_watches() == [
        Watch("shop.pricing", ("quote", "Repo.*", "get_[ab]?"), "quote {arg0}", "function", False, source="hookmon.toml:2"),
        Watch("shop", ("quote",), "", "function", False, source="hookmon.toml:6"),
    ]


def test_a_watch_becomes_the_dictionary_of_the_plan(folder):
    """The caller numbers the watches; all values are plain."""
    folder.write('[[watch]]\nmodule = "__main__"\ncalls = ["a", "B.c"]\nkind = "sql"\nnested = true\n')
    (watch,) = folder.own_watches()
    assert watch.to_plan(7) == {
        "id": 7,
        "module": "__main__",
        "calls": ["a", "B.c"],
        "span": "",
        "kind": "sql",
        "nested": True,
        "entry": False,
        "entry_name": "",
        "entry_status": "",
        "entry_body": "",
        "waits": False,
        "pack": "",
        "source": "hookmon.toml:1",
        "adapter": "",
    }


def test_a_hook_is_in_the_plan_with_what_it_says_more(folder):
    """The rest of it is that of a watch; a watch of the same function may stand beside it."""
    folder.write(
        '[[hook]]\nmodule = "shop"\ncalls = ["Events.on"]\ncallable = "listener"\nunregister = ["Events.off"]\n'
        '[[watch]]\nmodule = "shop"\ncalls = ["Events.on"]\n'
    )
    watches = {bool(watch.hook): watch.to_plan(1) for watch in folder.own_watches()}
    assert "hook" not in watches[False]
    assert watches[True]["hook"] == {
        "callable": "listener",
        "methods": [],
        "base": "",
        "skip": [],
        "unregister": ["Events.off"],
        "since": [],
    }
    assert (watches[True]["calls"], watches[True]["span"], watches[True]["kind"]) == (["Events.on"], "{callable}", "hook")


def test_a_span_from_one_call_to_another_is_in_the_plan(folder):
    """Its functions are told of and not timed: a watch that times one of them may stand beside it."""
    folder.write(
        '[[watch]]\nmodule = "shop"\ncalls = ["Cart.open"]\nuntil = ["Cart.pay", "Cart.drop"]\n'
        '[[watch]]\nmodule = "shop"\ncalls = ["Cart.open"]\n'
    )
    watches = [watch.to_plan(1) for watch in folder.own_watches()]
    assert [watch.get("until") for watch in watches] == [["Cart.pay", "Cart.drop"], None]


def test_an_option_watches_like_the_file(folder):
    """--watch MODULE:CALLS gives a watch of its own with the defaults of the file."""
    (watch,) = folder.own_watches(watch=["shop.pricing: quote , Basket.*"])
    assert watch == Watch(
        "shop.pricing", ("quote", "Basket.*"), "", "function", False, source='--watch "shop.pricing: quote , Basket.*"'
    )


def test_nothing_configured_means_all_packs(folder):
    """Without a configuration every shipped pack is on that does not say otherwise, and there are no other watches."""
    config = folder.load()
    assert not {"json", "pickle"} & {*config.packs}
    assert config.path is None
    assert config.packs == ALL
    assert {watch.pack for watch in config.watches} == set(config.packs)


def test_pyproject_has_the_same_tables_under_tool_hookmon(folder):
    """[tool.hookmon] takes the tables of hookmon.toml, and a watch names the line of the pyproject.toml."""
    folder.write(
        '[project]\nname = "shop"\n\n[[tool.hookmon.watch]]\nmodule = "shop"\ncalls = ["quote"]\n'
        '[tool.hookmon.packs]\ndisable = ["*"]\n',
        "pyproject.toml",
    )
    config = folder.load()
    assert [(watch.module, watch.source) for watch in config.watches] == [("shop", "pyproject.toml:4")]
    assert config.packs == []


def test_mistakes_in_pyproject_have_its_lines(folder):
    """Only what stands below tool.hookmon is checked, with the lines of the whole file."""
    problems = folder.problems(
        '[tool.other]\nx = 1\n[tool.hookmon]\nzzz = 1\n[[tool.hookmon.watch]]\nmodule = "a"\ncalls = []\n', "pyproject.toml"
    )
    assert [problem.partition(": ")[0] for problem in problems] == ["pyproject.toml:4", "pyproject.toml:7"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("[tool]\nhookmon = 3\n", "pyproject.toml:2: tool.hookmon is not a table", id="no table"),
        pytest.param("x =\n[tool.hookmon]\n", "pyproject.toml:1: this is not TOML", id="broken"),
    ],
)
def test_a_spoilt_pyproject_that_means_hookmon_is_an_error(folder, text, place):
    """A pyproject.toml that names hookmon's table but cannot be used is told, not skipped."""
    (problem,) = folder.problems(text, "pyproject.toml")
    assert problem.startswith(place)


@pytest.mark.parametrize(
    "text", ["[project]\nname = 'x'\n", "[tool]\n", "tool = 3\n", "broken [", "# hookmon\n"], ids=lambda text: text.strip()
)
def test_a_pyproject_of_others_is_passed_by(folder, text):
    """A pyproject.toml without [tool.hookmon] is not a configuration, even a broken one."""
    folder.write(text, "pyproject.toml")
    assert find_config(folder.path) is None


def test_config_may_not_name_a_pyproject_without_hookmon(folder):
    """What the user names must work: --config pyproject.toml needs a [tool.hookmon]."""
    file = folder.write("[project]\nname = 'x'\n", "pyproject.toml")
    (problem,) = folder.problems(config=file)
    assert problem.startswith(f"{file}: there is no [tool.hookmon]; allowed: ")


def test_hookmon_toml_wins_within_one_folder(folder):
    """With both files in one folder, hookmon.toml counts."""
    folder.write("[tool.hookmon]\n", "pyproject.toml")
    assert find_config(folder.path) == folder.path / "pyproject.toml"
    folder.write("")
    assert find_config(folder.path) == folder.path / "hookmon.toml"


def test_the_nearest_folder_wins(folder):
    """A pyproject.toml further down goes before a hookmon.toml further up."""
    folder.write("")
    folder.write("[tool.hookmon]\n", "a/pyproject.toml")
    (folder.path / "a" / "b").mkdir()
    assert find_config(folder.path / "a" / "b") == folder.path / "a" / "pyproject.toml"


def test_a_file_further_up_is_named_from_the_start_folder(folder):
    """Sources and problems name a file as it would be typed where the run was started."""
    folder.write(SHOP)
    start = folder.path / "a"
    start.mkdir()
    folder.path = start
    assert [watch.source for watch in folder.own_watches()] == ["../hookmon.toml:1"]


def test_config_goes_before_what_is_found(folder):
    """--config names the file that counts, and any name will do."""
    folder.write("zzz = 1\n")
    file = folder.write(SHOP, "etc/watches")
    config = folder.load(config=file)
    assert (config.path, config.project) == (file, folder.path)


def test_no_config_leaves_only_the_packs(folder):
    """With no_config not even a broken file is read."""
    folder.write("broken [")
    config = folder.load(no_config=True)
    assert config.path is None
    assert all(watch.pack for watch in config.watches)


@pytest.mark.parametrize("mark", ["pyproject.toml", "setup.py", ".git/HEAD"])
def test_the_project_is_the_nearest_marked_folder(folder, mark):
    """pyproject.toml, setup.py or .git make a folder the project."""
    folder.write("", mark)
    folder.write("", "a/b/x.py")
    project, folder.path = folder.path, folder.path / "a" / "b"
    assert folder.load().project == project


def test_a_configuration_above_does_not_move_the_project(folder):
    """`hookmon report`, which reads no configuration, looks for the runs in the same folder."""
    folder.write("")
    folder.write("", "a/setup.py")
    folder.path = folder.path / "a"
    config = folder.load()
    assert (config.path.parent, config.project) == (folder.path.parent, folder.path)


CHOICES = {
    "file disables": ("disable = ['redis', 'valkey']", {}, all_but("redis", "valkey")),
    "file disables all but one": ("disable = ['*']\nenable = ['sqlite3']", {}, "sqlite3"),
    "option turns on what the file disables": ("disable = ['*']", {"pack": ["redis"]}, "redis"),
    "option turns off what the file enables": ("enable = ['redis']", {"no_pack": ["*"]}, ""),
    "option turns off all but one": ("", {"pack": ["httpx"], "no_pack": ["*"]}, "httpx"),
    "option turns on what is off by itself": ("", {"pack": ["json"]}, " ".join(sorted([*ALL, "json"]))),
    "file turns on what is off by itself": (
        "enable = ['json']",
        {"no_pack": ["redis"]},
        " ".join(sorted({*ALL, "json"} - {"redis"})),
    ),
    "option turns off what is off by itself": ("enable = ['json']", {"no_pack": ["*"]}, ""),
    "option turns one off": ("disable = ['http']", {"no_pack": ["redis"]}, all_but("http", "redis")),
}


@pytest.mark.parametrize(("table", "options", "names"), CHOICES.values(), ids=CHOICES)
def test_options_have_the_last_word_about_packs(folder, table, options, names):
    """A pack is on by default; the file decides over that, and options over the file."""
    folder.write("[packs]\n" + table)
    config = folder.load(**options)
    assert config.packs == names.split()
    assert {watch.pack for watch in config.watches} == set(config.packs)


def test_a_users_watch_replaces_the_packs_watch_of_its_target(folder):
    """The user's watch of a target is the only one; the pack keeps its other targets."""
    folder.write('[[watch]]\nmodule = "redis.client"\ncalls = ["Redis.execute_command"]\nspan = "mine"\n')
    watches = [watch for watch in folder.load().watches if watch.module == "redis.client"]
    assert [(watch.span, watch.pack) for watch in watches if "Redis.execute_command" in watch.calls] == [("mine", "")]
    assert any("PubSub.execute_command" in watch.calls for watch in watches if watch.pack == "redis")


def test_a_users_watch_leaves_a_request_what_it_needs(folder):
    """A watch of what begins requests begins them too; what only tells of them is told of beside the user's watch."""
    folder.write('[[watch]]\nmodule = "flask.app"\ncalls = ["Flask.__call__", "Flask.finalize_request", "Flask.make_response"]\n')
    watches = [watch for watch in folder.load().watches if watch.module == "flask.app" and watch.role != "hook"]
    assert [(watch.calls, watch.entry, watch.role, watch.pack) for watch in watches] == [
        (("Flask.__call__",), True, "time", ""),
        (("Flask.finalize_request", "Flask.make_response"), False, "time", ""),
        (("Flask.finalize_request",), False, "observe", "flask"),
    ]


def test_a_users_watch_of_a_c_type_gets_the_packs_adapter(folder):
    """A target that only an adapter can patch keeps it under the user's name; other calls of the watch do without."""
    folder.write('[[watch]]\nmodule = "sqlite3.dbapi2"\ncalls = ["Cursor.execute", "register_adapters_and_converters"]\n')
    watches = [watch for watch in folder.load(no_pack=["sqlite3"]).watches if watch.module == "sqlite3.dbapi2"]
    assert [(watch.calls, watch.adapter, watch.pack) for watch in watches] == [
        (("Cursor.execute",), "sqlite3", ""),
        (("register_adapters_and_converters",), "", ""),
    ]
