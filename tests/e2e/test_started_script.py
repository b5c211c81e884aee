"""A started script that is watched itself: it runs as it does without us, in whatever shape it comes."""

from __future__ import annotations

import json
import py_compile
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon_run, watch, watch_row, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

SCRIPT = (
    "import sys\n\n"
    "def square(number):\n    return number * number\n\n"
    "print(square(3), 1 is 1, __name__, __spec__ is None, '__cached__' in globals(), type(__loader__).__name__)\n"
    "print([getattr(hook, '__name__', hook) for hook in sys.path_hooks], sys.path[1:2], sys.excepthook)\n"
)
STARTS: dict[str, tuple[list[str], bool]] = {  # arguments of Python, whether square can be seen
    "script": (["script.py"], True),
    "module": (["-m", "script"], True),
    "folder": (["folder"], True),
    "archive": (["archive.pyz"], True),
    "compiled file": (["compiled.pyc"], False),
    "syntax error": (["broken.py"], False),
    "syntax error in a module": (["-m", "broken"], False),
    "warnings are errors": (["-W", "error", "script.py"], False),
    "warnings are errors in a module": (["-W", "error", "-m", "script"], False),
    "no such module": (["-m", "absent"], False),
    "no such file": (["absent.py"], False),
}


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder with one program in all shapes; its compiler warns (`1 is 1`)."""
    write(tmp_path, {"script.py": SCRIPT, "folder/__main__.py": SCRIPT, "broken.py": "print((\n"})
    with zipfile.ZipFile(tmp_path / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", SCRIPT)
    py_compile.compile(str(tmp_path / "script.py"), str(tmp_path / "compiled.pyc"), doraise=False)
    return tmp_path


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", ["square", "sqare"], ids=["wanted", "misspelt"])
@pytest.mark.parametrize(("arguments", "can_be_seen"), STARTS.values(), ids=STARTS)
def test_a_watched_script_runs_as_without_us(arguments: list[str], can_be_seen: bool, name: str, shapes: Path) -> None:
    """Output, warnings, traceback and exit code are the same, whether or not there is something to watch in it."""
    bare = bare_run([PYTHON, *arguments], cwd=shapes)
    for cache in shapes.rglob("__pycache__"):
        shutil.rmtree(cache)
    under = hookmon_run([PYTHON, *arguments], cwd=shapes, config=watch("__main__", name))
    assert under.seen == bare.seen
    assert calls(under.report, "__main__:square") == (1 if can_be_seen and name == "square" else 0)
    assert not [spot for spot in blind_spots(under.report) if spot.startswith("hookmon")]


LIBRARY = """
import asyncio
import functools
from contextlib import asynccontextmanager, contextmanager


def function(number):
    return number


def fails(number):
    raise ValueError(number)


class Thing:
    def __init__(self):
        self.made = True

    def method(self, number):
        return number

    @classmethod
    def of_class(cls, number):
        return number

    @staticmethod
    def static(number):
        return number

    @property
    def prop(self):
        return 1

    @functools.cached_property
    def cached(self):
        return 2


class _Callable:
    def __call__(self, number):
        return number


call_object = _Callable()


@functools.lru_cache(maxsize=4)
def remembered(number):
    return number


async def coroutine(number):
    await asyncio.sleep(0)
    return number


def awaitable(number):
    return coroutine(number)


def generator(count):
    yield from range(count)


async def agenerator(count):
    for number in range(count):
        await asyncio.sleep(0)
        yield number


@contextmanager
def manager():
    yield 1


@asynccontextmanager
async def amanager():
    yield 1
"""
PROGRAM = """
import asyncio
import multiprocessing
import os

import library


def own_function(number: "Undefined") -> "Undefined":
    return library.function(number)


class Own:
    def method(self, number):
        return number

    @classmethod
    def of_class(cls):
        return 1


def own_generator():
    yield 1
    yield 2


async def own_coroutine():
    await asyncio.sleep(0)


async def one(number):
    await own_coroutine()
    await library.coroutine(number)
    await library.awaitable(number)
    async for _ in library.agenerator(2):
        pass
    async with library.amanager():
        pass


async def gathered(count):
    await asyncio.gather(*[one(number) for number in range(count)])


