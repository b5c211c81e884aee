"""`hookmon completion`: a script with which a shell completes verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from hookmon.cli._choice import Choice

_WHERE = {
    "bash": "hookmon completion bash > ~/.local/share/bash-completion/completions/hookmon",
    "zsh": "hookmon completion zsh > DIR/_hookmon, where DIR is in $fpath before compinit runs",
    "fish": "hookmon completion fish > ~/.config/fish/completions/hookmon.fish",
}


@click.command(
    "completion",
    short_help="Print a script for completion in a shell.",
    epilog="\b\n" + "\n".join(f"{shell}: {where}" for shell, where in _WHERE.items()),
)
@click.argument("shell", type=Choice(list(_WHERE)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that makes SHELL complete verbs, options and formats of hookmon."""
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(script(ctx.find_root().command, {}, "hookmon", "_HOOKMON_COMPLETE").source())
