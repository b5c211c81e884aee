"""The one table of settings. A new setting is a new line here, and the code that reads it from the checked table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from hookmon.config import checks, exports
from hookmon.config.problem import Mistake
from hookmon.core.plan import CLIENT_KINDS, KINDS
from hookmon.core.record import Record, replace

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

TEXT = "a string"
FLAG = "true or false"
TEXTS = "an array of strings"
NUMBER = "a number"
ONE_OR_MORE = "a string or an array of strings"
PAIRS = "a table of strings"
"""Types of values, in the words that a message uses."""

ROOT = ""
"""The name of the table that stands before all others."""

USER = "user"
PACK = "pack"
"""Who may write a setting: the user's file, the files in hookmon/packs."""


class Setting(Record, frozen=True):
    """One key of one table. `default` None makes it required.

    `check` sees only values of the right type, except that an array may still have elements that are no strings. What is required
    may have another key that stands `instead`. In a budget
    the default "" stands for no limit. `table` and, where they are not told here, `writers` are those of the group it stands in.
    """

    key: str
    type: str
    check: Callable[[Any], Iterator[Mistake]]
    default: str | bool | int | list[str] | dict[str, str] | None
    help: str
    instead: str = ""
    table: str = ROOT
    writers: tuple[str, ...] = ()


def _table(name: str, *settings: Setting, writers: tuple[str, ...] = (USER, PACK)) -> tuple[Setting, ...]:
    """Return the settings of a table, each with the name of the table and with who may write it."""
    return tuple(replace(setting, table=name, writers=setting.writers or writers) for setting in settings)


DURATIONS = ("p50", "p95", "p99", "max", "mean", "total")
"""What a budget may limit of the times of calls."""

_OVER_BASE = ("p50", "p95", "mean")

_EXPECTED = Setting(
    "expected",
    TEXTS,
    checks.exceptions,
    default=[],
    help='exceptions that are control flow and no errors, "framework.errors:Skip", with those that inherit from them',
)

