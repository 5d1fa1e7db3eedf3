"""The OpenAPI schema as a file, and the page of the manual that lists its resources."""

from __future__ import annotations

from typing import Any

import yaml
from drf_spectacular.generators import SchemaGenerator

TAGS = {
    "rules": "Rules and their groups",
    "alerts": "Alerts, flips, deliveries",
    "channels": "Channels",
    "runbooks": "Runbooks",
    "records": "Records, receipts, dead letters",
    "telemetry": "Traces and logs",
    "boards": "Boards, coverage, tools",
    "cost": "Prices, budgets, cost",
    "people": "People, workspaces, keys",
    "portal": "The portal",
    "prometheus": "Prometheus's HTTP API",
}
HEAD = """# Resources of the REST API

Made from the OpenAPI schema by `manage.py generate`; [api.md](api.md#resources) says what they have in common. The
schema itself is [openapi.yaml](openapi.yaml), served at `/api/schema/`; `/api/docs/` shows it with every field, and
sends requests.
"""


def schema() -> dict[str, Any]:
    """The whole schema."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


def schema_file() -> str:
    """As YAML."""
    return yaml.safe_dump(_plain(schema()), sort_keys=False, allow_unicode=True, width=140)


def resources_page() -> str:
    """docs/resources.md."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            description = " ".join(operation.get("description", "").split())
            names = [f"`{one['name']}`" for one in operation.get("parameters", []) if one["in"] == "query"]
            row = f"| `{method.upper()}` | `{path}` | {description} | {', '.join(names)} |"
            by_tag.setdefault(operation["tags"][0], []).append(row)
    parts = [HEAD]
    for tag in sorted(by_tag, key=lambda one: (list(TAGS).index(one) if one in TAGS else len(TAGS), one)):
        head = (
            f"## {TAGS.get(tag, tag.capitalize())}\n\n"
            "| method | address | what | parameters |\n| --- | --- | --- | --- |\n"
        )
        parts.append(head + "\n".join(by_tag[tag]) + "\n")
    return "\n".join(parts)


def _plain(value: Any) -> Any:
    """Texts, numbers, lists and mappings only: what lazy texts and subclasses become in YAML."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
