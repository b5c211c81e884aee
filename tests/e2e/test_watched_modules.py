"""Which modules are watched: by name, by a glob of names, by their files, and however they are loaded.

Every program counts its own calls, and prints them: that is the truth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon_run, row, watch, watch_row, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

COUNTED = """
import collections, json, sys
COUNTS = collections.Counter()

def count(module, name):
    COUNTS[f"{module}:{name}"] += 1

def show():
    print(json.dumps(COUNTS))
"""
"""A module in which the program counts."""


def counting(*names: str) -> str:
    """Return the source of a module whose functions count themselves."""
    lines = ["from counted import count"]
    for name in names:
        lines += [f"def {name}(*args):", f"    count(__name__, {name!r})", "    return args"]
    return "\n".join(lines) + "\n"


PROGRAM = {
    "counted.py": COUNTED,
    "app/__init__.py": counting("top"),
    "app/views.py": counting("view", "other"),
    "app/models.py": counting("model"),
    "app/sub/__init__.py": counting("at_sub"),
    "app/sub/deep.py": counting("deep", "view"),
    "apple.py": counting("view"),
    "main.py": """
        import json.decoder
        import app.views, app.models, app.sub.deep, apple
        from counted import show
        for _ in range(2): app.top()
        for _ in range(3): app.views.view(1), app.sub.deep.view()
        for _ in range(4): app.models.model()
        for _ in range(5): app.sub.at_sub(), apple.view()
        for _ in range(6): app.sub.deep.deep()
        json.decoder.JSONDecoder().decode("1")
        show()
    """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("modules"), PROGRAM)


def counted(report: dict) -> dict[str, int]:
    """Return the calls by target."""
    return {row["target"]: row["calls"] for row in report["calls"]}


@pytest.mark.parametrize(
    ("module", "call", "is_wanted"),
    [
        ("app.*", "*", lambda module: module.startswith("app.") and module.count(".") == 1),
        ("app.**", "*", lambda module: module == "app" or module.startswith("app.")),
        ("app.**.deep", "*", lambda module: module == "app.sub.deep"),
        ("app.[mv]*", "*", lambda module: module in ("app.models", "app.views")),
        ("**", "*", lambda module: True),
        ("*", "*", lambda module: "." not in module),
    ],
)
def test_a_glob_watches_the_modules_that_it_stands_for(project: Path, module: str, call: str, is_wanted):
    """Each function of theirs, as often as it was called, under the module's own name."""
    done = hookmon_run([PYTHON, "main.py"], cwd=project, options=["--watch", f"{module}:{call}", "--no-pack", "*"])
    truth = {target: number for target, number in json.loads(done.stdout).items() if is_wanted(target.partition(":")[0])}
    found = {target: number for target, number in counted(done.report).items() if not target.startswith("counted:")}
    assert found == truth


def test_each_real_module_is_a_row(project: Path):
    """What lacks a function is none, as long as another module has it."""
    done = hookmon_run([PYTHON, "main.py"], cwd=project, options=["--watch", "app.**:view,nowhere"])
    own = {row["target"]: row["status"] for row in done.report["watched"] if not row["pack"]}
    assert own == {"app.views:view": "active", "app.sub.deep:view": "active", "app.**:nowhere": "not found"}


def test_what_is_for_one_module_beats_a_glob_and_of_globs_the_narrower_counts(project: Path):
    """In whichever order they stand in the file."""
    config = (
        watch("app.**", "view", "*", span="wide {function}")
        + watch("app.sub.*", "view", span="narrow")
        + watch("app.views", "*", span="exact {function}")
    )
    done = hookmon_run([PYTHON, "main.py"], cwd=project, config=config)
    names = {row["target"]: row["name"] for row in done.report["calls"] if row["kind"] == "function"}
    assert names["app.views:view"] == "exact view"
    assert names["app.sub.deep:view"] == "narrow"
    assert names["app.sub.deep:deep"] == "wide deep"
    assert calls(done.report, "app.views:view") == 3


