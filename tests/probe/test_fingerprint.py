"""SQL without what is in it."""

from __future__ import annotations

import random

import pytest

from hookmon.probe.fingerprint import fingerprint

TABLE = {
    "plain": ("SELECT a FROM t", "SELECT a FROM t"),
    "string": ("SELECT * FROM t WHERE a = 'bob'", "SELECT * FROM t WHERE a = ?"),
    "empty string": ("SELECT ''", "SELECT ?"),
    "doubled quote": ("SELECT 'it''s', 1", "SELECT ?, ?"),
    "escaped quote": (r"SELECT 'it\'s', 1", "SELECT ?"),
    "prefixed": ("SELECT E'a', N'b', x'ff', b'01'", "SELECT ?, ?, ?, ?"),
    "integer": ("SELECT 42", "SELECT ?"),
    "negative": ("SELECT -42, a-5", "SELECT ?, a-?"),
    "decimal": ("SELECT 4.25, .5, 1., 1e9, 1.5E-3", "SELECT ?, ?, ?, ?, ?"),
    "hexadecimal": ("SELECT 0xFF, 0XfF", "SELECT ?, ?"),
    "octal and binary": ("SELECT 0b1010, 0o17", "SELECT ?, ?"),
    "numbers with many dots": ("SELECT 127.0.0.1, 1.2.3", "SELECT ?, ?"),
    "digits in names": ("SELECT c1, t2.c3 FROM t2", "SELECT c1, t2.c3 FROM t2"),
    "quoted table": ('SELECT a FROM "t 2" JOIN "s" ON a = b', 'SELECT a FROM "t 2" JOIN "s" ON a = b'),
    "quoted names beside dots": ('SELECT "t"."a", "s"."t".* FROM "s"."t"', 'SELECT "t"."a", "s"."t".* FROM "s"."t"'),
    "quoted names where a string may stand": ('SELECT "a" FROM t WHERE b = "c"', "SELECT ? FROM t WHERE b = ?"),
    "quoted columns": ('INSERT INTO "t" ("a", "b") VALUES (%s, "c")', 'INSERT INTO "t" ("a", "b") VALUES (?, …)'),
    "quoted column to set": ('UPDATE "t" SET "a" = "b" WHERE "t"."c" = 1', 'UPDATE "t" SET "a" = ? WHERE "t"."c" = ?'),
    "backticks": ("SELECT `t`.`a` FROM `t 2` WHERE b = `c`", "SELECT `t`.`a` FROM `t 2` WHERE b = `c`"),
    "line comment": ("SELECT a -- who\nFROM t", "SELECT a FROM t"),
    "block comment": ("SELECT /* why\n */ a", "SELECT a"),
    "open comment": ("SELECT a /* never ends 'x'", "SELECT a"),
    "comment in string": ("SELECT '-- no', a", "SELECT ?, a"),
    "string in comment": ("SELECT a -- it's\n, 'b'", "SELECT a , ?"),
    "white space": ("SELECT\t a\n\n  FROM   t ; ", "SELECT a FROM t"),
    "in list": ("SELECT a FROM t WHERE b IN (1, 2, 3)", "SELECT a FROM t WHERE b IN (?, …)"),
    "in list of one": ("SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (?)"),
    "in list of strings": ("SELECT a FROM t WHERE b IN ('x','y')", "SELECT a FROM t WHERE b IN (?, …)"),
    "in list of placeholders": ("SELECT a FROM t WHERE b IN (%s,%s,%s)", "SELECT a FROM t WHERE b IN (?, …)"),
    "in list with casts": ("SELECT a FROM t WHERE b IN ($1::INT, $2::INT)", "SELECT a FROM t WHERE b IN (?, …)"),
    "in list over lines": ("SELECT a FROM t WHERE b IN (\n  1,\n  2\n)", "SELECT a FROM t WHERE b IN (?, …)"),
    "array": ("SELECT ARRAY[1, 2, 3]", "SELECT ARRAY[?, …]"),
    "row with gaps": ("INSERT INTO t VALUES (1, NULL, DEFAULT, true)", "INSERT INTO t VALUES (?, …)"),
    "rows with functions": ("INSERT INTO t VALUES (1, now()), (2, now())", "INSERT INTO t VALUES (?, now()), …"),
    "one row": ("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (?, …)"),
    "rows": ("INSERT INTO t VALUES (1, 'a'), (2, 'b'),(3,'c')", "INSERT INTO t VALUES (?, …), …"),
    "rows of one": ("INSERT INTO t VALUES (1), (2)", "INSERT INTO t VALUES (?), …"),
    "dollar quotes": ("SELECT $$it's$$, $tag$ $$ $tag$", "SELECT ?, ?"),
    "open dollar quote": ("SELECT $$never ends", "SELECT ?"),
    "qmark": ("SELECT ?, ?1", "SELECT ?, ?"),
    "format": ("SELECT %s", "SELECT ?"),
    "pyformat": ("SELECT %(name)s, %(a b)s", "SELECT ?, ?"),
    "psycopg's own": ("SELECT %b, %t, %(a)b", "SELECT ?, ?, ?"),
    "named": ("SELECT :name", "SELECT ?"),
    "numeric": ("SELECT $1, $22", "SELECT ?, ?"),
    "cast": ("SELECT a::int, :b::text", "SELECT a::int, ?::text"),
    "open string": ("SELECT 'never ends", "SELECT ?"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("name", [name for name, (_, after) in TABLE.items() if after is not None])
def test_a_statement_is_folded(name: str):
    """Literals become ?, lists and rows one."""
    before, after = TABLE[name]
    assert fingerprint(before) == after


def test_a_fingerprint_is_short():
    """200 characters, the last one says that there was more."""
    text = fingerprint("SELECT " + ", ".join(f"column_{letter * 9}" for letter in "abcdefghijklmnopqrstuvwxyz"))
    assert len(text) == 200
    assert text.endswith("…")


def test_folding_twice_changes_nothing():
    """A fingerprint is its own."""
    for before, _ in TABLE.values():
        assert fingerprint(fingerprint(before)) == fingerprint(before)


def test_a_long_statement_is_read_in_part():
    """A megabyte of rows costs no megabyte."""
    statement = "INSERT INTO t VALUES " + ", ".join(f"({each}, 'secret{each}')" for each in range(50_000))
    text = fingerprint(statement)
    assert text == "INSERT INTO t VALUES (?, …), …"


SECRET = "s3cr3t"
LITERALS = {
    "quoted": "'{}'",
    "with quotes": "'it''s {} isn''t'",
    "with escapes": r"'a\'{}\\'",
    "with lines": "'a\n{}\nb'",
    "dollar": "$$ {} $$",
    "tagged": "$x$ {} 'x' $x$",
    "line comment": "1 -- {}\n",
    "block comment": "/* {} */ 2",
    "number": "77{}",
    "decimal": "-77{}.{}",
    "prefixed": "E'{}'",
    "with placeholder": "'%s :a ? $1 {}'",
    "with comment marks": "'/* -- {}'",
}


@pytest.mark.parametrize("name", LITERALS)
def test_no_literal_survives(name: str):
    """Wherever it stands."""
    secret = "4111111" if "{}" in LITERALS[name] and name in ("number", "decimal") else SECRET
    literal = LITERALS[name].replace("{}", secret)
    chance = random.Random(name)
    frames = [
        "SELECT a FROM t WHERE b = {} AND c = {}",
        "INSERT INTO t (a, b) VALUES ({}, {}), ({}, {})",
        "UPDATE t SET a={}",
        "SELECT * FROM t WHERE a IN ({},{},{}) OR b LIKE {}",
        "CALL f({})",
    ]
    for frame in frames:
        for cut in (None, chance.randrange(10, 60), chance.randrange(10, 60)):
            statement = frame.replace("{}", literal)[:cut]
            assert secret not in fingerprint(statement), statement


def test_random_mixtures_of_literals_hide_all_of_them():
    """Literals of every kind beside each other."""
    chance = random.Random(3)
    kinds = [each for name, each in LITERALS.items() if name not in ("number", "decimal")]
    for _ in range(500):
        parts = [chance.choice(kinds).replace("{}", SECRET) for _ in range(chance.randrange(1, 6))]
        statement = "SELECT " + ", ".join(parts) + " FROM t"
        assert SECRET not in fingerprint(statement), statement


SURVIVING = {
    "backslash at the end": r"SELECT a FROM t WHERE path = 'C:\' AND token = 's3cr3t'",
    "double quotes of MySQL": 'SELECT a FROM t WHERE token = "s3cr3t!"',
    "hash comment of MySQL": "SELECT a # s3cr3t",
    "nested comment of PostgreSQL": "SELECT a /* x /* y */ s3cr3t */",
    "digits with underscores": "SELECT 3_141_592_653",
    "double quotes like a name": 'SELECT a FROM t WHERE token = "s3cr3t"',
    "double quotes in a list": 'SELECT a FROM t WHERE b IN ("s3cr3t", "s3cr3t")',
    "double quotes in rows": 'INSERT INTO t VALUES ("s3cr3t", 1), (2, "s3cr3t")',
    "double quotes in a call": 'SELECT upper("s3cr3t"), concat(a, "s3cr3t")',
    "double quotes in a set": 'UPDATE t SET a = "s3cr3t", b = "s3cr3t" WHERE c LIKE "s3cr3t"',
    "double quotes with a backslash": 'SELECT a FROM t WHERE b = "\\"s3cr3t"',
    "open double quotes": 'SELECT a FROM t WHERE b = "s3cr3t',
    "open backtick": "SELECT a FROM t WHERE b = `s3cr3t",
    "backticks around no name": "SELECT a FROM t WHERE b = `s3cr3t!`",
    "Unicode escapes": "SELECT U&'s3cr3t', _utf8'141'",
    "MySQL's own comments": "SELECT a /*!50000 s3cr3t */ FROM t",
}


@pytest.mark.parametrize("name", SURVIVING)
def test_no_literal_of_another_dialect_survives(name: str):
    """Where dialects differ, more is hidden."""
    text = fingerprint(SURVIVING[name])
    assert SECRET not in text
    assert "141" not in text


def _literal(chance: random.Random) -> tuple[str, str]:
    """Return a literal of any dialect, in a place where one can stand, and what of it must not be seen."""
    word = "".join(chance.choice("qxzvw") for _ in range(6))
    number = str(chance.randrange(10**6, 10**7))
    noise = "".join(chance.choice("?%s:a$1 -/*#\n[](),;") for _ in range(chance.randrange(6)))
    digits = [number, f"-{number}", f"{number}.{number}", f"{number}e5", f"0x{number}", f"{number}::int", f"+.{number}"]
    if chance.random() < 0.3:
        return chance.choice(digits), number
    quoted = ["'{}'", "'it''s {}'", "E'{}'", "N'{}'", "x'{}'", '"{}"', '"a ""{}"" b"', "$${}$$", "$t$ ' {} $t$"]
    inside = word if chance.random() < 0.5 else noise.replace("$", "") + word
    return chance.choice(quoted).format(inside), word


def _statement(chance: random.Random) -> tuple[str, list[str]]:
    """Return a statement of random shape, white space and comments, and all that must not be seen of it."""
    frames = [
        "SELECT a, b FROM t WHERE c = {} AND d IN ({}, {}, {}) OR e LIKE {}",
        "INSERT INTO t (a, b) VALUES ({}, {}), ({}, {})",
        "UPDATE t SET a = {}, b = concat({}, b) WHERE c BETWEEN {} AND {}",
        "DELETE FROM t WHERE a = {} OR b <> {} LIMIT 5",
        "WITH w AS (SELECT {} AS x) SELECT * FROM w JOIN t ON w.x = t.y AND t.z > {}",
        "SELECT f({}, g({})) FROM `t` HAVING count(*) > {}",
        "CALL p({}, {})",
    ]
    secrets = []
    parts = chance.choice(frames).split("{}")
    text = parts[0]
    for part in parts[1:]:
        literal, secret = _literal(chance)
        secrets.append(secret)
        text += literal + part
    comment = "".join(chance.choice("qxzvw") for _ in range(6))
    if chance.random() < 0.5:
        text += chance.choice([" -- {}", " /* {} */", " # {}", "/* '{}"]).format(comment)
        secrets.append(comment)
    return text, secrets


@pytest.mark.parametrize("redact", ["literals", "all"])
def test_no_literal_of_a_random_statement_survives(redact: str):
    """Any mixture of shapes, dialects and comments, whole and cut off anywhere."""
    chance = random.Random(11)
    for _ in range(3_000):
        statement, secrets = _statement(chance)
        for text in (statement, statement[: chance.randrange(len(statement))]):
            seen = fingerprint(text, redact)
            assert not [secret for secret in secrets if secret in seen], (text, seen)


ALL = {
    "select": ("SELECT a, b FROM users WHERE c = 'x'", "SELECT users"),
    "join": ("SELECT * FROM a x JOIN s.b ON x.i = b.i LEFT JOIN `c` USING (i)", "SELECT a s.b `c`"),
    "insert": ('insert into "orders" ("a") values (1)', 'INSERT "orders"'),
    "update": ("UPDATE users SET a = 1 WHERE b IN (SELECT c FROM d)", "UPDATE users d"),
    "delete": ("DELETE FROM ONLY users", "DELETE users"),
    "with": ("WITH w AS (SELECT 1 FROM a) INSERT INTO b SELECT * FROM w", "INSERT a b w"),
    "subquery": ("SELECT * FROM (SELECT a FROM b) x, LATERAL (SELECT 1) y", "SELECT b"),
    "create": ("CREATE TABLE IF NOT EXISTS t (a int)", "CREATE t"),
    "neither": ("SET password = 'x'", "SET"),
    "a name that could be a string": ('SELECT a FROM t WHERE b = "c"', "SELECT t"),
    "twice": ("SELECT 1 FROM t JOIN t ON true", "SELECT t"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("name", ALL)
def test_all_leaves_verb_and_tables(name: str):
    """No column, no condition."""
    before, after = ALL[name]
    assert fingerprint(before, "all") == after


def test_off_leaves_the_statement_as_it_is():
    """Up to 200 characters of it."""
    statement = "SELECT 'x'  FROM\tt"
    assert fingerprint(statement, "off") == statement
    assert fingerprint(statement) == "SELECT ? FROM t"
    assert len(fingerprint("SELECT 'x', " * 100, "off")) == 200


def test_random_text_never_raises_nor_hangs():
    """Whatever a program sends."""
    chance = random.Random(5)
    alphabet = "'\"\\$-/*()?,%s:a1 \n" + "é\udc80"
    for _ in range(1_000):
        fingerprint("".join(chance.choice(alphabet) for _ in range(chance.randrange(300))))


@pytest.mark.parametrize("part", ["'", "(", "(?,", "$a$", "/*", "-", "\\", "' '", "?,", " ", "(?),", ":", "1.", "1e"])
def test_hostile_statements_take_no_longer(part: str):
    """No pattern runs away: 20,000 characters are done at once."""
    import time

    started = time.process_time()
    fingerprint(part * (20_000 // len(part)))
    assert time.process_time() - started < 2
