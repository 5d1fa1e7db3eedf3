"""manage.py replay: real files through the real HTTP API."""

import gzip
import io
import json
import re
import shlex
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from alerts.models import Flip, Rule
from alerts.rules.defaults import ensure_defaults
from tests.alerts.groups import evaluate_group
from tests.records import Sender, rows, scalar, settle_all
from tests.servers import Answer, HttpServer
from usage.management.commands import replay as command
from usage.samples.replay.draw import LabelValues, durations, failures, seconds
from usage.samples.replay.plan import Options, Plan, plan
from usage.samples.replay.progress import Progress
from usage.samples.replay.read import FileError, read_table
from usage.samples.replay.send import Sender as HttpSender
from usage.samples.replay.send import SendError, Summary, retry_after
from usage.series.source import PostgresSource

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "usage/samples/azure-code-2023-first-600.csv"
TRACE = ROOT / "tests/documents/azure-llm-inference-2023-code.csv"
COLUMNS = ["--at", "TIMESTAMP", "--prompt-tokens", "ContextTokens", "--completion-tokens", "GeneratedTokens"]
LABELS = ["--provider", "openai", "--model", "gpt-4o", "--component", "task"]


def write(folder: Path, text: str) -> Path:
    """A file to replay."""
    path = folder / "calls"
    path.write_text(text)
    return path


def options(**values: Any) -> Options:
    """Options for a file with the columns at, in and out."""
    return Options(
        **{"at": "at", "tokens": {"prompt_tokens": "in", "completion_tokens": "out"}, "labels": {}, **values}
    )


# -- read


def test_csv_and_ndjson_read_alike(tmp_path: Path) -> None:
    csv = read_table(write(tmp_path, "at,in,who\n2026-01-02 03:04:05.1234567,10,ann\n2026-01-02T03:04:06+01:00,,\n"))
    assert csv.column("who") == ["ann", ""]
    assert csv.times("at").tolist() == [1767323045.123456, 1767319446.0]
    assert str(csv.numbers("in").tolist()) == "[10.0, nan]"
    ndjson = read_table(write(tmp_path, '{"at": 1.5, "in": 10, "who": "ann"}\n\n{"at": 2, "in": null}\n'))
    assert ndjson.column("who") == ["ann", ""]
    assert ndjson.times("at").tolist() == [1.5, 2.0]
    assert str(ndjson.numbers("in").tolist()) == "[10.0, nan]"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "has no rows"),
        ("at,in,out\n", "has no rows"),
        ("at,in,out\n1,2\n", "row 1 has 2 fields, the header 3"),
        ("when,in,out\n1,2,3\n", "there is no column 'at'; the file has when, in, out"),
        ("at,in,out\n1,2,3\nsoon,2,3\n", "column 'at', row 2: 'soon' is not a time"),
        ("at,in,out\n1,many,3\n", "column 'in', row 1: 'many' is not a number"),
        ("at,in,out\n1,1.5,3\n", "column 'in': tokens are whole numbers"),
        ("at,in,out\n1,-1,3\n", "column 'in': tokens are whole numbers"),
        ('{"at": 1\n', "line 1 is not a JSON object"),
    ],
)
def test_what_is_wrong_with_a_file_is_reported_with_its_place(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(FileError, match=re.escape(error)):
        plan(read_table(write(tmp_path, text)), options())


# -- draw


@pytest.fixture
def thousand(tmp_path: Path) -> Any:
    """A table of a thousand rows, one per second."""
    return read_table(write(tmp_path, "at,in,out\n" + "".join(f"{1000 + row},5,1\n" for row in range(1000))))


def test_weighted_values_follow_their_weights_and_the_seed(thousand: Any) -> None:
    drawn = LabelValues("gpt-4o=0.7,gpt-4o-mini=0.3").values(thousand, 1, "model")
    assert drawn.count("gpt-4o") == pytest.approx(700, abs=50)
    assert drawn == LabelValues("gpt-4o=0.7,gpt-4o-mini=0.3").values(thousand, 1, "model")
    assert drawn != LabelValues("gpt-4o=0.7,gpt-4o-mini=0.3").values(thousand, 2, "model")
    assert LabelValues("gpt-4o").values(thousand, 1, "model") == ["gpt-4o"] * 1000
    assert LabelValues("column:in").values(thousand, 1, "model") == ["5"] * 1000


@pytest.mark.parametrize(
    ("text", "median", "within"),
    [
        ("constant:2", 2, 0),
        ("uniform:1,3", 2, 0.2),
        ("exponential:2", 2 * np.log(2), 0.2),
        ("lognormal:1.2,0.5", np.exp(1.2), 0.3),
        ("column:in", 5, 0),
    ],
)
def test_durations_follow_their_distribution_and_the_seed(
    thousand: Any, text: str, median: float, within: float
) -> None:
    drawn = durations(text, thousand, 1)
    assert np.median(drawn) == pytest.approx(median, abs=within)
    assert (drawn == durations(text, thousand, 1)).all()


@pytest.mark.parametrize(
    "text", ["normal:1,2", "uniform:1", "uniform:1,2,3", "constant:x", "constant:-1", "uniform:3,1"]
)
def test_a_duration_that_cannot_be_is_refused(thousand: Any, text: str) -> None:
    with pytest.raises(FileError, match="--duration"):
        durations(text, thousand, 1)


@pytest.mark.parametrize("text", ["a=x,b=1", "=1,b=1", "a=-1,b=2", "a=0,b=0", "a,b=1"])
def test_weights_that_cannot_be_are_refused(thousand: Any, text: str) -> None:
    with pytest.raises(FileError, match="--model"):
        LabelValues(text).values(thousand, 1, "model")


def test_injected_failures_lie_in_their_span_and_lose_their_tokens(thousand: Any) -> None:
    lost = failures(0.5, (100, 200), thousand.times("at"), 3)
    assert lost[:100].sum() == lost[200:].sum() == 0
    assert lost[100:200].sum() == pytest.approx(50, abs=20)
    made = plan(thousand, options(seed=3, fail=0.5, fail_between=(100, 200)))
    assert ["prompt_tokens" not in record for record in made.records] == lost.tolist()


def test_a_drawn_failure_of_the_provider_has_no_tokens(thousand: Any) -> None:
    made = plan(thousand, options(labels={"outcome": "success=0.9,error=0.1"}))
    assert all((record["outcome"] == "success") == ("prompt_tokens" in record) for record in made.records)


@pytest.mark.parametrize(("text", "span"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400)])
def test_spans_of_time_read_as_people_write_them(text: str, span: float) -> None:
    assert seconds(text) == span


