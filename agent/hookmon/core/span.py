"""Span templates, `"quote {arg0}"`: what a name may be made of.

A template is text with fields in braces; `{{` and `}}` are braces. A field is a root, attribute names and at most one
filter: `{arg0}`, `{sku}`, `{self.table}`, `{request.url|host}`; of several paths with commas between, the first that leads to
a text or number that is not empty is read: `{url.text, url}`. Roots: `arg0`, `arg1`… (positional, without `self`), the name
of a parameter, `self`, `class` (the name of self's class), `function` (the target's name; `function.name` is its last part), and
where a call has returned `result`. Where callbacks are registered there are besides `callable` (`callable.name`,
`callable.module`), `object` (what it is a method of) and `method`. After the root, a name is that of an attribute or the key of a
dictionary, a number the place in a tuple or list: `{environ.REQUEST_METHOD}`, `{result.0.rule}`. Fields are only read: no
property, no `__str__` and no `__getattr__` of the program runs. Checked before the start, compiled in the probe.
"""

from __future__ import annotations

FILTERS = {
    "upper": "in capitals",
    "lower": "in small letters",
    "word": "up to the first blank",
    "command": "a Redis command in capitals, with its second word where it needs one: CONFIG GET",
    "host": "host of a URL, with its port unless that is the scheme's own; `*` for one from 32768 on of this machine, which is "
    "another one in each run",
    "peer": "the same of an object with `host` and `port`, or of a host by itself",
    "port": "a port to stand behind a host, `:8080`; nothing for 80, 443 and none",
    "file": "the last part of a path",
    "program": "of a command line, text or list, the name of the program",
    "method": "a method of HTTP in capitals, OTHER for one that is not known",
    "route": "with one slash before it",
    "regex": "a route that is a regular expression, as a person would write it: `/books/<pk>/` for `^books/(?P<pk>[0-9]+)/$`",
    "member": "the last part of a dotted name without an underscore before it: `get` of `Cache.get`",
    "resource": "of a URL or a path the first word that is no version: `customers` of `/v1/customers/cus_7`",
    "endpoint": "of a path the first word with an underscore before it: `_search` of `/goods/_search`; what is no path is itself",
    "name": "a path as it is seen from the folder that the program was started in; digits are none, the next field counts",
    "test": "the identifier of a test without its parameters",
    "callable": "the qualified name of a callable",
    "sql": "a statement without its literals",
    "mysql": "the same, of a statement of that dialect: more of it can be shown",
    "postgresql": "the same",
    "sqlite": "the same",
    "generic": "a name whose UUIDs, hexadecimal and long numbers are `*`",
    "queue": "the same of a queue, `(reply)` where nothing else is left",
}
"""What a filter makes of a value, by its name."""

TYPE_CHECKING = False  # type checkers read it as true; importing typing would cost the watched program 2 ms
if TYPE_CHECKING:
    Field = tuple[tuple[tuple[str, ...], ...], str]  # paths of root and attributes, filter or ""
    Part = str | Field


def parse(template: str) -> list[Part]:
    """Return the template's parts in order: text as it is, fields as (((root, attribute…), …), filter).

    Raises ValueError, whose text says what is wrong and what is allowed.
    """
    parts: list[Part] = []
    text = ""
    at = 0
    while at < len(template):
        char = template[at]
        if template[at : at + 2] in ("{{", "}}"):
            text += char
            at += 2
        elif char == "{":
            end = template.find("}", at)
            if end < 0:
                raise ValueError(f"the brace at character {at + 1} is never closed; write {{{{ for a brace")
            if text:
                parts.append(text)
                text = ""
            parts.append(_field(template[at + 1 : end]))
            at = end + 1
        elif char == "}":
            raise ValueError(f"the brace at character {at + 1} closes nothing; write }}}} for a brace")
        else:
            text += char
            at += 1
    if text:
        parts.append(text)
    return parts


def fixed_name(template: str) -> str:
    """Return the name that the template gives to everything, "" where it has fields. Raises ValueError as `parse` does."""
    parts = parse(template)
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if len(texts) == len(parts) else ""


def _field(inside: str) -> Field:
    text, bar, filter_name = inside.partition("|")
    paths = tuple(tuple(path.strip().split(".")) for path in text.split(","))
    filter_name = filter_name.strip()
    if not all(path[0].isidentifier() and all(_is_step(name) for name in path[1:]) for path in paths):
        allowed = "{arg0}, {parameter}, {self.attribute}, {class}, {function}"
        raise ValueError(f"{{{inside}}} is not a field; allowed: {allowed}")
    if bar and filter_name not in FILTERS:
        raise ValueError(f"{{{inside}}}: there is no filter {filter_name!r}; allowed: {', '.join(FILTERS)}")
    return paths, filter_name


def _is_step(name: str) -> bool:
    return name.isidentifier() or (name.isascii() and name.isdigit())
