"""docs/reference.md, made from the code: `python -m hookmon.cli._reference > docs/reference.md`. A test compares them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import click

from hookmon.cli._verbs import hookmon
from hookmon.config.settings import NAMED_TABLES, REPEATED_TABLES, ROOT, SETTINGS, USER
from hookmon.core.span import FILTERS
from hookmon.report import FORMATS, formats
from hookmon.report.codes import CODES

_HEAD = """\
# Reference

Made from the code by `python -m hookmon.cli._reference > docs/reference.md`; do not edit it by hand. How to begin is in
[tutorial.md](tutorial.md), what the figures mean and what cannot be seen in [limits.md](limits.md), every key of the JSON report
in [json.md](json.md).
"""

_ENVIRONMENT = """\
| variable | does |
|---|---|
| `HOOKMON_DISABLE=1` | the program runs bare; hookmon only looks on |
| `HOOKMON=1` | where `hookmon enable` was: the program is watched without `hookmon run` |
| `HOOKMON_WAIT` | how many seconds such a program waits for its plan, 1.5 by default |
| `HOOKMON_ENGINE=pure` | leaves the compiled engine aside |
| `NO_COLOR`, `FORCE_COLOR`, `TERM=dumb` | colours of all screens, `NO_COLOR` first |
| `COLUMNS` | how wide a screen is, from 40 to 200 |
| `HOOKMON_FOLDER` | one folder for all files of hookmon, as a volume of containers: of a run while it lasts, and what is kept |
| `XDG_STATE_HOME` | where runs are kept when the project cannot be written, or `HOOKMON_FOLDER` is set |
| `XDG_CACHE_HOME` | where the measured cost of a call is remembered |
| `TMPDIR`, `XDG_RUNTIME_DIR` | where the files of a run are while it lasts, when `/dev/shm` has no 256 MiB left |

`HOOKMON_RUN` and `HOOKMON_AGENT` are hookmon's own: with `PYTHONPATH` they bring it into child processes.
`HOOKMON_TRACER` says who may read the program for samples, where Linux has to be told (`kernel.yama.ptrace_scope` is 1).
"""


def reference() -> str:
    """Return the whole document."""
    parts = [_HEAD, *_verbs(), *_formats(), *_settings(), *_filters(), "## Environment\n", _ENVIRONMENT, *_codes()]
    return "\n".join(parts)


def _verbs() -> Iterator[str]:
    yield "## Verbs\n"
    context = click.Context(hookmon, info_name="hookmon")
    for name in hookmon.list_commands(context):
        verb = hookmon.get_command(context, name)
        if verb is not None:
            yield from _verb(verb, f"hookmon {name}", context)


def _verb(verb: click.Command, title: str, above: click.Context) -> Iterator[str]:
    context = click.Context(verb, info_name=title.rpartition(" ")[2], parent=above)
    usage = " ".join(piece for piece in verb.collect_usage_pieces(context))
    yield f"### `{title}`\n"
    yield f"    {title} {usage}\n"
    yield _prose(verb.help or "") + "\n"
    rows = [_option(parameter) for parameter in verb.params if isinstance(parameter, click.Option)]
    if rows:
        yield "| option | does |\n|---|---|\n" + "\n".join(rows) + "\n"
    if isinstance(verb, click.Group):
        for name in verb.list_commands(context):
            below = verb.get_command(context, name)
            if below is not None:
                yield from _verb(below, f"{title} {name}", context)


def _option(option: click.Option) -> str:
    name = ", ".join(f"`{spelling}`" for spelling in option.opts)
    if isinstance(option.type, click.Choice):
        name += " " + ", ".join(f"`{choice}`" for choice in option.type.choices)
    elif not option.is_flag:
        name += f" {option.metavar or option.type.name.upper()}"
    help_text = (option.help or "") + (" (may be given several times)" if option.multiple else "")
    return f"| {name} | {_cell(help_text)} |"


def _formats() -> Iterator[str]:
    yield "## Formats\n"
    yield "Of `hookmon report --format NAME` and `hookmon run --format NAME`.\n"
    rows = []
    for name in FORMATS:
        spec = find_spec(f"{formats.__name__}.{name}")
        if spec is not None and spec.origin is not None:
            with open(spec.origin, encoding="utf-8") as file:
                text = ast.get_docstring(ast.parse(file.read())) or ""
            rows.append(f"| `{name}` | {_cell(_prose(text.partition(chr(10) * 2)[0]))} |")
    yield "| name | is |\n|---|---|\n" + "\n".join(rows) + "\n"


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    yield "Of `hookmon.toml`, or of `[tool.hookmon]` in `pyproject.toml`. `hookmon config --schema` has them for editors.\n"
    rows = []
    for setting in SETTINGS:
        if USER not in setting.writers:
            continue
        default = "needed" if setting.default is None else f"`{_toml(setting.default)}`"
        if setting.table == ROOT:
            table = ""
        elif setting.table in NAMED_TABLES:
            table, default = f'`[{setting.table}."NAME"]`', "no limit"
        else:
            table = f"`[[{setting.table}]]`" if setting.table in REPEATED_TABLES else f"`[{setting.table}]`"
        rows.append(f"| {table} | `{setting.key}` | {setting.type} | {default} | {_cell(setting.help)} |")
    yield "| table | key | type | default | means |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _filters() -> Iterator[str]:
    yield "## Filters\n"
    yield "Of the fields of a `span` and other templates, `{url|host}`. What a filter is not for is `?`, or the next field.\n"
    rows = [f"| `{name}` | {makes} |" for name, makes in FILTERS.items()]
    yield "| filter | makes of a value |\n|---|---|\n" + "\n".join(rows) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _codes() -> Iterator[str]:
    yield "## Codes\n"
    yield "The word in brackets at the end of an error, or before the colon of a blind spot; `hookmon help CODE` shows one.\n"
    for group in dict.fromkeys(code.group for code in CODES.values()):
        rows = [
            f"| `{code.name}` | {_cell(code.cause)} | {_cell(code.remedy)} |" for code in CODES.values() if code.group == group
        ]
        yield f"### {group[0].upper()}{group[1:]}\n"
        yield "| code | what happened | what to do |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _prose(text: str) -> str:
    """Return paragraphs with each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    return re.sub(r"([|<>*])", r"\\\1", text)


if __name__ == "__main__":
    sys.stdout.write(reference())
