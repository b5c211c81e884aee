"""Budgets of a file become limits with numbers, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hookmon.config.budgets import Budget
from hookmon.config.load import load
from hookmon.core.errors import ConfigError


def budgets(folder: Path, text: str) -> tuple[Budget, ...]:
    (folder / "hookmon.toml").write_text(text, "utf-8")
    return load(folder).budgets


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ('p95 = "60ms"', 60e6),
        ('p50 = "1.5 us"', 1_500),
        ('max = "250µs"', 250e3),
        ('mean = "7ns"', 7),
        ('total = "2min"', 120e9),
        ('p99 = "3s"', 3e9),
        ("calls = 5000", 5000),
        ("sql_per_request = 2.5", 2.5),
        ("calls_per_request = 0", 0),
        ("max_repetition = 4", 4),
        ('errors = "1%"', 0.01),
        ('overhead = "0.5 %"', 0.005),
        ('p95_vs_base = "+10%"', 1.1),
    ],
)
def test_a_limit_is_a_number(tmp_path: Path, line: str, number: float):
    """In nanoseconds, as a share, as a factor, or in calls; with the text and the line that it came from."""
    ((budget),) = budgets(tmp_path, f'# one\n[budget."GET /users/<id>"]\n{line}\n')
    assert budget.name == "GET /users/<id>"
    ((limit),) = budget.limits
    assert limit.number == pytest.approx(number)
    assert limit.key == line.partition(" ")[0]
    assert str(limit.place) == "hookmon.toml:3"


def test_budgets_come_in_the_order_of_the_file(tmp_path: Path):
    """And so do their limits."""
    found = budgets(tmp_path, '[budget.b]\nmax = "1s"\np50 = "1ms"\n[budget.a]\ncalls = 1\n')
    assert [(budget.name, [limit.key for limit in budget.limits]) for budget in found] == [
        ("b", ["max", "p50"]),
        ("a", ["calls"]),
    ]


def test_budgets_stand_in_pyproject_too(tmp_path: Path):
    """Under tool.hookmon."""
    (tmp_path / "pyproject.toml").write_text('[tool.hookmon.budget."*"]\ncalls = 3\n', "utf-8")
    ((budget),) = load(tmp_path).budgets
    assert (budget.name, str(budget.place)) == ("*", "pyproject.toml:1")


def test_mistakes_in_budgets_and_watches_are_told_in_one_pass(tmp_path: Path):
    """Each with its line."""
    (tmp_path / "hookmon.toml").write_text('[[watch]]\nmodule = "a"\n\n[budget.a]\np95 = "6"\ncals = 1\n', "utf-8")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path)
    assert [line.partition(": ")[0] for line in raised.value.problems] == ["hookmon.toml:1", "hookmon.toml:5", "hookmon.toml:6"]
    assert raised.value.codes == ["missing-key", "not-a-duration", "unknown-key"]
