"""Records are what dataclasses are, and cost nothing to import."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from hookmon.core import record
from hookmon.core.record import NamedTuple, Record, asdict, field, fields, replace


class Place(NamedTuple):
    """A tuple with names, a default and methods."""

    file: str
    line: int = 1

    def text(self) -> str:
        """Return both."""
        return f"{self.file}:{self.line}"

    @classmethod
    def first(cls) -> Place:
        """Return one."""
        return cls("a.py")


class Item(Record):
    """Fields, a default, one that is made anew, one that is not shown."""

    name: str
    price: int = 7
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False)

    @property
    def double(self) -> int:
        """Twice the price."""
        return 2 * self.price


class Sum(Record, slots=True):
    """What keeps a figure that it has worked out."""

    parts: list[int]
    _found: int = field(default=-1, init=False)

    @property
    def found(self) -> int:
        """The sum of the parts."""
        if self._found < 0:
            self._found = sum(self.parts)
        return self._found


class Slim(Record, slots=True):
    """One field and no room for others."""

    number: int


class Fixed(Record, frozen=True):
    """A key."""

    place: Place
    items: tuple[Item, ...] = ()


class Longer(Fixed, frozen=True, slots=True):
    """One more field than its base."""

    more: int = 0


class Alone(Record, eq=False):
    """Equal to nothing else."""

    number: int = 0


@dataclasses.dataclass
class Model:
    """The same as Item, by dataclasses."""

    name: str
    price: int = 7
    tags: list[str] = dataclasses.field(default_factory=list)
    secret: str = dataclasses.field(default="s", repr=False)


@pytest.mark.parametrize(
    ("values", "named"), [(("a",), {}), (("a", 1), {"tags": ["t"]}), ((), {"name": "a", "secret": "x"}), (("a", 1, [], "x"), {})]
)
def test_a_record_is_made_and_shown_as_a_dataclass_is(values: tuple[Any, ...], named: dict[str, Any]):
    """By position and by name; the first of its class as every other."""
    for _ in range(2):
        made, model = Item(*values, **named), Model(*values, **named)
        assert vars(made) == vars(model) == asdict(made) == dataclasses.asdict(model)
        assert repr(made) == repr(model).replace("Model", "Item")


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a", 1, [], "", 0), {}), (("a",), {"nme": 1}), (("a",), {"name": "b"})]
)
def test_what_a_dataclass_refuses_a_record_refuses(values: tuple[Any, ...], named: dict[str, Any]):
    """With the same words."""
    with pytest.raises(TypeError) as by_model:
        Model(*values, **named)
    with pytest.raises(TypeError) as by_item:
        Item(*values, **named)
    assert str(by_item.value) == str(by_model.value).replace("Model", "Item")


def test_a_list_is_made_for_each():
    """So that no two share it."""
    one, other = Item("a"), Item("a")
    one.tags.append("t")
    assert other.tags == []
    assert one.double == 14


def test_records_are_equal_by_class_and_values():
    """Those that can change are no keys; a frozen one is."""
    assert Item("a") == Item("a")
    assert Item("a") != Item("a", 8)
    assert Slim(1) == Slim(1)
    assert Slim(1) != Place("x")
    assert Fixed(Place("a")) != Longer(Place("a"))
    assert len({Fixed(Place("a")), Fixed(Place("a")), Fixed(Place("b"))}) == 2
    assert Alone() != Alone()
    assert len({Alone(), Alone()}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Item("a"))


def test_a_frozen_record_cannot_be_changed():
    """Nor can a field of it be deleted; a copy can have other values."""
    fixed = Longer(Place("a"), more=2)
    for change in (lambda: setattr(fixed, "more", 3), lambda: delattr(fixed, "more")):
        with pytest.raises(AttributeError, match="cannot change field 'more' of a frozen Longer"):
            change()
    assert replace(fixed, more=3) == Longer(Place("a"), (), 3)
    assert fixed.more == 2


def test_slots_keep_other_attributes_out():
    """And the dictionary that would hold them."""
    with pytest.raises(AttributeError):
        Slim(1).other = 2  # type: ignore[attr-defined]
    assert not hasattr(Slim(1), "__dict__")


def test_what_a_record_keeps_is_no_part_of_it():
    """It is neither given, shown, compared nor copied."""
    full = Sum([1, 2])
    assert full.found == 3
    assert full == Sum([1, 2])
    assert (repr(full), asdict(full), list(fields(Sum))) == ("Sum(parts=[1, 2])", {"parts": [1, 2]}, ["parts"])
    assert replace(full, parts=[4]).found == 4
    with pytest.raises(TypeError):
        Sum([1], 2)  # type: ignore[call-arg]


def test_fields_are_told_with_their_types_as_written():
    """Those of a base first."""
    assert fields(Item) == {"name": "str", "price": "int", "tags": "list[str]", "secret": "str"}
    assert list(fields(Longer)) == ["place", "items", "more"] == list(Longer.__match_args__)


def test_records_within_records_become_dictionaries():
    """In lists, tuples and dictionaries; named tuples stay what they are."""
    deep = Fixed(Place("a", 2), (Item("x", tags=["t"]),))
    item = {"name": "x", "price": 7, "tags": ["t"], "secret": "s"}
    assert asdict(deep) == {"place": Place("a", 2), "items": (item,)}
    assert asdict(Item("y", 1, [deep, {"k": Slim(3)}]))["tags"] == [asdict(deep), {"k": {"number": 3}}]  # type: ignore[list-item]


@pytest.mark.parametrize("made", [Item("a", 2), Slim(1), Fixed(Place("a")), Longer(Place("a"), more=1)], ids=repr)
def test_records_can_be_copied_and_pickled(made: Record):
    """Frozen ones and those with slots, too."""
    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_a_named_tuple_is_one():
    """With its defaults, methods and fields."""
    place = Place("a.py", 3)
    assert (place, place.text(), Place.first()) == (("a.py", 3), "a.py:3", ("a.py", 1))
    assert (Place._fields, Place._field_defaults, place._replace(line=4)) == (("file", "line"), {"line": 1}, ("a.py", 4))
    assert (Place.__doc__, Place.__module__, repr(place)) == (
        "A tuple with names, a default and methods.", __name__, "Place(file='a.py', line=3)",
    )  # fmt: skip


@pytest.mark.process
def test_importing_it_compiles_nothing_and_brings_no_heavy_module():
    """Neither dataclasses and what that imports, nor typing."""
    code = f"""
from __future__ import annotations
import sys
sys.path.insert(0, {str(record.__file__).removesuffix("hookmon/core/record.py")!r})
compiled = []
sys.addaudithook(lambda event, args: compiled.append(args) if event == "compile" else None)
from hookmon.core.record import Record
before = len(compiled)
class Item(Record, slots=True):
    name: str
    price: int = 7
assert len(compiled) == before
Item("a"), Item("b")
assert len(compiled) == before + 1
print(*sorted({{"dataclasses", "inspect", "ast", "dis", "typing", "re", "copy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
