"""A window of a service as a Run: what reports, diffs and checks are made of.

In: the store, the name of a service, and two moments. Out: a Run whose call tree has two levels, transactions and the calls in
them with their lines. What the running minute has is read from the shards of the starts that go on.
"""

from __future__ import annotations

from hookmon.collector.store import Run
from hookmon.services.clock import Clock
from hookmon.services.store import ServiceStore


def window(
    store: ServiceStore,
    service: str,
    since_s: float,
    until_s: float,
    *,
    clock: Clock | None = None,
    with_running: bool = True,
) -> Run:
    """Return a window of a service as a Run, from the minute of `since_s` to that of `until_s`, in seconds since 1970.

    `started_at` and `duration_ns` say what it covers really: whole minutes, whole hours where the minutes were dropped, and
    never more than until now. `name` and `service` are the service's; `command` and `version` those of its last start in
    the window. There is a row of `processes` for each start. `started_ns` is 0: examples count from `started_at` on.
    `state` is "finished", `exit_code` None, and `id` 0, for no run file is meant.

    With `with_running`, what starts that go on have counted since they last wrote is added, if the window reaches until now;
    that takes a look at their processes. Raises StoreError where there is no such service, or the store cannot be read.
    """
    raise NotImplementedError
