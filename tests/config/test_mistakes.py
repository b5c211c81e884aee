"""Every kind of mistake is told with its line, what is allowed and, where one is near, what was meant."""

from __future__ import annotations

import pytest

from hookmon.core.span import FILTERS

WATCH = '[[watch]]\nmodule = "shop"\n'  # two lines; what is tested stands on line 3

HOOK = '[[hook]]\nmodule = "shop"\ncalls = ["Events.on"]\n'

CALLS = '"name", "Class.name", "Class.*" (a glob only in the last part), "factory.<locals>.name"'
KINDS = "request, task, sql, cache, http, rpc, process, queue, template, hook, function"

TABLES = "watch, hook, packs, service, budget, export, max_overhead, redact, propagate, signals, samples"
BUDGET_KEYS = (
    "p50, p95, p99, max, mean, total, computing, p50_vs_base, p95_vs_base, mean_vs_base, calls, calls_per_request, "
    "sql_per_request, cache_per_request, http_per_request, rpc_per_request, process_per_request, queue_per_request, "
    "template_per_request, max_repetition, errors, overhead"
)
WATCH_KEYS = (
    "module, file, calls, until, span, kind, nested, entry, when, until_when, expected, entry_name, entry_status, entry_body, "
    "waits, part, via"
)

MODULES = '"shop.pricing", "shop.*" (the modules in a package), "shop.**" (it and all below), "__main__"'
FILES = '"dags/sales.py", "dags/*.py" (those in a folder), "dags/**/*.py" (and all below)'