# -- plan


def test_records_are_in_order_of_time_with_ids_of_their_rows(tmp_path: Path) -> None:
    text = "at,in,out\n20,2,2\n10,1,1\n"
    made = plan(read_table(write(tmp_path, text)), options())
    assert [record["prompt_tokens"] for record in made.records] == [1, 2]
    assert made.records == plan(read_table(write(tmp_path, text)), options()).records
    other_seed = plan(read_table(write(tmp_path, text)), options(seed=1))
    other_file = plan(read_table(write(tmp_path, text + "30,3,3\n")), options())
    ids = [record["event_id"] for plan_ in (made, other_seed, other_file) for record in plan_.records]
    assert len(set(ids)) == len(ids)


def test_times_are_shifted_to_end_now_or_paced_from_now_on() -> None:
    made = Plan([{}, {}, {}], np.array([100.0, 110.0, 130.0]))
    assert made.ending_at(1000).tolist() == [970, 980, 1000]
    assert made.paced(1000, 10).tolist() == [1000, 1001, 1003]


def test_batches_are_bounded_in_size_and_in_time() -> None:
    made = Plan([{"n": number} for number in range(5)], np.arange(5.0))
    at = made.paced(1000, 2)
    assert [(due, [one["n"] for one in batch]) for due, batch in made.batches(at, 2, 9)] == [
        (1000.5, [0, 1]),
        (1001.5, [2, 3]),
        (1002.0, [4]),
    ]
    assert [len(batch) for _, batch in made.batches(at, 9, 1)] == [3, 2]


# -- send


OK = Answer(200, b'{"receipt": "r", "accepted": 1, "duplicates": 0, "rejected": []}')


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, none of which is made."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def test_a_busy_portal_is_asked_again_when_it_says(http_server: HttpServer, pauses: list[float]) -> None:
    http_server.answers.extend([Answer(503, headers={"Retry-After": "7"}), Answer(429), Answer(502), OK])
    HttpSender(http_server.url, "k").send([{"kind": "llm_call"}])
    assert pauses == [7, 1, 2]
    requests = http_server.requests
    assert len({request.body for request in requests}) == 1
    assert requests[0].headers["authorization"] == "Bearer k"
    assert json.loads(gzip.decompress(requests[0].body)) == [{"kind": "llm_call"}]


