"""Hides what is left when the literals of a statement are gone: names that are made for one use, and secrets without quotes.

In: the folded text of one or more statements. Out: the same with `?` in their places, without data behind a statement. Runs in
the watched process.

Made for one use are savepoints, cursors and prepared statements, and what of any name is a UUID, hexadecimal or a long number.
Secrets without quotes are legal where accounts and settings are made: `IDENTIFIED BY x` (Oracle), `ACCESS_KEY_ID x` (Redshift),
`SET app.token = x` (PostgreSQL), `PRAGMA key = x` (SQLCipher), `EXEC sp_addlogin bob, x` (SQL Server).
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HANDLE = r'(?:"[^"]*"|`[^`]*`|[^\s(),;]+)'
_FETCH = ((rf"((?:FETCH|MOVE)(?: \S+)*?(?: FROM| IN)?) {_HANDLE}(?=\Z| INTO\b)", r"\1 ?"),)
_RULES = {
    "SAVEPOINT": ((rf"(SAVEPOINT) {_HANDLE}", r"\1 ?"),),
    "SAVE": ((rf"(SAVE TRAN(?:SACTION)?) {_HANDLE}", r"\1 ?"),),
    "RELEASE": ((rf"(RELEASE(?: SAVEPOINT)?) {_HANDLE}\Z", r"\1 ?"),),
    "ROLLBACK": (
        (rf"(ROLLBACK(?: WORK| TRANSACTION)? TO(?: SAVEPOINT)?) {_HANDLE}\Z", r"\1 ?"),
        (rf"(ROLLBACK TRAN(?:SACTION)?) {_HANDLE}\Z", r"\1 ?"),
    ),
    "DECLARE": ((rf"(DECLARE) {_HANDLE}(?=(?: \w+)* CURSOR\b)", r"\1 ?"),),
    "FETCH": _FETCH,
    "MOVE": _FETCH,
    "CLOSE": ((rf"(CLOSE) (?!ALL\Z){_HANDLE}\Z", r"\1 ?"),),
    "PREPARE": ((rf"(PREPARE) (?!TRANSACTION\b){_HANDLE}", r"\1 ?"),),
    "EXECUTE": ((r'(EXECUTE) (?!IMMEDIATE\b)(?:"[^"]*"|[\w?]+)(?= ?\(| USING\b|\Z)', r"\1 ?"),),
    "DEALLOCATE": ((rf"(DEALLOCATE(?: PREPARE)?) (?!ALL\Z){_HANDLE}\Z", r"\1 ?"),),
    "SET": (
        (r"(SET(?: LOCAL| SESSION)? (?:ROLE|SCHEMA|AUTHORIZATION|SESSION AUTHORIZATION)) .+", r"\1 ?"),
        (r"(SET [^=]*?) ?(:?=).+", r"\1 \2 ?"),
        (r"(SET (?:(?! TO )[^=])* TO) .+", r"\1 ?"),
    ),
    "ALTER": ((r"(ALTER (?:ROLE|USER|DATABASE|SYSTEM|SESSION)\b.*? SET [\w.]+)(?: TO | ?= ?).+", r"\1 = ?"),),
    "PRAGMA": ((r"(PRAGMA [^\s=(]+) ?=.+", r"\1 = ?"), (r"(PRAGMA [^\s=(]+) ?\(.+", r"\1(?)")),
    "CONNECT": ((r"(CONNECT) .+", r"\1 ?"),),
}
"""{verb: (pattern behind it, replacement) …}."""

_KEEPERS = frozenset(
    ("ADMINISTER", "ALTER", "ATTACH", "BACKUP", "COPY", "CREATE", "EXPORT", "GRANT", "IMPORT", "OPEN", "RESTORE", "SET", "UNLOAD")
)
"""Verbs of statements that may hold a secret without quotes."""
_OF_COLUMNS = r"\A\w+(?: \w+){0,4}? (?:TABLE|VIEW|INDEX|FUNCTION|PROCEDURE|TRIGGER|TYPE|DOMAIN)\b.*"
"""Of those, what only names columns."""
_ACCOUNT = r"\b(IDENTIFIED) (?:BY|WITH|AS|USING|VIA)\b.*"
_SECRET = (
    r"\b(?=\w*(?:PASSWORD|PASSWD|PWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|KEY))(\w+(?: ?=)? ?)(?<=[ =])"
    r"(?!(?:AS|FOR|FROM|IN|IS|MANAGEMENT|ON|SET|TO|WITH)\b)[^\s(),;=?][^\s(),;]*"
)
_STDIN = r"(\bFROM STDIN)\b.*"
_FORMAT = r"((?:\A|; ?)INSERT [^;]*? FORMAT (?!(?:FROM|AS)\b)\w+).*"  # of ClickHouse
_PROCEDURE = (
    r"(\bEXEC(?:UTE)? (?!(?:ON|TO|AS|FUNCTION|PROCEDURE)\b)(?:@\w+ ?= ?)?[^\s(),;]+|(?:\A|; ?)[sx]p_\w+) (?!\(|USING\b).*"
)
_GENERATED = r"(?<![^\W_])(?:[0-9a-f]{8}([-_])(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{8,})(?![^\W_])|\d{5,}"
_TEMPORARY = r"""\bTEMP(?:ORARY)? TABLE (?:IF NOT EXISTS )?["`]?[\w?]+"""
_NUMBERED = r"""(\bAS ["`]?)?\b(?!u?int\d|float\d|decimal\d|datetime\d|n?varchar\d|utf\d)[a-z_]\w*(?<=\d\d)\b"""
_AMBIGUOUS = r"""[()]|\b(?:SELECT|DELETE)\b|\b(?:(DISTINCT|FOR|KEY) )?(FROM|UPDATE) "[^"]*\""""
_DIGIT = re.compile(r"\d")

_compiled: dict[str, re.Pattern[str]] = {}
"""Patterns that have been used: most programs need few of them."""


def normalise(text: str, dialect: str) -> str:
    """Return folded statements with `?` for what is made for one use. Equal statements in a row become one."""
    upper = text.upper()
    if dialect != "postgresql" and _may_show_strings(upper):
        text = _drop_strings(text)
    if "STDIN" in upper:
        text = _replace(_STDIN, r"\1", text)
    if " FORMAT " in upper:
        text = _replace(_FORMAT, r"\1", text)
    if not dialect and ("EXEC" in upper or "P_" in upper):
        text = _replace(_PROCEDURE, r"\1 ?", text)
    if ";" not in text:
        return _normalise_one(text)
    found: list[str] = []
    for part in text.split(";"):
        statement = _normalise_one(part.strip(" "))
        if found[-1:] == [statement]:
            found.append("…")
        elif statement and found[-2:] != [statement, "…"]:
            found.append(statement)
    return "; ".join(found)


def mask_generated(text: str, mark: str = "?") -> str:
    """Return a text whose UUIDs, long numbers and hexadecimal are `mark`."""
    return _replace(_GENERATED, mark, text) if _DIGIT.search(text) else text


def _normalise_one(text: str) -> str:
    verb = text.partition(" ")[0].upper()
    for pattern, replacement in _RULES.get(verb, ()):
        text = _replace(r"\A" + pattern, replacement, text)
    if verb in _KEEPERS:
        text = _replace(_ACCOUNT, r"\1 ?", text)
        if _replace(_OF_COLUMNS, "", text):
            text = _replace(_SECRET, r"\1?", text)
    if _DIGIT.search(text):
        text = _replace(_GENERATED, "?", _drop_numbers(text))
        text = _replace(_TEMPORARY, lambda match: _replace(r"\d+", "?", match[0]), text)
    return text


def _replace(pattern: str, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
    return (_compiled.get(pattern) or _compile(pattern)).sub(replacement, text)


def _compile(pattern: str) -> re.Pattern[str]:
    found = _compiled[pattern] = re.compile(pattern, re.IGNORECASE)
    return found


def _drop_numbers(text: str) -> str:
    """Return a statement whose aliases end in `?` where they ended in two digits or more: `AS a17` comes from a counter."""
    numbered = _compiled.get(_NUMBERED) or _compile(_NUMBERED)
    aliases = {match[0][len(match[1]) :] for match in numbered.finditer(text) if match[1]}
    if not aliases:
        return text

    def show(match: re.Match[str]) -> str:
        before = match[1] or ""
        name = match[0][len(before) :]
        return before + (name.rstrip("0123456789") + "?" if name in aliases else name)

    return numbered.sub(show, text)


def _may_show_strings(upper: str) -> bool:
    at = upper.find("(")
    return 0 <= at < upper.rfind('FROM "') or any(words in upper for words in ('DISTINCT FROM "', 'FOR UPDATE "', 'KEY UPDATE "'))


def _drop_strings(text: str) -> str:
    """Return a statement without strings of MySQL in places where others have a table: `TRIM("a" FROM "b")`."""
    selects = [True]  # by parentheses that are open: whether a FROM in it names a table

    def show(match: re.Match[str]) -> str:
        part = match[0]
        if part == "(":
            selects.append(False)
        elif part == ")":
            selects[1:] = selects[1:-1]
        elif not match[2]:
            selects[-1] = True
        elif match[1] or (match[2].upper() == "FROM" and not selects[-1]):
            return part.partition('"')[0] + "?"
        return part

    return _replace(_AMBIGUOUS, show, text)
