"""What a watch does to a module, and that all of it can be changed back."""

from __future__ import annotations

import pytest

from hookmon.core import layout

SHOP = """
shop = module('''
import functools, math
from os.path import join
def quote(n=1):
    "Say a price."
    return n
def requote(): return 2
async def later(): return 3
def walk(): yield 4
async def stream(): yield 5
def _private(): return 6
def __dunder(): return 7
cached = functools.lru_cache(lambda n: n)
part = functools.partial(lambda n: n, 8)
class Call:
    def __call__(self): return 9
caller = Call()
root = math.sqrt
limit = 10
class Base:
    def total(self): return 11
class Basket(Base):
    def __init__(self, n=0): self.n = n
    def add(self, n): return n
    @classmethod
    def make(cls): return cls
    @staticmethod
    def count(): return 12
    @property
    def price(self): return 13
    @price.setter
    def price(self, value): pass
    @functools.cached_property
    def weight(self): return 14
    class Item:
        def cost(self): return 15
class Bare: pass
''')
"""

CALLS = {
    "quote": "shop.quote(1) == 1",
    "later": "__import__('asyncio').run(shop.later()) == 3",
    "walk": "list(shop.walk()) == [4]",
    "cached": "shop.cached(5) == 5 and shop.cached.cache_info().misses == 1",
    "part": "shop.part() == 8",
    "caller": "shop.caller() == 9",
    "root": "shop.root(4) == 2",
    "Basket.add": "shop.Basket().add(3) == 3 and shop.Basket.add(shop.Basket(), 3) == 3",
    "Basket.total": "shop.Basket().total() == 11 and shop.Base().total() == 11",
    "Basket.make": "shop.Basket.make() is shop.Basket and shop.Basket().make() is shop.Basket",
    "Basket.count": "shop.Basket.count() == 12 and shop.Basket().count() == 12",
    "Basket.price": "shop.Basket().price == 13 and shop.Basket.price.fset",
    "Basket.weight": "shop.Basket().weight == 14",
    "Basket.Item.cost": "shop.Basket.Item().cost() == 15",
    "Basket": "shop.Basket(2).n == 2",
}
TIMES = {"Basket.add": 2, "Basket.make": 2, "Basket.count": 2}


@pytest.mark.parametrize("call", CALLS)
def test_every_kind_of_callable_is_watched_and_changed_back(fresh, call: str):
    """Called as before, counted, and afterwards the very objects of before stand there."""
    recorded = fresh(
        SHOP
        + f"""
def picture(owner):
    found = {{}}
    for name, value in vars(owner).items():
        if name in ("__dict__", "__weakref__", "__builtins__"): continue
        found[owner.__name__, name] = id(value)  # whoever held the value would have taken it
        if isinstance(value, type) and value.__module__ == "shop": found |= picture(value)
        if name == "weight": found["func"] = id(value.func)
    return found
before = picture(shop)
watch(shop, {call!r})
after = picture(shop)
assert {call!r} == "Basket.total" or [key for key in before if before[key] != after[key]], "nothing was changed"
assert {CALLS[call]}
patches.undo()
undone = picture(shop)
assert list(undone) == list(before) or set(undone) == set(before)
assert [key for key in before if undone[key] != before[key]] == []
assert {CALLS[call].replace("== 1 and shop.cached.cache_info().misses == 1", "")} or {call!r} == "cached"
"""
    )
    assert recorded.watches() == {f"shop:{call}": (layout.TARGET_ACTIVE, "name")}
    assert recorded.calls() == {call: TIMES.get(call, 1)}


@pytest.mark.parametrize(
    ("pattern", "active"),
    [
        (
            "*",
            {"quote", "requote", "later", "walk", "stream", "_private", "Base.total"}
            | {"Basket.add", "Basket.make", "Basket.count", "Basket.Item.cost"},
        ),
        ("*quote", {"quote", "requote"}),
        ("[qr]*", {"quote", "requote"}),
        ("__d*", {"__dunder"}),
        ("Basket.*", {"Basket.add", "Basket.make", "Basket.count", "Basket.Item.cost"}),
        ("Basket.__*", {"Basket.__init__"}),
        ("Basket.Item.*", {"Basket.Item.cost"}),
    ],
)
def test_a_glob_takes_what_the_owner_defines(fresh, pattern: str, active: set[str]):
    """No imported function, no inherited method, no builtin, no name with double underscores."""
    recorded = fresh(
        SHOP
        + f"""
from hookmon.probe.wrappers.make import TimedCallable
def timed(owner, prefix=""):
    for name, value in list(vars(owner).items()):
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if type(inner).__mro__[:-1] and issubclass(type(inner), TimedCallable): yield prefix + name
        elif type(inner) is type and inner.__module__ == "shop": yield from timed(inner, prefix + name + ".")
watch(shop, {pattern!r})
print(sorted(timed(shop)))
"""
    )
    assert recorded.out.strip() == str(sorted(active))


