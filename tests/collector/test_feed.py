"""The feed: snapshots for observers, each as often as it wants one, and no oftener than reading them is cheap."""

from __future__ import annotations

from time import thread_time

import pytest

from hookmon.collector.feed import Feed, Snapshot, Timer
from hookmon.collector.store import Run

MS = 1_000_000


class Looker:
    """An observer that keeps what it gets."""

    def __init__(self, every_ms: int) -> None:
        self.every_ns = every_ms * MS
        self.seen_ms: list[int] = []
        self.ended: list[Run] = []

    def observe(self, snapshot: Snapshot) -> None:
        self.seen_ms.append(snapshot.at_ns // MS)

    def end(self, run: Run) -> str:
        self.ended.append(run)
        return "it was too dark" if self.every_ns > 500 * MS else ""


def run_until(feed: Feed, end_ms: int) -> int:
    """Tick every 10 ms; return how often there was something due."""
    return sum(feed.tick(at_ms * MS) for at_ms in range(0, end_ms, 10))


def test_each_observer_has_its_own_interval():
    """It begins with the run, so two with one interval see the same snapshots."""
    often, seldom = Looker(100), Looker(250)
    feed = Feed(Snapshot, [often, seldom], began_ns=0, rest=0)
    assert run_until(feed, 1000) == 12
    assert often.seen_ms == list(range(0, 1000, 100))
    assert seldom.seen_ms == [0, 250, 500, 750]
    assert feed.wait_s(940 * MS) == pytest.approx(0.06)
    assert feed.wait_s(1500 * MS) == 0


def test_an_interval_that_becomes_longer_is_asked_for_each_time():
    """As that of the time series does."""
    looker = Looker(100)
    feed = Feed(Snapshot, [looker], began_ns=0, rest=0)
    run_until(feed, 200)
    looker.every_ns = 400 * MS
    run_until(feed, 1000)
    assert looker.seen_ms == [0, 100, 200, 400, 800]


def test_an_observer_may_go_by_another_clock():
    """It says itself when it wants the next snapshot: services look when a minute on the wall is over, 17 seconds off here."""

    class OnTheWall(Looker):
        def next_ns(self, now_ns: int) -> int:
            return ((now_ns - 17_000 * MS) // (60_000 * MS) + 1) * 60_000 * MS + 17_000 * MS

    looker, other = OnTheWall(60_000), Looker(100_000)
    feed = Feed(Snapshot, [looker, other], began_ns=0, rest=0)
    waits = []
    for at_ms in range(0, 200_000, 500):
        feed.tick(at_ms * MS)
        waits.append(feed.wait_s(at_ms * MS))
    assert looker.seen_ms == [0, 17_000, 77_000, 137_000, 197_000]
    assert other.seen_ms == [0, 100_000]
    assert max(waits) <= 60


def test_a_look_that_takes_long_is_followed_by_rest():
    """The thread has its time for other things; one long look alone is chance."""
    cost_s = 0.02

    def take(now_ns: int) -> Snapshot:
        began = thread_time()
        while thread_time() - began < cost_s:
            pass
        return Snapshot(now_ns)

    looker = Looker(10)
    feed = Feed(take, [looker], began_ns=0, rest=10)
    assert feed.tick(0)
    assert feed.tick(10 * MS)
    assert not feed.tick(200 * MS)
    assert feed.wait_s(10 * MS) >= 10 * cost_s
    cost_s = 0.0
    assert feed.tick(10_000 * MS)
    assert feed.tick(10_010 * MS)


def test_all_observers_get_the_last_snapshot_and_the_run():
    """And may say what went wrong."""
    first, second = Looker(100), Looker(1000)
    run = Run(1, "", [], "", "")
    feed = Feed(Snapshot, [first, second], began_ns=0, rest=0)
    assert feed.end(Snapshot(7 * MS, ended=True), run) == ["it was too dark"]
    assert (first.seen_ms, second.seen_ms, first.ended, second.ended) == ([7], [7], [run], [run])


def test_a_snapshot_of_an_ended_run_is_for_all_observers():
    """Whoever was not due yet would never see what was counted last: `hookmon export` sees by a look that a run has ended."""
    often, seldom = Looker(100), Looker(250)
    feed = Feed(lambda at_ns: Snapshot(at_ns, ended=at_ns >= 300 * MS), [often, seldom], began_ns=0, rest=0)
    run_until(feed, 310)
    assert (often.seen_ms[-1], seldom.seen_ms[-1]) == (300, 300)


def test_a_timer_is_due_once_in_its_interval():
    """However late it was asked; intervals begin together, so that those of several timers end together."""
    timer = Timer(100, began_ns=50, first_ns=60)
    asked = (0, 59, 60, 149, 150, 249, 410, 449, 450)
    assert [now_ns for now_ns in asked if timer.is_due(now_ns)] == [60, 150, 410, 450]
    assert timer.wait_s(450) == 100 / 1e9


def test_a_timer_goes_by_the_interval_that_it_has_now():
    """Looks come often at first, and seldom when nothing has begun for a while."""
    timer = Timer(100)
    assert timer.is_due(0)
    timer.every_ns = 500
    assert [now_ns for now_ns in range(100, 1_100, 100) if timer.is_due(now_ns)] == [500, 1_000]
