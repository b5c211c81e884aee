"""Who took a function out of its module before it was patched: a name that is taken is left alone, and that is said.

In: a module that is about to be patched and the names that are to be. Out: for each of them, who else holds what stands there,
and all the places where the same stand-in is to stand. Runs in the watched process, once for each watched module.

Programs compare functions: `disconnect` looks for the object that was connected, pickle for the object that a name leads to. So
one function has one stand-in. Where only modules and classes hold the function, the stand-in goes into all these places, and
nobody can tell. Where anything else holds it (a table, a closure, a bound method, a weak reference), it is not replaced.
"""

from __future__ import annotations

import sys
from _weakref import getweakrefcount, ref
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    GeneratorType,
    MethodType,
    ModuleType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from hookmon.probe.base.shapes import Owner

    Namespace = Mapping[str, object]
    Place = tuple[Owner, str]  # a module or class, and a name in its own dictionary

_MOST_WALKS = 8
"""At most so many walks through the whole heap in a process: 10 ms for 100,000 objects. After that, what is not found near the
module counts as taken."""

_MOST_LOOKED_AT = 3_000
"""At most so many objects are looked at on the way from the module itself."""

_walks = 0


def forget_walks() -> None:
    """Let the next set-up of this process walk as often as the first one."""
    global _walks
    _walks = 0


def _references(space: Namespace, name: str) -> int:
    """Return the number of references to a value, with the namespace's own and those that asking makes."""
    return sys.getrefcount(space[name])


_OURS = _references({"alone": object()}, "alone") - 1
_DEFERRED = _references({"alone": lambda: None}, "alone") - 1 - _OURS
"""What a free-threaded interpreter adds for a function, as it does not count references on the stack; elsewhere 0."""


def _holders(space: Namespace, name: str) -> int:
    """Return how many references there are to a value, the namespace's own included."""
    found = _references(space, name) - _OURS
    return found - _DEFERRED if found > _DEFERRED else found


def parts(value: object) -> Iterator[object]:
    """Yield a value, and the function inside where it is a descriptor."""
    yield value
    inside = _function_attribute(value)
    if inside:
        yield getattr(value, inside)


def _function_attribute(value: object) -> str:
    """Return the attribute of a descriptor that holds its function, else "". The type is asked; the value may be a proxy."""
    value_type = type(value)
    if issubclass(value_type, classmethod | staticmethod):
        return "__func__"
    if issubclass(value_type, property):
        return "fget"
    return "func" if value_type.__name__ == "cached_property" and hasattr(value, "func") else ""


class Held:
    """A value that more than its own place refers to.

    `unexplained` is how many references nobody is known to have yet, `of_descriptor` is 1 where a descriptor has one, else 0.
    """

    __slots__ = ("of_descriptor", "unexplained", "value")

    def __init__(self, value: object, unexplained: int, of_descriptor: int) -> None:
        self.value = value
        self.unexplained = unexplained
        self.of_descriptor = of_descriptor


