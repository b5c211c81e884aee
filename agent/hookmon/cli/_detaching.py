"""How hookmon leaves the processes that it was attached to. In: the collector of their run. Out: lines for the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookmon.collector.collect import Collector

_PATIENCE_S = 10.0


def leave(collector: Collector, sender: Sequence[str], is_wanted: Callable[[], bool] = lambda: True) -> Iterator[str]:
    """Detach from all processes of a run; yield what there is to tell.

    Each does it itself at its next safe point. One that does not come to it in time does so later: the run folder stays as long.
    `is_wanted` says whether the user still waits for it, and may take a tenth of a second.
    """
    from time import monotonic

    from hookmon.collector import attachment
    from hookmon.core.attachment import DETACH, DONE, script_name

    folder = Path(collector.run.run_folder)
    pids = collector.watched_pids()
    refused = {}
    if pids:
        attachment.forget_answers(folder, pids, DETACH)
        asked = attachment.request(sender, folder / script_name(DETACH), pids)
        refused = {pid: reason for pid, reason in asked.items() if reason}
    pending = [pid for pid in pids if pid not in refused]
    end = monotonic() + _PATIENCE_S
    while len(answers := attachment.wait_for_answers(folder, DETACH, pending, 0.05)) < len(pending):
        if monotonic() > end or not is_wanted():
            answers = attachment.wait_for_answers(folder, DETACH, pending, 0.0)
            break
    kept = 0
    for pid in pids:
        answer = answers.get(pid)
        if answer is None and pid in pending:
            yield f"process {pid} still has hookmon in it: {attachment.waits_for(pid)}; it leaves at its next safe point"
        elif answer is not None and answer.startswith(DONE):
            kept += int(answer.split()[1])
        elif answer != attachment.ENDED:
            yield f"process {pid} still has hookmon in it: {refused.get(pid) or answer}"
    collector.kept_wrappers += kept
    inside = {pid for pid in pids if not (answers.get(pid) or "").startswith(DONE)}
    collector.leave([pid for pid in list(collector.processes.watchers) if pid not in inside])
