"""SQL statements without what is in them: literals, comments and white space removed, lists folded, secret words hidden.

In: the text of a statement. Out: at most 200 characters that are the same for each use of it. Runs in the watched process.
Where dialects differ the reading that hides more is taken. Where they differ in where a literal ends, nothing more is shown:
behind a backslash, which some take for an escape; behind `q'[it's`, which Oracle reads to `]'`; behind `'''it's`, which BigQuery
and Spark read to `'''`. What stands in double quotes is a name to some and a string to others, and is shown only beside a dot or
where no string can stand (`FROM "users"`). A pack that knows its dialect says so.
"""

from __future__ import annotations

import re

from hookmon.probe.naming.statements import normalise

EMPTY = "(empty statement)"
_LONGEST = 200
_LONGEST_READ = 20_000
_MOST_CACHED = 2_000

_NAME = r"[A-Za-z_][\w$ ?-]*"
_QUOTED = rf"""(?:"{_NAME}"|`{_NAME}`)"""
_WORDS = rf"""
    (?i:INTO)\s+(?:[\w.]+|{_QUOTED}(?:\.{_QUOTED})?)\s*\(\s*"{_NAME}"(?:\s*,\s*"{_NAME}")*\s*\)
  | (?i:FROM|JOIN|INTO|UPDATE|TABLE|EXISTS|ONLY|AS|INDEX|VIEW|SCHEMA|SEQUENCE|COPY|TRUNCATE|REFERENCES|CONSTRAINT|COLUMN)
    \s+"{_NAME}"
  | (?i:SET)\s+"{_NAME}"(?=\s*=)"""
"""What a name in double quotes may stand behind."""
_NAMES = rf""" "{_NAME}"(?=\.["\w*]) | (?<=["\w`]\.)"{_NAME}" | `{_NAME}` """
_BLOCK = r"/\*(?:(?!/\*).)*?\*/ | /\*.*"  # PostgreSQL nests them
_SINGLE = r"'(?:[^'\\]|'')*(?:'|\\.*|\Z)"
_DOLLARS = r"(?<!\w)\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z) |"
_TRIPLES = r"""'''[^'\\]*'''(?!') | '''.* | ["]{3}[^"\\]*["]{3}(?!") | ["]{3}.* |"""
_MARKED = r"[nN]?[qQ]'(?:\[[^']*\]|\{[^']*\}|\([^']*\)|<[^']*>|(?P<mark>[^\s'\[{(<])[^']*(?P=mark))' | [nN]?[qQ]'.* |"
"""Literals of BigQuery and Spark, and of Oracle: to the end of the statement where others read them in another way."""
_HEX = "[0-9a-fA-F]"
_UUID = rf"{_HEX}{{8}}-(?:(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}(?!\w)|(?:{_HEX}|-)*\Z)"
_DIALECTS = {  # names in quotes, comments; literals that others do not have: in quotes, behind a letter, in dollars
    "": (
        _NAMES,
        rf"""--(?:(?!\S)|(?=[^\n'"]*(?:\n|\Z)))[^\n]* | --.* | {_BLOCK}
        | \#(?!(?:>>?|-)\s*(?:'\{{|%[s(]|\$\d|:\w|(?i:ARRAY)\b)).*""",  # no comment is an operator of PostgreSQL with a path
        _TRIPLES,
        _MARKED,
        _DOLLARS,
    ),
    "mysql": (_NAMES, rf"--(?!\S)[^\n]* | \#[^\n]* | {_BLOCK}", "", "", ""),
    "postgresql": (f'"{_NAME}"', rf"--[^\n]* | {_BLOCK}", "", "", _DOLLARS),
    "sqlite": (_NAMES, rf"--[^\n]* | \#.* | {_BLOCK}", "", "", ""),
}
_readers: dict[str, re.Pattern[str]] = {}
"""What finds names, comments and literals, by dialect; compiled when the first statement of it comes."""

