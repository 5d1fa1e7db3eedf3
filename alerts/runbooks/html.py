"""Runbooks as HTML: Markdown with tables, and `- [ ]` as boxes to tick while working through it. Unsafe HTML never
comes out."""

import nh3
from markdown_it import MarkdownIt
from mdit_py_plugins.tasklists import tasklists_plugin

ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "th": {"align"}, "td": {"align"}}
ATTRIBUTES["input"] = {"type", "checked"}
TAGS = {"h1", "h2", "h3", "h4", "h5", "h6", "p", "a", "strong", "em", "s", "code", "pre", "ul", "ol", "li"}
TAGS |= {"blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td", "input", "label"}

# The label around a box and its text lets a click on either tick it.
_markdown = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .use(tasklists_plugin, enabled=True, label=True)
)


def render(text: str) -> str:
    """Safe HTML of a runbook's Markdown."""
    return nh3.clean(
        _markdown.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
    )
