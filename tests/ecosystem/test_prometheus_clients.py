"""Clients of Prometheus take a live portal as one: promtool, prometheus-api-client, and what Grafana sends."""

import datetime as dt
import re
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_api_client import PrometheusConnect
from pytest_django.live_server_helper import LiveServer

from core.accounts import keys
from tests.conftest import require_program
from tests.records import Sender, call

PROMPT = "compozy_llm_prompt_tokens_total"
SERIES = '{__name__="compozy_llm_prompt_tokens_total", component="agent", model="gpt-4o", provider="openai"}'


@dataclass(frozen=True)
class Portal:
    """A live portal with one call of 100 tokens some minutes ago, and a key that may query."""

    url: str
    key: str
    now: int

    @property
    def with_password(self) -> str:
        """The address with the key as the password."""
        return self.url.replace("http://", f"http://anybody:{self.key}@")


@pytest.fixture
def portal(live_server: LiveServer, sender: Sender) -> Portal:
    now = int(time.time()) // 15 * 15
    assert sender.post([call(at=now - 300)]).json()["accepted"] == 1
    _, key = keys.create_key("reader", sender.key.workspace, ["query"])
    return Portal(live_server.url, key, now)


def promtool(*arguments: str) -> str:
    """What `promtool query` prints."""
    done = subprocess.run(
        [require_program("promtool"), "query", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_promtool_queries(portal: Portal) -> None:
    end = str(portal.now)
    assert promtool("instant", f"--time={end}", portal.with_password, PROMPT).startswith(
        f"{PROMPT}{SERIES.replace('__name__=' + chr(34) + PROMPT + chr(34) + ', ', '')} => 100 @"
    )
    printed = promtool(
        "range", f"--start={portal.now - 30}", f"--end={end}", "--step=15s", portal.with_password, f"sum({PROMPT})"
    )
    assert re.findall(r"^(\d+) @\[(\d+)\]$", printed, re.M) == [
        ("100", str(portal.now - 30)),
        ("100", str(portal.now - 15)),
        ("100", end),
    ]
    window = (f"--start={portal.now - 600}", f"--end={end}")
    assert promtool("series", f"--match={PROMPT}", *window, portal.with_password).strip() == SERIES
    assert promtool("labels", *window, portal.with_password, "model").split() == ["gpt-4o"]


def test_promtool_shows_what_is_wrong(portal: Portal) -> None:
    for address, query, said in (
        (portal.url, PROMPT, "send the API key"),
        (portal.url.replace("http://", "http://a:wrong@"), PROMPT, "no such API key"),
        (portal.with_password, "sum(", "invalid parameter"),
    ):
        done = subprocess.run(
            [require_program("promtool"), "query", "instant", address, query],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert said in done.stderr + done.stdout


def test_prometheus_api_client(portal: Portal) -> None:
    client = PrometheusConnect(url=portal.url, headers={"Authorization": f"Bearer {portal.key}"})
    assert client.check_prometheus_connection()
    assert PROMPT in client.all_metrics()
    assert client.get_label_values("model") == ["gpt-4o"]
    (row,) = client.custom_query(f"sum by (model) ({PROMPT})", params={"time": portal.now})
    assert (row["metric"], row["value"][1]) == ({"model": "gpt-4o"}, "100")
    start, end = (dt.datetime.fromtimestamp(portal.now - ago, dt.UTC) for ago in (60, 0))
    (row,) = client.custom_query_range(f"sum({PROMPT})", start, end, "15")
    assert [value for _, value in row["values"]] == ["100"] * 5
    (row,) = client.get_current_metric_value(PROMPT, {"model": "gpt-4o"})
    assert row["metric"]["provider"] == "openai"


def test_what_grafana_sends(portal: Portal) -> None:
    headers = {"Authorization": f"Bearer {portal.key}", "User-Agent": "Grafana/11.0.0", "X-Grafana-Org-Id": "1"}
    with httpx.Client(base_url=portal.url, headers=headers, timeout=30) as grafana:

        def data(answer: httpx.Response) -> Any:
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == "success"
            return answer.json()["data"]

        # "Save & test": the version, then a query that any server can answer.
        assert data(grafana.get("/api/v1/status/buildinfo"))["version"].startswith("3.")
        health = {"query": "1+1", "time": f"{portal.now}.123"}
        assert data(grafana.post("/api/v1/query", data=health)) == {
            "resultType": "scalar",
            "result": [portal.now + 0.123, "2"],
        }
        span = {"start": str(portal.now - 60), "end": str(portal.now)}
        for step in ("15", "15s", "15.000"):
            form = {"query": f"sum({PROMPT})", "step": step, **span}
            (row,) = data(grafana.post("/api/v1/query_range", data=form))["result"]
            assert [value for _, value in row["values"]] == ["100"] * 5
            assert data(grafana.get("/api/v1/query_range", params=form))["result"] == [row]
        # The query builder's lists.
        assert "model" in data(grafana.post("/api/v1/labels", data=span))
        assert PROMPT in data(grafana.get("/api/v1/label/__name__/values", params=span))
        match = {"match[]": f'{{__name__="{PROMPT}"}}', **span}
        assert data(grafana.get("/api/v1/label/model/values", params=match)) == ["gpt-4o"]
        assert len(data(grafana.post("/api/v1/series", data=match))) == 1
        assert data(grafana.get("/api/v1/metadata"))[PROMPT][0]["type"] == "counter"
        assert data(grafana.post("/api/v1/query_exemplars", data={"query": PROMPT, **span})) == []
        assert isinstance(data(grafana.get("/api/v1/rules"))["groups"], list)
        refused = grafana.post("/api/v1/query", data={"query": "sum("})
        assert (refused.status_code, refused.json()["errorType"]) == (400, "bad_data")