class Places:
    """Where the functions of one module stand, and who else holds them. That is found out before the first is patched."""

    def __init__(self, module: ModuleType, targets: list[Place], replace: Callable[[object, str, object], None]) -> None:
        """`replace` patches a place, `targets` are the places to be patched. No variable here may hold what stands there."""
        self._replace = replace
        self._takers: dict[int, str] = {}  # {id of a value that is taken: who holds it}
        self._places: dict[int, list[tuple[ref[Any], str]]] = {}  # {id of a value that stands in several places: these}
        held: dict[int, Held] = {}  # {id of a value: Held}
        for owner, name in targets:
            space = vars(owner)
            if id(space[name]) in held:
                continue
            inside = _function_attribute(space[name])
            if inside:
                references = _holders({"inside": getattr(space[name], inside)}, "inside") - 2  # that one, the descriptor's
                if references:
                    held[id(getattr(space[name], inside))] = Held(getattr(space[name], inside), references, 1)
            references = _holders(space, name)
            if references > 1:
                held[id(space[name])] = Held(space[name], references, 0)
            weakly = {id(value) for value in parts(space[name]) if getweakrefcount(value)}  # no variable that stays
            self._takers |= dict.fromkeys(weakly, "a weak reference, as signals keep them")
        if held:
            self._explain(module, [owner for owner, _ in targets], held)

    def taker(self, owner: Owner, name: str) -> str:
        """Return who holds what stands in a place, "" when it is not taken."""
        values = parts(vars(owner)[name]) if name in vars(owner) else ()
        return next((self._takers[id(value)] for value in values if id(value) in self._takers), "")

    def put(self, owner: Owner, name: str, raw: object, made: object) -> None:
        """Put what was made of `raw` in its place and wherever else it stands. What is inherited goes into the class itself."""
        is_own = vars(owner).get(name) is raw
        self._replace(owner, name, made)
        for old, new in zip(parts(raw), parts(made), strict=True) if is_own else ():
            self._put_elsewhere(old, new)

    def put_inside(self, descriptor: object, name: str, made: object) -> None:
        """Put what was made of the function inside a descriptor in its place."""
        raw = getattr(descriptor, name)
        self._replace(descriptor, name, made)
        self._put_elsewhere(raw, made)

    def _put_elsewhere(self, raw: object, made: object) -> None:
        places = self._places.get(id(raw), [])
        for owner_of, name in places:
            owner = owner_of()
            if owner is not None and vars(owner).get(name) is raw:
                self._replace(owner, name, made)
        self._places[id(made)] = places

    def _explain(self, module: ModuleType, homes: list[Owner], held: dict[int, Held]) -> None:
        """Find out who has the references. The nearest places come first."""
        spaces = list(_spaces(module, homes))
        for owner, space in spaces:
            if not held.keys().isdisjoint(map(id, list(space.values()))):
                for name, value in list(space.items()):
                    if id(value) in held:
                        held[id(value)].unexplained -= 1
                        self._places.setdefault(id(value), []).append((ref(owner), name))
        for space in _first_classes(spaces, homes):
            for value in list(space.values()):
                if id(value) in held:
                    held[id(value)].unexplained -= 1
        known = {id(space) for _, space in spaces} | {id(entry) for entry in held.values()}
        if self._unexplained_keys(held):
            self._look_around(module, set(known), held)
        if self._unexplained_keys(held):
            self._walk(spaces, known, held)
        self._places = {
            key: places
            for key, places in self._places.items()
            if len(places) > 1 - held[key].of_descriptor and key not in self._takers
        }

    def _unexplained_keys(self, held: dict[int, Held]) -> list[int]:
        """Return the keys of the values with references that are not explained yet."""
        return [key for key, entry in held.items() if entry.unexplained > 0 and key not in self._takers]

    def _look_around(self, module: ModuleType, known: set[int], held: dict[int, Held]) -> None:
        """Look at what can be reached from the module itself: its tables, an application or a router that has it registered."""
        from gc import get_referents

        kept: list[Any] = []  # or an id could be another object's by the time it is compared
        for name, value in list(vars(module).items()):
            inside = list(vars(value).values()) if _is_class_of(module, value) else [value]
            near = [part for part in inside if not _is_far(part)] if not name.startswith("__") else []
            for holder in near:
                if len(kept) >= _MOST_LOOKED_AT:
                    return
                if id(holder) in known:
                    continue
                known.add(id(holder))
                kept.append(holder)
                referents = get_referents(holder)
                self._judge(holder, referents, held, f"{module.__name__}.{name}")
                if type(holder) is not dict or "__builtins__" not in holder:
                    near += [part for part in referents if not _is_far(part)]

    def _walk(self, spaces: list[tuple[Owner, Namespace]], known: set[int], held: dict[int, Held]) -> None:
        """Ask the garbage collector for the holders, once for all values."""
        global _walks
        _walks += 1
        if _walks > _MOST_WALKS:
            self._takers |= dict.fromkeys(self._unexplained_keys(held), "something that was not looked for")
            return
        from gc import get_referents, get_referrers

        wanted = [held[key].value for key in self._unexplained_keys(held)]
        known |= {id(get_referents(space)[0]) for _, space in spaces if type(space) is not dict}  # what a class's proxy is for
        known |= {id(vars(module)) for name, module in list(sys.modules.items()) if _is_own(name)}
        known.add(id(wanted))
        ids = list(map(id, wanted))
        # The arguments of this very call are among them on 3.13, which would keep those alive.
        holders = [holder for holder in get_referrers(*wanted) if type(holder) is not tuple or list(map(id, holder)) != ids]
        for key in self._unexplained_keys(held):  # once more: what was garbage has gone meanwhile, and now nothing goes
            references = _holders({"value": held[key].value}, "value") - 3  # that one, the entry's and that of `wanted`
            held[key].unexplained = references - held[key].of_descriptor - len(self._places.get(key, ()))
        for holder in holders:
            if id(holder) not in known:
                self._judge(holder, get_referents(holder), held, "")
        for key in self._unexplained_keys(held):
            # A variable of a call that goes on, or out of the collector's sight (gc.freeze). Who has a function in C is the
            # interpreter.
            if type(held[key].value) is not BuiltinFunctionType and not _is_running(held[key].value):
                self._takers[key] = "something that cannot be found"

    def _judge(self, holder: object, referents: list[object], held: dict[int, Held], name: str) -> None:
        """Explain the references of one holder: innocent ones are taken off the count, any other makes it the taker."""
        for value in referents:
            if id(value) in held and not (_function_attribute(holder) and any(value is part for part in parts(holder))):
                if _is_innocent(holder, value):
                    held[id(value)].unexplained -= 1
                else:
                    self._takers.setdefault(
                        id(value), _describe_holder(holder) if _is_own(type(holder).__module__) or not name else name
                    )


