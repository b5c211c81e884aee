"""The `traceparent` with which a request or a message comes (W3C trace context), read off the arguments of an entry's call.

In: an entry's kind and its arguments. Out: the header's value, which nobody has looked at yet; `ids` reads it where it is needed.
No code of the program runs for it, and nothing else of the headers is kept. Runs in the watched process, with the pure engine;
the compiled one does the same in C.

A request's is in the environ of WSGI (PEP 3333), in the scope of ASGI, or on aiohttp's request; a message's among the `headers`
of an argument: pika's properties, aio-pika's message, a record of kafka-python or aiokafka. What comes twice is none.
"""

from __future__ import annotations

from types import FunctionType, GetSetDescriptorType

from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import MISSING, attribute, on_class_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST = 512
_MOST_LOOKED_AT = 4
_NAME = "traceparent"
_IN_ENVIRON = "HTTP_TRACEPARENT"
_NO_MESSAGES = (str, int, bytes, tuple, list, dict, type(None), FunctionType)


@shielded(None)
def find_origin(kind: str, arguments: tuple[object, ...]) -> object:
    """Return the header that an entry's call comes with, None where there is none."""
    is_request = kind == "request"
    looked_at = arguments[:_MOST_LOOKED_AT]
    for argument in looked_at if is_request else ():
        if type(argument) is dict:
            value = argument.get(_IN_ENVIRON, MISSING)
            return checked(value) if value is not MISSING else in_headers(argument.get("headers"))
    for argument in looked_at:
        if type(argument) in _NO_MESSAGES:
            continue
        message = attribute(argument, "_message") if is_request else argument
        found = in_headers(_field(message, "raw_headers" if is_request else "headers"))
        if found is not None:
            return found
    return None


def _field(value: Any, name: str) -> Any:
    """Return an attribute, also of a type in C, whose getters run no code of the program."""
    on_class = on_class_of(value, name) if value is not MISSING else MISSING
    return on_class.__get__(value) if type(on_class) is GetSetDescriptorType else attribute(value, name)


def checked(value: object) -> object:
    """Return a header's value if it may be one, else None."""
    return value if type(value) in (str, bytes) and len(value) <= _LONGEST else None  # type: ignore[arg-type]


def in_headers(headers: Any) -> object:
    """Return the value of the one such header among headers: a dictionary, or pairs. None where there is none, or several."""
    if type(headers) is dict:
        return checked(headers.get(_NAME))
    pairs = headers if type(headers) in (list, tuple) else ()
    found = [pair[1] for pair in pairs if type(pair) in (list, tuple) and len(pair) == 2 and _is_name(pair[0])]
    return checked(found[0]) if len(found) == 1 else None


def _is_name(name: Any) -> bool:
    if type(name) not in (str, bytes) or len(name) != len(_NAME):
        return False
    text: str = name.decode("latin-1") if type(name) is bytes else name
    return text.isascii() and text.lower() == _NAME
