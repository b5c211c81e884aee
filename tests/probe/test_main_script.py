"""Functions of the started script, decorated before its first line runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from hookmon.probe.main_script import MainScript

SCRIPT = '''\
"""The script."""
from __future__ import annotations
import asyncio
log = []
def register(function):
    log.append(function)
    return function
@register
def quote(n: int = 1):
    """Say a price."""
    return n
if True:
    def chosen(): return 1
else:
    def chosen(): return 2
try:
    def tried(): return 1
except Exception:
    def rescued(): return 2
else:
    def spared(): return 3
finally:
    def ended(): return 4
with open(__file__):
    def within(): return 5
for number in [1]:
    def looped(): return 6
match 1:
    case 1:
        def matched(): return 7
class Basket:
    def __init__(self): self.n = 1
    @property
    def price(self): return 1
    @staticmethod
    def count(): return 2
    @classmethod
    def make(cls): return cls()
    class Item:
        def cost(self): return 3
async def later(): return 8
def walk(): yield 9
def outer():
    def hidden(): return 10
    return hidden
text = "hookmon decorates nothing here"
'''
DEFINED = [
    "register",
    "quote",
    "chosen",
    "chosen",
    "tried",
    "spared",
    "ended",
    "rescued",
    "within",
    "looped",
    "matched",
    "Basket",
    "Basket.__init__",
    "Basket.price",
    "Basket.count",
    "Basket.make",
    "Basket.Item",
    "Basket.Item.cost",
    "later",
    "walk",
    "outer",
]


class Patcher:
    """Decorates what is wanted, and remembers what it was told. It watches nothing by its code."""

    def __init__(self, wanted: Any) -> None:
        self._wanted = wanted
        self.made: list[str] = []
        self.defined: list[str] = []

    def wants(self, name: str, *, is_all: bool) -> bool:
        """Say whether a definition is wanted."""
        return bool(self._wanted(name))

    def decorator(self, name: str, *, is_all: bool) -> Any:
        """Return a decorator that marks a function."""

        def mark(function: Any) -> Any:
            self.made.append(name)
            function.watched = True
            return function

        return mark

    def prepare(self, code: CodeType, _decorated: frozenset[str]) -> tuple[CodeType, bool]:
        """Return the code as it is."""
        return code, False

    def note_defined(self, names: list[str], _filename: str) -> None:
        """Remember the names."""
        self.defined += names


def decorate_script(tmp_path: Path, wanted: Any, source: str = SCRIPT) -> tuple[CodeType | None, list[str], list[str]]:
    """Return (code, names that were decorated, names that are defined)."""
    path = tmp_path / "script.py"
    path.write_text(source)
    patcher: Any = Patcher(wanted)
    script = MainScript(patcher)
    return script._compile(path.read_bytes, str(path), warn=True), patcher.made, patcher.defined


def test_every_definition_is_told(tmp_path: Path):
    """In if, try, with, for and match, in classes and classes of classes; not inside functions."""
    _, _, defined = decorate_script(tmp_path, lambda name: False)
    assert sorted(defined) == sorted(DEFINED)


def test_nothing_wanted_leaves_the_script_to_python(tmp_path: Path):
    """No code comes back."""
    assert decorate_script(tmp_path, lambda name: False)[0] is None


def test_a_broken_script_is_left_to_python(tmp_path: Path):
    """Which says so in its own words."""
    assert decorate_script(tmp_path, lambda name: True, "def quote(:\n")[0] is None


def test_what_is_wanted_is_decorated_closest_to_the_function(tmp_path: Path):
    """Other decorators see the timed one, and the namespace holds nothing of ours."""
    code, made, _ = decorate_script(tmp_path, lambda name: True)
    assert code is not None
    space: dict[str, Any] = {"__name__": "__main__", "__file__": str(tmp_path / "script.py")}
    plain = dict(space)
    exec(code, space)
    exec(compile(SCRIPT, "script.py", "exec"), plain)
    assert list(space) == list(plain)
    assert sorted(set(made)) == sorted(set(DEFINED) - {"Basket", "Basket.Item", "rescued"})
    assert space["log"][0].watched
    assert space["quote"].__doc__ == "Say a price."
    assert space["quote"].__annotations__ == {"n": "int"}
    assert space["Basket"].make().price == 1


def test_lines_stay_what_they_are(tmp_path: Path):
    """Tracebacks point into the script."""
    code, _, _ = decorate_script(tmp_path, lambda name: True)
    assert code is not None
    assert code.co_filename == str(tmp_path / "script.py")
    inner = {constant.co_name: constant.co_firstlineno for constant in code.co_consts if isinstance(constant, CodeType)}
    plain = {
        constant.co_name: constant.co_firstlineno
        for constant in compile(SCRIPT, "", "exec").co_consts
        if isinstance(constant, CodeType)
    }
    assert inner == plain


@pytest.mark.parametrize("wanted", ["quote", "Basket.Item.cost", "later", "walk", "matched"])
def test_one_name_is_one_decoration(tmp_path: Path, wanted: str):
    """The others stay plain."""
    code, made, _ = decorate_script(tmp_path, lambda name: name == wanted)
    assert code is not None
    exec(code, {"__name__": "__main__", "__file__": str(tmp_path / "script.py")})
    assert made == [wanted]


@pytest.mark.parametrize(("wanted", "times"), [(False, 0), (True, 1)], ids=["left to Python", "decorated"])
def test_a_warning_of_the_compiler_comes_once(tmp_path: Path, wanted: bool, times: int):
    """From us when the code is ours, else from Python alone."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decorate_script(tmp_path, lambda name: wanted, 'text = "\\d"\ndef quote(): pass\n')
    assert len(seen) == times


def test_the_tools_that_start_notices_are_those_of_runners():
    """It has their names without the module, which few processes need."""
    from hookmon.probe import runners, start

    known = {*runners.LIKE_RUNPY, *runners.COMPILING, *runners.UNPICKLING, "pdb", runners._CELLS}
    assert known == start._RUNNERS
