"""Tasks flow from a sender through each broker to a worker: pgmq on the portal's Postgres, Redis, RabbitMQ."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from kombu import pools
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from portal.celery import SCHEDULE, app, beat_schedule, broker, pgmq_parameters
from portal.models import Heartbeat
from tests.conftest import require_program
from tests.live import ROOT, clean_environment
from tests.servers import free_port, listening, wait_until


@contextmanager
def process(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs as long as the block."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=clean_environment(**environment),
            stdout=output,
            stderr=output,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def sending(url: str) -> Iterator[Celery]:
    """An app that sends tasks through a broker. kombu keeps pools per broker, which a later app would find closed."""
    sender = Celery("sender")
    sender.conf.update(broker(url, database_url()))
    try:
        yield sender
    finally:
        sender.close()
        pools.reset()


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis on a free port."""
    port = free_port()
    command = [
        str(require_program("redis-server")),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with process(command, folder / "redis.log") as child:
        wait_until(lambda: listening(port) or child.poll() is not None, 20, "Redis")
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """A RabbitMQ on free ports, with its data in `folder` and a port mapper of its own, which it would leave behind."""
    require_program("rabbitmq-server")  # a wrapper that becomes the user rabbitmq; what it runs needs no such user
    server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    port, distribution, mapper = free_port(), free_port(), free_port()
    (folder / "enabled_plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
    (folder / "environment.conf").write_text("")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"portal{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "environment.conf"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_START_ARGS": "-setcookie portal-tests",
        "ERL_EPMD_PORT": str(mapper),
    }
    with (
        process([str(require_program("epmd")), "-port", str(mapper)], folder / "epmd.log"),
        process([server], folder / "rabbitmq.log", **environment) as child,
    ):
        wait_until(lambda: listening(port) or child.poll() is not None, 90, "RabbitMQ")
        assert child.poll() is None, (folder / "rabbitmq.log").read_text()
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


@contextmanager
def pgmq(folder: Path) -> Iterator[str]:
    """No broker: the queue is in Postgres."""
    yield ""


def database_url() -> str:
    """The test database in the settings of the worker."""
    d = connection.settings_dict
    parts = {"dbname": d["NAME"], "user": d["USER"], "password": d["PASSWORD"], "host": d["HOST"], "port": d["PORT"]}
    return make_conninfo(**{name: value for name, value in parts.items() if value})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("start", [pgmq, redis, rabbitmq])
def test_a_task_is_sent_and_run(start: object, tmp_path: Path) -> None:
    assert callable(start)
    with start(tmp_path) as url, sending(url) as sender:
        environment = {
            "PORTAL_DATA_DIR": str(tmp_path / "data"),
            "CELERY_BROKER_URL": url,
            "DATABASE_URL": f"postgresql://?{database_url().replace(' ', '&')}",
            "PORTAL_WORKER_CONCURRENCY": "1",
        }
        worker = [
            sys.executable,
            "-m",
            "celery",
            "-q",
            "-A",
            "portal.celery",
            "worker",
            "-l",
            "WARNING",
            "--without-gossip",
        ]
        sender.send_task("portal.tasks.heartbeat")
        with process(worker, tmp_path / "worker.log", **environment):
            wait_until(Heartbeat.objects.exists, 40, "the heartbeat sent before the worker started")
            Heartbeat.objects.all().delete()
            sender.send_task("portal.tasks.heartbeat")
            wait_until(Heartbeat.objects.exists, 40, "the heartbeat sent to a running worker")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://portal@/portal?host=/srv/portal%20data/socket",
        "postgresql://us%20er:p%27w%5C%20d%40%3D@db.example:6432/na%20me?sslmode=verify-full&application_name=a%20b",
        "postgresql://db.example/portal",
    ],
)
def test_every_connection_parameter_survives_the_pgmq_client(url: str) -> None:
    given = conninfo_to_dict(url)
    reached = conninfo_to_dict(PGMQConfig(conn_string=pgmq_parameters(url)).dsn)
    assert reached == {"port": "5432", "user": "", "password": "", **given}


def test_the_schedule_names_tasks_that_exist() -> None:
    app.loader.import_default_modules()
    assert {task for task, _ in SCHEDULE.values()} <= set(app.tasks)


def test_a_scheduled_run_is_dropped_when_the_next_is_due() -> None:
    assert all(entry["options"]["expires"] == entry["schedule"].total_seconds() for entry in beat_schedule().values())


def test_a_task_ends_before_its_message_is_handed_to_another_worker() -> None:
    assert (
        app.conf.task_time_limit < broker("", settings.DATABASE_URL)["broker_transport_options"]["visibility_timeout"]
    )
    assert app.conf.task_time_limit < broker("redis://h", "")["broker_transport_options"]["visibility_timeout"]
    assert broker("amqp://h", "") == {"broker_url": "amqp://h", "broker_transport_options": {}}