def test_a_pack_keeps_what_it_knows_of_a_package_that_a_glob_watches(project: Path):
    """Its calls keep their name and kind, as beside a glob in calls."""
    write(
        project,
        {"statement.py": "import sqlite3\nsqlite3.connect(':memory:').execute('select 1')\nimport json\njson.loads('1')\n"},
    )
    done = hookmon_run([PYTHON, "statement.py"], cwd=project, options=["--watch", "json.**:*", "--watch", "sqlite3.**:*"])
    assert row(done.report, "select ?")["kind"] == "sql"
    assert calls(done.report, "json:loads") == 1


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("ap.**", "did you mean app.**?"),
        ("app.views.*", "app.views has no modules in it; did you mean app.views?"),
        ("unused.*", "unused.one and others are there, and no process has imported one"),
        ("utterly.**", ""),
    ],
)
def test_a_glob_of_which_nothing_was_imported_gets_a_hint(project: Path, module: str, said: str):
    """What is near, or that it is there."""
    write(project, {"unused/__init__.py": "", "unused/one.py": "", "unused/two.py": ""})
    done = hookmon_run([PYTHON, "main.py"], cwd=project, options=["--watch", f"{module}:*"])
    found = watch_row(done.report, f"{module}:*")
    assert (found["status"], found["detail"]) == ("never imported", said)


def test_a_glob_takes_two_thousand_modules(tmp_path: Path):
    """And says that there are more."""
    program = """
        import importlib
        for number in range(2_003):
            open(f"big/m{number}.py", "w").write("def ask(): return 1")
        print(sum(importlib.import_module(f"big.m{number}").ask() for number in range(2_003)))
    """
    write(tmp_path, {"main.py": program, "big/__init__.py": ""})
    done = hookmon_run([PYTHON, "-B", "main.py"], cwd=tmp_path, options=["--watch", "big.*:ask"])
    assert done.stdout == "2003\n"
    assert sum(counted(done.report).values()) == 2_000
    assert blind_spots(done.report) == ["glob full: big.* stands for more than 2,000 modules; the others are not watched"]


