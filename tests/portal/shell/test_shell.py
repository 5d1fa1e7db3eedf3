"""What stands around every page: login, navigation, range and workspace, the policy."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from portal.shell.csp import POLICY
from portal.shell.navigation import PAGES
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db

# Mail programs know no stylesheets; every other template is a page under the policy.
TEMPLATES = sorted(
    path for path in (Path(settings.BASE_DIR) / "templates").rglob("*.html") if not path.name.startswith("email")
)


@pytest.fixture
def people() -> People:
    return make_people()


def test_a_visitor_is_sent_to_the_login_page_and_back() -> None:
    answer = Client().get("/?range=7d")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/%3Frange%3D7d")


def test_login_leads_to_the_page_that_was_asked_for(people: People) -> None:
    people.owner.set_password("correct horse")
    people.owner.save()
    answer = Client().post("/login/", {"login": "owner", "password": "correct horse", "next": "/?range=7d"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?range=7d")


def test_a_wrong_password_is_said_and_the_name_is_kept(people: People) -> None:
    page = Client().post("/login/", {"login": "owner", "password": "wrong"}).content.decode()
    assert "are not correct" in page
    assert 'value="owner"' in page


def test_every_answer_carries_the_policy() -> None:
    assert Client().get("/login/").headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_inline_style_or_script(template: Path) -> None:
    text = re.sub(r'<script type="application/json"[^>]*>', "", template.read_text())
    assert not re.search(r"\sstyle=|\son[a-z]+=\"|<style|<script(?![^>]*\bsrc=)", text)


def test_sidebar_shows_pages_that_exist_and_marks_the_current_one(people: People) -> None:
    page = " ".join(browser_of(people.owner).get("/").content.decode().split())
    assert re.search(r'href="/" data-key="o" data-name="Overview" aria-current="page"', page)
    assert page.count('aria-current="page"') == 1


def test_a_viewer_is_not_led_to_pages_of_operators(people: People) -> None:
    assert 'data-name="Settings"' in browser_of(people.owner).get("/").content.decode()
    assert 'data-name="Settings"' not in browser_of(people.teammate).get("/").content.decode()


def test_letters_that_go_to_pages_are_unique() -> None:
    keys = [entry.key for group in PAGES for entry in group.entries]
    assert len(keys) == len(set(keys))


def test_range_and_workspace_follow_to_the_next_page(people: People) -> None:
    page = browser_of(people.owner).get("/?range=7d&workspace=production").content.decode()
    assert 'href="/?range=7d&amp;workspace=production" data-key="o"' in page


def test_a_workspace_of_others_is_not_found(people: People) -> None:
    assert browser_of(people.owner).get("/?workspace=production").status_code == 200
    assert browser_of(people.teammate).get("/?workspace=production").status_code == 200
    assert browser_of(people.outsider).get("/?workspace=production").status_code == 404
    assert browser_of(people.admin).get("/?workspace=production").status_code == 200


def test_an_unreadable_range_is_said_and_the_default_shown(people: People) -> None:
    page = browser_of(people.owner).get("/?range=1y").content.decode()
    assert "The range “1y” is not known; this is the last 24 h." in page


def test_password_can_be_changed_in_the_portal(people: People) -> None:
    assert "Change password" in browser_of(people.owner).get(reverse("password_change")).content.decode()
