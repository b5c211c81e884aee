"""pytest and pluggy under their packs: outcome and output are pytest's own, counts those of a plugin that counts itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hookmon.testing import Recorded

from .hooked import Both, both, require, version_of

__all__ = ["both"]

PACKS = ["pluggy", "pytest"]
CONFTEST = """
import json, os, time
from collections import Counter
import pytest

COUNTED = Counter()  # what this plugin and its fixtures saw themselves
CALLED = Counter()   # what pluggy called, as its own monitoring tells it

@pytest.fixture(scope="session")
def server():
    COUNTED["fixture server"] += 1
    time.sleep(0.01)
    yield "server"
    COUNTED["fixture server teardown"] += 1

@pytest.fixture
def client(server):
    COUNTED["fixture client"] += 1
    return server

@pytest.fixture
def broken(client):
    COUNTED["fixture broken"] += 1
    raise ValueError("no database")

def pytest_configure(config):
    def before(name, impls, kwargs):
        if name in ("pytest_runtest_logstart", "pytest_runtest_logfinish", "pytest_runtest_logreport", "pytest_itemcollected"):
            CALLED.update([name] * len(impls))
    config.pluginmanager.add_hookcall_monitoring(before, lambda *_: None)

def pytest_runtest_setup(item):
    COUNTED["conftest.py: pytest_runtest_setup"] += 1

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    COUNTED["conftest.py: pytest_runtest_call"] += 1
    yield

class Named:
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item):
        COUNTED["Named: pytest_runtest_teardown"] += 1

def pytest_collection_modifyitems(session, items):
    session.config.pluginmanager.register(Named())  # without a name: pluggy names it by its address

@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    with open("counted-%d.json" % os.getpid(), "w") as file:
        json.dump([COUNTED, CALLED], file)
"""
TESTS = """
import unittest
import pytest

@pytest.mark.parametrize("word", ["s3cr3t-of-a-test", "b[c]::d", "e"])
def test_word(client, word):
    left, right = word, word
    assert left == right

def test_that_fails(server):
    squares = {"one": 1, "two": 4}
    assert squares == {"one": 1, "two": 5}

def test_error(broken):
    pass

@pytest.mark.skip(reason="not today")
def test_skipped():
    pass

@pytest.mark.xfail
def test_expected():
    raise RuntimeError("as expected")

class TestInClass:
    @pytest.fixture(autouse=True)
    def around(self, client):
        yield

    def test_method(self, tmp_path):
        tmp_path.joinpath("a").write_text("b")

class TestUnit(unittest.TestCase):
    def setUp(self):
        self.value = 1

    def test_unit(self):
        self.assertEqual(self.value, 1)
