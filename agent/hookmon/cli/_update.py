"""Writes the figures of a run as limits into the configuration; comments, order and spacing of the file stay."""

from __future__ import annotations

from math import ceil, floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import tomlkit

from hookmon.cli import _check, _output
from hookmon.config.checks import FEWEST_REPEATED
from hookmon.report.transactions import MAIN

if TYPE_CHECKING:
    from tomlkit.container import Container

    from hookmon.collector.store import Run
    from hookmon.config.load import Config
    from hookmon.report.check.judge import Check

_PYPROJECT = "pyproject.toml"
_ENTER = ("p95", "errors", "sql_per_request", "cache_per_request", "http_per_request")
_POLICIES = ("overhead",)  # what they allow is a decision, not a figure of one run
_VS_BASE = "_vs_base"
_PER_REQUEST = "_per_request"


def update(run: Run, config: Config, factor: float) -> None:
    """Rewrite the limits that the file has; where it has none, write some for each transaction.

    A limit that several transactions or calls share gets the worst of them. Raises HookmonError when the file cannot be written,
    NothingToJudgeError when the run has no figures.
    """
    path = config.path or Path.cwd() / "hookmon.toml"
    try:
        text = path.read_text("utf-8-sig") if path.exists() else ""
    except OSError as error:
        raise _output.write_error(path, "the budgets", error) from error
    document = tomlkit.parse(text)
    has_some = any(budget.limits for budget in config.budgets)
    found = limits_of(_check.judge(run, config, None), factor) if has_some else _first_limits(run, factor)
    if not found:
        raise _check.NothingToJudgeError(
            f"run {run.id} has no request, job or test, and no call of a client; write a budget for a call of yours: "
            '[budget."NAME"] with calls, total or p95',
            code="no-budget",
        )
    _set(document, path.name == _PYPROJECT, found)
    try:
        path.write_text(tomlkit.dumps(document), "utf-8")
    except OSError as error:
        raise _output.write_error(path, "the budgets", error) from error
    click.echo(f"{path}: {len(found)} limits written, from run {run.id}")


def limits_of(check: Check, factor: float) -> dict[tuple[str, str], Any]:
    """Return {(budget, key): value to write} for each limit that was judged by a figure of the run."""
    worst: dict[tuple[str, str], float] = {}
    for row in check.rows:
        if row.value is not None and row.key not in _POLICIES and not row.key.endswith(_VS_BASE):
            place = (row.budget, row.key)
            worst[place] = max(worst.get(place, 0.0), row.value)
    return {place: limit_value(place[1], value, factor) for place, value in worst.items()}


def _first_limits(run: Run, factor: float) -> dict[tuple[str, str], Any]:
    """Return limits for each transaction of a run that has no budget yet; limits of nothing are left out.

    A run without transactions gets limits for (main): how many calls of each kind the whole run makes.
    """
    from hookmon.config.budgets import Budget, Limit
    from hookmon.config.problem import Place
    from hookmon.report.model import build

    place = Place("")
    limits = tuple(Limit(key, 0.0, "", place) for key in _ENTER)
    rows = build(run).transactions
    names = [row.name for row in rows if row.name != MAIN] or [row.name for row in rows]
    config_budgets = [Budget(name, limits, place) for name in names]
    from hookmon.report.check.judge import check

    found = limits_of(check(run, config_budgets), factor)
    return {key: value for key, value in found.items() if (value if key[1].endswith(_PER_REQUEST) else key[0] != MAIN)}


def limit_value(key: str, value: float, factor: float) -> Any:
    """Return a figure as a limit, rounded up to what a person would have written."""
    if key.endswith(_PER_REQUEST):
        return ceil(value - 1e-9)
    if key == "max_repetition":
        return max(FEWEST_REPEATED, ceil(value))
    if key == "calls":
        return ceil(_round_up(value * factor))
    if key == "errors":
        return f"{_round_up(min(100.0, value * 100 * factor)):g}%"
    return _duration(value * factor)


def _duration(value_ns: float) -> str:
    for unit, size_ns in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value_ns >= size_ns:
            return f"{_round_up(value_ns / size_ns):g}{unit}"
    return f"{max(1, ceil(value_ns))}ns"


def _round_up(value: float) -> float:
    """Round up to two significant digits."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{ceil(value / step - 1e-9) * step:.6g}")


def _set(document: Container, in_pyproject: bool, limits: dict[tuple[str, str], Any]) -> None:
    root: Any = document
    for key in ("tool", "hookmon") if in_pyproject else ():
        root = root.setdefault(key, tomlkit.table(is_super_table=True))
    if "budget" not in root:
        root["budget"] = tomlkit.table(is_super_table=True)
    budgets: Any = root["budget"]
    for (name, key), value in limits.items():
        if name not in budgets:
            budgets[name] = tomlkit.table()
        budgets[name][key] = value