def test_a_refused_key_is_not_tried_again(http_server: HttpServer) -> None:
    http_server.answers.append(Answer(401, b'{"error": "no such API key"}'))
    with pytest.raises(SendError, match=r"answered 401.*no such API key"):
        HttpSender(http_server.url, "k").send([{}])
    assert len(http_server.requests) == 1


def test_a_portal_that_is_away_is_tried_with_growing_pauses(pauses: list[float]) -> None:
    with pytest.raises(SendError, match=r"cannot be reached.*tried 4 times"):
        HttpSender("http://127.0.0.1:9", "k", 4).send([{}])
    assert pauses == [0.5, 1, 2]
    assert (retry_after("9999"), retry_after("tomorrow")) == (60, None)


def test_the_summary_accounts_for_every_record() -> None:
    assert Summary(sent=3, accepted=2, duplicates=1).complete
    assert not Summary(sent=3, accepted=2).complete
    assert not Summary(sent=3, accepted=3, rejected=1).complete


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    for output in (terminal, file):
        with Progress(output, "sending") as progress:
            for step in (0.0, 0.5, 0.501, 1.0):
                progress(step)
    assert (
        terminal.getvalue()
        == f"\rsending {'░' * 32} 0 %\rsending {'█' * 16}{'░' * 16} 50 %\rsending {'█' * 32} 100 %\n"
    )
    assert file.getvalue() == ""


# -- the command


@pytest.fixture
def replay(live_server: LiveServer, sender: Sender, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Replay a file to the live server; what the command said."""

    def run(file: Path, *given: str) -> str:
        call_command("replay", str(file), "--url", live_server.url, "--key", sender.plaintext, *given)
        return capsys.readouterr().out

    return run


@pytest.fixture
def within_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `--now` be no moment of a day's first hours: a call that a second replay moves to another day counts anew."""
    now = time.time()
    into_day = now % 86_400
    at = now if into_day > 7_200 else now - into_day - 1
    monkeypatch.setattr(command, "time", SimpleNamespace(time=lambda: at, sleep=time.sleep))


def exported(client: Any, family: str) -> float:
    """The sum of a family on /metrics."""
    body = client.get("/metrics").content.decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines() if re.match(rf"{family}[{{ ]", line))


@pytest.mark.usefixtures("within_a_day")
def test_the_sample_of_the_tour_is_replayed_once(replay: Callable[..., str], sender: Sender) -> None:
    said = replay(SAMPLE, *COLUMNS, *LABELS, "--now", "--duration", "lognormal:1.2,0.5")
    assert said == "600 records sent in 2 receipts: 600 accepted, 0 duplicates, 0 rejected\n"
    again = replay(SAMPLE, *COLUMNS, *LABELS, "--now", "--duration", "lognormal:1.2,0.5")
    assert again == "600 records sent in 2 receipts: 0 accepted, 600 duplicates, 0 rejected\n"
    assert exported(sender.client, "llm_provider_request_seconds_count") == 600


def test_traces_and_logs_are_sent_around_the_calls_which_count_once(replay: Callable[..., str], sender: Sender) -> None:
    given = ["--now", "--duration", "lognormal:1.2,0.5", "--outcome", "success=0.9,error=0.1", "--traces"]
    for accepted in (600, 0):
        said = replay(SAMPLE, *COLUMNS, *LABELS, *given)
        assert f": {accepted} accepted" in said
        settle_all()
    assert exported(sender.client, "llm_provider_request_seconds_count") == 600
    assert rows(
        "SELECT count(*), count(DISTINCT trace_id), count(*) FILTER (WHERE kind = 'llm') FROM telemetry_span"
    ) == [(1800, 600, 600)]
    assert rows("SELECT not_counted, count(*) FROM telemetry_span GROUP BY 1 ORDER BY 1") == [
        ("", 1200),
        ("known", 600),
    ]
    # A line has no id: at another time it is another line.
    levels = dict(rows("SELECT severity_text, count(*) FROM telemetry_log GROUP BY 1"))
    assert levels["INFO"] + levels["ERROR"] == 2 * 600
    assert levels["ERROR"] == 2 * scalar("SELECT count(*) FROM telemetry_trace WHERE errors > 0") > 40


