"""Times the query sets of Django that ask the database, and not those that have their rows already.

In: `django.db.models.query`, just imported. Out: `QuerySet._fetch_all`, `count` and `exists`, timed where there is something to
fetch. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, shielded, time_when

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time the method that `call` names, "QuerySet.count"."""
    owner: Any = vars(module)["QuerySet"]
    name = call.rpartition(".")[2]
    plain = vars(owner)[name]
    condition = _lacks_something if name == "_fetch_all" else _lacks_rows
    patches.replace(owner, name, time_when(shielded(True)(condition), plain, timed(plain, call)))


def _lacks_rows(queries: Any) -> bool:
    return attribute(queries, "_result_cache") is None


def _lacks_something(queries: Any) -> bool:
    is_complete = attribute(queries, "_prefetch_done") is True or not attribute(queries, "_prefetch_related_lookups")
    return _lacks_rows(queries) or not is_complete
