"""Span names are read from arguments, and nothing of the program runs."""

from __future__ import annotations

import enum
import os
import subprocess
from collections import namedtuple
from typing import Any, ClassVar, NamedTuple

import pytest
from support import interpreters
from support.fresh import AGENT

from hookmon.core import layout
from hookmon.core.span import FILTERS as ALL_FILTERS
from hookmon.core.span import fixed_name
from hookmon.probe.base.target import Target
from hookmon.probe.naming.names import span_finder


def name_of(template: str, *args: Any, function: Any = None, is_method: bool = False, **kwargs: Any) -> str:
    """Return the name that a call gets."""
    target = Target("shop.pricing:quote", "function", "", "", False)
    find, _ = span_finder(template, target, function or (lambda *args, **kwargs: None), is_method)
    return find(args, kwargs).name


@pytest.mark.parametrize(
    ("template", "value", "name"),
    [
        ("{arg0}", "text", "text"),
        ("{arg0}", b"bytes\xff", "bytes\ufffd"),
        ("{arg0}", 3, "3"),
        ("{arg0}", True, "True"),
        ("{arg0}", None, "None"),
        ("{arg0}", 2.5, "2.5"),
        ("{arg0}", [1], "list"),
        ("{arg0}", int, "int"),
        ("{arg0|upper}", "Get", "GET"),
        ("{arg0|lower}", "Get", "get"),
        ("{arg0|word}", "get a b", "get"),
        ("{arg0|command}", "get", "GET"),
        ("{arg0|command}", b"config get", "CONFIG GET"),
        ("{arg0|command}", "config get maxmemory", "CONFIG GET"),
        ("{arg0|command}", "set secret value", "SET"),
        ("{arg0|command}", "", "?"),
        ("{arg0|host}", "https://bob:pw@shop.example:8443/path?key=1#x", "shop.example:8443"),
        ("{arg0|host}", b"http://shop.example/", "shop.example"),
        ("{arg0|host}", "https://[::1]:80/", "[::1]:80"),
        ("{arg0|host}", "https://[::1]/", "[::1]"),
        ("{arg0|host}", "HTTP://shop.example:80/", "shop.example"),
        ("{arg0|host}", "https://shop.example:443?key=1", "shop.example"),
        ("{arg0|host}", "redis://:pw@shop.example:6379/0", "shop.example:6379"),
        ("{arg0|host}", "http://bob:p/w@shop.example/", "?"),
        ("{arg0|host}", "users/bob", "?"),
        ("{arg0|host}", "bob", "?"),
        ("{arg0|host}", "data:text/plain;x=http://bob", "?"),
        ("{arg0|host}", "", "?"),
        ("a{arg0|port}", 8080, "a:8080"),
        ("a{arg0|port}", "8080", "a:8080"),
        ("a{arg0|port}", 80, "a"),
        ("a{arg0|port}", 443, "a"),
        ("a{arg0|port}", None, "a"),
        ("a{arg9|port}", None, "a"),
        ("a{arg0|port}", "secret", "a"),
        ("{arg0|file}", "/srv/templates/my page.html", "my page.html"),
        ("{arg0|file}", None, "None"),
        ("{arg0|program}", "/usr/bin/git", "git"),
        ("{arg0|program}", "/usr/bin/python3.11 -c secret", "python3.11"),
        ("{arg0|program}", ["/opt/my app/run.sh", "secret"], "run.sh"),
        ("{arg0|program}", ("git", "secret"), "git"),
        ("{arg0|program}", [b"g++", "secret"], "g++"),
        ("{arg0|program}", "PASSWORD=secret make", "?"),
        ("{arg0|program}", "$SECRET", "?"),
        ("{arg0|program}", "  ", "?"),
        ("{arg0|program}", [], "list"),
        ("{arg0|member}", "Cache._get", "get"),
        ("{function|member}", "x", "quote"),
        ("{arg0|resource}", "/v1/customers/cus_s3cr3t", "customers"),
        ("{arg0|resource}", "https://bob:pw@shop.example/v1.43/containers/json?key=s3cr3t", "containers"),
        ("{arg0|resource}", "objects", "objects"),
        ("{arg0|resource}", "/api/v1/namespaces/s3cr3t/pods/s3cr3t", "pods"),
        ("{arg0|resource}", "/api/v1/namespaces/s3cr3t", "namespaces"),
        ("{arg0|resource}", "/apis/apps/v1/namespaces/{namespace}/deployments", "deployments"),
        ("{arg0|resource}", "/2010-04-01/Accounts/AC7", "Accounts"),
        ("{arg0|resource}", "/v1/cus_7", "?"),
        ("{arg0|resource}", "https://shop.example", "?"),
        ("{arg0|resource}", "/", "?"),
        ("{arg0|endpoint}", "/s3cr3t/_search?q=s3cr3t", "_search"),
        ("{arg0|endpoint}", "/s3cr3t/_doc/_s3cr3t", "_doc"),
        ("{arg0|endpoint}", "/s3cr3t", "?"),
        ("{arg0|endpoint}", "PUT", "PUT"),
        ("{arg0|host}", 5, "5"),
        ("{arg0|sql}", "SELECT 'x'", "SELECT ?"),
        ("{arg0|sql}", b"SELECT 1", "SELECT ?"),
        ("{arg0|sql}", 7, "7"),
        ("a {arg0} {{b}}", "x", "a x {b}"),
        ("{function}", "x", "quote"),
        ("{missing, arg0}", "second", "second"),
        ("{arg0.nothing, arg0.real, arg0}", "third", "third"),
        ("{arg0, arg9}", "", ""),
        ("{arg9}", "x", "?"),
        ("{arg0.real}", "text", "?"),
    ],
)
def test_a_value_becomes_text(template: str, value: Any, name: str):
    """Text and numbers as they are, anything else by its type."""
    assert name_of(template, value) == name


