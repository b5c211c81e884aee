"""The result as a table: what each subject adds, and how that compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, str, Callable[[float, float], str]]


def _show_duration(nanoseconds: float) -> str:
    for limit, unit in ((1e3, "ns"), (1e6, "µs"), (1e9, "ms")):
        if abs(nanoseconds) < limit:
            return f"{nanoseconds / (limit / 1e3):.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"


def _show_added(value: float, bare: float) -> str:
    """Show a duration that a subject adds; the loop of the bare function is subtracted already."""
    del bare
    return _show_duration(value)


def _show_beyond(value: float, bare: float) -> str:
    """Show a duration and by how much it is longer than the bare one."""
    return _show_duration(value) if value == bare else f"{_show_duration(value)}  {value / bare - 1:+.1%}"


def _show_rate(value: float, bare: float) -> str:
    return f"{value:,.0f}/s" if value == bare else f"{value:,.0f}/s  {value / bare - 1:+.1%}"


def _show_bytes(value: float, bare: float) -> str:
    return f"{value / 1e6:.1f} MB" if value == bare else f"{value / 1e6:.1f} MB  {(value - bare) / 1e6:+.1f}"


CALLS: tuple[Row, ...] = (
    ("call function", "function", _show_added),
    ("call method", "method", _show_added),
    ("call named", "named {arg0}", _show_added),
    ("call coroutine", "coroutine", _show_added),
    ("call nested", "10 nested", _show_added),
    ("get", "redis GET", _show_beyond),
)
PROGRAMS: tuple[Row, ...] = (
    ("start", "start", _show_beyond),
    ("child", "a child process", _show_beyond),
    ("exit", "exit", _show_beyond),
)
APPS: tuple[Row, ...] = (
    ("flask rate", "Flask", _show_rate),
    ("flask cpu", "CPU a request", _show_beyond),
    ("flask memory", "memory", _show_bytes),
    ("fastapi rate", "FastAPI", _show_rate),
    ("fastapi cpu", "CPU a request", _show_beyond),
    ("fastapi memory", "memory", _show_bytes),
)


def show(result: dict[str, Any]) -> None:
    """Print the tables, what could not be measured, and with what it was measured."""
    console = Console(width=None if Console().is_terminal else 160)
    medians = result["medians"]
    _print(console, "Added to a call", CALLS, result)
    function = medians.get("call function", {})
    if "wrapt" in function:
        _ratios(console, result, [(name, title) for name, title, _ in CALLS[:-1]])
    _print(console, "A program", PROGRAMS, result)
    _print(console, "Requests a second, five GETs each", APPS, result)
    for name, reason in result["missing"].items():
        console.print(f"not measured: {name}: {reason}", markup=False, soft_wrap=True)
    console.print(f"Python {result['python']}, {result['machine']}; medians of {result['rounds']} rounds", markup=False)


def _print(console: Console, title: str, rows: tuple[Row, ...], result: dict[str, Any]) -> None:
    rows = tuple(row for row in rows if row[0] in result["medians"])
    if not rows:
        return
    table = Table("", title=title, title_justify="left", box=None, pad_edge=False)
    for _, heading, _ in rows:
        table.add_column(heading, justify="right")
    for subject in result["subjects"]:
        cells = []
        for name, _, shown in rows:
            values = result["medians"][name]
            cells.append(shown(values[subject], values.get("bare", 0.0)) if subject in values else "")
        if any(cells):
            table.add_row(subject, *cells)
    console.print(table, "")


def _ratios(console: Console, result: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    table = Table("", title="The same, an empty wrapt.decorator being 1", title_justify="left", box=None, pad_edge=False)
    for _, heading in rows:
        table.add_column(heading, justify="right")
    for subject in result["subjects"]:
        if subject == "bare":
            continue
        cells = []
        for name, _ in rows:
            values = result["medians"][name]
            cells.append(f"{values[subject] / values['wrapt']:.2f}" if subject in values and "wrapt" in values else "")
        table.add_row(subject, *cells)
    console.print(table, "")
