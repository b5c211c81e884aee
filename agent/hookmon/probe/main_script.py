"""Watches functions and classes that are defined in the started script itself, from their first call.

In: the calls that `module = "__main__"` names. Out: the script's own code, whose functions are watched by their code. What is
more than timed (hooks, paired spans) gets one more decorator, closest to the definition, so that other decorators register what
it makes. Runs in the watched process, and only when asked for.

A script is not imported, so the finder cannot see it. But Python asks sys.path_hooks whether the script is an archive
(`pymain_get_importer` in main.c). A hook of ours says yes, and Python calls `runpy._run_module_as_main`. A stand-in for that runs
the script as Python would have. Modules (`-m`), archives and the children of multiprocessing's spawn come through the real runpy,
whose functions that find code are patched. A script that cannot be prepared, because of a syntax error say, is left to Python,
which reports that in its own words.

Tools that run a script as `__main__` compile it themselves; `runners` knows them.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, CodeType, ModuleType

from hookmon.probe import runners
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import FrameType, TracebackType
    from typing import Any

    from hookmon.probe.base.shapes import Function
    from hookmon.probe.patching.main_patcher import MainPatcher

    Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    Source = str | bytes | ast.Module | None

MAIN_NAMES = ("__main__", "__mp_main__")

saved: list[object] = []
"""Decorators that code refers to by their place here, where it may not hold them itself."""


class MainScript:
    """The started script of this process, and how it is to be decorated."""

    def __init__(self, patcher: MainPatcher) -> None:
        self._patcher = patcher

    def install(self) -> None:
        """Get ready for a script that is about to start."""
        script = sys.argv[0] if sys.argv else ""
        if script and script not in ("-", "-c", "-m"):
            import os

            if os.path.isfile(script):
                self._path = os.path.abspath(script)
                self._code = self._compile(lambda: read(script)[0], self._path, warn=True)
                if self._code is not None:  # a hook that says no cannot leave then: C goes by the length from before
                    sys.path_hooks.insert(0, self._claim)

    def patch_runner(self, module: ModuleType, name: str) -> None:
        """Let a module that runs scripts run decorated code."""
        runners.patch_runner(self, module, name)

    def patch_runpy(self, runpy: ModuleType) -> None:
        """Let runpy, or a copy of it, find decorated code for the main module."""
        get_details = runpy._get_module_details
        get_code = runpy._get_code_from_file

        def details(*args: object, **kwargs: object) -> tuple[str, ModuleSpec, CodeType]:
            is_for_main = _is_for_main(sys._getframe(1))
            try:
                name, spec, code = get_details(*args, **kwargs)
            except (SystemExit, runpy._Error):
                raise
            except BaseException as error:
                if is_for_main:
                    _hide_own_frames()
                drop_frame(error)
                raise
            if is_for_main:
                code = self._decorate_code(code, lambda: spec.loader.get_source(spec.name)) or code
                runners.patch_started(self, spec.name)
            return name, spec, code

        def code_from_file(*args: object, **kwargs: object) -> object:
            found = get_code(*args, **kwargs)
            code = found[0] if isinstance(found, tuple) else found  # a pair up to 3.12
            if _is_for_main(sys._getframe(1)):
                code = self._decorate_code(code, lambda: read(code.co_filename)[0]) or code
            return (code, *found[1:]) if isinstance(found, tuple) else code

        runpy._get_module_details = details  # type: ignore[attr-defined]
        runpy._get_code_from_file = code_from_file  # type: ignore[attr-defined]

    def _claim(self, path: str) -> ModuleType:
        """Be a path hook that accepts the script, once. ImportError means no."""
        code = self._code
        if path != self._path or code is None:
            raise ImportError
        sys.path_hooks.remove(self._claim)
        runpy = ModuleType("runpy")
        runpy._run_module_as_main = lambda *_: _run_script(code, path)  # type: ignore[attr-defined]
        sys.modules["runpy"] = runpy
        return runpy

    def watch_function(self, function: Function) -> Function:
        """Return what is to serve for a function that has been made in this process, of the script of another one."""
        return self._watch_function(function) or function

    @shielded(None)
    def _watch_function(self, function: Any) -> Function | None:
        is_of_script = function.__globals__.get("__name__") in MAIN_NAMES
        return self._patcher.watch_function(function) if is_of_script else None

    def make_compile(self, is_script: Callable[[str], bool], *, is_saved: bool = False) -> Function:
        """Return the `compile` for a tool. `is_script` says of a file name whether it is the script's.

        With `is_saved` the code holds nothing but what marshal knows.
        """

        def compile(source: Any, filename: object, mode: str, *more: object, **keywords: object) -> object:
            if len(more) < 2:
                keywords.setdefault("dont_inherit", True)  # those tools have no future statements, and we have
            builtin = vars(sys.modules["builtins"])["compile"]
            try:
                code = builtin(source, filename, mode, *more, **keywords)
            except BaseException as error:
                drop_frame(error)
                raise
            is_whole = mode == "exec" and type(code) is CodeType and type(builtin) is BuiltinFunctionType
            if is_whole and is_script(code.co_filename):
                flags: Any = more[0] if more else keywords.get("flags", 0)
                return self._decorate_code(code, lambda: source, flags, is_saved=is_saved) or code
            return code

        return hide_frames(compile)

    def decorate_inside(self, source: str | bytes, filename: str, mode: str) -> CodeType | None:
        """Return code that does what the text `exec(compile(source, filename, mode))` says, in as many frames, and decorated.

        None where there is nothing to decorate, or where that text has to fail.
        """
        code = self._compile(lambda: source, filename, warn=True) if mode == "exec" else None
        mark = "hookmon executes the script"
        return None if code is None else _replace_constants(compile(f"exec({mark!r})", "<string>", "exec"), {mark: code})

    def _decorate_code(
        self, code: CodeType, source: Callable[[], Source], flags: int = 0, *, is_saved: bool = False
    ) -> CodeType | None:
        return self._compile(source, code.co_filename, warn=False, flags=flags, is_saved=is_saved)

    @shielded(None)
    def _compile(
        self, source: Callable[[], Source], filename: str, *, warn: bool, flags: int = 0, is_saved: bool = False
    ) -> CodeType | None:
        """Return the decorated code of a script; None when nothing in it is wanted, or when it cannot be compiled.

        The compiler's warnings come once, as without us: from here with `warn`, else from Python's own compilation.
        """
        import ast
        import warnings

        content = source()
        if content is None:
            return None  # there is none: a frozen module, or a compiled file alone
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = copy_tree(content) if isinstance(content, ast.Module) else ast.parse(content, filename)
                definitions = _definitions(tree.body, ())
                decorators = self._mark(definitions, is_saved=is_saved)
                code = compile(tree, filename, "exec", flags, dont_inherit=True)
            marked = code if is_saved else _replace_constants(code, decorators) if decorators else code
            decorated = [name for name, definition in definitions if "." in name and definition.decorator_list]
            prepared, is_watched = (marked, False) if is_saved else self._patcher.prepare(marked, frozenset(decorated))
            self._patcher.note_defined([name for name, _ in definitions], filename)
            if not (decorators or is_watched):
                return None
            if warn and not isinstance(content, ast.Module):
                compile(content, filename, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError):
            return None  # an archive, a compiled file, or what Python is about to refuse in its own words
        return prepared

    def _mark(self, definitions: list[tuple[str, Definition]], *, is_saved: bool) -> dict[str, object]:
        """Add a mark to each definition that is to be decorated, as its innermost decorator; return the decorators by mark.

        With `is_saved` that are all that are wanted, and the mark is an expression that finds the decorator.
        """
        import ast

        decorators: dict[str, object] = {}
        for name, definition in definitions:
            if self._patcher.wants(name, is_all=is_saved) and not isinstance(definition, ast.ClassDef):
                mark = f"hookmon decorates {name} at {definition.lineno}"
                decorators[mark] = self._patcher.decorator(name, is_all=is_saved)
                node: ast.expr = ast.Constant(mark)
                if is_saved:
                    saved.append(decorators[mark])
                    node = ast.parse(f"__import__('sys').modules[{__name__!r}].saved[{len(saved) - 1}]", mode="eval").body
                for part in ast.walk(node):
                    ast.copy_location(part, definition)
                definition.decorator_list.append(node)
        return decorators


def _definitions(body: list[ast.stmt], outer: tuple[str, ...]) -> list[tuple[str, Definition]]:
    """Return (qualified name, node) of the functions and classes of a body, in order, through if, try, with and loops."""
    import ast

    found: list[tuple[str, Definition]] = []
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            path = (*outer, statement.name)
            found.append((".".join(path), statement))
            if isinstance(statement, ast.ClassDef):
                found += _definitions(statement.body, path)
        else:
            for part in ("body", "orelse", "finalbody"):
                found += _definitions(getattr(statement, part, None) or [], outer)
            for handler in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                found += _definitions(handler.body, outer)
    return found


def _replace_constants(code: CodeType, values: dict[str, object]) -> CodeType:
    """Replace marks among the constants by their decorators. So nothing is added to the script's namespace."""
    constants: list[object] = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            constants.append(_replace_constants(constant, values))
        else:
            constants.append(values.get(constant, constant) if type(constant) is str else constant)
    return code.replace(co_consts=tuple(constants))


