"""Prometheus and VictoriaMetrics as the portal's engine: the same answers, rules that fire, a panel that draws."""

import datetime as dt
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import promql
from alerts.evaluation.series import PortalSource, portal_source
from alerts.evaluation.tick import tick
from alerts.models import Alert, Rule
from portal.env import Config
from tests.alerts.scripted_rules import make_rule
from tests.conftest import require_program
from tests.portal.explore.parts import KINDS, values_of_parts
from tests.promql.prometheus_server import Series, serve_prometheus, write_openmetrics
from tests.servers import wait_until
from usage.series.remote import RemoteEngine

pytestmark = pytest.mark.django_db
STEP = 15_000
NAME = "llm_provider_tokens_total"


def counters(end: int) -> list[Series]:
    """Two hours of tokens of four models until `end` (ms), each faster than the one before."""
    times = list(range(end - 7_200_000, end + 1, STEP))
    return [
        (
            {"__name__": NAME, "provider": "openai", "model": f"m{speed}", "type": kind},
            times,
            [float(speed * number) for number in range(len(times))],
        )
        for speed in (1, 2, 3, 40)
        for kind in ("prompt", "completion")
    ] + [({"__name__": "elsewhere_total"}, times, [float(number) for number in range(len(times))])]


@contextmanager
def serve_victoria(program: Path, folder: Path, series: list[Series]) -> Iterator[str]:
    """VictoriaMetrics on loopback with the samples; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [program, f"-storageDataPath={folder}/victoria", f"-httpListenAddr={address}", "-retentionPeriod=100y"]
    with subprocess.Popen([*command, "-search.latencyOffset=0s"], stderr=subprocess.DEVNULL) as process:
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=10) as client:

                def ready() -> bool:
                    try:
                        return client.get("/health").status_code == 200
                    except httpx.TransportError:
                        return False

                wait_until(ready, 30, "VictoriaMetrics")
                write_openmetrics(folder / "samples.txt", series)
                # Its reader of the text format takes milliseconds.
                lines = (line.rsplit(" ", 1) for line in (folder / "samples.txt").read_text().splitlines()[:-1])
                text = "\n".join(f"{head} {round(float(at) * 1000)}" for head, at in lines)
                client.post("/api/v1/import/prometheus", content=text + "\n").raise_for_status()
                client.get("/internal/force_flush").raise_for_status()
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(params=["prometheus", "victoria-metrics"])
def other(request: pytest.FixtureRequest, tmp_path: Path, configure: Callable[..., Config]) -> Iterator[str]:
    """The address of another engine with the counters, which the settings name."""
    program = require_program(request.param)
    series = counters(int(timezone.now().timestamp()) * 1000)
    if request.param == "prometheus":
        with serve_prometheus(program, require_program("promtool"), tmp_path, series) as server:
            url = str(server.client.base_url)
            configure(prometheus_url=url)
            yield url
        return
    with serve_victoria(program, tmp_path, series) as url:
        configure(prometheus_url=url)
        yield url


def test_another_engine_takes_the_place_of_postgres(other: str) -> None:
    engine, now = RemoteEngine(other), timezone.now()
    end = int(now.timestamp()) // 60 * 60_000
    memory = promql.MemorySource()
    (block,) = engine.select([promql.Matcher("__name__", "=", NAME)], end - 3_600_000, end, promql.Hints())
    for labels, values in zip(block.labels, block.values, strict=True):
        memory.add(labels, block.times, values)
    assert len(block.labels) == 8
    for query in (f'sum by (model) ({NAME}{{type="prompt"}})', f"max({NAME}) > 5", "vector(1)", "2 * 3"):
        theirs = promql.range(query, engine, end - 1_800_000, end, 60_000)
        ours = promql.range(query, memory, end - 1_800_000, end, 60_000)
        assert [frozenset(one.items()) for one in theirs.labels] == [frozenset(one.items()) for one in ours.labels]
        np.testing.assert_allclose(theirs.values, ours.values)
        assert (theirs.present == ours.present).all()
    listed = engine.series([promql.Matcher("model", "=", "m40")])
    assert {labels["type"] for labels in listed} == {"prompt", "completion"}
    with pytest.raises(promql.EvalError, match="Prometheus server"):
        promql.instant(f"{NAME} * on() {NAME}", engine, end)


def test_rules_are_evaluated_there_and_alerts_stay_series(other: str) -> None:
    now = timezone.now()
    Rule.objects.update(enabled=False)
    make_rule(f'sum by (model) (rate({NAME}{{type="prompt"}}[5m])) > $threshold', 1, name="Fast", interval=15)
    make_rule('count(ALERTS{alertname="Fast"}) > $threshold', 0, name="Watching", interval=15)
    broken = make_rule(f"{NAME} + on() {NAME} > $threshold", 0, name="Broken", interval=15)
    tick(now, portal_source(None))
    tick(now + dt.timedelta(seconds=15), portal_source(None))
    alerts = {(alert.rule.name, alert.labels.get("model")): alert.value for alert in Alert.objects.all()}
    assert alerts == {("Fast", "m40"): pytest.approx(40 / 15, rel=0.1), ("Watching", None): 1}
    broken.refresh_from_db()
    assert broken.health == "err"
    assert "Prometheus server" in broken.last_error


def test_explore_says_who_answers_and_asks_there(other: str, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(
        "/explore/", {"q": f"sum by (model) ({NAME}) > 5", "tab": "meaning", "range": "1h"}
    ).content.decode()
    assert f"Answered by the Prometheus server {urlsplit(other).netloc}." in page
    assert [value.split(",")[0] for value in values_of_parts(page)] == ["4 series", "4 series", "8 series"]
    table = client.get("/explore/table.csv", {"q": f'{NAME}{{model="m40"}}', "range": "1h"}).content.decode()
    assert len(table.splitlines()) == 3
    figure = client.get("/explore/figure.json", {"q": f"sum by (model) ({NAME})", "range": "1h"}).json()
    assert [trace["name"] for trace in figure["data"]] == ["m40", "m3", "m2", "m1"]
    # Completion: metrics that only that server has, labels and values.
    metrics = [one["name"] for one in client.get("/explore/completion.json").json()["metrics"]]
    assert (metrics.count(NAME), metrics.count("elsewhere_total")) == (1, 1)
    labels = client.get("/api/v1/labels", {"match[]": NAME}).json()["data"]
    assert labels == ["__name__", "model", "provider", "type"]
    values = client.get("/api/v1/label/model/values", {"match[]": NAME}).json()["data"]
    assert values == ["m1", "m2", "m3", "m40"]


def test_the_meaning_has_the_value_of_every_part_from_there(other: str, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    for text in KINDS:
        asked = {"q": text.replace("llm_tokens_total", NAME), "tab": "meaning", "range": "1h"}
        found = values_of_parts(client.get("/explore/", asked).content.decode())
        assert found, text
        assert not [value for value in found if not value or "server" in value], (text, found)


def test_in_explore_who_sees_some_workspaces_is_answered_by_postgres(other: str, client: Client) -> None:
    client.force_login(User.objects.create_user("member"))
    page = client.get("/explore/", {"q": NAME, "range": "1h"}).content.decode()
    assert f"Answered by Postgres: the Prometheus server {urlsplit(other).netloc} cannot tell workspaces apart." in page
    assert "0 series" in page
    assert "elsewhere_total" not in client.get("/explore/completion.json").content.decode()


def test_a_panel_draws_for_who_sees_all_and_others_stay_on_postgres(other: str, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    figure = client.get(reverse("panel-figure", args=["providers", "tokens"])).json()
    drawn = {trace["name"]: trace["y"] for trace in figure["data"]}
    assert drawn["m40"][-2] == pytest.approx(2 * 40 / 15, rel=0.1)
    assert isinstance(portal_source(["production"]), PortalSource)
    assert not isinstance(portal_source(["production"]), promql.Engine)