def exercise(count):
    thing = library.Thing()
    for number in range(count):
        own_function(number)
        Own().method(number)
        Own.of_class()
        list(own_generator())
        thing.method(number)
        library.Thing.of_class(number)
        library.Thing.static(number)
        thing.prop, thing.cached
        library.call_object(number)
        library.remembered(number % 2)
        list(library.generator(3))
        with library.manager():
            pass
        try:
            library.fails(number)
        except ValueError:
            pass
    asyncio.run(gathered(count))
    return count


if __name__ == "__main__":
    child = os.fork()
    if child == 0:
        exercise(10)
        os._exit(0)
    os.waitpid(child, 0)
    exercise(10)
    for method in ("spawn", "forkserver", None):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(exercise, [10]))
            pool.close()
            pool.join()
"""
EACH_TIME = (
    *("function", "fails", "Thing.method", "Thing.of_class", "Thing.static", "Thing.prop", "call_object", "remembered"),
    *("generator", "agenerator", "manager", "amanager", "awaitable"),
)
ONCE = ("Thing", "Thing.cached")
OWN = ("own_function", "Own.method", "Own.of_class", "own_generator", "own_coroutine")
EXERCISES = 5  # a forked child, the parent, and a pool of each start method


@pytest.mark.parametrize(
    "arguments",
    [["program.py"], ["-m", "program"], ["-W", "error", "program.py"], ["-W", "error", "-m", "program"]],
    ids=" ".join,
)
def test_every_kind_of_call_is_counted_in_every_kind_of_process(arguments: list[str], tmp_path: Path) -> None:
    """Functions, descriptors, generators, coroutines and context managers: exact in the parent, forked, spawned and served."""
    write(tmp_path, {"library.py": LIBRARY, "program.py": PROGRAM})
    config = watch("library", *EACH_TIME, *ONCE, "coroutine") + watch("__main__", "own_*", "Own.*")
    result = hookmon_run([PYTHON, *arguments], cwd=tmp_path, config=config)
    assert (result.stdout, result.exit_code) == ("[10]\n" * 3, 0)
    assert "Warning" not in result.stderr
    found = {row["target"].removesuffix(".__init__"): (row["calls"], row["errors"]) for row in result.report["calls"]}
    count = 10 * EXERCISES
    expected = {f"library:{name}": (count, count if name == "fails" else 0) for name in EACH_TIME}
    expected |= {f"library:{name}": (EXERCISES, 0) for name in ONCE}
    expected |= {f"__main__:{name}": (count, 0) for name in OWN}
    expected["library:remembered"] = (8, 0)  # twice in a process, and from the cache afterwards; forks have that, too
    expected["library:coroutine"] = (2 * count, 0)  # awaited itself, and as what `awaitable` returns
    assert found == expected


ANNOTATED = """
import json
import sys


def lazy(number: Later) -> list[Later]:
    return [number]


class Later:
    pass


import annotationlib

print(json.dumps([sorted(lazy.__annotations__), repr(lazy.__annotate__(annotationlib.Format.VALUE)["number"])]))
print(annotationlib.get_annotations(lazy, format=annotationlib.Format.STRING))
"""


def test_annotations_are_still_evaluated_late(tmp_path: Path) -> None:
    """From 3.14 on a watched function may name in its annotations what is defined only after it."""
    pytest.importorskip("annotationlib", reason="annotations are evaluated late from Python 3.14 on")
    write(tmp_path, {"app.py": ANNOTATED})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("__main__", "lazy"))
    assert bare.exit_code == 0
    assert json.loads(bare.stdout.splitlines()[0])[0] == ["number", "return"]
    assert under.seen == bare.seen


@pytest.mark.parametrize("engine", ENGINES)
def test_what_goes_by_wrapped_is_as_without_us(engine: str, tmp_path: Path) -> None:
    """typeguard checks no function that has `__wrapped__`; of one that has, it is the very function that was wrapped."""
    pytest.importorskip("typeguard")
    if engine == "pure" and find_spec("wrapt._wrappers") is None:
        pytest.skip("wrapt's proxy in Python goes by its own __wrapped__: see docs/limits.md")
    program = """
    import functools
    from typeguard import TypeCheckError, typechecked

    @typechecked
    def checked(number: int) -> int:
        return number

    def inner(number):
        return number

    @functools.wraps(inner)
    def outer(number):
        return inner(number)

    try:
        checked("x")
    except TypeCheckError as error:
        print(error)
    print(outer(1), outer.__wrapped__ is inner, hasattr(inner, "__wrapped__"))
    """
    write(tmp_path, {"app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    config = watch("__main__", "checked", "outer")
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert (bare.stderr, bare.exit_code) == ("", 0)
    assert under.seen == bare.seen
    assert calls(under.report, "__main__:outer") == 1


RUN_BY_A_TOOL = """
import functools
import json
import sys


