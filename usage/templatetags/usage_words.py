"""Numbers as pages write them: the words of `usage.words` as filters."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from usage import words
from usage.queries_prices import source_words

register = template.Library()

register.filter("count", words.count)
register.filter("usd", words.usd)
register.filter("seconds", words.seconds)
register.filter("price_source", source_words)


@register.filter
def price(value: float | None) -> str:
    """USD per million tokens; a dash where none is known."""
    return words.NONE if value is None else f"{value:.6g}"


@register.filter
def ticked(text: str) -> SafeString:
    """Text in which `code` stands between backticks."""
    parts = text.split("`")
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if place % 2 else part,) for place, part in enumerate(parts))
    )
