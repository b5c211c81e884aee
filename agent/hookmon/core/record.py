"""Records: classes of named fields, as `dataclasses` makes them, which cost next to nothing to import.

`dataclasses` imports inspect, ast and dis, and compiles methods for each class while its module is imported: in a short run more
than all that the run does. Here a class notes its fields, the common methods serve all classes, and `__init__` is compiled
when the first record of its class is made. `typing` is not imported either. Runs in the launcher, in all of its rooms.
"""

from __future__ import annotations

from _operator import attrgetter
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, dataclass_transform
    from typing import NamedTuple as NamedTuple

    _R = TypeVar("_R", bound="Record")
    _T = TypeVar("_T")

    def field(*, default: _T = ..., default_factory: Callable[[], _T] = ..., init: bool = ..., repr: bool = ...) -> _T:
        """See below."""
        ...
else:

    def dataclass_transform(**_):
        """Tell type checkers that a class makes records of its subclasses."""
        return lambda kind: kind

    def field(*, default=NotImplemented, default_factory=None, init=True, repr=True):
        """Return what stands behind a field in place of its default.

        `default_factory` makes a default for each record, where it is a list, say. Without `repr` it is not shown. Without `init`
        it is no part of the record, which only keeps something there: it begins with its default, in a copy, too.
        """
        return _Field(default, default_factory, init, repr)

    class _TupleType(type):
        """Makes of each class below NamedTuple one of `collections.namedtuple`, with its methods, as `typing` does."""

        def __new__(cls, name, bases, namespace):
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = namespace.get("__annotations__", {})
            defaults = [namespace.pop(key) for key in fields if key in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])
            for key, value in namespace.items():
                if key not in ("__module__", "__qualname__", "__annotations__", "__firstlineno__", "__static_attributes__"):
                    setattr(made, key, value)
            made.__annotations__ = fields
            return made

    class NamedTuple(metaclass=_TupleType):
        """What `typing.NamedTuple` is."""


class _Field:
    """A field that says more than its default."""

    __slots__ = ("default", "default_factory", "init", "repr")

    def __init__(self, default: object, default_factory: Callable[[], object] | None, init: bool, repr: bool) -> None:
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr


class _RecordType(type):
    """Makes the classes of records. `slots`, `frozen` and `eq` mean what they mean for a dataclass."""

    __fields__: dict[str, str]
    __defaults__: dict[str, object]  # of the fields that have one, a _Field where that stands there
    __kept__: dict[str, object]  # what is no part of a record, and its default
    __is_frozen__: bool

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        slots: bool = False,
        frozen: bool = False,
        eq: bool = True,
    ) -> _RecordType:
        """Note the fields of a class, those of its bases first. Its module has annotations as text, on CPython 3.14, too."""
        assert "__annotate_func__" not in namespace, "from __future__ import annotations"
        own: dict[str, str] = namespace.get("__annotations__", {}) if bases else {}
        fields: dict[str, str] = {}
        defaults: dict[str, object] = {}
        kept: dict[str, object] = {}
        for base in bases:
            fields |= getattr(base, "__fields__", {})
            defaults |= getattr(base, "__defaults__", {})
            kept |= getattr(base, "__kept__", {})
        for key, type_name in own.items():
            default = namespace.pop(key, NotImplemented)
            if isinstance(default, _Field) and not default.init:
                kept[key] = default.default
                continue
            fields[key] = type_name
            if default is not NotImplemented:
                defaults[key] = default
        namespace |= {"__fields__": fields, "__defaults__": defaults, "__kept__": kept}
        namespace |= {"__match_args__": tuple(fields), "__is_frozen__": frozen}
        namespace.setdefault("__init__", _init_first)
        if slots or not bases:
            namespace["__slots__"] = tuple(own)
        if frozen:
            namespace |= {"__setattr__": _refuse, "__delattr__": _refuse, "__setstate__": _set_state, "__hash__": _hash}
        if not eq:
            namespace = {"__eq__": object.__eq__, "__hash__": object.__hash__} | namespace
        return super().__new__(cls, name, bases, namespace)


