"""What the page shows, as one document of plain values. In: a Report. Out: what the scripts in `assets` read.

It is the JSON report with the call tree and the series packed: a page is read by its own scripts only, so its shape may change
with any version.
"""

from __future__ import annotations

import json

from hookmon.core.histogram import coarsen
from hookmon.core.plan import CLIENT_KINDS
from hookmon.core.record import asdict
from hookmon.report.formats.json import as_json, figures_of
from hookmon.report.model import Report
from hookmon.report.texts import count, duration, ending

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_MOST_NODES = 20_000  # of the flame graph, the ones with the most time; the browser draws the wider ones only


def document(report: Report) -> dict[str, Any]:
    """Return the whole document."""
    own = as_json(report, without=("schema", "calls", "tree", "series"))
    own["run"] |= {"ending": ending(report.header.exit_code, report.header.state), "started_ns": report.started_ns}
    own["verdict"] = verdict(report)
    own["client_kinds"] = sorted(CLIENT_KINDS)
    own["groups"] = [
        {
            "pack": group.pack,
            "called": len(group.called),
            "uncalled": len(group.uncalled),
            "absent": len(group.absent),
            "failed": len(group.failed),
        }
        for group in report.groups
    ]
    own["settings"] = [row | {"value": json.dumps(row["value"], ensure_ascii=False)} for row in report.settings]
    own |= {"config": report.config, "cpu": report.cpu, "cores": report.cores}
    own["calls"] = [
        figures_of(row, ("name", "kind", "target", "location"))
        | {"targets": [row.target, *row.others], "buckets": _histogram(row.figures.buckets)}
        for row in report.names
    ]
    own["tree"] = _tree(report)
    own["sampled"]["tree"] = _sampled_tree(report)
    own["series"] = [asdict(row) for row in report.series]  # points stay JSON text: 30,000 of them take longer than all the rest
    return own


def verdict(report: Report) -> dict[str, str]:
    """Return the one sentence to read at three in the morning: `state` is bad, warn, low, good or none, and `detail` goes on."""
    header = report.header
    calls = sum(row.calls for row in report.kinds)
    if report.nothing:
        return {"state": "none", "title": report.nothing[0], "detail": " ".join(report.nothing[1:])}
    failed = header.exit_code not in (0, None)
    if failed and report.in_flight:
        longest = report.in_flight[0]
        name = longest.stack[-1][0] if longest.stack else "a call"
        title = f"It ended with {ending(header.exit_code, header.state)}, {duration(longest.since_ns)} into {name}"
        return {"state": "bad", "title": title, "detail": _findings_text(len(report.findings))}
    ended = f"It ended with {ending(header.exit_code, header.state)}. " if failed else ""
    if report.findings:
        worst = report.findings[0]
        saving = f"Up to {duration(worst.saving_ns)} could be saved. " if worst.saving_ns else ""
        state = {"high": "bad", "medium": "warn"}.get(worst.severity, "low")
        more = _findings_text(len(report.findings) - 1, "more ")
        return {"state": state, "title": worst.title, "detail": f"{ended}{saving}{more}"}
    errors = sum(row.errors for row in report.kinds)
    title = ended.strip() or "Nothing stands out"
    detail = f"No finding in {count(calls, 'call')}" + (f"; {count(errors)} of them raised." if errors else ".")
    return {"state": "bad" if failed else "low" if errors else "good", "title": title, "detail": detail}


def _findings_text(number: int, more: str = "") -> str:
    return f"{count(number, f'{more}finding')}." if number else ""


def _histogram(buckets: dict[int, int]) -> list[int]:
    """Return [bucket, calls, bucket, calls, …], coarser than what is kept."""
    return [value for pair in sorted(coarsen(buckets).items()) for value in pair]


def _sampled_tree(report: Report) -> dict[str, Any]:
    """Return the sampled stacks as columns of the same names, where they mean the same; the widths are samples.

    Of a tree with more than `_MOST_NODES` places, the ones with the fewest samples are left out.
    """
    kept = sorted(sorted(range(len(report.branches)), key=lambda at: -report.branches[at].samples)[:_MOST_NODES])
    places = {at: place for place, at in enumerate(kept)}
    names: dict[tuple[str, str], int] = {}
    sites: dict[str, int] = {}
    columns: dict[str, list[Any]] = {key: [] for key in ("parent", "name", "site", "width", "self")}
    for at in kept:
        branch = report.branches[at]
        site = f"{branch.file}:{branch.line}" if branch.line else branch.file
        columns["parent"].append(places.get(branch.parent, -1))
        columns["name"].append(names.setdefault((branch.function, branch.kind), len(names)))
        columns["site"].append(sites.setdefault(site, len(sites)))
        columns["width"].append(branch.samples)
        columns["self"].append(branch.self_samples)
    return columns | {"names": list(names), "sites": list(sites), "left_out": len(report.branches) - len(kept)}


def _tree(report: Report) -> dict[str, Any]:
    """Return the call tree as columns; `name` is an index into `names`, `site` into `sites`.

    Of a tree with more than `_MOST_NODES` places, the ones with the least time are left out and counted in `left_out`.
    """
    nodes = report.nodes
    widths = [max(0, node.self_ns) for node in nodes]
    for index in range(len(nodes) - 1, -1, -1):  # a parent stands before its children
        parent = nodes[index].parent
        if 0 <= parent < index:
            widths[parent] += widths[index]
    kept = sorted(sorted(range(len(nodes)), key=lambda index: -widths[index])[:_MOST_NODES])
    places = {index: place for place, index in enumerate(kept)}
    names: dict[tuple[str, str], int] = {}
    sites: dict[str, int] = {}
    rows = [
        (
            places.get(nodes[index].parent, -1),
            names.setdefault((nodes[index].name, nodes[index].kind), len(names)),
            sites.setdefault(nodes[index].call_site, len(sites)),
            nodes[index].calls,
            nodes[index].errors,
            nodes[index].total_ns,
            widths[index],
            nodes[index].self_ns,
        )
        for index in kept
    ]
    keys = ("parent", "name", "site", "calls", "errors", "total_ns", "width_ns", "self_ns")
    columns = dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True)) if rows else {key: [] for key in keys}
    return columns | {"names": list(names), "sites": list(sites), "left_out": len(nodes) - len(kept)}
