"""Calls put into bytecode are made, and change nothing else of a function: CPython 3.11 only."""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
import opcode
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest
from support.fresh import AGENT
from support.small_programs import PROGRAMS

from hookmon.probe.patching import injection
from hookmon.probe.patching.injection import inject

ON_3_11 = sys.version_info[:2] == (3, 11) and sys.implementation.name == "cpython"
pytestmark = pytest.mark.skipif(not ON_3_11, reason="calls are put into bytecode of CPython 3.11 only")

EVENTS = ("start", "returned", "unwound", "yielded", "resumed")


def replace_nested(code: CodeType, replace: Callable[[CodeType], CodeType]) -> CodeType:
    """Return code with the codes among its constants replaced, the innermost first."""
    constants = [replace(replace_nested(value, replace)) if isinstance(value, CodeType) else value for value in code.co_consts]
    return code.replace(co_consts=tuple(constants))


class Calls:
    """Counts the calls of each code that it puts calls into, with C objects."""

    def __init__(self, *, takes_arguments: bool = False) -> None:
        self.takes_arguments = takes_arguments
        self.counters: list[tuple[CodeType, dict[str, itertools.count[int]]]] = []

    def inject(self, code: CodeType) -> CodeType:
        """Put calls into the code of a function, and into those that it makes; leave those of classes and modules."""
        code = replace_nested(code, self.inject_one)
        return self.inject_one(code)

    def inject_one(self, code: CodeType) -> CodeType:
        """Put calls into one code."""
        if not code.co_flags & inspect.CO_OPTIMIZED:
            return code
        counters = {event: itertools.count() for event in EVENTS}
        self.counters.append((code, counters))
        calls: dict[str, Any] = {event: counter.__next__ for event, counter in counters.items()}
        if self.takes_arguments:
            calls["start"] = lambda *_, count=counters["start"].__next__: count()
        calls["waited"] = calls["yielded"]
        return inject(code, **calls, takes_arguments=self.takes_arguments)

    def of(self, name: str) -> dict[str, int]:
        """Return how often each callable of a function was called."""
        total: Counter[str] = Counter()
        for code, counters in self.counters:
            if code.co_name == name:
                total.update({event: read(counter) for event, counter in counters.items()})
        return {event: total[event] for event in EVENTS}

    def unbalanced(self) -> list[tuple[str, dict[str, int]]]:
        """Return the codes of which not every call has ended."""
        found = []
        for code, counters in self.counters:
            counts = {event: read(counter) for event, counter in counters.items()}
            if counts["start"] != counts["returned"] + counts["unwound"]:
                found.append((code.co_qualname, counts))
        return found


def read(counter: itertools.count[int]) -> int:
    """Return how often a counter was stepped."""
    return counter.__reduce__()[1][0]  # type: ignore[no-any-return]


def with_calls(function: Any, **calls: Any) -> Any:
    """Return a copy of a function with calls in it; those not given do nothing."""
    code = inject(function.__code__, **{"start": tuple, "returned": tuple, "unwound": tuple} | calls)
    copy = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


# --- what a program does is what it did -------------------------------------------------------------------------------------


