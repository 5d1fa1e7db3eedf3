"""Numbers as Prometheus writes them."""

import math
from decimal import Decimal


def format_value(value: float) -> str:
    """The shortest decimal text of a float, never with an exponent: label values, messages."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_openmetrics(value: float) -> str:
    """A float as OpenMetrics writes it: whole numbers with `.0`."""
    if math.isnan(value) or math.isinf(value):
        return format_value(value)
    return repr(value)
