"""HOOKMON_DISABLE, as the launcher and the bootstrap read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hookmon.core.switch import VARIABLE, is_disabled

SITECUSTOMIZE = Path(__file__).resolve().parents[2] / "bootstrap" / "hookmon_bootstrap" / "sitecustomize.py"


@pytest.mark.parametrize(
    ("environment", "answer"),
    [({}, False), ({VARIABLE: ""}, False), ({VARIABLE: "0"}, False), ({VARIABLE: "1"}, True), ({VARIABLE: "no"}, True)],
    ids=["unset", "empty", "0", "1", "a word"],
)
def test_anything_but_zero_switches_off(environment: dict[str, str], answer: bool):
    """As in most programs."""
    assert is_disabled(environment) is answer


def test_the_bootstrap_reads_it_in_the_same_way():
    """It imports nothing of ours before it has looked."""
    assert f'os.environ.get("{VARIABLE}", "0") in ("", "0")' in SITECUSTOMIZE.read_text("utf-8")
