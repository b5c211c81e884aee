"""Random programs that call in every way that is timed, the same for the same seed.

`program(seed)` returns the source of a module of watched callables and the source that drives them. Each callable calls some of
those behind it, so calls form a tree; fuel keeps it small. Every body that begins adds its name to `begun`, which is what
the recorder has to have counted once all has ended.
"""

from __future__ import annotations

import random
import textwrap

PLAIN = ("plain", "method", "class", "static")
SYNC = (*PLAIN, "generator", "manager")
ASYNC = ("coroutine", "async_generator", "async_manager")

HEAD = """
import asyncio, contextlib, gc, threading
begun = []
kept = []
class Halt(BaseException): pass
class Fuel(threading.local):
    left = 400
tank = Fuel()
def empty():
    tank.left -= 1
    return tank.left < 0
"""


def _begins(call: str) -> str:
    """A throw into what has not begun counts as a call, though no line of its body runs."""
    return f"begun.append({call.partition('(')[0].rpartition('.')[2]!r})"


class _Writer:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        count = self.dice.randint(8, 14)
        self.kinds = [self.dice.choice(SYNC + ASYNC) for _ in range(count)]
        self.kinds[-3:] = ["plain", "coroutine", "generator"]

    def name(self, index: int) -> str:
        return f"{self.kinds[index]}_{index}"

    def reference(self, index: int) -> str:
        kind = self.kinds[index]
        owner = {"method": "boat.", "class": "Boat.", "static": "Boat."}.get(kind, "")
        return owner + self.name(index)

    def callable(self, index: int) -> str:
        kind, name = self.kinds[index], self.name(index)
        is_async = kind in ASYNC
        first = {"method": "self, ", "class": "cls, "}.get(kind, "")
        lines = [f"{'async ' if is_async else ''}def {name}({first}n=0):", f"    begun.append({name!r})"]
        if kind in ("generator", "async_generator"):
            lines.append("    if empty(): return")
            lines += self._indent(self.statement(index))
            lines.append("    for value in range(n):")
            ending = self.dice.choice(("", "finally", "except"))
            if ending:
                lines.append("        try: yield value")
                lines.append("        finally:" if ending == "finally" else "        except ValueError:")
                lines += self._indent(self.statement(index, is_async=False), 3)  # may run in a close
            else:
                lines.append("        yield value")
            if self.dice.random() < 0.5:
                lines += self._indent(self.statement(index), 2)
        elif kind in ("manager", "async_manager"):
            lines += self._indent(self.statement(index))
            lines += ["    try: yield n", "    finally:"]
            lines += self._indent(self.statement(index), 2)
            lines.insert(0, "@contextlib.contextmanager" if kind == "manager" else "@contextlib.asynccontextmanager")
        else:
            lines.append("    if empty(): return 0")
            for _ in range(self.dice.randint(1, 3)):
                lines += self._indent(self.statement(index))
            if self.dice.random() < 0.3:
                again = f"{self.reference(index)}(n - 1)"
                lines.append(f"    if n > 0: {'await ' if is_async else ''}{again}")
            if self.dice.random() < 0.25:
                errors = ["ValueError(n)", "KeyError(n)", "asyncio.CancelledError()"]
                error = self.dice.choice(errors if is_async else [*errors, "StopIteration(n)", "Halt()", "Halt"])
                lines.append(f"    if n % 2: raise {error}")
            lines.append("    return n")
        if kind == "class":
            lines.insert(0, "@classmethod")
        if kind == "static":
            lines.insert(0, "@staticmethod")
        return "\n".join(lines) + "\n"

    def module(self) -> str:
        """The source of all callables: functions, and one class of the methods."""
        texts = [(kind in ("method", "class", "static"), self.callable(i)) for i, kind in enumerate(self.kinds)]
        functions = [text for is_method, text in texts if not is_method]
        methods = [textwrap.indent(text, "    ") for is_method, text in texts if is_method]
        return "\n".join([HEAD, *functions, "class Boat:", "    pass", *methods, "boat = Boat()", ""])

    @staticmethod
    def _indent(lines: list[str], levels: int = 1) -> list[str]:
        return ["    " * levels + line for line in lines]

    def statement(self, index: int, *, is_async: bool | None = None) -> list[str]:
        """One statement of the body of a callable; errors of what it calls mostly end here."""
        asynchronous = self.kinds[index] in ASYNC if is_async is None else is_async
        choices = [i for i in range(index + 1, len(self.kinds)) if asynchronous or self.kinds[i] in SYNC]
        lines = self.use(self.dice.choice(choices), index) if choices else ["pass"]
        if asynchronous or self.dice.random() < 0.8:
            caught = "(Exception, asyncio.CancelledError, Halt)"
            return ["try:", *self._indent(lines), f"except {caught}: pass"]
        return lines

    def use(self, index: int, caller: int) -> list[str]:
        """Lines that call something, in one of the ways that its kind allows."""
        call = f"{self.reference(index)}({self.dice.choice(['n', 'n - 1', 'n=2', '3', ''])})"
        return list(self.dice.choice(getattr(self, f"_use_{self.kinds[index]}", self._use_plain)(call, caller)))

    def _use_plain(self, call: str, caller: int) -> list[list[str]]:
        name, _, rest = call.partition("(")
        return [
            [call],
            [call],
            [f"for _ in range(3): {call}"],
            [f"{name}.__call__({rest}"],
            [f"contextlib.suppress(ValueError).__class__; {call}; {call}"],
        ]

    def _use_generator(self, call: str, caller: int) -> list[list[str]]:
        ways = [
            [f"list({call})"],
            [f"sum(value for value in {call})"],
            [f"for value in {call}:", "    break"],
            [f"walk = {call}", "next(walk, None)", "walk.close()", "walk.close()"],
            [f"walk = {call}", "next(walk, None)", "del walk"],
            [f"walk = {call}", "walk.close()"],
            [f"walk = {call}", "next(walk)", "walk.throw(ValueError('thrown'))"],
            [f"walk = {call}", _begins(call), "walk.throw(KeyError('thrown'))"],
            [f"walk = {call}", "walk.send(None)", "walk.send(5)"],
            [f"kept.append({call})", "next(kept[-1], None)"],
            [f"walk = {call}", "round_trip = [walk]", "round_trip.append(round_trip)", "next(walk, None)"],
            [f"walk = {call}", "walk.__next__()", "for value in walk.__iter__(): pass"],
            [f"zip(list({call}), {call})"],
        ]
        if self.kinds[caller] == "generator":
            ways += [[f"yield from {call}"], [f"got = yield from {call}", "yield got"]]
        return ways

    def _use_manager(self, call: str, caller: int) -> list[list[str]]:
        return [
            [f"with {call} as value: pass"],
            [f"with {call}:", "    raise KeyError('inside')"],
            [f"with {call}, contextlib.suppress(ValueError):", "    raise ValueError('inside')"],
            [f"manager = {call}", "manager.__enter__()", "manager.__exit__(None, None, None)"],
            [f"@{call}", "def inside(): return 7", "inside()", "inside()"],
        ]

    def _use_coroutine(self, call: str, caller: int) -> list[list[str]]:
        return [
            [f"await {call}"],
            [f"await {call}", "await asyncio.sleep(0)"],
            [f"await asyncio.gather({call}, {call}, return_exceptions=True)"],
            [f"task = asyncio.create_task({call})", "await asyncio.sleep(0)", "await task"],
            [f"task = asyncio.create_task({call})", "await asyncio.sleep(0)", "task.cancel()", "await task"],
            [f"task = asyncio.create_task({call})", _begins(call), "task.cancel()", "await task"],
            [f"{call}.close()"],
            [f"made = {call}", "made.send(None)", "made.close()"],
            [f"made = {call}", "made.send(None)", "made.throw(ValueError('thrown'))"],
            ["class Later:", f"    def __await__(self, n=n): return {call}.__await__()", "await Later()"],
            [f"await asyncio.wait_for({call}, None)", "await asyncio.sleep(0)"],
        ]

    def _use_async_generator(self, call: str, caller: int) -> list[list[str]]:
        return [
            [f"async for value in {call}: pass"],
            [f"async for value in {call}: await asyncio.sleep(0)"],
            [f"walk = {call}", "await anext(walk, None)", "await walk.aclose()"],
            [f"walk = {call}", "await anext(walk, None)", "del walk", "await asyncio.sleep(0)"],
            [f"walk = {call}", "await anext(walk)", "await walk.athrow(ValueError('thrown'))"],
            [f"walk = {call}", "await walk.asend(None)", "await walk.asend(4)"],
            [f"[value async for value in {call}]"],
        ]

    def _use_async_manager(self, call: str, caller: int) -> list[list[str]]:
        return [
            [f"async with {call} as value: await asyncio.sleep(0)"],
            [f"async with {call}:", "    raise KeyError('inside')"],
        ]


