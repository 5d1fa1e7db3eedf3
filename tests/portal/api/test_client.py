"""A stranger's client, made from the schema alone, works."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.wsgi import get_wsgi_application

from tests.people import People
from tests.portal.api.world import World, key_of

ROOT = Path(__file__).resolve().parent.parent.parent.parent
NAME = "portal_client"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The package that openapi-python-client makes of docs/openapi.yaml; it must have no doubt about any part of it."""
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    places = ["--path", ROOT / "docs/openapi.yaml", "--output-path", folder / NAME, "--config", config]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield NAME
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def part(name: str) -> Any:
    """A module of the generated package."""
    return importlib.import_module(f"{NAME}.{name}")


@pytest.fixture
def client(package: str, people: People, world: World, one_connection: None) -> Any:
    """The generated client, with a key."""
    key = key_of(people.production, "query", "admin")
    transport = httpx.WSGITransport(get_wsgi_application())
    return part("client").AuthenticatedClient("http://localhost", key, httpx_args={"transport": transport})


def test_rules_are_listed_made_and_changed(client: Any) -> None:
    listed = part("api.rules.alerting_rules_list").sync(client=client, name="Busy")
    assert [rule.name for rule in listed.results] == ["Busy"]
    wanted = part("models").RuleRequest
    made = part("api.rules.alerting_rules_create").sync(
        client=client, body=wanted(name="New", group="api", expr="up > $threshold", threshold=3.0)
    )
    change = part("models").PatchedRuleRequest(threshold=4.0)
    changed = part("api.rules.alerting_rules_partial_update").sync(made.id, client=client, body=change)
    assert (changed.threshold, changed.version) == (4.0, 2)


def test_a_problem_is_a_value_of_the_client_too(client: Any) -> None:
    wanted = part("models").RuleRequest(name="New", group="api", expr="up >")
    answer = part("api.rules.alerting_rules_create").sync_detailed(client=client, body=wanted)
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert [error.field for error in answer.parsed.errors] == ["expr"]


def test_series_are_read_as_from_a_prometheus(client: Any) -> None:
    answer = part("api.prometheus.prometheus_query").sync(client=client, query="1 + 1")
    assert answer.data["result"][1] == "2"
