"""The live view in a terminal, drawn by Textual (`pip install 'hookmon[top]'`). Thin: what it shows comes from `_live_rows`.

Looking at the run happens in a thread of this process, so a large run does not make the keys slow. Foreign text gets into
Textual as rich's Text, which is never read as markup.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, Input, Static

from hookmon.cli import _live_rows as rows
from hookmon.collector.counters import CallKey
from hookmon.collector.live import LiveRun
from hookmon.collector.windows import WINDOWS, History
from hookmon.report.texts import count, duration, inert, percent
from hookmon.services.live import LiveService

_MOST_ROWS = 300
_SHOWN_IN_FLIGHT = 50


class Detail(ModalScreen[None]):
    """All that is known of one name."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Back")]
    CSS = "Detail { align: center middle; } #box { width: 90%; height: 90%; border: round $primary; padding: 0 1; }"

    def __init__(self, key: CallKey, lines: Callable[[CallKey], list[tuple[str, str]]]) -> None:
        """Show what `lines` says of a key: text and style."""
        super().__init__()
        self._key = key
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll(id="box"):
            yield Static(id="detail")
        yield Footer()

    def on_mount(self) -> None:
        """Show it at once."""
        self.draw()

    def draw(self) -> None:
        """Show the newest figures."""
        self.query_one("#detail", Static).update(_text(self._lines(self._key)))


