"""One request of OTLP over HTTP, and what became of it. Imports opentelemetry-proto, of the extra `hookmon[export]`.

In: a body. Out: nothing, or a Failure that says whether to try again and when. Blocks for the timeout at most; no redirects are
followed: headers may hold a key.
"""

from __future__ import annotations

import gzip
import http.client
import urllib.error
import urllib.request
import zlib
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any

from hookmon import __version__
from hookmon.core.record import Record
from hookmon.export.names import clean
from hookmon.export.otlp import read_answer
from hookmon.export.settings import OtlpSettings

_RETRIED = frozenset((408, 429, 502, 503, 504))
_OF_A_ROW = frozenset((400, 413, 422, 500))
_MOST_BYTES = 65_536
_LONGEST_WAIT_S = 3_600.0


class Failure(Record, frozen=True):
    """What went wrong, as one line. `status` is that of HTTP, 0 where there was no answer of it.

    `is_of_a_row` says that it may be about one series of many: Prometheus refuses a whole request for one. `wait_s` is how long
    the endpoint wants to be left alone. `has_answered` is false where nobody was there or said anything. `is_passing` says that
    the same request may be taken a little later.
    """

    line: str
    status: int = 0
    wait_s: float = 0.0
    has_answered: bool = True

    @property
    def is_of_a_row(self) -> bool:
        """Say whether it may be about a single row."""
        return self.status in _OF_A_ROW

    @property
    def is_passing(self) -> bool:
        """Say whether it is worth to try again soon."""
        return self.status in _RETRIED or self.status in (0, 500)


class Poster:
    """Sends to one endpoint. `refused` counts points that were taken out of requests that were taken; `said` is why."""

    def __init__(self, settings: OtlpSettings) -> None:
        self._settings = settings
        self._opener = urllib.request.build_opener(_NoRedirect)
        self.refused = 0
        self.said = ""

    def post(self, body: bytes, longest_s: float = _LONGEST_WAIT_S) -> Failure | None:
        """Send a request, in `longest_s` at most; return what went wrong."""
        settings = self._settings
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": f"hookmon/{__version__}", **settings.headers}
        if settings.compression != "none":
            body = gzip.compress(body, 1) if settings.compression == "gzip" else zlib.compress(body, 1)
            headers["Content-Encoding"] = settings.compression
        timeout_s = max(0.05, min(settings.timeout_s, longest_s))
        request = urllib.request.Request(settings.url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                return self._take(_read(answer, monotonic() + timeout_s), answer.status)
        except urllib.error.HTTPError as error:
            with error:
                wait_s = _wait_s(error.headers.get("Retry-After", "")) if error.code in _RETRIED else 0.0
                return Failure(f"it answered {error.code} {clean(str(error.reason))[:60]}", error.code, wait_s)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            return Failure(f"{type(error).__name__}: {clean(str(reason))[:120]}", has_answered=False)

    def _take(self, body: bytes, status: int) -> Failure | None:
        answer = read_answer(body)
        if answer is None:
            return Failure(f"it answered {status}, and what is no answer of OTLP")
        refused, self.said = answer[0], answer[1] or self.said
        self.refused += refused
        return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: the answer is a failure then."""


def _read(answer: http.client.HTTPResponse, end: float) -> bytes:
    """Return the body, of which no more is read than an answer has, nor longer. Raises TimeoutError."""
    found = b""
    while len(found) < _MOST_BYTES:
        part = answer.read1(_MOST_BYTES)
        if not part:
            break
        found += part
        if monotonic() > end:
            raise TimeoutError("its answer does not end")
    return found


def _wait_s(text: str) -> float:
    """Return what Retry-After says: seconds, or a date; 0 for anything else."""
    text = text.strip()
    try:
        found = float(text) if text.isdecimal() and text.isascii() else parsedate_to_datetime(text).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(found, 0.0), _LONGEST_WAIT_S)
