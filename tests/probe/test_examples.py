"""Transactions that are kept whole: the slowest and the first that failed, in the run and in each window; on both engines."""

from __future__ import annotations

from textwrap import dedent

import pytest

from hookmon.collector.examples import LiveExample

PAGES = '''
pages = module("""
import time
class Response:
    def __init__(self, status): self.status = status

def app(rule, status=200, takes=0.0, raises=None, calls=0):
    route(rule)
    for number in range(calls): query(number)
    if takes: time.sleep(takes)
    if raises: raise raises
    return Response(status)

def route(rule): return rule
def query(number):
    inner(number)
def inner(number):
    if number == 2: raise KeyError(number)
def job(raises): raise raises
""")
watch(pages, "app", kind="request", span="GET (no route)", entry=True, entry_status="{result.status}")
watch(pages, "route", entry_name="{arg0}")
watch(pages, "query", "inner")
watch(pages, "job", kind="task", entry=True)
def ask(*args, **kwargs):
    try:
        pages.app(*args, **kwargs)
    except Exception:
        pass

import struct, time
from pathlib import Path
from hookmon.core import layout
from hookmon.probe.recording import control
class OwnError(ValueError): pass

def page(window_ns, until_ns):
    with open("run/control", "r+b") as file:
        file.write(struct.pack("=QQQ", layout.CONTROL_IS_OURS, window_ns, until_ns))

def windows(window_ns, until_ns=2**62):
    Path("run/control").write_bytes(bytes(4096))
    page(window_ns, until_ns)
    control.begin("run")
'''


@pytest.fixture(params=["pure", "compiled"])
def pages(fresh, request):
    """Run code after PAGES on one engine."""
    return lambda code: fresh(PAGES + dedent(code), env={"HOOKMON_ENGINE": request.param})


def test_the_first_with_each_failure_is_kept(pages):
    """Once for each status and exception, however fast it was; with what it raised, and which of its calls."""
    recorded = pages("""
    for number in range(5): ask("GET /a", takes=0.005)
    for number in range(3):
        ask("GET /a", 503); ask("GET /a", 404); ask("GET /a", raises=OwnError()); ask("GET /a", raises=KeyError())
    ask("GET /a", calls=3)
    for error in (OSError(), OSError(), KeyError()):
        try: pages.job(error)
        except Exception: pass
    """)
    of_a = [row for row in recorded.examples if recorded.nodes[row.node].name == "GET /a"]
    failed = sorted((row.status, row.error) for row in of_a if row.is_first_failed)
    assert failed == [(0, "KeyError"), (0, "OwnError"), (503, "")]
    assert all(row.has_failed for row in of_a if row.is_first_failed)
    assert sum(row.is_slow for row in of_a) == 3
    starts = {(row.status, row.error): row.started_ns for row in of_a if row.is_first_failed}
    assert starts[503, ""] < starts[0, "OwnError"] < starts[0, "KeyError"]
    of_job = [row for row in recorded.examples if recorded.nodes[row.node].name == "job"]
    assert sorted(row.error for row in of_job if row.is_first_failed) == ["KeyError", "OSError"]


def test_an_example_has_ids_parents_and_a_time(pages):
    """A random trace and span of its own, each span one below the span that has called it, and the wall time of its start."""
    recorded = pages("""
    ask("GET /a", calls=2, takes=0.05)
    ask("GET /a", calls=4)
    """)
    good, bad = sorted(recorded.examples, key=lambda row: row.has_failed)
    assert len({good.trace_id, bad.trace_id, good.span_id, bad.span_id}) == 4
    assert (len(good.trace_id), len(good.span_id), good.parent_id) == (32, 16, "")
    shard = recorded.shards[0]
    passed_ns = good.started_ns - shard.started_ns
    assert abs(good.started_at_ns - shard.started_wall_ns - passed_ns) < 1e9
    spans = LiveExample(good, recorded.nodes).spans()
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans) == 4
    parents = [(span.name, by_id[span.parent_id].name if span.parent_id in by_id else span.parent_id) for span in spans]
    assert parents == [("query", good.span_id), ("inner", "query")] * 2
    assert [span.has_failed for span in LiveExample(bad, recorded.nodes).spans()] == [False] * 4 + [True] * 2
    for example in (LiveExample(good, recorded.nodes), LiveExample(bad, recorded.nodes)):
        alone = example.alone()  # of what ended long ago, other places are forgotten
        assert (alone.spans(), alone.name, alone.kind) == (example.spans(), example.name, example.kind)
        assert [node.name for node in alone.nodes] == ["GET /a", "query", "inner"]
    assert bad.error == "KeyError"


