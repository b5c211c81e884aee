"""New places of the call tree: the compiled engine makes them by itself, and both engines make the same."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

import pytest

from hookmon.core import layout

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hookmon.probe._engine") is None, reason="the compiled engine was not built"
)

CALLERS = """
import asyncio, contextlib, functools, os, threading
shop = module('''
def leaf(name): return name
def inner(name): return leaf(name)
def steps(name):
    yield leaf(name)
async def later(name):
    return leaf(name)
def again(depth): return again(depth - 1) if depth else leaf("deepest")
def query(name): return leaf(name)
def outer_query(name): return query(name)
class Basket:
    def add(self, name): return leaf(name)
''')
watch(shop, "leaf", "inner", "steps", "later", "Basket.add", span="{name}")
watch(shop, "again")
watch(shop, "query", "outer_query", kind="sql")

def caller(filename, **names):
    space = {"leaf": shop.leaf, "inner": shop.inner, "query": shop.query, "outer_query": shop.outer_query, **names}
    code = "\\n" * 7 + "def call(name):\\n    leaf(name)\\n    inner(name)\\n    (leaf(\\n        name))\\n"
    exec(compile(code, filename, "exec"), space)
    return space["call"]

def run(call):
    for name in ("one", "two", "grün"):
        call(name)

plain = caller("/srv/app/plain.py", __name__="app.plain")
run(plain)
run(caller("/srv/app/grün.py", __name__="app.gruen"))
run(caller("/srv/app/\\udcff.py", __name__="app.surrogate"))
run(caller("/srv/app/" + "x" * 5000 + ".py", __name__="app.long"))
run(caller("/srv/app/module.py", __name__="módulo"))
run(caller("<made by a library>", __name__="app.made"))
run(caller("/srv/app/nameless.py", __name__=None))
run(caller("/srv/app/odd.py", __name__=7))
run(caller("/usr/lib/functools.py", __name__="functools"))
run(caller("/usr/lib/threading.py", __name__="threading.pool"))
run(caller("/srv/app/almost.py", __name__="functoolsx"))
run(functools.partial(shop.leaf))
for step in shop.steps("step"): pass
list(map(shop.leaf, ["mapped"]))
with contextlib.ExitStack() as stack: stack.callback(shop.leaf, "at the end")
thread = threading.Thread(target=plain, args=("threaded",)); thread.start(); thread.join()
async def main():
    await shop.later("awaited")
    await asyncio.gather(*[asyncio.create_task(shop.later(f"task {number}")) for number in range(3)])
asyncio.run(main())
shop.Basket().add("basket"); shop.again(3); shop.outer_query("covered")
from hookmon.probe.base import guard
assert not guard.failures, guard.failures
"""


@pytest.mark.parametrize("via", ["name", "code"])
def test_a_place_is_the_same_however_it_is_made(fresh, via):
    """Its parents, flags and line: of any file, module and way to call, and where no line is the program's."""
    source = CALLERS.replace(', span="{name}")', f', span="{{name}}", via="{via}")').replace('"again")', f'"again", via="{via}")')

    def places(engine: str) -> list[Any]:
        recorded = fresh(source, env={"HOOKMON_ENGINE": engine}, folder=f"{engine}-{via}")
        (shard,) = recorded.shards
        assert shard.engine == engine
        paths: list[tuple[str, ...]] = []
        for node in shard.nodes:
            paths.append((*(paths[node.parent] if node.parent >= 0 else ()), node.name))
        return sorted(
            (path, node.call_site, node.kind, node.target, node.flags) for path, node in zip(paths, shard.nodes, strict=True)
        )

    pure, compiled = places("pure"), places("compiled")
    if via == "name":
        assert compiled == pure
    else:  # each engine has its own way there, which the flags say, and events do not tell where the coroutine of a task was made
        assert [place[:4] for place in compiled if "task" not in place[0][-1]] == [
            place[:4] for place in pure if "task" not in place[0][-1]
        ]
    sites = {place[1] for place in compiled}
    assert {"/srv/app/plain.py:9", "/srv/app/grün.py:9", "/srv/app/almost.py:9", "/srv/app/odd.py:9"} & sites
    assert not [site for site in sites if "functools.py" in site or "threading.py" in site or "made by" in site]


COUNTED = """
from hookmon.probe.recording import recorder
asked = []
of_python, of_buckets = recorder.new_node, recorder.new_bucket
def new_node(parent, span):
    asked.append(span.name)
    return of_python(parent, span)
def new_bucket(node, duration_ns):
    asked.append(duration_ns)
    return of_buckets(node, duration_ns)
recorder.new_node, recorder.new_bucket = new_node, new_bucket
"""


