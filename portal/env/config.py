"""All settings in one type, and what is wrong between settings that are each right."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import re2

from portal.env.alerts import Alerts
from portal.env.places import Places, Processes
from portal.env.prometheus import Prometheus
from portal.env.records import Records, Retention
from portal.env.telemetry import OwnTraces, Telemetry
from portal.env.web import SignIn, Web


# A dataclass takes the fields of its last base first: pages and docs show the sections from the bottom up.
@dataclass(frozen=True, kw_only=True)
class Config(
    OwnTraces,
    Prometheus,
    Alerts,
    Telemetry,
    Retention,
    Records,
    SignIn,
    Web,
    Processes,
    Places,
):
    """The portal's settings, typed. Sizes are bytes, times are seconds unless the name states otherwise."""

    @property
    def public_url(self) -> str:
        """Where people reach the portal, without a trailing slash."""
        return self.base_url.rstrip("/") or f"http://{self.local_host}:{self.port}"

    @property
    def local_host(self) -> str:
        """A host name under which this machine reaches its own web server, as it stands in a URL."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 compared, not bound
        return f"[{host}]" if ":" in host else host

    @property
    def spool(self) -> Path:
        """The spool's folder."""
        return self.spool_dir or self.data_dir / "spool"


def contradictions(config: Config) -> list[str]:
    """What is wrong between settings that are each right."""
    wrong = []
    if config.database_url and "postgres" in config.roles:
        wrong.append("PORTAL_ROLES: names postgres, but DATABASE_URL says that Postgres is elsewhere; keep one")
    if bool(config.proxy_user_header) != bool(config.proxy_addresses):
        wrong.append("PORTAL_PROXY_USER_HEADER: needs PORTAL_PROXY_ADDRESSES, and the other way round")
    for address in config.proxy_addresses:
        try:
            ip_network(address)
        except ValueError as error:
            wrong.append(f"PORTAL_PROXY_ADDRESSES: {error}")
    if config.body_max_unpacked_bytes < config.body_max_bytes:
        wrong.append("PORTAL_BODY_MAX_UNPACKED_BYTES: must be at least PORTAL_BODY_MAX_BYTES")
    other = (config.prometheus_token, config.prometheus_user, config.prometheus_password, config.prometheus_tenant)
    if any(other) and not config.prometheus_url:
        wrong.append("PROMETHEUS_URL: missing, while other settings of that server are there")
    try:
        re2.compile(config.telemetry_mask)
    except re2.error as error:
        wrong.append(f"PORTAL_TELEMETRY_MASK: no regular expression: {error}")
    if config.prometheus_token and config.prometheus_user:
        wrong.append("PORTAL_PROMETHEUS_TOKEN: PORTAL_PROMETHEUS_USER is set too; keep one")
    if bool(config.prometheus_user) != bool(config.prometheus_password):
        wrong.append("PORTAL_PROMETHEUS_USER: needs PORTAL_PROMETHEUS_PASSWORD, and the other way round")
    return wrong
