"""A client of Jaeger's query APIs."""

import json
from typing import Any

from django.test import Client
from django.utils import timezone

from core.accounts.keys import create_key
from core.accounts.models import Workspace


class Jaeger:
    """A client with a key, as a data source is set up."""

    def __init__(self, slug: str = "demo") -> None:
        workspace = Workspace.objects.get_or_create(slug=slug, defaults={"name": slug})[0]
        _, self.key = create_key("grafana", workspace, ["query"])
        self.client = Client()

    def ask(self, path: str, status: int = 200) -> Any:
        answer = self.client.get(path, HTTP_AUTHORIZATION=f"Bearer {self.key}")
        assert answer.status_code == status, answer.content
        return json.loads(answer.content)

    def data(self, path: str) -> Any:
        body = self.ask(path)
        assert set(body) == {"data", "total", "limit", "offset", "errors"}
        assert body["errors"] is None
        return body["data"]


def window() -> tuple[int, int]:
    """The last hour in microseconds."""
    end = int(timezone.now().timestamp() * 1e6)
    return end - 3_600_000_000, end
