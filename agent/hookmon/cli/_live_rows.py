"""A running run as lines and JSON: what `hookmon top` shows, in a terminal or without one.

In: a History of the collector. Out: cells, which are inert text, and documents of plain values.
"""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import Any

from hookmon.collector.counters import CallKey
from hookmon.collector.feed import LiveCall
from hookmon.collector.store import Run
from hookmon.collector.switches import Switched
from hookmon.collector.windows import SPARK_CELLS, WINDOWS, CallLive, Figures, History, ProcessLive, SignalLive
from hookmon.core.histogram import COARSE_SUB_BUCKETS, LAST_BUCKET, SUB_BUCKETS, coarsen, upper_bound_ns
from hookmon.core.record import asdict
from hookmon.report.signals import quantity
from hookmon.report.texts import count, duration, inert, location, percent, short_place, shorten

SCHEMA = "hookmon-top/1"
SORTS = ("self", "total", "calls", "p95", "errors", "name")
_BARS = "▁▂▃▄▅▆▇█"
_BAR_WIDTH = 40
_HISTOGRAM_ROWS = 24
LONGEST_NAME = 32
"""In a table: at 100 columns the figures beside it are on the screen. The detail of a call has its whole name."""


def matches(key: CallKey, wanted: str) -> bool:
    """Say whether a name, kind or target holds the text, whatever its case, or fits it as a glob."""
    wanted = wanted.lower()
    texts = [text.lower() for text in key]
    return any(wanted in text or fnmatchcase(text, wanted) for text in texts)


def is_wanted(call: LiveCall, wanted: str) -> bool:
    """Say the same of a call in flight."""
    return matches(CallKey(call.name, call.kind, ""), wanted)


def select_calls(history: History, window: str, wanted: str = "", sort: str = "self") -> list[CallLive]:
    """Return the calls that are to be shown, in their order."""
    rows = [row for row in history.calls(window) if matches(row.key, wanted)]
    if sort == "name":
        return sorted(rows, key=lambda row: row.key)
    if sort != "self":  # the order in which they come; sorting keeps it where figures are equal
        rows.sort(key=lambda row: -getattr(row.figures, {"total": "total_ns", "p95": "p95_ns"}.get(sort, sort)))
    return rows


def rate(value: float) -> str:
    """Return calls a second: `0.25`, `12.5`, `1,234`."""
    if value <= 0:
        return "–"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def time_of(duration_ns: int) -> str:
    """Return a percentile, a dash where no call ended."""
    return duration(duration_ns) if duration_ns else "–"


def spark(rates: list[float]) -> str:
    """Return a line of bars, the highest as high as can be; blank where nobody looked."""
    top = max(rates, default=0.0)
    if top <= 0:
        return " " * len(rates)
    return "".join(
        " " if per_second < 0 else _BARS[min(7, int(per_second / top * 7.999))] if per_second else "▁" for per_second in rates
    )


CALL_COLUMNS = ("call", "kind", "calls/s", "p50", "p95", "p99", "errors", "self", "calls", "last minute")


def call_cells(row: CallLive, history: History) -> list[str]:
    """Return the cells of CALL_COLUMNS."""
    figures = row.figures
    busy = figures.self_ns / 1e9 / figures.seconds if figures.seconds else 0.0
    return [
        shorten(inert(row.key.name), LONGEST_NAME),
        inert(row.key.kind),
        rate(figures.rate),
        *(time_of(duration_ns) for duration_ns in (figures.p50_ns, figures.p95_ns, figures.p99_ns)),
        count(figures.errors) if figures.errors else "–",
        percent(busy),
        count(row.all_calls),
        spark(history.spark(row.key)),
    ]


FLIGHT_COLUMNS = ("for", "call", "from", "within", "pid")


def flight_cells(call: LiveCall, project: str) -> list[str]:
    """Return the cells of FLIGHT_COLUMNS."""
    names = (inert(call.name), short_place(site(call.call_site, project)), inert(call.within))
    return [duration(call.duration_ns), *(shorten(name, LONGEST_NAME) for name in names), str(call.pid)]


