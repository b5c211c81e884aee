"""The call tree in the formats of profilers, read as their readers do."""

from __future__ import annotations

import io
import json
import pstats
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import runs
from runs import MS, node

from hookmon.collector.store import Node, Run
from hookmon.report import FORMATS, is_binary, render
from hookmon.report.flame import edges, slices


def tree() -> list[Node]:
    """a(10 ms) calls b(6 ms, which calls a(2 ms)) and c(1 ms); c(4 ms) stands alone."""
    return [
        node(-1, "a", [10 * MS], children_ns=7 * MS, call_site="app.py:3"),
        node(0, "b", [3 * MS, 3 * MS], children_ns=2 * MS, errors=1),
        node(1, "a", [2 * MS]),
        node(0, "c", [MS]),
        node(-1, "c", [4 * MS]),
    ]


def bytes_of(run: Run, format: str) -> bytes:
    """Return what a format writes into a file."""
    content = io.BytesIO()
    file = io.TextIOWrapper(content, encoding="utf-8", newline="\n")
    render(run, format, file=file)
    file.flush()
    return content.getvalue()


def test_a_slice_is_as_wide_as_its_own_time_and_its_children():
    """Children stand side by side in their parent, the widest first."""
    found = [(tree()[piece.index].name, piece.begin_ns // MS, piece.end_ns // MS, piece.depth) for piece in slices(tree())]
    assert found == [("a", 0, 10, 0), ("b", 0, 6, 1), ("a", 0, 2, 2), ("c", 6, 7, 1), ("c", 10, 14, 0)]


def test_a_slice_opens_after_its_parent_and_closes_before_it():
    """As brackets do."""
    nodes = tree()
    text = "".join(f"{nodes[piece.index].name}{'(' if opens else ')'}" for piece, opens in edges(slices(nodes)))
    assert text == "a(b(a(a)b)c(c)a)c(c)"


def test_a_very_deep_tree_is_laid_out():
    """Without recursion."""
    nodes = [node(at - 1, f"f{at}", [MS], children_ns=MS if at < 3_999 else 0) for at in range(4_000)]
    assert slices(nodes)[-1].depth == 3_999


def test_a_collapsed_stack_is_a_path_and_whole_microseconds():
    """As flamegraph.pl reads it: everything up to the last blank is the stack."""
    lines = bytes_of(runs.run(nodes=tree()), "collapsed").decode().splitlines()
    assert lines == ["a 3000", "a;b 4000", "a;b;a 2000", "a;c 1000", "c 4000"]


def test_a_name_cannot_end_its_frame():
    """Separators and line ends in names are written otherwise."""
    run = runs.run(nodes=[node(-1, "a;b\nc 5", [2 * MS]), node(-1, "", [MS])])
    assert bytes_of(run, "collapsed").decode() == "a,b\\nc 5 2000\n(unnamed) 1000\n"


def test_pstats_reads_calls_and_times():
    """By pstats.Stats itself; recursive calls and who called whom included."""
    stats: Any = pstats.Stats(_Dump(bytes_of(runs.run(nodes=tree()), "pstats")))
    found = {function[2]: figures for function, figures in stats.stats.items()}
    assert found["a"][:4] == (1, 2, pytest.approx(0.005), pytest.approx(0.010))
    assert found["b"][:4] == (2, 2, pytest.approx(0.004), pytest.approx(0.006))
    assert found["c"][:4] == (2, 2, pytest.approx(0.005), pytest.approx(0.005))
    assert found["c"][4] == {("app:a", 0, "a"): (1, 1, pytest.approx(0.001), pytest.approx(0.001))}
    assert stats.total_tt == pytest.approx(0.014)
    assert stats.total_calls == 6


class _Dump:
    """What pstats.Stats takes beside a file name: something with `create_stats` and `stats`."""

    def __init__(self, content: bytes) -> None:
        import marshal

        self.stats = marshal.loads(content)

    def create_stats(self) -> None:
        """Nothing is left to do."""


def test_pstats_prints_what_it_loaded_from_a_file(tmp_path: Path):
    """The way that users go."""
    (tmp_path / "run.pstats").write_bytes(bytes_of(runs.hostile(), "pstats"))
    screen = io.StringIO()
    pstats.Stats(str(tmp_path / "run.pstats"), stream=screen).sort_stats("tottime").print_stats().print_callers()
    assert "6 function calls in 0.006 seconds" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_speedscope_events_are_balanced_and_in_order():
    """What its importer asks for beyond the schema of the format, which the document was held against by hand."""
    document = json.loads(bytes_of(runs.run(nodes=tree()), "speedscope"))
    (profile,) = document["profiles"]
    frames = document["shared"]["frames"]
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert (profile["type"], profile["unit"], profile["startValue"], profile["endValue"]) == (
        "evented",
        "nanoseconds",
        0,
        14 * MS,
    )
    assert [frame["name"] for frame in frames] == ["a", "b", "c"]
    open_frames: list[int] = []
    at = 0
    for event in profile["events"]:
        assert event["at"] >= at
        at = event["at"]
        if event["type"] == "O":
            open_frames.append(event["frame"])
        else:
            assert open_frames.pop() == event["frame"]
    assert open_frames == []
    assert at <= profile["endValue"]


def test_slices_of_a_chrome_trace_lie_inside_each_other():
    """Complete events of one track, in microseconds, with what was measured as arguments."""
    document = json.loads(bytes_of(runs.run(nodes=tree()), "chrome"))
    events = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert [(event["name"], event["ts"], event["dur"]) for event in events] == [
        ("a", 0, 10_000),
        ("b", 0, 6_000),
        ("a", 0, 2_000),
        ("c", 6_000, 1_000),
        ("c", 10_000, 4_000),
    ]
    assert events[1]["args"] | {"target": "app:b", "calls": 2, "errors": 1, "max_us": 3_000} == events[1]["args"]
    assert events[0]["args"]["called from"] == "app.py:3"
    ends: list[float] = []
    for event in events:
        while ends and ends[-1] <= event["ts"]:
            ends.pop()
        assert all(event["ts"] + event["dur"] <= end for end in ends)
        ends.append(event["ts"] + event["dur"])
    tracks = {event["pid"]: event["args"]["name"] for event in document["traceEvents"] if event["name"] == "process_name"}
    assert {event["pid"] for event in events} == set(tracks)


def test_slices_of_odd_durations_do_not_overlap():
    """Readers add start and duration as doubles: one ends before the next begins and with what it lies in, to the last bit."""
    chance = Random(6)
    nodes = [node(-1, "root", [10**9 + 7])]
    nodes += [node(chance.randrange(max(0, at - 9), at + 1), f"f{at}", [chance.randrange(1, 10**7)]) for at in range(300)]
    events = [event for event in json.loads(bytes_of(runs.run(nodes=nodes), "chrome"))["traceEvents"] if event["ph"] == "X"]
    found = slices(nodes)
    ends: list[float] = []
    for event, piece in zip(events, found, strict=True):
        assert all(end <= event["ts"] for end in ends[piece.depth :])
        del ends[piece.depth :]
        end = event["ts"] + event["dur"]
        assert all(end <= above for above in ends)
        assert end == pytest.approx(piece.end_ns / 1_000, abs=0.001)
        ends.append(end)


def test_each_slow_example_has_a_track_of_its_own_in_a_chrome_trace():
    """With its real starts and lanes; calls of one lane lie inside each other."""
    run = runs.web()
    events = json.loads(bytes_of(run, "chrome"))["traceEvents"]
    tracks = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert len(tracks) == 1 + len(run.examples)
    shown = [event for event in events if event["ph"] == "X" and event["pid"] > 1]
    assert len(shown) == len(run.examples) + sum(len(example.spans) for example in run.examples)
    example = max(run.examples, key=lambda example: example.duration_ns)
    first = next(event for event in shown if event["dur"] == example.duration_ns / 1_000 and event["ts"] == 0)
    starts = sorted(event["ts"] * 1_000 for event in shown if event["pid"] == first["pid"])
    assert starts == pytest.approx(sorted([0, *(start_ns for _, _, start_ns, _ in example.spans)]))


@pytest.mark.parametrize("format", ["speedscope", "chrome", "collapsed"])
def test_hostile_names_are_inert_in_profiles(format: str):
    """Viewers put them into pages and terminals."""
    text = bytes_of(runs.hostile(), format).decode()
    assert re.findall(r"[\x00-\x09\x0b-\x1f\u200f\u202e\udc80]", text) == []
    assert "\\\\u202e" in text or "\\u202e" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("format", [format for format in FORMATS if not is_binary(format)])
def test_every_format_can_be_written_in_a_narrow_encoding(format: str, encoding: str):
    """What it cannot hold is escaped."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    render(runs.run(nodes=[node(-1, "größe €", [MS])]), format, file=file)


def test_the_shares_of_a_profile_are_those_of_the_table():
    """Self times add up to the same whole in each of them."""
    run = runs.shop()
    whole_us = sum(node.self_ns for node in run.nodes) // 1_000
    lines = [line.rpartition(" ") for line in bytes_of(run, "collapsed").decode().splitlines()]
    assert sum(int(value) for _, _, value in lines) == pytest.approx(whole_us, abs=len(lines))
    kinds = Counter(event["cat"] for event in json.loads(bytes_of(run, "chrome"))["traceEvents"] if event["ph"] == "X")
    assert kinds == Counter(node.kind for node in run.nodes)
