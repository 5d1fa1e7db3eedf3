"""`Idempotency-Key`: a POST that is sent again is answered as before, and does nothing a second time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts.holder import KeyHolder
from core.api.errors import Conflict
from core.api.models import AnsweredRequest

KEPT = timedelta(days=1)
HEADER = "Idempotency-Key"


def once(handler: Callable[..., Response], hidden: frozenset[str]) -> Callable[..., Response]:
    """The handler of a POST, run once per `Idempotency-Key` of a caller. `hidden` fields (secrets) are null in a
    repeated answer."""

    def answer(request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER, "")
        if not key:
            return handler(request, *args, **kwargs)
        if len(key) > 255 or not key.isprintable():
            raise ValidationError({HEADER: "must be at most 255 printable characters"})
        wanted = {"holder": holder_of(request), "key": key}
        asked = hashlib.sha256(f"{request.get_full_path()}\n".encode() + request.body).hexdigest()
        AnsweredRequest.objects.filter(at__lt=timezone.now() - KEPT).delete()
        with transaction.atomic():
            try:
                with transaction.atomic():
                    row = AnsweredRequest.objects.create(**wanted, request=asked)
            except IntegrityError:
                return _again(AnsweredRequest.objects.get(**wanted), asked)
            response = handler(request, *args, **kwargs)
            body = response.data
            row.body = {**body, **dict.fromkeys(hidden & set(body))} if isinstance(body, dict) else body
            row.status = response.status_code
            row.save(update_fields=["status", "body"])
        return response

    return answer


def holder_of(request: Request) -> str:
    """Who sent it."""
    person = request.user
    return f"key {person.key.pk}" if isinstance(person, KeyHolder) else f"user {person.pk}"


def _again(row: AnsweredRequest, asked: str) -> Response:
    if row.request != asked:
        raise Conflict(f"This {HEADER} was sent with another request; use a new one.")
    return Response(row.body, status=row.status, headers={"Idempotency-Replayed": "true"})
