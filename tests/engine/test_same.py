"""Both engines record the same of the same program, and what they record is what happened."""

from __future__ import annotations

import importlib.util
import json
import os

import pytest
from support.random_program import program

SEEDS = int(os.environ.get("HOOKMON_SEEDS", "12"))
"""Random programs of each kind; 40 of them take a minute."""

needs_both = pytest.mark.skipif(
    importlib.util.find_spec("hookmon.probe._engine") is None, reason="the compiled engine was not built"
)

DRIVER = """
import gc, json, warnings
shop = module({module!r})
watch(shop, "*_*", "Boat.*_*")
gc.disable()
exec(compile({driver!r}, "driver.py", "exec"), vars(shop))
from collections import Counter
print(json.dumps(Counter(shop.begun)))
from hookmon.probe.base import guard
assert not guard.failures, guard.failures
"""


TRANSACTIONS = """
names = [name for name in vars(shop) if name.rpartition("_")[2].isdigit()]
number = lambda name: int(name.rpartition("_")[2])
of_kind = lambda *kinds: [name for name in names if name.rpartition("_")[0] in kinds]
entries = [name for name in of_kind("plain", "coroutine") if number(name) % 3 == 0]
telling = [name for name in of_kind("plain", "coroutine") if number(name) % 3 == 1]
clients = [name for name in names if name not in entries + telling and number(name) % 2]
for entry in entries: watch(shop, entry, entry=True, kind="request")
for name in telling: watch(shop, name, entry_name="route {n}")
if clients: watch(shop, *clients, kind="sql", nested=True)
"""


def _tree(fresh, folder, source, engine, *, may_print=False):
    """`may_print`: an error in a generator that is dropped is Python's to print, as without us."""
    recorded = fresh(source, env={"HOOKMON_ENGINE": engine, "PYTHONWARNINGS": "ignore"}, folder=folder, fails=may_print)
    assert recorded.code == 0, recorded.err
    nodes = {
        path: (node.calls, node.errors, node.interrupted, node.steps, node.kind, node.flat)
        for path, node in recorded.paths().items()
    }
    assert recorded.shards[0].engine == engine
    assert [shard.lanes for shard in recorded.shards] == [[]], "all calls have ended"
    return recorded, nodes, [node.call_site for node in recorded.nodes]


@needs_both
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_random_program_gives_one_tree(fresh, seed):
    """Names, parents, calls, errors, interruptions, steps and call sites: and every body that began was counted."""
    with_threads = seed % 4 == 3
    module, driver = program(seed, with_threads=with_threads)
    source = DRIVER.format(module=module, driver=driver)
    pure, pure_nodes, pure_sites = _tree(fresh, "pure", source, "pure")
    compiled, compiled_nodes, compiled_sites = _tree(fresh, "compiled", source, "compiled")
    assert compiled.out == pure.out
    assert compiled_nodes == pure_nodes
    if not with_threads:
        assert compiled_sites == pure_sites
    begun = json.loads(pure.out)
    assert {name.rpartition(".")[2]: calls for name, calls in pure.calls().items()} == begun


@needs_both
@pytest.mark.parametrize("seed", [seed for seed in range(100, 100 + SEEDS) if seed != 107])  # drops an asynchronous generator,
def test_random_transactions_are_the_same(fresh, seed):
    """Entries, names that come late, calls told apart by their lines, tasks: one tree, with the same calls per transaction."""
    # and the pure engine's frame in the traceback of an exception lets it end later, in another place
    module, driver = program(seed, with_threads=False)
    source = DRIVER.format(module=module, driver=driver).replace('watch(shop, "*_*"', TRANSACTIONS + 'watch(shop, "*_*"')
    pure, pure_nodes, pure_sites = _tree(fresh, "pure", source, "pure", may_print=True)
    compiled, compiled_nodes, compiled_sites = _tree(fresh, "compiled", source, "compiled", may_print=True)
    assert compiled.out == pure.out
    assert compiled_nodes == pure_nodes
    assert compiled_sites == pure_sites
    assert [_per(node) for node in compiled.nodes] == [_per(node) for node in pure.nodes]
    begun = json.loads(pure.out)
    calls = {name.rpartition(".")[2]: calls for name, calls in pure.calls().items()}
    named = sum(calls.pop(name) for name in list(calls) if name not in begun)
    missing = {name: begun[name] - calls.get(name, 0) for name in begun if begun[name] != calls.get(name, 0)}
    assert all(name.startswith(("plain", "coroutine")) for name in missing)
    assert sum(missing.values()) >= named, "what got a name is missing from its own, and what only tells is not counted"


def _per(node):
    return node.name, node.transactions, node.most, node.repeated, node.repeated_calls, node.most_repeated
