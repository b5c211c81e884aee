"""The plan on its way into the program."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hookmon.core import plan
from hookmon.core.errors import PlanError

PLAN: Any = {
    "run_folder": "/dev/shm/hookmon-ä\udc80",
    "wrapt_folder": "",
    "hookmon": "0.1.0",
    "watches": [
        {
            "id": number,
            "module": "shop.pricing",
            "calls": ["quote", "Basket.*"],
            "span": "quote {arg0}",
            "kind": "function",
            "nested": False,
            "entry": False,
            "entry_name": "",
            "entry_status": "",
            "entry_body": "",
            "waits": False,
            "pack": "",
            "source": "hookmon.toml:3",
            "adapter": "",
        }
        for number in (1, 2)
    ],
}


def test_a_plan_comes_out_as_it_went_in():
    """Even with names that are not UTF-8."""
    assert plan.decode(plan.encode(PLAN)) == PLAN


def test_every_truncated_plan_is_refused():
    """Marshal is never asked to read a part."""
    content = plan.encode(PLAN)
    for length in range(len(content)):
        with pytest.raises(PlanError):
            plan.decode(content[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"hookmon-plan 2 4\nabcd",
        b"hookmon-plan 1 -1\n",
        b"hookmon-plan 1 04\nabcd",
        plan.encode(PLAN) + b"x",
        b"\xef\xbb\xbf" + plan.encode(PLAN),
    ],
    ids=["empty", "newline", "version", "negative", "zero padded", "longer", "BOM"],
)
def test_what_is_no_plan_is_refused(content: bytes):
    """With one error of ours."""
    with pytest.raises(PlanError, match="damaged or was written by another version"):
        plan.decode(content)


def test_random_bytes_are_refused():
    """Whatever they are."""
    chance = random.Random(7)
    for _ in range(300):
        with pytest.raises(PlanError):
            plan.decode(chance.randbytes(chance.randrange(200)))
