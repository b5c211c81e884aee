"""`hookmon suggest`: the few functions that are worth watching, as [[watch]] tables; with --write in the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _options, _output, _runs
from hookmon.core.errors import HookmonError

if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.report.suggest import Suggested, Suggestion


@click.command(
    "suggest",
    short_help="Say which functions to watch, from a run or by running a program.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--write", is_flag=True, help="Add the watches to hookmon.toml, or to the [tool.hookmon] that there is.")
@_output.as_json
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[RUN|COMMAND…]")
def command(write: bool, as_json: bool, words: tuple[str, ...]) -> None:
    """Print the watches that explain nine tenths of the time, as [[watch]] tables.

    RUN is a run with --own or --samples: a number, a name, the path of a run file, or "last" for the newest, which is also what
    nothing means. A COMMAND is run with --own first. Shares are of the time in the program's own functions and what they call.
    """
    from hookmon.report.suggest import suggest

    run = _find(words)
    suggestion = suggest(run)
    if suggestion is None or not suggestion.functions:
        from hookmon.report.own import is_own_run

        if is_own_run(run) and any(run.places.get(node.target) and node.calls for node in run.nodes):
            why = "needs no watches: packs count nearly all of its time, and no function of its own holds much of the rest"
            raise HookmonError(f"run {run.id} {why}", code="no-suggestion")
        why = "called no function of the program's own" if is_own_run(run) else "watched some functions only"
        raise HookmonError(f"run {run.id} {why}; hookmon suggest COMMAND watches all of a program's own", code="no-suggestion")
    path = _write(suggestion) if write else None
    if as_json:
        from hookmon.core.record import asdict

        _output.print_json({"run": run.id, "path": str(path) if path else None, **asdict(suggestion)})
        return
    click.echo(_text(suggestion, run))
    if path:
        click.echo(f"# {path}: written", err=True)


def _find(words: tuple[str, ...]) -> Run:
    """Return the run that is meant, which may have to be made."""
    if len(words) < 2:
        try:
            return _runs.find(_runs.store_here(), words[0] if words else "last")
        except HookmonError:
            from shutil import which

            if not words or which(words[0]) is None:
                raise
    from hookmon.cli._session import Session
    from hookmon.config.load import load

    configuration: dict[str, Any] = {"own": True}
    _, run = Session(list(words), "", load(Path.cwd(), **configuration), _options.words(configuration)).run()
    if run is None:
        raise HookmonError("nothing could be recorded, so there is nothing to suggest", code="no-suggestion")
    return run


def _text(suggestion: Suggestion, run: Run) -> str:
    """Return the tables as they would stand in hookmon.toml, with what is known of each function as comments."""
    from hookmon.report.texts import count, inert, percent

    what = "samples" if suggestion.is_sampled else "time in own functions"
    lines = [f"# {percent(suggestion.explained)} of the {what} of run {run.id}"]
    for module, functions in _by_module(suggestion).items():
        lines += ["", "[[watch]]", f"module = {_quote(module)}", "calls = ["]
        for row in functions:
            calls = f"{count(row.calls, 'call')}, " if row.calls else ""
            about = f"{percent(row.self_share)} itself, {percent(row.total_share)} with what it calls, {calls}{row.location}"
            lines.append(f"  {_quote(row.call)},  # {inert(about)}")
        lines.append("]")
    return "\n".join(inert(line) for line in lines)


def _quote(text: str) -> str:
    import json

    return json.dumps(text)


def _by_module(suggestion: Suggestion) -> dict[str, list[Suggested]]:
    found: dict[str, list[Suggested]] = {}
    for row in suggestion.functions:
        found.setdefault(row.module, []).append(row)
    return found


def _write(suggestion: Suggestion) -> Path:
    """Add those watches to the configuration that are not there yet; return its path. The rest of the file stays."""
    import tomlkit

    from hookmon.config.find import HOOKMON_TOML, PYPROJECT, find_config
    from hookmon.config.load import load

    load(Path.cwd())  # raises for a file with mistakes
    path = find_config(Path.cwd()) or Path.cwd() / HOOKMON_TOML
    try:
        text = path.read_text("utf-8-sig") if path.exists() else ""
    except OSError as error:
        raise _output.write_error(path, "the watches", error) from error
    document = tomlkit.parse(text)
    root: Any = document["tool"]["hookmon"] if path.name == PYPROJECT else document
    tables = root.get("watch", [])
    there = {(str(table.get("module", "")), str(call)) for table in tables for call in table.get("calls", ())}
    if "watch" not in root:
        root["watch"] = tomlkit.aot()
    for module, functions in _by_module(suggestion).items():
        calls = [row.call for row in functions if (module, row.call) not in there]
        if not calls:
            continue
        table = tomlkit.table()
        table["module"] = module
        table["calls"] = calls
        root["watch"].append(table)
    if not root["watch"]:
        del root["watch"]
    try:
        path.write_text(tomlkit.dumps(document), "utf-8")
    except OSError as error:
        raise _output.write_error(path, "the watches", error) from error
    return path
