"""Command lines without what is secret in them: they are kept in shards and run files, and shown in what is passed on.

In: the words of a command. Out: the same, `***` for what follows an option, a variable or a header with the name of a secret, and
for user and password of a URL. Runs on both sides of the process boundary; `re` is imported for a suspicious word only.
"""

from __future__ import annotations

redact = "literals"
"""With "all" a command is its program, of Python its script or module, too. Set before the first command is kept."""

HIDDEN = "***"
_WORDS = ("password", "passwd", "passphrase", "secret", "token", "key", "credential", "cookie", "authorization")
_PARTS = ("pass", "pwd", "auth")
"""What the name of a secret has in it, and what it is or has between dashes, dots and underscores."""
_USER = r"://[^\s\"']{1,500}@"
_VALUE = r"""(?<![\w.-])([\w.-]++)(["']?\s*+(?:=|(?<=["'])\s*:|:(?=\s))\s*)("[^"]*"|'[^']*'|[^\s"'&]+)"""


def mask(words: list[str]) -> list[str]:
    """Return a command as it may be kept."""
    if redact == "all":
        words = _program(words)
    if not any(_is_suspicious(word) for word in words):
        return words
    shown: list[str] = []
    is_value = False
    for word in words:
        shown.append(HIDDEN if is_value and not word.startswith("-") else _mask_one(word) if _is_suspicious(word) else word)
        is_value = word.startswith("-") and "=" not in word and _is_secret(word)
    return shown


def _is_suspicious(word: str) -> bool:
    return "://" in word or _is_secret(word)


def _is_secret(name: str) -> bool:
    """Say whether a name is one of a secret's, or a word has such a name in it."""
    lowered = name.lower()
    if any(word in lowered for word in _WORDS):
        return True
    return any(part in lowered for part in _PARTS) and not {*_PARTS}.isdisjoint(_split(lowered))


def _split(name: str) -> list[str]:
    return "".join(char if char.isalnum() else " " for char in name).split()


def _mask_one(word: str) -> str:
    if "=" not in word and ":" not in word:
        return word  # `pass` is the name of a secret, with no value
    import re

    name, sign, _ = word.partition("=")
    if not sign or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        name, sign, _ = word.partition(": ")
    if sign and _is_secret(name) and " " not in name.strip():
        return name + sign + HIDDEN  # whatever blanks are in it
    word = re.sub(_USER, f"://{HIDDEN}@", word)
    return re.sub(_VALUE, lambda found: found[1] + found[2] + HIDDEN if _is_secret(found[1]) else found[0], word)


def _program(words: list[str]) -> list[str]:
    """Return the program of a command and, of Python, what it runs."""
    kept = words[:1]
    if kept and kept[0].rpartition("/")[2].startswith("python"):
        for word in words[1:]:
            kept.append(word)
            if word == "-c" or not word.startswith("-"):
                break
    return kept
