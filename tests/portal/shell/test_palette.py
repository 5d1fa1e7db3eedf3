"""The palette's list."""

import pytest
from django.test import Client

from tests.people import browser_of, make_people
from tests.records import Sender, call

pytestmark = pytest.mark.usefixtures("tables")


def test_members_find_their_models_and_outsiders_do_not(sender: Sender) -> None:
    sender.post([call(at=None)])
    people = make_people()
    own, other = (
        [(place["text"], place["note"], place["href"]) for place in browser_of(person).get("/palette.json").json()]
        for person in (people.owner, people.outsider)
    )
    assert ("gpt-4o", "model", "/providers/") in own
    assert ("production", "workspace", "/?workspace=production") in own
    assert [place for place in other if place[1] in ("model", "workspace")] == [
        ("elsewhere", "workspace", "/?workspace=elsewhere")
    ]


def test_visitors_are_sent_to_the_login_page(client: Client) -> None:
    assert client.get("/palette.json").status_code == 302
