"""Puts calls into the bytecode of a function, for CPython 3.11, which has no `sys.monitoring`.

In comes a code object and callables; out goes a copy that calls them when the body begins, returns, is left by an exception,
yields and is resumed. Whoever holds the function calls the copy once its `__code__` is set. No frame is added, and the copy
behaves like the original: results, tracebacks with their columns, line events, the recursion limit, the program's own
handlers. Runs in the watched process.

**The call.** `CALL` lets signal handlers run and other threads take over. At an `await` that would be new: a
KeyboardInterrupt could hit the outer coroutine while the inner one stays suspended. So a call without arguments is a step of
an iterator, which does neither: `LOAD_CONST starmap(callable, repeat(())); FOR_ITER; POP_TOP; POP_TOP`. Nor does it count for
the recursion limit, if the callable implements vectorcall, and a profiler sees no `c_call`. It takes 4 units, `CALL` with its
caches 10.

**Lines.** An inserted instruction has the position of the instruction that it precedes, or of the RESUME that it follows.
Without a line it would not be neutral: the next instruction would begin its line anew, in the middle of it. At the start of
the body it has none, so that a debugger stops at the first line after the call, and may jump there without another. The
handler at the end has none either, as the compiler's own. Only `CALL` (`takes_arguments`) has the line of the first
instruction: while other threads run there, a sampling profiler reads it.

**SEND.** When an exception is thrown into an `await` and the inner coroutine returns, `throw` of 3.11 steps from YIELD_VALUE
back to the unit before it, and takes its argument for the jump out of the loop (Objects/genobject.c, `_gen_throw`). So a
second SEND, which is never executed, is put between the call of `yielded` and YIELD_VALUE. Between YIELD_VALUE and RESUME
nothing may be put: `gi_yieldfrom` looks there.

A unit is two bytes: an opcode, or 0 for a cache entry, and its argument. All positions are counted in units.
"""

from __future__ import annotations

import sys
from itertools import accumulate, repeat, starmap
from types import CodeType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

# Opcodes of 3.11, as `opcode.opmap` has them.
_POP_TOP, _PUSH_NULL, _PUSH_EXC_INFO, _RETURN_VALUE, _YIELD_VALUE, _POP_EXCEPT, _FOR_ITER = 1, 2, 35, 83, 86, 89, 93
_SWAP, _LOAD_CONST, _JUMP_FORWARD, _RERAISE, _COPY, _SEND, _LOAD_FAST, _LOAD_DEREF = 99, 100, 110, 119, 120, 123, 124, 137
_EXTENDED_ARG, _RESUME, _PRECALL, _CALL = 144, 151, 166, 171
# A distance of a jump counts from the unit after it. None is absolute, and none has caches.
_FORWARD_JUMPS = (_FOR_ITER, _JUMP_FORWARD, 111, 112, 114, 115, _SEND, 128, 129)
_BACKWARD_JUMPS = (134, 140, 173, 174, 175, 176)
_PRECALL_CACHES, _CALL_CACHES = 1, 4

_FORWARD, _BACKWARD, _RETURN, _YIELD, _RESUMPTION = 1, 2, 3, 4, 5
_KIND = bytearray(256)
"""What an opcode is to us: one of the five above, or 0."""
for _opcode in _FORWARD_JUMPS:
    _KIND[_opcode] = _FORWARD
for _opcode in _BACKWARD_JUMPS:
    _KIND[_opcode] = _BACKWARD
_KIND[_RETURN_VALUE], _KIND[_YIELD_VALUE], _KIND[_RESUME] = _RETURN, _YIELD, _RESUMPTION

_NO_ARGUMENTS: repeat[tuple[()]] = repeat(())
_STEP = bytes((_FOR_ITER, 2, _POP_TOP, 0, _POP_TOP, 0))
"""Steps the iterator on the stack, and drops it and what it gave. At its end (StopIteration) FOR_ITER drops it and jumps."""
_STEP_UNITS = len(_STEP) // 2
_STEP_STACK = 2
_HANDLER_STACK = 5
"""The index of the last instruction, the exception handled before, ours, and the two of a step."""

_NO_LOCATION = 15
_LOCATION_UNITS = 8
"""So many units share an entry of `co_linetable` at most."""