def test_parameters_are_found_by_position_and_by_name():
    """As the function declares them."""

    def quote(sku, amount=1, *, note=""):
        """Return nothing."""

    assert name_of("{sku}/{amount}/{note}", "a", 2, function=quote, note="n") == "a/2/n"
    assert name_of("{sku}/{amount}", function=quote, amount=2, sku="a") == "a/2"
    assert name_of("{arg1}", "a", function=quote, amount=2) == "2"
    assert name_of("{amount}", "a", function=quote) == "?"


class Row:
    __slots__ = ("empty", "table")
    kind = "row"

    def __init__(self) -> None:
        self.table = "users"


Point = namedtuple("Point", "x y")


class Pair(NamedTuple):
    left: str
    right: str


class Colour(enum.Enum):
    RED = "red"


class Text(enum.StrEnum):
    GET = "get"


class Basket:
    """An object with an instance dictionary."""

    size = 3
    hidden = None

    def __init__(self) -> None:
        self.owner = "bob"
        self.inner = Row()


@pytest.mark.parametrize(
    ("template", "value", "name"),
    [
        ("{arg0.owner}", Basket(), "bob"),
        ("{arg0.inner.table}", Basket(), "users"),
        ("{arg0.size}", Basket(), "3"),
        ("{arg0.hidden}", Basket(), "?"),
        ("{arg0.table}", Row(), "users"),
        ("{arg0.empty}", Row(), None),
        ("{arg0.kind}", Row(), "row"),
        ("{arg0.x}", Point("a", "b"), "a"),
        ("{arg0.right}", Pair("a", "b"), "b"),
        ("{arg0}", Colour.RED, "Colour"),
        ("{arg0._value_}", Colour.RED, "red"),
        ("{arg0}", Text.GET, "get"),
        ("{arg0.args}", subprocess.CompletedProcess("ls", 0), "ls"),
        ("{arg0.nothing.deeper}", Basket(), "?"),
    ],
)
def test_an_attribute_is_read_where_it_is_stored(template: str, value: Any, name: str | None):
    """Instance dictionaries, slots, named tuples, class constants; an empty slot costs the name."""
    assert name_of(template, value) == (name or "quote")


