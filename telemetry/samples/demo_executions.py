"""Invented executions of an invented company's agents: workflows that call agents, models and tools, with retries and
errors, and their logs.

An execution follows from its tick alone, ids included: asked again, the same comes out, and counts once. What goes
wrong goes wrong in minutes of the hour that `usage.samples.demo_world` has too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from usage.samples.demo_world import Hour, Model

TICK = 5
INTERNAL, SERVER, CLIENT = 1, 2, 3
INFO, WARN, ERROR = (9, "INFO"), (13, "WARN"), (17, "ERROR")
Attributes = dict[str, Any]

MINI = Model("openai", "gpt-4o-mini", 1, 900, 90, 0.9)
LARGE = Model("openai", "gpt-4o", 1, 1800, 160, 1.6)
SONNET = Model("anthropic", "claude-sonnet-4-5", 1, 3600, 480, 2.8)
FLASH = Model("google", "gemini-2.5-flash", 1, 9000, 420, 1.9)


@dataclass
class Execution:
    """What one execution sends: spans and log records per service, as OTLP's JSON has them."""

    rng: random.Random
    hour: Hour
    trace_id: str
    spans: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def span_id(self) -> str:
        """A new id."""
        return f"{self.rng.getrandbits(64) | 1:016x}"

    def seconds(self, median: float, sigma: float = 0.4) -> float:
        """A time that is mostly about the median."""
        return self.rng.lognormvariate(math.log(median), sigma)

    def count(self, median: float) -> int:
        """A number of tokens that is mostly about the median."""
        return max(1, round(self.rng.lognormvariate(math.log(median), 0.5)))

    def add(
        self,
        service: str,
        parent: str,
        span_id: str,
        name: str,
        start: float,
        end: float,
        kind: int = INTERNAL,
        error: str = "",
        message: str = "",
        **attributes: Any,
    ) -> None:
        """Add a span; underscores in the names of attributes stand for dots, two for one underscore."""
        named = {key.replace("__", "~").replace("_", ".").replace("~", "_"): value for key, value in attributes.items()}
        if error:
            named["error.type"] = error
        span: dict[str, Any] = {
            "traceId": self.trace_id,
            "spanId": span_id,
            "parentSpanId": parent,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(round(start * 1e9)),
            "endTimeUnixNano": str(round(end * 1e9)),
            "attributes": [{"key": key, "value": value_of(value)} for key, value in named.items()],
            "status": {"code": 2, "message": message or error} if error else {},
        }
        if error:
            given = {"exception.type": error, "exception.message": message or error}
            pairs = [{"key": key, "value": value_of(value)} for key, value in given.items()]
            span["events"] = [{"timeUnixNano": str(round(end * 1e9)), "name": "exception", "attributes": pairs}]
        self.spans.setdefault(service, []).append(span)

    def log(self, service: str, span_id: str, at: float, level: tuple[int, str], body: str, **attributes: Any) -> None:
        """Add a log record of a span."""
        record = {
            "timeUnixNano": str(round(at * 1e9)),
            "severityNumber": level[0],
            "severityText": level[1],
            "body": {"stringValue": body},
            "traceId": self.trace_id,
            "spanId": span_id,
            "attributes": [
                {"key": key.replace("_", "."), "value": value_of(value)} for key, value in attributes.items()
            ],
        }
        self.logs.setdefault(service, []).append(record)


def value_of(value: Any) -> dict[str, Any]:
    """A value as OTLP's JSON has it."""
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}