"""
RAN = {  # tests whose own code ran
    "test_it.py::test_word": 3,
    "test_it.py::test_that_fails": 1,
    "test_it.py::test_expected": 1,
    "test_it.py::TestInClass::test_method": 1,
    "test_it.py::TestUnit::test_unit": 1,
}
FILES = {"conftest.py": CONFTEST, "test_it.py": TESTS, "pytest.ini": "[pytest]\naddopts = -p no:cacheprovider\n"}


def without_times(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"[^\s(]*/site-packages/", "", text)  # how far it is to the installed plugins
    text = re.sub(r"(\.\./)+", "", text)
    text = re.sub(r"-[- ]* generated xml", "- generated xml", re.sub(r"junit.xml [- ]*", "junit.xml", text))
    # The bars fill what the time leaves of the line.
    text = re.sub(r"=+ (\d+ .*) in \d+\.\d+s(?: \([\d:]+\))? =+", r"== \1 ==", text)
    return re.sub(r"\d+\.\d+s", "…s", text)


def read_counts(folder: Path) -> tuple[Counter[str], Counter[str]]:
    own: Counter[str] = Counter()
    called: Counter[str] = Counter()
    for path in folder.glob("counted-*.json"):
        first, second = json.loads(path.read_text())
        own.update(first)
        called.update(second)
    return own, called


def bodies_of(found: Recorded) -> dict[str, int]:
    """Return how often the own code of each test ran."""
    return {name: number for name, number in found.calls("function").items() if "::" in name}


@pytest.fixture
def session(both: Both) -> Both:
    """Run pytest bare and under hookmon; exit code and output are the same."""

    def start(*args: str, files: dict[str, str] = FILES, compare: bool = True) -> Recorded:
        require("pytest")
        return both("", *PACKS, command=["-m", "pytest", *args], files=files, seen=without_times if compare else None)

    return start


def test_a_session_is_as_without_us_and_counted_exactly(session: Both) -> None:
    """Outcomes, tracebacks, rewritten assertions; per plugin and hook, fixture, and test as often as they ran."""
    found = session("--junitxml=junit.xml", "-v", "--setup-show")
    work = found.folder / "work"
    own, called = read_counts(work)
    calls = found.calls()
    assert {name: calls.get(name, 0) for name in own} == own
    by_hook = Counter()
    for name, number in found.calls("hook").items():
        by_hook[name.rpartition(": ")[2]] += number
    assert {name: by_hook[name] for name in called} == called
    assert bodies_of(found) == RAN
    cases = ElementTree.parse(work / "junit.xml").findall(".//testcase")
    assert found.calls("task") == {"tests of test_it.py": len(cases)} == {"tests of test_it.py": 9}
    ran = Counter({name.rpartition("::")[2]: number for name, number in RAN.items()})
    assert Counter(case.get("name", "").partition("[")[0] for case in cases) - ran == Counter(["test_skipped", "test_error"])
    transactions = {row["name"]: row["calls"] for row in found.report["transactions"] if row["name"] != "(main)"}
    assert transactions == {"tests of test_it.py": 9}
    assert found.errors()["fixture broken"] == 1
    assert found.errors()["test_it.py::test_that_fails"] == found.errors()["test_it.py::test_expected"] == 1
    assert {"import conftest.py", "import test_it.py"} <= set(calls)
    assert [spot for spot in found.blind_spots if not spot.startswith("not watched")] == []


def test_parameters_of_tests_are_not_recorded(session: Both) -> None:
    """They may hold data; so may what a fixture returns."""
    assert session("-q").leaks("s3cr3t-of-a-test") == []


def test_a_wrapper_is_timed_without_what_it_wraps(session: Both) -> None:
    """Before and after its yield; the test itself is charged to the test."""
    files = {
        "conftest.py": """
            import time, pytest
            @pytest.hookimpl(WRAPPER=True)
            def pytest_runtest_call(item):
                time.sleep(0.02)
                result = yield
                time.sleep(0.03)
                return result
            @pytest.hookimpl(hookwrapper=True)
            def pytest_runtest_setup(item):
                time.sleep(0.01)
                outcome = yield
                outcome.get_result()
            """,
        "test_it.py": "import time\ndef test_slow(): time.sleep(0.4)\n",
    }
    style = "wrapper" if version_of("pluggy") >= (1, 2) else "hookwrapper"
    files["conftest.py"] = files["conftest.py"].replace("WRAPPER", style)
    found = session("-q", files=files)
    rows = {row["name"]: row for row in found.report["calls"]}
    assert 50e6 <= rows["conftest.py: pytest_runtest_call"]["self_ns"] < 300e6
    assert 10e6 <= rows["conftest.py: pytest_runtest_setup"]["self_ns"] < 300e6
    assert rows["test_it.py::test_slow"]["self_ns"] >= 400e6


def test_workers_of_xdist_are_counted_together(session: Both) -> None:
    """Tests and fixtures of all worker processes."""
    require("xdist")
    found = session("-n", "2", "-q", compare=False)
    own, _ = read_counts(found.folder / "work")
    calls = found.calls()
    assert {name: calls.get(name, 0) for name in own} == own
    assert bodies_of(found) == RAN
    assert found.calls("task") == {"tests of test_it.py": 9}
    assert re.search(r"1 failed, 5 passed, 1 skipped, 1 xfailed, 1 error in", found.stdout)


def test_asynchronous_tests_and_fixtures_are_counted(session: Both) -> None:
    """Those of pytest-asyncio."""
    require("pytest_asyncio")
    files = {
        "test_it.py": """
            import asyncio, pytest, pytest_asyncio
            @pytest_asyncio.fixture
            async def made():
                await asyncio.sleep(0.01)
                yield 1
                await asyncio.sleep(0.01)
            @pytest.mark.asyncio
            @pytest.mark.parametrize("n", [1, 2])
            async def test_later(made, n):
                await asyncio.sleep(0.02)
                assert made == n
            """,
        "pytest.ini": FILES["pytest.ini"],
    }
    found = session(files=files)
    assert bodies_of(found) == {"test_it.py::test_later": 2}
    assert found.calls()["fixture made"] == 2
    assert found.errors()["test_it.py::test_later"] == 1


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--trace-config"], ["--fixtures"], ["--collect-only"], ["--no-such-option"], ["-x", "--tb=long"]],
    ids=" ".join,
)
def test_pytests_own_output_is_the_same(session: Both, args: list[str]) -> None:
    """Help, lists of plugins and fixtures, errors of use."""
    found = session(*args, compare=args != ["--trace-config"])
    if args == ["--trace-config"]:
        foreign = [line for line in found.stdout.splitlines() if "testing" not in line]  # our plugin of pytest is no secret
        assert not re.search(r"hookmon\.|/agent/", "\n".join(foreign))


PLUGGY = """
import json, pluggy
spec, impl = pluggy.HookspecMarker("shop"), pluggy.HookimplMarker("shop")
class Spec:
    @spec
    def price(self, article, old): "what it costs"
    @spec(firstresult=True)
    def first(self, article): "the first one that knows"
    @spec(historic=True)
    def seen(self, what): "told to those who come later as well"
