"""One offline file around a document of plain values: everything is in it, and it asks nothing of any network.

Scripts, styles and sections lie in `report/assets` and are put into the page as they are. The document goes in as data, and
reaches the screen as text only. A Content-Security-Policy names the scripts by their hashes and forbids every request, so that
nothing that a program put into a name can run or call home. The file is ASCII, whatever the locale.

A page called NAME is `NAME.html` (its sections), `NAME.js` (which draws them) and `NAME.css` if there is one, with what all
pages share: `page.html`, `page.css` and `part_*.js`, and with `NAME_*.js`, its own parts. Parts are functions, found by listing.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path

from hookmon.report.texts import inert, inert_json

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

ASSETS = Path(__file__).parent / "assets"
RUN, DIFF, HISTORY = "run", "diff", "history"
"""The pages there are."""

_LIBRARIES = dict.fromkeys((RUN, HISTORY), "uplot.min")  # in an element of its own, with its style
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}(?:(?<=\\ud[89ab]..)\\ud[c-f]..)?|\\.")  # a pair of surrogates is one character


def page(name: str, title: str, document: dict[str, Any]) -> str:
    """Return the page called `name` around a document. `title` may be anything."""
    library = _LIBRARIES.get(name)
    scripts = [*([_asset(f"{library}.js")] if library else []), _script(name)]
    style = (_asset(f"{library}.css") if library else "") + _asset("page.css") + _asset(f"{name}.css", needed=False)
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    values = {
        "title": escape(inert(title)),
        "policy": policy,
        "style": style,
        "sections": _asset(f"{name}.html").rstrip(),
        "data": _data(document),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _asset("page.html"))
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _data(document: dict[str, Any]) -> str:
    return inert_json(_ESCAPE.sub(_inert_escape, json.dumps(document, separators=(",", ":")))).replace("<", "\\u003c")


def _inert_escape(found: re.Match[str]) -> str:
    """Return an escape of JSON as it is, or as one of its text where `inert` would write the character out."""
    return json.dumps(inert(json.loads(f'"{found[0]}"')))[1:-1] if found[0] not in ('\\"', "\\\\") else found[0]


def _script(name: str) -> str:
    names = [*sorted(path.name for path in ASSETS.glob("part_*.js")), *sorted(path.name for path in ASSETS.glob(f"{name}_*.js"))]
    return "\n(() => {\n'use strict';\n" + "\n".join(map(_asset, [*names, f"{name}.js"])) + "\n})();\n"


def _asset(name: str, *, needed: bool = True) -> str:
    path = ASSETS / name
    return path.read_text("utf-8") if needed or path.exists() else ""


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
