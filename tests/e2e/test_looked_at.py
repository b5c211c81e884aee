"""Programs that look at all objects, as tests for leaks and memory profilers do: they find their own, and can ask each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.interpreters import need
from support.runs import PYTHON, bare_run, hookmon_run, watch, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

SHOP = """
    import asyncio, contextlib

    def numbers(count):
        for number in range(count):
            try:
                yield number
            finally:
                pass

    def bare(count):
        yield from range(count)

    async def wait(number):
        await asyncio.sleep(0)
        return number

    async def ticks(count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    @contextlib.contextmanager
    def context():
        yield 1

    class Basket:
        def __init__(self):
            self.items = [lambda: self]
        def __del__(self):
            LOOK()
        def walk(self):
            yield from self.items

    def price(number):
        return number
"""
LOOKS = """
    import asyncio, gc, json, os, types
    import shop

    OWN = types.FunctionType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, shop.Basket
    CODES = "__code__", "gi_code", "cr_code", "ag_code"

    def look():
        found = {}
        for thing in gc.get_objects():
            for kind in OWN:
                if isinstance(thing, kind):
                    code = next((getattr(thing, name) for name in CODES if hasattr(thing, name)), None)
                    if kind is shop.Basket or code is not None and os.path.basename(code.co_filename) == "shop.py":
                        name = f"{kind.__name__} {type(thing).__name__} {code.co_qualname if code else ''}"
                        found[name] = found.get(name, 0) + 1
            try:
                repr(type(thing)), thing.__class__, callable(thing), hasattr(thing, "close")
            except ReferenceError:
                pass  # of a proxy whose object is gone
        seen.append(found)

    seen = []
    shop.LOOK = look
    gc.disable()  # it would begin at another time

    async def run():
        tasks = [asyncio.ensure_future(shop.wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        look()
        begun = shop.ticks(3)
        await anext(begun)
        look()
        await begun.aclose()
        never, late = shop.wait(1), asyncio.ensure_future(shop.wait(2))
        late.cancel()
        await asyncio.gather(*tasks, late, return_exceptions=True)
        look()
        never.close()
        [number async for number in shop.ticks(2)]

    for round in range(2):
        kept = [shop.numbers(3), shop.bare(3), shop.numbers(3)]
        look()
        for generator in kept[:2]:
            next(generator)
        look()
        for generator in kept:
            list(generator)
        look()
        with shop.context():
            look()
        abandoned = [shop.numbers(2), shop.bare(2), shop.Basket().walk()]
        for generator in abandoned:
            next(generator)
        del abandoned, generator
        look()
        asyncio.run(run())
        shop.Basket(), shop.price(1)
        gc.collect()
        look()
    print(json.dumps(seen, sort_keys=True))
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("version", "via"),
    [("this", "code"), *((version, via) for version in ("3.12", "3.13", "3.14", "3.15") for via in ("auto", "code"))],
)
def test_a_program_finds_its_own_objects_and_can_ask_all(tmp_path: Path, version: str, engine: str, via: str):
    """Generators that have begun, that were abandoned, that ended: none is there twice, and no object ends the process."""
    python = PYTHON if version == "this" else need(version)
    write(tmp_path, {"shop.py": SHOP, "main.py": LOOKS})
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    config = watch("shop", "**", "Basket.__init__", **({} if via == "auto" else {"via": via}))
    watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert (watched.exit_code, watched.stderr) == (bare.exit_code, bare.stderr)
    assert json.loads(watched.stdout) == json.loads(bare.stdout)
