"""What differs between the watches of a run and those of a configuration that is read again."""

from __future__ import annotations

from typing import Any

import pytest

from hookmon.collector.additions import Difference, difference


def watch(module: str, *calls: str, number: int = 0, pack: str = "", **more: Any) -> dict[str, Any]:
    return {"id": number, "module": module, "calls": list(calls), "pack": pack, "source": "test", "span": "", **more}


SHOP = watch("shop", "ask", "quote", number=1)

CASES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], Difference]] = {
    "nothing": ([SHOP], [watch("shop", "quote"), watch("shop", "ask")], Difference()),
    "one call more": ([SHOP], [watch("shop", "ask", "quote", "pay")], Difference(added=[watch("shop", "pay", number=7)])),
    "one call less": ([SHOP], [watch("shop", "ask")], Difference(out=["shop:quote"])),
    "another module": (
        [SHOP],
        [SHOP, watch("bank", "pay", "lend"), watch("bank", "ask", kind="sql")],
        Difference(added=[watch("bank", "pay", "lend", number=7), watch("bank", "ask", number=8, kind="sql")]),
    ),
    "a glob of calls less, of which one stays": (
        [watch("shop", "*", number=1), watch("shop", "quote", number=2)],
        [watch("shop", "quote")],
        Difference(out=["shop:*"], kept=["shop:quote"]),
    ),
    "a call less, which a glob takes": (
        [watch("shop", "*", number=1), watch("shop", "quote", number=2)],
        [watch("shop", "*")],
        Difference(),
    ),
    "a pack less": (
        [SHOP, watch("sqlite3", "Connection.execute", number=2, pack="sqlite3"), watch("sqlite3", "x", number=3, pack="sqlite3")],
        [SHOP],
        Difference(out=["sqlite3"]),
    ),
    "another template": (
        [SHOP],
        [watch("shop", "ask"), watch("shop", "quote", span="quote {arg0}", kind="sql")],
        Difference(restarts=["shop:quote is watched already, and differs in span, kind"]),
    ),
    "a glob of modules more": (
        [SHOP],
        [SHOP, watch("shop.**", "*")],
        Difference(restarts=["shop.**:* stands for several modules, of which some are there already"]),
    ),
    "files less": (
        [watch("dags/*.py", "go", number=1, files=["/dags/*.py"])],
        [],
        Difference(restarts=["dags/*.py:go is by its file, and stays until then"]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_differs(case: str):
    """By modules and calls, however they are written down."""
    known, wanted, expected = CASES[case]
    assert difference(known, wanted, 7) == expected
