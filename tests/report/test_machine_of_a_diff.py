"""What is put down to the machine, and what is not."""

from __future__ import annotations

from math import exp, log, sqrt

import pytest

from hookmon.collector.counters import CallKey
from hookmon.report.diff.machine import MOST, NOISE, Machine, Spent


def key(name: str) -> CallKey:
    """Return the key of a function."""
    return CallKey(name, "function", f"app:{name}")


def machine(
    factors: dict[str, float],
    *,
    cpu: tuple[int, int] = (0, 0),
    waits: tuple[float | None, float | None] = (0.0, 0.0),
    calls: int = 100,
) -> Machine:
    """Return a machine on which each name took a millisecond in A and `factor` times that in B."""
    names = {key(name): Spent(calls, calls, 10**6 * calls, round(10**6 * calls * factor)) for name, factor in factors.items()}
    return Machine(names, cpu, waits)


def shift_factors(seen: Machine, name: str) -> tuple[float, float]:
    """Return by what factor a name may have become slower, and faster."""
    shift = seen.shift(key(name))
    return round(exp(shift.slower), 3), round(exp(shift.faster), 3)


def test_what_all_names_share_is_the_machines():
    """In either direction, and nothing the other way."""
    names = dict.fromkeys("abcde", 1.4)
    assert shift_factors(machine(names), "a") == (1.4, 1.0)
    assert shift_factors(machine(dict.fromkeys(names, 1 / 1.4)), "a") == (1.0, 1.4)
    assert machine(names).common == pytest.approx(1.4)


def test_a_name_is_no_standard_of_its_own():
    """The one that changed is judged by the others, which did not; and they are not excused by it."""
    seen = machine({"a": 3.0, "b": 1.0, "c": 1.02, "d": 0.98})
    assert shift_factors(seen, "a") == (1.0, 1.0)
    assert shift_factors(seen, "b") == (1.02, 1.0)
    assert seen.common == pytest.approx(1.01, abs=0.002)


def test_half_of_the_others_are_enough():
    """An even number of them has its middle between two."""
    assert shift_factors(machine({"a": 1.0, "b": 1.5, "c": 1.5, "wait": 1.0}), "a") == (1.5, 1.0)
    assert shift_factors(machine({"a": 1.0, "b": 1.5, "c": 1.0, "d": 1.2, "e": 1.0}), "a") == (round(sqrt(1.2), 3), 1.0)


def test_the_rest_of_the_cpu_time_is_a_standard_where_names_wait():
    """Imports took 100 ms of CPU time and now take 130; the name itself is taken away."""
    waiting = {"query": 1.3, "wait": 1.0, "sleep": 1.0, "poll": 1.0}
    seen = machine(waiting, cpu=(200 * 10**6, 260 * 10**6))
    assert shift_factors(seen, "query") == (1.3, 1.0)
    alone = machine({"query": 3.0}, cpu=(200 * 10**6, 400 * 10**6))
    assert shift_factors(alone, "query") == (1.0, 1.0)


def test_a_rest_that_did_more_work_is_no_standard():
    """Twice the calls take twice the CPU time on any machine."""
    names = {key(name): Spent(100, 200, 10**8, 2 * 10**8) for name in "abc"}
    assert Machine(names, (10**9, 2 * 10**9), (0.0, 0.0)).shift(key("a")).slower == 0


def test_nothing_to_compare_with_leaves_room_for_anything_a_machine_does():
    """Up to two times, which is all that it does: with one other name, with few calls of them, and with no CPU time known."""
    for seen in (machine({"a": 1.0, "b": 1.0}), machine(dict.fromkeys("abcd", 1.0), calls=9), machine({})):
        assert shift_factors(seen, "a") == (2.0, 2.0)
        assert seen.common in (1.0, pytest.approx(1.0))
    assert shift_factors(machine(dict.fromkeys("abcd", 9.0)), "a") == (2.0, 1.0)
    assert exp(MOST) == pytest.approx(2)


def test_waits_explain_only_that_their_run_is_the_slower_one():
    """Half of them for a mean; for the slowest twentieth of the calls all of them."""
    names = dict.fromkeys("abc", 1.0)
    quiet = machine(names).allowance(key("a"))
    assert quiet.slower == quiet.faster == pytest.approx(log(1 + NOISE))
    waiting = machine(names, waits=(0.0, 1.0)).allowance(key("a"))
    assert (waiting.faster, waiting.tail_faster) == (quiet.faster, quiet.tail_faster)
    assert exp(waiting.slower - quiet.slower) == pytest.approx(sqrt(2))
    assert exp(waiting.tail_slower - quiet.tail_slower) == pytest.approx(21)
    swapped = machine(names, waits=(1.0, 0.0)).allowance(key("a"))
    assert (swapped.faster, swapped.slower) == (waiting.slower, waiting.faster)
    unknown = machine(names, waits=(None, None)).allowance(key("a"))
    assert quiet.slower < unknown.slower < waiting.slower


def test_the_noise_of_a_name_can_be_said():
    """It counts for tails more than for means."""
    allowed = machine(dict.fromkeys("abc", 1.0)).allowance(key("a"), noise=0.5)
    assert exp(allowed.slower) == pytest.approx(1.5)
    assert allowed.tail_slower == pytest.approx(1.5 * allowed.slower)
