"""A one-time password opens only the form that changes it."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core.accounts.keys import digest_of
from core.accounts.models import ApiKey
from core.audit.models import AuditLine
from portal.models import OneTimePassword
from portal.run.prepare import first_credentials

pytestmark = pytest.mark.django_db


def test_first_credentials_are_made_once_and_only_digests_are_kept() -> None:
    made = first_credentials(timezone.now())
    assert User.objects.get(username=made["admin"]).check_password(made["password"])
    key = ApiKey.objects.get()
    assert (key.digest, key.scopes) == (digest_of(made["api_key"]), ["ingest"])
    assert first_credentials(timezone.now()) == {}


def test_a_one_time_password_leads_to_its_change_and_then_everywhere(client: Client) -> None:
    made = first_credentials(timezone.now())
    assert client.login(username=made["admin"], password=made["password"])
    for path in ("/", "/admin/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/password/")
    assert "printed works once" in client.get("/password/").content.decode()
    new = "a-longer-and-better-one"
    form = {"new_password1": new, "new_password2": new}
    assert client.post("/password/", form)["Location"] == "/"
    assert not OneTimePassword.objects.exists()
    assert AuditLine.objects.filter(action="changed the password of", actor="admin").exists()
    assert client.get("/admin/").status_code == 200
    assert "printed works once" not in client.get("/password/").content.decode()


def test_other_people_and_visitors_are_left_alone(client: Client) -> None:
    User.objects.create_superuser("other", password="x")
    assert client.get("/login/").status_code == 200
    client.login(username="other", password="x")
    assert client.get("/admin/").status_code == 200