def positions_of(error: BaseException) -> list[object]:
    """Return an exception as a traceback tells it: each frame with the position of what raised, and what it came from."""
    told: list[object] = [repr(error)]
    entry = error.__traceback__
    while entry:
        code = entry.tb_frame.f_code
        positions = next(itertools.islice(code.co_positions(), entry.tb_lasti // 2, None))
        told.append((code.co_name, entry.tb_lineno, positions, entry.tb_frame.f_lineno))
        entry = entry.tb_next
    told += ["".join(traceback.format_exception(error, limit=-20))]
    for other in (error.__cause__, error.__context__):
        told.append(positions_of(other) if other else None)
    return told


def observe(source: str, change: Callable[[CodeType], CodeType], *, traced: bool) -> dict[str, object]:
    """Run a program's `main` and tell what can be seen of it, line by line if `traced`."""
    filename = "program.py"
    lines: list[object] = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != filename:
            return None
        told = type(argument).__name__ if event == "return" else argument[0].__name__ if event == "exception" else None
        lines.append((frame.f_code.co_name, event, frame.f_lineno, told))
        return trace

    space: dict[str, Any] = {"__name__": "program"}
    exec(change(compile(source, filename, "exec", dont_inherit=True)), space)
    outcome: object
    before = sys.gettrace()
    if traced:
        sys.settrace(trace)
    try:
        outcome = repr(space["main"]())
    except Exception as error:
        sys.settrace(before)
        outcome = [told for told in positions_of(error) if not (isinstance(told, tuple) and told[0] == "observe")]
    finally:
        sys.settrace(before)
    space.clear()
    return {"outcome": outcome, "lines": lines}


@pytest.mark.parametrize("takes_arguments", [False, True], ids=["", "arguments"])
@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_program_does_what_it_did(source: str, takes_arguments: bool) -> None:
    """Results, errors, tracebacks with columns and line events are the same, and each begun call ends."""
    for traced in (False, True):
        calls = Calls(takes_arguments=takes_arguments)
        plain = observe(source, lambda code: code, traced=traced)
        assert observe(source, calls.inject, traced=traced) == plain
        assert calls.counters
        assert not calls.unbalanced()


# --- which calls are made, and when -----------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_interpreter() -> None:
    """Opcodes, jumps and caches are what the interpreter's own tables say."""
    ours = {name[1:]: value for name, value in vars(injection).items() if name[1:] in opcode.opmap}
    assert len(ours) > 15
    assert ours == {name: opcode.opmap[name] for name in ours}
    assert sorted(injection._FORWARD_JUMPS + injection._BACKWARD_JUMPS) == opcode.hasjrel
    assert {opcode.opname[number] for number in injection._BACKWARD_JUMPS} == {
        name for name in opcode.opmap if "JUMP_BACKWARD" in name
    }
    assert not opcode.hasjabs
    caches = opcode._inline_cache_entries  # type: ignore[attr-defined]
    assert caches[opcode.opmap["PRECALL"]] == injection._PRECALL_CACHES
    assert caches[opcode.opmap["CALL"]] == injection._CALL_CACHES
    assert not any(caches[number] for number in opcode.hasjrel)


def count(source: str, name: str) -> dict[str, int]:
    """Run a program's `main`, and return how often the callables of a function of it were called."""
    calls = Calls()
    observe(source, calls.inject, traced=False)
    return calls.of(name)


@pytest.mark.parametrize(
    ("program", "name", "counts"),
    [
        ("recursion", "f", (20, 20, 0, 0, 0)),
        ("early returns", "f", (4, 4, 0, 0, 0)),
        ("or", "f", (2, 2, 0, 0, 0)),
        ("raised", "g", (1, 0, 1, 0, 0)),
        ("raised", "f", (1, 0, 1, 0, 0)),
        ("raised caught often", "g", (50, 0, 50, 0, 0)),
        ("raised caught often", "f", (1, 1, 0, 0, 0)),
        ("reraise", "f", (1, 0, 1, 0, 0)),
        ("finally raises", "f", (1, 0, 1, 0, 0)),
        ("finally returns", "f", (1, 1, 0, 0, 0)),
        ("too many", "f", (0, 0, 0, 0, 0)),
        ("with", "f", (3, 2, 1, 0, 0)),
        ("closures of a factory", "<lambda>", (4, 4, 0, 0, 0)),
        ("generator", "f", (1, 1, 0, 2, 2)),
        ("generator ends", "f", (1, 1, 0, 3, 3)),
        ("generator raises", "f", (1, 0, 1, 1, 1)),
        ("throw", "f", (1, 1, 0, 2, 1)),
        ("throw before the start", "f", (0, 0, 0, 0, 0)),
        ("throw uncaught", "f", (1, 0, 1, 1, 0)),
        ("close", "f", (1, 0, 1, 1, 0)),
        ("dropped", "f", (1, 0, 1, 1, 0)),
        ("yield from", "f", (1, 1, 0, 3, 3)),
        ("yield from", "g", (1, 1, 0, 1, 1)),
        ("yield from throws", "f", (2, 2, 0, 4, 3)),
        ("yield from closes", "f", (1, 0, 1, 1, 0)),
        ("coroutine", "f", (1, 1, 0, 0, 0)),
        ("coroutine", "g", (2, 2, 0, 0, 0)),
        ("asyncio", "g", (5, 5, 0, 5, 5)),
        ("cancel", "g", (1, 1, 0, 1, 0)),
        ("wait_for", "g", (1, 0, 1, 1, 0)),
        ("async generator", "g", (1, 1, 0, 6, 6)),
        ("asend, athrow, aclose", "g", (1, 0, 1, 5, 3)),
        ("types.coroutine", "g", (1, 1, 0, 1, 1)),
    ],
)
def test_calls_are_counted(program: str, name: str, counts: tuple[int, ...]) -> None:
    """A start for each begun body, one end, and each suspension and resumption."""
    assert tuple(count(PROGRAMS[program], name).values()) == counts


def test_calls_come_in_order() -> None:
    """Start, yields and resumptions, return: around what the body does."""
    log: list[str] = []

    def body() -> Iterator[int]:
        log.append("first")
        yield 1
        log.append("second")
        yield from (2,)
        log.append("last")

    made = with_calls(body, **{event: functools.partial(log.append, event) for event in (*EVENTS, "waited")})()
    assert log == []
    assert list(made) == [1, 2]
    assert log == ["start", "first", "yielded", "resumed", "second", "waited", "resumed", "last", "returned"]


def test_unwound_sees_the_exception() -> None:
    """The exception that leaves is the handled one, and the one handled before is so again afterwards."""
    seen: list[object] = []

    def leave(error: Exception) -> None:
        raise error

    error, outer = ValueError(), KeyError()
    watched = with_calls(leave, unwound=lambda: seen.append(sys.exc_info()[1]))
    try:
        raise outer
    except KeyError:
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            watched(error)
        assert sys.exc_info()[1] is outer
    assert raised.value is error
    assert seen == [error]
    assert error.__context__ is outer
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("event", ["start", "returned", "unwound"])
def test_callable_that_raises_leaves_the_frame(event: str) -> None:
    """What a callable raises replaces what the function does, no further callable is called, and nothing stays handled."""
    log: list[str] = []
    calls: dict[str, Any] = {name: functools.partial(log.append, name) for name in ("start", "returned", "unwound")}
    calls[event] = lambda: 1 // 0

    def f(value: int) -> float:
        return 1 / int(value)

    with pytest.raises(ZeroDivisionError) as raised:
        with_calls(f, **calls)("no" if event == "unwound" else 1)
    assert log == [] if event == "start" else ["start"]
    assert isinstance(raised.value.__context__, ValueError if event == "unwound" else type(None))
    assert sys.exc_info() == (None, None, None)


def test_start_takes_the_positional_parameters() -> None:
    """Their values as the call gives them: defaults filled in, those in cells too, no keyword-only ones."""
    seen: list[object] = []

    def f(a: int, b: int, /, c: int = 3, *rest: int, d: int = 4, **others: int) -> Any:
        def inner() -> object:
            return b, d

        b += 1
        return inner(), a, c, rest, others

    watched = with_calls(f, start=lambda *values: seen.append(values))
    assert watched(1, 2) == f(1, 2)
    assert seen == [()]
    watched.__code__ = inject(
        f.__code__, start=lambda *values: seen.append(values), returned=tuple, unwound=tuple, takes_arguments=True
    )
    assert watched(1, 2, 5, 6, d=7, e=8) == f(1, 2, 5, 6, d=7, e=8)
    assert watched(1, 2) == f(1, 2)
    assert seen == [(), (1, 2, 5), (1, 2, 3)]


def test_start_takes_many_parameters() -> None:
    """More parameters than a byte can count, and constants and jumps as far."""
    space: dict[str, Any] = {}
    names = [f"a{number}" for number in range(300)]
    constants = "\n".join(f"    x = {number}.5" for number in range(300))
    exec(f"def f({', '.join(names)}):\n{constants}\n    return lambda: a299 - a1 + x", space)
    seen: list[Any] = []
    code = inject(
        space["f"].__code__, start=lambda *values: seen.append(values), returned=tuple, unwound=tuple, takes_arguments=True
    )
    assert FunctionType(code, space)(*range(300))() == 298 + 299.5
    assert seen == [tuple(range(300))]


def test_recursion_goes_as_deep() -> None:
    """Neither frames nor nested calls are added where the callables implement vectorcall, as types do."""

    def depth(reached: list[int]) -> None:
        reached[0] += 1
        depth(reached)

    def deepest(function: Any) -> int:
        reached = [0]
        with pytest.raises(RecursionError):
            function(reached)
        return reached[0]

    plain = deepest(depth)
    original = depth.__code__
    depth.__code__ = inject(original, start=tuple, returned=tuple, unwound=tuple)
    assert deepest(depth) == plain
    depth.__code__ = inject(original, start=tuple, returned=tuple, unwound=tuple, takes_arguments=True)
    assert deepest(depth) == plain


def test_leaf_at_the_limit_returns() -> None:
    """A function that is called at the very limit returns there as without calls in it."""

    def leaf() -> None:
        pass

    def descend(left: int) -> None:
        if left:
            descend(left - 1)
        else:
            leaf()

    def reaches(left: int) -> bool:
        try:
            descend(left)
        except RecursionError:
            return False
        return True

    most = 0
    while reaches(most + 1):
        most += 1
    for function in (leaf, descend):
        function.__code__ = inject(function.__code__, start=tuple, returned=tuple, unwound=tuple)
    assert reaches(most)
    assert not reaches(most + 1)


# --- generators and coroutines ----------------------------------------------------------------------------------------------


class Waits:
    """Suspends once."""

    def __await__(self) -> Iterator[str]:
        yield "waits"


def everything(function: Any) -> Any:
    return with_calls(function, yielded=tuple, waited=tuple, resumed=tuple)


def test_what_a_generator_waits_for_is_seen() -> None:
    """`gi_yieldfrom`, `cr_await` and `ag_await` tell it while suspended there, and nothing elsewhere."""

    def inner() -> Iterator[int]:
        yield 1

    def f(iterator: Any) -> Any:
        yield 0
        yield from iterator
        yield 2

    delegate = inner()
    made = everything(f)(delegate)
    assert made.gi_yieldfrom is None
    assert [made.gi_yieldfrom for _ in made] == [None, delegate, None]

    async def waits() -> None:
        await Waits()

    async def generates() -> Any:
        await Waits()
        yield 1

    coroutine = everything(waits)()
    assert coroutine.cr_await is None
    assert coroutine.send(None) == "waits"
    assert coroutine.cr_await is not None
    coroutine.close()
    generator = everything(generates)()
    assert generator.asend(None).send(None) == "waits"
    assert generator.ag_await is not None


def test_states_are_told() -> None:
    """`inspect` tells the state of a generator, and its locals."""

    def f(a: int) -> Iterator[int]:
        b = a
        yield b

    made = everything(f)(4)
    assert inspect.getgeneratorstate(made) == inspect.GEN_CREATED
    assert made.gi_frame.f_lineno == f.__code__.co_firstlineno
    next(made)
    assert inspect.getgeneratorstate(made) == inspect.GEN_SUSPENDED
    assert inspect.getgeneratorlocals(made) == {"a": 4, "b": 4}
    assert made.gi_frame.f_lineno == f.__code__.co_firstlineno + 2
    made.gi_frame.clear()
    assert inspect.getgeneratorstate(made) == inspect.GEN_CLOSED


def test_coroutine_that_is_not_awaited_warns() -> None:
    """As without calls in it; nothing is counted."""

    async def f() -> None:
        pass

    begun = itertools.count()
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        with_calls(f, start=begun.__next__)()
    assert read(begun) == 0


def test_signal_does_not_part_a_coroutine_from_what_it_awaits() -> None:
    """No inserted instruction lets a signal handler run: what it raises comes out of the innermost one, as ever."""
    library = pytest.importorskip("ctypes").CDLL(None)
    send = functools.partial(getattr(library, "raise"), signal.SIGUSR1)  # the signal module would run the handler itself

    class Stop(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stop

    where: list[str] = []

    def inner() -> Iterator[int]:
        try:
            yield 1
            yield 2
        except Stop:
            where.append("inner")
            raise

    def outer() -> Any:
        yield from inner()

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        made = with_calls(outer, waited=tuple, resumed=send)()
        next(made)
        with pytest.raises(Stop):
            next(made)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert where == ["inner"]


# --- places -----------------------------------------------------------------------------------------------------------------


class Instruction(NamedTuple):
    """An instruction with its argument, or the place of its target, and its position in the source."""

    offset: int
    name: str
    argument: int
    position: tuple[int | None, ...]


def instructions_of(code: CodeType) -> list[Instruction]:
    """Return all instructions but EXTENDED_ARG. (`dis` tells the same, but takes minutes for long functions.)"""
    positions = list(code.co_positions())
    units = code.co_code
    found = []
    extended = skip = 0
    for offset in range(0, len(units), 2):
        if skip:
            skip -= 1
            assert units[offset : offset + 2] == bytes(2)
            continue
        number, argument = units[offset], extended << 8 | units[offset + 1]
        extended = argument if number == opcode.EXTENDED_ARG else 0
        if number == opcode.EXTENDED_ARG:
            continue
        name = opcode.opname[number]
        if number in opcode.hasjrel:
            argument = offset + 2 + (-2 if "BACKWARD" in name else 2) * argument
        skip = opcode._inline_cache_entries[number]  # type: ignore[attr-defined]
        found.append(Instruction(offset, name, argument, positions[offset // 2]))
    return found


JUMPS = {opcode.opname[number] for number in opcode.hasjrel}


def plain_instructions(code: CodeType) -> tuple[list[object], list[object]]:
    """Return what each instruction says and where it stands in the source, and its handler; without what was put in."""
    ours = {index for index, constant in enumerate(code.co_consts) if type(constant) is itertools.starmap}
    instructions = instructions_of(code)
    kept: list[Instruction] = []
    send = None
    index = 0
    while index < len(instructions):
        found = instructions[index]
        if found.name == "PUSH_EXC_INFO":
            following = instructions[index + 1]
            if following.name == "LOAD_CONST" and following.argument in ours:
                break  # our handler, the last
        if found.name == "LOAD_CONST" and found.argument in ours:
            names = [following.name for following in instructions[index + 1 : index + 8]]
            assert names[:3] == ["FOR_ITER", "POP_TOP", "POP_TOP"]
            index += 4
            if names[3:5] == ["JUMP_FORWARD", "SEND"]:
                assert names[4:] == ["SEND", "YIELD_VALUE", "RESUME"]
                assert instructions[index].argument == instructions[index + 2].offset
                assert send is not None
                assert send.argument == instructions[index + 1].argument
                index += 2
            continue
        if found.name == "SEND":
            send = found
        kept.append(found)
        index += 1
    ordinals = {found.offset: ordinal for ordinal, found in enumerate(kept)}
    end = kept[-1].offset + 2
    landing = {}  # a jump to an inserted call, or to an EXTENDED_ARG, goes on at the instruction after it
    ordinal = len(kept)
    for offset in range(end, -2, -2):
        ordinal = landing[offset] = ordinals.get(offset, ordinal)
    handled = {}
    for entry in dis._parse_exception_table(code):  # type: ignore[attr-defined]
        if entry.target < end:
            handled |= dict.fromkeys(range(entry.start, entry.end, 2), (landing[entry.target], entry.depth, entry.lasti))
    told = [(found.name, landing[found.argument] if found.name in JUMPS else found.argument, found.position) for found in kept]
    return list(told), [handled.get(found.offset) for found in kept]


def all_codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & inspect.CO_OPTIMIZED:
                yield constant
            yield from all_codes(constant)


LIBRARY = Path(sysconfig.get_paths()["stdlib"])
PACKAGES = ("asyncio", "email", "json", "unittest", "importlib", "concurrent/futures", "logging", "xml/dom")


@pytest.mark.parametrize(
    "source", [*PACKAGES, *(f"{name}.py" for name in ("_pydecimal", "ast", "argparse", "dataclasses", "typing", "inspect"))]
)
def test_instructions_stay(source: str) -> None:
    """In a library, every instruction, jump, handler and position is there as before, without the inserted ones."""
    path = LIBRARY / source
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    number = 0
    for file in files:
        for code in all_codes(compile(file.read_bytes(), str(file), "exec", dont_inherit=True)):
            changed = inject(code, start=tuple, returned=tuple, unwound=tuple, yielded=tuple, waited=tuple, resumed=tuple)
            assert plain_instructions(changed) == plain_instructions(code), code.co_qualname
            assert [line for _, line in dis.findlinestarts(changed)] == [line for _, line in dis.findlinestarts(code)]
            assert changed.co_consts[: len(code.co_consts)] == code.co_consts
            number += 1
    assert number > 20


LONG = {
    "loop": """
def f(n):
    total = 0
    for i in range(n):
        if i == 5:
            return total
        FILL
        if i == 3:
            break
    return total
""",
    "while": """
def f(n):
    total = 0
    while n:
        n -= 1
        FILL
    return total
""",
    "try": """
def f(n):
    total = 0
    try:
        FILL
        total / (n - 2)
    except ZeroDivisionError:
        FILL
    finally:
        FILL
    return total
""",
    "returns": """
def f(n):
    while n < 9:
        n += 1
        FILL
    return n
""",
    "yields": """
def g(n):
    while n:
        n -= 1
        FILL
def f(n):
    return sum(g(n))
""",
}
FILL = {"returns": "if n == NUMBER: return NUMBER", "yields": "yield n"}


def far(statements: int, kind: str) -> str:
    """Return the source of a function whose jumps span so many statements."""
    statement = FILL.get(kind, "total += NUMBER")
    lines = []
    for line in LONG[kind].splitlines():
        if "FILL" in line:
            lines += [line.replace("FILL", statement.replace("NUMBER", str(number % 300))) for number in range(statements)]
        else:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        *((kind, range(1, 70)) for kind in ("loop", "while", "try", "returns", "yields")),  # 256 units lie between
        ("loop", (13103, 13105)),  # and 65536
        ("while", (13105,)),
        ("try", (6600,)),
        ("returns", (6000,)),
        ("yields", (6000,)),
    ],
)
def test_jumps_may_grow(kind: str, sizes: Sequence[int]) -> None:
    """A jump over what was put in gets the EXTENDED_ARGs that it needs, and those over them too."""
    for size in sizes:
        spaces = []
        for change in (lambda code: code, Calls().inject):
            space: dict[str, Any] = {}
            exec(change(compile(far(size, kind), "far.py", "exec", dont_inherit=True)), space)
            spaces.append(space)
        plain, changed = (space["f"] for space in spaces)
        assert [changed(n) for n in range(8)] == [plain(n) for n in range(8)]
        code = spaces[0].get("g", plain).__code__
        assert plain_instructions(
            inject(code, start=tuple, returned=tuple, unwound=tuple, yielded=tuple, waited=tuple, resumed=tuple)
        ) == plain_instructions(code)


def test_code_without_columns_keeps_its_lines() -> None:
    """A table of lines alone (`-X no_debug_ranges`, other tools) is kept as well; one that does not fit stays as it is."""
    code = test_code_without_columns_keeps_its_lines.__code__
    lines = [position[0] for position in code.co_positions()]
    table = bytearray()
    before = code.co_firstlineno
    for line in lines:
        if line is None:
            table.append(128 | 15 << 3)
            continue
        difference = (line - before) << 1 if line >= before else (before - line) << 1 | 1
        before = line
        table.append(128 | 13 << 3)
        while difference > 63:
            table.append(difference & 63 | 64)
            difference >>= 6
        table.append(difference)
    plain = code.replace(co_linetable=bytes(table))
    whole = inject(code, start=tuple, returned=tuple, unwound=tuple)
    changed = inject(plain, start=tuple, returned=tuple, unwound=tuple)
    assert plain_instructions(changed) == plain_instructions(plain)
    assert [position[0] for position in changed.co_positions()] == [position[0] for position in whole.co_positions()]
    broken = inject(code.replace(co_linetable=b"\x80\x00"), start=tuple, returned=tuple, unwound=tuple)
    assert broken.co_linetable == b"\x80\x00"


def test_debugger_may_jump() -> None:
    """A jump to the first line begins no further call, one away from it leaves none out."""

    def f(log: list[int]) -> list[int]:
        log.append(1)
        log.append(2)
        log.append(3)
        return log

    def run(*jumps: tuple[int, int]) -> tuple[list[int], dict[str, int]]:
        counters = {event: itertools.count() for event in EVENTS[:3]}
        watched = with_calls(f, **{event: counter.__next__ for event, counter in counters.items()})
        left = dict(jumps)

        def trace(frame: Any, event: str, argument: object) -> Any:
            del argument
            target = left.pop(frame.f_lineno - first, None) if event == "line" else None
            if target is not None:
                frame.f_lineno = first + target
            return trace

        first = f.__code__.co_firstlineno
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            result = watched([])
        finally:
            sys.settrace(before)
        return result, {event: read(counter) for event, counter in counters.items()}

    once = {"start": 1, "returned": 1, "unwound": 0}
    assert run((1, 3)) == ([3], once)
    assert run((3, 1)) == ([1, 2, 1, 2, 3], once)
    assert run((2, 4)) == ([1], once)


# --- the other functions ----------------------------------------------------------------------------------------------------


def test_code_with_calls_may_get_further_ones() -> None:
    """Each of both is called."""
    begun = itertools.count()

    def f() -> Any:
        yield from (1, 2)

    once = everything(f)
    twice = with_calls(once, start=begun.__next__, returned=begun.__next__, waited=begun.__next__, resumed=begun.__next__)
    assert list(twice()) == [1, 2]
    assert read(begun) == 6
    made = twice()
    next(made)
    with pytest.raises(KeyError):
        made.throw(KeyError)


def test_code_keeps_what_describes_it() -> None:
    """Names, flags, parameters, first line and documentation are the original's; the constants can be pickled one by one."""
    code = observe.__code__
    changed = inject(code, start=tuple, returned=tuple, unwound=tuple, takes_arguments=True)
    for name in dir(code):
        if name.startswith("co_") and name not in {
            *("co_code", "_co_code_adaptive", "co_consts", "co_stacksize", "co_linetable", "co_lnotab", "co_exceptiontable"),
            *("co_lines", "co_positions"),
        }:
            assert getattr(changed, name) == getattr(code, name), name
    assert changed.co_stacksize <= code.co_stacksize + code.co_argcount + 2
    assert hash(changed) != hash(code)
    assert changed != code
    for constant in changed.co_consts[len(code.co_consts) :]:
        assert pickle.dumps(pickle.loads(pickle.dumps(constant))) == pickle.dumps(constant)


def test_code_of_no_compiler_is_refused() -> None:
    """Code without the instruction with which a body begins."""

    def f() -> None:
        pass

    with pytest.raises(ValueError, match="no RESUME in the code of "):
        inject(f.__code__.replace(co_code=b"\x64\x00\x53\x00"), start=tuple, returned=tuple, unwound=tuple)


def test_other_interpreters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytecode of another version or implementation would be damaged: an error says which it is."""
    code = test_other_interpreters_are_refused.__code__
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(RuntimeError, match=r"CPython 3\.11 only, not of cpython"):
        inject(code, start=tuple, returned=tuple, unwound=tuple)


# --- a real program ---------------------------------------------------------------------------------------------------------

WORKLOAD = r"""
import argparse, ast, asyncio, collections, contextlib, csv, dataclasses, decimal, difflib, email.message, email.parser, fractions
import functools, inspect, io, json, json.decoder, json.encoder, json.scanner, logging, os, pprint, random, string, sys, tempfile
import textwrap, tokenize, tomllib, typing, unittest, zipfile
import _pydecimal

text = open(ast.__file__).read()
tree = ast.parse(text)
print(hash(ast.unparse(tree)) == hash(ast.unparse(ast.parse(ast.unparse(tree)))), len(ast.unparse(tree)))
json.decoder.scanstring = json.decoder.py_scanstring
json.scanner.make_scanner = json.scanner.py_make_scanner
value = {"a": [1, 2.5, None, True, "x\u20ac"], "b": {"c": {}}}
decoder = json.JSONDecoder()
decoder.scan_once = json.scanner.py_make_scanner(decoder)
print(decoder.decode(json.dumps(value, indent=1)) == value, json.dumps(value, indent=2))
try:
    decoder.decode("[1, 2")
except ValueError as error:
    print(error)
_pydecimal.getcontext().prec = 40
print(_pydecimal.Decimal(2).sqrt(), _pydecimal.Decimal("1.5").ln(), _pydecimal.Decimal(7) ** _pydecimal.Decimal("0.3"))
parser = argparse.ArgumentParser(prog="p", exit_on_error=False)
parser.add_argument("x", type=int)
parser.add_argument("--y", choices="ab")
print(parser.parse_args(["3", "--y", "a"]), parser.format_help())
try:
    parser.parse_args(["z"])
except argparse.ArgumentError as error:
    print(error)

@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: typing.Optional[typing.List[int]] = None

print(Point(1), dataclasses.replace(Point(1), x=2), typing.get_type_hints(Point), inspect.signature(Point))
message = email.message.EmailMessage()
message["Subject"] = "h\u00e9llo " * 20
message.set_content("body\n")
print(email.parser.Parser().parsestr(message.as_string())["Subject"])
print(list(difflib.unified_diff(["a", "b"], ["a", "c"])), tomllib.loads("[a]\nb = [1, {c = 2}]"), textwrap.fill("word " * 40, 30))
print(len(list(tokenize.generate_tokens(io.StringIO(text).readline))), pprint.pformat({i: "x" * i for i in range(20)}))

async def work(number, queue):
    await asyncio.sleep(0)
    await queue.put(number)
    async with asyncio.timeout(5):
        return await asyncio.to_thread(lambda: number * 2)

async def main():
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(i, queue)) for i in range(20)]
    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        print("timeout")
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
    server = await asyncio.start_unix_server(echo, os.path.join(folder, "s"))
    async with server:
        reader, writer = await asyncio.open_unix_connection(os.path.join(folder, "s"))
        writer.write(b"line\n")
        print(await reader.read())
        writer.close()
        await writer.wait_closed()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(5)", stdout=-1)
    print(await process.communicate())
    return sum(task.result() for task in tasks), queue.qsize()

with tempfile.TemporaryDirectory() as folder:
    print(asyncio.run(main(), debug=True))

class Case(unittest.TestCase):
    def test_passes(self):
        with self.assertRaises(KeyError), self.subTest(a=1):
            {}[1]
    def test_fails(self):
        self.assertEqual([1, 2], [1, 3])
    @unittest.expectedFailure
    def test_expected(self):
        self.fail()

stream = io.StringIO()
print(unittest.TextTestRunner(stream, verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(Case)))
print("\n".join(line for line in stream.getvalue().splitlines() if not line.startswith("Ran ")))
"""

HOOK = """
import atexit, gc, importlib._bootstrap_external as external, itertools, sys
sys.dont_write_bytecode = True
from types import CodeType
from hookmon.probe.patching.injection import inject
rows = []

def replace_nested(code, replace):
    constants = [replace(replace_nested(value, replace)) if isinstance(value, CodeType) else value for value in code.co_consts]
    return code.replace(co_consts=tuple(constants))

def inject_one(code):
    if not code.co_flags & 1:  # CO_OPTIMIZED: functions
        return code
    row = [code.co_qualname, *(itertools.count() for _ in range(5))]
    rows.append(row)
    start, returned, unwound, yielded, resumed = (counter.__next__ for counter in row[1:])
    return inject(code, start=start, returned=returned, unwound=unwound, yielded=yielded, waited=yielded, resumed=resumed)

def get_code(self, name, get_code=external.SourceLoader.get_code):
    return replace_nested(get_code(self, name), inject_one)

external.SourceLoader.get_code = get_code

def tell():
    gc.collect()
    counts = [(row[0], *(counter.__reduce__()[1][0] for counter in row[1:])) for row in rows]
    print(len(rows), *(sum(count[1 + i] for count in counts) for i in range(5)), file=sys.stderr)
    print([count for count in counts if count[1] != count[2] + count[3]], file=sys.stderr)

atexit.register(tell)
"""


@pytest.mark.process
def test_standard_library_does_what_it_did(tmp_path: Path) -> None:
    """All functions of the modules that a program imports have calls in them: it prints the same, and each begun call ends."""
    (tmp_path / "hook.py").write_text(HOOK)
    (tmp_path / "work.py").write_text(WORKLOAD)
    environment = {**os.environ, "PYTHONPATH": str(AGENT), "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDEVMODE", None)
    plain, changed = (
        subprocess.run(
            [sys.executable, "-c", f"{start}import work"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        for start in ("", "import hook; ")
    )
    assert plain.returncode == changed.returncode == 0, plain.stderr + changed.stderr
    assert changed.stdout == plain.stdout
    counts, unbalanced = changed.stderr.splitlines()[-2:]
    codes, start, returned, unwound, yielded, resumed = map(int, counts.split())
    assert codes > 4000
    assert start > 100_000
    assert unwound > 100
    assert yielded >= resumed > 1000
    assert unbalanced == "[]"
    assert start == returned + unwound