def _init_first(self: Record, *values: object, **named: object) -> None:
    """Make the first record of a class, and what makes the others."""
    kind = type(self)
    kind.__init__ = make = _compile_init(kind)  # type: ignore[method-assign]
    make(self, *values, **named)


def _compile_init(kind: _RecordType) -> Callable[..., None]:
    """Return the `__init__` of a class, which takes its fields by position or by name."""
    names: dict[str, object] = {"_set": object.__setattr__}
    heads, lines = ["self"], []
    for name in kind.__fields__:
        head, value = name, name
        if name in kind.__defaults__:
            default = kind.__defaults__[name]
            head += f"=_of_{name}"
            if isinstance(default, _Field):
                if default.default_factory is not None:
                    names[f"_new_{name}"] = default.default_factory
                    value = f"_new_{name}() if {name} is _of_{name} else {name}"
                elif default.default is NotImplemented:
                    head = name
                default = default.default if default.default_factory is None else _Field
            names[f"_of_{name}"] = default
        heads.append(head)
        lines.append(f"_set(self, {name!r}, {value})" if kind.__is_frozen__ else f"self.{name} = {value}")
    for name, default in kind.__kept__.items():
        names[f"_of_{name}"] = default
        lines.append(f"_set(self, {name!r}, _of_{name})")
    exec(f"def __init__({', '.join(heads)}):\n " + "\n ".join(lines or ["pass"]), names)  # as dataclasses does
    make: Any = names["__init__"]
    make.__qualname__, make.__module__ = f"{kind.__qualname__}.__init__", kind.__module__
    return make  # type: ignore[no-any-return]


def _values(record: Record) -> tuple[object, ...]:
    names = type(record).__match_args__
    if len(names) > 1:
        found: tuple[object, ...] = attrgetter(*names)(record)
        return found
    return tuple([getattr(record, name) for name in names])


def _refuse(record: Record, name: str, *_: object) -> None:
    raise AttributeError(f"cannot change field {name!r} of a frozen {type(record).__name__}")


def _set_state(record: Record, state: Any) -> None:
    """Take in what `copy` or `pickle` has read of another record."""
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            object.__setattr__(record, name, value)


def _hash(record: Record) -> int:
    return hash(_values(record))


@dataclass_transform(field_specifiers=(field,))
class Record(metaclass=_RecordType):
    """The base of all records.

    A subclass names its fields with their types, and defaults behind them; `field` says more of one. Records of one class with
    the same values are equal. As keywords of the class: `slots=True` keeps other attributes out, which saves memory,
    `frozen=True` makes records that cannot be changed and can be keys, `eq=False` records that are equal to nothing else.
    """

    __match_args__: tuple[str, ...]
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Say whether another record of the same class has the same values."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or _values(self) == _values(other)

    def __repr__(self) -> str:
        """Return it as the call that would make it."""
        defaults = type(self).__defaults__
        shown = [name for name in self.__match_args__ if getattr(defaults.get(name), "repr", True)]
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def fields(kind: type | Record) -> dict[str, str]:
    """Return the fields of a record or of a class of them: their types, as they are written, by their names."""
    found: dict[str, str] = kind.__fields__  # type: ignore[union-attr]
    return found


def replace(record: _R, **changes: Any) -> _R:
    """Return a record of the same class with other values in some fields."""
    return type(record)(**(dict(zip(type(record).__match_args__, _values(record), strict=True)) | changes))


def asdict(record: Record) -> dict[str, Any]:
    """Return the fields of a record by their names: records within it, also in lists, tuples and dictionaries, likewise."""
    return {name: _plain(value) for name, value in zip(type(record).__match_args__, _values(record), strict=True)}


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return asdict(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [_plain(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value