def program(seed: int, *, with_threads: bool) -> tuple[str, str]:
    """Return (the watched module, what drives it)."""
    writer = _Writer(seed)
    dice = writer.dice
    module = writer.module()
    caught = "(Exception, asyncio.CancelledError, Halt)"
    lines = []
    for _ in range(12):
        index = dice.randrange(len(writer.kinds))
        kind, call = writer.kinds[index], writer.reference(index)
        n = dice.randint(0, 4)
        lines.append("tank.left = 400")
        if kind in ASYNC:
            use = writer.use(index, index)
            while "yield" in " ".join(use):
                use = writer.use(index, index)
            lines += [f"async def main(n={n}):", *("    " + line for line in use)]
            lines += ["try: asyncio.run(main())", f"except {caught}: pass"]
        elif kind in PLAIN and with_threads:
            lines += [
                "def work():",
                "    for n in range(20):",
                "        tank.left = 100",
                f"        try: {call}(n % 4)",
                f"        except {caught}: pass",
                "threads = [threading.Thread(target=work) for _ in range(4)]",
                "for thread in threads: thread.start()",
                "for thread in threads: thread.join()",
            ]
        else:
            use = writer._use_plain(f"{call}({n})", 0)[0]
            if kind not in PLAIN:
                writer.kinds[index], own = "plain", writer.kinds[index]
                use = dice.choice(getattr(writer, f"_use_{own}")(f"{call}({n})", index))
                writer.kinds[index] = own
            lines += [f"n = {n}", "try:", *("    " + line for line in use), f"except {caught}: pass"]
        lines.append("walk = made = round_trip = manager = None")
    lines += ["kept.clear()", "gc.collect()"]
    return module, "\n".join(lines)
