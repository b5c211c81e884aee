"""Both engines record the same of the same program, and what they record is what happened."""

from __future__ import annotations

import importlib.util
import json

import pytest
from support.random_program import program

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
"""


def _tree(fresh, folder, source, engine):
    recorded = fresh(source, env={"HOOKMON_ENGINE": engine, "PYTHONWARNINGS": "ignore"}, folder=folder)
    nodes = {
        path: (node.calls, node.errors, node.interrupted, node.steps, node.kind, node.flat)
        for path, node in recorded.paths().items()
    }
    assert recorded.shards[0].engine == engine
    assert [shard.lanes for shard in recorded.shards] == [[]], "all calls have ended"
    return recorded, nodes, [node.call_site for node in recorded.nodes]


@needs_both
@pytest.mark.parametrize("seed", range(40))
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