def passed_on(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


@passed_on
def square(number):
    if number > 2:
        return 0
    return number * number


class Basket:
    @staticmethod
    def total(count):
        for _ in range(count):
            pass


for number in range(5):
    square(number)
Basket.total(3)
names = sorted(name for name in globals() if not name.startswith("__"))
json.dump([__name__, sys.argv[1:], names, square.__name__], open("seen.json", "w"))
"""
RUNNERS: dict[str, list[str]] = {
    "coverage": ["-m", "coverage", "run", "--branch", "--include=script.py", "script.py", "given"],
    "coverage of a module": ["-m", "coverage", "run", "--branch", "--include=script.py", "-m", "script", "given"],
    "cProfile": ["-m", "cProfile", "-o", "profile.out", "script.py", "given"],
    "trace": ["-m", "trace", "--count", "-C", "traced", "script.py", "given"],
    "pdb": ["-m", "pdb", "-c", "continue", "-c", "quit", "script.py", "given"],
    "pdb of a module": ["-m", "pdb", "-c", "continue", "-c", "quit", "-m", "script", "given"],
    "profile": ["-m", "profile", "-o", "profile.out", "script.py", "given"],
}
PROGRAMS_OF_TOOLS: dict[str, tuple[str, list[str]]] = {  # module, arguments
    "IPython": ("IPython", ["-m", "IPython", "script.py", "given"]),
    "IPython's %run": ("IPython", ["-m", "IPython", "-c", "%run script.py given"]),
    "debugpy": ("debugpy", ["-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:0", "script.py", "given"]),
    "debugpy of a module": (
        "debugpy",
        ["-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:0", "-m", "script", "given"],
    ),
    "kernprof": ("kernprof", ["-m", "kernprof", "-l", "script.py", "given"]),
    "kernprof of a whole script": ("kernprof", ["-m", "kernprof", "-l", "-p", "script.py", "script.py", "given"]),
    "pyinstrument": ("pyinstrument", ["-m", "pyinstrument", "-o", "shown.txt", "script.py", "given"]),
    "viztracer": ("viztracer", ["-m", "viztracer", "--output_file", "shown.json", "script.py", "given"]),
}


def coverage_of(folder: Path) -> object:
    """Return the lines and branches that coverage has found, None where it did not run."""
    if not (folder / ".coverage").exists():
        return None
    bare_run([PYTHON, "-m", "coverage", "json", "-q", "-o", "covered.json"], cwd=folder)
    file = json.loads((folder / "covered.json").read_text())["files"]["script.py"]
    (folder / ".coverage").unlink()
    return file["executed_lines"], file["missing_lines"], file["executed_branches"], file["missing_branches"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RUNNERS)
def test_a_script_that_a_tool_runs_is_watched(name: str, engine: str, tmp_path: Path) -> None:
    """It runs as under the tool alone, which finds the same lines and branches; what it does not define is named as ever."""
    write(tmp_path, {"script.py": RUN_BY_A_TOOL})
    bare = bare_run([PYTHON, *RUNNERS[name]], cwd=tmp_path)
    alone = (tmp_path / "seen.json").read_text(), coverage_of(tmp_path)
    config = watch("__main__", "square", "Basket.*", "sqare")
    under = hookmon_run([PYTHON, *RUNNERS[name]], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert (under.exit_code, (tmp_path / "seen.json").read_text(), coverage_of(tmp_path)) == (bare.exit_code, *alone)
    assert (calls(under.report, "__main__:square"), calls(under.report, "__main__:Basket.total")) == (5, 1)
    misspelt = watch_row(under.report, "__main__:sqare")
    assert (misspelt["status"], misspelt["detail"]) == ("not found", "did you mean square?")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PROGRAMS_OF_TOOLS)
def test_a_script_that_an_installed_tool_runs_is_watched(name: str, engine: str, tmp_path: Path) -> None:
    """In the same way. No environment of the tests has these tools; `pip install` them to see it."""
    module, arguments = PROGRAMS_OF_TOOLS[name]
    pytest.importorskip(module, reason="tools that nothing else here needs")
    write(tmp_path, {"script.py": RUN_BY_A_TOOL})
    bare = bare_run([PYTHON, *arguments], cwd=tmp_path)
    alone = (tmp_path / "seen.json").read_text()
    under = hookmon_run(
        [PYTHON, *arguments], cwd=tmp_path, config=watch("__main__", "square", "Basket.*"), env={"HOOKMON_ENGINE": engine}
    )
    assert (under.exit_code, (tmp_path / "seen.json").read_text()) == (bare.exit_code, alone)
    assert (calls(under.report, "__main__:square"), calls(under.report, "__main__:Basket.total")) == (5, 1)


NOTEBOOK = r"""
import nbformat
from nbclient import NotebookClient

CELLS = (
    "import functools\ndef price(n): return n * 2\n@functools.lru_cache\ndef cached(n): return n",
    "for number in range(7): price(number)\n[cached(number % 2) for number in range(6)]",
    "async def later(n): return n\nawait later(3)\nawait later(4)",
    "def price(n): return n * 3\n[price(number) for number in range(4)]",
)
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
NotebookClient(notebook, kernel_name="python3").execute()
print([output["data"]["text/plain"] for cell in notebook.cells for output in cell.outputs])
"""


def test_functions_of_a_notebook_s_cells_are_watched(tmp_path: Path) -> None:
    """In the kernel, each time that a cell defines them."""
    pytest.importorskip("nbclient", reason="a kernel that nothing else here needs")
    pytest.importorskip("ipykernel", reason="a kernel that nothing else here needs")
    write(tmp_path, {"app.py": NOTEBOOK})
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("__main__", "price", "cached", "later"))
    assert under.stdout == "['[0, 1, 0, 1, 0, 1]', '4', '[0, 3, 6, 9]']\n"
    found = [calls(under.report, f"__main__:{name}") for name in ("price", "cached", "later")]
    assert found == [11, 2, 2]


BY_VALUE = """
import functools, pickle, subprocess, sys
import cloudpickle

def passed_on(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)
    return inner

def cube(number):
    return number ** 3

@passed_on
def square(number):
    return number * number

class Basket:
    def total(self, number):
        return square(number) + cube(number)

    @staticmethod
    def one():
        return 1

def walk(number):
    yield from range(number)

def all_of_them(number):
    return Basket().total(number) + Basket.one() + sum(walk(number))

WORKER = "import pickle, sys; work = pickle.load(sys.stdin.buffer); print([work(number) for number in range(5)])"
if __name__ == "__main__":
    for function in (cube, all_of_them):
        sent = cloudpickle.dumps(function)
        print(subprocess.run([sys.executable, "-c", WORKER], input=sent, capture_output=True, check=True).stdout)
    again = pickle.loads(cloudpickle.dumps(cube))
    print(again(2), again is cube, again.__name__, again.__qualname__, again.__module__, cube(3))
    print(cloudpickle.cloudpickle._make_function.__module__, cloudpickle.cloudpickle._make_function.__qualname__)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_that_are_sent_by_value_are_counted_where_they_arrive(engine: str, tmp_path: Path) -> None:
    """As joblib, dask and Ray send a script's functions to their workers, which have another `__main__`."""
    pytest.importorskip("cloudpickle")
    write(tmp_path, {"app.py": BY_VALUE})
    config = watch("__main__", "cube", "square", "Basket.*", "walk", "all_of_them")
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert under.seen == bare_run([PYTHON, "app.py"], cwd=tmp_path).seen
    found = {name: calls(under.report, f"__main__:{name}") for name in ("cube", "square", "all_of_them", "walk")}
    assert found == {"cube": 5 + 5 + 2, "square": 5, "all_of_them": 5, "walk": 5}
    assert (calls(under.report, "__main__:Basket.total"), calls(under.report, "__main__:Basket.one")) == (5, 5)


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_that_joblib_sends_to_its_workers_are_counted(engine: str, tmp_path: Path) -> None:
    """By its own copy of cloudpickle."""
    pytest.importorskip("joblib", reason="joblib is no library that a pack watches")
    program = """
        from joblib import Parallel, delayed
        def cube(number):
            return number ** 3
        if __name__ == "__main__":
            print(sum(Parallel(n_jobs=2)(delayed(cube)(number) for number in range(20))))
    """
    write(tmp_path, {"app.py": program})
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("__main__", "cube"), env={"HOOKMON_ENGINE": engine})
    assert under.stdout == "36100\n"
    assert calls(under.report, "__main__:cube") == 20


