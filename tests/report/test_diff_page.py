"""The page of a diff: what is in the file, and what a real Chromium makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
import runs
from browser import Visit, page_of
from runs import MS, node

from hookmon.collector.store import Run
from hookmon.report.diff.model import Diff, build
from hookmon.report.diff.wording import change, durations, interval, ratio_text
from hookmon.report.texts import inert

HERE = {"host": "1234", "cpu": "a cpu", "cores": 8}


def side(factor: float = 1.0, **more: object) -> Run:
    """Return a run of a web application with a call that is `factor` times as long as before, one as much shorter, one equal."""
    run = runs.web()
    for key, value in {**HERE, **more}.items():
        setattr(run, key, value)
    run.processes[0].ran_ns = 10**9
    for name, times in (("slow", factor), ("quick", 1 / factor), ("steady", 1.0)):
        run.nodes.append(node(-1, name, [round((5 + at % 3) * MS * times) for at in range(300)]))
    return run


def changed_diff() -> Diff:
    """Return a diff of two runs: more queries, a name only in B, one slower and one faster, a finding gone and one new."""
    b = side(3)
    b.nodes[2].calls += 21
    b.nodes[2].repeated = b.nodes[2].repeated_calls = b.nodes[2].repeated_ns = 0
    b.nodes.append(node(-1, "GET /new", [2 * MS] * 20, kind="request", target="flask", entry=True, errors=15))
    return build(side(), b)


def apart_diff() -> Diff:
    """Return a diff of runs on two machines."""
    return build(side(), side(3, host="other", command=["python", "-O", "app.py"]))


SECTIONS: dict[str, tuple[Callable[[], Diff], set[str]]] = {
    "changed": (changed_diff, {"findings", "counts", "times", "runs"}),
    "same": (lambda: build(side(), side()), {"counts", "times", "runs"}),
    "apart": (apart_diff, {"apart", "counts", "times", "runs"}),
    "hostile": (lambda: build(runs.hostile(), runs.hostile()), {"apart", "counts", "times", "runs"}),
    "empty": (lambda: build(runs.run(**HERE), runs.run(**HERE)), {"runs"}),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_page_shows_what_there_is(look: Callable[..., Visit], name: str):
    """A section without content is not there, and the verdict always is."""
    diff, sections = SECTIONS[name]
    seen = look(diff())
    shown = seen.page.evaluate("[...document.querySelectorAll('main section[data-title]')].filter(s => !s.hidden).map(s => s.id)")
    assert set(shown) == sections
    assert seen.texts("#verdict h1")[0]
    body = seen.page.inner_text("body")
    assert "[object" not in body
    assert "undefined" not in body
    assert "NaN" not in body


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_a_page_fits_its_window(look: Callable[..., Visit], width: int):
    """Only tables may be moved sideways."""
    seen = look(changed_diff(), viewport={"width": width, "height": 800})
    seen.page.locator("#times .open").first.click()
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_what_changed_is_shown_and_the_rest_is_folded(look: Callable[..., Visit]):
    """A button shows the rest, too, and takes it back."""
    seen = look(changed_diff())
    assert seen.texts("#verdict h1") == ["2 counts changed; 1 slower, 1 faster"]
    assert set(seen.texts("#times tbody td.name")) == {"slow", "quick", "GET /new"}
    assert [row.split("\t")[:2] for row in seen.texts("#counts tbody tr")] == [
        ["GET /users/<id>", "SELECT name"],
        ["GET /new", "the request itself"],
    ]
    button = seen.page.locator("#times .tools button")
    assert button.inner_text() == "Show also 6 within noise, 2 too few calls"
    button.click()
    assert "steady" in seen.texts("#times tbody td.name")
    assert len(seen.texts("#times tbody tr")) == len(changed_diff().times)
    button.click()
    assert set(seen.texts("#times tbody td.name")) == {"slow", "quick", "GET /new"}


def test_figures_are_those_of_the_terminal(look: Callable[..., Visit]):
    """To the letter: durations, changes, and what they lie between."""
    diff = changed_diff()
    seen = look(diff)
    seen.page.locator("#times .tools button").click()
    shown = {cells[0]: cells for cells in (row.split("\t") for row in seen.texts("#times tbody tr"))}
    for row in diff.times:
        figure, ratio = ratio_text(row)
        suffix = " p95" if figure == "p95" else ""
        wanted = [
            duration + suffix if calls else "–"
            for duration, calls in zip(durations(row), (row.calls_a, row.calls_b), strict=True)
        ]
        assert shown[row.name][2:4] == wanted
        assert shown[row.name][4] == (change(ratio.value) if ratio else "–")
    seen.page.locator("#times .open", has_text="slow").click()
    row = next(row for row in diff.times if row.name == "slow")
    lines = [line.split("\t") for line in seen.texts("#times tr.detail tbody tr")]
    assert [(line[0], line[3]) for line in lines] == [("typical", interval(row.typical)), ("p95", interval(row.tail))]


def test_a_bar_lies_where_its_ratio_lies(look: Callable[..., Visit]):
    """Right of the middle for what became slower; the line of a change does not reach it; the band lies around it."""
    seen = look(changed_diff())
    seen.page.locator("#times .tools button").click()

    def spans(name: str) -> dict[str, tuple[float, float]]:
        pieces = seen.page.locator("#times tbody tr", has_text=name).locator("i").all()
        middle = seen.page.locator("#times tbody tr", has_text=name).locator(".one").bounding_box()["x"]
        boxes = {piece.get_attribute("class"): piece.bounding_box() for piece in pieces}
        return {name: (box["x"] - middle, box["x"] + box["width"] - middle) for name, box in boxes.items()}

    slow, quick, steady = spans("slow"), spans("quick"), spans("steady")
    assert slow["line"][0] > 1
    assert quick["line"][1] < -1
    assert steady["line"][0] < 0 < steady["line"][1]
    for bar in (slow, quick, steady):
        assert bar["line"][0] < bar["dot"][1]
        assert bar["dot"][0] < bar["line"][1]
        assert bar["line"][0] <= bar["scatter"][0] <= bar["scatter"][1] <= bar["line"][1] + 1
        assert bar["band"][0] == pytest.approx(-bar["band"][1], abs=2)


def test_times_and_counts_are_sorted_and_searched(look: Callable[..., Visit]):
    """By the heading that is pressed; a slash goes to the search, Escape takes it back."""
    seen = look(changed_diff())
    seen.page.click("#times th button[data-key=change]")
    assert seen.texts("#times tbody td.name") == ["slow", "quick", "GET /new"]
    seen.page.keyboard.press("Enter")
    assert seen.texts("#times tbody td.name") == ["quick", "slow", "GET /new"]
    seen.page.click("#counts th button[data-key=difference]")
    assert [row.split("\t")[0] for row in seen.texts("#counts tbody tr")] == ["GET /new", "GET /users/<id>"]
    seen.page.focus("#theme")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("USERS")
    assert seen.texts("#counts tbody td.name") == ["GET /users/<id>"]
    seen.page.keyboard.press("Escape")
    assert len(seen.texts("#counts tbody td.name")) == 2


def test_fewer_errors_are_a_changed_count(look: Callable[..., Visit]):
    """Told where the calls are as many as before."""
    b = side()
    b.nodes[9].errors -= 2
    seen = look(build(side(), b), viewport={"width": 400, "height": 800})
    cells = "[...document.querySelectorAll('#counts tbody td')].filter(e => e.offsetWidth).map(e => e.innerText)"
    assert seen.page.evaluate(cells)[2:] == ["8, 8 errors", "8, 6 errors"]


def test_findings_are_told_apart(look: Callable[..., Visit]):
    """What came, and what is gone with what it cost."""
    seen = look(changed_diff())
    assert seen.texts("#findings h3") == [
        "New in B (1)",
        "GET /new fails 75 % of the time",
        "Gone since A (1)",
        "GET /users/<id> calls SELECT name 20 times in a row",
    ]
    assert seen.texts("#findings .saves") == ["cost up to 190 ms"]


def test_times_of_two_machines_are_not_compared(look: Callable[..., Visit]):
    """The reason stands first, the times stand side by side without a change, and what differs is bold."""
    seen = look(apart_diff())
    assert "times are not comparable" in seen.texts("#verdict h1")[0]
    assert seen.texts("#apart li") == ["the machine differs", "the commands differ"]
    assert seen.page.locator("#times .interval").count() == 0
    seen.page.locator("#times .tools button").click()
    assert len(seen.texts("#times tbody tr")) == len(apart_diff().times)
    assert seen.texts("#runs tr.differs td:first-child") == ["command", "machine"]


def test_dark_and_light_are_those_of_every_page(look: Callable[..., Visit]):
    """The system says which, a key turns it round."""
    light, dark = look(changed_diff()), look(changed_diff(), color_scheme="dark")
    before = dark.background()
    assert light.background() != before
    dark.page.keyboard.press("t")
    assert dark.background() == light.background()


def test_a_page_prints(look: Callable[..., Visit]):
    """On paper there are no buttons, and what changed is there with its bars."""
    seen = look(changed_diff())
    seen.page.emulate_media(media="print")
    assert seen.page.is_hidden(".top")
    assert seen.page.is_hidden("#times .tools")
    assert seen.page.locator("#times .interval >> nth=0").is_visible()
    assert seen.page.pdf().startswith(b"%PDF")


def test_hostile_names_do_nothing(look: Callable[..., Visit]):
    """They are read as they were written, with what is invisible written out."""
    bad = "</script><img src=x onerror='window.hit=1'>\u202e{{data}}"
    a, b = side(), side(3)
    for run in (a, b):
        run.nodes[0].name = run.nodes[-1].name = run.nodes[-1].target = bad
        run.name, run.command, run.python = bad, [bad], bad
    b.nodes[0].calls += 1
    seen = look(build(a, b))
    seen.page.locator("#times .tools button").click()
    seen.page.locator("#times .open >> nth=0").click()
    assert seen.page.evaluate("window.hit") is None
    assert seen.page.locator("img").count() == 0
    for part in ("#verdict .sides", "#counts", "#times", "#runs"):
        assert inert(bad) in seen.page.inner_text(part)


def test_hostile_texts_are_inert_in_the_file():
    """The file is ASCII, its scripts are ours, and its data says nothing that a terminal acts on."""
    text = page_of(build(runs.hostile(), side()))
    assert text.isascii()
    assert text.count("<script") == 2
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    assert json.dumps(json.loads(found[1]), ensure_ascii=False).isprintable()


def test_the_policy_forbids_the_network():
    """As on the page of a run."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page_of(changed_diff()))
    assert found is not None
    assert found[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in found[1]
