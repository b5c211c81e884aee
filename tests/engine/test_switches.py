"""Off and on while the program runs, on both engines: exactly what begins while it is on is counted, and nothing is left open."""

from __future__ import annotations

import pytest

SWITCH = """
from pathlib import Path
from hookmon.collector.control import page
from hookmon.collector.switches import Switch
from hookmon.core import layout
from hookmon.probe.recording import control
folder = Path(os.environ["FOLDER"])
(folder / layout.CONTROL_NAME).write_bytes(page())
control.begin(str(folder))
switch = Switch(folder)
off, on = lambda *lines: switch.off(lines), lambda *lines: switch.on(lines)
"""

SHOP = """
shop = module('''
def inner(): pass
def outer(then=None, *, after=None):
    inner()
    if then: then()
    inner()
    if after: after()
def again(flips):
    if flips:
        flips[0]()
        again(flips[1:])
def fail(then=None):
    if then: then()
    raise ValueError
class Box:
    def put(self): inner()
def numbers(then=None):
    try:  # else CPython 3.13 closes it without a word
        yield 1
        if then: then()
        inner()
        yield 2
    finally: str()
async def wait(then=None, times=1):
    import asyncio
    for _ in range(times):
        await asyncio.sleep(0)
    if then: then()
    inner()
async def stream(then=None):
    yield 1
    if then: then()
    await wait()
    yield 2
''')
"""


@pytest.fixture(params=["name", "code"])
def switched(on, request):
    """Run code in a fresh interpreter whose run can be switched, the functions of `shop` watched under names or by their code."""

    def run(code: str, *calls: str, watch: str = "", **options):
        watches = watch or f"watch(shop, {', '.join(map(repr, calls))}, via={request.param!r})"
        recorded = on(SWITCH + SHOP + watches + "\n" + code, **options)
        for shard in recorded.shards:
            assert [lane.stack for lane in shard.lanes if lane.stack] == []
        return recorded

    return run


def test_what_begins_while_it_is_off_is_not_counted(switched):
    """Neither are calls of methods, of generators and of what raises; afterwards all are counted again."""
    recorded = switched(
        """
def all_of_them():
    shop.outer(); shop.Box().put(); list(shop.numbers())
    try: shop.fail()
    except ValueError: pass
all_of_them()
for _ in range(3):
    off()
    all_of_them(); all_of_them()
    on()
    all_of_them()
off()
all_of_them()
""",
        "outer",
        "inner",
        "Box.put",
        "numbers",
        "fail",
    )
    assert recorded.calls() == {"outer": 4, "inner": 16, "Box.put": 4, "numbers": 4, "fail": 4}
    assert recorded.errors() == {"fail": 4}


def test_a_call_that_is_open_is_counted_when_it_ends(switched):
    """However it is switched meanwhile; what begins while it is off never is, although it ends while it is on."""
    recorded = switched(
        """
shop.outer(off); on()
off(); shop.outer(on)
try: shop.fail(off)
except ValueError: pass
try: shop.fail(on)
except ValueError: pass
shop.outer()
""",
        "outer",
        "inner",
        "fail",
    )
    calls = {path: node.calls for path, node in recorded.paths().items() if node.calls}
    assert calls == {("outer",): 2, ("outer", "inner"): 3, ("inner",): 1, ("fail",): 1}
    assert recorded.errors() == {"fail": 1}


def test_a_call_inside_one_of_the_same_function_ends_by_itself(switched):
    """The outer one, which was on, is not taken for the inner one, which was off, and the other way round."""
    recorded = switched(
        """
shop.again([off]); on()
off(); shop.again([on])
shop.again([off, on, off, on, off, on])
shop.again([])
""",
        "again",
    )
    # on→off: 1; off→on: 1 inner; on, off, on, off, on, off, on: 4; and 1
    assert sum(recorded.calls().values()) == 1 + 1 + 4 + 1


def test_a_target_is_off_and_what_it_calls_is_its_callers(switched):
    """By its path, by a glob of paths; other targets go on being counted."""
    recorded = switched(
        """
shop.outer()
off("shop:outer")
shop.outer(); shop.Box().put()
on()
off("shop:Box.*", "nothing:there")
shop.outer(); shop.Box().put()
on("shop:Box.*")
shop.Box().put()
off()
shop.Box().put()
""",
        "outer",
        "inner",
        "Box.put",
    )
    calls = {path: node.calls for path, node in recorded.paths().items() if node.calls}
    assert calls == {("outer",): 2, ("outer", "inner"): 4, ("inner",): 3, ("Box.put",): 2, ("Box.put", "inner"): 2}


