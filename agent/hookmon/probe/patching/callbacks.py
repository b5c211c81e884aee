"""The callbacks of one registration function: their names, and their stand-ins.

In: what was registered, with the arguments of that call. Out: callbacks that are timed themselves, or stand-ins, in the place of
callbacks or for the methods of objects (see `instances`). Runs in the watched process.

With the compiled engine on CPython 3.12 and newer a function is timed itself where its name says the same whoever calls it: the
framework gets the function or method that the program has. Under a second name it has a stand-in, whose calls go past that.

The same callback under the same name gets the same stand-in as long as that lives: a framework that compares by identity finds
it again. Nothing here keeps a callback alive; whoever stores the stand-in does. A callback that could be told from a stand-in is
left alone, and named as a blind spot.
"""

from __future__ import annotations

from _weakref import CallableProxyType, ReferenceType, ref
from types import FunctionType, MethodType, ModuleType

from hookmon.core.globs import matches
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import (
    CallableName,
    callable_name,
    has_functions_for_keys,
    holds_callables,
    is_closed,
    is_held,
    is_plain_value,
    objects_in,
    own_dictionary,
)
from hookmon.probe.naming.names import span_finder
from hookmon.probe.patching import by_code, instances, lifetimes
from hookmon.probe.patching.codes import remember_callback
from hookmon.probe.patching.contents import Replaced, copy, swap_inside
from hookmon.probe.patching.unchanged import Unchanged, id_in_partial
from hookmon.probe.recording import notes
from hookmon.probe.wrappers.make import RefusedError, can_stand_in, is_timed, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.shapes import Args, Function, KwArgs
    from hookmon.probe.base.target import Span, Target

_MOST_REMEMBERED = 10_000
_MOST_NOTES = 20
"""So many blind spots are named of one registration function."""

_known: dict[int, dict[int, list[tuple[Span, Any]]]] = {}
"""{watch: {id of a callback: [(span, weak reference to its stand-in)]}}. An entry goes when its stand-in dies. Until then the
stand-in keeps the callback, so no other object can have that id."""