LOADED = {
    "counted.py": COUNTED,
    "plug/price.py": counting("quote"),
    "plug/tax.py": counting("quote"),
    "plug/__init__.py": "",
    "migrations/0001_first.py": counting("upgrade", "downgrade"),
    "loaders.py": """
        import importlib.util, sys, warnings
        from importlib.machinery import SourceFileLoader
        from counted import show

        def load(name, path, listed=True):  # importlib's documentation, "Importing a source file directly"
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            if listed:
                sys.modules[name] = module
            spec.loader.exec_module(module)
            return module

        price = load("plug_price", "plug/price.py")
        for _ in range(10): price.quote(1)
        tax = load("plug_tax", "plug/tax.py", listed=False)
        for _ in range(7): tax.quote(1)
        again = load("plug_price", "plug/price.py")
        for _ in range(3): again.quote(1)
        migration = load("0001_first_py", "migrations/0001_first.py")  # as Alembic names it
        migration.upgrade()
        warnings.simplefilter("ignore")
        if hasattr(SourceFileLoader, "load_module"):  # until 3.14
            old = SourceFileLoader("old_price", "plug/price.py").load_module()
            for _ in range(5): old.quote()
        import plug.price
        for _ in range(2): plug.price.quote()
        print(type(price.__loader__).__name__, price.__spec__.loader is price.__loader__, vars(price.__loader__).keys())
        show()
    """,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_modules_that_are_loaded_by_their_path_are_watched_by_name(tmp_path: Path, engine: str):
    """Whether sys.modules has them or not, and as often as they are loaded."""
    write(tmp_path, LOADED)
    bare = bare_run([PYTHON, "loaders.py"], cwd=tmp_path)
    config = "".join(watch(name, "quote") for name in ("plug_price", "plug_tax", "old_price", "plug.price"))
    done = hookmon_run([PYTHON, "loaders.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert done.seen[0] == bare.stdout
    truth = json.loads(bare.stdout.splitlines()[-1])
    assert counted(done.report) == {target: number for target, number in truth.items() if target.endswith(":quote")}


@pytest.mark.parametrize(
    ("file", "is_wanted"),
    [
        ("plug/*.py", lambda module: "plug" in module or module == "old_price"),
        ("plug/tax.py", lambda module: module == "plug_tax"),
        ("migrations/*.py", lambda module: module == "0001_first_py"),
        ("./**/price.py", lambda module: "price" in module),
    ],
)
def test_modules_are_watched_by_their_files(tmp_path: Path, file: str, is_wanted):
    """However they are named, loaded or imported; the report has their names."""
    write(tmp_path, LOADED)
    (tmp_path / "inner").mkdir()
    config = f'[[watch]]\nfile = "{file}"\ncalls = ["*"]\n'
    done = hookmon_run([PYTHON, "loaders.py"], cwd=tmp_path, config=config)
    truth = json.loads(done.stdout.splitlines()[-1])
    assert counted(done.report) == {target: n for target, n in truth.items() if is_wanted(target.partition(":")[0])}


def test_a_file_begins_at_the_folder_of_the_configuration(tmp_path: Path):
    """Not at the one in which the program is started; links on the way do not matter."""
    write(tmp_path / "real", LOADED)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "hookmon.toml").write_text('[[watch]]\nfile = "plug/*.py"\ncalls = ["quote"]\n')
    options = ["--config", str(tmp_path / "link" / "hookmon.toml")]
    done = hookmon_run([PYTHON, "loaders.py"], cwd=tmp_path / "real", options=options)
    assert sum(counted(done.report).values()) == (27 if sys.version_info < (3, 15) else 22)


LAZY = {
    "counted.py": COUNTED,
    "shop/__init__.py": """
        lazy from .pricing import quote, Basket as Bag, tax
        lazy from .api import cost
        lazy from .never import gone
        from counted import count
        def own():
            count(__name__, "own")
    """,
    "shop/pricing.py": counting("quote", "tax", "cost")
    + "class Basket:\n    def total(self):\n        count(__name__, 'total')\n",
    "shop/api.py": "lazy from .pricing import cost\n",
    "shop/never.py": "def gone(): pass\n",
    "main.py": """
        import sys, shop
        from counted import show
        for _ in range(3): shop.quote()
        for _ in range(4): shop.Bag().total()
        for _ in range(2): shop.own()
        for _ in range(5): shop.cost()
        taken = shop.tax
        taken()
        from shop import quote
        quote()
        import shop.pricing
        shop.pricing.quote()
        print(shop.quote is shop.pricing.quote, shop.Bag is shop.pricing.Basket, "shop.never" in sys.modules)
        print(type(vars(shop)["gone"]).__name__, shop.quote.__module__)
        show()
    """,
}


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports come with Python 3.15")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["normal", "all"])
def test_a_name_that_is_imported_lazily_is_watched_where_it_is_defined(tmp_path: Path, mode: str, engine: str):
    """From the moment on at which that module is there; nothing is imported for it."""
    write(tmp_path, LAZY)
    command = [PYTHON, "-X", f"lazy_imports={mode}", "main.py"]
    config = watch("shop", "quote", "Bag.total", "own", "cost", "tax", "gone", "nowhere")
    done = hookmon_run(command, cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert done.seen == bare_run(command, cwd=tmp_path).seen
    assert counted(done.report) == {"shop:quote": 5, "shop:Bag.total": 4, "shop:own": 2, "shop:cost": 5, "shop:tax": 1}
    gone = watch_row(done.report, "shop:gone")
    assert (gone["status"], gone["detail"]) == ("not found", "it is imported lazily from shop.never, which nobody has imported")
    assert watch_row(done.report, "shop:nowhere")["status"] == "not found"


def test_a_file_that_nobody_loads_gets_a_hint(tmp_path: Path):
    """Whether it is there."""
    write(tmp_path, LOADED)
    config = (
        '[[watch]]\nfile = "migrations/*.py"\ncalls = ["upgrade"]\n\n[[watch]]\nfile = "migration/*.py"\ncalls = ["upgrade"]\n'
    )
    done = hookmon_run([PYTHON, "-c", "import counted"], cwd=tmp_path, config=config)
    there, not_there = watch_row(done.report, "migrations/*.py:upgrade"), watch_row(done.report, "migration/*.py:upgrade")
    assert there["detail"] == f"{tmp_path}/migrations/0001_first.py is there, and no process has loaded it as a module"
    assert not_there["detail"] == f"there is no file {tmp_path}/migration/*.py"
