"""Functions that somebody took before they were patched: left alone and named; and who has not really taken any."""

from __future__ import annotations

import pytest

from hookmon.core import layout


def test_a_function_that_other_modules_took_has_one_stand_in_in_all_of_them(fresh):
    """`from shop import quote` came first: the names still lead to one object, and calls by either are counted."""
    recorded = fresh("""
import pickle
shop = module("def quote(): return 1\\nprice = quote")
early = module("from shop import quote as price", "early")
watch(shop, "quote")
assert early.price is shop.quote is shop.price and pickle.loads(pickle.dumps(early.price)) is shop.quote
early.price(); shop.quote(); shop.price()
patches.undo()
assert type(early.price) is type(shop.quote) is type(lambda: 0) and early.price is shop.quote is shop.price
""")
    assert recorded.notes() == []
    assert recorded.calls() == {"quote": 3}


TAKEN = {
    "a table": ("TABLE = {}\ndef quote(): return 1\nTABLE['/'] = quote", "shop.TABLE"),
    "a table in a table": ("TABLE = {'a': [({})]}\ndef quote(): return 1\nTABLE['a'][0][1] = (quote,)", "shop.TABLE"),
    "a router": ("class Router: pass\nrouter = Router()\ndef quote(): return 1\nrouter.routes = [quote]", "shop.router"),
    "a partial": ("import functools\ndef quote(): return 1\nlater = functools.partial(quote)", "shop.later"),
    "a closure": ("def quote(): return 1\ndef around(f):\n    return lambda: f()\nloud = around(quote)", "shop.loud"),
    "a default": ("def quote(): return 1\ndef loud(price=quote): pass", "shop.loud"),
    "a weak reference": ("import weakref\ndef quote(): return 1\nseen = weakref.ref(quote)", "a weak reference"),
    "a module that is far": ("import atexit, collections\ndef quote(): return 1\ncollections.taken = [quote]", "a list"),
    "C": ("import signal\ndef quote(*_): return 1\nsignal.signal(signal.SIGUSR2, quote)", "something that cannot be found"),
}


@pytest.mark.parametrize(("source", "taker"), TAKEN.values(), ids=list(TAKEN))
def test_a_function_that_was_handed_on_is_left_alone_and_named(fresh, source: str, taker: str):
    """Whoever compares it, by `is` or by its pickled name, finds what it was; the note says who has it and where it is."""
    recorded = fresh(f"""
shop = module({source!r})
before = id(shop.quote)
watch(shop, "quote", "*")
assert id(shop.quote) == before and type(shop.quote) is type(lambda: 0)
shop.quote()
""")
    assert {kind for kind, _ in recorded.notes()} == {"early reference"}
    assert recorded.notes()[0][1].startswith("shop:quote (shop.py:")
    status, detail = recorded.watches()["shop:quote"]
    assert status == layout.TARGET_REFUSED
    assert taker in detail
    assert taker in recorded.notes()[0][1]
    assert "quote" not in recorded.calls()


BASKETS = """
import functools
TABLE = []
class Basket:
    def add(self): return 1
    @staticmethod
    def count(): return 2
    @classmethod
    def make(cls): return 3
    @property
    def price(self): return 4
    @functools.cached_property
    def weight(self): return 5
    def __init__(self): pass
"""


@pytest.mark.parametrize(
    ("taken", "call"),
    [
        ("Basket.add", "Basket.add"),
        ("Basket().add", "Basket.add"),
        ("Basket.count", "Basket.count"),
        ("Basket.make", "Basket.make"),
        ("vars(Basket)['make']", "Basket.make"),
        ("vars(Basket)['price']", "Basket.price"),
        ("vars(Basket)['price'].fget", "Basket.price"),
        ("vars(Basket)['weight'].func", "Basket.weight"),
        ("Basket.__init__", "Basket"),
    ],
)
def test_what_was_handed_on_of_a_class_is_left_alone(fresh, taken: str, call: str):
    """A bound method, a descriptor or the function in it: all are compared by what they hold."""
    recorded = fresh(f"""
shop = module({BASKETS + f"TABLE.append({taken})"!r})
watch(shop, {call!r}, "Basket.add")
one = shop.Basket()
one.add(), one.count(), one.make(), one.price, one.weight
assert shop.TABLE[0] == eval({taken!r}, vars(shop)) or {taken!r} == "Basket().add"
""")
    assert recorded.watches()[f"shop:{call}"][0] == layout.TARGET_REFUSED
    assert next(kind for kind, _ in recorded.notes()) == "early reference"
    assert recorded.calls() == ({} if call == "Basket.add" else {"Basket.add": 1})