def test_self_and_class_are_those_of_the_instance():
    """`arg0` does not count self."""
    assert name_of("{class} {self.owner} {arg0}", Basket(), "x", is_method=True) == "Basket bob x"


def test_class_is_the_class_in_a_class_method():
    """Not its metaclass."""
    assert name_of("{class}", Basket, is_method=True) == "Basket"


class Trap:
    """Anything that runs is written down."""

    ran: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        self.ran.append(f"__getattr__ {name}")
        raise AttributeError(name)

    def __getattribute__(self, name: str) -> Any:
        Trap.ran.append(f"__getattribute__ {name}")
        return object.__getattribute__(self, name)

    @property
    def price(self) -> str:
        Trap.ran.append("property")
        return "1"

    def __str__(self) -> str:
        Trap.ran.append("__str__")
        return "x"

    __repr__ = __format__ = __str__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        Trap.ran.append("__eq__")
        return True

    def __hash__(self) -> int:
        Trap.ran.append("__hash__")
        return 1

    def __bool__(self) -> bool:
        Trap.ran.append("__bool__")
        return True

    def __len__(self) -> int:
        Trap.ran.append("__len__")
        return 1

    def __iter__(self) -> Any:
        Trap.ran.append("__iter__")
        return iter(())


SUSPECTS = [
    "{arg0}",
    "{self}",
    "{self|upper}",
    *("{arg0.price}", "{arg0.nothing}", "{arg0.a.b}", "{self.price}", "{class}", "{missing, arg0.price}"),
]
FILTERS = ["", *(f"|{name}" for name in ALL_FILTERS)]


@pytest.mark.parametrize("template", SUSPECTS)
def test_attribute_reading_runs_nothing_of_the_program(template: str):
    """No property, no __getattr__, no __str__, no comparison."""
    made = Trap()
    Trap.ran.clear()
    name_of(template, made, made, is_method=True)
    assert Trap.ran == []


class Lazy:
    """As Django's SimpleLazyObject and Werkzeug's LocalProxy: asking for the class evaluates it."""

    evaluated: ClassVar[list[str]] = []

    @property
    def __class__(self) -> Any:
        Lazy.evaluated.append("__class__")
        return str

    @property
    def __dict__(self) -> Any:
        Lazy.evaluated.append("__dict__")
        return {}


@pytest.mark.parametrize("template", ["{arg0" + filter_name + "}" for filter_name in FILTERS])
def test_a_lazy_object_is_not_evaluated_for_its_text(template: str):
    """It would connect, or query a database."""
    Lazy.evaluated.clear()
    name_of(template, Lazy())
    assert Lazy.evaluated == []


def test_a_lazy_object_is_not_evaluated_for_an_attribute():
    """Its dictionary may be a property."""
    Lazy.evaluated.clear()
    name_of("{arg0.owner, arg1}", Lazy(), "x")
    assert Lazy.evaluated == []


class Shouting(str):
    """A text with a mind of its own."""

    ran: ClassVar[list[str]] = []

    def __str__(self) -> str:
        Shouting.ran.append("__str__")
        return "x"

    def __hash__(self) -> int:
        Shouting.ran.append("__hash__")
        return 1

    def __getitem__(self, key: Any) -> str:
        Shouting.ran.append("__getitem__")
        return "x"

    def partition(self, separator: str) -> Any:
        Shouting.ran.append("partition")
        return "x", "", ""

    def upper(self) -> str:
        Shouting.ran.append("upper")
        return "X"


@pytest.mark.parametrize("filter_name", ["", "|upper", "|word", "|command"])
def test_a_kind_of_text_is_read_as_text(filter_name: str):
    """Methods that it has of its own do not run."""
    Shouting.ran.clear()
    name_of("{arg0" + filter_name + "}", Shouting("get secret"))
    assert Shouting.ran == []


