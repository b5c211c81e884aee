"""Times what Django REST framework does in a view, by the class of the view or the serializer.

In: a module of `rest_framework`, just imported, and a method or a property. Out: the same, timed; what says that a client has
made a mistake, as a ValidationError, is raised as ever and counts as no error. A serializer that has its data already, or is a
part of another one, is no call. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import MISSING, attribute, drop_frame, hide_frames, look_like, shielded

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_FAILED_FROM = 500


class _Mistake:
    """Carries out of the timed call what tells a client of its mistake."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time what `call` names, "APIView.initial" or the property "BaseSerializer.data"."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    if name == "data":
        patches.replace(
            owner, name, property(_timed(plain.fget, timed, call, _has_no_data), plain.fset, plain.fdel, plain.__doc__)
        )
    else:
        patches.replace(owner, name, _timed(plain, timed, call))


@hide_frames
def _timed(plain: Any, timed: Timed, call: str, condition: Any = None) -> Any:
    def run(name: str, self: Any, args: Any, kwargs: Any) -> Any:
        try:
            return plain(self, *args, **kwargs)
        except BaseException as error:
            if _is_mistake(error):
                return _Mistake(error)
            drop_frame(error)
            raise

    run_timed = timed(run, call)

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            if condition is not None and not condition(self):
                return plain(self, *args, **kwargs)
            result = run_timed(_name_of(self), self, args, kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if type(result) is _Mistake:
            raise result.error
        return result

    return look_like(method, plain)


@shielded(False)
def _is_mistake(error: BaseException) -> bool:
    """Say whether it is one that the framework answers with a status below 500, as its own and Django's Http404 are."""
    status = attribute(error, "status_code")
    if status is not MISSING:
        return type(status) is int and status < _FAILED_FROM
    return type(error).__module__.startswith("django.") and type(error).__name__ in ("Http404", "PermissionDenied")


@shielded("?")
def _name_of(self: Any) -> str:
    """Return the name of the class; of a list of serializers that of the serializer in it."""
    child = attribute(self, "child")
    return type(self if child is MISSING else child).__name__


@shielded(True)
def _has_no_data(self: Any) -> bool:
    return attribute(self, "_data") is MISSING
