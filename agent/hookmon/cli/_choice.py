"""A parameter that is one of several words."""

from __future__ import annotations

from typing import Any

import click


class Choice(click.Choice):  # type: ignore[type-arg]  # no generic class before click 8.2
    """One of several words. For another one it names the nearest, as click does for options."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word. Raises BadParameter where it is none of them."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            from difflib import get_close_matches

            near = get_close_matches(str(value).lower(), self.choices, n=1)
            if not near:
                raise
            self.fail(f"{error.message} Did you mean {near[0]!r}?", param, ctx)
