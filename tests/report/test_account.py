"""The account of time: the parts are the whole, and what is not known is not said."""

from __future__ import annotations

import random
import re
import shlex
from typing import Any

import pytest
import runs
from runs import MS, S, node

from hookmon.collector.store import InFlight, Run
from hookmon.report.account import Account, account_of, sentence, warning
from hookmon.report.texts import duration, split_duration

UNITS = {"ns": 1, "µs": 1_000, "ms": MS, "s": S, "min": 60 * S, "h": 3_600 * S, "d": 86_400 * S}


def nanoseconds(text: str) -> float:
    """Return what a duration says."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (\w+)", text))


def run_of(**more: Any) -> Run:
    """Return a run of 10 s: 4 s computing, 1 s waiting for a processor, in one thread."""
    process = runs.process(4711, threads_max=1, cpu_ns=4 * S, ran_ns=4 * S, waited_ns=1 * S)
    return runs.run(**({"duration_ns": 10 * S, "processes": [process]} | more))


def account(**more: Any) -> Account:
    found = account_of(run_of(**more))
    assert found is not None
    return found


def said(**more: Any) -> str:
    return sentence(account(**more))


def test_what_is_shown_adds_up_to_the_whole_that_is_shown():
    """In one unit, of whatever size; the whole is the duration that the report shows elsewhere."""
    chance = random.Random(7)
    for _ in range(5_000):
        whole_ns = int(10 ** chance.uniform(0, 16))
        cuts = sorted(chance.randint(0, whole_ns) for _ in range(chance.randint(0, 3)))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, whole_ns], strict=True)]
        whole, shown = split_duration(whole_ns, parts)
        step_ns = 10 ** (len(str(whole_ns)) - 3) if whole_ns < 119 * S else 3_600 * S
        assert nanoseconds(whole) == pytest.approx(sum(map(nanoseconds, shown)), rel=1e-9), (whole, shown)
        assert all(abs(nanoseconds(text) - part_ns) <= 2 * step_ns for text, part_ns in zip(shown, parts, strict=True))
        if whole_ns < 100 * S:
            assert nanoseconds(whole) == pytest.approx(
                nanoseconds(duration(whole_ns)), rel=0.011
            )  # of a half step one rounds up, the other down


@pytest.mark.parametrize(
    ("whole_ns", "parts_ns", "shown"),
    [
        (221 * S, [47 * S, 173 * S, 1 * S], ("3 min 41 s", ["47 s", "2 min 53 s", "1 s"])),
        (3 * S, [1 * S, 1 * S, 1 * S], ("3.00 s", ["1.00 s", "1.00 s", "1.00 s"])),
        (100 * MS, [33_340_000, 33_330_000, 33_330_000], ("100 ms", ["34 ms", "33 ms", "33 ms"])),
        (10 * S, [10 * S - 3, 3], ("10.0 s", ["10.0 s", ""])),
        (7_260 * S, [3_660 * S, 3_600 * S], ("2 h 01 min", ["61 min", "60 min"])),
        (0, [0, 0], ("0 ns", ["", ""])),
    ],
)
def test_the_largest_remainders_are_rounded_up(whole_ns: int, parts_ns: list[int], shown: tuple[str, list[str]]):
    """The unit is that of the whole, and a part that would be shown as nothing is left out."""
    assert split_duration(whole_ns, parts_ns) == shown


def test_the_run_of_one_thread_is_what_it_did_and_waited_for():
    """Nothing is left over, and nothing is counted twice."""
    found = account()
    assert (found.of, found.whole_ns) == ("run", 10 * S)
    assert [(part.name, part.time_ns, part.share) for part in found.parts] == [
        ("computing", 4 * S, 0.4),
        ("waiting for a processor", 1 * S, 0.1),
        ("waiting for others", 5 * S, 0.5),
    ]
    assert said().startswith("10.0 s = 4.0 s computing + 1.0 s waiting for a processor + 5.0 s waiting for others; ")


def test_clocks_that_disagree_make_no_more_than_the_whole():
    """The CPU time of a process is read at another moment than the duration of the run."""
    process = runs.process(4711, cpu_ns=9_900 * MS, ran_ns=9_900 * MS, waited_ns=300 * MS)
    found = account(processes=[process])
    assert sum(part.time_ns for part in found.parts) == found.whole_ns == 10 * S


@pytest.mark.parametrize("beside_ns", [1_001 * MS, None], ids=["side by side", "not known"])
def test_threads_side_by_side_have_a_time_at_work_and_no_wait_for_others(beside_ns: int | None):
    """Nobody knows how long none of them was at work."""
    processes = [runs.process(pid, cpu_ns=8 * S, ran_ns=8 * S, waited_ns=2 * S) for pid in (4711, 4712)]
    found = account(processes=processes, beside_ns=beside_ns)
    assert (found.of, found.whole_ns) == ("work", 20 * S)
    assert [(part.name, part.time_ns) for part in found.parts] == [("computing", 16 * S), ("waiting for a processor", 4 * S)]
    expected = "all threads and processes together: 20.0 s at work = 16.0 s computing + 4.0 s waiting for a processor; "
    assert sentence(found).startswith(expected)


def test_a_run_of_an_older_hookmon_has_an_account_where_it_had_one_thread():
    """How long threads were side by side was not kept."""
    assert account(beside_ns=None).of == "run"


def test_a_tenth_of_the_run_may_be_side_by_side():
    """So far off may a part be."""
    assert account(beside_ns=1 * S).of == "run"


@pytest.mark.parametrize("ran_ns", [0, 3 * S], ids=["no scheduler", "threads that nobody saw"])
def test_where_waits_for_a_processor_are_not_known_all_waiting_is_one_part(ran_ns: int):
    """It is not estimated."""
    process = runs.process(4711, cpu_ns=4 * S, ran_ns=ran_ns, waited_ns=1 * S if ran_ns else 0)
    found = account(processes=[process])
    assert [(part.name, part.time_ns) for part in found.parts] == [("computing", 4 * S), ("waiting", 6 * S)]
    assert sentence(found).startswith("10.0 s = 4.0 s computing + 6.0 s waiting; ")


def test_processes_that_came_and_went_unseen_are_in_the_cpu_time():
    """The kernel has added them up; whether they were side by side is not known."""
    found = account(used_ns=9 * S)
    assert (found.of, found.whole_ns) == ("work", 9 * S)
    assert sentence(found).startswith("all threads and processes together: 9.00 s computing; ")


@pytest.mark.parametrize(
    "more",
    [{"state": "recovered"}, {"processes": []}, {"duration_ns": 0}],
    ids=["its launcher was killed", "no process was read", "no time"],
)
def test_without_cpu_time_there_is_no_account(more: dict[str, Any]):
    """Say nothing rather than something."""
    assert account_of(run_of(**more)) is None


FUNCTION = [node(-1, "f", [2 * S, 1 * S], children_ns=2 * S), node(0, "g", [2 * S])]
REQUEST = [node(-1, "GET /", [1 * S] * 2, kind="request", entry=True)]
TASKS = [node(-1, "fetch", [5 * S] * 4, steps=8, active_ns=2 * S)]
MAIN = [node(-1, "main", [9 * S], steps=8, active_ns=2 * S)]
FLAT = [node(-1, "f", [1 * S]), node(-1, "g", [9 * S], flat=True)]
BESIDE = [*REQUEST, node(0, "(concurrent)", [], detached="concurrent"), node(1, "send", [1 * S])]

EXPLAINED = {
    "calls of one thread": (FUNCTION, {}, "watched calls explain 30 %"),
    "of several, perhaps side by side": (FUNCTION, {"lanes": 3}, "watched calls explain at most 30 %"),
    "more than there is": ([node(-1, "f", [20 * S] * 2)], {"lanes": 3}, "watched calls may explain all of it"),
    "nothing": ([], {}, "watched calls explain nothing"),
    "requests to a server that waits for them": (REQUEST, {"lanes": 1}, "watched calls explain at most 40 % of the time at work"),
    "and what they have others do": (BESIDE, {"lanes": 2}, "watched calls explain at most 60 % of the time at work"),
    "steps of several tasks": (TASKS, {"lanes": 4}, "watched calls explain 40 % of the time at work"),
    "a coroutine that is all": (MAIN, {"lanes": 2}, "watched calls explain 90 %"),
    "calls without a place are in those of others": (FLAT, {}, "watched calls explain 10 %"),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_watched_calls_explain_what_can_be_known(name: str):
    """Exactly, or at most; of the run, or of the time at work."""
    nodes, more, expected = EXPLAINED[name]
    assert said(nodes=nodes, **more).endswith(f"; {expected}")


def test_a_call_that_has_not_returned_explains_too():
    """From its beginning to the end of the run, with all that is open inside."""
    call = InFlight(4711, "thread 1", [("serve", 8 * S), ("read", 1 * S)], 1 * S)
    assert said(in_flight=[call]).endswith("; watched calls explain 80 %")


def test_tests_that_wait_little_are_held_against_the_whole_run():
    """A program with transactions that is hardly ever idle has to explain the time between them."""
    process = runs.process(4711, cpu_ns=9 * S, ran_ns=9 * S, waited_ns=0)
    nodes = [node(-1, "test_a", [1 * S] * 2, kind="task", entry=True)]
    assert said(nodes=nodes, processes=[process]).endswith("; watched calls explain 20 %")


def test_of_a_program_that_nobody_watched_nothing_is_explained_or_offered():
    """It is not Python, say."""
    found = account(processes=[runs.process(4711, python="", cpu_ns=4 * S, ran_ns=4 * S)])
    assert (found.explained, found.command) == (None, "")
    assert sentence(found).endswith("waiting for others")


def test_the_rest_is_shown_by_the_same_command_with_own():
    """Quoted for a shell, with what chose the configuration."""
    options = ["--config", "my conf.toml", "--no-pack", "*"]
    words = ["python", "-c", "print('a b')", "$HOME"]
    found = account(command=words, options=options)
    assert shlex.split(found.command) == ["hookmon", "run", *options, "--own", *words]
    assert account(nodes=[node(-1, "f", [5 * S])]).command == ""
    assert account(options=["--own"]).command == ""
    assert account(command=["-odd"]).command == "hookmon run --own -- -odd"


@pytest.mark.parametrize(
    "more",
    [
        {"command": ["app", "--token", "***"]},
        {"command": ["python", "-c", "a\nb"]},
        {"settings": [{"table": "", "key": "redact", "value": "all", "origin": "hookmon.toml:1"}], "options": ["--config"]},
    ],
    ids=["hidden", "lines", "redacted"],
)
def test_a_command_that_is_not_kept_as_it_was_is_not_offered(more: dict[str, Any]):
    """What is pasted would do something else."""
    assert account(**more).command == "hookmon run --own COMMAND"


def test_a_machine_with_too_much_to_do_is_told_in_every_headline():
    """Times are not the program's own then."""
    process = runs.process(4711, cpu_ns=2 * S, ran_ns=2 * S, waited_ns=6 * S)
    expected = "The machine was busy: 75 % of the time at work went by waiting for a processor. Times are not the program's own."
    assert warning(account(processes=[process])) == expected
    assert warning(account()) == ""


