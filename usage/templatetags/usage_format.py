"""Words of usage as filters: those that core.ui cannot know."""

from __future__ import annotations

from django import template

from usage.pages.price_queries import source_text

register = template.Library()

register.filter("price_source", source_text)
