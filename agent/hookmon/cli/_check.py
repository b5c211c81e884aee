"""Judges a run by the budgets of a configuration: what `hookmon check` and `hookmon run --check` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookmon.cli import _runs
from hookmon.core.errors import HookmonError, RunFileError

if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.config.load import Config
    from hookmon.report.check.judge import Check


def base_of(which: str | None) -> Run | None:
    """Return the run to compare with. Raises RunFileError when there is none of that name."""
    return _runs.find(_runs.store_here(), which) if which else None


def judge(run: Run, config: Config, base: Run | None) -> Check:
    """Return what becomes of each limit."""
    from hookmon.report.check.judge import check

    return check(run, config.budgets, base)


def refuse_without_budgets(config: Config) -> None:
    """Raise HookmonError, with exit code 3, when there is nothing to judge by."""
    if not any(budget.limits for budget in config.budgets):
        raise NothingToJudgeError(
            f'there is no budget in {config.path or "a hookmon.toml"}; [budget."NAME"] makes one, hookmon check --update '
            "writes today's figures",
            code="no-budget",
        )


class NothingToJudgeError(HookmonError):
    """There is no budget, or no run to hold it against."""

    exit_code = 3


def run_to_judge(which: str) -> Run:
    """Return the run that is to be judged. Raises NothingToJudgeError when no run was ever made."""
    store = _runs.store_here()
    try:
        return _runs.find(store, which)
    except RunFileError as error:
        if not store.numbers() and error.code == "no-such-run":
            raise NothingToJudgeError(str(error), code=error.code) from error
        raise
