"""SQL of eight dialects, made at random: no secret of it is seen, whole and cut off anywhere."""

from __future__ import annotations

import os
import random

from support.odd_statements import statement

from hookmon.probe.naming.fingerprint import fingerprint

ROUNDS = int(os.environ.get("HOOKMON_FUZZ", "1"))
"""How many times longer than usual."""

STATEMENTS = 4_000
KNOWN = ("mysql", "postgresql", "sqlite")


def test_no_secret_of_a_statement_is_seen() -> None:
    """By the filter for any dialect and by that for its own, of 200 characters at most; its number makes a statement again."""
    for number in range(STATEMENTS * ROUNDS):
        chance = random.Random(number)
        dialect, text, secrets = statement(chance)
        for read in (text, text[: chance.randrange(len(text))]):
            for redact in ("literals", "all"):
                for known in {"", dialect if dialect in KNOWN else ""}:
                    seen = fingerprint(read, redact, known)
                    assert not [secret for secret in secrets if secret in seen], (number, known, redact, read, seen)
                    assert 0 < len(seen) <= 200