class Callbacks:
    """The callbacks of one registration function: finds their names and their stand-ins. No method of it raises."""

    def __init__(self, function: FunctionType, target: Target, watch: WatchPlan, is_method: bool, takes_out: bool) -> None:
        self._function = function
        self._target = target
        self.takes_out = takes_out
        hook = watch["hook"]
        self._methods = hook["methods"]
        self._bases = [hook["base"]] if isinstance(hook["base"], str) else hook["base"]
        self._skipped = hook["skip"]
        self._known = _known.setdefault(watch["id"], {})
        self._unchanged = Unchanged(target, watch)
        self._spans: dict[tuple[int, int, int], tuple[Any, Any, Span]] = {}  # weak references to framework's object and callback
        self._find_span, _ = span_finder(watch["span"], target, function, is_method, ("callable", "object", "method"))
        self._names_weak_references: bool | None = None  # not looked for yet
        self._notes: set[str] = set()

    @shielded(None)
    def swap(self, value: object, args: Args, kwargs: KwArgs, replaced: Replaced | None = None) -> object:
        """Return the stand-in for a callback, None for a value that is handed on as it is: a function that is timed itself, too.

        Where the hook names methods, the value is an object or several: they stay, and their methods are timed. Those in a
        container have their stand-ins there, and are `replaced`.
        """
        if self._methods:
            for owner in objects_in(value):
                self._time_methods(owner, args, kwargs)
            return None
        if replaced is None or callable(value):
            return self._swap_one(value, 0, args, kwargs)
        return swap_inside(value, lambda held, depth: self._swap_one(held, depth, args, kwargs), self._note_keys, replaced)

    def _swap_one(self, value: object, depth: int, args: Args, kwargs: KwArgs) -> object:
        """Return the stand-in for a callback that the framework is given. `depth` is how deep it lies in what was registered."""
        if not callable(value):
            self._note_uncallable(value, depth)
            return None
        may_die = not lifetimes.can_be_kept(value) and can_stand_in(value) and self._finds_weak_references()
        return self._stand_in(value, args, kwargs, may_die=may_die)

    @shielded(None)
    def keep(self, made: object, own: object) -> None:
        """Let a stand-in live as long as its callback, where the framework holds it by a weak reference."""
        timed = made.__func__ if type(made) is MethodType else made
        own = own_of(own)
        number = id(own.__func__ if type(own) is MethodType else own)
        is_weak = lifetimes.keep(made, sum(reference() is timed for _, reference in self._known.get(number, ())))
        if is_weak and not lifetimes.can_be_kept(own):
            self._names_weak_references = True

    @shielded(None)
    def swap_inside(self, value: Any, args: Args, kwargs: KwArgs) -> object:
        """Do the same for the values of a container, in their places; where value is a callback, return its stand-in."""
        if self._methods:
            return self.swap(value, args, kwargs)
        return swap_inside(value, lambda held, depth: self._callback(held, args, kwargs, depth), self._note_keys)

    @shielded(None)
    def copy(self, value: Any, args: Args, kwargs: KwArgs) -> object:
        """Return a copy of a container with stand-ins in it, the stand-in for a callback, or None for neither."""
        return copy(value, lambda held, depth: self._copy_one(held, depth, args, kwargs))

    def _copy_one(self, value: Any, depth: int, args: Args, kwargs: KwArgs) -> object:
        if self._methods:
            return self.swap(value, args, kwargs)
        span = self._span_of(value, args)
        if span is not None and self._unchanged.has(value, span):
            return None
        if span is None:
            made = self._callback(value, args, kwargs, depth)
            self._remember_span(value, args, made)
            return made
        if type(value) is MethodType:
            return MethodType(stand_in(value.__func__, self._target, "", is_method=False, span=span), value.__self__)
        return stand_in(value, self._target, "", is_method=False, span=span)

    def copy_of_result(self, args: Args, kwargs: KwArgs, result: object) -> object:
        """Return the `copy` of what a call with these arguments returned or yielded."""
        return self.copy(result, args, kwargs)

    def _span_of(self, value: object, args: Args) -> Span | None:
        """Return the span of a callback that this object of the framework has handed out before: at each signal that is sent."""
        function, value_type = (value.__func__, type(value.__self__)) if type(value) is MethodType else (value, None)
        found = self._spans.get((id(args[0]) if args else 0, id(function), id(value_type)))
        return found[2] if found is not None and found[0]() is args[0] and found[1]() is function else None

    def _remember_span(self, value: object, args: Args, made: object) -> None:
        if not self._unchanged.is_named_alike or not args:
            return
        function, value_type = (value.__func__, type(value.__self__)) if type(value) is MethodType else (value, None)
        span = None
        if made is None:
            span = self._unchanged.span_of(function)
        elif isinstance(made, FunctionType | MethodType):
            timed = getattr(made, "__func__", made)
            span = next((span for span, reference in self._known.get(id(function), ()) if reference() is timed), None)
        if span is None:
            return
        if len(self._spans) >= _MOST_REMEMBERED:
            self._spans.clear()
        try:
            self._spans[id(args[0]), id(function), id(value_type)] = (ref(args[0]), ref(function), span)
        except TypeError:  # of a class without room for weak references: its names are found each time
            return

    def _callback(self, value: object, args: Args, kwargs: KwArgs, depth: int) -> object:
        """Return the stand-in for a callback, None for any other value. `depth` is how deep it lies in what was registered."""
        if callable(value):
            return self._stand_in(value, args, kwargs)
        self._note_uncallable(value, depth)
        return None

    def _stand_in(
        self, value: Any, args: Args, kwargs: KwArgs, owner: object = None, method: str = "", *, may_die: bool = False
    ) -> object:
        """Return the stand-in for a callable; None where it is left alone, timed itself, or an object whose `__call__` is timed.

        `may_die` says that nothing could keep a stand-in.
        """
        value_type: Any = type(value)
        function = value.__func__ if value_type is MethodType else value
        given = function
        if self._is_renamed(function):
            value = own_of(value)
            function = function._self_function
        if is_timed(function) or (by_code.is_watched(function) and id(function) not in self._known):
            return None
        if not can_stand_in(function):
            if not self.takes_out:
                self._time_object(value, args, kwargs)
            return None
        known = self._known.get(id(function), [])
        itself = self._unchanged.span_of(function) if self.takes_out else None
        if self.takes_out and len(known) < 2 and not (known and itself):
            made = known[0][1]() if known else None
        else:
            name = callable_name(value)
            if owner is None:
                owner = value.__self__ if value_type is MethodType else value
            span = self._span_for(name, owner, method or name.name, args, kwargs)
            if span is None:
                return None
            if itself is not None and itself.name == span.name:
                return None
            if self.takes_out:  # what was registered under this name, else what was registered last
                made = next((timed() for other, timed in known if other.name == span.name), known[-1][1]())
            elif all(other is not span for other, _ in known) and self._unchanged.add(value, span, name, owner):
                return None
            elif may_die:
                self._note_untimed(name, "it may die at any moment, and the framework may hold it by a weak reference")
                return None
            else:
                made = self._stand_in_for(function, span)
        if made is None or made is given:
            return None
        return MethodType(made, value.__self__) if value_type is MethodType else made

    def _span_for(self, name: CallableName, owner: object, method: str, args: Args, kwargs: KwArgs) -> Span | None:
        """Return the span of a callback; None for one that is to be skipped."""
        path = f"{name.module}:{name}"
        if any(path == skipped or path.startswith((f"{skipped}.", f"{skipped}:")) for skipped in self._skipped):
            return None
        return self._find_span(args, {**kwargs, "callable": name, "object": owner, "method": method})

    def _stand_in_for(self, function: Function, span: Span) -> Function | None:
        """Return the stand-in for a function under a name, the same one as long as it lives; None where there can be none."""
        made: Function | None = next((timed() for other, timed in self._known.get(id(function), ()) if other is span), None)
        if made is not None:
            return made
        try:
            made = stand_in(function, self._target, "", is_method=False, span=span)
        except RefusedError as refusal:
            self._note_untimed(span.name, str(refusal))
            return None
        remember_callback(function)
        known, key = self._known, id(function)
        unchanged, number = self._unchanged, id_in_partial(function)
        unchanged.count_partials(number, 1)

        def forget(gone: object) -> None:
            unchanged.count_partials(number, -1)
            left = [pair for pair in known.get(key, ()) if pair[1] is not gone]
            if left:
                known[key] = left
            else:
                known.pop(key, None)

        known.setdefault(key, []).append((span, ref(made, forget)))
        return made

    def _time_object(self, value: object, args: Args, kwargs: KwArgs) -> None:
        """Time the `__call__` of an object, which keeps its place: copying and introspection would tell a stand-in from it."""
        name = callable_name(value)
        if type(value) is MethodType:
            self._note_untimed(name, f"it is a method that is a {type(value.__func__).__name__}, no plain function")
        elif issubclass(type(value), type):
            self._note_untimed(name, "it is a class, and has to stay one")
        elif issubclass(type(value), ReferenceType | CallableProxyType):
            self._note(f"{self._target.path}: callbacks that are held by weak references are left alone and not timed")
        else:
            definer = next(base for base in type(value).__mro__ if "__call__" in vars(base))
            self._time_method(value, definer, "__call__", name, name.name, args, kwargs)

    def _time_methods(self, owner: object, args: Args, kwargs: KwArgs) -> None:
        """Time the methods of an object that the hook names: those of its class in the class, those of its own in the object."""
        if self.takes_out:
            return
        value_type = type(owner)
        if issubclass(value_type, type):
            self._note_untimed(callable_name(owner), "it is a class, and whose methods are called is not known")
            return
        own = owner.__dict__ if isinstance(owner, ModuleType) else own_dictionary(owner)
        names = list(_names_of(value_type, own, self._methods))
        if not names and is_closed(owner):
            self._note_uncallable(owner, 0)
        from_base = _classes_of(value_type, self._bases)
        for name in names:
            if name not in own:
                definer = next(base for base in value_type.__mro__ if name in vars(base))
                raw = vars(definer)[name]
                if definer not in from_base and (callable(raw) or hasattr(type(raw), "__get__")):
                    callback = _name_method(owner, name, instances.function_of(definer, name) or raw)
                    self._time_method(owner, definer, name, callback, name, args, kwargs)
            elif type(own[name]) in (FunctionType, MethodType):
                made = self._stand_in(own[name], args, kwargs, owner, name)
                if made is not None:
                    own[name] = made

    def _time_method(
        self, owner: object, definer: type, name: str, callback: CallableName, method: str, args: Args, kwargs: KwArgs
    ) -> None:
        """Time a method that stands in a class of an object, for this object."""
        function = instances.function_of(definer, name)
        if function is not None and (is_timed(function) or by_code.is_watched(function)):
            return
        span = self._span_for(callback, owner, method, args, kwargs)
        if span is None:
            return
        if function is None:
            self._note_untimed(span.name, f"its {name} is a {type(vars(definer)[name]).__name__}, no plain function")
            return
        timed = instances.stand_in_of(owner, definer, name)
        if timed is not None:
            if all(other is not span for other, reference in self._known.get(id(function), ()) if reference() is timed):
                self._note(f"{span.name} is counted under another name, by which the same object was registered before")
            return
        timed = self._stand_in_for(function, span)
        if timed is not None:
            try:
                instances.time_method(owner, definer, name, timed)
            except RefusedError as refusal:
                self._note_untimed(span.name, str(refusal))

    def _is_renamed(self, function: Any) -> bool:
        """Say whether a function is a stand-in of this table that is registered again, for a part of what it was for."""
        if self.takes_out or self._unchanged.is_named_alike or not is_timed(function):
            return False
        return any(made() is function for _, made in self._known.get(id(function._self_function), ()))

    def note_kept(self, value: object) -> None:
        """Name a container of the program that the framework keeps, without the stand-ins that it had in the call."""
        self._note(f"{self._target.path}: the callbacks in a {type(value).__name__} that is kept are timed in that call only")

    def _note_keys(self, value: dict[object, object]) -> None:
        """Name callbacks that are the keys of a dictionary."""
        if has_functions_for_keys(value):
            self._note(
                f"{self._target.path}: the callbacks that are keys of a {type(value).__name__} are left alone and not timed"
            )

    def _finds_weak_references(self) -> bool:
        if self._names_weak_references is None:
            self._names_weak_references = lifetimes.names_weak_references(self._function)
        return self._names_weak_references

    def _note_uncallable(self, value: object, depth: int) -> None:
        """Name a value that is no callback and may hold some. It is handed on as it is."""
        if self.takes_out:
            return
        type_name = type(value).__name__
        if holds_callables(value):
            self._note(f"{self._target.path}: the callbacks in a {type_name} are left alone and not timed")
        elif is_closed(value) or (depth == 0 and not is_held(value) and not is_plain_value(value)):
            self._note(f"{self._target.path}: a {type_name} is no callback, and is not looked through for callbacks")

    def _note_untimed(self, name: str, reason: str) -> None:
        self._note(f"{name} is not timed: {reason}")

    def _note(self, text: str) -> None:
        """Name a blind spot, each once."""
        if text not in self._notes and len(self._notes) < _MOST_NOTES:
            self._notes.add(text)
            notes.note("hook", text)


