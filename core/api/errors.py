"""Errors of the REST API beside the framework's own; `core.api.problems` writes them."""

from __future__ import annotations

from http import HTTPStatus

from rest_framework.exceptions import APIException


class Conflict(APIException):
    """The request does not fit the state that things are in."""

    status_code = HTTPStatus.CONFLICT
    default_detail = "This is not possible in the present state."
    default_code = "conflict"


class EditedMeanwhile(APIException):
    """Somebody else changed the object since it was read."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_detail = "It was changed since you read it: read it again, then send your change with its new ETag."
    default_code = "precondition_failed"


class Away(APIException):
    """Postgres does not answer."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "Postgres does not answer; try again in a few seconds."
    default_code = "unavailable"
