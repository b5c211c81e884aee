"""What became of a target that counted nothing: a reason is given where it is known, and it is true."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import engines
from support.interpreters import need_engine_of_others
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon, hookmon_run, watch, watch_row, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

ENGINES = pytest.mark.parametrize("engine", engines.ENGINES)
NO_PACKS = "[packs]\ndisable = ['*']\n"
ABSENT = "some processes were not watched, see the blind spots"

CLASSES = """
class Base:
    def inherited(self): return 1
class Child(Base):
    limit = 10
    @property
    def price(self): return 2
class Failure(Exception): pass
class Basket:
    def total(self): return 3
"""


@pytest.mark.parametrize("module", ["shop", "__main__"])
def test_a_class_without_functions_of_its_own_is_said_to_be_there(module: str, tmp_path: Path) -> None:
    """Its name is right: "did you mean Failure?" helped nobody."""
    classes = CLASSES if module == "shop" else CLASSES.replace("    @property\n    def price(self): return 2\n", "")
    write(tmp_path, {"shop.py": classes, "app.py": "import shop\n" if module == "shop" else classes})
    names = ("Failure.*", "Child.*", "Basket.*", "Basket.totl*", "Absent.*")
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=NO_PACKS + watch(module, *names)).report
    rows = {row["target"].partition(":")[2]: (row["status"], row["detail"]) for row in report["watched"]}
    assert {name: status for name, (status, _) in rows.items()} == {
        "Failure.*": "refused",
        "Child.*": "unused" if "price" in classes else "refused",  # a property is a function of its own
        "Basket.*": "unused",
        "Basket.totl*": "not found",
        "Absent.*": "not found",
    }
    assert rows["Failure.*"][1].startswith("Failure has no function of its own; what it inherits")
    assert rows["Basket.totl*"][1] == "did you mean Basket.total?"


DISPATCH = """
import functools, abc
class Desk(abc.ABC):
    @functools.singledispatchmethod
    def show(self, value): return "any"
    @show.register
    def _(self, value: int): return "int"
    @show.register(str)
    def show_text(self, value): return value.upper()
    @functools.singledispatchmethod
    @classmethod
    def make(cls, value): return cls.__name__
    @make.register
    @classmethod
    def _(cls, value: int):
        raise ValueError(value)
    @functools.singledispatchmethod
    @abc.abstractmethod
    def must(self, value): "Must be there."
class Bound:
    def __get__(self, owner, kind): return lambda value: "of its own"
    def __call__(self, *given): return f"{len(given)} arguments"
Desk.show.register(bytes, Bound())
Desk.show.register(list, functools.partial(lambda value: "a part"))
class Counter(Desk):
    def must(self, value): return 1
"""
DISPATCHING = """
import inspect, traceback, desk
counter = desk.Counter()
print(counter.show(1), counter.show("a"), counter.show(1.5), desk.Desk.show(counter, 2), desk.Desk.make(""), counter.make(b""))
desk.Desk.show.register(float, lambda self, value: "late")
print(counter.show(1.5), counter.show_text("b"), desk.Desk.__dict__["show"].dispatcher.registry[int].__name__)
print(counter.show(b""))
try: print(counter.show([]))
except Exception as error: print(type(error))
print(inspect.signature(desk.Desk.show), desk.Desk.must.__isabstractmethod__, desk.Desk.show.__name__, desk.Desk.show.__wrapped__)
for wrong in (lambda: counter.make(1), lambda: counter.show()):
    try: wrong()
    except Exception: print(traceback.format_exc())
