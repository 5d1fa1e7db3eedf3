"""Rules and notifications."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portal.env.fields import setting


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """When rules are evaluated, and how messages leave."""

    evaluation_delay: int = setting(
        15,
        "Rules are evaluated this far behind now, so that late records count.",
        section="Alerts",
        unit="seconds",
        low=0,
        high=3600,
    )
    evaluation_jitter: bool = setting(
        False,
        "Spread the evaluation of rule groups over their intervals, so that not all are due at once.",
        section="Alerts",
    )
    rule_timeout: int = setting(
        10,
        "A rule whose query takes longer fails at that slot; the others go on.",
        section="Alerts",
        unit="seconds",
        low=1,
        high=600,
    )
    evaluation_catch_up: int = setting(
        3600,
        "After downtime, missed evaluations are made up for this far back.",
        section="Alerts",
        unit="seconds",
        low=0,
    )
    late_records: int = setting(
        900,
        "Records that come after rules were evaluated have these slots evaluated again, if they are not later than "
        "this. 0: never.",
        section="Alerts",
        unit="seconds",
        low=0,
        high=21_600,
    )
    self_alert_after: int = setting(
        120,
        "Once Postgres has been away, or rules have not been evaluated, for this long, the web server itself "
        "sends a message. 0: never.",
        section="Alerts",
        unit="seconds",
        low=0,
    )
    canary_minutes: int = setting(
        60,
        "Every how many minutes the portal sends itself a record and lets it go the whole way to a message, to measure "
        "how long that takes. 0: never.",
        section="Alerts",
        unit="minutes",
        low=0,
        high=1440,
    )
    dead_man_url: str = setting(
        "",
        "An address that is called every minute while rules are evaluated in time, so that a service outside notices "
        "when that stops. Empty: none.",
        section="Alerts",
        schemes=("http", "https"),
        secret=True,
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
    runbooks_dir: Path | None = setting(
        None,
        "Folder of runbooks as Markdown files, such as a checkout of a git repository, that is read every 5 minutes. "
        "They are the whole portal's, and are changed there. Empty: none.",
        section="Alerts",
    )