PROCESS_COLUMNS = ("pid", "CPU", "memory", "threads", "calls/s", "calls", "errors", "command")


def process_cells(row: ProcessLive) -> list[str]:
    """Return the cells of PROCESS_COLUMNS."""
    process = row.process
    return [
        str(process.pid),
        percent(row.cpu_share),
        f"{process.rss_bytes / 1e6:,.0f} MB",
        str(process.threads),
        rate(row.rate) if process.python else "not watched",
        count(process.calls),
        count(process.errors),
        inert(" ".join(process.command)),
    ]


SIGNAL_COLUMNS = ("signal", "kind", "times/s", "in window", "value", "max")


def signal_cells(row: SignalLive, project: str) -> list[str]:
    """Return the cells of SIGNAL_COLUMNS; a gauge has no sum that could grow, a counter no largest value."""
    signal = row.signal
    name, at, place = signal.name.rpartition(" at ")
    return [
        inert(f"{name} at {short_place(site(place, project))}" if at else signal.name),
        signal.kind,
        rate(row.rate),
        inert(quantity(row.growth, signal.unit)) if signal.kind != "gauge" and row.rate else "–",
        inert(quantity(signal.value, signal.unit)),
        inert(quantity(signal.max, signal.unit)) if signal.kind != "counter" else "–",
    ]


def site(call_site: str, project: str) -> str:
    """Return a call site relative to the project."""
    return inert(location(call_site, project) or call_site)


def summary(history: History, window: str, wanted: str = "") -> tuple[str, Figures]:
    """Return what one line can say: a noun, and the figures of all transactions; of all calls where there are none.

    With something wanted, of the calls that match it.
    """
    if wanted:
        return "calls", history.together([row.key for row in history.calls(window) if matches(row.key, wanted)], window)
    if history.now.totals.transactions.calls:
        return "req", history.transactions(window)
    return "calls", history.together(list(history.now.totals.by_key), window)


def off_text(switched: Switched) -> str:
    """Return what is switched off, "" where nothing is."""
    if not switched.off:
        return ""
    since = time.strftime("%H:%M:%S", time.localtime(min(switched.off.values()) / 1e9))
    names = "everything" if "" in switched.off else ", ".join(switched.off)
    return f"{shorten(inert(names), LONGEST_NAME)} off since {since}"


def plain_line(history: History, clock: str, wanted: str = "", off: str = "") -> list[tuple[str, str]]:
    """Return one line as pieces of text and style, what matters most first: a narrow screen cuts the end."""
    noun, figures = summary(history, "10 s", wanted)
    pieces = [(f"{clock} ", "dim"), (f"{off}  " if off else "", "yellow"), (f"{rate(figures.rate):>7} {noun}/s ", "bold")]
    for title, value in (("p50", figures.p50_ns), ("p95", figures.p95_ns), ("p99", figures.p99_ns)):
        pieces += [(f" {title} ", "dim"), (f"{time_of(value):>7}", "")]
    pieces.append((f"  {count(figures.errors, 'error')}", "red" if figures.errors else ""))
    everything = summary(history, "all", wanted)[1]
    pieces.append((f"  {count(everything.calls)} {noun}", ""))
    now = history.now
    flying = [call for call in now.in_flight if is_wanted(call, wanted)]
    pieces.append((f"  {len(flying)} in flight", ""))
    if flying:
        pieces.append((f" ({inert(flying[0].name)} for {duration(flying[0].duration_ns)})", "yellow"))
    cpu_share = sum(row.cpu_share for row in history.processes())
    pieces.append((f"  {count(len(now.processes), 'process')}, CPU {percent(cpu_share)}", "dim"))
    return pieces