def own_of(value: Any) -> Any:
    """Return what a stand-in stands in for, any other value as it is."""
    function: Any = value.__func__ if type(value) is MethodType else value
    if not is_timed(function):
        return value
    return MethodType(function._self_function, value.__self__) if type(value) is MethodType else function._self_function


def _names_of(value_type: type, own: KwArgs, patterns: list[str]) -> Iterator[str]:
    """Yield the names of an object's attributes that a pattern stands for: of its class, and its own."""
    for name in {**dict.fromkeys(name for base in value_type.__mro__ for name in vars(base)), **dict.fromkeys(own)}:
        if any(matches(name, pattern) for pattern in patterns):
            yield name


def _classes_of(value_type: type, bases: list[str]) -> set[type]:
    """Return those of a framework's classes `bases` that a class inherits from, each with its own bases."""
    return {base for cls in value_type.__mro__ if f"{cls.__module__}:{cls.__qualname__}" in bases for base in cls.__mro__}


def _name_method(owner: object, name: str, raw: object) -> CallableName:
    """Return what a method of an object is called; for what is no function, by the object's class."""
    if isinstance(raw, FunctionType):
        return callable_name(MethodType(raw, owner))
    found = CallableName(f"{callable_name(owner)}.{name}")
    found.name, found.module = name, callable_name(owner).module
    return found
