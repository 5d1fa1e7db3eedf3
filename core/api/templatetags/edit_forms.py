"""What forms that change something stored carry: that a file holds it, and the edition that was read."""

from __future__ import annotations

from django import template
from django.db.models import Model
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.api.editions import edition_of
from core.api.managed import file_of

register = template.Library()


@register.simple_tag
def managed_notice(instance: object) -> SafeString | str:
    """A warning where the thing comes from a file."""
    file = file_of(instance) if isinstance(instance, Model) else ""
    if not file:
        return ""
    text = (
        '<div class="banner" role="note"><b>Managed.</b><span>This comes from the file <code>{}</code>:'
        " what is changed here is undone when it is applied again. Change the file.</span></div>"
    )
    return format_html(text, file)


@register.simple_tag
def edition_field(instance: object) -> SafeString | str:
    """A hidden field with the stored edition, so that saving overwrites nobody. A form may have changed the instance:
    it is read again."""
    if not isinstance(instance, Model):
        return ""
    stored = type(instance)._default_manager.filter(pk=instance.pk).first()
    return "" if stored is None else format_html('<input type="hidden" name="edition" value="{}">', edition_of(stored))
