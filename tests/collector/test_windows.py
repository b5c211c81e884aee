"""Windows: what happened in the last seconds, from snapshots whose moments the test chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import LiveProcess, Snapshot
from hookmon.collector.metrics import Signal
from hookmon.collector.windows import SECOND_NS, SPARK_CELLS, WINDOWS, History
from hookmon.core.histogram import bucket_of

MS = 1_000_000
KEY = CallKey("GET", "cache", "redis:get")
OTHER = CallKey("render", "template", "jinja2:render")


def counters_of(durations_ns: Iterable[int], errors: int = 0, site: str = "app.py:1") -> Counters:
    """Return the counters of calls that took so long."""
    durations = list(durations_ns)
    buckets = dict(Counter(bucket_of(duration_ns) for duration_ns in durations))
    longest_ns = max(durations, default=0)
    counters = Counters(len(durations), errors, sum(durations), sum(durations), max_ns=longest_ns, histograms=[buckets])
    if durations:
        counters.sites[site] = len(durations)
    return counters


def snapshot(second: float, processes: Iterable[LiveProcess] = (), **named: Counters) -> Snapshot:
    """Return a snapshot; `key` and `other` are the counters of KEY and OTHER."""
    totals = Totals({{"key": KEY, "other": OTHER}[name]: counters for name, counters in named.items()})
    return Snapshot(round(second * SECOND_NS), totals, processes=list(processes))


def steady(seconds: Iterable[float], per_second: int = 10) -> History:
    """Return the history of a run that began at 0 and does one thing at a steady rate."""
    history = History(0)
    for second in seconds:
        history.observe(snapshot(second, key=counters_of([MS] * round(second * per_second))))
    return history


def test_each_window_counts_what_happened_in_it():
    """Ten seconds, sixty, and all."""
    history = steady(range(201))
    found = {window: history.figures(KEY, window) for window in WINDOWS}
    assert {window: (figures.calls, figures.seconds, figures.rate) for window, figures in found.items()} == {
        "10 s": (100, 10.0, 10.0),
        "60 s": (600, 60.0, 10.0),
        "all": (2000, 200.0, 10.0),
    }


def test_a_first_look_at_an_old_run_has_no_rate_yet():
    """All is known; what happened lately is not."""
    history = steady([500])
    assert (history.figures(KEY, "10 s").calls, history.figures(KEY, "10 s").rate) == (0, 0.0)
    assert history.figures(KEY, "all").calls == 5000


def test_a_young_run_counts_from_its_start():
    """Also what came before the first look."""
    figures = steady([4, 5]).figures(KEY, "60 s")
    assert (figures.calls, figures.seconds) == (50, 5.0)


def test_a_late_look_makes_no_false_rate():
    """The window is as long as it really was."""
    history = steady([100, 101, 125])
    figures = history.figures(KEY, "10 s")
    assert (figures.calls, figures.seconds, figures.rate) == (240, 24.0, 10.0)


def test_percentiles_are_those_of_the_window():
    """An hour of slow calls does not hide that they are fast now."""
    history = History(0)
    slow = [500 * MS] * 1000
    for second in range(100, 121):
        history.observe(snapshot(second, key=counters_of([*slow, *[2 * MS] * ((second - 100) * 10)])))
    now = history.figures(KEY, "10 s")
    assert all(abs(duration_ns - 2 * MS) <= 0.022 * 2 * MS for duration_ns in (now.p50_ns, now.p95_ns, now.p99_ns))
    assert abs(history.figures(KEY, "all").p50_ns - 500 * MS) <= 0.022 * 500 * MS


def test_the_slowest_of_all_is_told_exactly():
    """The largest duration is counted as such."""
    history = History(0)
    history.observe(snapshot(1, key=counters_of([3 * MS, 5 * MS, 777 * MS])))
    assert history.figures(KEY, "all").p99_ns == 777 * MS


def test_what_shrinks_has_not_grown():
    """A transaction that gets its name moves its counters; no figure becomes negative."""
    history = History(0)
    history.observe(snapshot(100, key=counters_of([MS] * 100, errors=5)))
    history.observe(snapshot(101, key=counters_of([MS] * 90, errors=4)))
    figures = history.figures(KEY, "10 s")
    assert (figures.calls, figures.errors, figures.total_ns, figures.rate, figures.p95_ns) == (0, 0, 0, 0.0, 0)
    assert all(per_second >= -1.0 for per_second in history.spark(KEY))


def test_a_name_that_is_gone_is_no_failure():
    """It is 0."""
    history = steady([10, 11])
    history.observe(snapshot(12))
    assert history.figures(KEY, "10 s").calls == 0
    assert history.calls("10 s") == []


def test_a_mark_counts_anew():
    """In every window, and in the list of names."""
    history = steady(range(100, 131))
    history.mark()
    assert history.calls("all") == []
    for second in range(131, 136):
        history.observe(snapshot(second, key=counters_of([MS] * second * 10), other=counters_of([MS])))
    found = {window: (history.figures(KEY, window).calls, history.figures(KEY, window).seconds) for window in WINDOWS}
    assert found == {"10 s": (50, 5.0), "60 s": (50, 5.0), "all": (50, 5.0)}
    assert {row.key: row.all_calls for row in history.calls("all")} == {KEY: 50, OTHER: 1}
    history.unmark()
    assert history.figures(KEY, "all").calls == 1350


def test_a_mark_outlives_the_minute():
    """It is kept when the snapshots around it are forgotten."""
    history = steady(range(10))
    history.mark()
    for second in range(10, 300):
        history.observe(snapshot(second, key=counters_of([MS] * second * 10)))
    assert history.figures(KEY, "all").calls == 2900
    assert history.figures(KEY, "10 s").calls == 100


def test_names_stand_by_their_self_time_in_the_window():
    """Not by what they did an hour ago."""
    history = History(0)
    history.observe(snapshot(100, key=counters_of([900 * MS] * 9), other=counters_of([MS])))
    history.observe(snapshot(101, key=counters_of([900 * MS] * 9), other=counters_of([MS] * 2)))
    assert [row.key for row in history.calls("10 s")] == [OTHER, KEY]
    assert [row.key for row in history.calls("all")] == [KEY, OTHER]


def test_several_names_are_told_as_one():
    """For one line."""
    history = History(0)
    history.observe(snapshot(5, key=counters_of([MS] * 3, errors=1), other=counters_of([4 * MS] * 1)))
    figures = history.together([KEY, OTHER], "all")
    assert (figures.calls, figures.errors, figures.total_ns, figures.rate) == (4, 1, 7 * MS, 0.8)


def test_call_sites_are_those_of_the_window():
    """Who calls now."""
    history = History(0)
    both = counters_of([MS] * 4)
    history.observe(snapshot(100, key=counters_of([MS] * 4)))
    both.add(counters_of([MS] * 3, site="shop.py:7"))
    history.observe(snapshot(101, key=both))
    assert history.figures(KEY, "10 s").sites == {"shop.py:7": 3}


def test_the_spark_line_is_the_last_minute():
    """Calls a second in steps of two seconds; -1 where nobody looked."""
    history = History(0)
    calls = 0
    for second in range(200, 221):
        calls += 7 if second >= 211 else 1
        history.observe(snapshot(second, key=counters_of([MS] * calls)))
    spark = history.spark(KEY)
    assert len(spark) == SPARK_CELLS
    assert spark == [-1.0] * 20 + [1.0] * 5 + [7.0] * 5


def test_a_spark_line_begins_with_the_run():
    """When somebody looked from the first moments on."""
    assert steady([1, 2, 3, 4]).spark(KEY)[-3:] == [-1.0, 10.0, 10.0]


def test_a_minute_is_all_that_is_kept():
    """And counters that do not change are kept once."""
    history = History(0)
    for second in range(1000):
        history.observe(snapshot(second, key=counters_of([MS] * 5), other=counters_of([MS] * second)))
    assert len(history._kept) == 61
    assert len({id(kept.totals.by_key[KEY]) for kept in history._kept}) == 1


def test_processes_use_what_they_used_since():
    """CPU and calls of the last ten seconds; one that is new has done all of it since."""
    history = History(0)
    for second in range(100, 131):
        rows = [LiveProcess(1, ["a"], "3.12", cpu_ns=second * SECOND_NS // 2, calls=second * 20)]
        rows += [LiveProcess(2, ["b"], "3.12", cpu_ns=SECOND_NS, calls=30)] if second >= 125 else []
        history.observe(snapshot(second, rows))
    found = [(row.process.pid, row.cpu_share, row.rate) for row in history.processes()]
    assert found == [(1, 0.5, 20.0), (2, 0.1, 3.0)]


@pytest.mark.parametrize("window", WINDOWS)
def test_before_the_first_look_there_is_nothing(window: str):
    """And no division by zero."""
    history = History(0)
    assert history.calls(window) == history.processes() == []
    assert history.transactions(window).rate == history.figures(KEY, window).rate == 0.0


def test_signals_have_their_growth_in_each_window():
    """How often a second they were measured, and what came to their values; one that is new has grown from nothing."""
    history = History(0)
    for second in range(61):
        signals = [Signal("sent", "By", "counter", 100.0 * second, second, 0, 0)]
        if second >= 55:
            signals.append(Signal("lag", "s", "histogram", 2.0, 4, 0.1, 1.0))
        history.observe(Snapshot(second * SECOND_NS, signals=signals))
    lag, sent = history.signals("10 s")
    assert (lag.signal.name, lag.rate, lag.growth) == ("lag", 0.4, 2.0)
    assert (sent.rate, sent.growth) == (1.0, 1000.0)
    assert history.signals("all")[1].growth == 6000.0
