"""Methods in C that a class of Python inherits, and that a watch names as those of the class."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import ENGINES
from support.interpreters import need
from support.runs import PYTHON, bare_run, calls, hookmon_run, watch, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]


CLASSMETHODS_IN_C = """
    import typing
    T = typing.TypeVar("T")
    class Box(typing.Generic[T]):
        pass
    class Bag(dict):
        pass
    class Ratio(float):
        pass
"""
USE_CLASSMETHODS_IN_C = """
    import shop
    class Own(shop.Bag):
        pass
    print(shop.Box[int], shop.Box[int].__origin__ is shop.Box, type(shop.Ratio.fromhex("0x1p1")).__name__)
    print([type(made).__name__ for made in (shop.Bag.fromkeys("ab"), shop.Bag().fromkeys("ab"), Own.fromkeys("ab"))])
    try:
        shop.Ratio.fromhex()
    except TypeError as error:
        print(error)
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", ["this", "3.12", "3.13"])
def test_class_methods_in_c_get_their_class(tmp_path: Path, version: str, engine: str):
    """A class of Python inherits them: `__class_getitem__` of what is generic, `dict.fromkeys`, `float.fromhex`."""
    python = PYTHON if version == "this" else need(version)
    write(tmp_path, {"shop.py": CLASSMETHODS_IN_C, "main.py": USE_CLASSMETHODS_IN_C})
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    names = ["Box.__class_getitem__", "Bag.fromkeys", "Bag.__init_subclass__", "Ratio.fromhex"]
    config = watch("shop", *names)
    watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.seen == bare.seen
    assert bare.exit_code == 0
    assert [calls(watched.report, f"shop:{name}") for name in names] == [2, 3, 1, 2]
