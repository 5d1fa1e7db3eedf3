"""Every setting of the portal, read strictly from the environment, in one place.

A field of `Config` is a setting: its type says how the text is parsed, its metadata says what it means. The settings
page and docs/settings.md are made from these fields. An unknown `PORTAL_…` name, a value that does not parse or is out of
its bounds stops the start with one line that names it. For each setting `NAME_FILE` is read instead of `NAME` (for
secrets that are mounted).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

PREFIX = "PORTAL_"
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
) -> Any:
    """A field of `Config`. `env` overrides the name (default: PORTAL_ and the field's name in capitals)."""
    meta = {"doc": doc, "section": section, "env": env, "unit": unit, "secret": secret, "low": low, "high": high}
    return field(default=default, metadata=meta)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The portal's settings, typed. Sizes are bytes, times are seconds unless the name says otherwise."""

    # -- where things are
    data_dir: Path = setting(
        Path(".data"), "Folder of the embedded Postgres, the spool and the generated secret.", section="Places"
    )
    database_url: str = setting(
        "",
        "Postgres 15 or newer, `postgresql://user:password@host/name`. Empty: embedded Postgres.",
        section="Places",
        env="DATABASE_URL",
        secret=True,
    )
    broker_url: str = setting(
        "",
        "Celery broker: `redis://…` or `amqp://…`. Empty: the queue lives in the same Postgres.",
        section="Places",
        env="CELERY_BROKER_URL",
        secret=True,
    )
    spool_dir: Path | None = setting(
        None, "Folder of records accepted while Postgres is away. Empty: `spool` in the data folder.", section="Places"
    )
    # -- web
    host: str = setting("127.0.0.1", "Address that the web server binds.", section="Web")
    port: int = setting(8000, "Port of the web server.", section="Web", low=1, high=65535)
    web_workers: int = setting(2, "Web server processes.", section="Web", low=1, high=64)
    base_url: str = setting(
        "",
        "Address under which people reach the portal; links in messages start with it. Empty: http://host:port.",
        section="Web",
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
        secret=True,
    )
    email_from: str = setting("llm-usage-portal@localhost", "Sender of email.", section="Alerts")
    outbound_private: bool = setting(
        False, "Allow notifications to private, loopback and link-local addresses.", section="Alerts"
    )

    @property
    def public_url(self) -> str:
        """Where people reach the portal, without a trailing slash."""
        return self.base_url.rstrip("/") or f"http://{self.host}:{self.port}"

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
        try:
            return int(text)
        except ValueError:
            raise ValueError("expected a whole number") from None
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind in (Path, Path | None):
        return Path(text).expanduser()
    return text


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """The settings of `environ`. Raises ConfigError with a line for each thing that is wrong."""
    hints = get_type_hints(Config)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    known: set[str] = set()
    for f in dataclasses.fields(Config):
        name = env_name(f)
        known |= {name, f"{name}_FILE"}
        text = environ.get(name)
        path = environ.get(f"{name}_FILE")
        if path:
            if text:
                wrong.append(f"{name} and {name}_FILE are both set; keep one")
                continue
            try:
                text = Path(path).read_text().strip()
            except OSError as error:
                wrong.append(f"{name}_FILE: cannot read {path} ({error.strerror})")
                continue
        if text is None or text == "":
            continue
        try:
            value = parse(text, hints[f.name])
            low, high = f.metadata["low"], f.metadata["high"]
            if low is not None and value < low:
                raise ValueError(f"must be at least {low:g}")
            if high is not None and value > high:
                raise ValueError(f"must be at most {high:g}")
        except ValueError as error:
            wrong.append(f"{name}: {error}")
            continue
        values[f.name] = value
    wrong += [
        f"{name}: no such setting (see docs/settings.md)"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return Config(**values)
