"""The page: what is in the file, and what a real Chromium makes of it."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import runs
from browser import Visit, page_of, visit
from runs import MS, S, node

from hookmon.collector.samples import SampledFrame, SampledProcess, SampledStack
from hookmon.collector.store import CallSeries, Run, Sample, Signal
from hookmon.core.histogram import bucket_of
from hookmon.report import render
from hookmon.report.offline import ASSETS, DIFF, RUN, page
from hookmon.report.texts import inert


def busy() -> Run:
    """Return the run of a web application with eight intervals of a second; the third has a burst of errors."""
    run = runs.web()
    run.started_ns = 50
    run.interval_ns = S
    run.duration_ns = 8 * S
    points = [[at, 10 + at, 5 if at == 2 else 0, 20 * MS * (10 + at), [80, 10, 92, at]] for at in range(8)]
    quiet = [[at, 2, 0, 2 * MS, [80, 2]] for at in range(4)]
    run.series = [
        CallSeries("GET /users/<id>", "request", "flask", json.dumps(points)),
        CallSeries("SELECT name", "sql", "sqlite3:Cursor.execute", json.dumps(quiet)),
    ]
    run.samples = [Sample(at * S, 4711, at * 500 * MS, 40_000_000 + at * 1_000_000, 1, 5, 0, 0, 0) for at in range(8)]
    return run


def measured() -> Run:
    """Return a run of which only imports and signals are known."""
    pause = Signal("gc pause, generation 0", "s", "histogram", 0.1, 1, 0.1, 0.1, buckets={bucket_of(10**8): 1})
    signals = [pause, Signal("sent", "By", "counter", 48_200_000, 12, 0, 0)]
    nodes = [node(-1, "shop", [5 * MS], children_ns=2 * MS, kind="import"), node(0, "shop.prices", [2 * MS], kind="import")]
    return runs.run(signals=signals, nodes=nodes)


def document(text: str) -> Any:
    """Return the data of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("name", [RUN, DIFF])
def test_a_page_without_data_is_small(name: str):
    """All that every page carries, the libraries with it."""
    assert len(page(name, "", {})) < 500_000


def test_every_library_comes_with_its_licence():
    """And with the version it is."""
    libraries = sorted(ASSETS.glob("*.min.js"))
    assert libraries
    for path in libraries:
        licence = path.with_name(path.name.replace(".min.js", ".LICENSE.txt")).read_text("utf-8")
        assert "Permission is hereby granted" in licence
        assert re.search(r"v\d+\.\d+\.\d+", path.read_text("utf-8").splitlines()[0])


def test_a_page_is_ascii():
    """It reads the same in every encoding."""
    assert page_of(runs.hostile()).isascii()


def test_the_policy_forbids_the_network():
    """Nothing may be loaded; what may run is named by its hash."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page_of(runs.web()))
    assert found is not None
    policy = dict(part.strip().split(" ", 1) for part in found[1].split(";"))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("img-src") == "data:"
    for name in ("script-src", "style-src"):
        assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", source) for source in policy.pop(name).split())
    assert set(policy.values()) == {"'none'"}


def texts(value: Any) -> Iterator[str]:
    """Yield every text within a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def test_hostile_texts_are_inert_in_the_file():
    """No markup, no control character, no direction mark, and nothing lost."""
    text = page_of(runs.hostile())
    assert re.findall(r"<script(?![ >])|<script>(?=[a-z|])", text) == []
    assert text.count("<script") == 3
    found = set(texts(document(text)))
    assert all(text.isprintable() for text in found)
    assert {inert(text) for text in runs.HOSTILE.values()} <= found


def test_text_that_is_written_out_already_stays(tmp_path: Path):
    """A backslash in a name is a backslash; letters of any script are letters."""
    names = ["C:\\new\\u202e", 'say "no"', "Größe 名前 😀"]
    run = runs.run(nodes=[node(-1, name, [MS]) for name in names])
    assert [row["name"] for row in document(page_of(run))["calls"]] == sorted(names)


@pytest.mark.parametrize(
    ("run", "state", "words"),
    [
        (runs.web, "bad", "waits 40 % of its time in pool wait"),
        (runs.killed, "bad", "exit 137 (SIGKILL), 31.0 s into psycopg execute"),
        (runs.run, "none", "Nothing was asked for"),
        (lambda: runs.run(nodes=[node(-1, "quote", [MS])]), "good", "Nothing stands out"),
        (lambda: runs.run(nodes=[node(-1, "quote", [MS])], exit_code=3), "bad", "It ended with exit 3"),
    ],
    ids=["finding", "killed", "nothing", "good", "failed"],
)
def test_the_verdict_is_one_sentence(run: Callable[[], Run], state: str, words: str):
    """What a reader at three in the morning sees first."""
    verdict = document(page_of(run()))["verdict"]
    assert verdict["state"] == state
    assert words in verdict["title"]


