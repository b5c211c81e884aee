from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Visit, chromium, visit

from hookmon.collector.store import Run
from hookmon.report.diff.model import Diff
from hookmon.report.history.model import Days

SNAPSHOTS = Path(__file__).parent / "snapshots"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="Write the screens that the reports make now.")


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a screen with the one that is kept under a name."""

    def check(name: str, screen: str) -> None:
        path = SNAPSHOTS / f"{name}.txt"
        if request.config.getoption("--update-snapshots", default=False):
            path.write_text(screen, encoding="utf-8")
        assert screen == path.read_text(encoding="utf-8")

    return check


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine says about terminals."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of a module. It runs an event loop in this thread, which other tests do not expect."""
    with chromium() as started:
        yield started


@pytest.fixture
def look(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Open pages; none of them may have said a word on its console or asked for anything."""
    open_now = []

    def open_page(shown: Run | Diff | Days, **context: Any) -> Visit:
        entered = visit(browser, tmp_path / f"page {len(open_now)}.html", shown, **context)
        open_now.append((entered, entered.__enter__()))
        return open_now[-1][1]

    yield open_page
    for entered, seen in open_now:
        said, asked = seen.said, seen.asked
        entered.__exit__(None, None, None)
        assert said == []
        assert asked == []
