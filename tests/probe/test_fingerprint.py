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
    "hexadecimal": ("SELECT 0xFF", "SELECT ?"),
    "digits in names": ("SELECT c1, t2.c3 FROM t2", "SELECT c1, t2.c3 FROM t2"),
    "quoted name": ('SELECT "a1" FROM "t 2"', None),
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
    "one row": ("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (?, …)"),
    "rows": ("INSERT INTO t VALUES (1, 'a'), (2, 'b'),(3,'c')", "INSERT INTO t VALUES (?, …), …"),
    "rows of one": ("INSERT INTO t VALUES (1), (2)", "INSERT INTO t VALUES (?), …"),
    "dollar quotes": ("SELECT $$it's$$, $tag$ $$ $tag$", "SELECT ?, ?"),
    "open dollar quote": ("SELECT $$never ends", "SELECT ?"),
    "qmark": ("SELECT ?, ?1", "SELECT ?, ?"),
    "format": ("SELECT %s", "SELECT ?"),
    "pyformat": ("SELECT %(name)s", "SELECT ?"),
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
    assert text.startswith("INSERT INTO t VALUES (?, …), …")
    assert "secret" not in text


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
}


@pytest.mark.parametrize("name", SURVIVING)
def test_no_literal_of_another_dialect_survives(name: str):
    """Where dialects differ, more is hidden."""
    text = fingerprint(SURVIVING[name])
    assert SECRET not in text
    assert "141" not in text


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

    started = time.perf_counter()
    fingerprint(part * (20_000 // len(part)))
    assert time.perf_counter() - started < 2
