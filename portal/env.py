"""Every setting of the portal, read strictly from the environment, in one place.

A field of `Config` is a setting: its type says how the text is parsed, its metadata says what it means. The settings
page and docs/settings.md are made from these fields. An unknown `PORTAL_…` name, a value that does not parse or is out of
its bounds stops the start with one line that names it. For each setting `NAME_FILE` is read instead of `NAME` (for
secrets that are mounted).
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

PREFIX = "PORTAL_"
DEFAULT_DATA_DIR = Path(".data")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


class ConfigError(Exception):
    """The environment cannot be used; the message names each setting that is wrong, one per line."""


def setting(
    default: Any,
    doc: str,
    *,
    section: str,
    env: str = "",
    unit: str = "",
    secret: bool = False,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    schemes: tuple[str, ...] = (),
) -> Any:
    """A field of `Config`. `env` overrides the name (default: PORTAL_ and the field's name in capitals).

    `low` and `high` bound a number, `choices` are the words of a list, `schemes` what a URL may start with.
    """
    meta = {"doc": doc, "section": section, "env": env, "unit": unit, "secret": secret}
    return field(default=default, metadata={**meta, "low": low, "high": high, "choices": choices, "schemes": schemes})


@dataclass(frozen=True, kw_only=True)
class Config:
    """The portal's settings, typed. Sizes are bytes, times are seconds unless the name says otherwise."""

    # -- where things are
    data_dir: Path = setting(
        DEFAULT_DATA_DIR, "Folder of the embedded Postgres, the spool and the generated secret.", section="Places"
    )
    database_url: str = setting(
        "",
        "Postgres 15 or newer, `postgresql://user:password@host/name`. Empty: embedded Postgres.",
        section="Places",
        env="DATABASE_URL",
        schemes=("postgresql", "postgres"),
        secret=True,
    )
    broker_url: str = setting(
        "",
        "Celery broker: `redis://…` or `amqp://…`. Empty: the queue lives in the same Postgres.",
        section="Places",
        env="CELERY_BROKER_URL",
        schemes=("redis", "rediss", "amqp", "amqps"),
        secret=True,
    )
    spool_dir: Path | None = setting(
        None, "Folder of records accepted while Postgres is away. Empty: `spool` in the data folder.", section="Places"
    )
    # -- processes
    roles: tuple[str, ...] = setting(
        (),
        "What `up` starts, comma-separated: `postgres`, `web`, `worker`, `beat`. Empty: all that is needed.",
        section="Processes",
        choices=("postgres", "web", "worker", "beat"),
    )
    web_workers: int = setting(2, "Web server processes.", section="Processes", low=1, high=64)
    web_threads: int = setting(
        8, "Threads of each web server process; each holds a Postgres connection.", section="Processes", low=1, high=64
    )
    worker_concurrency: int = setting(
        4,
        "Tasks that a Celery worker runs at once; each holds a Postgres connection.",
        section="Processes",
        low=1,
        high=64,
    )
    database_wait: int = setting(
        60, "How long `up` waits for Postgres to answer.", section="Processes", unit="seconds", low=0
    )
    # -- web
    host: str = setting("127.0.0.1", "Address that the web server binds.", section="Web")
    port: int = setting(8000, "Port of the web server.", section="Web", low=1, high=65535)
    base_url: str = setting(
        "",
        "Address under which people reach the portal; links in messages start with it. Empty: http://host:port.",
        section="Web",
        schemes=("http", "https"),
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Host names that requests may carry, comma-separated. Empty: the host of the base URL and loopback.",
        section="Web",
    )
    secret_key: str = setting(
        "",
        "Signs sessions and encrypts stored secrets. Empty: made once and kept in the data folder.",
        section="Web",
        secret=True,
    )
    trusted_proxy: bool = setting(
        False,
        "A proxy in front sets X-Forwarded-Proto (and drops what clients send): believe it that a request came by https.",
        section="Web",
    )
    debug: bool = setting(False, "Django's debug pages. Never in production.", section="Web")
    metrics_token: str = setting("", "Bearer token that /metrics asks for. Empty: open.", section="Web", secret=True)
    # -- records in
    body_max_bytes: int = setting(8_388_608, "Largest request body as sent.", section="Records", unit="bytes", low=1024)
    body_max_unpacked_bytes: int = setting(
        67_108_864,
        "Largest request body after gunzip; unpacking stops there.",
        section="Records",
        unit="bytes",
        low=1024,
    )
    batch_max_records: int = setting(20_000, "Most records in one request.", section="Records", low=1)
    label_max_length: int = setting(
        200, "Longest value of a label (provider, model, team …).", section="Records", unit="characters", low=8
    )
    attributes_max_bytes: int = setting(
        8_192, "Largest `attributes` of a record, as JSON.", section="Records", unit="bytes", low=0
    )
    record_max_age: int = setting(
        86_400, "Oldest `at` that a record may carry.", section="Records", unit="seconds", low=60
    )
    record_max_ahead: int = setting(
        600, "How far ahead of the server's clock `at` may be.", section="Records", unit="seconds", low=0
    )
    dimensions_per_kind: int = setting(
        10_000, "Most label sets of a kind; further ones count as `__overflow__`.", section="Records", low=1
    )
    key_rate: int = setting(
        600, "Requests per minute for a key that has no rate of its own. 0: no limit.", section="Records", low=0
    )
    spool_max_bytes: int = setting(
        1_073_741_824, "Largest spool; past it records are answered 503.", section="Records", unit="bytes", low=0
    )
    gauge_hold: int = setting(
        3_600, "A gauge keeps its last value this long, then has none.", section="Records", unit="seconds", low=15
    )
    # -- retention
    retention_records_days: int = setting(
        30, "Days that raw records and receipts are kept.", section="Retention", unit="days", low=2
    )
    retention_15s_days: int = setting(3, "Days that 15 s rollups are kept.", section="Retention", unit="days", low=2)
    retention_5m_days: int = setting(60, "Days that 5 min rollups are kept.", section="Retention", unit="days", low=2)
    retention_1h_days: int = setting(400, "Days that 1 h rollups are kept.", section="Retention", unit="days", low=2)
    # -- rules and notifications
    evaluation_delay: int = setting(
        15,
        "Rules are evaluated this far behind now, so that late records count.",
        section="Alerts",
        unit="seconds",
        low=0,
        high=3600,
    )
    evaluation_catch_up: int = setting(
        3600,
        "After downtime, missed evaluations are made up for this far back.",
        section="Alerts",
        unit="seconds",
        low=0,
    )
    email_url: str = setting(
        "",
        "SMTP server, `smtp://user:password@host:587?tls=starttls` (or smtps://). Empty: email cannot be sent.",
        section="Alerts",
        env="EMAIL_URL",
        schemes=("smtp", "smtps"),
        secret=True,
    )
    email_from: str = setting("llm-usage-portal@localhost", "Sender of email.", section="Alerts")
    outbound_private: bool = setting(
        False, "Allow notifications to private, loopback and link-local addresses.", section="Alerts"
    )

    # -- the other engine
    prometheus_url: str = setting(
        "",
        "Prometheus-compatible server that answers rules and superusers' charts in place of Postgres; under it lies `/api/v1/query`.",
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


def env_name(f: dataclasses.Field[Any]) -> str:
    """The environment variable of a field of `Config`."""
    return f.metadata["env"] or PREFIX + f.name.upper()


def parse(text: str, kind: Any) -> Any:
    """`text` as a value of the type `kind`; ValueError says what was expected."""
    if kind is bool:
        if text.lower() not in TRUE | FALSE:
            raise ValueError("expected true or false")
        return text.lower() in TRUE
    if kind is int:
        if not WHOLE_NUMBER.fullmatch(text):
            raise ValueError("expected a whole number")
        return int(text)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind in (Path, Path | None):
        return Path(text).expanduser().absolute()
    return text


def check(value: Any, meta: Mapping[str, Any]) -> None:
    """Raise ValueError when `value` is outside what its setting allows."""
    if meta["low"] is not None and value < meta["low"]:
        raise ValueError(f"must be at least {meta['low']:g}")
    if meta["high"] is not None and value > meta["high"]:
        raise ValueError(f"must be at most {meta['high']:g}")
    if meta["choices"] and (unknown := [word for word in value if word not in meta["choices"]]):
        raise ValueError(f"no such word: {', '.join(unknown)} (expected {', '.join(meta['choices'])})")
    if meta["schemes"] and value.partition("://")[0] not in meta["schemes"]:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in meta['schemes'])}")