def test_all_targets_of_a_pack_are_off(on):
    """By the pack's name. What has a name that is made from arguments is off as any other."""
    recorded = on(
        SWITCH
        + SHOP
        + """
watch(shop, "outer", pack="letters"); watch(shop, "inner", "Box.put", pack="boxes", span="{function} {self.town|upper}")
shop.Box.town = "Rome"
shop.Box().put()
off("boxes")
shop.outer(); shop.Box().put()
on()
shop.Box().put()
"""
    )
    assert recorded.calls() == {"outer": 1, "inner ?": 2, "Box.put ROME": 2}


def test_coroutines_and_generators_begin_with_their_first_step(switched):
    """What has begun while it is on is counted at its end, in its place; what began while it was off never is."""
    recorded = switched(
        """
import asyncio
async def main():
    await shop.wait(off); on()                  # counted; its inner is not
    off(); await shop.wait(on)                  # not counted; its inner is
    made = shop.wait(); off(); await made; on() # made while it is on, begun while it is off: not counted
    off(); made = asyncio.create_task(shop.wait(times=5))
    await asyncio.sleep(0); on(); await made    # inner only
    made = asyncio.create_task(shop.wait(times=5))
    await asyncio.sleep(0); off(); await made; on() # counted, without its inner
    await asyncio.gather(*[shop.wait() for _ in range(10)])
asyncio.run(main())
generator = shop.numbers(off); list(generator); on()   # counted, without its inner
off(); list(shop.numbers(on))                          # inner only
generator = shop.numbers(); off(); next(generator); on(); list(generator)  # inner only
generator = shop.numbers(); next(generator); off(); generator.close(); on()  # counted as interrupted
off(); generator = shop.numbers(); next(generator); on(); generator.close()  # not counted
generator = shop.numbers(); next(generator); off(); del generator; on()  # counted as interrupted
""",
        "wait",
        "inner",
        "numbers",
    )
    assert recorded.calls() == {"wait": 2 + 10, "inner": 2 + 10 + 2, "numbers": 3}
    assert recorded.interrupted() == {"numbers": 2}


def test_asynchronous_generators_begin_with_their_first_step(switched):
    """One that has begun while it was off is not counted, whatever it awaits."""
    recorded = switched(
        """
import asyncio
async def run(made, *flips):
    values = []
    async for value in made:
        values.append(value)
        if flips: flips[0](); flips = flips[1:]
    return values
async def main():
    assert await run(shop.stream()) == [1, 2]
    assert await run(shop.stream(off)) == [1, 2]; on()
    off(); assert await run(shop.stream(on)) == [1, 2]
    made = shop.stream(); off(); assert await run(made, on) == [1, 2]
    off(); assert await run(shop.stream(), on, off) == [1, 2]
    on(); assert await run(shop.stream(), off) == [1, 2]; on()
asyncio.run(main())
""",
        "stream",
        "wait",
    )
    assert recorded.calls() == {"stream": 3, "wait": 1 + 1 + 1 + 1}


ENTRY = """watch(shop, "outer", kind="request", entry=True); watch(shop, "inner", kind="sql")"""


def test_a_request_is_whole_or_not_there(switched):
    """One that began while it was on has its name, its status and an example; none that began while it was off has any."""
    recorded = switched(
        """
for _ in range(5): shop.outer()
shop.outer(off); on()
off(); shop.outer(on)
off("shop:outer"); shop.outer(); on()
shop.outer()
off(); shop.outer(after=on)
""",
        watch=ENTRY,
    )
    assert recorded.calls() == {"outer": 7, "inner": 5 * 2 + 1 + 1 + 2 + 2}
    assert recorded.by_status() == {("outer", 0): 7}


