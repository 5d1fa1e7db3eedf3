"""Errors as problem details (RFC 9457): what went wrong, and where in the request, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar

from django.db import DataError, InterfaceError, OperationalError
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from core.api.errors import Away

MEDIA_TYPE = "application/problem+json"
Arguments = ParamSpec("Arguments")
T = TypeVar("T")


class FieldProblem(serializers.Serializer[Any]):
    """One field that is wrong; its name as in the request, with dots for what lies inside."""

    field = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # a field of that name


def answer_of(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error as problem details."""
    if isinstance(error, DataError | UnicodeEncodeError):
        error = ValidationError("The request holds a text or number that cannot be stored.")
    elif isinstance(error, OperationalError | InterfaceError):
        error = Away()
    response = exception_handler(error, context)
    if response is None:
        return None
    response.data = problem(response.status_code, response.data)
    response.content_type = MEDIA_TYPE
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "10"
    return response


def problem(status: int, data: Any) -> dict[str, Any]:
    """The body of an error; `data` is what DRF says of it."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if isinstance(data, Mapping) and set(data) == {"detail"}:
        return {**body, "detail": str(data["detail"])}
    errors = [{"field": field, "detail": text} for field, text in _fields(data)]
    named = [f"{one['field']}: {one['detail']}" if one["field"] else one["detail"] for one in errors]
    body["detail"] = "; ".join(named)
    return {**body, "errors": [one for one in errors if one["field"]]}


def _fields(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping):
        for name, inner in data.items():
            place = "" if name == "non_field_errors" else str(name)
            yield from _fields(inner, ".".join(part for part in (path, place) if part))
    elif isinstance(data, list | tuple):
        for number, inner in enumerate(data):
            yield from _fields(inner, path if isinstance(inner, ErrorDetail | str) else f"{path}.{number}".strip("."))
    else:
        yield path, str(data)


def refusals(*kinds: type[Exception]) -> Callable[[Callable[Arguments, T]], Callable[Arguments, T]]:
    """Answers with the fields that a named write refuses; `kinds` are its exceptions, which have `errors`."""

    def decorate(write: Callable[Arguments, T]) -> Callable[Arguments, T]:
        @wraps(write)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> T:
            try:
                return write(*args, **kwargs)
            except kinds as refused:
                errors: dict[str, str] = getattr(refused, "errors", {})
                raise ValidationError({name: [text] for name, text in errors.items()}) from refused

        return checked

    return decorate
