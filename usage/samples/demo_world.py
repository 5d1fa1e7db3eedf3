"""Invented traffic of an invented company, for people who try the portal: plausible records of every kind.

The records of a span of time follow from that time alone: asked again, the same come out, with the same event ids, so
that sending them twice counts them once. What goes wrong goes wrong at set minutes of each hour (`Hour`), so that there
is something to find: usage that one model does not report, a provider that limits its callers, a tool that hangs.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TICK = 5
CALLS_PER_TICK = 6.0
_IDS = uuid.UUID("9a4f3c1e-6d0b-4c53-8f6e-2b7a51c90d44")

Fields = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A model in use: its share of the calls, medians of tokens and of seconds. Without `completion` it makes
    embeddings."""

    provider: str
    name: str
    share: float
    prompt: float
    completion: float
    seconds: float


MODELS = (
    Model("openai", "gpt-4o", 26, 1400, 220, 2.2),
    Model("openai", "gpt-4o-mini", 30, 700, 150, 0.9),
    Model("openai", "text-embedding-3-small", 14, 420, 0, 0.18),
    Model("anthropic", "claude-sonnet-4-5", 16, 2600, 380, 3.4),
    Model("google", "gemini-2.5-flash", 9, 1100, 190, 1.1),
    # No price is known for a model of one's own.
    Model("in-house", "llama-3-70b-tuned", 5, 900, 160, 1.6),
)
SHARES = [model.share for model in MODELS]
# Rules judge what all workspaces record together: under names of their own these cannot hide that a real component fell
# silent.
WORK = (
    ("demo-workflow", "support", "answer-ticket"),
    ("demo-workflow", "support", "summarise-thread"),
    ("demo-agent", "research", "market-scout"),
    ("demo-agent", "platform", "code-reviewer"),
    ("demo-task", "growth", "draft-campaign"),
)
TOOLS = (
    ("github", "search_issues", 0.35),
    ("github", "create_comment", 0.5),
    ("postgres", "query", 0.06),
    ("browser", "fetch", 1.4),
    ("files", "read", 0.02),
)
CALL_ERRORS = ("server_error", "invalid_request", "timeout", "auth")
TOOL_ERRORS = ("connection", "validation", "execution", "timeout")
GATEWAYS = ("eu", "us")


@dataclass(frozen=True)
class Hour:
    """What is wrong in a minute of the hour."""

    minute: int

    def unreported(self, model: Model) -> float:
        """Share of the model's calls whose usage is missing."""
        return 0.3 if model.provider == "google" and 35 <= self.minute < 41 else 0.002

    def limited(self, model: Model) -> float:
        """Share of the model's calls that its provider refuses for their rate."""
        return 0.35 if model.provider == "anthropic" and 12 <= self.minute < 17 else 0.004

    def slowness(self, server: str) -> float:
        """How many times slower than usual a tool server is."""
        return 9.0 if server == "browser" and 50 <= self.minute < 56 else 1.0


def records(start: int, end: int) -> Iterator[Fields]:
    """The records of [start, end), in epoch seconds; both multiples of TICK."""
    for tick in range(start, end, TICK):
        # Not for secrets: the same tick must give the same records.
        rng = random.Random(f"demo {tick}")  # noqa: S311
        for number, fields in enumerate(_tick(rng, tick)):
            fields["event_id"] = str(uuid.uuid5(_IDS, f"{tick}/{number}"))
            fields.setdefault("at", tick + round(rng.random() * TICK, 3))
            yield fields