def inject(
    code: CodeType,
    *,
    start: Callable[..., object],
    returned: Callable[[], object],
    unwound: Callable[[], object],
    yielded: Callable[[], object] | None = None,
    waited: Callable[[], object] | None = None,
    resumed: Callable[[], object] | None = None,
    takes_arguments: bool = False,
) -> CodeType:
    """Return a copy of a function's code that calls the given callables, without arguments and whatever they return.

    `start` is called when the body begins, of a generator or coroutine at its first step; with `takes_arguments` with the
    values of the positional parameters (`co_varnames[:co_argcount]`). `returned` is called before each return, `unwound` when
    an exception leaves the frame, as the one that `sys.exc_info` tells. Each begun body ends in one of both. `yielded` is
    called before each `yield` of a value, `waited` before each suspension of an `await` or a `yield from`, `resumed` when the
    body goes on, not when an exception is thrown in.

    The callables should implement vectorcall in C, and raise nothing. What `start`, `returned` and `unwound` raise leaves the
    frame, and no further call follows (but `unwound` after a `start` with arguments that is itself a Python function); what
    `yielded` and `resumed` raise is raised by the body. StopIteration is ignored. The copy cannot be marshalled.

    Raises RuntimeError on another Python than CPython 3.11, ValueError for code that no compiler of 3.11 makes.
    """
    if sys.version_info[:2] != (3, 11) or sys.implementation.name != "cpython":
        raise RuntimeError(
            f"calls are put into bytecode of CPython 3.11 only, not of {sys.implementation.name} {sys.version.split()[0]}"
        )
    units = code.co_code  # without the instructions that the interpreter has specialised
    opcodes = units[::2]
    constants = list(code.co_consts)
    notable = [index for index, opcode in enumerate(opcodes) if _KIND[opcode]]
    body = next((index + 1 for index in notable if opcodes[index] == _RESUME and not units[2 * index + 1]), 0)
    if not body:
        raise ValueError(f"no RESUME in the code of {code.co_qualname}")

    stack = _STEP_STACK
    if takes_arguments:
        begin = _call_with_arguments(code, start, constants)
        unguarded = 1 + _CALL_CACHES  # after CALL: what a signal handler raises there comes after `start`
        stack = 2 + code.co_argcount
    else:
        begin = _call(start, constants)
        unguarded = 2
    suspends = _YIELD_VALUE in opcodes
    before_yield = _call(yielded, constants) if suspends else b""
    before_wait = _call(waited, constants) if suspends else b""
    after_resume = _call(resumed, constants) if suspends else b""
    before_return = _call(returned, constants)
    in_handler = _call(unwound, constants)

    insertions: dict[int, tuple[bytes, bytes]] = {body: (begin, b"")}
    growths = []  # (unit, number of units inserted at its place in the source)
    bare = len(begin) // 2
    if takes_arguments:
        growths.append((body, bare))
        bare = 0
    jumps: list[tuple[int, int, int, bool]] = []  # (unit of the opcode, of its first EXTENDED_ARG, of the target, backward?)
    sends: list[tuple[int, int]] = []  # (YIELD_VALUE before which there is a second SEND, the target of both)
    returns = []
    for index in notable:
        kind = _KIND[opcodes[index]]
        if kind <= _BACKWARD:
            first, distance = index, units[2 * index + 1]
            while first and opcodes[first - 1] == _EXTENDED_ARG:
                first -= 1
                distance |= units[2 * first + 1] << 8 * (index - first)
            jumps.append((index, first, index + 1 + (-distance if kind == _BACKWARD else distance), kind == _BACKWARD))
        elif kind == _RETURN:
            returns.append(index)
            insertions[index] = (insertions[index][0] if index in insertions else b"", before_return)
            growths.append((index, len(before_return) // 2))
        elif kind == _YIELD:
            is_wait = bool(index) and opcodes[index - 1] == _SEND
            inserted = before_wait if is_wait else before_yield
            if is_wait and inserted:
                sends.append((index, index + units[2 * index - 1]))
                inserted += bytes((_JUMP_FORWARD, 1, _SEND, 0))
            insertions[index] = (insertions[index][0] if index in insertions else b"", inserted)
            growths.append((index, len(inserted) // 2))
        elif kind == _RESUMPTION and after_resume and index >= body:
            insertions[index + 1] = (after_resume, b"")
            growths.append((index, len(after_resume) // 2))

    landing, distances = _lay_out(len(opcodes), insertions, growths, jumps)
    new = _assemble(units, insertions, distances)
    for index, target in sends:
        at = landing[index] + len(insertions[index][1]) // 2 - 1
        distance = landing[target] - at - 1
        if distance > 255:
            raise ValueError(f"a loop of SEND in the code of {code.co_qualname} is too long")
        new[2 * at + 1] = distance
    handler = len(new) // 2
    cleanup = handler + 1 + len(in_handler) // 2 + 3
    new += bytes((_PUSH_EXC_INFO, 0)) + in_handler + bytes((_SWAP, 2, _POP_EXCEPT, 0, _RERAISE, 1))
    new += bytes((_COPY, 3, _POP_EXCEPT, 0, _RERAISE, 1))

    ends = [landing[index] + len(before_return) // 2 for index in returns]
    left = [(end - _STEP_UNITS, end + 1) for end in ends]
    table = _exception_table(code.co_exceptiontable, landing, landing[body] - unguarded, left, handler)
    # While `unwound` runs, two values lie on the stack: the index of the last instruction, and the exception handled before.
    _append_entry(table, handler + 1, handler + 1 + len(in_handler) // 2, cleanup, 2 << 1 | 1)
    return code.replace(
        co_code=bytes(new),
        co_consts=tuple(constants),
        co_stacksize=max(code.co_stacksize + _STEP_STACK, stack, _HANDLER_STACK),
        co_linetable=_line_table(code.co_linetable, len(opcodes), growths, (body, bare), len(new) // 2 - handler),
        co_exceptiontable=bytes(table),
    )


def _instruction(opcode: int, argument: int, caches: int = 0) -> bytes:
    if argument < 256:
        return bytes((opcode, argument)) + bytes(2 * caches)
    return _instruction(_EXTENDED_ARG, argument >> 8) + bytes((opcode, argument & 255)) + bytes(2 * caches)


def _call(callee: Callable[..., object] | None, constants: list[Any]) -> bytes:
    """Return instructions that call a constant, which is appended; none for no callable. An iterator is stepped itself."""
    if callee is None:
        return b""
    constants.append(callee if hasattr(type(callee), "__next__") else starmap(callee, _NO_ARGUMENTS))
    return _instruction(_LOAD_CONST, len(constants) - 1) + _STEP


def _call_with_arguments(code: CodeType, callee: Callable[..., object], constants: list[Any]) -> bytes:
    """Return instructions that call a constant, which is appended, with the values of the positional parameters."""
    constants.append(callee)
    count = code.co_argcount
    parts = [bytes((_PUSH_NULL, 0)), _instruction(_LOAD_CONST, len(constants) - 1)]
    for index, name in enumerate(code.co_varnames[:count]):
        parts.append(_instruction(_LOAD_DEREF if name in code.co_cellvars else _LOAD_FAST, index))
    parts += [_instruction(_PRECALL, count, _PRECALL_CACHES), _instruction(_CALL, count, _CALL_CACHES), bytes((_POP_TOP, 0))]
    return b"".join(parts)


def _lay_out(
    size: int, insertions: dict[int, tuple[bytes, bytes]], growths: list[tuple[int, int]], jumps: list[tuple[int, int, int, bool]]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Find the new place of each unit, and put in the EXTENDED_ARGs that longer jumps need.

    `insertions` is {unit: (what follows the unit before, what belongs to this unit)}: a jump to the unit lands between both.
    Returned are the list of these landing places, with that of the end, and for each jump (new unit of its opcode, its new
    distance).
    """
    while True:
        landing: list[int] = []
        shift = done = 0
        for position in sorted(insertions):
            after, before = insertions[position]
            landing.extend(range(done + shift, position + shift))
            shift += len(after) // 2
            landing.append(position + shift)
            shift += len(before) // 2
            done = position + 1
        landing.extend(range(done + shift, size + 1 + shift))

        distances = []
        fits = True
        for index, first, target, backward in jumps:
            at = landing[index]
            extensions = index - first
            if first in insertions:
                before = insertions[first][1]
                extensions += len(before) // 2
                if first == index:
                    at += len(before) // 2
            distance = at + 1 - landing[target] if backward else landing[target] - at - 1
            distances.append((at, distance))
            if distance >> 8 * (1 + extensions):
                fits = False
                after, before = insertions.get(first, (b"", b""))
                insertions[first] = (after, before + bytes((_EXTENDED_ARG, 0)))
                growths.append((first, 1))
        if fits:
            return landing, distances


def _assemble(units: bytes, insertions: dict[int, tuple[bytes, bytes]], distances: list[tuple[int, int]]) -> bytearray:
    """Return the code with what is inserted, and with the new distances of the jumps."""
    new = bytearray()
    copied = 0
    for position in sorted(insertions):
        new += units[2 * copied : 2 * position]
        new += insertions[position][0]
        new += insertions[position][1]
        copied = position
    new += units[2 * copied :]
    for at, distance in distances:
        new[2 * at + 1] = distance & 255
        while distance > 255:
            at, distance = at - 1, distance >> 8
            new[2 * at + 1] = distance & 255
    return new


def _exception_table(table: bytes, landing: list[int], begin: int, left: Iterable[tuple[int, int]], handler: int) -> bytearray:
    """Return the table of handlers: those of the program at their new places, and ours from `begin` on wherever there is none.

    `left` are ranges in which nothing of ours shall follow. The entries of a table are sorted and do not overlap.
    """
    numbers = []  # (start, length, target, depth << 1 | lasti) for each entry
    number = 0
    for byte in table:  # six bits each, the highest first; 64: more follow; 128: an entry begins
        number = number << 6 | byte & 63
        if not byte & 64:
            numbers.append(number)
            number = 0
    ranges: list[tuple[int, int, int, int]] = [(low, high, -1, 0) for low, high in left]
    for start, length, target, depth in zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True):
        ranges.append((landing[start], landing[start + length], landing[target], depth))
    ranges.sort()
    ranges.append((landing[-1], landing[-1], -1, 0))
    new = bytearray()
    for low, high, target, depth in ranges:
        if begin < low:
            _append_entry(new, begin, low, handler, 0 << 1 | 1)
        if target >= 0:
            _append_entry(new, low, high, target, depth)
        begin = max(begin, high)
    return new


def _append_entry(table: bytearray, start: int, end: int, target: int, depth: int) -> None:
    mark = 128
    for number in (start, end - start, target, depth):
        shift = 6
        while number >> shift:
            shift += 6
        while shift := shift - 6:
            table.append(number >> shift & 63 | 64 | mark)
            mark = 0
        table.append(number & 63 | mark)
        mark = 0


def _line_table(table: bytes, size: int, growths: list[tuple[int, int]], bare: tuple[int, int], appended: int) -> bytes:
    """Return the table of positions in the source, with as many more units at the place of each unit as `growths` says.

    Without a position are those of `bare` (unit before which they are inserted, number) and the `appended` ones at the end.
    """
    starts = [index for index, byte in enumerate(table) if byte & 128]
    ends = list(accumulate([(table[index] & 7) + 1 for index in starts]))
    if not ends or ends[-1] != size:
        return table  # not the compiler's: without positions that fit there is none to keep
    starts.append(len(table))
    extra: dict[int, int] = {}
    entry = 0
    for unit, count in sorted([*growths, (bare[0], 0)]):
        while ends[entry] <= unit:
            entry += 1
        extra[entry] = extra.get(entry, 0) + count
    new = bytearray()
    copied = 0
    for entry, count in extra.items():
        start, end = starts[entry], starts[entry + 1]
        new += table[copied:start]
        units = (table[start] & 7) + 1
        form, payload = table[start] >> 3 & 15, table[start + 1 : end]
        if ends[entry] - units <= bare[0] < ends[entry]:
            ahead = bare[0] - (ends[entry] - units)
            form, payload = _append_locations(new, form, payload, ahead)
            _append_locations(new, _NO_LOCATION, b"", bare[1])
            units -= ahead
        _append_locations(new, form, payload, units + count)
        copied = end
    new += table[copied:]
    _append_locations(new, _NO_LOCATION, b"", appended)
    return bytes(new)


def _append_locations(table: bytearray, form: int, payload: bytes, units: int) -> tuple[int, bytes]:
    """Append entries of one position for so many units (Objects/locations.md). Return form and payload of a further one.

    In all but the first the difference to the line before is 0.
    """
    while units:
        count = min(units, _LOCATION_UNITS)
        table.append(128 | form << 3 | count - 1)
        table += payload
        units -= count
        if 10 <= form <= 12:  # the difference is part of the form, the payload two columns
            form = 10
        elif form in (13, 14):  # the payload begins with the difference, in bytes of 6 bits; 64: more follow
            length = 1
            while payload[length - 1] & 64:
                length += 1
            payload = b"\0" + payload[length:]
    return form, payload
