"""One page to read, keep and send: everything in one file, which asks nothing of any network.

The scripts and styles lie in `report/assets` and are put into the page as they are; the report goes in as data, and reaches the
screen as text only. A Content-Security-Policy names the scripts by their hashes and forbids every request, so that nothing that
a program put into a name can run or call home. The file is ASCII, whatever the locale.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from shlex import join
from typing import TextIO

from hookmon.report.model import Report
from hookmon.report.page import document
from hookmon.report.texts import inert

ASSETS = Path(__file__).parents[1] / "assets"

_SCRIPTS = ("uplot.min.js", "page.js")  # each in an element of its own
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}(?:(?<=\\ud[89ab]..)\\ud[c-f]..)?|\\.")  # a pair of surrogates is one character
_PARTS = "part_*.js"  # of page.js, found by listing: functions, called by what stands in page.js


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the page."""
    data = _ESCAPE.sub(_inert_escape, json.dumps(document(report), separators=(",", ":"))).replace("<", "\\u003c")
    header = report.header
    title = header.name or (f"run {header.id}" if header.id else "a run")
    file.write(page({"title": escape(inert(f"{title} - {join(header.command)}"))}, data))


def page(texts: dict[str, str], data: str) -> str:
    """Return a page around a document. `texts` are values of the template, escaped already."""
    scripts = [_script(name) for name in _SCRIPTS]
    style = _asset("uplot.min.css") + _asset("page.css")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    values = texts | {
        "policy": policy,
        "style": style,
        "data": data,
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _asset("page.html"))
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _inert_escape(found: re.Match[str]) -> str:
    """Return an escape of JSON as it is, or as one of its text where `inert` would write the character out."""
    return json.dumps(inert(json.loads(f'"{found[0]}"')))[1:-1] if found[0] not in ('\\"', "\\\\") else found[0]


def _script(name: str) -> str:
    text = _asset(name)
    if name != "page.js":
        return text
    parts = [path.read_text("utf-8") for path in sorted(ASSETS.glob(_PARTS))]
    return "\n(() => {\n'use strict';\n" + "\n".join([*parts, text]) + "\n})();\n"


def _asset(name: str) -> str:
    return (ASSETS / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
