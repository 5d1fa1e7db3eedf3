"""Queries with every kind of part, and what the page says that each has."""

import re

from alerts.rules.defaults import SPIKE
from alerts.rules.expression import expand

# A query for each kind of node, some with its parts in places of their own.
KINDS = (
    "llm_tokens_total",
    "llm_tokens_total[5m] offset 1m",
    "rate(llm_tokens_total[5m])[10m:1m]",
    "max_over_time(rate(llm_tokens_total[5m])[10m:1m])",
    "sum without (direction) (llm_tokens_total @ end())",
    "topk(scalar(count(llm_tokens_total)) - 2, llm_tokens_total)",
    'count_values("v", llm_tokens_total)',
    "-(llm_tokens_total)",
    "1 + 2 * 3",
    "time()",
    '"text"',
    "vector(1) > bool 0",
    "llm_tokens_total and on (model) llm_provider_request_seconds_count",
    'label_replace(llm_tokens_total, "a", "$1", "model", "(.*)")',
    "histogram_quantile(0.5, sum by (le) (rate(llm_provider_request_seconds_bucket[10m])))",
    "absent(nothing)",
    expand(SPIKE.strip(), 3),
)


def values_of_parts(page: str) -> list[str]:
    """What each part of the explained queries has, in the page's order; "" where nothing is said."""
    parts = re.findall(r'<div class="part">(.*?)</div>', page, re.DOTALL)
    shown = [re.search(r'class="part-now[^>]*>([^<]+)<', part) for part in parts]
    return [one[1] if one else "" for one in shown]
