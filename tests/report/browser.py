"""A real Chromium that looks at pages: what it says on its console and what it asks for is written down."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hookmon.collector.store import Run
from hookmon.report import diff, history, render
from hookmon.report.diff.model import Diff
from hookmon.report.history.model import Days

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """One look at one page. `said` is what its console got, `asked` the addresses that it asked for, itself left out."""

    page: Any  # playwright's
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        """Return the text of every element that fits."""
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]

    def background(self) -> str:
        """Return the colour behind everything."""
        return str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="there is no playwright on this machine")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


def page_of(shown: Run | Diff | Days) -> str:
    """Return the page of a run, of a diff, or of a service's days."""
    file = io.StringIO()
    if isinstance(shown, Diff):
        diff.render(shown, "html", file=file)
    elif isinstance(shown, Days):
        history.render(shown, "html", file=file)
    else:
        render(shown, "html", file=file)
    return file.getvalue()


@contextmanager
def visit(browser: Any, path: Path, shown: Run | Diff | Days, **context: Any) -> Iterator[Visit]:
    """Write a page, open it from its file, and look at it with the given size, colours and medium."""
    path.write_text(page_of(shown), "ascii")
    looking = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | context)
    page = looking.new_page()
    seen = Visit(page)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(path.as_uri())
    seen.asked = [url for url in seen.asked if url != path.as_uri() and not url.startswith("data:")]
    yield seen
    looking.close()