def _tick(rng: random.Random, tick: int) -> Iterator[Fields]:
    hour = Hour(tick // 60 % 60)
    for _ in range(_poisson(rng, CALLS_PER_TICK * _daylight(tick))):
        yield _llm_call(rng, hour)
    for _ in range(_poisson(rng, 2.5 * _daylight(tick))):
        yield _tool_call(rng, hour)
    for _ in range(_poisson(rng, 0.8)):
        yield _execution(rng)
    for _ in range(_poisson(rng, 1.5)):
        yield _gateway_request(rng)
    if rng.random() < 0.5:
        yield _registry_lookup(rng)
    if rng.random() < 0.1:
        yield _factory_create(rng)
    if tick % 15 == 0:
        yield from _gauges(rng, tick)


def _llm_call(rng: random.Random, hour: Hour) -> Fields:
    [model] = rng.choices(MODELS, SHARES)
    component, team, feature = rng.choice(WORK)
    seconds = _lognormal(rng, model.seconds, 0.45)
    call: Fields = {
        "kind": "llm_call",
        "provider": model.provider,
        "model": model.name,
        "operation": "chat" if model.completion else "embeddings",
        "component": component,
        "team": team,
        "outcome": "success",
        "duration_seconds": seconds,
        "trace_id": f"{rng.getrandbits(128):032x}",
        "attributes": {"feature": feature, "demo": True},
    }
    luck = rng.random()
    if luck < hour.limited(model):
        call |= {"outcome": "rate_limited", "error_type": "rate_limit", "duration_seconds": 0.1 + seconds / 20}
        call["rate_limit_delay_seconds"] = _lognormal(rng, 4, 0.7)
    elif luck > 0.992:
        error = rng.choice(CALL_ERRORS)
        call |= {"outcome": "timeout" if error == "timeout" else "error", "error_type": error}
        call["duration_seconds"] = 60.0 if error == "timeout" else seconds / 3
    elif rng.random() >= hour.unreported(model):
        prompt = round(_lognormal(rng, model.prompt, 0.8))
        call |= {"prompt_tokens": prompt, "cached_tokens": round(prompt * 0.3) if rng.random() < 0.2 else 0}
        if model.completion:
            call["completion_tokens"] = round(_lognormal(rng, model.completion, 0.7))
    return call


def _tool_call(rng: random.Random, hour: Hour) -> Fields:
    server, tool, median = rng.choice(TOOLS)
    seconds = _lognormal(rng, median, 0.6) * hour.slowness(server)
    call: Fields = {
        "kind": "tool_call",
        "component": "demo-agent",
        "server_id": server,
        "tool_name": tool,
        "outcome": "success",
        "duration_seconds": round(seconds, 5),
    }
    if seconds > 30 or rng.random() < 0.02:
        kind = "timeout" if seconds > 30 else rng.choice(TOOL_ERRORS)
        call |= {"outcome": "timeout" if kind == "timeout" else "error", "error_kind": kind}
    return call


def _execution(rng: random.Random) -> Fields:
    component, team, agent = rng.choice(WORK)
    return {
        "kind": "execution",
        "component": component,
        "team": team,
        "agent_id": agent,
        "status": "failed" if rng.random() < 0.02 else "completed",
        "duration_seconds": _lognormal(rng, 6, 0.6),
    }


def _gateway_request(rng: random.Random) -> Fields:
    [status] = rng.choices(("200", "404", "429", "502"), (95, 2, 2, 1))
    return {
        "kind": "gateway_request",
        "gateway_id": rng.choice(GATEWAYS),
        "method": rng.choice(("GET", "POST")),
        "status": status,
        "duration_seconds": _lognormal(rng, 0.05, 0.5),
    }


def _registry_lookup(rng: random.Random) -> Fields:
    hit = rng.random() < 0.9
    seconds = _lognormal(rng, 0.00004 if hit else 0.006, 0.6, 7)
    return {"kind": "registry_lookup", "outcome": "hit" if hit else "miss", "duration_seconds": seconds}


def _factory_create(rng: random.Random) -> Fields:
    factory, names = rng.choice((("provider", ("openai", "anthropic")), ("tool", ("github", "browser"))))
    seconds = _lognormal(rng, 0.0003, 0.8, 7)
    return {"kind": "factory_create", "factory_type": factory, "name": rng.choice(names), "duration_seconds": seconds}


def _gauges(rng: random.Random, tick: int) -> Iterator[Fields]:
    for server in dict.fromkeys(server for server, _, _ in TOOLS):
        yield _gauge(tick, "mcp_server_connections_active", {"server_id": server}, rng.randint(2, 9))
    for gateway in GATEWAYS:
        yield _gauge(tick, "gateway_active_connections", {"gateway_id": gateway}, rng.randint(10, 60))


def _gauge(tick: int, metric: str, labels: dict[str, str], value: int) -> Fields:
    return {"kind": "gauge", "at": tick, "metric": metric, "labels": labels, "value": value}


def _daylight(tick: int) -> float:
    """The share of the busiest hour's traffic: most at 14:00 UTC, least at 02:00."""
    return 0.65 + 0.35 * math.cos((tick % 86_400 - 50_400) / 86_400 * 2 * math.pi)


def _poisson(rng: random.Random, mean: float) -> int:
    """How many events of a Poisson process with that mean (Knuth's way, for small means)."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _lognormal(rng: random.Random, median: float, sigma: float, digits: int = 3) -> float:
    return round(rng.lognormvariate(math.log(median), sigma), digits)
