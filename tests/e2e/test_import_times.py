"""`hookmon run --imports` beside what Python says itself with -X importtime, in the same process."""

from __future__ import annotations

import re
import sys

import pytest
from support.engines import ENGINES

from hookmon.testing import Recorded, run

_LINE = re.compile(r"import time:\s+\d+ \|\s+(\d+) \| ( *)(\S+)")
FILES = {
    "shop/__init__.py": "import time, shop.prices\nfrom shop import late\ntime.sleep(0.1)",
    "shop/prices.py": "import time\ntime.sleep(0.05)\nimport shop.tax",
    "shop/tax.py": "import time\ntime.sleep(0.025)",
    "shop/late.py": "import importlib, time\ntime.sleep(0.02)\nimportlib.import_module('shop.tax')",
    "broken.py": "import time\ntime.sleep(0.03)\ndef fail(): raise KeyError\nfail()",
}


def record(program: str, engine: str = "compiled", *, files: dict[str, str] = FILES, flags: tuple[str, ...] = ()) -> Recorded:
    """Run a program with its imports timed, with no pack on."""
    command = [sys.executable, *flags, "app.py"]
    recorded = run(program, packs=[], options=["--imports"], env={"HOOKMON_ENGINE": engine}, files=files, command=command)
    assert recorded.exit_code == 0, recorded.stderr
    return recorded


def rows_of(recorded: Recorded) -> dict[str, dict]:
    """Return the rows by name; each has the name of what imports it."""
    rows = recorded.report["imports"]
    return {row["name"]: row | {"by": rows[row["parent"]]["name"] if row["parent"] >= 0 else ""} for row in rows}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_times_are_those_of_importtime(engine: str):
    """Within 5 % for each module, the measuring itself taken in; and in the same tree.

    A processor that is taken away between two looks at the clock is in one of them only: one run in five has to be that near.
    """
    assert any(times_are_those_of_importtime(engine) for _ in range(5))


