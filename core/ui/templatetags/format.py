"""Numbers and times as pages write them: filters that every template has without loading them."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.accounts.models import Owned
from core.accounts.ownership import Changer
from core.ui import numbers
from core.ui.durations import format_long

register = template.Library()

register.filter("count", numbers.count)
register.filter("usd", numbers.usd)
register.filter("seconds", numbers.seconds)
register.filter("measured", numbers.measured)


@register.filter
def price(value: float | None) -> str:
    """USD per million tokens; a dash where none is known."""
    return numbers.NONE if value is None else f"{value:.6g}"


@register.filter
def ticked(text: str) -> SafeString:
    """Text in which `code` stands between backticks."""
    parts = text.split("`")
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if place % 2 else part,) for place, part in enumerate(parts))
    )


@register.filter
def changeable_by(thing: Owned, changer: Changer) -> bool:
    """Whether the person may change something that belongs to a workspace or to the whole portal."""
    return changer.may(thing.workspace_id)


@register.filter
def span(seconds: float | None) -> str:
    """Seconds as people say them: `15 min`."""
    return "" if seconds is None else format_long(seconds)


@register.filter
def of(found: dict[int, list[str]], key: int) -> list[str]:
    """What a mapping has for a key; nothing where it has none."""
    return found.get(key, [])


@register.filter
def percent(share: float) -> str:
    """A share as percent: `92 %`."""
    return f"{share * 100:.0f} %"


@register.filter
def milli(seconds: float | None) -> str:
    """How long something took: `87 ms`, `1.4 s`."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


@register.filter
def moment(ms: int) -> str:
    """Epoch milliseconds as ISO 8601."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


@register.filter
def microseconds(at: datetime) -> int:
    """A time in microseconds of the Unix epoch."""
    return round(at.timestamp() * 1e6)
