"""Statements of random shape in the dialects that drivers speak, and what must not be seen of each.

A secret stands wherever a dialect lets one stand: in literals of every form, beside each other and in calls, in comments, in data
that follows a statement, and in bare words where accounts and settings are made. Literals have quotes and comment marks of other
dialects in them. Only what is valid in its own dialect is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Statement = tuple[str, str, list[str]]
"""The dialect, the text, the secrets in it."""

_NOISE = "?%s:a$1 -/*#\n[](),;`|=<>{}!"
_QUOTED = {  # a literal in its dialect, and what else may stand in it
    "'{}'": '"',
    "'it''s {}'": '"',
    "N'{}'": '"',
    "'{}\\'": '"',  # ends there for whom a backslash is nothing
    "'a\\'{}'": '"',
    '"{}"': "'",
    '"a ""{}"" b"': "'",
    '"a\\"{}"': "'",
    "E'a\\'{}'": '"',
    "U&'{}'": '"',
    "_utf8mb4'{}'": '"',
    "$${}$$": "'\"\\",
    "$tag$ it's {} $tag$": "'\"\\",
    "q'[it's {}]'": "'\"\\",
    "nq'!it's {}!'": "'\"\\",
    "q'<{}>'": '"\\',
    "'''it's {} '''": '"',
    "r'''it's {} '''": '"\\',
    '"""it"s {} """': "'",
    'r"""it"s {} """': "'\\",
    "r'{}'": '"',
    "b'{}'": '"',
}
_FORMS = {
    "postgresql": ("'{}'", "'it''s {}'", "'{}\\'", "E'a\\'{}'", "U&'{}'", "N'{}'", "$${}$$", "$tag$ it's {} $tag$"),
    "mysql": ("'{}'", "'it''s {}'", "'a\\'{}'", '"{}"', '"a ""{}"" b"', '"a\\"{}"', "N'{}'", "_utf8mb4'{}'"),
    "sqlite": ("'{}'", "'it''s {}'", "'{}\\'", '"{}"', '"a ""{}"" b"'),
    "oracle": ("'{}'", "'it''s {}'", "'{}\\'", "N'{}'", "q'[it's {}]'", "nq'!it's {}!'", "q'<{}>'"),
    "bigquery": (
        "'{}'",
        "'a\\'{}'",
        '"{}"',
        '"a\\"{}"',
        "'''it's {} '''",
        "r'''it's {} '''",
        '"""it"s {} """',
        'r"""it"s {} """',
        "b'{}'",
    ),
    "sql server": ("'{}'", "'it''s {}'", "'{}\\'", "N'{}'"),
    "clickhouse": ("'{}'", "'it''s {}'", "'a\\'{}'"),
    "cassandra": ("'{}'", "'it''s {}'", "$${}$$"),
}
_NUMBERS = ("{}", "-{}", "{}.{}", "{}e5", "+.{}")
_UUIDS = ("abcdef12-696d-4111-8888-00000{}", "12345678-696d-4111-8888-00000{}")

