"""Where things are, and which processes run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portal.env.fields import setting

DEFAULT_DATA_DIR = Path(".data")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where Postgres, the broker and the data folder are."""

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


@dataclass(frozen=True, kw_only=True)
class Processes:
    """What `up` starts, and how much of it."""

    roles: tuple[str, ...] = setting(
        (),
        "What `up` starts, comma-separated: `postgres`, `web`, `worker`, `beat`, `otlp`. Empty: all that is needed.",
        section="Processes",
        choices=("postgres", "web", "worker", "beat", "otlp"),
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
    database_timeout: int = setting(
        2,
        "Postgres counts as away where it leaves a probe unanswered this long. A statement that takes longer is waited"
        " for.",
        section="Processes",
        unit="seconds",
        low=1,
        high=60,
    )