def test_what_is_spelt_out_beats_a_glob(fresh):
    """Its span is the one that counts, whatever the order."""
    recorded = fresh("""
shop = module("def quote(n): pass\\ndef other(n): pass")
plans = []
for number, (call, span) in enumerate([("*", "glob"), ("quote", "exact")], 1):
    plans.append({"id": number, "module": "shop", "calls": [call], "span": span, "kind": "function", "nested": False,
                  "entry": False, "entry_name": "", "entry_status": "", "entry_body": "", "waits": False, "pack": "",
                  "source": "test", "adapter": "", "via": "name"})
patch_module(shop, "shop", plans, patches)
shop.quote(1); shop.other(1)
""")
    assert recorded.calls() == {"exact": 1, "glob": 1}


@pytest.mark.parametrize("call", ["qoute", "Basket.ad", "Basket.Itme.cost", "quote.deeper", "Nope.*", "zz*"])
def test_what_is_not_there_is_answered_with_what_is(fresh, call: str):
    """The launcher makes a "did you mean" of it."""
    recorded = fresh(SHOP + f"watch(shop, {call!r})")
    status, detail = recorded.watches()[f"shop:{call}"]
    assert status == layout.TARGET_NOT_FOUND
    assert {"quote", "Basket"} <= set(detail.split("\n"))


def test_of_thousands_of_names_the_near_ones_come_first(fresh):
    """A note has room for 3,900 characters: click.core has more names than that."""
    many = "for number in range(2_000): vars(shop)[f'name_{number}'] = shop.quote\n"
    recorded = fresh(SHOP + many + "watch(shop, 'Baskte.add')")
    _, detail = recorded.watches()["shop:Baskte.add"]
    assert len(detail) <= 3_900
    assert "Basket.add" in detail.split("\n")[:20]


@pytest.mark.parametrize(
    ("module", "call", "reason"),
    [
        ("datetime", "datetime.now", "datetime is a C type, which Python does not let anybody patch"),
        ("collections", "OrderedDict.pop", "OrderedDict is a C type"),
        ("datetime", "date", "date is a class without an __init__ in Python"),
        ("math", "pi", "it is a float, which cannot be called"),
        ("os", "environ", "cannot be called"),
    ],
)
def test_what_cannot_be_patched_is_refused_with_the_reason(fresh, module: str, call: str, reason: str):
    """And stays as it was."""
    recorded = fresh(f"import {module}; watch({module}, {call!r})")
    status, detail = recorded.watches()[f"{module}:{call}"]
    assert status == layout.TARGET_REFUSED
    assert reason in detail


def test_one_bad_watch_leaves_the_others(fresh):
    """Each is on its own."""
    recorded = fresh(SHOP + 'watch(shop, "limit", "nope", "quote", "Bare", "Basket.add")\nshop.quote()')
    assert {target: status for target, (status, _) in recorded.watches().items()} == {
        "shop:limit": layout.TARGET_REFUSED,
        "shop:nope": layout.TARGET_NOT_FOUND,
        "shop:quote": layout.TARGET_ACTIVE,
        "shop:Bare": layout.TARGET_REFUSED,
        "shop:Basket.add": layout.TARGET_ACTIVE,
    }
    assert recorded.calls() == {"quote": 1}


def test_watching_twice_wraps_once(fresh):
    """Two watches for one function, or a module that is loaded again."""
    recorded = fresh(
        SHOP + 'watch(shop, "quote", "Basket.*")\nwatch(shop, "quote", "*", "Basket.*")\nshop.quote()\nshop.Basket.make()'
    )
    assert recorded.calls() == {"quote": 1, "Basket.make": 1}


def test_an_override_counts_beside_what_it_overrides(fresh):
    """super() reaches the timed one."""
    recorded = fresh("""
shop = module('''
class Base:
    def run(self): return 1
class Derived(Base):
    def run(self): return super().run()
''')
watch(shop, "Base.run", "Derived.run")
assert shop.Derived().run() == 1
""")
    assert {path: node.calls for path, node in recorded.paths().items()} == {("Derived.run",): 1, ("Derived.run", "Base.run"): 1}