def test_a_share_is_a_share_of_the_whole_whatever_was_counted():
    """Parts add up to the whole, and nothing is more than all, or less than nothing."""
    chance = random.Random(11)
    for _ in range(2_000):
        processes = [
            runs.process(
                pid, cpu_ns=chance.randint(0, 12 * S), ran_ns=chance.randint(0, 12 * S), waited_ns=chance.randint(0, 9 * S)
            )
            for pid in range(chance.randint(1, 4))
        ]
        nodes = [node(-1, "f", [chance.randint(0, 20 * S)], active_ns=chance.randint(0, 20 * S), steps=chance.randint(0, 1))]
        beside_ns = chance.choice([None, 0, 500 * MS, 5 * S])
        more = {"lanes": chance.randint(0, 2), "used_ns": chance.randint(0, 15 * S)}
        found = account_of(run_of(processes=processes, nodes=nodes, beside_ns=beside_ns, **more))
        assert found is not None
        assert sum(part.time_ns for part in found.parts) == found.whole_ns
        assert all(part.time_ns >= 0 and 0 <= part.share <= 1 for part in found.parts)
        assert found.explained is not None
        assert 0 <= found.explained.time_ns <= found.explained.of_ns
        text, _, _ = sentence(found).partition(";")
        whole, _, parts = text.rpartition(": ")[2].partition(" = ")
        if parts:
            assert nanoseconds(whole) == pytest.approx(sum(nanoseconds(part) for part in parts.split(" + ")))
