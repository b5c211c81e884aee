"""Makes places of the call tree and says what they took: `placed.py SHAPE PLACES PASSES FOLDER WRAPT_FOLDER CLOCK_SOURCE`.

SHAPE is "wide" (a hundred callers of leaves, all of whose names are known), "deep" (the same, of chains of ten), "names" (each
place has a new name, under one caller) or "octaves" (further octaves of places that are there). Each pass makes the same calls:
the first one makes the places. Prints JSON: processor time of each pass, and of a loop of reference that runs beside it, in
nanoseconds; memory of the process that the first pass took, and the used part of the shard, in bytes.
"""

from __future__ import annotations

import gc
import json
import sys
from time import process_time_ns
from types import ModuleType
from typing import Any

from hookmon.probe import engine
from hookmon.probe.patching.patcher import patch_module
from hookmon.probe.patching.patches import Patches
from hookmon.probe.recording import recorder

SOURCE = """
def leaf(name): pass
def chain(names, depth):
    if depth < len(names): link(names[depth], names, depth)
def link(name, names, depth):
    chain(names, depth + 1)
def caller(name, names):
    for name in names: leaf(name)
def begin(name, names):
    chain(names, 0)
"""
CALLERS = 100
LINKS = 10


def main() -> None:
    """Make the places and print what they took."""
    shape, places, passes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    recorder.wrapt_folder = sys.argv[5]
    engine.use_clock(sys.argv[6] if len(sys.argv) > 6 else "")
    recorder.start(sys.argv[4], "benchmark")
    shop = ModuleType("shop")
    exec(compile(SOURCE, "/srv/shop/shop.py", "exec"), vars(shop))
    spans = {"leaf": "{arg0}", "link": "{arg0}", "caller": "{arg0}", "begin": "{arg0}"}
    plans: Any = [_plan(number, name, span) for number, (name, span) in enumerate(spans.items(), 1)]
    patch_module(shop, "shop", plans, Patches())
    make = {"wide": _wide, "deep": _deep, "names": _names, "octaves": _octaves}[shape](shop, places)
    gc.collect()
    gc.disable()
    spent, beside = [], []
    before = _resident_bytes()
    after = 0
    for _ in range(passes):
        beside.append(_reference())
        begun = process_time_ns()
        made = make()
        spent.append(process_time_ns() - begun)
        after = after or _resident_bytes()
    arena = recorder.arena()
    used = arena.words[6] * 8 if arena is not None else 0
    print(json.dumps({"places": made, "spent_ns": spent, "beside_ns": beside, "memory": after - before, "shard": used}))


def _plan(number: int, name: str, span: str) -> dict[str, Any]:
    plan = {"id": number, "module": "shop", "calls": [name], "span": span, "kind": "function"}
    texts = dict.fromkeys(("pack", "source", "adapter", "entry_name", "entry_status", "entry_body"), "")
    return plan | texts | {"nested": False, "entry": False, "waits": False}


def _wide(shop: ModuleType, places: int) -> Any:
    each = places // CALLERS
    names = [f"leaf {number}" for number in range(each)]
    shop.caller("warm", names)

    def make() -> int:
        for number in range(CALLERS):
            shop.caller(f"caller {number}", names)
        return CALLERS * (each + 1)

    return make


def _deep(shop: ModuleType, places: int) -> Any:
    chains = places // (LINKS + 1)
    names = [f"link {number}" for number in range(LINKS)]
    shop.begin("warm", names)

    def make() -> int:
        for number in range(chains):
            shop.begin(f"begin {number}", names)
        return chains * (LINKS + 1)

    return make


def _names(shop: ModuleType, places: int) -> Any:
    names = [f"name {number}" for number in range(places)]
    shop.caller("warm", names[:1])

    def make() -> int:
        shop.caller("warm", names)
        return places

    return make


def _octaves(shop: ModuleType, places: int) -> Any:
    _wide(shop, places // 3)()
    nodes = [node for node in recorder.all_nodes() if node.span.name.startswith("leaf")]
    count_call = recorder.count_call

    def make() -> int:
        for duration_ns in (1 << 30, 1 << 33, 1 << 36):
            for node in nodes:
                count_call(node, duration_ns)
        return 3 * len(nodes)

    return make


def _reference() -> int:
    """Return what a loop of known work takes here, now: a hundred thousand additions to the items of a dictionary."""
    counts = dict.fromkeys(range(100), 0)
    begun = process_time_ns()
    for number in range(100_000):
        counts[number % 100] += number
    return process_time_ns() - begun


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


if __name__ == "__main__":
    main()
