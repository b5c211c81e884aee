"""Views, tasks, commands, receivers, fixtures: each own function of real applications is counted as it counts itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.applications import APPLICATIONS, COUNT, TELL
from support.engines import ENGINES
from support.interpreters import need_engine, need_with
from support.runs import Report, bare_run, hookmon_run, watch, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

PYTHONS = ("this", "3.12", "3.13", "3.14", "3.15")
"""Others than this one serve where they have the framework, too."""


def own_counts(report: Report, module: str) -> dict[str, int]:
    """Return {qualified name: calls} of a module's functions."""
    counts: dict[str, int] = {}
    for row in report["calls"]:
        owner, _, name = row["target"].partition(":")
        if owner == module:
            counts[name] = counts.get(name, 0) + row["calls"]
    return counts


NEEDS = {"fastapi": ["httpx"], "flask": ["asgiref"], "starlette": ["httpx"]}
"""What else an application imports: clients, and what calls coroutine views."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("library", list(APPLICATIONS))
def test_own_functions_are_counted_as_they_count_themselves(tmp_path: Path, library: str, version: str, engine: str):
    """With the library's pack, and without. The application answers as without us: help, schema, tracebacks and all."""
    python = need_with(version, library, *NEEDS.get(library, ()))
    if engine == "compiled":
        need_engine(python)
    module, program = APPLICATIONS[library]
    write(tmp_path, {"counts.py": COUNT, "shop.py": module, "main.py": program})
    write(tmp_path, {"tell.py": TELL})
    (tmp_path / "main.py").write_text((tmp_path / "main.py").read_text() + (tmp_path / "tell.py").read_text())
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    truth = json.loads((tmp_path / "truth.json").read_text())
    depth = (tmp_path / "depth.txt").read_text()
    unglobbed = [name for name in truth if name.endswith("__")]
    for packs in ("", '[packs]\ndisable = ["*"]\n'):
        config = packs + watch("shop", "**", *unglobbed)
        watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
        assert watched.seen == bare.seen
        assert json.loads((tmp_path / "truth.json").read_text()) == truth
        if engine == "compiled" and (version, library) != ("this", "celery"):
            # events of the pure engine are functions, which need some levels themselves, as looking for greenlets does on 3.11
            assert (tmp_path / "depth.txt").read_text() == depth
        counts = own_counts(watched.report, "shop")
        assert {name: counts.get(name) for name in truth} == truth


DAG = """
    import datetime, functools
    from counts import count

    def dag(**options):
        def put(function):
            @functools.wraps(function)
            def factory(*args):
                return {name: task for name, task in function(*args)}
            return factory
        return put

    def task(function):
        return functools.partial(function, day=datetime.date(2024, 1, 1))

    @dag(schedule="@daily")
    def nightly():
        count()
        @task
        def extract(day):
            count()
            return day.day
        @task
        def load(day):
            count()
            yield from (day.year, extract())
        return (("extract", extract), ("load", load))

    TASKS = nightly()
"""
BAG = """
    import hashlib, importlib.machinery, importlib.util, json, pathlib, sys, counts
    for path in sorted(pathlib.Path("dags").glob("*.py")):
        name = f"unusual_prefix_{hashlib.sha1(str(path).encode()).hexdigest()}_{path.stem}"
        for _ in range(2):
            loader = importlib.machinery.SourceFileLoader(name, str(path))
            spec = importlib.util.spec_from_loader(name, loader)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            loader.exec_module(module)
            print(module.TASKS["extract"](), list(module.TASKS["load"]()), module.nightly.__wrapped__.__qualname__)
    print(json.dumps(counts.COUNTS, sort_keys=True), file=open("truth.json", "w"))
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", PYTHONS)
def test_tasks_in_files_that_a_scheduler_loads_are_counted(tmp_path: Path, version: str, engine: str):
    """By their path, twice, under names that nobody writes into a configuration."""
    python = need_with(version)
    write(tmp_path, {"counts.py": COUNT, "dags/shop.py": DAG, "dags/stock.py": DAG, "main.py": BAG})
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    truth = json.loads((tmp_path / "truth.json").read_text())
    config = '[[watch]]\nfile = "dags/*.py"\ncalls = ["**"]\n'
    watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.seen == bare.seen
    counts: dict[str, int] = {}
    for row in watched.report["calls"]:
        name = row["target"].partition(":")[2]
        counts[name] = counts.get(name, 0) + row["calls"]
    assert {name: counts.get(name) for name in truth} == truth


FIXTURES = """
    import pytest
    from counts import COUNTS, count

    @pytest.fixture
    def basket():
        count()
        yield [1]

    @pytest.fixture(scope="module", params=[1, 2])
    def size(request):
        count()
        return request.param

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_sum(basket, size, number):
        count()
        assert sum(basket) == 1

    class TestShop:
        def test_empty(self, basket):
            count()

    def test_tell():
        import json
        json.dump(COUNTS, open("truth.json", "w"), sort_keys=True)
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", PYTHONS)
def test_fixtures_and_tests_of_pytest_are_counted(tmp_path: Path, version: str, engine: str):
    """In a module that pytest rewrites and loads itself, where their names lead to other objects."""
    python = need_with(version, "pytest")
    write(tmp_path, {"counts.py": COUNT, "test_shop.py": FIXTURES})
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    config = '[packs]\ndisable = ["*"]\n' + watch("test_shop", "*")
    watched = hookmon_run(command, cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.exit_code == 0, watched.stdout
    assert "8 passed" in watched.stdout
    truth = json.loads((tmp_path / "truth.json").read_text())
    counts = own_counts(watched.report, "test_shop")
    assert {name: counts.get(name) for name in truth} == truth
