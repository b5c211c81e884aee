"""Tools that run a script as `__main__`, or its functions elsewhere: where each of them gets the code from.

In: a module of such a tool that has just been imported, and a MainScript. Out: a tool that runs decorated code. Runs in the
watched process, where the script's own functions are watched. Most tools compile the script themselves, and find a `compile` of
ours among their own globals. Names of modules are those of coverage 7, Streamlit 1, IPython 8 and 9, viztracer 1, line_profiler
4 and 5, debugpy 1.8, and of CPython 3.11 to 3.15. `start` has them, too: by them it notices the tools.
"""

from __future__ import annotations

import sys

from hookmon.probe.base.frames import hide_frames
from hookmon.probe.base.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from hookmon.probe.main_script import MainScript

LIKE_RUNPY = ("runpy", "_pydevd_bundle.pydevd_runpy")
"""runpy, and debugpy's copy of it."""

COMPILING = (
    "IPython.core.interactiveshell",
    "IPython.utils.py3compat",  # up to IPython 8
    "_pydev_bundle._pydev_execfile",
    "coverage.execfile",
    "kernprof",
    "line_profiler.autoprofile.autoprofile",
    "profiling.sampling._sync_coordinator",
    "profiling.tracing",  # of which cProfile is a part from 3.15 on
    "streamlit.runtime.scriptrunner.script_cache",
    "viztracer.main",
)
"""Modules that compile nothing but scripts."""

UNPICKLING = (
    "cloudpickle.cloudpickle",
    "joblib.externals.cloudpickle.cloudpickle",
    "pyspark.cloudpickle.cloudpickle",
    "ray.cloudpickle.cloudpickle",
)
"""cloudpickle and the copies of it that make a script's functions anew in the workers of dask, joblib, Spark and Ray."""

_CELLS = "IPython.core.compilerop"
"""Cells of notebooks are compiled by the `codeop` that this one uses."""

STARTED = ("cProfile", "kernprof", "profile", "trace")
"""Modules that run a script when they are started with -m, and so are `__main__` themselves until then."""

SAVING = ("profile",)
"""Those of them that write the script's code into a file, so that it may hold nothing but what marshal knows."""


def patch_runner(script: MainScript, module: ModuleType, name: str) -> None:
    """Let a module that runs scripts run decorated code."""
    if name in LIKE_RUNPY:
        script.patch_runpy(module)
    elif name == "pdb":
        _patch_pdb(script, module)
    elif name == _CELLS:
        vars(sys.modules["codeop"]).setdefault("compile", script.make_compile(_is_cell))
    elif name in UNPICKLING:
        _patch_unpickler(script, module)
    elif name in COMPILING:
        vars(module).setdefault("compile", script.make_compile(_is_no_command))


def patch_started(script: MainScript, name: str) -> None:
    """Let a tool that is about to start as `__main__` compile decorated code."""
    if name in STARTED and "__main__" in sys.modules:
        own = vars(sys.modules["__main__"])
        own.setdefault("compile", script.make_compile(_is_script, is_saved=name in SAVING))


def _patch_pdb(script: MainScript, pdb: Any) -> None:
    """Let pdb run a script's decorated code. It executes a text, `exec(compile(…))`, from which this takes source and name."""
    target = pdb._ScriptTarget
    text_of = vars(target)["code"].fget

    def code(self: object) -> object:
        text = text_of(self)
        return script_of(text) or text

    @shielded(None)
    def script_of(text: str) -> CodeType | None:
        import ast

        statement = ast.parse(text).body[0]
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)
        (call,) = statement.value.args
        assert isinstance(call, ast.Call)
        source, filename, mode = (ast.literal_eval(argument) for argument in call.args[:3])
        return script.decorate_inside(source, filename, mode)

    target.code = property(code)


def _patch_unpickler(script: MainScript, cloudpickle: Any) -> None:
    """Watch functions of the script that arrive by value: their code, and a `__main__` that is not that of this process."""
    make = getattr(cloudpickle, "_make_function", None)
    if make is None:  # another release
        return

    def _make_function(*args: Any, **keywords: Any) -> Any:
        return script.watch_function(make(*args, **keywords))

    for name in ("__doc__", "__module__", "__qualname__"):
        setattr(_make_function, name, getattr(make, name))  # pickles refer to it by these
    cloudpickle._make_function = hide_frames(_make_function)


def _is_no_command(filename: str) -> bool:
    """Say whether code is of a file, not of a text such as a command that a tool makes up."""
    return not filename.startswith("<")


def _is_cell(filename: str) -> bool:
    """Say whether code is that of a cell, IPython's or of a file, as ipykernel has them, or of a script."""
    return _is_no_command(filename) or filename.startswith("<ipython-input-")


def _is_script(filename: str) -> bool:
    """Say whether a file is the script that a tool runs: it has put that name into sys.argv[0]."""
    import os

    return os.path.abspath(filename) == os.path.abspath(sys.argv[0])
