"""A started script that is watched itself: it runs as it does without us, in whatever shape it comes."""

from __future__ import annotations

import json
import py_compile
import shutil
import zipfile
from pathlib import Path

import pytest
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon_run, watch, write

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
    found = {each["target"].removesuffix(".__init__"): (each["calls"], each["errors"]) for each in result.report["calls"]}
    count = 10 * EXERCISES
    expected = {f"library:{name}": (count, count if name == "fails" else 0) for name in EACH_TIME}
    expected |= {f"library:{name}": (EXERCISES, 0) for name in ONCE}
    expected |= {f"__main__:{name}": (count, 0) for name in OWN}
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
