"""Imports of ours are done at once where Python would put them off: `-X lazy_imports=all`, CPython 3.15.

What a module of ours imports at its top would otherwise be imported at the first use of the name: in the midst of a watched
call, when the program may have changed its root or given up its rights, may be ending, or has a finder that sees it.
Runs in the watched process, and only where that mode is in force.

The mode itself is the program's, for all its threads. So a filter answers for the thread that is at work for us, and asks the
program's own filter for all others; it is there only as long as that work.
"""

try:  # where no import is put off
    import sys
    from _thread import get_ident
finally:
    pass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Filter = Callable[[str, str, Any], bool]


class Eager:
    """A stretch of time in which this thread puts no import off. It begins when this is made."""

    def __init__(self) -> None:
        own: Any = sys
        self._thread = get_ident()
        self._is_over = False
        self._before: Filter | None = own.get_lazy_imports_filter()
        _open.append(self)
        own.set_lazy_imports_filter(self)

    def __call__(self, importer: str, name: str, names: "Any" = None) -> bool:
        """Say whether an import may be put off."""
        if not self._is_over and get_ident() == self._thread:
            return False
        return self._before is None or self._before(importer, name, names)

    def end(self) -> None:
        """End it. Where another thread has put a filter on top, this one stays below and asks the one before it."""
        self._is_over = True
        if self in _open:  # another thread may have done it in a forked child
            _open.remove(self)
        own: Any = sys
        found = top = own.get_lazy_imports_filter()
        while isinstance(found, Eager) and found._is_over:
            found = found._before
        if found is not top:
            own.set_lazy_imports_filter(found)


_open: "list[Eager]" = []


def end_those_of_others() -> None:
    """End, in a forked child, what other threads have begun: they are not there, and their numbers are given anew."""
    for stretch in tuple(_open):
        if stretch._thread != get_ident():
            stretch.end()
