"""The screen, compared with screens that were looked at."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
import runs
from rich.cells import cell_len
from runs import MS, S, node

from hookmon.collector.store import Run, Status, Watched
from hookmon.report import render


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen_of(run: Run, width: int | None = None, file: io.StringIO | None = None, everything: bool = False) -> str:
    file = file or io.StringIO()
    render(run, "text", file=file, width=width, everything=everything)
    return file.getvalue()


SCREENS = {
    "shop": runs.shop,
    "killed": runs.killed,
    "hostile": runs.hostile,
    "web": runs.web,
}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_the_one_that_was_looked_at(name: str, width: int, snapshot: Callable[[str, str], None]):
    """Every width has its columns, and no line is wider than the screen."""
    screen = screen_of(SCREENS[name](), width)
    assert max(cell_len(line) for line in screen.splitlines()) <= width
    snapshot(f"{name}-{width}", screen)


def test_the_status_of_requests_has_room_on_a_screen_of_100():
    """It says more of what fails than CPU time and p99."""
    of = {"kind": "request", "target": "flask", "entry": True}
    nodes = [node(-1, "GET /users/<int:id>", [261_000, 14_600_000], **of), node(-1, "GET /boom", [521_000] * 2, errors=2, **of)]
    query = node(0, "SELECT 1", [100_000] * 12, kind="sql", sited=True, call_site="/srv/app.py:3", transactions=2, most=6)
    run = runs.run(nodes=[*nodes, query], statuses=[Status(0, 200, 2), Status(1, 500, 2, 2)])
    (titles,) = [line for line in screen_of(run, 100).splitlines() if "spent on" in line]
    assert "status" in titles
    assert "p95" in titles


NOTHING = {
    "nothing-asked": runs.run(),
    "never-imported": runs.run(watched=[Watched(f"{name}:f", "never imported", pack=name) for name in ("httpx", "redis")]),
    "never-called": runs.run(watched=[Watched("redis:Redis.get", "active", pack="redis")]),
    "not-watched": runs.run(processes=[runs.process(4711, command=["/bin/true"], python="")]),
    "all-failed": runs.run(watched=[Watched("shop:qoute", "not found", "did you mean quote?")]),
    "none-ended": runs.run(nodes=[node(-1, "GET", [])], in_flight=runs.killed().in_flight, state="recovered", exit_code=None),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_run_that_recorded_nothing_says_why(name: str, snapshot: Callable[[str, str], None]):
    """The reason comes first, then what to do."""
    snapshot(name, screen_of(NOTHING[name], 80))


def test_a_pipe_gets_plain_text_of_100_columns(snapshot: Callable[[str, str], None]):
    """No escapes where nobody looks."""
    snapshot("shop-piped", screen_of(runs.shop()))


def test_columns_rules_the_width_of_a_pipe(monkeypatch: pytest.MonkeyPatch):
    """COLUMNS is what the user says."""
    monkeypatch.setenv("COLUMNS", "60")
    assert screen_of(runs.shop()) == screen_of(runs.shop(), 60)


@pytest.mark.parametrize(
    ("environment", "is_terminal", "has_colours"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
    ids=["terminal", "pipe", "dumb", "no TERM", "NO_COLOR", "empty NO_COLOR", "FORCE_COLOR", "FORCE_COLOR dumb", "both"],
)
def test_colours_are_for_those_who_want_them(
    environment: dict[str, str], is_terminal: bool, has_colours: bool, monkeypatch: pytest.MonkeyPatch
):
    """The text is the same with and without."""
    plain = screen_of(runs.shop(), 100)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    screen = screen_of(runs.shop(), 100, Terminal() if is_terminal else io.StringIO())
    assert ("\x1b[" in screen) is has_colours
    assert re.sub(r"\x1b\[[0-9;]*m", "", screen) == plain


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_old_locale_gets_letters_that_it_knows(encoding: str, snapshot: Callable[[str, str], None]):
    """No UnicodeEncodeError; what cannot be written is spelt out."""
    run = runs.shop()
    run.nodes[0].name = "заказ"
    written = io.BytesIO()
    file = io.TextIOWrapper(written, encoding=encoding, newline="\n")
    render(run, "text", file=file, width=100)
    screen = written.getvalue().decode(encoding)
    assert "\\u0437" in screen
    if encoding == "ascii":
        snapshot("shop-ascii", screen)


@pytest.mark.parametrize("text", runs.HOSTILE.values(), ids=runs.HOSTILE)
def test_a_hostile_name_stays_text(text: str):
    """Nothing that a terminal could act on comes through, with colours on or off."""
    run = runs.run(nodes=[node(-1, text, [MS])], name=text)
    screen = screen_of(run, 200)
    assert all(char.isprintable() for line in screen.split("\n") for char in line)
    assert len(screen.split("\n")) == len(screen_of(runs.run(nodes=[node(-1, "f", [MS])], name="f"), 200).split("\n"))
    screen.encode()


def test_markup_is_shown_as_it_is():
    """Names are never read as rich's markup."""
    assert "[red]loud[/red]" in screen_of(runs.hostile(), 200)