def _run_script(code: CodeType, path: str) -> None:
    """Run the script in `__main__` as pymain_run_file does, and leave no trace of ours."""
    import os
    from _frozen_importlib_external import SourceFileLoader

    sys.modules.pop("runpy", None)
    sys.path_importer_cache.pop(path, None)
    if sys.path and sys.path[0] == path:
        if sys.flags.safe_path:
            del sys.path[0]
        else:
            sys.path[0] = os.path.dirname(os.path.realpath(path))
    space = vars(sys.modules["__main__"])
    space["__file__"] = path
    if sys.version_info < (3, 15):
        space["__cached__"] = None
    space["__loader__"] = SourceFileLoader("__main__", path)
    try:
        exec(code, space)
    except SystemExit:
        raise
    except BaseException:
        _hide_own_frames()
        raise
    finally:
        space.pop("__file__", None)
        space.pop("__cached__", None)


def _hide_own_frames() -> None:
    """Cut our frames off the traceback that Python is about to print, by whichever hook."""
    hook = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.excepthook = hook
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        error.__traceback__ = sys.last_traceback = trace
        while trace is not None and trace.tb_next is not None:
            if trace.tb_next.tb_frame.f_code.co_filename == __file__:
                trace.tb_next = trace.tb_next.tb_next
            else:
                trace = trace.tb_next
        hook(kind, error, error.__traceback__)

    sys.excepthook = excepthook


def copy_tree(tree: ast.Module) -> ast.Module:
    """Return a copy of a tree that belongs to the program, down to its definitions and what is around them."""
    import copy

    return copy.deepcopy(tree)


def _is_for_main(frame: FrameType) -> bool:
    """Say whether runpy is asked for the program, or for its copy in a child of multiprocessing."""
    if frame.f_code.co_name in ("_run_module_as_main", "_get_main_module_details") or frame.f_globals.get("__name__") == "pdb":
        return True
    return frame.f_locals.get("run_name") in MAIN_NAMES
