"""Traces as OTLP: requests in protobuf. Imports opentelemetry-proto, of the extra `hookmon[export]`.

In: traces. Out: the bytes of ExportTraceServiceRequest messages. What an endpoint answers has the form of that to metrics.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from hookmon import __version__
from hookmon.export.otlp import add_attributes
from hookmon.export.rows import Resource, Trace

_KINDS = {
    "internal": pb.Span.SPAN_KIND_INTERNAL,
    "server": pb.Span.SPAN_KIND_SERVER,
    "client": pb.Span.SPAN_KIND_CLIENT,
    "producer": pb.Span.SPAN_KIND_PRODUCER,
    "consumer": pb.Span.SPAN_KIND_CONSUMER,
}
_IS_KNOWN = pb.SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_IS_REMOTE = pb.SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


def encode_traces(resource: Resource, traces: Iterable[Trace]) -> bytes:
    """Return a request with these traces."""
    request = ExportTraceServiceRequest()
    whole = request.resource_spans.add()
    add_attributes(whole.resource.attributes, resource.attributes)
    scope = whole.scope_spans.add()
    scope.scope.name, scope.scope.version = "hookmon", __version__
    for trace in traces:
        _add_trace(scope, trace)
    return bytes(request.SerializeToString())


def _add_trace(scope: pb.ScopeSpans, trace: Trace) -> None:
    for at, span in enumerate(trace.spans):
        added = scope.spans.add()
        added.trace_id, added.span_id, added.parent_span_id = trace.trace_id, span.span_id, span.parent_id
        added.flags = trace.flags | _IS_KNOWN | (_IS_REMOTE if trace.is_remote and not at else 0)
        added.name, added.kind = span.name, _KINDS[span.kind]
        added.start_time_unix_nano, added.end_time_unix_nano = span.start_ns, span.end_ns
        add_attributes(added.attributes, span.attributes)
        if span.has_failed:
            added.status.code = pb.Status.STATUS_CODE_ERROR
        if trace.link is not None and not at:
            link = added.links.add()
            link.trace_id, link.span_id = trace.link.trace_id, trace.link.span_id
            link.flags = trace.link.flags | _IS_KNOWN | _IS_REMOTE