def test_long_tables_end_with_how_to_see_the_rest():
    """25 names by self time, and all of them when asked."""
    run = runs.run(nodes=[node(-1, f"name {at}", [MS + at]) for at in range(40)])
    screen = screen_of(run, 100)
    assert "name 39" in screen
    assert "name 14" not in screen
    assert "… and 15 more: hookmon report 7 --all" in screen
    assert "name 0" in screen_of(run, 100, everything=True)


def test_many_short_children_fold():
    """The main process and the busiest are shown."""
    children = [runs.process(5_000 + at, calls=at) for at in range(500)]
    screen = screen_of(runs.run(processes=[*children, runs.process(4711)]), 100)
    lines = screen.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("Processes"))
    assert lines[at + 2].split()[0] == "4711"
    assert lines[at + 3].split()[0] == "5499"
    assert "… and 493 more" in screen


def test_a_pack_is_one_line_however_many_targets_it_has():
    """Targets that nobody called do not flood the screen."""
    watched = [Watched(f"redis.client:Redis.c{at}", "active", pack="redis") for at in range(300)]
    run = runs.run(nodes=[node(-1, "redis GET", [MS], target="redis.client:Redis.c7")], watched=watched)
    screen = screen_of(run, 100)
    assert screen.count("redis.client") == 0
    assert "300 targets, 1 called" in screen


def test_a_full_tree_is_said():
    """Calls without a place are named as such."""
    assert "1,000 calls counted by name" in screen_of(runs.run(nodes=[node(-1, "f", [S])], unnamed_calls=1_000), 100)


def test_a_watch_without_calls_is_not_called_absent():
    """What was in place and never called is said to be so, for a pack and for the user's own."""
    run = runs.shop()
    run.watched = [
        Watched("shop.stock:count", "unused", source="hookmon.toml:3"),
        Watched("sqlite3.dbapi2:Cursor.executemany", "unused", pack="sqlite3"),
    ]
    screen = screen_of(run, 120)
    assert "no call seen: shop.stock:count" in screen
    assert re.search(r"not called +sqlite3\n", screen)
    assert re.search(r"sqlite3 +1 target, 0 called", screen_of(run, 120, everything=True))
    assert "never imported" not in screen


def test_a_watch_that_only_names_requests_is_not_said_to_be_uncalled():
    """Its calls are not counted: the pack of a framework under a server of another pack has named all that there was."""
    run = runs.shop()
    run.watched = [
        Watched("starlette.applications:Starlette.__call__", "unused", pack="starlette"),
        Watched("starlette.routing:Route.handle", "active", pack="starlette"),
    ]
    run.plan = [
        {
            "module": "starlette.applications",
            "calls": ["Starlette.__call__"],
            "kind": "request",
            "adapter": "asgi",
            "entry": True,
        },
        {"module": "starlette.routing", "calls": ["Route.handle"], "kind": "request", "adapter": "starlette"},
    ]
    screen = screen_of(run, 120)
    assert re.search(r"starlette +2 targets, 0 called, 1 for names\n", screen)
    assert "not called " not in screen


def test_what_is_no_call_is_not_counted_as_one():
    """A wait for a pool and the rows of a statement have their time in the split, and no part in the number of calls."""
    nodes = [
        node(-1, "GET /", [9 * S], children_ns=4 * S, kind="request", entry=True),
        node(0, "select", [S, S], kind="sql"),
        node(0, "sqlite3 fetch", [S], kind="sql", part=True),
        node(0, "pool wait", [S], kind="sql", waits=True),
    ]
    screen = screen_of(runs.run(nodes=nodes), 120)
    assert "sql 44 % (2)" in screen
    assert re.search(r"sql .* 4.00 s +44 % +2 calls, 1 wait\n", screen)


