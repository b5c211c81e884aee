"""Changes configurations, packs and plans at random and has them read, in a process with a limit of memory.

    python odd_configs.py FOLDER FIRST COUNT

Each number is one file. What ends otherwise than by an answer or by an error of ours is printed: number, what read it, traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from hookmon.cli._verbs import hookmon
from hookmon.config.load import load
from hookmon.core import plan
from hookmon.core.errors import HookmonError

PATIENCE_S = 60
MEMORY_BYTES = 2 << 30

CONFIG = """
redact = "literals"
max_overhead = "5%"

[packs]
enable = ["redis"]
disable = ["django", "celery"]

[[watch]]
module = "shop.pricing"
calls = ["quote", "Basket.total", "find_*"]
span = "quote {arg0}"
kind = "function"

[[watch]]
module = "shop.web"
calls = ["handle"]
span = "{self.method} {path}"
kind = "request"

[[hook]]
module = "shop.events"
calls = ["Events.on"]
callable = "1"

[budget."GET /orders/{id}"]
p95 = "120ms"
errors = "1%"
sql_per_request = 3
"""

PACK = """
[pack]
library = "shop"
tested = ["1.2"]
description = "A shop."

[[watch]]
module = "shop.pricing"
calls = ["quote"]
span = "quote {arg0}"
kind = "rpc"
"""

ODD = (
    "", "0", "-1", "1", "true", "1.5", "inf", "-nan", "9" * 5_000, "0x" + "f" * 5_000, "1e400", '"x"', '""', "[]", "[[]]", "[1]",
    '["a"]', '["a", 1]', "{}", "{a = 1}", "2025-03-04", "12:00:00", '"\\u0000"', '"\\u202e"', '"{arg0"', '"{arg0.__class__}"',
    '"*"', '"a.b.c"', '"**[["', '"' + "x" * 5_000 + '"', '"' + "{arg0}" * 500 + '"', "[" * 2_000, "{a=" * 500, '"é"', "\'\'\'",
    '"""', "=", "\ufeff", "\r",
)  # fmt: skip


def change(text: str, dice: random.Random) -> bytes:
    """Return a text, changed in some ways that are drawn."""
    lines = text.split("\n")
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(lines))
        kind = dice.choice(("value", "value", "value", "key", "drop", "double", "swap", "line"))
        head, equals, _ = lines[at].partition("=")
        if kind == "value" and equals:
            lines[at] = f"{head}= {dice.choice(ODD)}"
        elif kind == "key" and equals:
            lines[at] = f"{dice.choice(ODD)}{lines[at][len(head) :]}"
        elif kind == "drop":
            del lines[at]
            lines = lines or [""]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = dice.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "line":
            lines.insert(at, dice.choice(ODD))
    content = bytearray("\n".join(lines).encode())
    return bytes(flip(content, dice) if dice.random() < 0.3 else content)


def flip(content: bytearray, dice: random.Random) -> bytearray:
    """Flip some bits, or cut the end off."""
    for _ in range(dice.choice((1, 2, 8)) if content else 0):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    if dice.random() < 0.3:
        del content[dice.randrange(len(content) + 1) :]
    return content


def command(*line: str) -> None:
    """Run a verb."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        hookmon.main(args=list(line), prog_name="hookmon", standalone_mode=False)


def read_plan(content: bytes) -> None:
    """Read what the probe reads. What is whole by its length is trusted: it is a file of one's own, see probe/start."""
    if content != honest_plan() and len(content) != len(honest_plan()):
        plan.decode(content)


def honest_plan() -> bytes:
    """Return the plan of all packs."""
    global _plan
    if not _plan:
        config = load(Path.cwd(), no_config=True)
        watches = [watch.to_plan(number) for number, watch in enumerate(config.watches, 1)]
        data: plan.PlanData = {
            "run_folder": "", "wrapt_folder": "", "hookmon": "0.1", "redact": "all", "clock_source": "", "max_overhead": 0.0,
            "watches": watches,
        }  # fmt: skip
        _plan = plan.encode(data)
    return _plan


_plan = b""


class Late(BaseException):
    """Something took too long."""


def late(*_: object) -> None:
    """Say so."""
    raise Late


def attempt(number: int, what: str, act: Callable[[], object]) -> int:
    """Do something; return whether it ended as it should not."""
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        act()
    except (HookmonError, click.ClickException, click.exceptions.Exit):
        return 0
    except BaseException:
        sys.__stdout__.write(f"number {number}: {what}\n{traceback.format_exc()}\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def main(folder: Path, first: int, count: int) -> None:
    """Read the files of some numbers."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, late)
    os.chdir(folder)
    for name in ("hookmon.toml", "pack.toml", "pyproject.toml"):
        Path(name).unlink(missing_ok=True)
    plain = honest_plan()
    bad = 0
    for number in range(first, first + count):
        dice = random.Random(number)
        Path("hookmon.toml").write_bytes(change(CONFIG, dice))
        Path("pyproject.toml").write_bytes(change("[tool.hookmon]\nredact = 'all'\n[tool.other]\nname = 'x'\n", dice))
        bad += attempt(number, "config", lambda: command("config", "--json"))
        bad += attempt(number, "packs", lambda: command("packs", "--json"))
        Path("hookmon.toml").unlink()
        bad += attempt(number, "pyproject.toml", lambda: command("config"))
        Path("pyproject.toml").unlink()
        Path("pack.toml").write_bytes(change(PACK, dice))
        bad += attempt(number, "pack", lambda: command("config", "--pack", "./pack.toml"))
        cut = plain[: dice.randrange(len(plain))]
        bad += attempt(number, "plan", lambda: read_plan(cut + bytes(dice.randrange(9))))  # noqa: B023  # called at once
    sys.__stdout__.write(f"{bad} of {count} files\n")  # type: ignore[union-attr]
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
