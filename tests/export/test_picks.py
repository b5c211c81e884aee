"""Which of what processes have kept becomes a trace: windows, processes and limits, without a clock."""

from __future__ import annotations

from time import monotonic_ns

import pytest

from hookmon.core.record import replace

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")

from hookmon.collector.counters import CallKey
from hookmon.collector.examples import LiveExample
from hookmon.collector.feed import Snapshot
from hookmon.collector.rows import Example, Node
from hookmon.collector.store import Run
from hookmon.export.exemplars import Exemplars
from hookmon.export.picks import FIRST_FAILED, MOST_TRACES, SLOWEST, Picks
from hookmon.export.rows import Resource
from hookmon.export.settings import OtlpSettings, TracesSettings
from hookmon.export.spans import trace_of
from hookmon.export.traces import MOST_WAITING, Traces

MINUTE = 60_000_000_000
WAIT = 1_000_000_000
ROW = Example(0, 0, 0, 200, 0, 7, [], window=1, window_ns=MINUTE, trace_id="ab" * 16, span_id="01" * 8)


def example(span: int, name: str = "GET /a", kind: str = "request", target: str = "m:f", **values: object) -> LiveExample:
    """Return an example of window 1, unless `values` say else."""
    row = replace(ROW, span_id=f"{span:016x}", **values)  # type: ignore[arg-type]
    return LiveExample(row, [Node(-1, name, kind, target)])


def looked_at(at_ns: int, *examples: LiveExample, ended: bool = False) -> Snapshot:
    """Return a snapshot."""
    return Snapshot(at_ns, examples=list(examples), ended=ended)


def numbers(picks: list[tuple[LiveExample, str]]) -> list[tuple[int, str]]:
    """Return which were picked, and why."""
    return [(int(example.row.span_id, 16), reason) for example, reason in picks]


def test_of_all_processes_the_slowest_of_each_route_and_the_first_of_each_failure():
    """Failures are told apart by status, or by the type of what was raised."""
    found = [
        example(1, duration_ns=5),
        example(2, duration_ns=9, pid=8),
        example(3, "GET /b", duration_ns=7),
        example(4, started_ns=4, status=503, is_slow=False, is_first_failed=True),
        example(5, started_ns=3, status=503, is_slow=False, is_first_failed=True, pid=8),
        example(6, started_ns=6, status=500, error="KeyError", is_slow=False, is_first_failed=True),
    ]
    picked = Picks(0).take(looked_at(2 * MINUTE + WAIT, *found))
    assert sorted(numbers(picked)) == [(2, SLOWEST), (3, SLOWEST), (5, FIRST_FAILED), (6, FIRST_FAILED)]


def test_a_window_is_taken_once_it_is_over_and_never_again():
    """One that goes on waits; what comes late for one that was taken is left out; the end of a run ends all windows."""
    picks = Picks(0)
    first, second = example(1), example(2, window=2)
    assert numbers(picks.take(looked_at(2 * MINUTE, first))) == []
    assert numbers(picks.take(looked_at(2 * MINUTE + WAIT, first, second))) == [(1, SLOWEST)]
    assert numbers(picks.take(looked_at(2 * MINUTE + 2 * WAIT, first, example(3, duration_ns=9), second))) == []
    assert numbers(picks.take(looked_at(2 * MINUTE + 3 * WAIT, first, second, ended=True))) == [(2, SLOWEST)]


def test_what_was_over_before_somebody_looked_on_is_not_sent():
    """Nor what is kept for the run as a whole, nor what has no ids."""
    picks = Picks(4 * MINUTE)
    old = [example(1, window=3), example(2, window=0, window_ns=0), example(0, window=4)]
    old[2].row.span_id = ""
    assert numbers(picks.take(looked_at(9 * MINUTE, *old, example(3, window=4)))) == [(3, SLOWEST)]


def test_there_are_no_more_than_fifty_a_minute():
    """Failures and slow ones take turns; the fastest are left out."""
    picks = Picks(MINUTE)
    found = [example(number, f"GET /{number}", duration_ns=number, window=2) for number in range(1, 101)]
    failed = example(200, started_ns=1, status=500, is_slow=False, is_first_failed=True, window=2)
    kept = numbers(picks.take(looked_at(3 * MINUTE + WAIT, *found, failed)))
    assert len(kept) == MOST_TRACES
    assert kept[0] == (200, FIRST_FAILED)
    assert {number for number, reason in kept if reason == SLOWEST} == set(range(52, 101))
    assert picks.left_out == 51
    more = [example(number, f"GET /{number}", window=3) for number in range(300, 400)]
    assert len(picks.take(looked_at(3 * MINUTE + 13 * WAIT, *more, ended=True))) == 10, "twelve seconds' worth"


