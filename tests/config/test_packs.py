"""The shipped packs are valid and point at functions that exist."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from hookmon.config.checks import TESTED_AGAINST
from hookmon.config.packs import FOLDER, read_packs
from hookmon.config.settings import SETTINGS
from hookmon.config.targets import duplicates
from hookmon.core.span import parse

PACKS = read_packs([])
ADAPTED = {
    pack.name: {(watch.module, call) for watch in pack.content.watches if watch.adapter for call in watch.calls} for pack in PACKS
}
TARGETS = [
    (pack.name, watch.module, call, watch.span)
    for pack in PACKS
    for watch in pack.content.watches
    for call in (*watch.calls, *watch.until)
]
TO_FIND = [(pack, module, call, span) for pack, module, call, span in TARGETS if (module, call) not in ADAPTED[pack]]
"""All but those that an adapter finds, which the tests of its pack show."""

OF_ONE_RELEASE = {"httpx2", "mmcv"}
"""Packs of libraries that have had one release that the pack serves."""

WITH_THE_NEWEST_ONLY = frozenset(
    (
        "chromadb",
        "clickhouse_connect",
        "google_genai",
        "pydantic_ai",
        "qdrant",
        "snowflake",
        "weaviate",
    )
)
"""Packs that no older release has been before yet."""

OF_OTHER_RELEASES = {
    "keras.src.engine.training",
    *("psycopg.server_cursor", "psycopg._server_cursor", "psycopg._server_cursor_async", "psycopg._pipeline_async"),
}
"""Modules that only some of the releases have that a pack serves."""

HOOKS = {
    (watch.module, call): watch.hook for pack in PACKS for watch in pack.content.watches if watch.hook for call in watch.calls
}
OF_HOOKS = {"callable", "object", "method", "function", "class"}
"""What the span of a hook may use besides the parameters."""


def test_the_shipped_packs_have_no_mistake():
    """Every file in the folder is read and checked like a user's."""
    problems = []
    packs = read_packs(problems)
    assert problems == []
    assert [pack.name for pack in packs] == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert list(duplicates(placed for pack in packs for placed in pack.content.placed)) == []


def test_packs_of_one_library_were_tested_with_the_same_releases():
    """Or one of them would say what `.ci/packs` has not done: it installs one release of each."""
    tested: dict[str, set[tuple[str, ...]]] = {}
    for path in FOLDER.glob("*.toml"):
        pack = tomllib.loads(path.read_text(encoding="utf-8"))["pack"]
        if "library" in pack:
            tested.setdefault(pack["library"].lower(), set()).add(tuple(pack.get("tested", ())))
    assert {library: releases for library, releases in tested.items() if len(releases) > 1} == {}


@pytest.mark.files
@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_each_pack_says_how_sure_it_is(pack):
    """Its tests are in the file that it names, which names the pack, its library or what that is imported as."""
    assert pack.against in TESTED_AGAINST
    assert len(pack.tested) > 1 or not pack.library or pack.name in OF_ONE_RELEASE | WITH_THE_NEWEST_ONLY
    text = (Path(__file__).parents[1] / "packs" / pack.tests).read_text(encoding="utf-8")
    names = {pack.name, pack.library, *(watch.module.partition(".")[0] for watch in pack.content.watches)} - {""}
    assert re.search(rf"\b({'|'.join(map(re.escape, names))})\b", text), names


