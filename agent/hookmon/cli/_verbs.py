"""The command line: a verb is a module in this folder that exposes `command`; it is imported when it is used.

`hookmon --version` and `hookmon --help` import neither rich nor psutil: verbs import what they need when they run. A module
whose name begins with an underscore is no verb.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules

import click

from hookmon import __version__, cli


class _Verbs(click.Group):
    """A group whose commands are the modules of this folder."""

    _verbs: list[str] = []  # noqa: RUF012  # of the one group there is

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the verbs in the order of the alphabet."""
        if self._verbs:  # to find a verb click asks twice
            return self._verbs
        names = (module.name for module in iter_modules(cli.__path__))
        self._verbs = sorted(name.replace("_", "-") for name in names if name != "main" and not name.startswith("_"))
        return self._verbs

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb and return its command, None for a verb that does not exist."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{cli.__name__}.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb. Raises UsageError for a word that is none, with what may have been meant."""
        word = args[0]
        if not word.startswith("-") and self.get_command(ctx, word) is None:
            ctx.fail(f"No such command {word!r}.{_guess(word, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _guess(word: str, verbs: list[str]) -> str:
    from difflib import get_close_matches
    from shutil import which

    near = get_close_matches(word, verbs, n=1)
    if near:
        return f" Did you mean {near[0]}?"
    if which(word) or word.endswith(".py"):
        return f" Did you mean hookmon run {'python ' if word.endswith('.py') else ''}{word}?"
    return ""


@click.group(
    cls=_Verbs, invoke_without_command=True, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--version", is_flag=True, help="Show the version; with -v also what it runs on.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.pass_context
def hookmon(ctx: click.Context, version: bool, verbose: bool) -> None:
    """Show where a Python program's time goes, without a line of it being changed."""
    if version:
        _print_version(verbose)
        ctx.exit()
    if ctx.invoked_subcommand is None:
        raise click.UsageError("a verb is missing: try hookmon run COMMAND or hookmon --help")


def _print_version(verbose: bool) -> None:
    click.echo(f"hookmon {__version__}")
    if verbose:
        click.echo(f"python {sys.version.split()[0]} ({sys.implementation.name})")
        click.echo(f"wrapt {_version_of('wrapt')}")
        click.echo(_engine())


def _engine() -> str:
    from hookmon.collector.interpreter import engine_of
    from hookmon.core.errors import HookmonError

    try:
        name, why = engine_of([sys.executable])
    except HookmonError as error:
        return f"engine unknown ({error})"
    return f"engine {name} ({why})" if why else f"engine {name}"


def _version_of(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
