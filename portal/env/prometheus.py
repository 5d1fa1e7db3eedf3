"""The other engine: a Prometheus-compatible server."""

from __future__ import annotations

from dataclasses import dataclass

from portal.env.fields import setting


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """Where that server is, and its bounds."""

    prometheus_url: str = setting(
        "",
        "Prometheus-compatible server that answers rules and superusers' charts in place of Postgres; under it lies"
        " `/api/v1/query`.",
        section="Prometheus",
        env="PROMETHEUS_URL",
        schemes=("http", "https"),
    )
    prometheus_token: str = setting("", "Bearer token for that server.", section="Prometheus", secret=True)
    prometheus_user: str = setting("", "User for that server, where it asks for basic auth.", section="Prometheus")
    prometheus_password: str = setting("", "The user's password.", section="Prometheus", secret=True)
    prometheus_tenant: str = setting("", "Tenant, sent as X-Scope-OrgID: Mimir.", section="Prometheus")
    prometheus_timeout: int = setting(
        30,
        "Longest that a query may take there, attempts included.",
        section="Prometheus",
        unit="seconds",
        low=1,
        high=600,
    )
    prometheus_max_bytes: int = setting(
        67_108_864, "Largest answer that is taken from there.", section="Prometheus", unit="bytes", low=65_536
    )