@pytest.mark.parametrize("name", RUNNERS)
def test_a_broken_script_is_told_of_in_the_tool_s_own_words(name: str, tmp_path: Path) -> None:
    """No line of ours is in it."""
    write(tmp_path, {"script.py": "def square(:\n"})
    bare = bare_run([PYTHON, *RUNNERS[name]], cwd=tmp_path)
    assert bare.exit_code == 1 or name == "pdb"  # which goes on after it, from 3.13 on
    assert "script.py" in bare.stdout + bare.stderr
    assert hookmon_run([PYTHON, *RUNNERS[name]], cwd=tmp_path, config=watch("__main__", "square")).seen == bare.seen


@pytest.mark.parametrize("tool", ["doctest"])
def test_a_tool_that_is_not_followed_is_named(tool: str, tmp_path: Path) -> None:
    """Its script was what was started: "not found" alone would be untrue of the user's."""
    write(tmp_path, {"script.py": RUN_BY_A_TOOL})
    command = [PYTHON, "-m", tool, "script.py"]
    under = hookmon_run(command, cwd=tmp_path, config=watch("__main__", "square"))
    assert under.exit_code == bare_run(command, cwd=tmp_path).exit_code == 0
    row = watch_row(under.report, "__main__:square")
    assert row["status"] == "not found"
    assert row["detail"].startswith("the started script was /")
    assert f"/{tool}.py, which does not define it" in row["detail"]


