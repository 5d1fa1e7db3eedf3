"""The pages of traces and logs over executions that came in through OTLP."""

import html
import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core.accounts.models import Membership, Workspace
from telemetry.store import sampling
from tests.people import browser_of, make_people
from tests.records import rows, scalar

pytestmark = pytest.mark.django_db(transaction=True)


def a_trace(where: str = "true") -> str:
    [(found,), *_] = rows(
        f"SELECT trace_id FROM telemetry_trace WHERE {where} ORDER BY errors DESC, spans DESC, trace_id"
    )
    return str(found.hex)


def text(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    body = answer.getvalue().decode()
    assert answer.status_code == status, body[:2000]
    return str(body)


def test_the_list_has_a_row_per_trace_and_its_filters_are_the_address(demo: int, admin: Client) -> None:
    page = text(admin, "/traces/")
    assert "of 180" not in page
    total = scalar("SELECT count(*) FROM telemetry_trace")
    assert total == demo
    assert f"1 to 25 of {total}" in page
    failed = text(admin, "/traces/?q=status%3Derror&sort=-duration")
    assert f"of {scalar('SELECT count(*) FROM telemetry_trace WHERE errors > 0')}" in failed
    for chip, where in (
        ("agent=triage-agent", "facets @> '{agent:triage-agent}'"),
        ("model=gpt-4o-mini", "facets @> '{model:gpt-4o-mini}'"),
        ("duration>4 s", "duration >= 4"),
        ("tokens>5k", "input_tokens + output_tokens >= 5000"),
        ("cost<0.01", "cost_usd <= 0.01"),
        ("answer-tick", "root_name LIKE 'answer-tick%'"),
        ("server.address=api.stripe.example", "facets @> '{tool:create_refund}'"),
    ):
        answer = admin.get("/traces/", {"q": chip})
        count = scalar(f"SELECT count(*) FROM telemetry_trace WHERE {where}".replace("%", "%%"))
        assert f"of {count}\n" in answer.content.decode(), chip
        assert answer.content.decode().count("Remove ") == 1


def test_what_is_typed_becomes_a_chip_and_an_id_leads_to_its_trace(demo: int, admin: Client) -> None:
    answer = admin.get("/traces/", {"add": "cost > 0.05", "q": "model=gpt-4o", "page": "3"})
    assert answer["Location"] == "/traces/?q=model%3Dgpt-4o&q=cost%3E0.05"
    assert admin.get("/traces/", {"add": a_trace()})["Location"] == f"/traces/{a_trace()}/"
    assert "write &gt; or &lt;" in text(admin, "/traces/?q=duration%3D3")


def test_facets_count_what_matches_and_a_region_shows_what_is_special_in_it(demo: int, admin: Client) -> None:
    facets = text(admin, "/traces/?part=facets&q=agent%3Dtriage-agent")
    count = scalar("SELECT count(*) FROM telemetry_trace WHERE facets @> '{agent:triage-agent}'")
    assert re.search(rf'title="support-desk">.*?facet-count">{count}<', facets, re.DOTALL)
    [(first, last)] = rows(
        "SELECT extract(epoch FROM min(start)) * 1000, extract(epoch FROM max(start)) * 1000 FROM telemetry_trace"
    )
    base = f"{int(first) - 1000}-{int(last) + 1000}"
    chosen = text(
        admin, f"/traces/?part=facets&q=duration%3E%3D8&from={int(first) - 1000}&to={int(last) + 1000}&base={base}"
    )
    assert "× as often as usual:" in chosen


def test_the_page_says_what_sampling_kept_and_why(demo: int) -> None:
    people = make_people()
    Membership.objects.create(user=people.owner, workspace=Workspace.objects.get(slug="demo"), role="viewer")
    admin, member = browser_of(people.admin), browser_of(people.owner)
    facets = " ".join(text(admin, "/traces/?part=facets").split())
    assert f"{demo} not decided yet. Errors, the slowest, the costliest and 10 % of the rest" in facets
    sampling.decide(timezone.now() + timedelta(days=1))
    facets = " ".join(text(admin, "/traces/?part=facets").split())
    for reason, why in (("error", "with errors"), ("slow", "slowest"), ("share", "of the share")):
        count = scalar(f"SELECT count(*) FROM telemetry_trace WHERE kept = '{reason}'")
        assert f"{count} {why}" in facets
    left = scalar("SELECT count(*) FROM telemetry_trace")
    assert 0 < left < demo
    assert f"{demo - left} traces in all were dropped" in facets
    facets = " ".join(text(member, "/traces/?part=facets").split())
    assert "with errors" in facets
    assert "in all" not in facets


def test_the_chart_has_a_dot_per_trace_that_leads_to_it(demo: int, admin: Client) -> None:
    figure = json.loads(text(admin, "/traces/figure"))
    links = [link for trace in figure["data"] for link in trace["customdata"]]
    assert len(links) == demo
    assert f"/traces/{a_trace()}/" in links
    assert text(admin, "/traces/list.csv").count("\n") == demo + 1


def test_a_trace_shows_its_waterfall_sums_errors_and_what_it_was_counted_as(demo: int, admin: Client) -> None:
    trace = a_trace("facets @> '{agent:refund-agent}' AND errors > 0")
    page = text(admin, f"/traces/{trace}/")
    data = json.loads(re.search(r'id="wf-data" type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
    spans = [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]
    [(count, tokens, cost)] = rows(
        f"SELECT spans, input_tokens, cost_usd FROM telemetry_trace WHERE trace_id = '{trace}'"
    )
    assert (len(spans), spans[0]["sumInput"], spans[0]["parent"]) == (count, tokens, -1)
    assert spans[0]["sumCost"] == pytest.approx(cost)
    assert sum(end - start for span in spans for start, end in span["critical"]) == pytest.approx(
        data["length"], rel=0.01
    )
    assert "the clock of knowledge is" in page
    [model] = [span for span in spans if span["type"] == "llm" and not span["failed"]][:1]
    detail = text(admin, f"/traces/{trace}/spans/{model['id']}/")
    assert "once</span> llm_call" in detail
    receipt = re.search(r"/ingestion/receipts/[0-9a-f-]{36}/", detail)
    assert receipt is not None
    assert "records refused" not in text(admin, receipt[0])
    root = text(admin, f"/traces/{trace}/spans/{spans[0]['id']}/")
    assert "execution" in root
    records = text(admin, f"/traces/{trace}/records/")
    assert records.count("/ingestion/receipts/") == scalar(
        f"SELECT count(*) FROM usage_record WHERE trace_id = '{trace}'"
    )


def test_tabs_count_and_the_cost_is_split_by_agent_and_model(demo: int, admin: Client) -> None:
    trace = a_trace("facets @> '{agent:refund-agent}'")
    [(lines, records, cost, calls)] = rows(
        f"SELECT (SELECT count(*) FROM telemetry_log WHERE trace_id = '{trace}'), (SELECT count(*) FROM usage_record"
        f" WHERE trace_id = '{trace}'), cost_usd, llm_calls FROM telemetry_trace WHERE trace_id = '{trace}'"
    )
    for path in ("", "records/", "cost/"):
        tabs = " ".join(text(admin, f"/traces/{trace}/{path}").split())
        assert f">Logs {lines}</a>" in tabs
        assert f">Records {records}</a>" in tabs
    answer = admin.get(f"/traces/{trace}/cost/")
    found = answer.context["rows"]
    assert sum(row.cost for row in found) == pytest.approx(cost)
    assert sum(row.calls for row in found) == calls
    assert {row.agent for row in found} >= {"refund-agent"}
    assert sum(row.share for row in found) == pytest.approx(100)
    costs = [span.cost_usd for span, _ in answer.context["dearest"]]
    assert costs == sorted(costs, reverse=True)
    [(span, _), *_] = answer.context["dearest"]
    assert f"/traces/{trace}/?span={span.span_id}" in answer.content.decode()


def test_a_trace_leads_to_the_one_before_it_and_the_next_slower_one(demo: int, admin: Client) -> None:
    found = rows("SELECT trace_id, duration FROM telemetry_trace WHERE root_name = 'answer-ticket' ORDER BY start")
    (before, _), (trace, took) = found[3:5]
    slower = min((one for one in found if one[1] > took), key=lambda one: one[1])
    page = text(admin, f"/traces/{trace.hex}/?range=1h")
    assert f'href="/traces/{before.hex}/?range=1h">← Previous' in page
    assert f'href="/traces/{slower[0].hex}/?range=1h">Next slower →' in page
    assert "← Previous" not in text(admin, f"/traces/{found[0][0].hex}/")


def test_what_is_not_there_is_said(demo: int, admin: Client) -> None:
    trace = a_trace()
    assert "Still arriving" in text(admin, f"/traces/{trace}/?part=state")
    assert "No such trace" in text(admin, f"/traces/{'0' * 31}1/", 404)
    assert "This is no trace id" in text(admin, "/traces/nonsense/", 404)
    scalar(
        f"WITH gone AS (DELETE FROM telemetry_trace WHERE trace_id = '{trace}' RETURNING 1) SELECT count(*) FROM gone"
    )
    assert "Counted, but not kept" in text(admin, f"/traces/{trace}/", 404)


def test_nobody_sees_the_traces_and_logs_of_other_workspaces(demo: int) -> None:
    people = make_people()
    trace = a_trace()
    [(digest, at)] = rows("SELECT digest, (extract(epoch FROM at) * 1000000)::bigint FROM telemetry_log LIMIT 1")
    outsider = browser_of(people.outsider)
    text(outsider, f"/traces/{trace}/", 404)
    for path in ("records/", "cost/", "otlp.json", "spans/0000000000000001/"):
        text(outsider, f"/traces/{trace}/{path}", 404)
    text(outsider, f"/logs/around/{at}-{digest.hex}/", 404)
    assert "No traces in this time" in text(outsider, "/traces/")
    assert "No logs in this time" in text(outsider, "/logs/")
    assert Workspace.objects.filter(slug="demo").exists()


def test_two_traces_are_compared_step_by_step(demo: int, admin: Client) -> None:
    [first, second] = [
        found.hex for (found,) in rows("SELECT trace_id FROM telemetry_trace WHERE root_name = 'answer-ticket' LIMIT 2")
    ]
    page = text(admin, f"/traces/compare/?id={first}&id={second}")
    assert "invoke_agent triage-agent" in page
    alone = text(admin, f"/traces/compare/?id={first}")
    assert "Compare answer-ticket with a second" in alone
    assert f"?id={first}&amp;id=" in alone
    assert f"?id={first}&amp;id={first}" not in alone
    assert "Choose two traces" in text(admin, "/traces/compare/")


def test_what_may_be_typed_after_a_name_is_of_the_reader_s_workspaces(demo: int, admin: Client) -> None:
    def values(client: Client, path: str) -> list[str]:
        return list(json.loads(text(client, path))["values"])

    assert "refund-agent" in values(admin, "/traces/values?name=agent&range=1h")
    assert values(admin, "/traces/values?name=status") == ["error", "ok"]
    assert values(admin, "/traces/values?name=tenant") == []
    assert "support-desk" in values(admin, "/logs/values?name=service")
    assert "warn" in values(admin, "/logs/values?name=severity")
    outsider = browser_of(User.objects.create_user("outsider"))
    assert values(outsider, "/traces/values?name=agent&range=1h") == []
    assert values(outsider, "/logs/values?name=service") == []


def test_a_line_has_its_exception_s_type_once(demo: int, admin: Client) -> None:
    scalar(
        "WITH changed AS (UPDATE telemetry_log SET exception_type = 'Broken',"
        """ attributes = '{"exception.type": "Broken"}' RETURNING 1) SELECT count(*) FROM changed"""
    )
    page = text(admin, "/logs/?range=1h")
    assert page.count("<dt>exception.type</dt>") == page.count('class="log-detail"') > 0


def test_calls_without_usage_are_an_outcome(demo: int, admin: Client) -> None:
    count = scalar("SELECT count(*) FROM telemetry_trace WHERE facets @> '{usage:missing}'")
    without = (
        "SELECT count(DISTINCT trace_id) FROM telemetry_span WHERE counted_kind = 'llm_call' AND input_tokens IS NULL"
        " AND output_tokens IS NULL AND status <> 2 AND error_type = ''"
    )
    assert count == scalar(without)
    scalar(
        "WITH changed AS (UPDATE telemetry_trace SET facets = facets || '{usage:missing}'::text[]"
        " WHERE trace_id = (SELECT trace_id FROM telemetry_trace WHERE NOT facets @> '{usage:missing}' LIMIT 1)"
        " RETURNING 1)"
        " SELECT count(*) FROM changed"
    )
    facets = text(admin, "/traces/?part=facets&range=1h")
    assert re.search(rf'title="usage missing">.*?facet-count">{count + 1}<', facets, re.DOTALL)
    listed = text(admin, "/traces/?range=1h&q=usage%3Dmissing")
    assert listed.count("usage missing</span>") == count + 1


def test_a_download_is_otlp_that_the_portal_takes_back(demo: int, admin: Client) -> None:
    trace = a_trace()
    body = json.loads(text(admin, f"/traces/{trace}/otlp.json"))
    spans = [span for one in body["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]]
    assert {span["traceId"] for span in spans} == {trace}
    assert len(spans) == scalar(f"SELECT spans FROM telemetry_trace WHERE trace_id = '{trace}'")


def test_logs_are_filtered_folded_and_downloaded(demo: int, admin: Client) -> None:
    total = scalar("SELECT count(*) FROM telemetry_log")
    page = text(admin, "/logs/")
    assert page.count('class="log-line ') == min(100, total)
    errors = text(admin, "/logs/?q=severity%3Derror")
    assert errors.count("log-line level-error") == min(
        100, scalar("SELECT count(*) FROM telemetry_log WHERE severity >= 17")
    )
    assert "level-info" not in errors
    assert "support-desk</span>" not in text(admin, "/logs/?q=service!%3Dsupport-desk")
    trace = a_trace()
    lines = text(admin, f"/logs/lines.ndjson?q=trace%3D{trace}").splitlines()
    assert {json.loads(line)["trace_id"] for line in lines} == {trace}
    assert text(admin, "/logs/lines.csv").count("\n") == total + 1
    patterns = text(admin, "/logs/?part=patterns")
    assert "ticket ‹n› received, ‹n› characters" in patterns
    context = re.search(r'hx-get="(/logs/around/[^"]+)"', page)
    assert context is not None
    assert "this-line" in text(admin, context[1])
    older = re.search(r'href="(\?[^"]*before=[^"]+)"', page)
    assert older is not None
    assert "log-line" in text(admin, "/logs/" + older[1].replace("&amp;", "&"))
    tail = text(admin, "/logs/?part=tail&since=0")
    assert tail.count('class="log-line ') == min(200, total)


def test_the_lines_of_a_pattern_are_found_again_and_counted(demo: int, admin: Client) -> None:
    total, errors = rows("SELECT count(*)::int, (count(*) FILTER (WHERE severity >= 17))::int FROM telemetry_log")[0]
    assert text(admin, "/logs/?part=counts").split() == f"{total:,} in 6 h · {errors} errors · kept 14 days".split()
    patterns = re.findall(r'href="([^"]+)">.*?<span>(\d+)</span>', text(admin, "/logs/?part=patterns"), re.DOTALL)
    assert len(patterns) > 5
    for url, lines in patterns[:8]:
        assert text(admin, f"/logs/{html.unescape(url)}&part=counts").split()[0] == lines, url
    page = text(admin, "/logs/?q=severity%3Derror")
    alike = re.search(r'href="(/logs/[^"]+)">only lines like this', page)
    assert alike is not None
    found = text(admin, html.unescape(alike[1]))
    assert 0 < found.count('class="log-line ') <= page.count('class="log-line ')
    assert found.count("Remove ") == 2


def test_bad_addresses_are_never_a_fault_of_the_server(demo: int, admin: Client) -> None:
    for path in (
        "/traces/?page=x&sort=nonsense&from=1&to=0",
        "/traces/?q=cost>x&q=&q=status=odd&q=a!=b&base=1-2",
        "/traces/?q=%00&q=model=%00",
        "/logs/?q=severity=odd&q=trace=xyz&q=span=1&before=x",
        "/logs/?before=99999999999999999999-00",
        "/traces/compare/?id=x&id=y",
    ):
        text(admin, path)
    text(admin, "/logs/?part=tail&since=x", 404)
    text(admin, "/logs/around/1-2/", 404)
    text(admin, f"/traces/{a_trace()}/spans/x/", 404)
