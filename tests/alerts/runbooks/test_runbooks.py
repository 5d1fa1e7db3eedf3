"""Runbooks: versions and HTML."""

import pytest
from django.contrib.auth.models import User

from alerts.models import Runbook
from alerts.queries import runbook_detail
from alerts.runbooks.edits import create_runbook, save_version
from alerts.runbooks.html import render
from tests.alerts.conftest import NOW


@pytest.mark.django_db
def test_every_save_is_a_version_and_the_same_text_is_not_kept_twice(author: User) -> None:
    runbook = create_runbook("net", "Network", "one", by=None, now=NOW)
    save_version(runbook, "two\r\nlines", by=author, now=NOW)
    save_version(runbook, "two\nlines", by=author, now=NOW)
    detail = runbook_detail("net")
    assert [(v.number, v.text, v.author_name) for v in detail.versions] == [
        (2, "two\nlines", "ada"),
        (1, "one", "portal"),
    ]
    assert runbook_detail("net", 1).version.text == "one"
    with pytest.raises(Runbook.DoesNotExist):
        runbook_detail("nothing")


def test_markdown_becomes_html_with_boxes_to_tick() -> None:
    assert render("## Do\n- [ ] look `x`\n- [x] done\n") == (
        '<h2>Do</h2>\n<ul>\n<li><label><input type="checkbox"> look <code>x</code></label></li>\n'
        '<li><label><input checked="checked" type="checkbox"> done</label></li>\n</ul>\n'
    )


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "[x](javascript:alert(1))", "<img src=x onerror=alert(1)>"]
)
def test_unsafe_html_never_comes_out(text: str) -> None:
    html = render(text)
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