@pytest.mark.parametrize("page", ["README.md", "docs/replay.md"])
def test_the_command_in_the_manual_works_as_written(replay: Callable[..., str], page: str) -> None:
    [written] = re.findall(r"manage\.py replay (usage/samples/.*?)\n```", (ROOT / page).read_text(), re.DOTALL)
    file, *given = shlex.split(written.replace("\\\n", " "))
    assert replay(ROOT / file, *given).endswith("600 accepted, 0 duplicates, 0 rejected\n")


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_the_record_in_the_manual_is_accepted(sender: Sender, page: str) -> None:
    [body] = re.findall(r"/api/v1/usage .*?-d '(.*?)'", (ROOT / page).read_text(), re.DOTALL)
    answer = sender.post(body.encode()).json()
    assert (answer["accepted"], answer["rejected"]) == (1, [])


def test_the_pace_of_the_file_is_kept_times_the_speed(replay: Callable[..., str], tmp_path: Path) -> None:
    text = "at,in,out\n" + "".join(f"{second},5,1\n" for second in (0, 1000, 2000))
    before = datetime.now(UTC)
    replay(write(tmp_path, text), "--prompt-tokens", "in", "--speed", "2000")
    assert datetime.now(UTC) - before >= timedelta(seconds=1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM max(at) - min(at))::float FROM usage_record")
        assert cursor.fetchone() == (pytest.approx(1, abs=1e-3),)


def test_refused_records_fail_the_command_with_their_reason(replay: Callable[..., str], tmp_path: Path) -> None:
    text = "at,in,out\n0,5,1\n1,5,1\n"
    with pytest.raises(CommandError, match="longer than 200 characters"):
        replay(write(tmp_path, text), "--now", "--model", "m" * 300)


def test_without_a_key_the_command_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_USAGE_KEY", raising=False)
    with pytest.raises(CommandError, match="LLM_USAGE_KEY"):
        call_command("replay", str(SAMPLE))


@pytest.mark.parametrize(
    "bad", [["--fail", "2"], ["--fail-between", "3m"], ["--fail-between", "3m-1m"], ["--speed", "0"]]
)
def test_options_that_cannot_be_are_refused(bad: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("replay", str(SAMPLE), *bad)


# -- a real trace


@pytest.fixture
def trace() -> Path:
    """The whole trace."""
    return TRACE


@pytest.fixture
def rules(sender: Sender) -> None:
    """The default rules, none evaluated yet."""
    ensure_defaults(apps.get_model)


@pytest.mark.usefixtures("within_a_day")
def test_a_real_trace_is_counted_to_the_token_and_only_once(
    replay: Callable[..., str], sender: Sender, trace: Path
) -> None:
    table = read_table(trace)
    prompt, completion = (int(table.numbers(name).sum()) for name in ("ContextTokens", "GeneratedTokens"))
    for accepted, duplicates in ((8819, 0), (0, 8819)):
        said = replay(trace, *COLUMNS, *LABELS, "--now")
        assert said == (
            f"8,819 records sent in 18 receipts: {accepted:,} accepted, {duplicates:,} duplicates, 0 rejected\n"
        )
        assert exported(sender.client, "compozy_llm_prompt_tokens_total") == prompt
        assert exported(sender.client, "compozy_llm_completion_tokens_total") == completion
        assert exported(sender.client, "llm_tokens_total") == prompt + completion
        assert exported(sender.client, "compozy_llm_usage_events_total") == 8819
        assert exported(sender.client, "compozy_llm_usage_failures_total") == 0


@pytest.mark.usefixtures("rules")
def test_injected_failures_fire_and_resolve_the_alert_at_the_right_slots(
    replay: Callable[..., str], trace: Path
) -> None:
    replay(trace, *COLUMNS, *LABELS, "--now", "--fail", "0.05", "--fail-between", "5m-30m", "--seed", "7")
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM at)::float, prompt_tokens IS NULL FROM usage_record ORDER BY at")
        at, lost = (np.array(column) for column in zip(*cursor.fetchall(), strict=True))
    slots = np.arange(at[0] // 60 * 60 + 60, at[-1], 60)
    # A window of 15 minutes is open on its left: of the samples every 15 s, the first one in it is 14:45 old.
    over = [slot for slot in slots if lost[(at >= slot - 885) & (at < slot)].mean() > 0.01]
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    for slot in slots:
        evaluate_group(rule.group_id, datetime.fromtimestamp(slot + 15, UTC), PostgresSource())
    flips = Flip.objects.filter(alert__rule=rule).values_list("to_state", "at")
    assert [(state, when.timestamp()) for state, when in flips] == [
        ("pending", over[0]),
        ("firing", over[0] + 900),
        ("resolved", over[-1] + 60),
    ]
