"""The screen, compared with screens that were looked at."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
import runs
from rich.cells import cell_len
from runs import MS, S, node

from hookmon.collector.store import Run, Watched
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
    assert re.search(r"sqlite3 +1 target, 0 called", screen)
    assert "never imported" not in screen
