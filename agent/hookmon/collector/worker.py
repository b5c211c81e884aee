"""An observer in a thread of its own. In: snapshots. Out: calls of the observer, which may block and may raise.

Runs in the launcher, beside the thread that forwards signals. It takes no signals. Nothing waits for it but the end of the run,
for a bounded time.
"""

from __future__ import annotations

import signal
import threading
from traceback import format_exception_only

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.feed import Observer, Snapshot
    from hookmon.collector.store import Run

_LONGEST_LINE = 300


class Worker:
    """Stands between a feed and an observer that may block: itself an observer that never does, and never raises.

    It holds one snapshot for the observer, the newest: counters are cumulative, so whoever was busy misses moments, and no call.
    """

    def __init__(self, observer: Observer, name: str, *, patience_s: float = 2.0) -> None:
        """Prepare a thread, which starts with the first snapshot. At the end of the run the observer gets `patience_s`."""
        self.every_ns = observer.every_ns
        self._observer = observer
        self._name = name
        self._patience_s = patience_s
        self._news = threading.Condition()
        self._snapshot: Snapshot | None = None
        self._run: Run | None = None
        self._failures = 0
        self._line = ""
        self._thread = threading.Thread(target=self._work, name=f"hookmon {name}", daemon=True)

    def observe(self, snapshot: Snapshot) -> None:
        """Lay a snapshot ready in the place of an older one. Where no thread can be started, the next one tries again."""
        if not self._start():
            return
        with self._news:
            self._snapshot = snapshot
            self._news.notify()

    def end(self, run: Run) -> str:
        """Let the observer end, for a bounded time; return what went wrong, as one line."""
        if not self._start():
            return f"{self._name} failed: {self._line}"
        with self._news:
            self._run = run
            self._news.notify()
        self._thread.join(self._patience_s)
        if self._thread.is_alive():
            return f"{self._name} did not end within {self._patience_s:g} s"
        times = "" if self._failures == 1 else f" {self._failures} times, at last"
        return f"{self._name} failed{times}: {self._line}"[:_LONGEST_LINE] if self._line else ""

    def _start(self) -> bool:
        """Start the thread where there is none: after the launcher has forked, with all signals left to the launcher's thread.

        Says whether there is one: there may be no room for a process or thread more.
        """
        if self._thread.ident is not None:
            return True
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            self._line = str(error)
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return True

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._snapshot is not None or self._run is not None)
                snapshot, self._snapshot = self._snapshot, None
                run = self._run
            try:
                if snapshot is not None:
                    self._observer.observe(snapshot)
                elif run is not None:
                    self._line = self._observer.end(run) or self._line
                    return
            except Exception as error:  # noqa: BLE001  # whatever an observer does, the program and its run go on
                self._failures += 1
                self._line = " ".join(format_exception_only(error)[-1].split())
                if snapshot is None:
                    return
