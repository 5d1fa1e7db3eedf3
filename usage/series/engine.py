"""6 series: which of the two engines answers a reader."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings

from promql import Listing
from usage.series.remote import RemoteEngine, credentials
from usage.series.source import PostgresSource


def source_for(workspaces: Collection[str] | None) -> Listing:
    """The series that a reader of these workspaces (None: all) may see.

    Where PROMETHEUS_URL is set, that server answers who may see all. Its series do not say of which workspace they are,
    so who may see some is answered from Postgres.
    """
    portal = settings.PORTAL
    if workspaces is not None or not portal.prometheus_url:
        return PostgresSource(workspaces)
    return RemoteEngine(
        portal.prometheus_url, credentials(portal), portal.prometheus_timeout, portal.prometheus_max_bytes
    )