def test_python_is_asked_for_the_first_place_only(fresh):
    """Of thousands, with octaves, names and lines of their own: the shard is made with the first, and grows under the others."""
    source = (
        COUNTED
        + """
shop = module("def leaf(name): pass\\ndef caller(name):\\n    for number in range(100): leaf(f'leaf {number}')")
watch(shop, "leaf", "caller", span="{name}")
for number in range(100): shop.caller(f"caller {number}")
known = len(asked)
for node in recorder.all_nodes():
    for power in range(4, 16): recorder.count_call(node, 1 << power)
print(known, len(asked) - known, len(recorder.all_nodes()))
"""
    )
    recorded = fresh(source, env={"HOOKMON_ENGINE": "compiled"})
    by_places, by_octaves, places = map(int, recorded.out.split())
    assert places == 10_100
    assert by_places <= 10, "the first place, and octaves for which the shard has to grow"
    assert by_octaves <= 20, "those for which the shard has to grow"
    assert len(recorded.nodes) == places
    assert {(node.calls, len(node.buckets)) for node in recorded.nodes if node.name.startswith("leaf")} <= {(13, 12), (13, 13)}


def test_a_full_tree_counts_by_name_on_both_engines(fresh):
    """Beyond the limit of places a name has one node for all callers, which Python makes once."""
    source = (
        COUNTED
        + """
shop = module("def leaf(name): pass\\ndef caller(name):\\n    for number in range(200): leaf(f'leaf {number}')")
watch(shop, "leaf", "caller", span="{name}")
for number in range(163): shop.caller(f"caller {number}")
before = len(asked)
for number in range(160, 170): shop.caller(f"caller {number}")
print(len(asked) - before)
"""
    )
    trees = {}
    for engine in ("pure", "compiled"):
        recorded = fresh(source, env={"HOOKMON_ENGINE": engine}, folder=engine)
        trees[engine] = {(path, node.flat): node.calls for path, node in recorded.paths().items()}
    assert int(recorded.out) <= 200 + 7, "each name once, and octaves for which the shard has to grow"
    assert len(trees["compiled"]) >= layout.MOST_NODES
    assert sum(is_flat for _, is_flat in trees["compiled"]) == 200 + 6
    assert trees["pure"] == trees["compiled"]


def test_fields_refuse_what_they_cannot_hold(fresh):
    """What the engine reads without asking is of the type that it reads."""
    source = """
from hookmon.probe import _engine
from hookmon.probe.base.target import Span, Target
target = Target("a:b", "function", "", "", False)
def refused(function, *args):
    try:
        function(*args)
    except TypeError:
        return True
    return False
print([refused(Span, None, "name"), refused(Span, target, None), refused(setattr, target, "entry", "yes"),
       refused(_engine.Node, None, "span", 1, 600, 0), refused(setattr, recorder.root, "children", {}),
       refused(_engine.use_records, 7, [], _engine.Children()), refused(_engine.Records, 7, 100)])
"""
    recorded = fresh(source, env={"HOOKMON_ENGINE": "compiled"})
    assert json.loads(recorded.out.lower()) == [True] * 7


@pytest.mark.skipif(
    os.uname().machine != "x86_64" or sys.platform != "linux", reason="the number of the call is that of Linux on x86-64"
)
def test_a_child_of_a_bare_system_call_writes_nothing_into_the_shard_of_its_parent(fresh):
    """Nobody is told of it, neither Python nor the C library: its first new place begins a shard of its own."""
    source = """
import ctypes
shop = module("def leaf(name): pass")
watch(shop, "leaf", span="{name}")
for number in range(5): shop.leaf(f"before {number}")
fork = 57  # of x86-64
pid = ctypes.CDLL(None).syscall(fork)
for number in range(2_000): shop.leaf(f"{'after' if pid else 'child'} {number}")
if not pid: os._exit(0)
os.waitpid(pid, 0)
"""
    recorded = fresh(source, env={"HOOKMON_ENGINE": "compiled"})
    names = [{node.name.partition(" ")[0] for node in shard.nodes} for shard in recorded.shards]
    assert sorted(map(sorted, names)) == [["after", "before"], ["child"]]
    assert [len(shard.nodes) for shard in recorded.shards] in ([2_005, 2_000], [2_000, 2_005])