def test_each_window_has_its_own(pages):
    """The slowest and the first failure of a window are kept, though the run has had slower ones; the window before stays."""
    recorded = pages("""
    for number in range(4): ask("GET /a", takes=0.05)
    ask("GET /a", 503)
    windows(1 << 62)
    now = time.monotonic_ns()
    for number in (1, 2, 3):
        page(now // number, 2**62)  # so many have passed, for as long again as the machine has run
        ask("GET /a"); ask("GET /a", takes=0.002); ask("GET /a", 503); ask("GET /a", 503); ask("GET /a", 404)
    """)
    slow = [row for row in recorded.examples if row.is_slow and row.window]
    assert sorted(row.window for row in slow) == [2, 3]
    assert all(row.duration_ns >= 2_000_000 and row.status in (200, 404, 503) for row in slow)
    assert sorted(row.window for row in recorded.examples if row.is_first_failed and row.window) == [2, 3]
    assert all((row.started_ns + row.duration_ns) // row.window_ns == row.window for row in recorded.examples if row.window)
    assert sum(row.duration_ns >= 50_000_000 for row in recorded.examples) >= 3
    assert sum(row.is_first_failed for row in recorded.examples if not row.window) == 1


def test_nobody_wants_windows_any_more(pages):
    """When the time is over for which they were asked for, the run as a whole is what counts again."""
    recorded = pages("""
    windows(1_000_000_000, time.monotonic_ns() - 1)
    for number in range(9): ask("GET /a", takes=0.001 * number)
    """)
    assert [row.window for row in recorded.examples] == [0, 0, 0]


@pytest.mark.parametrize("content", [b"", bytes(4096), b"x" * 4095, b"\xff" * 4096], ids=["empty", "zeros", "short", "ones"])
def test_a_page_that_is_none_says_nothing(pages, content):
    """Nothing is mapped that has no storage behind it, and no other file's words are taken for ours."""
    recorded = pages(f"""
    Path("run/control").write_bytes({content!r})
    control.begin("run")
    control.begin("nowhere")
    for number in range(9): ask("GET /a", takes=0.001 * number)
    """)
    assert [row.window for row in recorded.examples] == [0, 0, 0]


def test_a_service_that_fails_always_is_not_slowed(pages):
    """What has failed in the same way in this window is not offered again."""
    recorded = pages("""
    from hookmon.probe.transactions import examples
    asked = []
    plain = examples._Example.__init__
    def count(self, *args): asked.append(1); plain(self, *args)
    examples._Example.__init__ = count
    windows(1 << 40)
    for number in range(500): ask("GET /a", 503)
    print(len(asked))
    """)
    most = 500 if recorded.shards[0].engine == "pure" else 60  # the slowest so far are offered, too
    assert int(recorded.out) <= most


def test_the_programs_random_numbers_stay_its_own(pages):
    """Ids are made without them."""
    recorded = pages("""
    import random
    random.seed(7); plain = [random.random() for _ in range(3)]
    random.seed(7); found = []
    for number in range(3): found.append(random.random()); ask("GET /a", 503, takes=0.001 * number)
    assert found == plain
    """)
    assert len({row.span_id for row in recorded.examples}) == 3