def executions(start: int, end: int, every: int = TICK) -> Iterator[Execution]:
    """The executions that begin in [start, end), in Unix epoch seconds, one per `every` (a multiple of TICK)."""
    for tick in range(-(-start // every) * every, end, every):
        # Not for secrets: the same tick must give the same execution.
        rng = random.Random(f"execution {tick}")  # noqa: S311
        execution = Execution(rng, Hour(tick // 60 % 60), f"{rng.getrandbits(128) | 1:032x}")
        begin = tick + rng.random() * TICK
        rng.choice((answer_ticket, answer_ticket, review_code, faq, summarise))(execution, begin)
        yield execution


def call_model(run: Execution, service: str, parent: str, agent: str, model: Model, at: float) -> float:
    """A call of a model; when it ended. A limited one is tried again."""
    span_id = run.span_id()
    common: Attributes = {
        "gen__ai_operation_name": "chat",
        "gen__ai_provider_name": model.provider,
        "gen__ai_request_model": model.name,
        "gen__ai_agent_name": agent,
    }
    if run.rng.random() < run.hour.limited(model):
        end = at + run.seconds(0.2)
        message = "429 Too Many Requests: rate limit reached"
        run.add(service, parent, span_id, f"chat {model.name}", at, end, CLIENT, "rate_limit", message, **common)
        pause = run.seconds(1.2)
        run.log(service, span_id, end, WARN, f"{model.name} answered 429, trying again in {pause:.2f} s", attempt=1)
        return call_model(run, service, parent, agent, model, end + pause) if run.rng.random() < 0.8 else end
    prompt, answer = run.count(model.prompt), run.count(model.completion)
    took = run.seconds(model.seconds)
    common |= {"gen__ai_response_model": model.name, "gen__ai_server_time__to__first__token": round(took * 0.2, 3)}
    if run.rng.random() >= run.hour.unreported(model):
        common |= {
            "gen__ai_usage_input__tokens": prompt,
            "gen__ai_usage_output__tokens": answer,
            "gen__ai_usage_cache__read_input__tokens": round(prompt * run.rng.choice((0, 0, 0.4))),
        }
    else:
        run.log(service, span_id, at + took, WARN, f"stream finished without usage, provider={model.provider}")
    run.add(service, parent, span_id, f"chat {model.name}", at, at + took, CLIENT, **common)
    return at + took


def call_tool(
    run: Execution, service: str, parent: str, agent: str, server: str, tool: str, median: float, at: float
) -> float:
    """A call of a tool over HTTP; when it ended. What fails is tried again once."""
    failing = 0.25 if server == "stripe" and 40 <= run.hour.minute < 50 else 0.02
    for attempt in (1, 2):
        span_id, took = run.span_id(), run.seconds(median) * run.hour.slowness(server)
        bad = run.rng.random() < failing
        error, message = ("execution", "503 Service Unavailable") if bad else ("", "")
        run.add(
            service, parent, span_id, f"execute_tool {tool}", at, at + took, error=error, message=message,
            gen__ai_operation_name="execute_tool", gen__ai_tool_name=tool, gen__ai_agent_name=agent,
            mcp_server_name=server,
        )  # fmt: skip
        run.add(
            service, span_id, run.span_id(), f"POST api.{server}.example", at + took * 0.02, at + took * 0.98, CLIENT,
            error="503" if bad else "", message=message,
            http_request_method="POST", server_address=f"api.{server}.example",
            http_response_status__code=503 if bad else 200,
        )  # fmt: skip
        at += took
        if not bad:
            run.log(service, span_id, at, INFO, f"tool call {server}.{tool} took {took * 1000:.0f} ms")
            return at
        run.log(
            service,
            span_id,
            at,
            ERROR,
            f"{server}.{tool} failed: 503 Service Unavailable (attempt {attempt})",
            exception_type="Unavailable",
        )
        at += 0.05
    return at


def agent_run(run: Execution, service: str, parent: str, agent: str, at: float, steps: tuple[Any, ...]) -> float:
    """An agent that calls models (a `Model`) and tools ((server, tool, seconds)) in turn; when it ended."""
    span_id, begin = run.span_id(), at
    for step in steps:
        if isinstance(step, Model):
            at = call_model(run, service, span_id, agent, step, at)
        else:
            server, tool, median = step
            at = call_tool(run, service, span_id, agent, server, tool, median, at)
        at += run.seconds(0.02)
    run.add(
        service, parent, span_id, f"invoke_agent {agent}", begin, at,
        gen__ai_operation_name="invoke_agent", gen__ai_agent_name=agent,
    )  # fmt: skip
    return at


def workflow(run: Execution, service: str, name: str, team: str, begin: float, end: float, span_id: str) -> None:
    """The root of an execution."""
    run.add(
        service, "", span_id, name, begin, end, SERVER,
        gen__ai_operation_name="invoke_workflow", gen__ai_workflow_name=name, team=team,
        session_id=f"conversation-{run.rng.randrange(400)}",
    )  # fmt: skip


def answer_ticket(run: Execution, begin: float) -> None:
    """A ticket is sorted, looked up and, for some, refunded."""
    service, root, at = "support-desk", run.span_id(), begin + 0.01
    run.log(
        service,
        root,
        begin,
        INFO,
        f"ticket {run.rng.randrange(10_000)} received, {run.rng.randrange(40, 900)} characters",
    )
    at = agent_run(run, service, root, "triage-agent", at, (MINI, ("github", "search_issues", 0.8), LARGE))
    at = search(run, root, at)
    if run.rng.random() < 0.6:
        if run.rng.random() < 0.3:
            run.log(service, root, at, WARN, f"refund above {run.rng.choice((50, 100))} EUR, asking the policy")
        steps = (SONNET, ("stripe", "get_charge", 0.3), ("stripe", "create_refund", 1.1), SONNET)
        at = agent_run(run, service, root, "refund-agent", at, steps)
    end = at + run.seconds(0.2)
    run.add(
        service,
        root,
        run.span_id(),
        "POST /tickets/{id}/reply",
        at,
        end,
        CLIENT,
        http_request_method="POST",
        http_response_status__code=200,
    )
    workflow(run, service, "answer-ticket", "support", begin, end + 0.01, root)


def search(run: Execution, parent: str, at: float) -> float:
    """A search in another service, whose clock is a little off; when it ended."""
    caller, took = run.span_id(), run.seconds(0.3)
    run.add("support-desk", parent, caller, "POST knowledge/search", at, at + took, CLIENT, http_request_method="POST")
    served, skew = run.span_id(), 0.4
    run.add(
        "knowledge", caller, served, "search orders-index", at + 0.02 - skew, at + took - 0.02 - skew, SERVER,
        gen__ai_operation_name="retrieval", db_system_name="postgresql",
    )  # fmt: skip
    run.log(
        "knowledge",
        served,
        at + took - 0.02 - skew,
        INFO,
        f"{run.rng.randrange(3, 20)} documents found in {took * 1000:.0f} ms",
    )
    return at + took


def review_code(run: Execution, begin: float) -> None:
    """An agent that reads a change file by file, and works on several at once."""
    service, root, at = "code-review", run.span_id(), begin + 0.01
    ends = [
        agent_run(
            run,
            service,
            root,
            "file-reviewer",
            at + place * 0.3,
            (("github", "get_file", 0.4), SONNET, ("github", "create_comment", 0.5)),
        )
        for place in range(run.rng.randint(2, 5))
    ]
    end = call_model(run, service, root, "reviewer", LARGE, max(ends))
    run.log(
        service, root, end, INFO, f"review of change {run.rng.randrange(2_000)} done: {run.rng.randrange(9)} comments"
    )
    workflow(run, service, "review-change", "platform", begin, end + 0.02, root)


def faq(run: Execution, begin: float) -> None:
    """A short answer."""
    service, root = "chat-widget", run.span_id()
    end = agent_run(run, service, root, "faq-agent", begin + 0.01, (MINI,))
    run.log(service, root, end, INFO, f"answered from cache key=page-{run.rng.randrange(80)}")
    workflow(run, service, "answer-question", "growth", begin, end + 0.01, root)


def summarise(run: Execution, begin: float) -> None:
    """Long texts in, short ones out; some are too long."""
    service, root, at = "nightly-summaries", run.span_id(), begin + 0.01
    if run.rng.random() < 0.06:
        tokens, span_id = run.rng.randrange(1_000_000, 1_400_000), run.span_id()
        message = f"context length exceeded: {tokens:,} > 1,000,000 tokens"
        run.add(
            service, root, span_id, f"chat {FLASH.name}", at, at + 0.2, CLIENT, "invalid_request", message,
            gen__ai_operation_name="chat", gen__ai_provider_name=FLASH.provider, gen__ai_request_model=FLASH.name,
        )  # fmt: skip
        run.log(service, span_id, at + 0.2, ERROR, message, exception_type="ContextLengthExceeded")
        at += 0.2
    end = agent_run(run, service, root, "summary-agent", at, (("files", "read", 0.05), FLASH, FLASH))
    workflow(run, service, "summarise-threads", "research", begin, end + 0.01, root)


def body_of(signal: str, items: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Items per service as the body of an OTLP request: `signal` is Spans or Logs."""
    inner = {"Spans": "spans", "Logs": "logRecords"}[signal]
    scope = {"name": "demo"}
    return {
        f"resource{signal}": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                f"scope{signal}": [{"scope": scope, inner: found}],
            }
            for service, found in items.items()
        ]
    }