@pytest.mark.parametrize("filter_name", ["|host", "|port", "|file", "|program", "|sql"])
def test_a_kind_of_text_is_filtered_as_text(filter_name: str):
    """Methods that it has of its own do not run."""
    Shouting.ran.clear()
    name_of("{arg0" + filter_name + "}", Shouting("SELECT 1"))
    assert Shouting.ran == []


def test_a_name_is_short():
    """100 characters of a value, 200 of a name."""
    assert name_of("{arg0}", "x" * 5_000) == "x" * 100
    assert len(name_of("{arg0}{arg0}{arg0}", "x" * 5_000)) == 200


def test_names_beyond_the_cap_are_counted_together():
    """The 10,001st is "(other)"."""
    target = Target("a:b", "function", "", "", False)
    find, _ = span_finder("{arg0}", target, lambda key: None, False)
    names = {find((f"key {number}",), {}).name for number in range(layout.MOST_NAMES_OF_A_TARGET + 50)}
    assert len(names) <= layout.MOST_NAMES_OF_A_TARGET + 1
    assert "(other)" in names
    assert find(("key 1",), {}).name == "key 1"


def test_a_name_that_fails_costs_the_name_only(fresh):
    """The call is counted under its target, its result and arguments are untouched."""
    recorded = fresh("""
shop = module('''
class Bad:
    __slots__ = ("table",)
def quote(one): return one
''')
watch(shop, "quote", span="{arg0.table}")
bad = shop.Bad()
assert shop.quote(bad) is bad
""")
    assert recorded.calls() == {"quote": 1}


@pytest.mark.parametrize(
    "text",
    [pytest.param("a\\ud800b", id="surrogate"), "a\\udc80b", "a\\x00b", "\\n", ""],
    ids=ascii,
)
def test_a_name_that_cannot_be_stored_as_it_is_costs_no_call(fresh, text: str):
    """Lone surrogates come out of json.loads."""
    recorded = fresh(f"""
shop = module("def quote(one): return 1")
watch(shop, "quote", span="quote {{arg0}}")
for _ in range(3): shop.quote("{text}")
""")
    assert sum(recorded.calls().values()) == 3


@pytest.mark.parametrize(
    ("template", "name"),
    [("redis pool wait", "redis pool wait"), ("{{a}}", "{a}"), ("x" * 300, "x" * 300), ("a {arg0}", ""), ("", "")],
)
def test_a_template_without_fields_is_the_name_of_every_call(template: str, name: str):
    """So that no call has to find it: for the wait for a pooled connection that was 0.7 µs."""
    assert fixed_name(template) == name


TEMPLATES = """
from hookmon.probe.naming.filters import FILTERS
number, table = 7, "user"
part = t"WHERE a = {number}"
for statement in (t"SELECT {number}, 'hush'", t"SELECT a FROM {table:i} {part:q} AND b = {table:l}"):
    print(FILTERS["postgresql"](statement))
"""
FROZEN = """
from hookmon.probe.base.introspect import MISSING, attribute
environ = frozendict(REQUEST_METHOD="GET")
print(attribute(environ, "REQUEST_METHOD"), attribute(environ, "PATH_INFO") is MISSING)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("version", "program", "printed"),
    [("3.14", TEMPLATES, "SELECT ?, ?\nSELECT a FROM user WHERE a = ? AND b = ?\n"), ("3.15", FROZEN, "GET True\n")],
    ids=["t-strings", "frozendict"],
)
def test_what_newer_versions_have_is_read(version: str, program: str, printed: str):
    """Statements that are t-strings, as psycopg 3.3 reads them; dictionaries that are frozen."""
    python = interpreters.need(version)
    env = {**os.environ, "PYTHONPATH": str(AGENT)}
    done = subprocess.run([python, "-S", "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (printed, "")
