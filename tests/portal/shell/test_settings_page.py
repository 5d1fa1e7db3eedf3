"""The settings page: every setting with its source, no secret, health and sizes."""

import dataclasses
from typing import Any

import pytest
from django.test import Client

from portal.env import Config, env_name, load
from portal.shell.settings_page import shown_settings
from tests.people import People, browser_of, make_people

SECRETS = {"DATABASE_URL": "postgresql://u:hunter2@db/p", "PORTAL_SECRET_KEY": "k" * 50, "PORTAL_METRICS_TOKEN": "tttt"}


@pytest.fixture
def people(db: None) -> People:
    return make_people()


def by_name(environ: dict[str, str]) -> dict[str, Any]:
    return {one.name: one for one in shown_settings(load(environ), environ)}


def test_every_setting_is_shown_with_its_meaning() -> None:
    found = by_name({})
    assert list(found) == [env_name(f) for f in dataclasses.fields(Config)]
    assert all(one.doc and one.section and one.is_default for one in found.values())


def test_secrets_are_only_said_to_be_set() -> None:
    found = by_name(SECRETS)
    assert {found[name].value for name in SECRETS} == {"set"}
    assert by_name({})["DATABASE_URL"].value == "not set"


def test_the_source_is_the_environment_a_file_or_the_default(tmp_path: Any) -> None:
    file = tmp_path / "port"
    file.write_text("8123")
    found = by_name({"PORTAL_KEY_RATE": "1200", "PORTAL_PORT_FILE": str(file)})
    assert (found["PORTAL_KEY_RATE"].value, found["PORTAL_KEY_RATE"].source) == ("1200", "PORTAL_KEY_RATE")
    assert (found["PORTAL_PORT"].value, found["PORTAL_PORT"].source) == ("8123", "PORTAL_PORT_FILE")
    assert found["PORTAL_HOST"].is_default
    assert found["PORTAL_SPOOL_MAX_BYTES"].value == "1,073,741,824"


def test_operators_see_it_and_nobody_else(people: People) -> None:
    for person, status in ((people.owner, 200), (people.teammate, 403), (people.outsider, 200), (people.admin, 200)):
        assert browser_of(person).get("/settings/").status_code == status, person
    assert Client().get("/settings/").status_code == 302
    assert browser_of(people.owner).post("/settings/").status_code == 405


def test_health_versions_and_sizes_stand_first(people: People) -> None:
    page = browser_of(people.owner).get("/settings/").content.decode()
    for text in ("Health", "Database", "usage_record", "Postgres", "PORTAL_DATA_DIR"):
        assert text in page
    assert page.index("Health") < page.index("PORTAL_DATA_DIR")
