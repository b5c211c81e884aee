"""SQL statements without what is in them: literals, comments and white space removed, lists folded.

In: the text of a statement. Out: at most 200 characters that are the same for each use of it. Runs in the watched process.
Where dialects differ the reading that hides more is taken: behind a backslash in a literal, which some take for an escape,
nothing more is shown, and neither is what stands in double quotes unless it could be a name.
"""

from __future__ import annotations

import re

_LONGEST = 200
_LONGEST_READ = 20_000
_MOST_CACHED = 2_000

_DROPPED = re.compile(
    r"""
      (?P<name> "[A-Za-z_][\w$ .-]*" | `[^`]*` )
    | (?P<comment> --[^\n]* | \#(?![->]).* | /\*(?:(?!/\*).)*?\*/ | /\*.*  )
    | (?P<literal> "(?:[^"\\]|"")*(?:"|\\.*|\Z) | [bxnBXNeE]?'(?:[^'\\]|'')*(?:'|\\.*|\Z)
                 | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)
                 | %\(\w+\)s | %s | \?\d* | \$\d+ | (?<![:\w]):[A-Za-z_]\w*
                 | (?<![\w"`.])[+-]?(?:0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)(?!\w)  )
    """,
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s+")
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")
_ROWS = re.compile(r"(\(\?(?:, …)?\))(?:\s*,\s*\(\?(?:, …)?\))+")

_known: dict[int, str] = {}
"""Fingerprints by the hash of the statement: the statements themselves are not kept."""


def fingerprint(statement: str) -> str:
    """Return a statement's fingerprint: `SELECT * FROM users WHERE id IN (?, …)`."""
    key = hash(statement)
    known = _known.get(key)
    if known is None:
        if len(_known) >= _MOST_CACHED:
            _known.clear()
        known = _known[key] = _folded(statement)
    return known


def _folded(statement: str) -> str:
    text = _DROPPED.sub(lambda match: match["name"] or (" " if match["comment"] else "?"), statement[:_LONGEST_READ])
    text = _SPACE.sub(" ", text).strip(" ;")
    text = _LIST.sub("(?, …)", text)
    text = _ROWS.sub(r"\1, …", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
