"""Names requests of FastAPI whose routers keep the prefix of an included router to themselves, where the route does not know it.

In: `fastapi.routing`, just imported. Out: its `_route_selected`, where it has one, tells the open request the whole pattern;
releases without it have routes of Starlette that know theirs. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import name_request, observe, request_name
from hookmon.packs.starlette import method_of

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let the selection of a route tell of its pattern; a mounted application's is told by Starlette's `Mount.handle`."""
    plain = vars(module).get("_route_selected")
    if plain is not None:
        fields = (("scope", ("method",)), ("path", ()), ("mount", ()))
        patches.replace(module, "_route_selected", observe(plain, _selected, route=(_route, fields)))


def _selected(args: Any, kwargs: Any, result: Any) -> None:
    if not kwargs.get("mount"):
        name_request(method_of(kwargs["scope"]), kwargs["path"])


def _route(args: Any, kwargs: Any, result: Any) -> str:
    return "" if kwargs["mount"] else request_name(method_of(kwargs["scope"]), kwargs["path"])
