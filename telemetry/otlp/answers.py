"""The answers of OTLP/HTTP: in the type of the request, errors as google.rpc.Status."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from django.http import HttpResponse
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
REJECTED = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}
# gRPC's codes for what HTTP says.
CODES = {
    HTTPStatus.BAD_REQUEST: 3,
    HTTPStatus.UNAUTHORIZED: 16,
    HTTPStatus.FORBIDDEN: 7,
    HTTPStatus.METHOD_NOT_ALLOWED: 12,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: 8,  # not OUT_OF_RANGE, with which OTLP's clients try again
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: 3,
    HTTPStatus.TOO_MANY_REQUESTS: 8,
    HTTPStatus.SERVICE_UNAVAILABLE: 14,
}


class Problem(Exception):
    """Why a request is refused; `retry_after` are seconds after which it may be sent again, 0 where it should not
    be."""

    def __init__(self, status: HTTPStatus, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    @property
    def code(self) -> int:
        """gRPC's code."""
        return CODES[self.status]


def error(problem: Problem, media_type: str) -> HttpResponse:
    """The answer to a request that is refused."""
    if media_type == PROTOBUF:
        body = Status(code=problem.code, message=problem.message).SerializeToString()
    else:
        body = msgspec.json.encode({"code": problem.code, "message": problem.message})
    response = HttpResponse(body, status=problem.status, content_type=media_type)
    if problem.retry_after:
        response["Retry-After"] = str(problem.retry_after)
    if problem.status is HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    if problem.status is HTTPStatus.METHOD_NOT_ALLOWED:
        response["Allow"] = "POST"
    return response


def success(signal: str, media_type: str, refused: int, message: str) -> HttpResponse:
    """The answer to a request that was taken, of which some may have been refused."""
    if media_type == PROTOBUF:
        return HttpResponse(response_of(signal, refused, message).SerializeToString(), content_type=PROTOBUF)
    partial = {"partialSuccess": {REJECTED[signal]: str(refused), "errorMessage": message}} if refused else {}
    return HttpResponse(msgspec.json.encode(partial), content_type=JSON)


def response_of(
    signal: str, refused: int, message: str
) -> ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse:
    """The protobuf message of a success."""
    if signal == "traces":
        traces = ExportTracePartialSuccess(rejected_spans=refused, error_message=message)
        return ExportTraceServiceResponse(partial_success=traces if refused else None)
    if signal == "metrics":
        metrics = ExportMetricsPartialSuccess(rejected_data_points=refused, error_message=message)
        return ExportMetricsServiceResponse(partial_success=metrics if refused else None)
    logs = ExportLogsPartialSuccess(rejected_log_records=refused, error_message=message)
    return ExportLogsServiceResponse(partial_success=logs if refused else None)
