"""Adds `traceparent` (W3C trace context) to what the open request, job or test sends. Only with `propagate = true`.

In: a function of a client library through which everything goes that is sent. Out: the function, which adds the header where
there is none: one that the program has set stays, and outside of a transaction nothing is added. What the program has made for
it is changed on a copy, or put back. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.adapter import drop_frame, hide_frames, look_like, outgoing_traceparent, owner_of, shielded

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_NAME = "traceparent"


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:  # nothing is timed
    """Let what `call` names add the header; a release that has no such function sends nothing by it."""
    found = owner_of(module, call)
    if found is not None:
        owner, name = found
        kept = vars(owner)[name]
        is_static = type(kept) is staticmethod
        plain = kept.__func__ if is_static else kept
        made = look_like(_MAKERS[module.__name__, call](plain), plain)
        patches.replace(owner, name, staticmethod(made) if is_static else made)


@hide_frames
def _http_client(plain: Any) -> Any:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        _put_header(self)
        try:
            return plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    return endheaders


@shielded(None)
def _put_header(connection: Any) -> None:
    if not any(line[:12].lower() == b"traceparent:" for line in connection._buffer):
        header = outgoing_traceparent()
        if header is not None:
            connection._buffer.append(f"{_NAME}: {header}".encode("ascii"))


@hide_frames
def _on_request(plain: Any) -> Any:
    """httpx: the request is the program's, which may send it again."""

    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        is_added = _add_to(request.headers)
        try:
            return plain(self, request, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        finally:
            if is_added:
                _take_from(request.headers)

    return send


@hide_frames
def _on_request_async(plain: Any) -> Any:
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        is_added = _add_to(request.headers)
        try:
            return await plain(self, request, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        finally:
            if is_added:
                _take_from(request.headers)

    return send


@hide_frames
def _on_aiohttp(plain: Any) -> Any:
    """The request is aiohttp's own, made for one sending."""

    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        _add_to(self.headers)
        try:
            return await plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    return send


@shielded(False)
def _add_to(headers: Any) -> bool:
    if _NAME in headers:
        return False
    header = outgoing_traceparent()
    if header is not None:
        headers[_NAME] = header
    return header is not None


@shielded(None)
def _take_from(headers: Any) -> None:
    headers.pop(_NAME, None)


@hide_frames
def _on_metadata(plain: Any) -> Any:
    """gRPC: metadata are pairs, and what comes of them is a new tuple or a Metadata of gRPC's own."""

    def augment(metadata: Any = None, *args: Any, **kwargs: Any) -> Any:
        try:
            return plain(_added_pair(metadata) or metadata, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    return augment


@shielded(None)
def _added_pair(metadata: Any) -> Any:
    if metadata is not None and not isinstance(metadata, tuple | list) and type(metadata).__name__ != "Metadata":
        return None  # an iterator can be read once
    pairs = tuple(metadata or ())
    header = None if any(pair[0].lower() == _NAME for pair in pairs) else outgoing_traceparent()
    return None if header is None else (*pairs, (_NAME, header))


_HEADERS = 4  # their place among the arguments of kombu's Producer._publish, behind self


@hide_frames
def _on_kombu(plain: Any) -> Any:
    def publish(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = _added_headers(args) or args
        try:
            return plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    return publish


@shielded(None)
def _added_headers(args: Any) -> Any:
    headers = args[_HEADERS]
    header = None if type(headers) is not dict or _NAME in headers else outgoing_traceparent()
    return None if header is None else (*args[:_HEADERS], {**headers, _NAME: header}, *args[_HEADERS + 1 :])


@hide_frames
def _on_pika(plain: Any) -> Any:
    def send_method(self: Any, method: Any, content: Any = None) -> Any:
        if type(method).__name__ == "Publish" and type(content) is tuple:
            content = (_added_property(content[0]) or content[0], *content[1:])
        try:
            return plain(self, method, content)
        except BaseException as error:
            drop_frame(error)
            raise

    return send_method


@shielded(None)
def _added_property(properties: Any) -> Any:
    cls: Any = sys.modules["pika.spec"].BasicProperties
    headers = properties.headers if type(properties) is cls else None
    if (properties is not None and type(properties) is not cls) or _NAME in (headers or {}):
        return None
    header = outgoing_traceparent()
    if header is None:
        return None
    copy = cls()
    if properties is not None:
        vars(copy).update(vars(properties))
    copy.headers = {**(headers or {}), _NAME: header}
    return copy


_MAKERS: dict[tuple[str, str], Any] = {
    ("http.client", "HTTPConnection.endheaders"): _http_client,
    ("httpx", "Client._send_single_request"): _on_request,
    ("httpx", "AsyncClient._send_single_request"): _on_request_async,
    ("httpx2", "Client._send_single_request"): _on_request,
    ("httpx2", "AsyncClient._send_single_request"): _on_request_async,
    ("aiohttp.client_reqrep", "ClientRequest.send"): _on_aiohttp,
    ("grpc._compression", "augment_metadata"): _on_metadata,
    ("grpc.aio._channel", "_BaseMultiCallable._init_metadata"): _on_metadata,
    ("kombu.messaging", "Producer._publish"): _on_kombu,
    ("pika.channel", "Channel._send_method"): _on_pika,
}