def test_how_many_there_were_too_many_is_told():
    """Once to the user, and the number in the end."""
    told: list[str] = []
    settings = TracesSettings(OtlpSettings("http://127.0.0.1:1/v1/traces", "http://127.0.0.1:1"))
    traces = Traces(settings, Run(1, "", [], "", "", run_folder="/nowhere"), Resource((), 1), {}, (), Exemplars(), told.append)
    traces.hurry.set()
    assert traces.shortage() == ""
    start = monotonic_ns()
    for number in (1, 2):
        window = start // MINUTE + number
        found = [example(number * 100 + at, f"GET /{at}", window=window) for at in range(MOST_TRACES + 1)]
        traces.observe(looked_at((window + 1) * MINUTE + WAIT, *found))
    assert traces.shortage() == "2 traces were left out: there were more than 50 a minute"
    assert len([line for line in told if line.endswith("of more than 50 traces a minute some are left out [export-full]")]) == 1


KINDS = {
    "request": ("request", "flask.app:Flask.wsgi_app", "", "server"),
    "job of a queue": ("task", "celery.app.trace:trace_task", "", "consumer"),
    "message with a parent": ("task", "shop:handle", "05" * 8, "consumer"),
    "test": ("task", "_pytest.runner:call", "", "internal"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_of_spans(case: str):
    """What came by a message is a consumer's."""
    kind, target, parent, said = KINDS[case]
    trace = trace_of(example(1, "work", kind, target, parent_id=parent, trace_flags=1), SLOWEST, {}, {"celery"})
    assert trace.spans[0].kind == said


def test_of_a_caller_who_keeps_no_trace_the_id_is_the_same_each_time():
    """Whoever exports it."""
    found = example(1, parent_id="05" * 8, trace_flags=0x100)
    first, second = (trace_of(found, SLOWEST, {}, ()) for _ in range(2))
    assert first == second
    assert first.link is not None
    assert (first.link.trace_id.hex(), first.trace_id.hex() == ROW.trace_id) == (ROW.trace_id, False)


def test_no_more_than_so_many_wait_for_an_endpoint_that_is_not_there():
    """The oldest go first, and are told."""
    told: list[str] = []
    settings = TracesSettings(OtlpSettings("http://127.0.0.1:1/v1/traces", "http://127.0.0.1:1"))
    run = Run(1, "", [], "", "", run_folder="/nowhere")
    traces = Traces(settings, run, Resource((), 1), {}, (), Exemplars(), told.append)
    traces.hurry.set()
    start = monotonic_ns()
    for number in range(1, 16):
        window = start // MINUTE + number
        found = [example(number * 100 + at, f"GET /{at}", window=window) for at in range(MOST_TRACES)]
        traces.observe(looked_at((window + 1) * MINUTE + WAIT, *found))
    assert f"{15 * MOST_TRACES} traces were not taken" in traces.loss()
    assert traces.waiting == MOST_WAITING
    assert len(told) == 1


def test_an_exemplar_is_the_slowest_that_was_taken_together_and_never_an_older_one():
    """Of a class of statuses the newest of all."""
    exemplars, key = Exemplars(), CallKey("GET /a", "request", "m:f")

    def taken(span: int, started_ns: int, duration_ns: int, status: int = 200) -> None:
        found = example(span, started_at_ns=started_ns, duration_ns=duration_ns, status=status)
        exemplars.add([trace_of(found, SLOWEST, {}, ())])

    exemplars.add(trace_of(example(n, started_at_ns=n, duration_ns=10 - n), SLOWEST, {}, ()) for n in (1, 2))
    newest = exemplars.of(key, 200)
    assert newest is not None
    assert newest.value == 9e-9
    taken(3, 50, 1)
    taken(4, 20, 1)
    newest = exemplars.of(key, 200)
    assert newest is not None
    assert newest.at_ns == 51
    assert exemplars.of(key, 5) is None
    taken(5, 60, 1, 503)
    newest = exemplars.of(key, 5)
    assert newest is not None
    assert newest.at_ns == 61
