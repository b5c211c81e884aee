"""SQL statements without what is in them: literals, comments and white space removed, lists folded.

In: the text of a statement. Out: at most 200 characters that are the same for each use of it. Runs in the watched process.
Where dialects differ the reading that hides more is taken: behind a backslash in a literal, which some take for an escape,
nothing more is shown; what stands in double quotes is a name to some and a string to others, and is shown only beside a dot or
where no string can stand (`FROM "users"`).
"""

from __future__ import annotations

import re

_LONGEST = 200
_LONGEST_READ = 20_000
_MOST_CACHED = 2_000

_NAME = r"[A-Za-z_][\w$ -]*"
_QUOTED = rf"""(?:"{_NAME}"|`{_NAME}`)"""
_BEFORE_NAMES = (
    "FROM|JOIN|INTO|UPDATE|TABLE|EXISTS|ONLY|AS|INDEX|VIEW|SAVEPOINT|SCHEMA|SEQUENCE|COPY|TRUNCATE|REFERENCES|CONSTRAINT|COLUMN"
)
_DROPPED = re.compile(
    rf"""
      (?P<name> \bINTO\s+(?:[\w.]+|{_QUOTED}(?:\.{_QUOTED})?)\s*\(\s*"{_NAME}"(?:\s*,\s*"{_NAME}")*\s*\)
              | \b(?:{_BEFORE_NAMES})\s+"{_NAME}" | \bSET\s+"{_NAME}"(?=\s*=)
              | "{_NAME}"(?=\.["\w*]) | (?<=["\w`]\.)"{_NAME}" | `{_NAME}` )
    | (?P<comment> --[^\n]* | \#(?![->]).* | /\*(?:(?!/\*).)*?\*/ | /\*.*  )
    | (?P<literal> "(?:[^"\\]|"")*(?:"|\\.*|\Z) | `[^`]*(?:`|\Z)
                 | [bxnBXNeE]?'(?:[^'\\]|'')*(?:'|\\.*|\Z)
                 | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)
                 | %\([^()]*\)[sbt] | %[sbt]\b | \?\d* | \$\d+ | (?<![:\w]):[A-Za-z_]\w*
                 | (?<![\w"`.])[+-]?\.?\d[\w.]*(?:(?<=e)[+-]\d+)?  )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_ITEM = r"(?:\?(?:::\w+)?|null|default|true|false)"
_LIST = re.compile(rf"(?<=[(\[])\s*{_ITEM}(?:\s*,\s*{_ITEM})+\s*(?=[)\]])", re.IGNORECASE)
_ROWS = re.compile(r"(\((?:[^()]|\([^()]*\))*\))(?:\s*,\s*\1)+")
_CUT_OFF = re.compile(r", …,[^…]*\Z")

_VERB = re.compile(r"\w+")
_MAIN_VERB = re.compile(r"\)\s*(SELECT|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_TABLE = re.compile(
    r"\b(?<!DISTINCT )(?:FROM|JOIN|INTO|UPDATE|(?:TABLE|VIEW)(?: IF(?: NOT)? EXISTS)?)(?: ONLY)? (?!ONLY\b|LATERAL\b|SELECT\b)"
    r"""((?:[\w$]+|"[^"]*"|`[^`]*`)(?:\.(?:[\w$]+|"[^"]*"|`[^`]*`))*)""",
    re.IGNORECASE,
)

_known: dict[int, str] = {}
"""Fingerprints by the hash of statement and redaction: the statements themselves are not kept."""


def fingerprint(statement: str, redact: str = "literals") -> str:
    """Return a statement's fingerprint: `SELECT * FROM users WHERE id IN (?, …)`.

    With `redact` "all" it is the verb and the tables, `SELECT users`; with "off" the statement as it is.
    """
    key = hash((statement, redact))
    known = _known.get(key)
    if known is None:
        if len(_known) >= _MOST_CACHED:
            _known.clear()
        text = statement if redact == "off" else _folded(statement)
        known = _known[key] = _short(_tables(text) if redact == "all" else text)
    return known


def _folded(statement: str) -> str:
    text = _DROPPED.sub(lambda match: match["name"] or (" " if match["comment"] else "?"), statement[:_LONGEST_READ])
    text = _SPACE.sub(" ", text).strip(" ;")
    text = _LIST.sub("?, …", text)
    text = _ROWS.sub(r"\1, …", text)
    return text if len(statement) <= _LONGEST_READ else _CUT_OFF.sub(", …", text)


def _tables(text: str) -> str:
    """Return the verb of a folded statement and the tables that it names."""
    first = _VERB.search(text)
    verb = first[0].upper() if first else ""
    if verb == "WITH":
        main = _MAIN_VERB.search(text)
        verb = main[1].upper() if main else verb
    return " ".join(dict.fromkeys([verb, *_TABLE.findall(text)]))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
