"""The options that choose a configuration: the same for every verb that has one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Read this file instead of hookmon.toml."),
    click.option("--no-config", is_flag=True, help="Read no configuration file."),
    click.option("--watch", multiple=True, metavar="MODULE:CALLS", help="Watch functions: shop.pricing:quote,Basket.total"),
    click.option("--own", is_flag=True, help="Watch every function of the program's own modules, and show where the time went."),
    click.option("--pack", multiple=True, metavar="NAME|FILE", help="Switch a pack on; a path reads that pack."),
    click.option("--no-pack", multiple=True, metavar="NAME", help="Switch a pack off; * is all of them."),
    click.option("--signal", multiple=True, metavar="NAME", help="Measure besides calls: gc, imports or loop."),
    click.option("--imports", is_flag=True, help="Time the import of every module, as --signal imports does."),
)


def configuration(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the parameters of `config.load`: config, no_config, watch, own, pack, no_pack, signal and imports."""
    for option in reversed(_OPTIONS):
        verb = option(verb)
    return verb


def refuse_option(first: str, verb: click.Command) -> None:
    """Raise NoSuchOption where what stands in the place of the command looks like an option, and is none of the verb's."""
    from difflib import get_close_matches
    from shutil import which

    if first.startswith("-") and len(first) > 1 and which(first) is None and "--" not in sys.argv[: sys.argv.index(first)]:
        name = first.partition("=")[0]
        known = [option for parameter in verb.params for option in parameter.opts if option.startswith("-")]
        raise click.NoSuchOption(name, possibilities=get_close_matches(name, known, cutoff=0.75), ctx=click.get_current_context())


def words(configuration: dict[str, Any]) -> list[str]:
    """Return the options that were given, as words of a command line."""
    found: list[str] = []
    for name, value in configuration.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            found.append(option)
        elif value:
            found += [word for one in (value if isinstance(value, tuple) else (value,)) for word in (option, str(one))]
    return found


def parse(words: list[str]) -> dict[str, Any]:
    """Return the configuration that words of a command line stand for: what `words` has made them of."""
    verb: Any = configuration(click.Command("run"))
    parsed: dict[str, Any] = dict(verb.make_context("run", list(words)).params)
    return parsed
