"""Writes the bundle: what starts a program, compiled into one file, which `_own_modules` reads.

In: the sources. Out: a file in `__pycache__` beside what Python compiles of them, under the same conditions. Code in it has no
annotations, docstrings and imports for type checkers: nobody asks the launcher for them, and reading them is a third of reading
all of it. Runs in the launcher.
"""

from __future__ import annotations

import ast
import marshal
import os
import sys
import time
from contextlib import suppress
from importlib.util import MAGIC_NUMBER, find_spec
from typing import TYPE_CHECKING

from hookmon.cli._own_modules import bundle_of, place, state_of

if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

MODULES = (
    *("hookmon.collector", "hookmon.core", "hookmon.core.layout", "hookmon.collector.new_folder", "hookmon.collector.where"),
    *("hookmon.core.consulted", "hookmon.cli._prepared", "hookmon.cli._words", "hookmon.core.arguments"),
    *("hookmon.collector.first_looks", "hookmon.collector.signals", "hookmon.collector.launch"),
    *("hookmon.collector.short_run", "hookmon.core.plan", "hookmon.cli._brief"),
)
"""What `cli/_brief` imports, each behind all that it needs itself."""

_SETTLED_NS = 2_000_000_000
"""A source that is as old as this is seen to change: file systems that know seconds only have other times then."""


def keep() -> None:
    """Write the bundle where it is to be had: in a folder that may be written to, of sources that are not being edited."""
    folder, tail = place()
    if not folder or sys.dont_write_bytecode:
        return
    modules = []
    with suppress(OSError, SyntaxError, ValueError):
        for name in MODULES:
            spec = find_spec(name)
            if spec is None or spec.origin is None or not spec.origin.startswith(folder):
                return
            state = state_of(spec.origin)
            code = compile_lean(spec.origin)
            if state_of(spec.origin) != state or time.time_ns() - max(state[:2]) < _SETTLED_NS:
                return
            modules.append((name, spec.origin, state, code))
        _replace(bundle_of(folder, tail), MAGIC_NUMBER + marshal.dumps(modules))


def compile_lean(path: str) -> CodeType:
    """Return the code of a source without what only readers want. Raises OSError, SyntaxError, ValueError."""
    with open(path, "rb") as file:
        tree = _Lean().visit(ast.parse(file.read(), path))
    code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
    return code


class _Lean(ast.NodeTransformer):
    """Leaves out annotations, with them the line that has them as text, docstrings, and what stands under TYPE_CHECKING."""

    def visit(self, node: ast.AST) -> Any:
        """Visit a node; what has a body loses its docstring, and keeps a `pass` where nothing is left."""
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        visited = super().visit(node)
        if isinstance(visited, ast.ClassDef | ast.FunctionDef) and not visited.body:
            visited.body = [ast.Pass()]
        return visited

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Leave out the annotations that are text. Raises ValueError for another feature of the future: nobody wants one yet."""
        if node.module == "__future__":
            if [alias.name for alias in node.names] != ["annotations"]:
                raise ValueError("another feature of the future")
            return None
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Leave out imports for type checkers."""
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse
        return None if is_for_types else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Leave out the annotation of a parameter."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Leave out the annotation of what is returned."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Make it the assignment that it is, if it is one."""
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)


def _replace(path: str, content: bytes) -> None:
    """Put a file in the place of another at once. Raises OSError, and leaves nothing half written."""
    with suppress(OSError), open(path, "rb") as file:
        if file.read() == content:
            return
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "xb") as file:
            file.write(content)
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            os.unlink(fresh)
        raise
