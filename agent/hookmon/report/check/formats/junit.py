"""The check as JUnit XML, which every CI shows: a test case for each limit."""

from __future__ import annotations

from typing import TextIO
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from hookmon.report.check.judge import BROKEN, UNJUDGED, Check
from hookmon.report.texts import inert


def write(check: Check, file: TextIO, *, width: int | None) -> None:  # noqa: ARG001  # no screen
    """Write the document, in ASCII."""
    totals = {"tests": str(len(check.rows)), "failures": str(len(check.of(BROKEN))), "skipped": str(len(check.of(UNJUDGED)))}
    suites = Element("testsuites", totals)
    suite = SubElement(suites, "testsuite", {"name": "hookmon check", "errors": "0", **totals})
    for row in check.rows:
        name = f"{row.name or row.budget}: {row.key}"
        attributes = {"classname": f"hookmon.{inert(row.budget)}", "name": inert(name), "file": inert(row.file)}
        case = SubElement(suite, "testcase", attributes | ({"line": str(row.line)} if row.line else {}))
        text = inert(row.sentence)
        if row.verdict == BROKEN:
            SubElement(case, "failure", {"message": text, "type": row.key}).text = inert(row.location) or None
        elif row.verdict == UNJUDGED:
            SubElement(case, "skipped", {"message": text})
    indent(suites)
    file.write(tostring(suites, "us-ascii", xml_declaration=True).decode("ascii") + "\n")
