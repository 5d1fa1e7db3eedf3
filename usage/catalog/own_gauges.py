"""Gauges that the portal itself measures; clients may not send them."""

OWN_GAUGES = frozenset(
    {"llm_usage_persist_queue_size", "team_spend_usd", "budget_limit", "portal_canary_delay_seconds"}
)
