"""How the OpenAPI schema describes what all resources share: problems, editions and repeated requests."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from core.api.problems import MEDIA_TYPE, Problem

IF_MATCH = OpenApiParameter(
    "If-Match", str, "header", description="The ETag that was read; 412 if it is not the present one."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, "header", description="Any text, 255 characters at most: sent again, nothing is made twice."
)
WORKSPACE = OpenApiParameter("workspace", str, description="Only of this workspace; else of all that the caller sees.")
ETAG = OpenApiParameter("ETag", str, "header", response=[200, 201], description="The edition, for If-Match.")
ALWAYS = (400, 401, 403, 404, 406, 429, 503)


class ResourceSchema(AutoSchema):
    """Adds what the base classes of `core.api.resources` do."""

    def get_override_parameters(self) -> list[Any]:
        """The headers."""
        given = list(super().get_override_parameters())
        action = getattr(self.view, "action", "")
        if getattr(self.view, "is_scoped", False) and action in ("list", "panel", "backtest"):
            given.append(WORKSPACE)
        if action == "create":
            given.append(IDEMPOTENCY_KEY)
        if getattr(self.view, "is_editable", False):
            if action in ("partial_update", "destroy"):
                given.append(IF_MATCH)
            if action in ("create", "retrieve", "partial_update"):
                given.append(ETAG)
        return given

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        """Every error as a problem."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        codes = [*ALWAYS, *((409, 412, 413, 415) if self.method != "GET" else ())]
        for code in codes:
            answer = self._get_response_for_code(Problem, str(code), media_types=[MEDIA_TYPE])  # type: ignore[no-untyped-call]
            bodies.setdefault(str(code), answer)
        return bodies