def test_a_large_page_takes_little_longer_than_the_json_report():
    """5,000 places and names: 0.3 s of CPU time where JSON takes 0.2 s."""
    run = runs.run(nodes=[node(at // 2 - 1, f"name {at}", [MS, 2 * MS, 3 * MS]) for at in range(5_000)])

    def cpu_s(format: str) -> float:
        started = time.process_time()  # what others do on the machine is no cost of ours, but it makes all slower for a while
        render(run, format, file=io.StringIO())
        return time.process_time() - started

    html = json = float("inf")
    for _ in range(12):
        html, json = min(html, cpu_s("html")), min(json, cpu_s("json"))
        if html < 2 * json:
            break
    assert html < 2 * json


SECTIONS = {
    "busy": (busy, {"findings", "time", "timeline", "transactions", "calls", "queries", "flame", "processes", "unseen"}),
    "shop": (runs.shop, {"findings", "time", "calls", "queries", "flame", "processes", "unseen"}),
    "killed": (runs.killed, {"time", "calls", "flame", "processes", "unseen"}),
    "hostile": (runs.hostile, {"time", "calls", "flame", "processes", "unseen"}),
    "empty": (runs.run, {"processes", "unseen"}),
    "measured": (measured, {"imports", "signals", "time", "flame", "processes"}),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_page_shows_what_there_is(look: Callable[..., Visit], name: str):
    """A section without content is not there, and the verdict always is."""
    run, sections = SECTIONS[name]
    seen = look(run())
    shown = seen.page.evaluate("[...document.querySelectorAll('main section[data-title]')].filter(s => !s.hidden).map(s => s.id)")
    assert set(shown) == sections | {"environment"}
    assert seen.texts("#verdict h1")[0]
    assert "[object" not in seen.page.inner_text("body")


def test_imports_are_a_tree_and_signals_stand_in_their_units(look: Callable[..., Visit]):
    """As in the text."""
    seen = look(measured())
    assert seen.texts("#imports td.name") == ["shop", "shop.prices"]
    paddings = "[...document.querySelectorAll('#imports td.name span')].map(e => parseFloat(getComputedStyle(e).paddingLeft))"
    first, second = seen.page.evaluate(paddings)
    assert first == 0 < second
    assert seen.texts("#signals tbody tr:first-child td")[3] == "100 ms"
    assert seen.texts("#signals tbody tr:last-child td")[3] == "48.2 MB"


def sampled() -> Run:
    """Return the shop, with samples."""
    run = busy()
    run.sampled_frames = [
        SampledFrame("<module>", "/srv/shop/app.py", 9, 1),
        SampledFrame("price", "/srv/shop/pricing.py", 33, 30),
        SampledFrame("<script>alert(1)</script>", "/srv/shop/<b>.py", 7, 5),
    ]
    run.sampled_stacks = [SampledStack([0, 1], 30), SampledStack([0, 2], 9), SampledStack([0], 1)]
    run.sampled_processes = [SampledProcess(4711, 100, 40, lost=5)]
    return run


def test_samples_have_a_section_with_lines_and_a_flame_graph(look: Callable[..., Visit]):
    """Its figures are samples, and stand in no table of counts."""
    seen = look(sampled())
    assert seen.texts("#sampled h2 ~ .body td.name")[0].startswith("(no watched call)")
    assert "11 % of the samples could not be read" in seen.page.inner_text("#sampled")
    seen.page.locator("#sampled .open").first.click()
    assert "pricing.py:33" in seen.page.inner_text("#sampled")
    names = seen.texts("#sampled .flame button")
    assert sorted(names) == ["<module>", "<script>alert(1)</script>", "all", "price"]
    seen.page.locator("#sampled .flame button", has_text="price").hover()
    assert seen.page.inner_text("#sampled .status").startswith("price : 30 samples (75 %), itself 30 samples")
    assert seen.said == []


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_a_page_fits_its_window(look: Callable[..., Visit], width: int):
    """Only tables may be moved sideways."""
    seen = look(busy(), viewport={"width": width, "height": 800})
    seen.page.locator("#transactions .open").first.click()
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_on_a_telephone_a_name_has_the_whole_width(look: Callable[..., Visit]):
    """Its figures stand below: a statement in a column of 110 pixels was broken within its words."""
    run = busy()
    statement = "SELECT shop_author.identifier, shop_author.name FROM shop_author WHERE shop_author.identifier = ?"
    run.nodes.append(node(-1, statement, [MS] * 9, kind="sql"))
    seen = look(run, viewport={"width": 400, "height": 800})
    shares = seen.page.evaluate(
        "[...document.querySelectorAll('#calls td.name')].map(e => e.offsetWidth / e.closest('table').offsetWidth)"
    )
    assert min(shares) > 0.95
    figures = "[...document.querySelectorAll('#calls td.name ~ td')].filter(e => e.offsetWidth)"
    assert seen.page.evaluate(f"{figures}.length") > 9
    assert seen.page.evaluate(f"{figures}.every(e => e.parentNode.firstChild.offsetTop < e.offsetTop)")
    cell = seen.page.locator("#calls td.name", has_text="SELECT shop_author")
    assert cell.evaluate("e => e.offsetHeight") <= 80  # three lines


def test_the_account_stands_below_the_verdict(look: Callable[..., Visit]):
    """With the command that shows the rest, and on a busy machine what that means for all times."""
    process = runs.process(4711, cpu_ns=MS * 500, ran_ns=MS * 500, waited_ns=2 * S)
    seen = look(runs.run(nodes=[node(-1, "f", [MS])], processes=[process]))
    said = seen.page.inner_text("#verdict")
    assert "3.42 s = 0.50 s computing + 2.00 s waiting for a processor + 0.92 s waiting for others; watched calls" in said
    assert seen.texts("#verdict .detail code") == ["hookmon run --own python app.py"]
    assert seen.texts("#verdict .warn") == [document(page_of(runs.run(processes=[process])))["account"]["warning"]]


def test_functions_of_one_name_are_told_apart_by_their_places(look: Callable[..., Visit]):
    """As in the text: relative to the project; calls of packs have none."""
    names = ("run", "run", "GET")
    nodes = [node(-1, name, [(3 - at) * MS], target=f"m{at}:{name}") for at, name in enumerate(names)]
    seen = look(runs.run(nodes=nodes, project="/srv", places={"m0:run": "/srv/a.py:7", "m1:run": "/srv/b.py:9"}))
    assert seen.texts("#calls td.name") == ["run", "run", "GET"]
    assert seen.texts("#calls tbody td:nth-child(2)") == ["a.py:7", "b.py:9", ""]


def test_targets_of_one_name_are_one_row_of_the_page(look: Callable[..., Visit]):
    """As in the text; a hint has the targets."""
    nodes = [node(-1, "python wait", [MS], kind="process", target=f"subprocess:Popen.{name}") for name in ("wait", "poll")]
    seen = look(runs.run(nodes=nodes))
    assert seen.texts("#calls td.name") == ["python wait"]
    title = seen.page.locator("#calls td.name span").get_attribute("title")
    assert sorted(title.split("\n")) == ["subprocess:Popen.poll", "subprocess:Popen.wait"]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([("POST /login", [6 * S]), ("GET /", [MS] * 9)], "p95 of GET /"),
        ([("POST /login", [6 * S])], "the only call of POST /login"),
    ],
    ids=["beside others", "alone"],
)
def test_one_call_is_not_the_p95_of_the_headline(look: Callable[..., Visit], nodes: list[tuple[str, list[int]]], said: str):
    """The first log-in took its imports along."""
    seen = look(runs.run(nodes=[node(-1, name, durations, kind="request", entry=True) for name, durations in nodes]))
    assert said in seen.page.inner_text("#verdict")


def test_calls_are_sorted_by_any_column(look: Callable[..., Visit]):
    """Largest first, then smallest; names the other way round."""
    seen = look(busy())
    names = "#calls tbody td.name"
    by_self = seen.texts(names)
    seen.page.click("#calls th button[data-key=calls]")
    counts = [int(text.replace(",", "")) for text in seen.texts("#calls tbody td:nth-child(3)")]
    assert counts == sorted(counts, reverse=True)
    assert seen.page.get_attribute("#calls th:nth-child(3)", "aria-sort") == "descending"
    seen.page.keyboard.press("Enter")
    assert [int(text.replace(",", "")) for text in seen.texts("#calls tbody td:nth-child(3)")] == counts[::-1]
    seen.page.click("#calls th button[data-key=name]")
    assert seen.texts(names) == sorted(by_self, key=str.lower)


def test_calls_are_searched_from_the_keyboard(look: Callable[..., Visit]):
    """A slash goes to the search, Escape takes it back."""
    seen = look(runs.shop())
    everything = seen.texts("#calls tbody td.name")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("REDIS")
    assert seen.texts("#calls tbody td.name") == [name for name in everything if "redis" in name]
    assert seen.texts("#calls [role=status]") == ["2 of 5 call names"]
    seen.page.keyboard.press("Escape")
    assert seen.texts("#calls tbody td.name") == everything


def calls_shown(seen: Visit) -> dict[str, int]:
    names, counts = seen.texts("#calls tbody td.name"), seen.texts("#calls tbody td:nth-child(3)")
    return dict(zip(names, (int(count.replace(",", "")) for count in counts), strict=True))


def test_brushing_with_the_mouse_filters_the_page(look: Callable[..., Visit]):
    """From the middle of the second to the middle of the fourth second: those three, whole."""
    seen = look(busy())
    over = seen.page.locator("#timeline .u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] * 1.5 / 8, box["y"] + 40)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] * 3.4 / 8, box["y"] + 50, steps=5)
    seen.page.mouse.up()
    assert calls_shown(seen) == {"GET /users/<id>": 11 + 12 + 13, "SELECT name": 6}
    assert seen.texts("#timeline .range b") == ["Only from 1.00 s to 4.00 s."]
    assert seen.texts("#transactions tbody td:nth-child(3)") == ["5"]
    seen.page.keyboard.press("Escape")
    assert calls_shown(seen)["SELECT name"] == 210


def test_brushing_with_the_keyboard_filters_the_page(look: Callable[..., Visit]):
    """Arrows choose an interval, with Shift they widen the choice."""
    seen = look(busy())
    seen.page.focus("#timeline .charts")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowRight"):
        seen.page.keyboard.press(key)
    assert calls_shown(seen) == {"GET /users/<id>": 12 + 13, "SELECT name": 4}
    seen.page.click("#timeline .range button")
    assert len(calls_shown(seen)) > 2


def test_a_window_of_a_service_goes_by_the_clock(look: Callable[..., Visit]):
    """Its name and time stand in the place of a number, and its rows of processes are starts."""
    run = busy()
    run.id, run.name, run.service, run.started_at = 0, "web", "web", "2026-11-30T13:58:00.000+01:00"
    run.since_s = datetime.fromisoformat(run.started_at).timestamp()
    run.interval_ns, run.duration_ns = 60 * 10**9, 8 * 60 * 10**9
    run.until_s = run.since_s + 480
    for sample in run.samples:
        sample.at_ns *= 60
    seen = look(run)
    assert seen.texts("#verdict .command")[0].startswith("web · ")
    assert seen.texts("#timeline h2")[0].startswith("By the clock")
    assert seen.texts("#processes h2")[0].startswith("Starts")
    assert "overhead of watching" not in " ".join(seen.texts(".tile span"))
    seen.page.focus("#timeline .charts")
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight"):
        seen.page.keyboard.press(key)
    assert seen.texts("#timeline .range b") == ["Only from 13:59 to 14:01."]


def test_a_transaction_opens_with_its_slowest_example(look: Callable[..., Visit]):
    """Its calls in the order of time, where they lie and how long they took."""
    seen = look(busy())
    seen.page.focus("#transactions .open >> nth=0")
    seen.page.keyboard.press("Enter")
    assert seen.texts(".waterfall .label") == ["GET /users/<id>", "view", "SELECT name", "GET mail"]
    assert seen.texts(".waterfall .num") == ["50.0 ms", "42.0 ms", "1.00 ms", "30.0 ms"]
    lefts = seen.page.evaluate("[...document.querySelectorAll('.waterfall .track i')].map(i => i.style.left)")
    assert lefts == ["0%", "2%", "4%", "6%"]
    assert "18 shorter calls not kept" in seen.page.inner_text(".waterfall .note")


def test_a_loop_is_one_row_of_a_waterfall(look: Callable[..., Visit]):
    """Four equal calls in a row or more share one, with a bar for each."""
    run = busy()
    spans = [(1, 0, 0, 49 * MS), *((2, 0, at * MS, MS) for at in range(20)), *((4, 0, at * MS, MS) for at in range(30, 33))]
    run.examples[0].spans = spans
    seen = look(run)
    seen.page.click("#transactions .open >> nth=0")
    assert seen.texts(".waterfall .label")[2:] == ["20 × SELECT name", "pool wait", "pool wait", "pool wait"]
    assert seen.texts(".waterfall .num")[2] == "20.0 ms"
    assert seen.page.locator(".waterfall .row >> nth=2").locator("i").count() == 20


def test_a_finding_leads_to_its_transaction(look: Callable[..., Visit]):
    """Opened, and with the keyboard in it."""
    seen = look(busy())
    seen.page.click("#findings .finding >> nth=0 >> text=Show the transaction")
    assert seen.page.evaluate("document.activeElement.textContent") == "GET /users/<id>"
    assert seen.page.is_visible(".waterfall")


def test_a_query_opens_with_its_lines(look: Callable[..., Visit]):
    """Each line that asks, within which transaction, and how often."""
    seen = look(busy())
    row = seen.page.locator("#queries .open", has_text="SELECT name")
    row.click()
    lines = seen.texts("#queries tr.detail tbody tr")
    assert [re.split(r"\s+", line)[0] for line in lines] == ["views.py:31", "views.py:40"]
    assert re.split(r"\t", lines[0])[1:4] == ["GET /users/<id>", "20", "200"]


def test_the_call_tree_is_walked_with_the_keyboard(look: Callable[..., Visit]):
    """Arrows move, Enter looks closer, Escape shows all again."""
    seen = look(busy())
    seen.page.focus("#flame .flame button >> nth=0")
    for key in ("ArrowDown", "ArrowDown"):
        seen.page.keyboard.press(key)
    assert seen.page.inner_text("#flame .status").startswith("view function: 420 ms")
    seen.page.keyboard.press("Enter")
    width = seen.page.evaluate(
        "document.activeElement.getBoundingClientRect().width / document.querySelector('.flame').clientWidth"
    )
    assert width == pytest.approx(1, abs=0.01)
    seen.page.keyboard.press("Escape")
    assert seen.page.locator("#flame .flame button").count() > 5


def test_dark_is_what_the_system_says_until_the_reader_chooses(look: Callable[..., Visit]):
    """A key turns it round, and back."""
    light, dark = look(busy()), look(busy(), color_scheme="dark")
    assert light.background() != dark.background()
    before = dark.background()
    dark.page.keyboard.press("t")
    assert dark.background() == light.background()
    dark.page.click("#theme")
    assert dark.background() == before


def test_the_configuration_is_told_with_its_origins(look: Callable[..., Visit]):
    """What was set, and by which line or option."""
    run = runs.run(config="/srv/shop/hookmon.toml", project="/srv/shop")
    run.settings = [
        {"table": "", "key": "redact", "value": "all", "origin": "hookmon.toml:2"},
        {"table": "packs", "key": "redis", "value": False, "origin": "--no-pack redis"},
    ]
    seen = look(run)
    rows = seen.texts("#environment tbody tr")
    assert rows == ['redact\t"all"\thookmon.toml:2', "packs.redis\tfalse\t--no-pack redis"]
    assert "hookmon.toml" in seen.texts("#environment dd")


def test_hostile_names_do_nothing(look: Callable[..., Visit]):
    """They are read as they were written, with what is invisible written out."""
    run = runs.web()
    bad = "</script><img src=x onerror='window.hit=1'>\u202e{{data}}"
    run.nodes[0].name = run.nodes[2].name = run.nodes[2].call_site = bad
    run.command = [bad]
    seen = look(run)
    for opening in ("#transactions .open >> nth=0", "#queries .open >> nth=0"):
        seen.page.click(opening)
    assert seen.page.evaluate("window.hit") is None
    assert seen.page.locator("img").count() == 0
    assert inert(bad) in seen.page.inner_text("#calls")
    assert inert(bad) in seen.page.inner_text("#verdict .command")


def test_a_series_that_is_damaged_costs_the_timeline_only(look: Callable[..., Visit]):
    """A run file from elsewhere may hold anything."""
    run = busy()
    run.series = [CallSeries("GET /users/<id>", "request", "flask", text) for text in ("[[1", '{"a": 1}', "[1, [2]]", "null")]
    run.samples = []
    assert look(run).page.is_hidden("#timeline")


def test_a_page_cannot_reach_the_network(browser: Any, tmp_path: Path):
    """Not even a script of its own could: the browser refuses before a connection is made."""
    with socket.create_server(("127.0.0.1", 0)) as server, visit(browser, tmp_path / "page.html", busy()) as seen:
        server.settimeout(0.3)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        refused = seen.page.evaluate(
            "address => fetch(address, {mode: 'no-cors'}).then(() => 'reached', () => 'refused')", address
        )
        assert refused == "refused"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_page_prints(look: Callable[..., Visit]):
    """On paper there are no buttons, and the verdict comes first."""
    seen = look(busy(), color_scheme="dark")
    seen.page.emulate_media(media="print")
    assert seen.page.is_hidden(".top")
    assert seen.page.is_hidden("#calls input")
    assert seen.page.is_visible("#verdict h1")
    assert seen.page.pdf().startswith(b"%PDF")