"""


@ENGINES
def test_a_method_that_is_dispatched_on_its_argument_is_counted(engine: str, tmp_path: Path) -> None:
    """functools.singledispatchmethod, whichever implementation is called, also one that is registered later.

    What is no function is called as ever: it may bind in a way of its own, or, as a partial up to 3.12, not at all.
    """
    write(tmp_path, {"desk.py": DISPATCH, "app.py": DISPATCHING})
    config = NO_PACKS + watch("desk", "Desk.show", "Desk.make", "Desk.must")
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert under.seen == bare_run([PYTHON, "app.py"], cwd=tmp_path).seen
    assert calls(under.report, "desk:Desk.show") == 5
    assert calls(under.report, "desk:Desk.make") == 3
    assert sum(row["errors"] for row in under.report["calls"]) == 1
    assert blind_spots(under.report) == []


COMPILER = """
import inspect
def njit(function):
    "Make something else of a function, past what stands in for it, as a compiler does."
    made = {}
    exec(inspect.getsource(function), made)
    return made[function.__name__]
"""


@ENGINES
@pytest.mark.parametrize("order", ["import numba, shop", "import shop, numba"])
def test_what_a_compiler_may_have_taken_is_said(order: str, engine: str, tmp_path: Path) -> None:
    """Does the run reach the code? It does; who knows numba's name is told why nothing was counted. Called ones need no word."""
    write(tmp_path, {"numba.py": COMPILER, "shop.py": "def quote(n): return n * 2\ndef pay(n): return n\n"})
    write(tmp_path, {"app.py": f"{order}\nprint(numba.njit(shop.quote)(2), shop.pay(1))\n"})
    config = NO_PACKS + watch("shop", "quote", "pay")
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert under.stdout == "4 1\n"
    row = watch_row(under.report, "shop:quote")
    assert (row["status"], row["detail"]) == ("unused", "what numba has compiled runs uncounted")
    assert watch_row(under.report, "shop:pay")["detail"] == ""
    assert blind_spots(under.report) == []


def test_without_a_compiler_nothing_is_said_of_one(tmp_path: Path) -> None:
    """And where one was, the screen has it below "none was called", too."""
    write(tmp_path, {"numba.py": COMPILER, "shop.py": "def quote(n): return n * 2\n", "app.py": "import shop\n"})
    config = NO_PACKS + watch("shop", "quote")
    assert watch_row(hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config).report, "shop:quote")["detail"] == ""
    hookmon_run([PYTHON, "-c", "import shop, numba"], cwd=tmp_path, config=config)
    text = " ".join(hookmon(["report", "last"], cwd=tmp_path).stdout.split())
    assert "Mind that what numba has compiled runs uncounted." in text


def test_a_real_compiler_is_one(tmp_path: Path) -> None:
    """Numba's dispatcher runs machine code."""
    pytest.importorskip("numba", reason="numba and LLVM are 60 MB that nothing else here needs")
    write(
        tmp_path, {"shop.py": "def quote(n): return n * 2\n", "app.py": "import numba, shop\nprint(numba.njit(shop.quote)(2))\n"}
    )
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=NO_PACKS + watch("shop", "quote"))
    assert under.stdout == "4\n"
    assert watch_row(under.report, "shop:quote")["detail"] == "what numba has compiled runs uncounted"