def contradictions(config: Config) -> list[str]:
    """What is wrong between settings that are each right."""
    wrong = []
    if config.database_url and "postgres" in config.roles:
        wrong.append("PORTAL_ROLES: names postgres, but DATABASE_URL says that Postgres is elsewhere; keep one")
    if config.body_max_unpacked_bytes < config.body_max_bytes:
        wrong.append("PORTAL_BODY_MAX_UNPACKED_BYTES: must be at least PORTAL_BODY_MAX_BYTES")
    other = (config.prometheus_token, config.prometheus_user, config.prometheus_password, config.prometheus_tenant)
    if any(other) and not config.prometheus_url:
        wrong.append("PROMETHEUS_URL: missing, while other settings of that server are there")
    if config.prometheus_token and config.prometheus_user:
        wrong.append("PORTAL_PROMETHEUS_TOKEN: PORTAL_PROMETHEUS_USER is set too; keep one")
    if bool(config.prometheus_user) != bool(config.prometheus_password):
        wrong.append("PORTAL_PROMETHEUS_USER: needs PORTAL_PROMETHEUS_PASSWORD, and the other way round")
    return wrong


def _text(name: str, environ: Mapping[str, str]) -> str:
    """The setting's text, from the variable or from the file that it names; empty if unset. ValueError if unreadable."""
    text, path = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if not path:
        return text
    if text:
        raise ValueError(f"{name}_FILE is set too; keep one")
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path} ({getattr(error, 'strerror', None) or 'no text'})") from None


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """The settings of `environ`. Raises ConfigError with a line for each thing that is wrong."""
    hints = get_type_hints(Config)
    values: dict[str, Any] = {"data_dir": DEFAULT_DATA_DIR.absolute()}
    wrong: list[str] = []
    fields = {env_name(f): f for f in dataclasses.fields(Config)}
    for name, f in fields.items():
        try:
            if text := _text(name, environ):
                values[f.name] = parse(text, hints[f.name])
                check(values[f.name], f.metadata)
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    known = {*fields, *(f"{name}_FILE" for name in fields)}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    wrong += [f"{name}: no such setting (see docs/settings.md)" for name in unknown]
    config = Config(**values) if not wrong else Config()
    wrong += contradictions(config)
    if wrong:
        raise ConfigError("\n".join(wrong))
    return config
