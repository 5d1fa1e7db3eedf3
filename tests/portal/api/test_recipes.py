"""The recipes of docs/api.md do what they say, as they stand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from alerts.models import Rule, RuleGroup
from core.accounts.models import Workspace
from tests.portal.api.world import key_of

TEXT = (Path(__file__).resolve().parent.parent.parent.parent / "docs/api.md").read_text()
RECIPES = re.findall(r"```(bash|python)\n(.*?)```", TEXT.split("### Recipes")[1], re.DOTALL)


@pytest.mark.usefixtures("tables")
def test_the_recipes_run_one_after_the_other(live_server: LiveServer) -> None:
    workspace = Workspace.objects.create(slug="recipes", name="Recipes")
    RuleGroup.objects.get_or_create(name="recipes")
    environ = {**os.environ, "URL": live_server.url, "KEY": key_of(workspace, "query", "admin")}
    assert [language for language, _ in RECIPES] == ["bash", "bash", "python"]
    answers = []
    for language, text in [RECIPES[0], *RECIPES]:
        command = ["bash", "-c", text] if language == "bash" else [sys.executable, "-c", text]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        answers.append(done.stdout)
    assert json.loads(answers[0]) == json.loads(answers[1]), "sent again, it makes nothing and is answered as before"
    assert '"firing_seconds"' in answers[2]
    assert answers[3].strip() == "5.0"
    assert Rule.objects.get(name="ShopSlow").threshold == 5
