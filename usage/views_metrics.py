"""/metrics: the catalog's families from Postgres, then the process's own, which django-prometheus keeps."""

from __future__ import annotations

import gzip
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from usage.exposition import OPENMETRICS, PLAIN, exposition


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Plain text, or OpenMetrics where the client accepts it; gzip where it accepts that."""
    token = settings.PORTAL.metrics_token
    if token and not secrets.compare_digest(request.headers.get("Authorization", ""), f"Bearer {token}"):
        return HttpResponse(
            "send the token as `Authorization: Bearer <token>`\n", status=401, content_type="text/plain"
        )
    openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
    encode, _ = choose_encoder(OPENMETRICS if openmetrics else "text/plain; version=0.0.4")
    body = exposition(openmetrics).encode() + encode(REGISTRY)
    response = HttpResponse(content_type=OPENMETRICS if openmetrics else PLAIN)
    response["Vary"] = "Accept, Accept-Encoding"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, compresslevel=1)
        response["Content-Encoding"] = "gzip"
    response.content = body
    return response
