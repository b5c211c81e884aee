"""The functions of a module, by its code: also those that nobody can get at by a name, as they are decorated or nested.

In: the code object of a module, and an entry of `calls`. Out: the code objects of the functions that the entry stands for. Runs
in the watched process, before a watched module is executed.
"""

from __future__ import annotations

from _weakref import ref
from types import CodeType, FunctionType

from hookmon.core.globs import is_glob, matches
from hookmon.probe.base.frames import asks_for_frames
from hookmon.probe.wrappers.events import RUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPTIMIZED = 0x01  # of a function's body, and not of a module's or a class's: inspect.CO_OPTIMIZED
_PARTS_OF_A_FUNCTION = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_GETTERS = frozenset(("property", "abstractproperty"))
LOCALS = "<locals>"
_SCOPE = "<generic parameters"  # around what has type parameters, from 3.12 on


_MOST_CALLBACKS = 10_000
_callbacks: dict[int, tuple[ref[CodeType], str]] = {}
"""{id of a callback's code: (that, "module:name")}."""


def remember_callback(function: object) -> None:
    """Remember that a function, or one with its code, is timed as a callback: what translates code is not given the function."""
    if isinstance(function, FunctionType):  # or a wrapper of one
        code = function.__code__
        if id(code) not in _callbacks and len(_callbacks) < _MOST_CALLBACKS:
            number = id(code)
            _callbacks[number] = (
                ref(code, lambda _: _callbacks.pop(number, None)),
                f"{function.__module__}:{function.__qualname__}",
            )


def callback_of(code: CodeType) -> str:
    """Return "module:name" of the callback that has a code object, "" where none has."""
    found = _callbacks.get(id(code))
    return found[1] if found is not None and found[0]() is code else ""


class CodeOfFunction:
    """A function's code. `name` is its qualified name, `is_method` says that it stands in the body of a class."""

    __slots__ = ("code", "is_method", "name")

    def __init__(self, code: CodeType, is_method: bool) -> None:
        self.code = code
        self.name = code.co_qualname
        self.is_method = is_method


def functions_in(code: CodeType) -> Iterator[CodeOfFunction]:
    """Yield all functions in the body of a module, class or function, in the order in which they stand there, nested ones after
    those that they are nested in. Comprehensions and generator expressions are parts of a function, and no functions."""
    yield from _functions_in(code, False)


def _functions_in(code: CodeType, is_class: bool) -> Iterator[CodeOfFunction]:
    for constant in code.co_consts:
        if type(constant) is not CodeType:
            continue
        is_scope = constant.co_name.startswith(_SCOPE)
        is_function = bool(constant.co_flags & _OPTIMIZED)
        if is_function and not is_scope and constant.co_name not in _PARTS_OF_A_FUNCTION:
            yield CodeOfFunction(constant, is_class)
        yield from _functions_in(constant, is_class if is_scope else not is_function)


def find_own(code: CodeType) -> list[CodeType]:
    """Return the functions in the body of a module, without getters of properties, and those of one line with no loop in them.

    What these do counts as done by their caller. To time them would cost more than they take.
    """
    found: list[CodeType] = []
    _find_own(code, False, found)
    return found


def _find_own(code: CodeType, is_class: bool, found: list[CodeType]) -> None:
    getters = _getters(code) if is_class and not _GETTERS.isdisjoint(code.co_names) else ()
    for constant in code.co_consts:
        if type(constant) is CodeType:
            is_function = constant.co_flags & _OPTIMIZED and constant.co_name[:8] != "<generic"
            if is_function and (not getters or id(constant) not in getters) and is_worth_it(constant):
                found.append(constant)
            _find_own(constant, not is_function, found)


def getters_of_class(module: CodeType, name: str) -> set[int]:
    """Return the ids of the getters of properties in the body of a class, by the qualified name of that."""
    found: set[int] = set()
    for constant in module.co_consts:
        if type(constant) is CodeType:
            if constant.co_qualname == name:
                found |= _getters(constant) if not _GETTERS.isdisjoint(constant.co_names) else set()
            elif name.startswith(constant.co_qualname) or constant.co_name.startswith(_SCOPE):
                found |= getters_of_class(constant, name)
    return found


def is_worth_it(code: CodeType) -> bool:
    """Say whether a function has more than one line, or one with a loop, a recursion or a function in it."""
    name = code.co_name
    if name in _PARTS_OF_A_FUNCTION:
        return False
    arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    if code.co_nlocals > arguments or name in code.co_names:
        return True
    first = code.co_firstlineno
    only = None
    for _, _, line in code.co_lines():
        if line is not None and line not in (first, only):
            if only is not None:
                return True
            only = line
    return any(type(constant) is CodeType for constant in code.co_consts)


def _getters(code: CodeType) -> set[int]:
    """Return the ids of the functions in the body of a class that have `@property` as a decorator, by its bytecode."""
    from opcode import EXTENDED_ARG, opmap

    found: set[int] = set()
    load_name, load, store = opmap["LOAD_NAME"], opmap["LOAD_CONST"], opmap["STORE_NAME"]
    instructions = code.co_code
    argument = 0
    is_decorated = False
    for at in range(0, len(instructions), 2):
        operation = instructions[at]
        argument = argument << 8 | instructions[at + 1]
        if operation == EXTENDED_ARG:
            continue
        if operation == load_name:
            is_decorated = is_decorated or code.co_names[argument] in _GETTERS
        elif operation == store:
            is_decorated = False
        elif operation == load and is_decorated and type(code.co_consts[argument]) is CodeType:
            found.add(id(code.co_consts[argument]))
        argument = 0
    return found


def is_method(name: str) -> bool:
    """Say whether a qualified name is that of a function in the body of a class."""
    owner, _, _ = name.rpartition(".")
    return bool(owner) and not owner.endswith(LOCALS)


