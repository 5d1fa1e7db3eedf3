"""Pages of runbooks: versions and addresses."""

import pytest

from alerts.models import Runbook
from tests.alerts.pages.samples import text_of
from tests.people import People, browser_of

pytestmark = pytest.mark.django_db


def test_a_runbook_is_edited_previewed_and_restored(people: People, default_rules: None) -> None:
    owner, page = browser_of(people.owner), "/runbooks/usage-not-recorded/"
    first = Runbook.objects.get(slug="usage-not-recorded").versions.get().text
    preview = owner.post(
        f"{page}edit/", {"text": "**new** <script>x</script>", "preview": "1"}, headers={"HX-Request": "true"}
    )
    assert text_of(preview).strip() == "<p><strong>new</strong> &lt;script&gt;x&lt;/script&gt;</p>"
    owner.post(f"{page}edit/", {"text": "**new**"})
    assert "<strong>new</strong>" in text_of(owner.get(page))
    assert "An older text" in text_of(owner.get(f"{page}?version=1"))
    owner.post(f"{page}restore/1")
    newest = Runbook.objects.get(slug="usage-not-recorded").versions.first()
    assert newest is not None
    assert (newest.number, newest.text) == (3, first)


def test_a_new_runbook_needs_an_address_of_its_own(people: People, default_rules: None) -> None:
    fields = {"title": "Again", "slug": "usage-not-recorded", "text": "kept text"}
    answer = browser_of(people.owner).post("/runbooks/new/", fields)
    assert answer.context["form"].errors["slug"] == ["This address is taken."]
    assert "kept text" in text_of(answer)