SETTINGS = (
    *_table(
        ROOT,
        Setting(
            "max_overhead", TEXT, checks.share, default="5%", help='share of a process that a target may cost, "off" for any'
        ),
        Setting("redact", TEXT, checks.redact, default="literals", help='what of SQL is not shown: "off", "literals" or "all"'),
        Setting(
            "propagate",
            FLAG,
            checks.anything,
            default=False,
            help="add traceparent (W3C trace context) to what transactions send by HTTP, gRPC and queues",
        ),
        Setting("signals", TEXTS, checks.signals, default=[], help="what to measure besides calls: gc, imports, loop"),
        Setting("samples", NUMBER, checks.rate, default=0, help="samples a second of what computes, taken outside; 0 is none"),
        writers=(USER,),
    ),
    *_table(
        "watch",
        Setting(
            "module",
            TEXT,
            checks.modules,
            default=None,
            instead="file",
            help='the module as it is imported, "__main__", "app.*" for the modules in a package, "app.**" for it and all below',
        ),
        Setting(
            "file",
            TEXT,
            checks.file,
            default="",
            help='in place of module: the file of one that is loaded by its path, or a glob of files, "dags/*.py"',
            writers=(USER,),
        ),
        Setting("calls", TEXTS, checks.calls, default=None, help="functions and methods in it, globs in the last part"),
        Setting("until", TEXTS, checks.names, default=[], help="functions that end what the calls begin, on the same object"),
        Setting("span", TEXT, checks.span, default="", help='the name in the report, "quote {arg0}"; empty: the target\'s own'),
        Setting("kind", TEXT, checks.kind, default="function", help="what the time is spent on"),
        Setting("nested", FLAG, checks.anything, default=False, help="record it also inside a call of the same client kind"),
        Setting("entry", FLAG, checks.anything, default=False, help="its calls are transactions: requests, jobs, tests"),
        Setting(
            "when",
            PAIRS,
            checks.conditions,
            default={},
            help='beside until: only calls whose arguments have these values begin it, {arg0 = "started"}',
        ),
        Setting("until_when", PAIRS, checks.conditions, default={}, help="and only calls with these values end it"),
        _EXPECTED,
        Setting("entry_name", TEXT, checks.span, default="", help="names the open transaction when a call returns, {result}"),
        Setting("entry_status", TEXT, checks.span, default="", help="the open transaction's status; from 500 on it is an error"),
        Setting(
            "entry_body", TEXT, checks.place, default="", help="where a call leaves the generator that makes the response's body"
        ),
        Setting("waits", FLAG, checks.anything, default=False, help="its calls wait for a pool or an executor"),
        Setting(
            "part", FLAG, checks.anything, default=False, help="its calls are parts of others, as rows: only their time counts"
        ),
        Setting(
            "via",
            TEXT,
            checks.via,
            default="auto",
            help='how functions are watched: "function" or "code" themselves, "name" by a wrapper under their name',
        ),
        Setting(
            "propagates",
            FLAG,
            checks.anything,
            default=False,
            help="only with propagate = true: its adapter adds the header to what its calls send",
            writers=(PACK,),
        ),
        Setting("adapter", TEXT, checks.adapter, default="", help="module that patches what setattr cannot", writers=(PACK,)),
    ),
    *_table(
        "hook",
        Setting("module", TEXT, checks.module, default=None, help="the module with the calls, as it is imported"),
        Setting("calls", TEXTS, checks.calls, default=None, help="functions with which callbacks are registered"),
        Setting(
            "callable",
            ONE_OR_MORE,
            checks.callbacks,
            default="arg0",
            help="where these have the callback or callbacks: an argument, or what else is allowed",
        ),
        Setting(
            "methods", TEXTS, checks.methods, default=[], help="the callback is an object, and these are its methods, with globs"
        ),
        Setting(
            "base",
            ONE_OR_MORE,
            checks.bases,
            default="",
            help='class or classes whose own methods are no callbacks, "framework.plugin:Plugin"',
        ),
        Setting(
            "skip",
            TEXTS,
            checks.packages_or_callables,
            default=[],
            help='packages, or single callables, "shop.plugins:on_save", that are left alone',
        ),
        Setting("unregister", TEXTS, checks.names, default=[], help="functions that forget callbacks, or look them up"),
        Setting(
            "since",
            TEXTS,
            checks.names,
            default=[],
            help="functions before whose first call there is no callback, and nothing is put in place",
        ),
        _EXPECTED,
        Setting("span", TEXT, checks.span, default="{callable}", help='the name in the report, "{event}: {callable}"'),
        Setting("kind", TEXT, checks.kind, default="hook", help="what the time is spent on"),
    ),
    *_table(
        "packs",
        Setting(
            "enable",
            TEXTS,
            checks.anything,
            default=[],
            help='packs that are on although off by themselves, or by "*" in disable',
        ),
        Setting("disable", TEXTS, checks.anything, default=[], help='packs to leave out, "*" for all'),
        writers=(USER,),
    ),
    *_table(
        "service",
        Setting(
            "name",
            TEXT,
            checks.service,
            default="",
            help="all runs of one name belong together, and their minutes are kept; empty: the run stands for itself",
        ),
        Setting("version", TEXT, checks.anything, default="", help="what is deployed: stands beside the start in its history"),
        writers=(USER,),
    ),
    *_table(
        "budget",
        *(Setting(key, TEXT, checks.duration, default="", help=f'{key} of its time, "60ms"') for key in DURATIONS),
        Setting("computing", TEXT, checks.duration, default="", help='CPU time of a transaction, on average, "20ms"'),
        *(
            Setting(f"{key}_vs_base", TEXT, checks.growth, default="", help=f'{key} over that of --against, "+10%"')
            for key in _OVER_BASE
        ),
        Setting("calls", NUMBER, checks.amount, default="", help="calls in the whole run"),
        Setting(
            "calls_per_request", NUMBER, checks.amount, default="", help="of a call: how often in one transaction, on average"
        ),
        *(
            Setting(f"{kind}_per_request", NUMBER, checks.amount, default="", help=f"{kind} calls in one transaction, on average")
            for kind in KINDS
            if kind in CLIENT_KINDS
        ),
        Setting(
            "max_repetition", NUMBER, checks.repetition, default="", help="the same call, one after the other in one transaction"
        ),
        Setting("errors", TEXT, checks.part, default="", help='share of calls that fail, "1%"'),
        Setting("overhead", TEXT, checks.part, default="", help="share of the whole run that hookmon itself took"),
        writers=(USER,),
    ),
    *_table(
        "export",
        Setting(
            "filter",
            TEXT,
            exports.function,
            default="",
            help='"module:function" that sees each row before it is exported, and may drop it or change its attributes',
        ),
        writers=(USER,),
    ),
    *_table(
        "export.otlp",
        Setting(
            "endpoint",
            TEXT,
            exports.endpoint,
            default="",
            help="URL to send to, /v1/metrics where it has no path; empty: that of OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        Setting("headers", TEXTS, exports.headers, default=[], help='"name=value"; empty: OTEL_EXPORTER_OTLP_HEADERS'),
        Setting("interval", NUMBER, exports.interval, default=0, help="seconds between two states; 0: 15, or the variable's"),
        Setting("service", TEXT, checks.anything, default="", help="service.name, after OTEL_SERVICE_NAME; empty: the project"),
        Setting(
            "traces",
            FLAG,
            checks.anything,
            default=True,
            help="send the slowest and first failed requests; else OTEL_TRACES_EXPORTER",
        ),
        Setting(
            "traces_endpoint",
            TEXT,
            exports.endpoint,
            default="",
            help="URL to send traces to, /v1/traces where it has no path; empty: beside the metrics",
        ),
        Setting("window", NUMBER, exports.window, default=0, help="seconds, each with its slowest and first failed; 0: 60"),
        writers=(USER,),
    ),
    *_table(
        "export.prometheus",
        Setting(
            "listen", TEXT, exports.listen, default="127.0.0.1:9464", help="address to be scraped at; loopback without a host"
        ),
        Setting(
            "interval",
            NUMBER,
            exports.interval,
            default=0,
            help="seconds between two states; what is scraped is up to two of them old; 0: 5",
        ),
        Setting("service", TEXT, checks.anything, default="", help="service.name, after OTEL_SERVICE_NAME; empty: the project"),
        writers=(USER,),
    ),
    *_table(
        "export.stream",
        Setting("url", TEXT, exports.broker, default="", help="Redis, or what speaks as it does: redis://HOST:PORT/DB"),
        Setting("key", TEXT, checks.anything, default="hookmon", help="the stream"),
        Setting("most", NUMBER, exports.entries, default=10_000, help="entries that it is capped at, roughly"),
        Setting("interval", NUMBER, exports.interval, default=0, help="seconds between two states; 0: 15, or the variable's"),
        Setting("service", TEXT, checks.anything, default="", help="service.name, after OTEL_SERVICE_NAME; empty: the project"),
        writers=(USER,),
    ),
    *_table(
        "pack",
        Setting("library", TEXT, checks.anything, default="", help="what pip calls it; empty: the standard library"),
        Setting("tested", TEXTS, checks.anything, default=[], help="versions of the library that the pack was tested with"),
        Setting("against", TEXT, checks.against, default="", help='what the tests had: "server" (a real one), "stub", "library"'),
        Setting("tests", TEXT, checks.anything, default="", help="the file in tests/packs that tests it"),
        Setting("database", TEXT, checks.anything, default="", help="db.system.name of its sql and cache calls"),
        Setting("on", FLAG, checks.anything, default=True, help="on by itself; false: only when --pack or enable names it"),
        Setting("description", TEXT, checks.anything, default=None, help="what the pack makes visible"),
        writers=(PACK,),
    ),
)

REPEATED_TABLES = frozenset(("watch", "hook"))
"""Tables written as `[[…]]`; all others stand at most once."""

NAMED_TABLES = frozenset(("budget",))
"""Tables written as `[budget."NAME"]`, one for each name."""


@cache
def settings_of(table: str, writer: str) -> Mapping[str, Setting]:
    """Return the settings that `writer` may use in `table`, by key."""
    return {setting.key: setting for setting in SETTINGS if setting.table == table and writer in setting.writers}


@cache
def tables_of(writer: str) -> tuple[str, ...]:
    """Return the names of the tables in which `writer` may set something, in the order of the table of settings."""
    return tuple(dict.fromkeys(setting.table for setting in SETTINGS if writer in setting.writers and setting.table != ROOT))