_QUERIES = (
    "SELECT a, b FROM t WHERE c = {} AND d IN ({}, {}, {}) OR e LIKE {}",
    "INSERT INTO t (a, b) VALUES ({}, {}), ({}, {})",
    "UPDATE t SET a = {}, b = concat({}, b) WHERE c BETWEEN {} AND {}",
    "DELETE FROM t WHERE a = {} OR b != {}",
    "WITH w AS (SELECT {} AS x) SELECT * FROM w JOIN t ON w.x = t.y AND t.z > {}",
    "SELECT f({}, g({})) FROM t HAVING count(*) > {}",
    "CALL p({}, {})",
    "SELECT {}; SELECT {}; SELECT a, {} FROM t",
)
_CALLS = (
    "SELECT TRIM(LEADING {} FROM {}) FROM t",
    "SELECT SUBSTRING({} FROM {} FOR 3)",
    "SELECT EXTRACT(DAY FROM {}), OVERLAY(a PLACING {} FROM {}) FROM t",
    "SELECT a FROM t WHERE b IS DISTINCT FROM {} AND c = {}",
)
_MORE = {  # `<>` is a bare word
    "postgresql": (
        *_CALLS,
        "SET app.token = <>",
        "SET app.token TO <>",
        "ALTER ROLE bob SET app.token = <>",
        "ALTER ROLE bob PASSWORD {}",
        "COPY t (a, b) FROM STDIN;\n<>\t{}\n\\.\n",
        'COPY t FROM STDIN WITH (FORMAT csv, QUOTE \'"\');\n<>,"<>"\n',
        "COPY t FROM 's3://x' ACCESS_KEY_ID <> SECRET_ACCESS_KEY <>",
        "SELECT a #>> '{{b}}', c FROM t WHERE d = {}",
    ),
    "mysql": (
        *_CALLS,
        "CREATE USER bob IDENTIFIED WITH mysql_native_password AS {}",
        "ALTER USER bob IDENTIFIED BY {}",
        "SET PASSWORD FOR bob = {}",
        "SET @a = {}, @b = {}",
        "SELECT a FROM t #> <>\nWHERE b = {}",
        "SELECT a FROM t #- <>\nWHERE b = {}",
    ),
    "sqlite": (
        "PRAGMA key = <>",
        "PRAGMA key = {}",
        "ATTACH DATABASE {} AS y KEY <>",
        "SELECT a FROM t WHERE b IS DISTINCT FROM {}",
    ),
    "oracle": ("ALTER USER bob IDENTIFIED BY <> REPLACE <>", "CREATE USER bob IDENTIFIED BY <> PASSWORD EXPIRE", *_CALLS[:1]),
    "bigquery": (),
    "sql server": (
        "EXEC sp_addlogin bob, <>",
        "EXECUTE dbo.sp_x @a = <>, @b = {}",
        "sp_addlogin bob, <>",
        "EXEC @r = sp_x {}, <>",
    ),
    "clickhouse": (
        "INSERT INTO t FORMAT TSV\n1\t<>\n",
        "INSERT INTO t (a, b) FORMAT CSV\n1,'<>\n",
        'INSERT INTO t FORMAT JSONEachRow {{"a": "<>"}}',
        "INSERT INTO t FORMAT CSV\n1;<>;2\n",
    ),
    "cassandra": ("SELECT a FROM t WHERE id = UUID AND b = {}", "ALTER ROLE bob WITH PASSWORD = {}"),
}
_COMMENTS = {
    "": (" -- <>\n", "/* <> */", "/* '<> */", '/* "<> */', " -- it's <>\n"),
    "mysql": (" # <>\n", " #'<>\n", "/*!50000 <> */"),
    "bigquery": (" # <>\n",),
    "postgresql": ("/* <> /* <> */ <> */",),
    "sql server": ("/* <> /* <> */ <> */",),
}


def statement(chance: random.Random, word: str = "") -> Statement:
    """Return a statement of a random dialect. With a `word` that is each secret in it, but for numbers."""
    dialect = chance.choice(list(_FORMS))
    frame = chance.choice(_MORE[dialect]) if _MORE[dialect] and chance.random() < 0.4 else chance.choice(_QUERIES)
    secrets: list[str] = []

    def secret(letters: str = "qxzvw", length: int = 6) -> str:
        made = "".join(chance.choice(letters) for _ in range(length))
        secrets.append(word if word and made.isalpha() else made)
        return secrets[-1]

    text = ""
    for part in _split(frame, ("{}", "<>", "UUID")):
        text += {"{}": lambda: _literal(dialect, secret, chance), "<>": secret, "UUID": lambda: _uuid(secret, chance)}.get(
            part, lambda part=part: part.replace("{{", "{").replace("}}", "}")
        )()
        if chance.random() < 0.1 and part == "{}":
            comment = chance.choice(_COMMENTS[""] + _COMMENTS.get(dialect, ()))
            text += "".join(secret() if piece == "<>" else piece for piece in _split(comment, ("<>",)))
    return dialect, text, secrets


def _literal(dialect: str, secret: Callable[..., str], chance: random.Random) -> str:
    if chance.random() < 0.2:
        form = chance.choice(_NUMBERS)
        return form.replace("{}", secret("123456789", 7), 1).replace("{}", "0")
    form = chance.choice(_FORMS[dialect])
    noise = "".join(chance.choice(_NOISE + _QUOTED[form]) for _ in range(chance.randrange(6)))
    if "$" in form:
        noise = noise.replace("$", "")
    if form.startswith(("q'", "nq'")):
        noise = noise.translate(str.maketrans("", "", "]!>"))
    if chance.random() < 0.3:
        noise = noise[: chance.randrange(3)].replace("\\", "")
    before, _, after = form.partition("{}")
    return before + noise + secret() + after


def _uuid(secret: Callable[..., str], chance: random.Random) -> str:
    return chance.choice(_UUIDS).replace("{}", secret("123456789", 7))


def _split(text: str, marks: tuple[str, ...]) -> list[str]:
    """Return a text in pieces, its marks by themselves."""
    pieces = [text]
    for mark in marks:
        pieces = [part for piece in pieces for part in _apart(piece, mark)]
    return pieces


def _apart(text: str, mark: str) -> list[str]:
    if mark not in text or text == mark:
        return [text]
    first, *others = text.split(mark)
    return [first, *(piece for part in others for piece in (mark, part))]
