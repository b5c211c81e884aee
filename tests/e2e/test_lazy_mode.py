"""Under `-X lazy_imports=all` (CPython 3.15) no import of hookmon's own is put off until the program's calls."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.runs import PYTHON, bare_run, blind_spots, calls, hookmon_run, watch, write

pytestmark = pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports come with Python 3.15")

SHOP = {"shop.py": "def quote(x):\n    return x + 1\nasync def later(x):\n    return x\ndef walk(n):\n    yield from range(n)\n"}
CONFIG = watch("shop", "quote", "later", "walk")
ALL = [PYTHON, "-X", "lazy_imports=all", "main.py"]

PROGRAMS = {
    "at the end of the interpreter": """
        import builtins, sys, shop
        class Last:
            def __del__(self, quote=shop.quote, out=sys.__stdout__):
                print(quote(3), quote(4), file=out)
        builtins._last = Last()
    """,
    "behind another root": """
        import os, shop, sys, tempfile
        quote = shop.quote
        sys.stdout.flush()
        os.chroot(tempfile.mkdtemp())
        quote(3); quote(4)
    """,
    "without any importer": """
        import shop, sys
        quote = shop.quote
        sys.meta_path.clear()
        sys.path_hooks.clear()
        quote(3); quote(4)
        [*shop.walk(3)]
        try:
            shop.later(1).send(None)
        except StopIteration as stop:
            print(stop.value)
    """,
}


@pytest.mark.parametrize("engine", ["compiled", "pure"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_calls_are_counted_where_nothing_more_can_be_imported(tmp_path: Path, name: str, engine: str):
    """All that a call needs is there before the first one."""
    if "root" in name and os.geteuid():
        pytest.skip("only root may change its root")
    write(tmp_path, {**SHOP, "main.py": PROGRAMS[name]})
    done = hookmon_run(ALL, cwd=tmp_path, config=CONFIG, env={"HOOKMON_ENGINE": engine})
    assert done.seen == bare_run(ALL, cwd=tmp_path).seen
    assert calls(done.report, "shop:quote") == 2
    if "importer" in name:
        assert (calls(done.report, "shop:walk"), calls(done.report, "shop:later")) == (1, 1)
    assert blind_spots(done.report) == []


LEFT = """
    import shop, sys, types
    shop.quote(1); [*shop.walk(2)]
    try:
        shop.later(1).send(None)
    except StopIteration:
        pass
    print(sorted(f"{module.__name__}: {name}" for module in list(sys.modules.values()) if module.__name__.startswith("hookmon.")
                 for name, value in vars(module).items() if type(value) is types.LazyImportType
                 and module.__name__ not in ("hookmon.probe.base.guard", "hookmon.probe.base.eager")))
    print(sys.get_lazy_imports(), sys.get_lazy_imports_filter())
"""


@pytest.mark.parametrize("engine", ["compiled", "pure"])
def test_no_name_of_ours_is_left_to_be_imported(tmp_path: Path, engine: str):
    """And neither mode nor filter is another one afterwards."""
    write(tmp_path, {**SHOP, "main.py": LEFT})
    done = hookmon_run(ALL, cwd=tmp_path, config=CONFIG, env={"HOOKMON_ENGINE": engine})
    assert done.stdout == "[]\nall None\n"


FILTER = """
    import sys
    asked = []
    def may_wait(importer, name, names):
        asked.append(importer)
        return name != "eager_one"
    sys.set_lazy_imports_filter(may_wait)
    import shop, eager_one, lazy_one
    print("eager_one" in sys.modules, "lazy_one" in sys.modules)
    shop.quote(1)
    print("lazy_one" in sys.modules, sys.get_lazy_imports_filter() is may_wait, [one for one in asked if "hookmon" in one])
"""


def test_a_filter_of_the_program_decides_for_the_program(tmp_path: Path):
    """It is asked about the program's imports only, and is in its place again."""
    write(tmp_path, {**SHOP, "eager_one.py": "", "lazy_one.py": "", "main.py": FILTER})
    done = hookmon_run(ALL, cwd=tmp_path, config=CONFIG)
    assert done.seen == bare_run(ALL, cwd=tmp_path).seen
    assert done.stdout == "True False\nFalse True []\n"
    assert calls(done.report, "shop:quote") == 1


THREADS = """
    import shop, sys, threading, time
    stop = False
    late = []
    def work():
        while not stop:
            space = {"__name__": "fresh"}
            exec("import lazy_one", space)
            late.append("lazy_one" not in sys.modules)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads: thread.start()
    shop.quote(1)
    stop = True
    for thread in threads: thread.join()
    print(all(late), len(late) > 0, sys.get_lazy_imports_filter())
"""


def test_imports_of_other_threads_meanwhile_are_put_off_as_ever(tmp_path: Path):
    """The mode is that of all threads, and only ours is told otherwise."""
    write(tmp_path, {**SHOP, "lazy_one.py": "", "main.py": THREADS})
    done = hookmon_run(ALL, cwd=tmp_path, config=CONFIG)
    assert (done.stdout, calls(done.report, "shop:quote")) == ("True True None\n", 1)


LIBRARIES = {
    "aiosqlite": """
        import asyncio, aiosqlite
        async def main():
            async with aiosqlite.connect(":memory:") as db:
                for number in range(6):
                    async with db.execute("SELECT ?", (number,)) as cursor:
                        await cursor.fetchall()
                await db.commit()
        asyncio.run(main())
    """,
    "pluggy": """
        import pluggy
        class Spec:
            @pluggy.HookspecMarker("x")
            def go(self, number): pass
        class Own:
            @pluggy.HookimplMarker("x")
            def go(self, number): return number
        manager = pluggy.PluginManager("x")
        manager.add_hookspecs(Spec)
        manager.register(Own(), "own")
        for number in range(8): manager.hook.go(number=number)
    """,
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_packs_count_the_same_whatever_is_put_off(tmp_path: Path, library: str):
    """An adapter may need what the library's module has imported lazily; a class may come from another module."""
    pytest.importorskip(library)
    write(tmp_path, {"main.py": LIBRARIES[library]})
    found = []
    for mode in ("normal", "all"):
        done = hookmon_run([PYTHON, "-X", f"lazy_imports={mode}", "main.py"], cwd=tmp_path)
        assert blind_spots(done.report) == []
        found.append(sorted((row["name"], row["calls"]) for row in done.report["calls"]))
    assert found[0] == found[1]
    assert sum(number for _, number in found[0]) >= 7
