"""What holds for every report, whatever the program."""

from __future__ import annotations

from typing import Any


def assert_sound(report: dict[str, Any]) -> None:
    """Fail where a request is counted as two, a row has no call, or a finding is not worth a person's time."""
    _assert_one_request_is_one(report)
    _assert_worth_reading(report)


def _assert_one_request_is_one(report: dict[str, Any]) -> None:
    """Fail where a request is counted as two, or where there is a row without a call.

    A request is a transaction, or lies within a job or a test that has made it itself.
    """
    tree = report["tree"]
    for row in tree:
        above = row
        while above["parent"] >= 0:
            above = tree[above["parent"]]
            assert not (row["kind"] == above["kind"] == "request" and row["calls"]), f"{row['name']} is a part of {above['name']}"
    for table in ("calls", "transactions"):
        assert [row["name"] for row in report[table] if not row["calls"]] == []


def _assert_worth_reading(report: dict[str, Any]) -> None:
    """Fail where a finding is about requests without a route, or a high one about less than a hundredth of the run."""
    at_work_ns = max(report["run"]["cpu_ns"], sum(row["total_ns"] for row in report["transactions"]))
    requests = sum(row["calls"] for row in report["transactions"] if row["name"] != "(main)")
    for finding in report["findings"]:
        assert "(no route)" not in finding["title"], finding
        if finding["severity"] == "high" and finding["kind"] != "errors":
            assert finding["time_ns"] * 100 >= at_work_ns, (finding, at_work_ns)
        elif finding["severity"] == "high" and finding["transaction"] != "(main)":
            of = next(row["calls"] for row in report["transactions"] if row["name"] == finding["transaction"])
            assert of * 100 >= requests, finding