_SPACE = re.compile(r"\s+")
_ITEM = r"(?:\?(?:::\w+)?|null|default|true|false)"
_LIST = re.compile(rf"(?<=[(\[])\s*{_ITEM}(?:\s*,\s*{_ITEM})+\s*(?=[)\]])", re.IGNORECASE)
_ROWS = re.compile(r"(\((?:[^()]|\([^()]*\))*\))(?:\s*,\s*\1)+")
_CUT_OFF = re.compile(r"(, …),[^…]*\Z|(; …);[^;]*\Z")

_VERB = re.compile(r"\w+")
_MAIN_VERB = re.compile(r"\)\s*(SELECT|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_TABLE = (
    r"\b(?<!DISTINCT )(?<!FOR )(?<!KEY )(?<!DO )(?:FROM|JOIN|INTO|UPDATE|COPY|(?:TABLE|VIEW)(?: IF(?: NOT)? EXISTS)?)(?: ONLY)? "
    r"""(?!(?:ONLY|LATERAL|SELECT|STDIN|ON|OF)\b)((?:[\w$][\w$?]*|"[^"]*"|`[^`]*`)(?:\.(?:[\w$?]+|"[^"]*"|`[^`]*`))*)"""
)

_known: dict[int, str] = {}
"""Fingerprints by the hash of statement, redaction and dialect: the statements themselves are not kept."""


def fingerprint(statement: str, redact: str = "literals", dialect: str = "") -> str:
    """Return a statement's fingerprint: `SELECT * FROM users WHERE id IN (?, …)`.

    With `redact` "all" it is the verb and the tables, `SELECT users`; with "off" the statement as it is. `dialect` is "mysql",
    "postgresql", "sqlite", or "" for any.
    """
    key = hash((statement, redact, dialect))
    known = _known.get(key)
    if known is None:
        if len(_known) >= _MOST_CACHED:
            _known.clear()
        text = statement if redact == "off" else _fold(statement, dialect)
        known = _known[key] = _shorten(_tables(text) if redact == "all" else text) or EMPTY
    return known


def _fold(statement: str, dialect: str) -> str:
    reader = _readers.get(dialect) or _reader(dialect)
    text = reader.sub(_show, statement[:_LONGEST_READ])
    text = _SPACE.sub(" ", text).strip(" ;")
    if "," in text:
        text = _ROWS.sub(r"\1, …", _LIST.sub("?, …", text))
    text = normalise(text, dialect)
    return text if len(statement) <= _LONGEST_READ else _CUT_OFF.sub(r"\1\2", text)


def _reader(dialect: str) -> re.Pattern[str]:
    names, comments, triples, marked, dollars = _DIALECTS[dialect]
    pattern = rf"""  # by the first character, as most can begin nothing
        (?=["'`]) (?: (?P<name> {names} ) | {triples} {_SINGLE} | "(?:[^"\\]|"")*(?:"|\\.*|\Z) | `[^`]*(?:`|\Z) )
      | (?=[-/\#]) (?P<comment> {comments} )
      | (?=[A-Za-z])\b (?: (?P<word> {_WORDS} ) | {marked} (?i:[bxner]|rb|br|n?q)(?: {triples} {_SINGLE} ) | (?<!["`]){_UUID} )
      | (?=[$%:?]) (?: {dollars} %\([^()]*\)[sbt] | %[sbt]\b | \?\d* | \$\d+ | (?<![:\w]):\w+ )
      | (?=[-+.\d])(?<![\w"`.]) (?: {_UUID} | [+-]?\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)? )
    """
    found = _readers[dialect] = re.compile(pattern, re.VERBOSE | re.DOTALL)
    return found


def _show(match: re.Match[str]) -> str:
    group = match.lastgroup
    return match[0] if group in ("name", "word") else " " if group == "comment" else "?"


def _tables(text: str) -> str:
    """Return the verb of a folded statement and the tables that it names."""
    first = _VERB.search(text)
    verb = first[0].upper() if first else ""
    if verb == "WITH":
        main = _MAIN_VERB.search(text)
        verb = main[1].upper() if main else verb
    return " ".join(dict.fromkeys([verb, *re.findall(_TABLE, text, re.IGNORECASE)]))


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