class LiveApp(App[None]):
    """The view of one running run."""

    TITLE = "hookmon top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "filter", "Filter"),
        Binding("s", "sort", "Sort"),
        Binding("w", "window", "Window"),
        Binding("space,p", "pause", "Pause"),
        Binding("m", "mark", "Mark"),
        Binding("u", "unmark", "Unmark"),
        Binding("enter", "detail", "Detail", priority=False),
        Binding("escape", "calls", "Calls", show=False),
    ]
    CSS = """
    #head { height: 3; padding: 0 1; }
    #filter { display: none; }
    #filter.open { display: block; }
    #calls { height: 3fr; }
    #flight { height: 1fr; min-height: 4; }
    #signals { display: none; height: 1fr; min-height: 4; }
    #signals.open { display: block; }
    #processes { height: 1fr; min-height: 4; }
    """

    def __init__(self, live: LiveRun | LiveService, history: History, wanted: str = "") -> None:
        """Begin with a run that is open for looking at; whoever opened it closes it."""
        super().__init__()
        self.live = live
        self.history = history
        self.window = "10 s"
        self.sort = "self"
        self.wanted = wanted
        self.is_paused = False
        self._keys: list[CallKey] = []  # of the rows of the table of calls

    def compose(self) -> ComposeResult:
        """Lay the view out."""
        yield Static(id="head")
        yield Input(self.wanted, placeholder="name, kind or target; * and ? stand for anything", id="filter")
        yield DataTable(id="calls", cursor_type="row", zebra_stripes=True)
        yield DataTable(id="flight", cursor_type="none")
        yield DataTable(id="signals", cursor_type="none")
        yield DataTable(id="processes", cursor_type="none")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        for name, columns in (
            ("calls", rows.CALL_COLUMNS),
            ("flight", rows.FLIGHT_COLUMNS),
            ("signals", rows.SIGNAL_COLUMNS),
            ("processes", rows.PROCESS_COLUMNS),
        ):
            self._table(name).add_columns(*columns)
        self._table("calls").focus()
        self.run_worker(self._follow(), exclusive=True)

    async def _follow(self) -> None:
        """Look again and again until nothing of the run goes on."""
        while True:
            began = time.monotonic()
            snapshot = await asyncio.to_thread(self.live.look, time.monotonic_ns())
            self.history.observe(snapshot)
            if not self.is_paused and self.screen_stack:
                with suppress(NoMatches):  # the view is just being taken down
                    self.draw()
            if snapshot.ended:
                return
            await asyncio.sleep(max(self.history.every_ns / 1e9, (time.monotonic() - began) * self.live.REST))

    def draw(self) -> None:
        """Show the newest figures."""
        self._main.query_one("#head", Static).update(_text(self._head()))
        project = self.live.run.project
        shown = rows.select_calls(self.history, self.window, self.wanted, self.sort)[:_MOST_ROWS]
        self._fill("calls", [rows.call_cells(row, self.history) for row in shown], [row.key for row in shown])
        flying = [call for call in self.history.now.in_flight if rows.is_wanted(call, self.wanted)]
        self._fill("flight", [rows.flight_cells(call, project) for call in flying[:_SHOWN_IN_FLIGHT]])
        signals = [rows.signal_cells(row, project) for row in self.history.signals(self.window)]
        self._table("signals").set_class(bool(signals), "open")
        self._fill("signals", signals)
        self._fill("processes", [rows.process_cells(row) for row in self.history.processes()])
        if isinstance(self.screen, Detail):
            self.screen.draw()

    def _detail(self, key: CallKey) -> list[tuple[str, str]]:
        return rows.detail(self.history, key, self.window, self.live.run.project)

    def _head(self) -> list[tuple[str, str]]:
        run, now = self.live.run, self.history.now
        noun, figures = rows.summary(self.history, self.window, self.wanted)
        state = "ended" if now.ended else "paused" if self.is_paused else "running"
        off = rows.off_text(self.live.switched)
        state += f", {off}" if off else ""
        name = f"run {run.id}" + (f" {run.name}" if run.name else "") if run.id else run.name
        command = inert(" ".join(run.command))
        cpu = percent(sum(row.cpu_share for row in self.history.processes()))
        times = "  ".join(
            f"{title} {rows.time_of(value)}"
            for title, value in (("p50", figures.p50_ns), ("p95", figures.p95_ns), ("p99", figures.p99_ns))
        )
        marked = f"  marked {duration(now.at_ns - self.history.marked_ns)} ago" if self.history.marked_ns else ""
        wanted = f"  only {inert(self.wanted)}" if self.wanted else ""
        return [
            (f"{inert(name)}  {state}  {duration(max(0, now.at_ns - run.started_ns))}  {command}", "bold"),
            (f"{rows.rate(figures.rate)} {noun}/s  {times}  {count(figures.errors, 'error')}", ""),
            (
                f"window {self.window}  sorted by {self.sort}{marked}{wanted}  {count(len(now.in_flight))} in flight"
                f"  {count(len(now.processes), 'process')}, CPU {cpu}",
                "dim",
            ),
        ]

    def _fill(self, name: str, cells: list[list[str]], keys: list[CallKey] | None = None) -> None:
        """Put rows into a table; the cursor stays on its call, and the view where it was."""
        table = self._table(name)
        chosen = self._selected_key() if keys is not None else None
        top = table.scroll_y
        table.clear()
        for row in cells:
            table.add_row(*(Text(cell, no_wrap=True) for cell in row))
        if keys is not None:
            self._keys = keys
            if chosen in keys:
                table.move_cursor(row=keys.index(chosen), scroll=False)
        table.scroll_to(y=top, animate=False)

    def _selected_key(self) -> CallKey | None:
        place = self._table("calls").cursor_row
        return self._keys[place] if 0 <= place < len(self._keys) else None

    @property
    def _main(self) -> Screen[object]:
        """The screen below all others: queries of an App go to the topmost."""
        return self.screen_stack[0]

    def _table(self, name: str) -> DataTable[Text]:
        return self._main.query_one(f"#{name}", DataTable)

    def action_filter(self) -> None:
        """Ask for a text that names must hold."""
        field = self._main.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self.wanted = event.value
        self.draw()

    def on_input_submitted(self) -> None:
        """Close the filter, and keep it."""
        self.action_calls()

    def action_calls(self) -> None:
        """Go back to the table of calls."""
        self._main.query_one("#filter", Input).remove_class("open")
        self._table("calls").focus()

    def action_sort(self) -> None:
        """Sort by the next figure."""
        self.sort = rows.SORTS[(rows.SORTS.index(self.sort) + 1) % len(rows.SORTS)]
        self.draw()

    def action_window(self) -> None:
        """Show the next window."""
        names = list(WINDOWS)
        self.window = names[(names.index(self.window) + 1) % len(names)]
        self.draw()

    def action_pause(self) -> None:
        """Hold the picture, or let it go on; what comes meanwhile is counted."""
        self.is_paused = not self.is_paused
        self.draw()

    def action_mark(self) -> None:
        """Count anew from now on."""
        self.history.mark()
        self.draw()

    def action_unmark(self) -> None:
        """Count from the start of the run again."""
        self.history.unmark()
        self.draw()

    def on_data_table_row_selected(self) -> None:
        """Show the call under the cursor."""
        self.action_detail()

    def action_detail(self) -> None:
        """Show the call under the cursor."""
        key = self._selected_key()
        if key is not None and not isinstance(self.screen, Detail):
            self.push_screen(Detail(key, self._detail))


def _text(lines: list[tuple[str, str]]) -> Text:
    """Return lines as one text."""
    return Text("\n", no_wrap=True, overflow="ellipsis").join([Text(text, style) for text, style in lines])