def stands_for(call: str, name: str) -> bool:
    """Say whether an entry of `calls` stands for the function of a qualified name.

    A class stands for its `__init__`. `*` is all below: functions, methods, those of nested classes; and with `<locals>` in
    front of it, or as `**`, functions within functions and lambdas. Another glob is for one level. Names with two underscores on
    both sides are meant only by a glob that begins with them.
    """
    if not is_glob(call):
        return name in (call, f"{call}.__init__")
    owner, _, last = name.rpartition(".")
    pattern_owner, _, pattern = call.rpartition(".")
    if last.startswith("__") and last.endswith("__") and not pattern.startswith("__"):
        return False
    if pattern == "**":
        return not pattern_owner or name.startswith(f"{pattern_owner}.")
    if LOCALS in call:
        return matches(name, call)
    if pattern == "*":
        below = name.removeprefix(f"{pattern_owner}.") if pattern_owner else name
        return (not pattern_owner or below != name) and LOCALS not in below and not last.startswith("<")
    return owner == pattern_owner and matches(last, pattern)


def rebuild(
    code: CodeType, injectors: dict[int, Callable[[CodeType], CodeType]], made: dict[int, tuple[CodeType, CodeType]]
) -> CodeType:
    """Return code in which some functions have calls in them. What has none is the same object as before.

    `made` gets what is new only as its functions are: {id of the old one: (new, old)}.
    """
    constants = tuple(
        [rebuild(constant, injectors, made) if type(constant) is CodeType else constant for constant in code.co_consts]
    )
    is_new = any(new is not old for new, old in zip(constants, code.co_consts, strict=True))
    present = code.replace(co_consts=constants) if is_new else code
    make = injectors.get(id(code))
    if make is not None:
        return make(present)
    if is_new:
        made[id(code)] = present, code
    return present


def plainly_defined(code: CodeType) -> set[int]:
    """Return the ids of the functions of a module and its classes that a name leads to, by the bytecode of 3.11.

    What has a decorator is called once more before it is stored. Functions within functions are not among them, nor those that
    name themselves, as a recursion through wrappers takes C stack, nor those that make a generator or coroutine, which is to
    stay what it is, nor those that count frames, nor those that may be called while the module is executed, before a wrapper is
    there.
    """
    return _defined(code) - _called_early(code)


def _defined(code: CodeType) -> set[int]:
    from opcode import EXTENDED_ARG, opmap

    found: set[int] = set()
    load, make = opmap["LOAD_CONST"], opmap["MAKE_FUNCTION"]
    stores = {opmap[name] for name in ("STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF")}
    instructions = code.co_code
    argument = 0
    last: object = None
    for at in range(0, len(instructions) - 2, 2):
        operation = instructions[at]
        argument = argument << 8 | instructions[at + 1]
        if operation == EXTENDED_ARG:
            continue
        if operation == load:
            last = code.co_consts[argument]
        elif operation == make and instructions[at + 2] in stores and type(last) is CodeType:
            names_itself = last.co_name in last.co_names
            if not (names_itself or last.co_name == "<lambda>" or last.co_flags & RUNS or asks_for_frames(last)):
                found.add(id(last))
        argument = 0
    for constant in code.co_consts:
        if type(constant) is CodeType and not constant.co_flags & _OPTIMIZED:  # the body of a class
            found |= _defined(constant)
    return found


def _called_early(code: CodeType) -> set[int]:
    """Return the ids of the functions that the body of a module may call, by what it names, and what they name in turn."""
    functions: dict[str, list[CodeType]] = {}
    makers: dict[str, list[CodeType]] = {}
    names: set[str] = set()
    _name_early(code, functions, makers, names)
    found: set[int] = set()
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        for function in (*functions.get(name, ()), *makers.get(name, ())):
            if id(function) not in found:
                found.add(id(function))
                fresh = _names_within(function) - names
                names |= fresh
                wanted.extend(fresh)
    return found


def _name_early(code: CodeType, functions: dict[str, list[CodeType]], makers: dict[str, list[CodeType]], names: set[str]) -> None:
    """Add what a body names to `names`, and by their names its functions, and what a class may call as it is used to `makers`."""
    names |= _loaded(code)
    for constant in code.co_consts:
        if type(constant) is CodeType:
            if constant.co_flags & _OPTIMIZED:
                functions.setdefault(constant.co_name, []).append(constant)
                if constant.co_name[:2] == "__":
                    makers.setdefault(code.co_name, []).append(constant)
            else:
                _name_early(constant, functions, makers, names)


def _names_within(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if type(constant) is CodeType:
            names |= _names_within(constant)
    return names


def _loaded(code: CodeType) -> set[str]:
    """Return the names that the body of a module or class reads, but for what stands behind `if __name__ == "__main__":`."""
    from opcode import EXTENDED_ARG, hasname, opmap

    loads = {opmap[name] for name in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD")} & set(hasname)
    load_global, constant, skip = opmap["LOAD_GLOBAL"], opmap["LOAD_CONST"], opmap["POP_JUMP_FORWARD_IF_FALSE"]
    found: set[str] = set()
    instructions = code.co_code
    argument = 0
    last: object = None
    is_for_main = False
    at = 0
    while at < len(instructions):
        operation = instructions[at]
        argument = argument << 8 | instructions[at + 1]
        at += 2
        if operation == EXTENDED_ARG:
            continue
        if operation in loads:
            last = code.co_names[argument >> 1 if operation == load_global else argument]
            found.add(last)
        elif operation == constant:
            is_for_main = last == "__name__" and code.co_consts[argument] == "__main__"
            last = None
        elif operation == skip and is_for_main:
            at += 2 * argument
            is_for_main = False
        argument = 0
    return found