class Tax:
    @impl
    def price(self, article): return 19
    @impl(trylast=True)
    def first(self, article): return "tax"
class Rebate:
    @impl(tryfirst=True)
    def price(self, article, old): return old
    @impl
    def first(self, article): return None
    @impl
    def seen(self, what): pass
class Around:
    @impl(WRAPPER=True)
    def price(self):
        result = yield
        return [*result, "around"] if not hasattr(result, "get_result") else None
    def none(self): pass
manager = pluggy.PluginManager("shop")
manager.add_hookspecs(Spec)
manager.hook.seen.call_historic(kwargs={"what": 1})
tax, rebate, around = Tax(), Rebate(), Around()
manager.register(tax, name="tax"); manager.register(rebate); manager.register(around, name="around")
print(manager.hook.price(article="a", old=3), manager.hook.first(article="b"))
print([(hook.plugin_name == "tax", hook.function == tax.price) for hook in manager.hook.price.get_hookimpls()][0])
try:
    manager.register(tax, name="tax")
except ValueError as error:
    print("registered already")
class Bad:
    @impl(WRAPPER=True)
    def price(self): return 1
class Worse:
    @impl
    def price(self, nothing): return 1
strict = pluggy.PluginManager("shop")
strict.add_hookspecs(Spec)
for bad in (Bad(), Worse()):
    try:
        strict.register(bad, name=type(bad).__name__)
    except pluggy.PluginValidationError as error:
        print(str(error).replace(str(id(bad)), ""))
manager.unregister(rebate)
print(manager.hook.price(article="a", old=3), manager.is_registered(rebate))
print(sorted(name for name, _ in manager.list_name_plugin()))
manager.check_pending()
"""


@pytest.mark.parametrize("wrapper", ["wrapper", "hookwrapper"])
def test_plugins_of_pluggy_are_counted(wrapper: str, both: Both) -> None:
    """Order, first results, history, validation and unregistering are pluggy's own."""
    require("pluggy")
    if wrapper == "wrapper" and version_of("pluggy") < (1, 2):
        pytest.skip("there are no new-style wrappers in this pluggy")
    found = both(PLUGGY.replace("WRAPPER=True", f"{wrapper}=True"), "pluggy")
    assert found.calls() == {
        "tax: price": 2,
        "Rebate: price": 1,
        "around: price": 2,
        "Rebate: first": 1,
        "tax: first": 1,
        "Rebate: seen": 1,
    }
