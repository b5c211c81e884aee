"""How long transactions of two runs compute and wait, side by side: where a change of their time comes from.

There is no verdict: of CPU time only the mean is known, and not how far it differs by itself from run to run.
"""

from __future__ import annotations

from hookmon.core.record import Record
from hookmon.report.transactions import TransactionRow


class ComputingRow(Record, slots=True):
    """One transaction on average, where its CPU time was measured in both runs."""

    transaction: str
    kind: str
    measured_a: int
    measured_b: int
    computing_a_ns: int
    computing_b_ns: int
    waiting_a_ns: int
    waiting_b_ns: int


def compare(rows_a: list[TransactionRow], rows_b: list[TransactionRow]) -> list[ComputingRow]:
    """Return a row for each transaction that was measured in both, in the order of B."""
    of_a = {(row.name, row.kind): row.computing for row in rows_a}
    found = []
    for row in rows_b:
        a, b = of_a.get((row.name, row.kind)), row.computing
        if a is not None and b is not None:
            times = (a.computing_ns, b.computing_ns, a.waiting_ns, b.waiting_ns)
            found.append(ComputingRow(row.name, row.kind, a.measured, b.measured, *times))
    return found