@pytest.mark.parametrize("way", ["a frozen module", "a compiled file alone"])
def test_a_main_module_without_a_source_is_no_failure_of_ours(way: str, tmp_path: Path) -> None:
    """It runs as plainly, and is said not to be watched."""
    write(tmp_path, {"script.py": RUN_BY_A_TOOL})
    command = [PYTHON, "-m", "runpy", "script"] if way == "a frozen module" else [PYTHON, "-m", "alone"]
    bare_run([PYTHON, "-c", "import py_compile; py_compile.compile('script.py', 'alone.pyc')"], cwd=tmp_path)
    bare = bare_run(command, cwd=tmp_path)
    under = hookmon_run(command, cwd=tmp_path, config=watch("__main__", "square") + watch("json", "dump"))
    assert under.seen == bare.seen
    assert (bare.exit_code, calls(under.report, "json:dump")) == (0, 1)
    assert [spot["kind"] for spot in under.report["blind_spots"]] == ["__main__"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_page_of_streamlit_is_watched(engine: str, tmp_path: Path) -> None:
    """Each time that it is run."""
    pytest.importorskip("streamlit", reason="streamlit brings thirty packages that nothing else here needs")
    page = "import streamlit\ndef square(number):\n    return number * number\nstreamlit.write(square(3))\n"
    app = "from streamlit.testing.v1 import AppTest\npage = AppTest.from_file('page.py')\n"
    app += "for _ in range(3): page.run()\nprint(page.markdown[0].value, list(page.exception))\n"
    write(tmp_path, {"page.py": page, "app.py": app})
    env = {"HOOKMON_ENGINE": engine}
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("__main__", "square"), env=env)
    assert under.stdout == bare_run([PYTHON, "app.py"], cwd=tmp_path).stdout == "`9` []\n"
    assert calls(under.report, "__main__:square") == 3