MISTAKES = {
    "overhead without a percent sign": (
        'max_overhead = "3"\n',
        'hookmon.toml:1: "3" is no share; allowed: a percentage above 0 such as "3%", or "off"',
    ),
    "overhead that is a number": (
        "max_overhead = 3\n",
        "hookmon.toml:1: max_overhead is an integer, 3; allowed: a string",
    ),
    "unknown table": (
        '[[wach]]\nmodule = "shop"\n',
        f'hookmon.toml:1: there is no table or key "wach"; allowed: {TABLES}; did you mean "watch"?',
    ),
    "unknown key far from all": (
        "# one\n\nzzz = 1\n",
        f'hookmon.toml:3: there is no table or key "zzz"; allowed: {TABLES}',
    ),
    "unknown signal": (
        'signals = ["gc", "gcs"]\n',
        'hookmon.toml:1: signal "gcs" is unknown; allowed: gc, imports, loop; did you mean "gc"?',
    ),
    "unknown redaction": (
        'redact = "literal"\n',
        'hookmon.toml:1: redact "literal" is unknown; allowed: "off", "literals", "all"; did you mean "literals"?',
    ),
    "unknown key of a watch": (
        WATCH + 'cals = ["a"]\ncalls = ["a"]\n',
        f'hookmon.toml:3: there is no key "cals" in watch; allowed: {WATCH_KEYS}; did you mean "calls"?',
    ),
    "adapter outside a pack": (
        WATCH + 'adapter = "sqlite3"\ncalls = ["a"]\n',
        f'hookmon.toml:3: there is no key "adapter" in watch; allowed: {WATCH_KEYS}',
    ),
    "until that is no name": (
        WATCH + 'calls = ["a"]\nuntil = ["b()"]\n',
        f'hookmon.toml:4: call "b()" is not a name; allowed: {CALLS}; did you mean "b"?',
    ),
    "an end that is the beginning": (
        WATCH + 'calls = ["a", "b"]\nuntil = ["c", "b"]\n',
        'hookmon.toml:4: "b" is to begin what it ends; allowed: other functions than those in calls, or when and until_when that '
        "tell its calls apart",
    ),
    "a span from call to call that tells of a transaction": (
        WATCH + 'calls = ["a"]\nuntil = ["b"]\nentry_name = "{arg0}"\n',
        "hookmon.toml:4: until and entry_name stand in one table; allowed: one of both",
    ),
    "callable that is no place": (
        HOOK + 'callable = "the listener"\n',
        'hookmon.toml:4: callable "the listener" is no place of a callback; allowed: "parameter", "arg0", "*parameters", '
        '"decorated", "result", "self.attribute", "arg0.attribute", "module.NAME"',
    ),
    "one of several callables that is no place": (
        HOOK + 'callable = ["callback", "errback[]"]\n',
        'hookmon.toml:4: callable "errback[]" is no place of a callback; allowed: "parameter", "arg0", "*parameters", '
        '"decorated", "result", "self.attribute", "arg0.attribute", "module.NAME"; did you mean "errback"?',
    ),
    "a callable that stands alone, beside others": (
        HOOK + 'callable = ["listener", "result"]\n',
        'hookmon.toml:4: callable "result" stands beside others; allowed: it alone',
    ),
    "callables that are no texts": (
        HOOK + 'callable = ["listener", 1]\n',
        "hookmon.toml:4: callable has an integer in it, 1; allowed: a string or an array of strings",
    ),
    "callable that is a number": (
        HOOK + "callable = 1\n",
        "hookmon.toml:4: callable is an integer, 1; allowed: a string or an array of strings",
    ),
    "one of several bases without a module": (
        HOOK + 'base = ["frame:Plugin", "frame.more.Plugin"]\n',
        'hookmon.toml:4: base "frame.more.Plugin" is not a class with its module; allowed: "framework.plugin:Plugin"; '
        'did you mean "frame.more:Plugin"?',
    ),
    "an expected exception without a module": (
        WATCH + 'calls = ["a"]\nexpected = ["KeyError"]\n',
        'hookmon.toml:4: exception "KeyError" is not a class with its module; allowed: "framework.errors:Skip", '
        '"builtins:KeyError"; did you mean "builtins:KeyError"?',
    ),
    "a condition of a call without an end": (
        WATCH + 'calls = ["a"]\nwhen = {arg0 = "begun"}\n',
        "hookmon.toml:4: when stands without until; allowed: until, whose calls it tells apart",
    ),
    "a condition that is no argument": (
        WATCH + 'calls = ["a"]\nuntil = ["b"]\nwhen = {"arg0|upper" = "A"}\n',
        'hookmon.toml:5: "arg0|upper" is no argument of a call; allowed: "arg0", a parameter, "self.attribute", "arg0.attribute"',
    ),
    "a condition whose dots make tables": (
        WATCH + 'calls = ["a"]\nuntil = ["b"]\nuntil_when = {arg0.name = "A"}\n',
        'hookmon.toml:5: "arg0" is a table; allowed: a string, {arg0 = "started"}; did you mean "arg0.name" = …?',
    ),
    "the same calls of one function twice": (
        (WATCH + 'calls = ["a"]\nuntil = ["a"]\nwhen = {arg0 = "b"}\nuntil_when = {arg0 = "c"}\n') * 2,
        'hookmon.toml:9: "a when arg0 = b" of module "shop" is watched a second time, first at hookmon.toml:3; '
        "allowed: each target once",
    ),
    "method of a hook that is no name": (
        HOOK + 'methods = ["on_*", "on save"]\n',
        'hookmon.toml:4: method "on save" is not a name; allowed: "saved", "on_*"',
    ),
    "base without a module": (
        HOOK + 'base = "Plugin"\n',
        'hookmon.toml:4: base "Plugin" is not a class with its module; allowed: "framework.plugin:Plugin"',
    ),
    "what is skipped is no name": (
        HOOK + 'skip = ["shop", "shop/plugins"]\n',
        'hookmon.toml:4: "shop/plugins" is not a package or callable; allowed: "shop.plugins", "shop.plugins:on_save"',
    ),
    "unregister that is no name": (
        HOOK + 'unregister = ["off()"]\n',
        f'hookmon.toml:4: call "off()" is not a name; allowed: {CALLS}; did you mean "off"?',
    ),
    "key of a watch in a hook": (
        HOOK + "nested = true\n",
        'hookmon.toml:4: there is no key "nested" in hook; '
        "allowed: module, calls, callable, methods, base, skip, unregister, since, expected, span, kind; did you mean "
        '"unregister"?',
    ),
    "a registration function twice": (
        HOOK + HOOK,
        'hookmon.toml:6: "Events.on" of module "shop" is watched a second time, first at hookmon.toml:3; '
        "allowed: each target once",
    ),
    "unknown key of packs": (
        '[packs]\ndisabled = ["redis"]\n',
        'hookmon.toml:2: there is no key "disabled" in packs; allowed: enable, disable; did you mean "disable"?',
    ),
    "unknown key of a budget": (
        '[budget."GET /"]\np59 = "60ms"\n',
        f'hookmon.toml:2: there is no key "p59" in budget; allowed: {BUDGET_KEYS}; did you mean "p99"?',
    ),
    "a duration without a unit": (
        '[budget."GET /"]\np95 = "60"\n',
        'hookmon.toml:2: "60" is no duration; allowed: a number with ns, us, ms, s or min, "60ms"',
    ),
    "a duration as a number": (
        '[budget."GET /"]\np95 = 60\n',
        "hookmon.toml:2: p95 is an integer, 60; allowed: a string",
    ),
    "a number as a string": (
        '[budget."GET /"]\nsql_per_request = "5"\n',
        'hookmon.toml:2: sql_per_request is a string, "5"; allowed: a number',
    ),
    "a flag where a number belongs": (
        "[budget.a]\ncalls = true\n",
        "hookmon.toml:2: calls is a boolean, true; allowed: a number",
    ),
    "fewer calls than none": (
        "[budget.a]\ncalls = -1\n",
        "hookmon.toml:2: -1 is no number of calls; allowed: a number from 0 on",
    ),
    "calls without end": (
        "[budget.a]\ncalls = inf\n",
        "hookmon.toml:2: inf is no number of calls; allowed: a number from 0 on",
    ),
    "repetitions that are not counted": (
        "[budget.a]\nmax_repetition = 3\n",
        "hookmon.toml:2: max_repetition 3 cannot be checked; allowed: a number from 4 on: fewer than five are not counted",
    ),
    "a growth without its sign": (
        '[budget.a]\np95_vs_base = "10%"\n',
        'hookmon.toml:2: "10%" is no growth; allowed: a percentage with its sign, "+10%"; did you mean "+10%"?',
    ),
    "more errors than calls": (
        '[budget.a]\nerrors = "101%"\n',
        'hookmon.toml:2: "101%" is no share; allowed: a percentage from 0 to 100, "1%"',
    ),
    "a budget without a name": (
        '[budget]\np95 = "60ms"\n',
        'hookmon.toml:2: budget "p95" is a string; allowed: tables that begin with [budget."NAME"]',
    ),
    "budgets as an array": (
        '[[budget]]\np95 = "60ms"\n',
        'hookmon.toml:1: budget is an array; allowed: tables that begin with [budget."NAME"]; did you mean [budget."NAME"]?',
    ),
    "watch as a single table": (
        '[watch]\nmodule = "shop"\ncalls = ["a"]\n',
        "hookmon.toml:1: watch is a table; allowed: tables that begin with [[watch]]; did you mean [[watch]]?",
    ),
    "watch as a value": (
        "watch = 3\n",
        "hookmon.toml:1: watch is an integer; allowed: tables that begin with [[watch]]",
    ),
    "watch as an array of values": (
        'watch = [\n  "shop:quote",\n]\n',
        "hookmon.toml:2: watch is a string; allowed: tables that begin with [[watch]]",
    ),
    "packs as an array of tables": (
        "[[packs]]\n",
        "hookmon.toml:1: packs is an array; allowed: tables that begin with [packs]; did you mean [packs]?",
    ),
    "calls as a string": (
        WATCH + 'calls = "quote"\n',
        'hookmon.toml:3: calls is a string, "quote"; allowed: an array of strings; did you mean ["quote"]?',
    ),
    "a number among the calls": (
        WATCH + 'calls = [\n  "a",\n  3,\n]\n',
        "hookmon.toml:5: calls has an integer in it, 3; allowed: an array of strings",
    ),
    "kind of a wrong type": (
        WATCH + 'kind = 1979-05-27\ncalls = ["a"]\n',
        "hookmon.toml:3: kind is a date, 1979-05-27; allowed: a string",
    ),
    "nested as a string": (
        WATCH + 'nested = "True"\ncalls = ["a"]\n',
        'hookmon.toml:3: nested is a string, "True"; allowed: true or false; did you mean "true"?',
    ),
    "span as a boolean": (
        WATCH + 'span = false\ncalls = ["a"]\n',
        "hookmon.toml:3: span is a boolean, false; allowed: a string",
    ),
    "no module": (
        '\n[[watch]]\ncalls = ["a"]\n',
        'hookmon.toml:2: there is no key "module" in this watch; allowed: watch with module or file and calls',
    ),
    "no calls": (
        WATCH,
        'hookmon.toml:1: there is no key "calls" in this watch; allowed: watch with module or file and calls',
    ),
    "empty calls": (
        WATCH + "calls = []\n",
        f"hookmon.toml:3: calls is empty; allowed: one or more of {CALLS}",
    ),
    "empty call": (
        WATCH + 'calls = [""]\n',
        f'hookmon.toml:3: call "" is not a name; allowed: {CALLS}',
    ),
    "call with parentheses": (
        WATCH + 'calls = ["quote()"]\n',
        f'hookmon.toml:3: call "quote()" is not a name; allowed: {CALLS}; did you mean "quote"?',
    ),
    "call with its module": (
        WATCH + 'calls = ["shop:Basket.total"]\n',
        f'hookmon.toml:3: call "shop:Basket.total" is not a name; allowed: {CALLS}; did you mean "Basket.total"?',
    ),
    "call that begins with a dot": (
        WATCH + 'calls = [".total"]\n',
        f'hookmon.toml:3: call ".total" is not a name; allowed: {CALLS}',
    ),
    "glob on the class": (
        WATCH + 'calls = ["*.total"]\n',
        f'hookmon.toml:3: call "*.total" has a glob before its last part; allowed: {CALLS}',
    ),
    "bracket never closed": (
        WATCH + 'calls = ["Repo.get_[ab"]\n',
        f'hookmon.toml:3: call "Repo.get_[ab" has a bracket that belongs to no [set]; allowed: {CALLS}',
    ),
    "bracket never opened": (
        WATCH + 'calls = ["get_ab]"]\n',
        f'hookmon.toml:3: call "get_ab]" has a bracket that belongs to no [set]; allowed: {CALLS}',
    ),
    "glob that can match no name": (
        WATCH + 'calls = ["get-*"]\n',
        f'hookmon.toml:3: call "get-*" is not a name; allowed: {CALLS}',
    ),
    "empty module": (
        '[[watch]]\nmodule = ""\ncalls = ["a"]\n',
        'hookmon.toml:2: module "" is not a module name; allowed: a dotted name as in an import, "shop.pricing", or "__main__"',
    ),
    "a glob with a dot at its end": (
        '[[watch]]\nmodule = "app.*."\ncalls = ["a"]\n',
        f'hookmon.toml:2: module "app.*." is not a module name or a glob; allowed: {MODULES}; did you mean "app.*"?',
    ),
    "a glob of three stars": (
        '[[watch]]\nmodule = "app.***"\ncalls = ["a"]\n',
        f'hookmon.toml:2: module "app.***" is not a module name or a glob; allowed: {MODULES}; did you mean "app.**"?',
    ),
    "a glob as a path": (
        '[[watch]]\nmodule = "my-app/*.py"\ncalls = ["a"]\n',
        f'hookmon.toml:2: module "my-app/*.py" is not a module name or a glob; allowed: {MODULES}; did you mean "my_app.*"?',
    ),
    "two stars within a part": (
        '[[watch]]\nmodule = "app**"\ncalls = ["a"]\n',
        f'hookmon.toml:2: module "app**" is not a module name or a glob; allowed: {MODULES}',
    ),
    "a glob in a hook": (
        '[[hook]]\nmodule = "app.*"\ncalls = ["a"]\n',
        'hookmon.toml:2: module "app.*" is not a module name; allowed: a dotted name as in an import, '
        '"shop.pricing", or "__main__"',
    ),
    "module and file": (
        '[[watch]]\nmodule = "app"\nfile = "app.py"\ncalls = ["a"]\n',
        "hookmon.toml:3: module and file stand in one table; allowed: one of both",
    ),
    "a folder for a file": (
        '[[watch]]\nfile = "dags"\ncalls = ["a"]\n',
        f'hookmon.toml:2: file "dags" names no Python files; allowed: {FILES}; did you mean "dags/*.py"?',
    ),
    "a module for a file": (
        '[[watch]]\nfile = "shop.pricing"\ncalls = ["a"]\n',
        f'hookmon.toml:2: file "shop.pricing" names no Python files; allowed: {FILES}; did you mean module = "shop.pricing"?',
    ),
    "all below a folder": (
        '[[watch]]\nfile = "dags/**"\ncalls = ["a"]\n',
        f'hookmon.toml:2: file "dags/**" names no Python files; allowed: {FILES}; did you mean "dags/**/*.py"?',
    ),
    "two stars in the name of a file": (
        '[[watch]]\nfile = "dags/**.py"\ncalls = ["a"]\n',
        f'hookmon.toml:2: file "dags/**.py" has ** in a name; allowed: {FILES}; did you mean "dags/**/*.py"?',
    ),
    "a file that is empty": (
        '[[watch]]\nfile = ""\ncalls = ["a"]\n',
        'hookmon.toml:1: there is no key "module" in this watch; allowed: watch with module or file and calls',
    ),
    "a file twice": (
        '[[watch]]\nfile = "a.py"\ncalls = ["f"]\n[[watch]]\nfile = "a.py"\ncalls = ["f"]\n',
        'hookmon.toml:6: "f" of file "a.py" is watched a second time, first at hookmon.toml:3; allowed: each target once',
    ),
    "module as a file": (
        '[[watch]]\nmodule = "shop/pricing.py"\ncalls = ["a"]\n',
        'hookmon.toml:2: module "shop/pricing.py" is not a module name; allowed: a dotted name as in an import, '
        '"shop.pricing", or "__main__"; did you mean "shop.pricing"?',
    ),
    "unknown kind": (
        WATCH + 'kind = "SQL"\ncalls = ["a"]\n',
        f'hookmon.toml:3: kind "SQL" is unknown; allowed: {KINDS}; did you mean "sql"?',
    ),
    "unknown filter": (
        WATCH + 'span = "q {arg0|uper}"\ncalls = ["a"]\n',
        f"hookmon.toml:3: span \"q {{arg0|uper}}\": {{arg0|uper}}: there is no filter 'uper'; allowed: {', '.join(FILTERS)}",
    ),
    "span with an open brace": (
        WATCH + 'span = "q {arg0"\ncalls = ["a"]\n',
        'hookmon.toml:3: span "q {arg0": the brace at character 3 is never closed; write {{ for a brace',
    ),
    "the same call twice in one watch": (
        WATCH + 'calls = [\n  "a",\n  "b",\n  "a",\n]\n',
        'hookmon.toml:6: "a" of module "shop" is watched a second time, first at hookmon.toml:4; allowed: each target once',
    ),
    "the same call in two watches": (
        WATCH + 'calls = ["a"]\n' + WATCH + 'kind = "sql"\ncalls = ["b", "a"]\n',
        'hookmon.toml:7: "a" of module "shop" is watched a second time, first at hookmon.toml:3; allowed: each target once',
    ),
    "unknown pack": (
        '[packs]\ndisable = [\n  "redsi",\n]\n',
        'hookmon.toml:3: there is no pack "redsi"; allowed: a name that hookmon packs lists, or "*"; did you mean "redis"?',
    ),
    "pack enabled and disabled": (
        '[packs]\nenable = ["redis"]\ndisable = ["redis"]\n',
        'hookmon.toml:3: pack "redis" is turned off here and turned on at hookmon.toml:2; allowed: one of both',
    ),
    "a control character in a name": (
        '[[watch]]\nmodule = "a\\u001b[31m\\nb"\ncalls = ["a"]\n',
        'hookmon.toml:2: module "a\\x1b[31m\\nb" is not a module name; allowed: a dotted name as in an import, '
        '"shop.pricing", or "__main__"',
    ),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_line(folder, text, problem):
    """A mistake in the file gives one line: where, what was found, what is allowed, what was meant."""
    assert folder.problems(text) == [problem]


def test_all_mistakes_are_told_at_once_and_in_the_order_of_the_file(folder):
    """One pass finds the mistakes of all watches, a duplicate among them, and sorts them by line."""
    problems = folder.problems(
        """\
[[watch]]
module = "shop"
calls = ["a", "b*.c", "d"]
kind = "cach"

[[watch]]
calls = []

[packs]
disable = ["redsi"]

[[watch]]
module = "shop"
calls = ["d"]

[extra]
"""
    )
    assert [problem.partition(": ")[0] for problem in problems] == [f"hookmon.toml:{line}" for line in (3, 4, 6, 7, 10, 14, 16)]


@pytest.mark.parametrize(
    ("text", "line", "where"),
    [
        pytest.param('[[watch]]\nmodule = shop\ncalls = ["a"]\n', 2, "column 10", id="bare word"),
        pytest.param('[[watch]]\ncalls = ["a",\n', 2, "the end of the file", id="ends too early"),
        pytest.param('[packs]\n[[watch]]\nmodule = "a"\nmodule = "b"\n', 4, "column", id="key twice"),
    ],
)
def test_broken_toml_is_told_with_line_and_column(folder, text, line, where):
    """What is no TOML gives one problem with tomllib's words and position."""
    (problem,) = folder.problems(text)
    assert problem.startswith(f"hookmon.toml:{line}: this is not TOML: ")
    assert where in problem


def test_a_file_that_is_not_utf8_is_named_with_its_line(folder):
    """A byte that is not UTF-8 is shown with the line it stands on."""
    (folder.path / "hookmon.toml").write_bytes(b"# one\n# \xff\n")
    assert folder.problems() == ["hookmon.toml:2: byte 0xff is not UTF-8; allowed: UTF-8 text"]


def test_a_file_nested_beyond_reason_is_refused(folder):
    """Brackets without end are an error of the file, not a crash."""
    (problem,) = folder.problems("a = " + "[" * 100_000)
    assert problem.startswith("hookmon.toml")


def test_a_config_file_that_does_not_exist_is_named(folder):
    """--config with a missing file says so instead of searching for another one."""
    missing = folder.path / "other.toml"
    assert folder.problems(config=missing) == [f"{missing}: cannot be read (No such file or directory)"]


def test_config_and_no_config_exclude_each_other(folder):
    """Asking for a file and for none at once is refused."""
    file = folder.write("")
    assert folder.problems(config=file, no_config=True) == [
        "--no-config: --config names a file at the same time; allowed: one of both"
    ]


OPTION_MISTAKES = {
    "no colon": (
        {"watch": ["shop.pricing"]},
        '--watch "shop.pricing": there is no colon in "shop.pricing"; allowed: MODULE:CALL or MODULE:CALL,CALL',
    ),
    "no calls": ({"watch": ["shop:"]}, f'--watch "shop:": calls is empty; allowed: one or more of {CALLS}'),
    "empty call": ({"watch": ["shop:a,"]}, f'--watch "shop:a,": call "" is not a name; allowed: {CALLS}'),
    "bad module": (
        {"watch": ["my-shop:a"]},
        '--watch "my-shop:a": module "my-shop" is not a module name; allowed: a dotted name as in an import, '
        '"shop.pricing", or "__main__"; did you mean "my_shop"?',
    ),
    "twice in one option": (
        {"watch": ["shop:a,a"]},
        '--watch "shop:a,a": "a" of module "shop" is watched a second time, first at --watch "shop:a,a"; '
        "allowed: each target once",
    ),
    "unknown pack": (
        {"pack": ["htpx"]},
        '--pack htpx: there is no pack "htpx"; allowed: a name that hookmon packs lists; did you mean "httpx"?',
    ),
    "pack on and off": (
        {"pack": ["redis"], "no_pack": ["redis"]},
        '--no-pack redis: pack "redis" is turned off here and turned on at --pack redis; allowed: one of both',
    ),
}


@pytest.mark.parametrize(("options", "problem"), OPTION_MISTAKES.values(), ids=OPTION_MISTAKES)
def test_a_mistake_in_an_option_names_the_option(folder, options, problem):
    """A mistake on the command line has the option in the place of the file."""
    assert folder.problems(**options) == [problem]


def test_a_target_in_file_and_option_is_a_duplicate(folder):
    """The user's file and --watch may not name the same target."""
    problems = folder.problems('[[watch]]\nmodule = "shop"\ncalls = ["quote"]\n', watch=["shop:quote"])
    assert problems == [
        '--watch "shop:quote": "quote" of module "shop" is watched a second time, first at hookmon.toml:3; '
        "allowed: each target once"
    ]


def test_mistakes_of_file_and_options_come_together(folder):
    """Files and options are checked in the same pass."""
    problems = folder.problems("zzz = 1\n", watch=["x"], no_pack=["nothing"])
    assert [problem.partition(": ")[0] for problem in problems] == ["hookmon.toml:1", '--watch "x"', "--no-pack nothing"]
