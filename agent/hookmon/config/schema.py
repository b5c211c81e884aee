"""A JSON Schema of hookmon.toml, made from the table of settings, for editors that complete and check TOML."""

from __future__ import annotations

from hookmon.config import checks
from hookmon.config.settings import (
    FLAG,
    NAMED_TABLES,
    NUMBER,
    ONE_OR_MORE,
    PAIRS,
    REPEATED_TABLES,
    ROOT,
    TEXT,
    TEXTS,
    USER,
    Setting,
    settings_of,
    tables_of,
)
from hookmon.core.plan import KINDS, REDACTIONS

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_TYPES: dict[str, dict[str, Any]] = {
    TEXT: {"type": "string"},
    FLAG: {"type": "boolean"},
    TEXTS: {"type": "array", "items": {"type": "string"}},
    NUMBER: {"type": "number", "minimum": 0},
    ONE_OR_MORE: {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    PAIRS: {"type": "object", "additionalProperties": {"type": "string"}},
}

_NARROWER: dict[Any, dict[str, Any]] = {
    checks.kind: {"enum": list(KINDS)},
    checks.redact: {"enum": list(REDACTIONS)},
    checks.share: {"pattern": r"^(off|\s*[0-9.]+\s*%\s*)$"},
    checks.calls: {"minItems": 1},
    checks.duration: {"pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|min)\s*$"},
    checks.part: {"pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"},
    checks.growth: {"pattern": r"^\s*\+\s*[0-9]+(\.[0-9]+)?\s*%\s*$"},
    checks.rate: {"type": "integer", "maximum": checks.MOST_SAMPLES},
    checks.repetition: {"minimum": checks.FEWEST_REPEATED},
}
"""What a schema can say of a check; the rest `hookmon config` says."""


def schema(packs: list[str]) -> dict[str, Any]:
    """Return the schema of the user's file; `packs` are the names that may be enabled and disabled."""
    root = _table(ROOT)
    for name in tables_of(USER):
        table = _table(name)
        if name in REPEATED_TABLES:
            table = {"type": "array", "items": table}
        elif name in NAMED_TABLES:
            table = {"type": "object", "additionalProperties": table}
        head, _, below = name.partition(".")
        if below:
            whole = root["properties"].setdefault(head, {"type": "object", "additionalProperties": False, "properties": {}})
            whole["properties"][below] = table
        else:
            root["properties"][name] = table  # before those below it
    for key, names in (("enable", packs), ("disable", [*packs, "*"])):
        root["properties"]["packs"]["properties"][key]["items"] = {"enum": names}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "hookmon.toml", **root}


def _table(name: str) -> dict[str, Any]:
    settings = settings_of(name, USER)
    table: dict[str, Any] = {"type": "object", "additionalProperties": False}
    table["properties"] = {key: _setting(setting) for key, setting in settings.items()}
    needed = [setting for setting in settings.values() if setting.default is None]
    required = [setting.key for setting in needed if setting.instead not in settings]
    table |= {"required": required} if required else {}
    for setting in needed:
        if setting.instead in settings:
            table["oneOf"] = _one_of(setting.key, setting.instead)
    return table


def _one_of(key: str, instead: str) -> list[dict[str, Any]]:
    """Return that a table has the one key, or the other one with a text that is not empty."""
    return [
        {"required": [key], "properties": {instead: {"maxLength": 0}}},
        {"required": [instead], "properties": {instead: {"minLength": 1}}, "not": {"required": [key]}},
    ]


def _setting(setting: Setting) -> dict[str, Any]:
    found = {"description": setting.help, **_TYPES.get(setting.type, {}), **_NARROWER.get(setting.check, {})}
    is_limit = setting.table in NAMED_TABLES  # no limit is the absence of the key
    return found if setting.default is None or is_limit else found | {"default": setting.default}