def times_are_those_of_importtime(engine: str) -> bool:
    """Hold a run against importtime; say whether they are within 5 %."""
    recorded = record("import shop, json, decimal, sqlite3", engine, flags=("-X", "importtime"))
    nodes = recorded.report["tree"]
    ours = {node["name"]: node["total_ns"] / 1e3 for node in nodes if node["kind"] == "import"}
    theirs = {name: int(whole_us) for whole_us, _, name in _LINE.findall(recorded.stderr)}
    assert {"shop", "shop.prices", "shop.tax", "shop.late", "json", "decimal", "sqlite3"} <= ours.keys()
    assert ours.keys() <= theirs.keys() | {"sitecustomize"}
    for name in ours.keys() & theirs.keys():
        assert ours[name] <= theirs[name] * 1.001 + 1  # theirs are whole microseconds around ours
    return all(ours[name] == pytest.approx(theirs[name], rel=0.05) for name in ("shop", "shop.prices", "shop.tax", "shop.late"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_has_its_own_time_without_the_modules_that_it_imports(engine: str):
    """A package has the time of its own lines; what it imports stands below it, once."""
    rows = rows_of(record("import shop, shop.tax", engine))
    assert [rows[name]["by"] for name in ("shop", "shop.prices", "shop.tax", "shop.late")] == ["", "shop", "shop.prices", "shop"]
    assert [rows[name]["depth"] for name in ("shop", "shop.prices", "shop.tax")] == [0, 1, 2]
    for name, slept_s in {"shop": 0.1, "shop.prices": 0.05, "shop.tax": 0.025, "shop.late": 0.02}.items():
        assert rows[name]["imports"] == 1
        assert rows[name]["self_ns"] >= slept_s * 1e9
    inside_ns = rows["shop.prices"]["total_ns"] + rows["shop.late"]["total_ns"]
    assert rows["shop"]["total_ns"] == rows["shop"]["self_ns"] + inside_ns
    assert rows["shop.prices"]["total_ns"] == rows["shop.prices"]["self_ns"] + rows["shop.tax"]["total_ns"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failing_import_is_an_error_and_its_traceback_is_that_of_a_plain_run(engine: str):
    """Whether the module is missing or raises, and by which way it is imported."""
    program = """
    import importlib, sys, traceback
    for way in (__import__, importlib.import_module):
        for name in ("broken", "missing", "shop.missing"):
            try: way(name)
            except (KeyError, ImportError): traceback.print_exc(file=sys.stdout)
    """
    recorded = record(program, engine)
    plain = run(program, packs=[], files=FILES, env={"HOOKMON_DISABLE": "1"})
    assert recorded.stdout.replace(str(recorded.folder), "") == plain.stdout.replace(str(plain.folder), "")
    rows = rows_of(recorded)
    assert [(rows[name]["imports"], rows[name]["errors"]) for name in ("broken", "missing", "shop.missing", "shop")] == [
        (2, 2),
        (2, 2),
        (2, 2),
        (1, 0),
    ]


def test_what_hookmon_does_meanwhile_is_no_modules_time():
    """Neither the patching of watched modules nor its own imports; the tree of calls has it apart."""
    options = ["--imports", "--watch", "shop.prices:*"]
    recorded = run("import shop", packs=["sqlite3", "http"], options=options, files=FILES)
    rows = rows_of(recorded)
    assert not any(name.partition(".")[0] in ("hookmon", "wrapt") for name in rows)
    whole_ns, ours_ns, nodes = 0, 0, recorded.report["tree"]
    for node in nodes:
        if node["name"] == "shop.prices":
            whole_ns = node["total_ns"]
        if node["kind"] == "hookmon" and nodes[node["parent"]]["name"] in ("shop.prices", "shop.tax"):
            ours_ns += node["total_ns"]
    assert ours_ns > 0
    assert rows["shop.prices"]["total_ns"] == whole_ns - ours_ns


def test_threads_archives_extensions_and_frozen_modules_are_seen():
    """Whoever imports, and wherever from; what is there already is no import, however often it is asked for."""
    program = """
    import importlib, sys, threading, zipfile
    with zipfile.ZipFile("a.zip", "w") as archive: archive.writestr("packed.py", "value = 1")
    sys.path.insert(0, "a.zip")
    thread = threading.Thread(target=__import__, args=("shop",))
    thread.start(); thread.join()
    import packed, _decimal, __hello__
    for _ in range(100): importlib.import_module("packed")
    """
    rows = rows_of(record(program))
    assert {name: rows[name]["imports"] for name in ("shop", "packed", "_decimal", "__hello__")} == {
        "shop": 1,
        "packed": 1,
        "_decimal": 1,
        "__hello__": 1,
    }


def test_the_tree_stays_whole_when_greenlet_comes_in_between():
    """From its import on lanes are kept by greenlet; the import that is open is that of the same greenlet."""
    pytest.importorskip("greenlet")
    files = {"outer.py": "import greenlet, inner", "inner.py": "import time; time.sleep(0.01)"}
    rows = rows_of(record("import outer", files=files))
    assert (rows["greenlet"]["by"], rows["inner"]["by"]) == ("outer", "outer")


def test_an_import_in_a_request_is_part_of_it():
    """The first one pays for what is imported late: its time is split into the import and its own code."""
    config = '[[watch]]\nmodule = "__main__"\ncalls = ["job"]\nkind = "task"\nentry = true\n'
    recorded = run("def job():\n    import shop\njob()", packs=[], config=config, options=["--imports"], files=FILES)
    (job,) = (row for row in recorded.report["transactions"] if row["kind"])
    assert job["by_kind"]["import"] >= 0.19e9
    assert job["by_kind"]["import"] + job["by_kind"].get("task", 0) <= job["total_ns"]


def test_nothing_is_replaced_without_the_switch():
    """The import system is as Python made it."""
    program = "import sys\nprint(sys.modules['_frozen_importlib']._find_and_load.__code__.co_firstlineno)"
    assert run(program, packs=[]).stdout == run(program, env={"HOOKMON_DISABLE": "1"}).stdout
    assert run(program, packs=[]).report["imports"] == []
