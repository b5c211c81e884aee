"""Libraries that read the code of a function to make something else of it: they get what the function has without us.

In: a module of such a library that has just been imported. Out: a library that is told the code that the compiler of Python has
made, and a blind spot for each watched function whose calls go on where nobody sees them. Runs in the watched process.

- numba and torch.compile make machine code and other bytecode. What they make is not watched.
- cloudpickle and dill send code to other processes.
- typeguard and IPython's autoreload give a function other code, which is watched in its place.

Each of them reads code in one function of its own. That function stays the object that it is, whoever has imported it: it gets
code that calls ours, and ours calls a copy of it. From CPython 3.12 on the code of a watched function is the compiler's own, so
only what is to be told or watched anew needs that. Names are those of numba 0.68, torch 2.13, cloudpickle 3.1, dill 0.4,
typeguard 4.6 and IPython 9.18.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType

from hookmon.core.plan import READS_CODE
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.patching import by_code, codes, renewals
from hookmon.probe.patching.injected import is_copy, plain
from hookmon.probe.recording import notes
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.event_sources import span_of_function
from hookmon.probe.wrappers.make import is_timed, wrapper_classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patches import Patches

    Call = Callable[..., Any]
    MakeCall = Callable[[Call], Call]

_MOST_NOTES = 50
"""So many functions are named of one compiler."""

_noted: dict[str, set[str]] = {}
"""{compiler: functions that it has taken}."""


@shielded(None)
def patch(module: ModuleType, name: str, patches: Patches) -> None:
    """Let a library read the code that functions have without us; `name` is that of a module in READS_CODE."""
    owner, attribute, make_call, is_always = _READERS[READS_CODE[name]]
    if name == "dill._dill":
        _teach_wrappers(module)
    if not is_always and monitoring.HAS_EVENTS:
        return
    space: Any = sys.modules.get(name, module) if not owner else getattr(module, owner, None)
    function = getattr(space, attribute, None)
    function = getattr(function, "__func__", function)
    if type(function) is FunctionType and not function.__closure__ and function.__code__.co_name != _forward.__code__.co_name:
        _redirect(function, make_call, patches)


def _teach_wrappers(dill: Any) -> None:
    """Let dill save wrappers of functions as what they are for. It goes by their type, not by `__class__`."""
    save_global, is_found, dispatch = dill.StockPickler.save_global, dill._locate_function, dill.Pickler.dispatch

    def save(pickler: Any, wrapper: Any) -> None:
        if isinstance(wrapper, FunctionType) and not is_found(wrapper, pickler):
            pickler.save(_function_in(wrapper))
        else:
            reduced = wrapper.__reduce_ex__(pickler.proto)
            if type(reduced) is str:
                save_global(pickler, wrapper, reduced)
            else:
                pickler.save_reduce(*reduced, obj=wrapper)

    for wrapper_class in wrapper_classes():
        dispatch.setdefault(wrapper_class, hide_frames(save))


def _redirect(function: FunctionType, make_call: MakeCall, patches: Patches) -> None:
    """Have another function called in the place of one; it gets a copy of that."""
    real = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    real.__kwdefaults__ = function.__kwdefaults__
    parts = {"call": hide_frames(make_call(real)), "drop": drop_frame}
    code = _forward.__code__
    constants = tuple([parts.get(constant, constant) if type(constant) is str else constant for constant in code.co_consts])
    patches.replace(function, "__code__", code.replace(co_consts=constants, co_qualname=function.__qualname__))


@hide_frames
def _forward(*args: Any, **keywords: Any) -> Any:
    call: Any = "call"  # these two texts are replaced
    drop: Any = "drop"
    try:
        return call(*args, **keywords)
    except BaseException as error:
        drop(error)
        raise


# What each of these functions gets, and what becomes of it.


def _numba(real: Call) -> Call:
    def get_code_object(obj: Any) -> Any:
        code = real(obj)
        if type(code) is not CodeType:
            return code
        _note_function("numba", obj, code)
        return plain(code)

    return get_code_object


def _dynamo(real: Call) -> Call:
    def cleaned_instructions(code: CodeType, *args: Any, **keywords: Any) -> Any:
        _note_code("torch.compile", code)
        return real(plain(code), *args, **keywords)

    return cleaned_instructions


def _cloudpickle(real: Call) -> Call:
    def _code_reduce(obj: CodeType) -> Any:
        return real(plain(obj))

    return _code_reduce


def _dill(real: Call) -> Call:
    def save_code(pickler: Any, obj: CodeType) -> Any:
        return real(pickler, plain(obj))

    return save_code


def _typeguard(real: Call) -> Call:
    def find_target_function(new_code: CodeType, *args: Any, **keywords: Any) -> Any:
        code = real(new_code, *args, **keywords)
        return (_renew(code, code.co_qualname) or code) if type(code) is CodeType else code

    return find_target_function


def _autoreload(real: Call) -> Call:
    def patch_function(cls: Any, to_patch_to: Any, *args: Any, **keywords: Any) -> Any:
        was_watched = _is_watched(to_patch_to)
        result = real(cls, _function_in(to_patch_to), *args, **keywords)
        if was_watched:
            _renew_function(to_patch_to)
        return result

    return patch_function


_READERS: dict[str, tuple[str, str, MakeCall, bool]] = {
    "numba": ("", "get_code_object", _numba, True),
    "torch.compile": ("", "cleaned_instructions", _dynamo, True),
    "cloudpickle": ("", "_code_reduce", _cloudpickle, False),
    "dill": ("", "save_code", _dill, False),
    "typeguard": ("", "find_target_function", _typeguard, True),
    "autoreload": ("DeduperReloaderPatchingMixin", "patch_function", _autoreload, True),
}
"""{library: (class or "", function that reads code, what makes ours of it, whether also from 3.12 on)}."""


@shielded(None)
def _note_function(compiler: str, function: Any, code: CodeType) -> None:
    """Say that a compiler has taken a function, or a wrapper of one."""
    if is_timed(function) or span_of_function(function) is not None:
        _note(compiler, f"{function.__module__}:{function.__qualname__}")
    else:
        _note_code(compiler, code)


@shielded(None)
def _note_code(compiler: str, code: CodeType) -> None:
    """Say that a compiler has taken a function by its code."""
    callback = codes.callback_of(code)
    if callback:
        _note(compiler, callback)
    elif is_copy(code) or monitoring.way_of(code) or renewals.is_wanted(code):
        _note(compiler, f"{renewals.module_of(code) or code.co_filename}:{code.co_qualname}")


def _note(compiler: str, path: str) -> None:
    noted = _noted.setdefault(compiler, set())
    if path in noted or len(noted) > _MOST_NOTES:
        return
    noted.add(path)
    what = path if len(noted) <= _MOST_NOTES else "more functions"
    notes.note("compiled", f"{compiler} compiled {what}; calls of the compiled code are not seen")


@shielded(None)
def _renew(code: CodeType, name: str) -> CodeType:
    """Watch the code that has taken the place of a function's in its module; return the code to use."""
    return renewals.renew(renewals.module_of(code), name, code)


@shielded(None)
def _renew_function(function: FunctionType) -> None:
    """Watch a function that has got other code."""
    code = renewals.renew_function(function, function.__code__)
    if code is not function.__code__:
        function.__code__ = code
    monitoring.take(function)


@shielded(False)
def _is_watched(function: object) -> bool:
    return type(function) is FunctionType and by_code.is_watched(function)


def _function_in(value: Any) -> Any:
    """Return the function that a wrapper of ours is for, any other value as it is."""
    return value._self_function if is_timed(value) and hasattr(value, "_self_function") else value
