"""The adapter of docs/packs.md does what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hookmon.adapter
from hookmon.testing import run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "packs.md").read_text("utf-8")
LIBRARY = """
class Letter:
    def __init__(self, town): self.town = town
class Box:
    def __init__(self): self.letters = []
    def put(self, letter): self.letters.append(letter)
    def take(self): return self.letters.pop(0)
"""
PROGRAM = """
import threading, time
from post import Box, Letter
box = Box()
for town in ("Rome", "Oslo", "Rome", "Oslo"): box.put(Letter(town))
time.sleep(0.05)
thread = threading.Thread(target=lambda: [box.take() for _ in range(3)])
thread.start(); thread.join()
print([letter.town for letter in box.letters])
"""


def block(name: str) -> str:
    """Return the code on the page that begins with the name of a file."""
    (text,) = re.findall(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return text


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_the_example_of_an_adapter_times_waits_and_measures_a_signal(tmp_path: Path, engine: str):
    """Three letters were taken out by another thread, one lies there still: it is not counted as a wait."""
    for name in ("post.toml", "boxes.py"):
        (tmp_path / name).write_text(block(name))
    recorded = run(PROGRAM, packs=[tmp_path / "post.toml"], files={"post.py": LIBRARY}, env={"HOOKMON_ENGINE": engine})
    assert (recorded.exit_code, recorded.stdout, recorded.stderr) == (0, "['Oslo']\n", "")
    assert recorded.blind_spots == []
    assert recorded.calls() == {"letter to Rome": 2, "letter to Oslo": 1}
    assert all(row["min_ns"] >= 50_000_000 for row in recorded.report["calls"])
    (lying,) = recorded.report["signals"]
    assert (lying["name"], lying["kind"], lying["count"]) == ("letters in boxes", "gauge", 7)
    assert (lying["value"], lying["min"], lying["max"]) == (1.0, 1.0, 4.0)


def test_the_page_names_all_that_adapters_may_use():
    """And nothing that is not there."""
    table = PAGE[PAGE.index("| to | there is |") : PAGE.index("Their texts say the rest")]
    named = set(re.findall(r"`(\w+)", table)) - {"after", "condition", "close", "add", "set", "record"}
    assert named == set(hookmon.adapter.__all__) - {"Span"}