UNWATCHED = {
    "an isolated child": (f"import subprocess\nsubprocess.run([{PYTHON!r}, '-I', '-c', 'import time; time.sleep(0.6)'])\n", True),
    "a tool": ("import subprocess\nsubprocess.run(['sleep', '0.6'])\n", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize("name", UNWATCHED)
def test_never_imported_is_said_of_what_was_watched_only(name: str, tmp_path: Path) -> None:
    """What other processes imported nobody knows."""
    program, is_told = UNWATCHED[name]
    write(tmp_path, {"shop.py": "def quote(): pass\n", "other.py": "def f(): pass\n", "app.py": f"import other\n{program}"})
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=NO_PACKS + watch("shop", "quote") + watch("other", "f"))
    row = watch_row(under.report, "shop:quote")
    assert (row["status"], row["detail"]) == ("never imported", ABSENT if is_told else "")


def test_a_misspelt_module_is_offered_with_that(tmp_path: Path) -> None:
    """Both may be the reason."""
    write(tmp_path, {"shop.py": "def quote(): pass\n"})
    program = "import time, shop; time.sleep(0.6)"
    row = watch_row(
        hookmon_run([PYTHON, "-I", "-c", program], cwd=tmp_path, config=NO_PACKS + watch("shpo", "f")).report, "shpo:f"
    )
    assert row["detail"] == f"did you mean shop?; {ABSENT}"


def test_for_the_started_script_no_module_is_offered(tmp_path: Path) -> None:
    """Its name is right, whatever files there are; the blind spot says why there was none."""
    write(tmp_path, {"za/__main__.py": "def quote(): pass\n", "app.py": "pass\n"})
    command = [PYTHON, "-c", "exec(open('app.py').read())"]
    report = hookmon_run(command, cwd=tmp_path, config=NO_PACKS + watch("__main__", "quote")).report
    row = watch_row(report, "__main__:quote")
    assert (row["status"], row["detail"]) == ("never imported", "")
    assert [spot.partition(":")[0] for spot in blind_spots(report)] == ["__main__"]


@ENGINES
def test_a_process_with_a_subinterpreter_has_one_engine(engine: str, tmp_path: Path) -> None:
    """The compiled one serves all interpreters."""
    if engine == "compiled":
        need_engine_of_others(PYTHON)
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    write(
        tmp_path,
        {
            "shop.py": "def quote(): pass\n",
            "app.py": f"import {module} as interpreters, sys, shop\nother = interpreters.create()\n"
            "interpreters.run_string(other, 'import sys; sys.path.insert(0, \".\"); import shop; shop.quote()')\nshop.quote()\n",
        },
    )
    config = NO_PACKS + watch("shop", "quote")
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine}).report
    assert calls(report, "shop:quote") == 2
    assert [row["engine"] for row in report["processes"]] == [engine]
    assert report["run"]["engine"] == engine


def test_what_registers_no_callback_is_refused_with_its_reason(tmp_path: Path) -> None:
    """A property that nobody can assign to; what is no function of Python, as in C or compiled modules."""
    source = """
    import functools
    class Client:
        @property
        def on_message(self): return print
        connect = functools.partial(print)
    """
    write(tmp_path, {"bus.py": source, "app.py": "import bus\nprint(bus.Client().on_message is print)\n"})
    tables = [f'[[hook]]\nmodule = "bus"\ncalls = ["Client.{name}"]\ncallable = "f"\n' for name in ("on_message", "connect")]
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=NO_PACKS + "".join(tables)).report
    rows = [watch_row(report, f"bus:Client.{name}") for name in ("on_message", "connect")]
    assert [row["status"] for row in rows] == ["refused", "refused"]
    assert rows[0]["detail"] == "it is a property without a setter in Python, through which no callback can be registered"
    assert rows[1]["detail"].startswith("it is partial, no function of Python: one in C, or compiled")


@ENGINES
def test_a_glob_needs_no_module_that_the_program_may_be_importing(engine: str, tmp_path: Path) -> None:
    """fnmatch imports functools, re, os and posixpath: a watch of those came in its midst. Here it cannot be imported at all."""
    program = "def quote_one(): pass\nclass Basket:\n    def total(self): pass\n    def _own(self): pass\n"
    start = (
        "import sys\nsys.modules['fnmatch'] = None\nimport shop\nshop.quote_one()\nshop.Basket().total()\nshop.Basket()._own()\n"
    )
    write(tmp_path, {"shop.py": program, "app.py": start + program + "quote_one()\nBasket().total()\n"})
    names = ("quote_*", "Basket.[!_]*")
    config = NO_PACKS + watch("shop", *names) + watch("__main__", *names)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert (under.stderr, blind_spots(under.report)) == ("", [])
    targets = [f"{module}:{name}" for module in ("shop", "__main__") for name in ("quote_one", "Basket.total")]
    assert {row["target"]: row["calls"] for row in under.report["calls"]} == dict.fromkeys(targets, 1)
