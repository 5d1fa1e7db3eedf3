"""Runbooks as HTML: Markdown with tables, and `- [ ]` as boxes to tick while working through it. Unsafe HTML never comes out."""

import re

import nh3
from markdown_it import MarkdownIt

TASK = re.compile(r"<li>(\s*(?:<p>)?)\[([ xX])\] (.*?)(?=\s*(?:</li>|</p>|<p>|<ul|<ol))", re.DOTALL)
ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "th": {"align"}, "td": {"align"}}
ATTRIBUTES["input"] = {"type", "checked"}
TAGS = {"h1", "h2", "h3", "h4", "h5", "h6", "p", "a", "strong", "em", "s", "code", "pre", "ul", "ol", "li"}
TAGS |= {"blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td", "input", "label"}

_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render(text: str) -> str:
    """Safe HTML of a runbook's Markdown."""
    html = _markdown.render(text)
    html = TASK.sub(_box, html)
    return nh3.clean(
        html, tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https", "mailto"}, link_rel="noopener noreferrer"
    )


def _box(task: re.Match[str]) -> str:
    """The item with its box, whose label is the text: a click on either ticks it."""
    checked = "" if task[2] == " " else " checked"
    return f'<li>{task[1]}<label><input type="checkbox"{checked}> {task[3]}</label>'
