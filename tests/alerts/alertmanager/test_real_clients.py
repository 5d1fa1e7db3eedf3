"""Debian's Alertmanager, amtool and Prometheus: the first beside the portal, the others as its clients."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from alerts.incidents.collect import flush_due
from alerts.incidents.routing.alertmanager_file import import_file
from alerts.models import Alert, Silence
from alerts.notify.claims import due_channels
from alerts.notify.deliveries import send_channel
from core.accounts.keys import create_key
from tests.alerts.test_concurrency import committed, queue
from tests.conftest import require_program
from tests.servers import HttpServer, free_port, listening, serve_http, wait_until

__all__ = ["committed", "queue"]

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.long]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def key(transactional_db: None) -> str:
    return create_key("everything", None, ("query", "admin"))[1]


@contextmanager
def running(*command: str | Path, port: int, log: Path) -> Iterator[None]:
    """A program that listens on the port, until the end of the block."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_until(lambda: listening(port) or process.poll() is not None, 30, str(command[0]))
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(20)


def ask(url: str, body: Any = None, key: str = "") -> Any:
    """GET, or POST where there is a body."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def configuration(webhook: str) -> str:
    """One webhook for each receiver, known by their paths."""
    receivers = [{"name": name, "webhook_configs": [{"url": f"{webhook}/{name}"}]} for name in ("all", "team", "none")]
    return yaml.safe_dump(
        {
            "route": {
                "receiver": "all",
                "group_by": ["team"],
                "group_wait": "1s",
                "group_interval": "2s",
                "repeat_interval": "4h",
                "routes": [
                    {"matchers": ['team="a"'], "receiver": "team", "continue": True},
                    {"matchers": ['team=~"a|b"']},
                ],
            },
            "receivers": receivers,
            "inhibit_rules": [{"source_matchers": ["sev=crit"], "target_matchers": ["sev=warn"], "equal": ["team"]}],
        }
    )


def heard(server: HttpServer) -> list[tuple[Any, ...]]:
    """Every message: where to, of which group, and the names and states of its alerts."""
    found = []
    for request in server.requests:
        body = json.loads(request.body)
        alerts = sorted((alert["labels"]["name"], alert["status"]) for alert in body["alerts"])
        found.append(
            (request.path, body["receiver"], body["status"], body["groupLabels"], body["commonLabels"], alerts)
        )
    return found


def alert(name: str, team: str, sev: str = "info", *, over: bool = False) -> dict[str, Any]:
    now = timezone.now()
    ends = (now if over else now + 10 * MINUTE).isoformat()
    return {
        "labels": {"alertname": "Test", "name": name, "team": team, "sev": sev},
        "annotations": {"summary": name},
        "startsAt": (now - MINUTE if over else now).isoformat(),
        "endsAt": ends,
    }


def test_the_same_alerts_and_silences_give_the_same_messages_in_the_same_order_as_debian_s_alertmanager(
    live_server: LiveServer, key: str, portal_setting: Callable[..., None], tmp_path: Path
) -> None:
    portal_setting(outbound_private=True)
    port = free_port()
    with serve_http() as theirs, serve_http() as ours:
        file = tmp_path / "alertmanager.yml"
        file.write_text(configuration(theirs.url))
        import_file(configuration(ours.url), by=None, now=timezone.now())
        command = [require_program("prometheus-alertmanager"), f"--config.file={file}", f"--storage.path={tmp_path}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
        with running(*command, port=port, log=tmp_path / "log"):
            places = [(f"http://127.0.0.1:{port}/api/v2", ""), (f"{live_server.url}/api/v2", key)]
            expected = 0

            def send(messages: int, *alerts: dict[str, Any]) -> None:
                nonlocal expected
                expected += messages
                for url, secret in places:
                    ask(f"{url}/alerts", list(alerts), secret)

                wait_until(lambda: work() and min(len(theirs.requests), len(ours.requests)) >= expected, 30, "messages")
                # Two receivers of one alert are independent of each other; all else has an order.
                assert sorted(heard(ours)[-messages:], key=str) == sorted(heard(theirs)[-messages:], key=str)
                assert len(ours.requests) == len(theirs.requests) == expected

            # Each group is changed only when what it had to say before has arrived at both.
            send(2, alert("x", "a"), alert("y", "a"))
            send(1, alert("v", "b"))
            send(1, alert("w", "c", "crit"))
            send(2, alert("z", "a"))
            send(2, alert("x", "a", over=True))
            # It is inhibited, so only the other one is notified.
            send(1, alert("quiet", "c", "warn"), alert("u", "c"))
            now = timezone.now()
            body = {
                "matchers": [{"name": "name", "value": "s.*", "isRegex": True, "isEqual": True}],
                "startsAt": now.isoformat(),
                "endsAt": (now + 10 * MINUTE).isoformat(),
                "createdBy": "ada",
                "comment": "test",
            }
            for url, secret in places:
                ask(f"{url}/silences", body, secret)
            send(1, alert("silenced", "b"), alert("heard", "b"))
            send(2, alert("y", "a", over=True), alert("z", "a", over=True))
            shown = [ask(f"{url}/alerts?filter=team=b", key=secret) for url, secret in places]
            states = [{found["fingerprint"]: found["status"]["state"] for found in listed} for listed in shown]
            assert states[0] == states[1]
            assert sorted(states[0].values()) == ["active", "active", "suppressed"]


def work() -> bool:
    """What beat and worker do all the time."""
    flush_due(timezone.now())
    for channel_id in due_channels(timezone.now()):
        send_channel(channel_id, timezone.now)
    return True


def amtool(url: str, key: str, *arguments: str) -> str:
    """What amtool prints; it must succeed."""
    address = url.replace("http://", f"http://key:{key}@")
    command = [require_program("amtool"), f"--alertmanager.url={address}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_amtool_adds_alerts_and_silences_and_reads_them(live_server: LiveServer, key: str) -> None:
    amtool(live_server.url, key, "alert", "add", "Load", "host=a", '--annotation=summary="high"')
    assert "Load" in amtool(live_server.url, key, "alert", "query", "host=a")
    silence_id = amtool(live_server.url, key, "silence", "add", "host=a", "--comment=x", "--author=ada", "-d1h").strip()
    assert Silence.objects.get().matchers == [["host", "=", "a"]]
    assert silence_id in amtool(live_server.url, key, "silence", "query")
    assert "Load" not in amtool(live_server.url, key, "alert", "query", "host=a")
    assert "Load" in amtool(live_server.url, key, "alert", "query", "--silenced", "host=a")
    amtool(live_server.url, key, "silence", "update", "-d2h", silence_id)
    amtool(live_server.url, key, "silence", "expire", silence_id)
    assert amtool(live_server.url, key, "silence", "query", "-q").strip() == ""
    import_file("route: {receiver: ops}\nreceivers: [{name: ops}]", by=None, now=timezone.now())
    assert "receiver: ops" in amtool(live_server.url, key, "config", "show")
    assert amtool(live_server.url, key, "config", "routes", "test", "a=b").strip() == "ops"


def test_debian_s_prometheus_sends_its_alerts_to_the_portal(live_server: LiveServer, key: str, tmp_path: Path) -> None:
    rules = {
        "groups": [{"name": "g", "rules": [{"alert": "AlwaysOn", "expr": "vector(1)", "labels": {"sev": "info"}}]}]
    }
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    manager = {
        "static_configs": [{"targets": [live_server.url.removeprefix("http://")]}],
        "basic_auth": {"username": "prometheus", "password": key},
    }
    config = {
        "global": {"evaluation_interval": "1s", "external_labels": {"cluster": "c1"}},
        "rule_files": [str(tmp_path / "rules.yml")],
        "alerting": {"alertmanagers": [manager]},
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [require_program("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}"]
    # Its first alerts come before it knows its Alertmanagers.
    command += [
        "--rules.alert.resend-delay=1s",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(*command, port=port, log=tmp_path / "log"):
        wait_until(Alert.objects.filter(rule__external=True).exists, 60, "the alert of Prometheus")
    found = Alert.objects.get(rule__external=True)
    assert found.labels == {"alertname": "AlwaysOn", "sev": "info", "cluster": "c1"}
    assert found.expires_at is not None
    assert found.title == "AlwaysOn"
