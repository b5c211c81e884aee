"""Conditions of calls, `when = {arg0 = "started"}`: which calls of a function a watch is about.

In: pairs of a field and the text that it is to have, and the function. Out: a function of (args, kwargs) that runs no code of the
program. A text is itself, a member of an enumeration its name, a number or a truth value what Python writes for it; nothing else
has a text. Runs in the watched process, at each call of such a function.
"""

from __future__ import annotations

from hookmon.probe.base.introspect import MISSING, attribute
from hookmon.probe.naming.names import root_reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from hookmon.probe.base.shapes import Args, Function, KwArgs


def condition(pairs: Sequence[tuple[str, str]], function: Function, is_method: bool) -> Callable[[Args, KwArgs], bool]:
    """Return a function that says whether the fields of a call have these texts. `is_method` is as for `span_finder`."""
    wanted = []
    for path, text in pairs:
        root, *names = path.split(".")
        wanted.append((root_reader(root, function, is_method), names, text))

    def applies(args: Args, kwargs: KwArgs) -> bool:
        for read, names, text in wanted:
            value = read(args, kwargs)
            for name in names:
                value = attribute(value, name)
            if _text_of(value) != text:
                return False
        return True

    return applies


def _text_of(value: Any) -> str | None:
    """Return the text that a value has, None where it has none."""
    if value is MISSING or value is None:
        return None
    if type(value) is str:
        return value
    if type(value) in (bool, int):
        return str(value)
    name = attribute(value, "_name_")  # of a member of an enumeration, which may be a text or a number, too
    if type(name) is str:
        return name
    return str.__str__(value) if issubclass(type(value), str) else None
