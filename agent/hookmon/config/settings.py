"""The one table of settings. Adding a setting is adding a line; whoever wants it reads it from the checked table by its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hookmon.config import checks
from hookmon.config.problem import Mistake
from hookmon.core.plan import CLIENT_KINDS, KINDS

TEXT = "a string"
FLAG = "true or false"
TEXTS = "an array of strings"
NUMBER = "a number"
"""Types of values, in the words that a message uses."""

ROOT = ""
"""The name of the table that stands before all others."""

USER = "user"
PACK = "pack"
"""Who may write a setting: the user's file, the files in hookmon/packs."""


@dataclass(frozen=True)
class Setting:
    """One key of one table. `default` None makes it required.

    `check` sees only values of the right type, except that an array may still have elements that are no strings. In a budget
    the default "" stands for no limit.
    """

    table: str
    key: str
    type: str
    default: str | bool | list[str] | None
    check: Callable[[Any], Iterator[Mistake]]
    help: str
    writers: tuple[str, ...] = (USER, PACK)


DURATIONS = ("p50", "p95", "p99", "max", "mean", "total")
"""What a budget may limit of the times of calls."""

_OVER_BASE = ("p50", "p95", "mean")

_BUDGET = (
    *(Setting("budget", key, TEXT, "", checks.duration, f'{key} of its time, "60ms"', (USER,)) for key in DURATIONS),
    *(
        Setting("budget", f"{key}_vs_base", TEXT, "", checks.growth, f'{key} over that of --against, "+10%"', (USER,))
        for key in _OVER_BASE
    ),
    Setting("budget", "calls", NUMBER, "", checks.amount, "calls in the whole run", (USER,)),
    Setting(
        "budget", "calls_per_request", NUMBER, "", checks.amount, "of a call: how often in one transaction, on average", (USER,)
    ),
    *(
        Setting(
            "budget", f"{kind}_per_request", NUMBER, "", checks.amount, f"{kind} calls in one transaction, on average", (USER,)
        )
        for kind in KINDS
        if kind in CLIENT_KINDS
    ),
    Setting(
        "budget",
        "max_repetition",
        NUMBER,
        "",
        checks.repetition,
        "the same call, one after the other in one transaction",
        (USER,),
    ),
    Setting("budget", "errors", TEXT, "", checks.part, 'share of calls that fail, "1%"', (USER,)),
    Setting("budget", "overhead", TEXT, "", checks.part, "share of the whole run that hookmon itself took", (USER,)),
)

SETTINGS = (
    Setting(ROOT, "max_overhead", TEXT, "5%", checks.share, 'share of a process that a target may cost, "off" for any', (USER,)),
    Setting(ROOT, "redact", TEXT, "literals", checks.redact, 'what of SQL is not shown: "off", "literals" or "all"', (USER,)),
    Setting("watch", "module", TEXT, None, checks.module, 'the module as it is imported, or "__main__"'),
    Setting("watch", "calls", TEXTS, None, checks.calls, "functions and methods in it, globs in the last part"),
    Setting("watch", "until", TEXTS, [], checks.names, "functions that end what the calls begin, on the same object"),
    Setting("watch", "span", TEXT, "", checks.span, 'the name in the report, "quote {arg0}"; empty: the target\'s own'),
    Setting("watch", "kind", TEXT, "function", checks.kind, "what the time is spent on"),
    Setting("watch", "nested", FLAG, False, checks.anything, "record it also inside a call of the same client kind"),
    Setting("watch", "entry", FLAG, False, checks.anything, "its calls are transactions: requests, jobs, tests"),
    Setting("watch", "entry_name", TEXT, "", checks.span, "names the open transaction when a call returns, {result}"),
    Setting("watch", "entry_status", TEXT, "", checks.span, "the open transaction's status; from 500 on it is an error"),
    Setting("watch", "entry_body", TEXT, "", checks.place, "where a call leaves the generator that makes the response's body"),
    Setting("watch", "waits", FLAG, False, checks.anything, "its calls wait for a pool or an executor"),
    Setting("watch", "part", FLAG, False, checks.anything, "its calls are parts of others, as rows: only their time counts"),
    Setting("watch", "adapter", TEXT, "", checks.adapter, "module that patches what setattr cannot", (PACK,)),
    Setting("hook", "module", TEXT, None, checks.module, "the module with the calls, as it is imported"),
    Setting("hook", "calls", TEXTS, None, checks.calls, "functions with which callbacks are registered"),
    Setting(
        "hook", "callable", TEXT, "arg0", checks.callback, "where these have the callback: an argument, or what else is allowed"
    ),
    Setting("hook", "methods", TEXTS, [], checks.methods, "the callback is an object, and these are its methods, with globs"),
    Setting("hook", "base", TEXT, "", checks.base, 'class whose own methods are no callbacks, "framework.plugin:Plugin"'),
    Setting(
        "hook", "skip", TEXTS, [], checks.skipped, 'packages, or single callables, "shop.plugins:on_save", that are left alone'
    ),
    Setting("hook", "unregister", TEXTS, [], checks.names, "functions that forget callbacks, or look them up"),
    Setting(
        "hook",
        "since",
        TEXTS,
        [],
        checks.names,
        "functions before whose first call there is no callback, and nothing is put in place",
    ),
    Setting("hook", "span", TEXT, "{callable}", checks.span, 'the name in the report, "{event}: {callable}"'),
    Setting("hook", "kind", TEXT, "hook", checks.kind, "what the time is spent on"),
    Setting(
        "packs",
        "enable",
        TEXTS,
        [],
        checks.anything,
        'packs that are on although off by themselves, or by "*" in disable',
        (USER,),
    ),
    Setting("packs", "disable", TEXTS, [], checks.anything, 'packs to leave out, "*" for all', (USER,)),
    *_BUDGET,
    Setting("pack", "library", TEXT, "", checks.anything, "what pip calls it; empty: the standard library", (PACK,)),
    Setting("pack", "tested", TEXTS, [], checks.anything, "versions of the library that the pack was tested with", (PACK,)),
    Setting("pack", "on", FLAG, True, checks.anything, "on by itself; false: only when --pack or enable names it", (PACK,)),
    Setting("pack", "description", TEXT, None, checks.anything, "what the pack makes visible", (PACK,)),
)

REPEATED_TABLES = frozenset(("watch", "hook"))
"""Tables written as `[[…]]`; all others stand at most once."""

NAMED_TABLES = frozenset(("budget",))
"""Tables written as `[budget."NAME"]`, one for each name."""


@cache
def settings_of(table: str, writer: str) -> Mapping[str, Setting]:
    """Return the settings that `writer` may use in `table`, by key."""
    return {each.key: each for each in SETTINGS if each.table == table and writer in each.writers}


@cache
def tables_of(writer: str) -> tuple[str, ...]:
    """Return the names of the tables in which `writer` may set something, in the order of the table of settings."""
    return tuple(dict.fromkeys(each.table for each in SETTINGS if writer in each.writers and each.table != ROOT))