def test_the_most_calls_in_one_are_a_bound_where_several_places_add_up():
    """31 in each and 30 at the most cannot both be."""
    nodes = [
        node(-1, "GET /", [9 * S] * 2, children_ns=6 * S, kind="request", entry=True),
        node(0, "execute", [S] * 2, most=1),
        node(0, "lazy load", [S] * 4, children_ns=2 * S, most=3),
        node(2, "execute", [S // 2] * 4, most=3),
    ]
    screen = screen_of(runs.run(nodes=nodes), 120)
    assert re.search(r"execute +3 +≥ 3 +", screen)
    assert re.search(r"lazy load +2 +3 +", screen)


def test_two_targets_of_one_name_are_one_row():
    """Two rows called `python wait` say nothing of which is which."""
    nodes = [
        node(-1, "python wait", [S], target="subprocess:Popen.wait"),
        node(-1, "python wait", [S], target="subprocess:Popen.poll"),
    ]
    screen = screen_of(runs.run(nodes=nodes), 120)
    assert re.search(r"python wait +2 +2.00 s", screen)
    assert screen.count("python wait") == 1


def test_two_targets_of_one_name_from_one_line_are_one_row_of_a_transaction():
    """`fetchone` and `fetchall` of one loop; from another line it is another row."""
    fetch = {"kind": "sql", "part": True, "sited": True}
    nodes = [
        node(-1, "GET /", [9 * S] * 2, children_ns=8 * S, kind="request", entry=True),
        node(0, "sqlite3 fetch", [S] * 4, target="sqlite3:Cursor.fetchone", call_site="/a.py:1", most=2, errors=1, **fetch),
        node(0, "sqlite3 fetch", [S // 2] * 2, target="sqlite3:Cursor.fetchall", call_site="/a.py:1", most=1, **fetch),
        node(0, "sqlite3 fetch", [S] * 3, target="sqlite3:Cursor.fetchall", call_site="/a.py:2", most=3, **fetch),
    ]
    inside = screen_of(runs.run(nodes=nodes), 120).partition("Inside GET /")[2].partition("Time in watched")[0]
    first, second = [line.split() for line in inside.splitlines() if "sqlite3 fetch" in line]
    assert (first[2:4], first[4:6], first[-2:]) == (["3", "3"], ["5.00", "s"], ["1", "/a.py:1"])
    assert second[2:5] == ["1.5", "3", "3.00"]


def test_a_split_is_cut_between_its_parts():
    """A number of calls that lost its end would be another number."""
    kinds = ("sql", "cache", "http", "rpc", "queue", "template")
    nodes = [node(-1, "GET /" + "x" * 60, [9 * S], children_ns=6 * S, kind="request", entry=True)]
    nodes += [node(0, f"{kind} call", [S // 111] * 111, kind=kind) for kind in kinds]
    line = next(line for line in screen_of(runs.run(nodes=nodes), 80).splitlines() if "sql" in line and "(111)" in line)
    assert re.search(r"\(111\), …$", line), line


def test_processes_without_a_row_are_counted_and_told():
    """Of very many processes: in the headline, in the CPU time, and in a sentence."""
    more = {"processes": 3000, "watched": 2500, "calls": 4000, "cpu_ns": 5_000_000_000}
    screen = screen_of(runs.run(more=more), 120)
    assert "3,001 processes" in screen
    told = " ".join(screen.split())
    assert "3,000 more processes with the fewest calls are added up, without rows: 4,000 calls, 5.00 s of CPU time." in told


def test_a_function_of_ones_own_has_its_place_and_the_circumstances_are_told():
    """Two of one name are told apart by where they are; the pure engine and a busy machine are in the figures."""
    run = runs.shop()
    run.project, run.places = "/srv", {"shop.pricing:quote": "/srv/shop/pricing.py:7"}
    for process in run.processes:
        process.ran_ns, process.waited_ns = 1 * S, 3 * S
    screen = screen_of(run, 100)
    assert re.search(r"quote +4 .* shop/pricing.py:7$", screen, re.MULTILINE)
    assert "The machine was busy: 75 %" in "".join(screen.splitlines(keepends=True)[1:5])
    assert "Times are not the program's own." in " ".join(screen.split())
    assert "The pure engine counted" in screen
    for process in run.processes:
        process.waited_ns = 0
    run.engine = "compiled"
    assert not re.search("busy|pure engine", screen_of(run, 100))


@pytest.mark.parametrize("width", [40, 60, 100])
def test_of_a_finding_neither_id_nor_count_is_ever_cut(width: int):
    """However long the statement is, and however narrow the screen."""
    run = runs.web()
    for row in run.nodes:
        row.name = row.name.replace("SELECT name", "SELECT " + "a_column, " * 40 + "b FROM t")
    screen = screen_of(run, width)
    assert "20 times in a row" in " ".join(screen.split())
    assert re.search(r"^ +repetition-[0-9a-f]{6}( ·|$)", screen, re.MULTILINE)


def test_hooks_that_pass_on_what_a_test_raised_are_not_noted():
    """One expected failure goes through three layers of pytest; a hook that raises by itself is named."""
    nodes = [node(-1, f"{layer}: pytest_runtest_call", [S] * 9, kind="hook", errors=1) for layer in ("runner", "logging")]
    nodes.append(node(0, "tests/test_a.py::test_b", [S // 2], errors=1))
    screen = screen_of(runs.run(nodes=nodes), 120)
    assert "tests/test_a.py::test_b: 1 of 1 call raised." in screen
    assert "calls raised" not in screen
    nodes[0].errors = 2
    assert "runner: pytest_runtest_call: 2 of 9 calls raised." in screen_of(runs.run(nodes=nodes), 120)


def test_a_process_that_ended_unseen_has_no_empty_row():
    """What was gone before its command could be read is said to be that."""
    assert "(ended before it was looked at)" in screen_of(
        runs.run(processes=[runs.process(4711), runs.process(4712, command=[])]), 200
    )
