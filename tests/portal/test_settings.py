"""Django's settings as they follow from the environment, each read by a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from portal.shell.csp import POLICY
from tests.live import ROOT, clean_environment

SHOW = """
import json, django
from django.conf import settings
django.setup()
print(json.dumps({name: getattr(settings, name) for name in %r}, default=str))
"""


def python(code: str, data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with the portal's settings."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(DJANGO_SETTINGS_MODULE="portal.settings", PORTAL_DATA_DIR=str(data), **environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shown(names: list[str], data: Path, **environment: str) -> dict[str, object]:
    """The settings `names`."""
    values: dict[str, object] = json.loads(python(SHOW % names, data, **environment).stdout)
    return values


def test_https_makes_cookies_secure_and_sends_hsts_and_the_proxy_is_believed_only_when_told(tmp_path: Path) -> None:
    names = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS", "SECURE_PROXY_SSL_HEADER"]
    names += ["CSRF_TRUSTED_ORIGINS", "ALLOWED_HOSTS"]
    plain = shown(names, tmp_path)
    assert [plain[name] for name in names[:4]] == [False, False, 0, None]
    https = shown(names, tmp_path, PORTAL_BASE_URL="https://portal.example/", PORTAL_TRUSTED_PROXY="true")
    assert [https[name] for name in names] == [
        True,
        True,
        31_536_000,
        ["HTTP_X_FORWARDED_PROTO", "https"],
        ["https://portal.example"],
        ["portal.example", "localhost", "127.0.0.1", "[::1]"],
    ]


def test_the_secret_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    first, second = (shown(["SECRET_KEY"], tmp_path / "data")["SECRET_KEY"] for _ in range(2))
    assert first == second
    assert len(str(first)) > 50
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]
    assert (tmp_path / "data/secret_key").stat().st_mode & 0o777 == 0o600


def test_a_database_url_reaches_django_whole(tmp_path: Path) -> None:
    url = "postgresql://us%20er:p%40ss@db.example:6432/name?sslmode=require"
    database = shown(["DATABASES"], tmp_path, DATABASE_URL=url)["DATABASES"]
    assert isinstance(database, dict)
    default = database["default"]
    assert [default[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        *("us er", "p@ss", "db.example", "6432", "name"),
    ]
    assert default["OPTIONS"] == {"connect_timeout": 2, "sslmode": "require"}


def test_a_database_url_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    refused = python("import django; django.setup()", tmp_path, DATABASE_URL="postgresql://h/n?nonsense=1")
    assert refused.returncode == 1
    assert refused.stderr == 'portal: DATABASE_URL: invalid URI query parameter: "nonsense"\n'


def test_our_errors_are_on_the_console_and_clients_mistakes_are_not(tmp_path: Path) -> None:
    finished = python(
        "import django, logging; django.setup(); log = logging.getLogger\n"
        "log('django.request').error('Internal Server Error: /x'); log('django.request').warning('Not Found: /y')\n"
        "log('usage.ingest.pipeline').warning('spooled')",
        tmp_path,
    )
    assert (
        finished.stderr == "ERROR django.request: Internal Server Error: /x\nWARNING usage.ingest.pipeline: spooled\n"
    )


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login/", "/admin/login/", "/no-such-page/"])
def test_answers_carry_the_headers_that_bound_a_page(path: str) -> None:
    answer = Client().get(path)
    assert answer["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer["Referrer-Policy"] == answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Permissions-Policy"].startswith("camera=()")
    assert answer["X-Frame-Options"] == "DENY"
