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