def test_packs_are_shipped_as_package_data():
    """The wheel takes every TOML file of the folder along."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "packs/*.toml" in pyproject["tool"]["setuptools"]["package-data"]["hookmon"]


@pytest.mark.files
@pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")  # webob 1.8
@pytest.mark.parametrize(
    ("module", "call", "span"), [target[1:] for target in TO_FIND], ids=[f"{target[1]}:{target[2]}" for target in TO_FIND]
)
def test_each_target_exists_in_the_installed_library(module, call, span):
    """A target is defined where the pack says, and the names in its span are parameters of it."""
    hook = HOOKS.get((module, call))
    depends = hook or module in OF_OTHER_RELEASES  # where a hook is to be found depends on the version
    pytest.importorskip(module if depends else _package_of(module))
    owner = importlib.import_module(module)
    for part in call.split("."):
        owner = getattr(owner, part)
    assert callable(owner)
    roots = {path[0] for part in parse(span) if not isinstance(part, str) for path in part[0]}
    if hook:
        roots = (roots | {hook.callable.partition(".")[0]}) - OF_HOOKS - {"result"}
    if not roots:
        return
    parameters = ["self", "class", "function", *inspect.signature(owner).parameters]
    assert {root for root in roots if not root.startswith("arg")} <= {*parameters}


def _package_of(module):
    """Return the outermost package of a module that belongs to one library alone; `google` is the namespace of several."""
    package, path = "", None
    for name in module.split("."):
        package = f"{package}.{name}".lstrip(".")
        spec = PathFinder.find_spec(package, path)
        if spec is None or spec.origin is not None:
            break
        path = spec.submodule_search_locations
    return package


STORED = {
    "httpx": (
        lambda: pytest.importorskip("httpx").Request("GET", "http://shop.test/a"),
        "request",
        ["GET", ("http", "", "shop.test", None, "/a", None, None)],
    ),
    "requests": (
        lambda: pytest.importorskip("requests").Request("GET", "http://shop.test/a").prepare(),
        "request",
        ["GET", "http://shop.test/a"],
    ),
}


@pytest.mark.parametrize(("make", "root", "values"), STORED.values(), ids=STORED)
def test_what_a_name_reads_is_stored(request, make, root, values):
    """The fields of a span lead through instance attributes and tuple fields; no property would have to run."""
    spans = {span for pack, _, _, span in TARGETS if pack == request.node.callspec.id}
    fields = [path for span in spans for part in parse(span) if not isinstance(part, str) for path in part[0]]
    assert {path[0] for path in fields} == {root}
    assert [_read_stored(make(), path[1:]) for path in fields if path[1:]] == values


def _read_stored(value, names):
    for name in names:
        if name in getattr(value, "__dict__", ()):
            value = vars(value)[name]
        else:
            field = inspect.getattr_static(type(value), name)
            assert type(field).__name__ == "_tuplegetter"  # what a named tuple has in the place of a property
            value = getattr(value, name)
    return value


BROKEN = {
    "no header": (
        '[[watch]]\nmodule = "m"\ncalls = ["f"]\n',
        "packs/x.toml: there is no [pack]; allowed: one [pack] table in each pack",
    ),
    "no description": (
        "[pack]\n",
        'packs/x.toml:1: there is no key "description" in this pack; allowed: pack with description',
    ),
    "packs is for users": (
        '[pack]\ndescription = "d"\n[packs]\n',
        'packs/x.toml:3: there is no table or key "packs"; allowed: watch, hook, pack; did you mean "pack"?',
    ),
    "against nothing known": (
        '[pack]\ndescription = "d"\nagainst = "sever"\n',
        'packs/x.toml:3: against "sever" is unknown; allowed: "server", "stub", "library"; did you mean "server"?',
    ),
    "bad adapter": (
        '[pack]\ndescription = "d"\n[[watch]]\nmodule = "m"\ncalls = ["f"]\nadapter = "a.b"\n',
        'packs/x.toml:6: adapter "a.b" is not a name; allowed: the name of a module beside the pack',
    ),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_pack_is_told_with_its_line(tmp_path, text, expected):
    """A pack is held to the same table of settings as a user's file and is left out when it has a mistake."""
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    problems = []
    assert read_packs(problems, tmp_path) == []
    assert [str(problem) for problem in problems] == [expected]


def test_two_packs_may_not_define_the_same_target(tmp_path):
    """The second pack is told, with the place of the first."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text('[pack]\ndescription = "d"\n[[watch]]\nmodule = "m"\ncalls = ["f"]\n')
    problems = duplicates(placed for pack in read_packs([], tmp_path) for placed in pack.content.placed)
    assert [str(problem) for problem in problems] == [
        'packs/b.toml:5: "f" of module "m" is watched a second time, first at packs/a.toml:5; allowed: each target once'
    ]


def test_every_setting_says_what_it_is():
    """Each line of the table of settings carries its help."""
    assert all(setting.help for setting in SETTINGS)