def test_threads_and_tasks_are_sane_after_some_hundred_times(switched):
    """Whoever switches while they run: no call fails, and at rest no lane says that something is open."""
    recorded = switched(
        """
import asyncio, threading, random
sys.setswitchinterval(1e-5)  # else whoever switches waits for each of these threads at each system call
stop = False
def work(seed):
    chance = random.Random(seed)
    async def waits():
        await asyncio.gather(*[shop.wait(times=chance.randrange(4)) for _ in range(4)])
    def many():
        while not stop:
            for _ in range(20):
                shop.outer(); shop.Box().put(); sum(shop.numbers()); shop.again([str, str, str])
                try: shop.fail()
                except ValueError: pass
            asyncio.run(waits())
    return many
threads = [threading.Thread(target=work(seed)) for seed in range(2)]
for thread in threads: thread.start()
for number in range(300):
    (off, lambda: off("shop:outer"), lambda: off("shop:B*.put", "shop:wait"))[number % 3]()
    if number % 50 == 0: __import__("time").sleep(0.002)
    on()
stop = True
for thread in threads: thread.join()
off(); shop.outer(); on()
for _ in range(7): shop.outer(); shop.Box().put()
""",
        "outer",
        "inner",
        "Box.put",
        "numbers",
        "wait",
        "again",
        "fail",
    )
    paths = recorded.paths()
    assert {path[0] for path, node in paths.items() if node.calls} <= {
        "outer",
        "inner",
        "Box.put",
        "numbers",
        "wait",
        "again",
        "fail",
    }
    assert all(path[-1] == "inner" for path, node in paths.items() if len(path) == 2 and node.calls and path[0] != "again")
    assert recorded.errors()["fail"] == recorded.calls()["fail"]


def test_a_program_that_is_not_ours_to_switch_goes_on(on):
    """Without a page, or with nonsense in it, everything is recorded."""
    recorded = on(
        SHOP
        + """
from hookmon.probe.recording import control
from hookmon.core import layout
watch(shop, "inner")
control.begin(os.environ["FOLDER"])
shop.inner()
path = os.path.join(os.environ["FOLDER"], layout.CONTROL_NAME)
from pathlib import Path
Path(path).write_bytes(os.urandom(layout.PAGE_BYTES))
control.begin(os.environ["FOLDER"])
shop.inner()
from hookmon.collector.control import page
words = memoryview(bytearray(page())).cast("Q")
words[layout.CONTROL_SWITCH] = layout.SWITCH_STEP
words[layout.CONTROL_OFF_BYTES] = 1 << 60
Path(path).write_bytes(words.tobytes()[: 8 * layout.CONTROL_OFF] + b"\\xff\\n" * (layout.MOST_OFF_BYTES // 2))
control.begin(os.environ["FOLDER"])
shop.inner()
"""
    )
    assert recorded.calls() == {"inner": 3}


def test_a_span_from_one_call_to_another_is_whole(on):
    """One that began while it was on is counted at its end; one that began while it was off has no end."""
    recorded = on(
        SWITCH
        + """
loop = module('''
class Loop:
    def begin(self): pass
    def end(self): pass
''', "loop")
watch(loop, "Loop.begin", until=["Loop.end"], span="epoch", kind="task", entry=True)
one = loop.Loop()
one.begin(); one.end()
one.begin(); off(); one.end(); on()
off(); one.begin(); on(); one.end()
off(); one.begin(); one.end(); on()
off("loop:Loop.begin"); one.begin(); one.end(); on()
one.begin(); one.end()
"""
    )
    assert recorded.calls() == {"epoch": 3}
    assert recorded.interrupted() == {}


def test_greenlets_are_sane(on):
    """What is switched in one of them holds for all; what was open in another one is counted at its end."""
    pytest.importorskip("greenlet")
    recorded = on(
        """
import greenlet
recorder.use_greenlets()
"""
        + SWITCH
        + SHOP
        + """
watch(shop, "outer", "inner")
main = greenlet.getcurrent()
one = greenlet.greenlet(lambda: shop.outer(main.switch))
two = greenlet.greenlet(lambda: shop.outer(main.switch))
one.switch()
off(); two.switch(); shop.outer()
on(); one.switch(); two.switch()
shop.outer()
"""
    )
    assert recorded.calls() == {"outer": 2, "inner": 2 + 1 + 2}
    for shard in recorded.shards:
        assert [lane.stack for lane in shard.lanes if lane.stack] == []