def _is_far(value: object) -> bool:
    """Say whether it is of no use to look into a value: it leads out of the module, or nowhere."""
    return type(value) in _FAR or issubclass(type(value), type | ModuleType)


_FAR = (str, int, float, bytes, bool, type(None), CodeType)
_TABLES = (dict, list, tuple, set, frozenset)


def _is_own(module_name: str) -> bool:
    return module_name.partition(".")[0] in ("hookmon", "hookmon_bootstrap")


def _spaces(module: ModuleType, homes: list[Owner]) -> Iterator[tuple[Owner, Namespace]]:
    """Yield (module or class, its dictionary) of all modules but our own, of the classes of one module, and of `homes`."""
    others = [other for name, other in list(sys.modules.items()) if not _is_own(name)]
    classes = [value for value in list(vars(module).values()) if _is_class_of(module, value)]
    for owner in {id(owner): owner for owner in (module, *others, *homes, *classes)}.values():
        if issubclass(type(owner), ModuleType):
            yield owner, object.__getattribute__(owner, "__dict__")  # vars() would load a lazy module
        elif issubclass(type(owner), type):
            yield owner, vars(owner)


def _is_class_of(module: ModuleType, value: object) -> bool:
    return issubclass(type(value), type) and type.__getattribute__(value, "__module__") == module.__name__


def _first_classes(spaces: list[tuple[Owner, Namespace]], homes: list[Owner]) -> Iterator[Namespace]:
    """Yield the first namespaces of classes that were made twice, by attrs and `dataclass(slots=True)`.

    The first class is there until the next garbage collection.
    """
    classes = [owner for owner, _ in spaces if not issubclass(type(owner), ModuleType)]
    names = {(owner.__module__, owner.__qualname__): owner for owner in classes}
    for base in {base for owner in homes if not issubclass(type(owner), ModuleType) for base in owner.__bases__}:
        for other in type.__subclasses__(base):
            if names.get((other.__module__, other.__qualname__), other) is not other:
                yield vars(other)


def _is_innocent(holder: Any, value: object) -> bool:
    """Say whether a holder neither calls nor compares a function: it is a copied namespace, or an attribute of the function."""
    from gc import get_referents

    holder_type = type(holder)
    if holder_type in _CALLS:
        return getattr(holder, _CALLS[holder_type]) is getattr(value, "__code__", None)
    for own in get_referents(value):
        if own is holder or (type(own) is tuple and any(cell is holder for cell in own)):
            return True
    if holder_type is not dict:
        return False
    if _is_copy(holder, value):
        return any(holder.get(getattr(part, "__name__", "")) is value for part in parts(value))
    return holder.get("__wrapped__") is value


def _is_copy(space: dict[str, object], value: object) -> bool:
    """Say whether a dictionary is one that attrs has made: a copy of a module's namespace, or what is left of a class's.

    In any other namespace somebody evaluates code, or a class has taken the method.
    """
    from gc import get_referrers

    if "__module__" in space:
        classes = [user for user in get_referrers(space) if issubclass(type(user), type)]
        homes = {getattr(part, "__qualname__", "").rpartition(".")[0] for part in parts(value)}
        return all(type.__getattribute__(cls, "__qualname__") in homes for cls in classes)  # the first of a class made twice
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return "__spec__" in space and module is not None and space["__spec__"] is vars(module).get("__spec__")


_CALLS = {FrameType: "f_code", GeneratorType: "gi_code", CoroutineType: "cr_code", AsyncGeneratorType: "ag_code"}


def _describe_holder(holder: object) -> str:
    holder_type = type(holder)
    if holder_type is CellType:
        return "a closure, as decorators make them"
    if holder_type is MethodType:
        return "a bound method"
    if _is_own(holder_type.__module__):
        return "a framework whose callbacks are timed"
    return (
        f"a {holder_type.__name__}, as registries keep them"
        if holder_type in _TABLES
        else f"an object of the class {holder_type.__qualname__}"
    )


def _is_running(value: object) -> bool:
    """Say whether a call of a function goes on, which holds the function."""
    code = getattr(value, "__code__", None)
    for frame in sys._current_frames().values():
        inner: FrameType | None = frame
        while inner is not None:
            if inner.f_code is code:
                return True
            inner = inner.f_back
    return False
