"""Another server as the engine: what is asked of it, what is made of its answers and errors."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest

import promql
from portal.env import Config
from tests.servers import Answer, HttpServer, free_port
from usage.series.engine import source_for
from usage.series.remote import RemoteEngine, credentials, selector
from usage.series.source import PostgresSource

AT = 1_700_000_000_500


def answer(kind: str, result: Any, status: int = 200, **more: Any) -> Answer:
    """A success as Prometheus writes it."""
    body = {"status": "success", "data": {"resultType": kind, "result": result}, **more}
    return Answer(status, json.dumps(body).encode())


def failure(status: int, kind: str, text: str) -> Answer:
    """An error as Prometheus writes it."""
    return Answer(status, json.dumps({"status": "error", "errorType": kind, "error": text}).encode())


def engine(server: HttpServer, **fields: Any) -> RemoteEngine:
    return RemoteEngine(f"{server.url}/prometheus/", pause=0, **fields)


def asked(server: HttpServer) -> tuple[str, dict[str, str]]:
    """Path and form of the last request."""
    request = server.requests[-1]
    assert (request.method, request.headers["content-type"]) == ("POST", "application/x-www-form-urlencoded")
    return request.path, dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def test_an_instant_query_is_handed_on_as_it_is(http_server: HttpServer) -> None:
    rows = [{"metric": {"model": "a"}, "value": [1_700_000_000.5, "1.5"]}, {"metric": {}, "value": [1, "+Inf"]}]
    http_server.answers.append(answer("vector", rows, warnings=["w"], infos=["i"]))
    result = promql.instant("sum by (model) (x) > 1", engine(http_server), AT, lookback_ms=60_000)
    path, form = asked(http_server)
    assert float(form.pop("timeout")) == pytest.approx(30, abs=5)
    assert path == "/prometheus/api/v1/query"
    assert form == {"query": "sum by (model) (x) > 1", "time": "1700000000.500", "lookback_delta": "60.000"}
    assert (result.type, result.labels, result.times.tolist()) == ("vector", [{"model": "a"}, {}], [AT])
    assert result.values.tolist() == [[1.5], [np.inf]]
    assert result.present.all()
    assert (result.warnings, result.infos) == (["w"], ["i"])


def test_a_range_query_fills_the_grid_that_was_asked_for(http_server: HttpServer) -> None:
    http_server.answers.append(answer("matrix", [{"metric": {"a": "b"}, "values": [[10, "1"], [40.0, "NaN"]]}]))
    result = promql.range("x", engine(http_server), 10_000, 54_000, 15_000)
    path, form = asked(http_server)
    assert path == "/prometheus/api/v1/query_range"
    assert {name: form[name] for name in ("start", "end", "step")} == {
        "start": "10.000",
        "end": "54.000",
        "step": "15.000",
    }
    assert "lookback_delta" not in form
    assert result.times.tolist() == [10_000, 25_000, 40_000]
    assert result.present.tolist() == [[True, False, True]]
    assert result.values[0, 0] == 1
    assert np.isnan(result.values[0, 2])


def test_scalars_strings_and_raw_samples(http_server: HttpServer) -> None:
    http_server.answers.append(answer("scalar", [1, "2"]))
    scalar = promql.instant("1+1", engine(http_server), AT)
    assert (scalar.type, scalar.values.tolist(), scalar.times.tolist()) == ("scalar", [[2]], [AT])
    http_server.answers.append(answer("string", [1, "hi"]))
    assert promql.instant('"hi"', engine(http_server), AT).string == "hi"
    rows = [
        {"metric": {"n": "1"}, "values": [[1.5, "1"], [3, "2"]]},
        {"metric": {"n": "2"}, "values": [[2, "5"]]},
    ]
    http_server.answers.append(answer("matrix", rows))
    raw = promql.instant("x[5m]", engine(http_server), AT)
    assert raw.times.tolist() == [1500, 2000, 3000]
    assert raw.present.tolist() == [[True, False, True], [False, True, False]]
    http_server.answers.append(answer("matrix", []))
    assert promql.range("x", engine(http_server), 0, 1, 1).labels == []


def test_series_are_listed_and_samples_selected_by_matchers(http_server: HttpServer) -> None:
    matchers = [
        promql.Matcher("__name__", "=", "x"),
        promql.Matcher("a", "!~", 'b"\\d\n'),
        promql.Matcher("é", "=", ""),
    ]
    assert selector(matchers) == '{__name__="x",a!~"b\\"\\\\d\\n","é"=""}'
    http_server.answers.append(Answer(200, b'{"status":"success","data":[{"__name__":"x"}]}'))
    assert engine(http_server).series(matchers[:1], AT) == [{"__name__": "x"}]
    path, form = asked(http_server)
    assert (path, form["match[]"], form["end"]) == ("/prometheus/api/v1/series", '{__name__="x"}', "1700000000.500")
    http_server.answers.append(answer("matrix", [{"metric": {"__name__": "x"}, "values": [[1, "2"]]}]))
    (block,) = engine(http_server).select(matchers[:1], AT - 60_000, AT, promql.Hints())
    assert asked(http_server)[1]["query"] == '{__name__="x"}[60001ms]'
    assert (block.labels, block.times.tolist(), block.values.tolist()) == ([{"__name__": "x"}], [1000], [[2]])


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (failure(400, "bad_data", "parse error"), promql.ParseError, "parse error"),
        (failure(422, "execution", "many-to-many"), promql.EvalError, "many-to-many"),
        (failure(422, "422", "of VictoriaMetrics"), promql.EvalError, "of VictoriaMetrics"),
        (failure(503, "timeout", "query timed out"), promql.LimitError, "timed out"),
        (Answer(401, b"no"), promql.UnavailableError, r"refuses the portal's credentials \(HTTP 401\)"),
        (Answer(302, b""), promql.UnavailableError, "does PROMETHEUS_URL lead to one"),
        (Answer(200, b"<html>"), promql.UnavailableError, "does PROMETHEUS_URL lead to one"),
        (answer("vector", [{"metric": {}, "histogram": [1, {}]}]), promql.UnsupportedError, "native histograms"),
        (answer("vector", [{"value": 7}]), promql.UnavailableError, "no answer of its API"),
        (answer("vector", [{"metric": {}, "value": [1, "much"]}]), promql.UnavailableError, "no answer of its API"),
    ],
)
def test_errors_are_distinguished_and_not_asked_again(
    http_server: HttpServer, given: Answer, error: type[Exception], text: str
) -> None:
    http_server.answers.append(given)
    with pytest.raises(error, match=text):
        promql.instant("x", engine(http_server), AT)
    assert len(http_server.requests) == 1


def test_a_sample_beside_the_grid_is_no_answer(http_server: HttpServer) -> None:
    http_server.answers.append(answer("matrix", [{"metric": {}, "values": [[11, "1"]]}]))
    with pytest.raises(promql.UnavailableError, match="not asked for"):
        promql.range("x", engine(http_server), 10_000, 55_000, 15_000)


def test_passing_errors_are_tried_again_a_bounded_number_of_times(http_server: HttpServer) -> None:
    patient = RemoteEngine(http_server.url, pause=0.01)
    http_server.answers.extend([Answer(502), Answer(429), answer("scalar", [1, "2"])])
    assert promql.instant("1+1", patient, AT).values.tolist() == [[2]]
    assert len(http_server.requests) == 3
    http_server.default = Answer(503, b"starting")
    with pytest.raises(promql.UnavailableError, match="HTTP 503 starting"):
        promql.instant("1+1", patient, AT)
    assert len(http_server.requests) == 6
    with pytest.raises(promql.UnavailableError, match="refused"):
        promql.instant("1", RemoteEngine(f"http://127.0.0.1:{free_port()}", pause=0), AT)


def test_time_and_size_are_bounded(http_server: HttpServer) -> None:
    http_server.answers.append(Answer(delay=30))
    with pytest.raises(promql.UnavailableError, match="no answer within"):
        promql.instant("1", engine(http_server, seconds=0.2), AT)
    http_server.answers.append(answer("vector", [{"metric": {"a": "x" * 5000}, "value": [1, "1"]}]))
    with pytest.raises(promql.LimitError, match="over 4,000 bytes"):
        promql.instant("x", engine(http_server, max_bytes=4000), AT)
    count = len(http_server.requests)
    with pytest.raises(promql.LimitError, match="points per series"):
        promql.range("x", engine(http_server), 0, 1_000_000, 1)
    assert len(http_server.requests) == count
    http_server.answers.append(answer("vector", [{"metric": {"a": str(n)}, "value": [1, "1"]} for n in range(3)]))
    with pytest.raises(promql.LimitError, match="3 series"):
        promql.instant("x", engine(http_server), AT, limits=promql.Limits(max_series=2))


def test_the_settings_choose_the_engine_for_who_sees_all(configure: Callable[..., Config]) -> None:
    assert isinstance(source_for(None), PostgresSource)
    portal = configure(prometheus_url="https://mimir/prometheus", prometheus_token="t", prometheus_tenant="team")
    found = source_for(None)
    assert isinstance(found, RemoteEngine)
    assert (found.url, found.seconds, found.max_bytes) == ("https://mimir/prometheus", 30, 67_108_864)
    assert found.headers == credentials(portal) == {"Authorization": "Bearer t", "X-Scope-OrgID": "team"}
    assert "Bearer" not in repr(found)
    assert isinstance(source_for(["production"]), PostgresSource)
    portal = configure(prometheus_token="", prometheus_tenant="", prometheus_user="u", prometheus_password="p")
    assert credentials(portal) == {"Authorization": "Basic dTpw"}