def document(run: Run, history: History, wanted: str = "", switched: Switched | None = None) -> dict[str, Any]:
    """Return one moment as plain values, for programs. Durations are integer nanoseconds."""
    now = history.now
    return {
        "schema": SCHEMA,
        "run": run.id,
        "name": run.name,
        "elapsed_ns": now.at_ns - run.started_ns,
        "ended": now.ended,
        "off": [{"what": what, "since_ns": since_ns} for what, since_ns in (switched.off if switched else {}).items()],
        "transactions": {window: _plain(history.transactions(window)) for window in WINDOWS},
        "calls": [
            {"name": row.key.name, "kind": row.key.kind, "target": row.key.target}
            | {window: _plain(history.figures(row.key, window)) for window in WINDOWS}
            for row in select_calls(history, "10 s", wanted)
        ],
        "in_flight": [asdict(call) for call in now.in_flight if is_wanted(call, wanted)],
        "signals": _plain_signals(history),
        "processes": [asdict(row.process) | {"cpu_share": row.cpu_share, "rate": row.rate} for row in history.processes()],
    }


def _plain(figures: Figures) -> dict[str, Any]:
    shown = ("seconds", "calls", "errors", "rate", "total_ns", "self_ns", "p50_ns", "p95_ns", "p99_ns")
    return {name: getattr(figures, name) for name in shown}


def _plain_signals(history: History) -> list[dict[str, Any]]:
    """Return each signal as it is now, with how often a second it was measured in each window and what came to its value."""
    shown = ("name", "unit", "kind", "count", "value", "min", "max")
    windows = {window: history.signals(window) for window in WINDOWS}  # of the same signals, in one order
    return [
        {name: getattr(row.signal, name) for name in shown}
        | {window: {"rate": rows[at].rate, "growth": rows[at].growth} for window, rows in windows.items()}
        for at, row in enumerate(windows["all"])
    ]


def detail(history: History, key: CallKey, window: str, project: str) -> list[tuple[str, str]]:
    """Return all that is known of one name, as lines of text and their style."""
    name, kind, target = (inert(text) for text in key)
    lines = [(name, "bold"), (f"{kind}  {target}", "dim"), ("", "")]
    lines.append((f"{'':8}{'calls/s':>10}{'p50':>10}{'p95':>10}{'p99':>10}{'calls':>12}{'errors':>9}", "dim"))
    for title in WINDOWS:
        figures = history.figures(key, title)
        cells = f"{rate(figures.rate):>10}{time_of(figures.p50_ns):>10}{time_of(figures.p95_ns):>10}{time_of(figures.p99_ns):>10}"
        lines.append((f"{title:8}{cells}{count(figures.calls):>12}{count(figures.errors):>9}", ""))
    lines += [("", ""), (f"last minute  {spark(history.spark(key)):{SPARK_CELLS}}", "")]
    figures = history.figures(key, window)
    lines += [("", ""), (f"how long they took ({window})", "dim"), *((line, "") for line in histogram(figures.buckets))]
    lines += [("", ""), (f"called from ({window})", "dim")]
    for call_site, calls in sorted(figures.sites.items(), key=lambda item: -item[1]):
        lines.append((f"{count(calls):>12}  {site(call_site, project) or '(unknown)'}", ""))
    flying = [call for call in history.now.in_flight if call.name == key.name]
    lines += [("", ""), (f"{len(flying)} in flight", "dim")]
    lines += [(f"{duration(call.duration_ns):>12}  {site(call.call_site, project)}", "") for call in flying[:10]]
    return lines


def histogram(buckets: dict[int, int]) -> list[str]:
    """Return a histogram as lines: a bar for each quarter of an octave, or wider where there are too many."""
    if not buckets:
        return ["no call ended"]
    width = SUB_BUCKETS // COARSE_SUB_BUCKETS
    while (max(buckets) - min(buckets)) // width >= _HISTOGRAM_ROWS:
        width *= 2
    bins = coarsen(buckets, width)
    top = max(bins.values())
    lines = []
    for place in range(min(bins), max(bins) + 1):
        calls = bins.get(place, 0)
        bar = "█" * max(1 if calls else 0, round(calls / top * _BAR_WIDTH))
        bound = duration(round(upper_bound_ns(min(LAST_BUCKET, place * width))))
        lines.append(f"≤ {bound:>8}  {bar:{_BAR_WIDTH}}  {count(calls)}".rstrip())
    return lines