def test_a_method_of_several_names_has_one_stand_in(fresh):
    """`__radd__ = __add__` in a class, and a class that borrows another's: the same object in all places, counted in all."""
    recorded = fresh('''
shop = module("""
class Basket:
    def __add__(self, other): return 1
    __radd__ = __add__
class Box:
    __add__ = Basket.__add__
""")
watch(shop, "Basket.__add__")
assert shop.Basket.__radd__ is shop.Basket.__add__ is shop.Box.__add__
shop.Basket() + 1; 1 + shop.Basket(); shop.Box() + 1
''')
    assert recorded.notes() == []
    assert recorded.calls() == {"Basket.__add__": 3}


INNOCENT = {
    "a namespace that was copied": "def quote(): return 1\nspace = dict(globals())",
    "a class that attrs made again": (
        "import attrs\ndef quote(): return 1\n@attrs.define\nclass Item:\n    sku: str = ''\n    def price(self): return 2"
    ),
    "a dataclass with slots": (
        "import dataclasses\ndef quote(): return 1\n@dataclasses.dataclass(slots=True)\nclass Item:\n"
        "    sku: str = ''\n    def price(self): return 2"
    ),
    "a function that speaks of itself": (
        "def make():\n    def quote():\n        quote.calls = 1\n        return 1\n    quote.original = quote\n"
        "    return quote\nquote = make()"
    ),
    "the __wrapped__ of another": ("import functools\ndef quote(): return 1\n@functools.wraps(quote)\ndef other(): return 2"),
    "overloads": (
        "import typing\n@typing.overload\ndef quote() -> int: ...\n@typing.overload\ndef quote(n: int) -> int: ...\n"
        "def quote(n=1): return n"
    ),
    "a generator that goes on": "def quote():\n    while True: yield 1\nwalk = quote()\nnext(walk)",
    "an abstract class": (
        "import abc\ndef quote(): return 1\nclass Item(abc.ABC):\n    @abc.abstractmethod\n    def price(self): return 2\n"
        "class Book(Item):\n    def price(self): return super().price()"
    ),
}


@pytest.mark.parametrize("source", INNOCENT.values(), ids=list(INNOCENT))
def test_who_neither_calls_nor_compares_a_function_has_not_taken_it(fresh, source: str):
    """Copied namespaces, classes made twice, a function's own attributes and calls: it is watched, and nothing is said."""
    recorded = fresh(f"""
shop = module({source!r})
watch(shop, "quote", *["Item.price"] * hasattr(shop, "Item"))
made = shop.quote()
if hasattr(made, "__next__"): next(made), made.close()
if hasattr(shop, "Item"): getattr(shop, "Book", shop.Item)().price()
""")
    assert recorded.notes() == []
    assert recorded.calls() == {"quote": 1} | ({"Item.price": 1} if "Item" in source else {})


def test_a_function_that_runs_while_it_is_patched_is_watched(fresh):
    """A module that came past the import hook is patched late, in the middle of one of its calls."""
    recorded = fresh("""
shop = module("def quote(then): then(); return 1")
shop.quote(lambda: watch(shop, "quote"))
shop.quote(int)
""")
    assert recorded.notes() == []
    assert recorded.calls() == {"quote": 1}


def test_looking_for_early_references_loads_no_lazy_module(fresh):
    """A module of importlib.util.LazyLoader stays unloaded until the program touches it."""
    fresh("""
import importlib.util
spec = importlib.util.find_spec("this")
loader = importlib.util.LazyLoader(spec.loader)
spec.loader = loader
lazy = importlib.util.module_from_spec(spec)
sys.modules["this"] = lazy
loader.exec_module(lazy)
shop = module("def quote(): return 1")
kept = [shop.quote] * 9
watch(shop, "quote")
assert type(lazy).__name__ == "_LazyModule", "it was loaded"
""")


def test_a_getter_that_is_a_method_too_has_one_stand_in(fresh):
    """`price = property(get_price)`: the function is one object still, whichever way it is reached."""
    recorded = fresh("""
shop = module("class Basket:\\n    def get_price(self): return 1\\n    price = property(get_price)")
watch(shop, "Basket.price")
assert shop.Basket.price.fget is shop.Basket.get_price
shop.Basket().price, shop.Basket().get_price()
""")
    assert recorded.notes() == []
    assert recorded.calls() == {"Basket.price": 2}
