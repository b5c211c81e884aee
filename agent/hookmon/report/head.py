"""The first lines of a report on a screen: which run it is, what its time was, what hookmon cost.

In: a Report. Out: lines on a Screen.
"""

from __future__ import annotations

from shlex import join

from hookmon.report.account import Account, sentence, warning
from hookmon.report.model import Report
from hookmon.report.pure_engine import remark_of
from hookmon.report.screen import Piece, Screen
from hookmon.report.texts import count, duration, ending, fine_percent, size


def write_head(screen: Screen, report: Report) -> None:
    """Write the first lines."""
    header = report.header
    failed = header.exit_code not in (0, None)
    command = screen.cut(screen.clean(join(header.command)), max(20, screen.width // 2))
    pieces: list[Piece] = [
        (command, "bold"),
        (duration(header.duration_ns), ""),
        (ending(header.exit_code, header.ending), "red" if failed else "yellow" if header.exit_code is None else ""),
        (count(header.processes, "process"), ""),
        (f"run {header.id} {screen.cut(screen.clean(header.name), 30)}".rstrip(), ""),
    ]
    screen.flow(_window(report, command) if header.window else pieces, between=" · ", indent=2)
    _account(screen, report.account)
    _cost(screen, report)
    _engine(screen, report)


def _window(report: Report, command: str) -> list[Piece]:
    """Return the head of a window of a service."""
    header = report.header
    return [
        (header.service, "bold"),
        (header.window, "bold"),
        (duration(header.duration_ns), ""),
        (count(header.processes, "start"), ""),
        *([(f"version {header.version}", "")] if header.version else []),
        *([(command, "dim")] if command else []),
    ]


def _cost(screen: Screen, report: Report) -> None:
    header = report.header
    share_of = "CPU time" if header.cpu_ns else "the duration"
    pieces: list[Piece] = []
    if header.overhead_is_known:
        cost = f"hookmon's own cost {duration(header.overhead_ns)}, {fine_percent(header.overhead_share)} of {share_of}"
        pieces.append((cost, ""))
    if header.launcher_cpu_ns:
        memory = f" and {size(header.launcher_rss_max_bytes)}" if header.launcher_rss_max_bytes else ""
        pieces.append((f"beside it hookmon run used {duration(header.launcher_cpu_ns)}{memory}", ""))
    if pieces:
        screen.flow(pieces, between=" · ", indent=2)


def _engine(screen: Screen, report: Report) -> None:
    remark = remark_of(report)
    if remark is None:
        return
    if remark.text:
        screen.paragraph(remark.text, "yellow", indent=2)
    for line in remark.commands:
        screen.command("  ", line)
    for text in remark.more:
        screen.paragraph(text, "yellow", indent=2)


def _account(screen: Screen, account: Account | None) -> None:
    if account is None:
        return
    screen.paragraph(sentence(account), indent=2)
    if account.command:
        screen.command("To see the rest: ", account.command)
    if text := warning(account):
        screen.paragraph(text, "yellow", indent=2)
