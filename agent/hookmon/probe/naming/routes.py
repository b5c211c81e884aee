"""Shows routes that are regular expressions as a person would write them. In: a pattern. Out: a route with named variables.

Runs in the watched process, once for each route of a framework that has such.
"""

from __future__ import annotations

_LEFT_OUT = "^$?+*"  # ends, and how often: after a group they say little
_ANCHORS = "AZbBz"


def show_route(pattern: str) -> str:
    """Return a route with one slash before it. One that is no regular expression stays as it is: it has none of their signs.

    A named group is its name in angle brackets, another one that catches is `<var>`, as in Django's own `simplify_regex`; of one
    that does not catch the inside is shown.
    """
    if pattern.endswith(("$", "\\Z", "\\z")) or "^" in pattern or "(?" in pattern:
        pattern = _simplify(pattern)
    return "/" + pattern.lstrip("/")


def _simplify(pattern: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            following = pattern[at + 1]
            parts.append("" if following in _ANCHORS else f"\\{following}" if following.isalnum() else following)
            at += 2
        elif char == "[":
            end = _end_of_class(pattern, at)
            parts.append(pattern[at:end])
            at = end
        elif char == "(" and not pattern.startswith(("(?:", "(?i", "(?=", "(?!", "(?<"), at):
            end = _end_of_group(pattern, at)
            named = pattern.startswith("(?P<", at)
            parts.append(f"<{pattern[at + 4 : end].partition('>')[0]}>" if named else "<var>")
            at = end
        elif char == "(" and pattern.startswith("(?:", at):
            at += 3
        elif char == "(":  # it looks ahead or behind, or sets a flag
            at = _end_of_group(pattern, at)
        else:
            if char not in _LEFT_OUT and char != ")":
                parts.append(char)
            at += 1
    return "".join(parts)


def _end_of_class(pattern: str, at: int) -> int:
    """Return where what follows a class `[…]` begins; a bracket in the first place is one of its characters."""
    end = at + (3 if pattern.startswith("[^]", at) else 2)
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end + 1


def _end_of_group(pattern: str, at: int) -> int:
    """Return where what follows a group begins, with all groups inside it."""
    depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            at = _end_of_class(pattern, at)
            continue
        depth += (char == "(") - (char == ")")
        at += 2 if char == "\\" else 1
        if not depth:
            break
    return at
