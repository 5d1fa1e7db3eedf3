"""OTLP over gRPC: the bodies of OTLP/HTTP behind another transport, with the same keys, limits and promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
from django.db import close_old_connections
from django.utils import timezone
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from telemetry.ingest import bodies
from telemetry.otlp.answers import Problem, response_of
from telemetry.otlp.callers import caller_of
from telemetry.otlp.refusals import refusals

PACKAGE = "opentelemetry.proto.collector"
SERVICES = {
    f"{PACKAGE}.trace.v1.TraceService": "traces",
    f"{PACKAGE}.metrics.v1.MetricsService": "metrics",
    f"{PACKAGE}.logs.v1.LogsService": "logs",
}
STATUSES = {status.value[0]: status for status in grpc.StatusCode}


def make_server(address: str, *, threads: int, max_bytes: int) -> grpc.Server:
    """A server on `host:port`, not started yet; `max_bytes` bounds a message, unpacked. Raises RuntimeError where the
    port cannot be had."""
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="otlp-grpc"),
        handlers=[
            # Without a deserializer messages stay bytes: bodies are decoded in one place, for both transports.
            grpc.method_handlers_generic_handler(
                service, {"Export": grpc.unary_unary_rpc_method_handler(partial(export, signal))}
            )
            for service, signal in SERVICES.items()
        ],
        options=[("grpc.max_receive_message_length", max_bytes), ("grpc.so_reuseport", 0)],
        # More are turned away, and try again.
        maximum_concurrent_rpcs=threads * 4,
    )
    server.add_insecure_port(address)
    return server


def export(signal: str, body: bytes, context: grpc.ServicerContext) -> bytes:
    """Make a request durable; the serialized answer. What is refused ends the call with its status."""
    close_old_connections()
    try:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        with refusals():
            answer = bodies.take(f"{signal}.protobuf", body, caller_of(metadata), timezone.now().timestamp())
        return bytes(response_of(signal, answer.refused, answer.message).SerializeToString())
    except Problem as problem:
        context.set_trailing_metadata((("grpc-status-details-bin", details_of(problem)),))
        context.abort(STATUSES[problem.code], problem.message)
        raise
    finally:
        close_old_connections()


def details_of(problem: Problem) -> bytes:
    """google.rpc.Status of a refusal, which says whether and when to try again."""
    status = Status(code=problem.code, message=problem.message)
    if problem.retry_after:
        retry = RetryInfo()
        retry.retry_delay.seconds = problem.retry_after
        status.details.add().Pack(retry)
    return bytes(status.SerializeToString())
