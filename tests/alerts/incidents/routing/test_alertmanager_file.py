"""An Alertmanager's configuration file, in and out."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from alerts.incidents.policy import current_policy
from alerts.incidents.routing.alertmanager_file import export_file, import_file
from alerts.incidents.routing.edits import remove_routing
from alerts.models import Channel, RoutingVersion
from alerts.routing.configuration import ConfigurationError, parse_configuration
from alerts.routing.tree import route_of
from tests.alerts.incidents.world import START
from tests.conftest import require_program

pytestmark = pytest.mark.django_db
FILES = sorted((Path(__file__).parents[2] / "routing/configurations").glob("*.yml"))
EVERYTHING = """
global:
  slack_api_url: https://hooks.slack.com/services/T/B/general
route: {receiver: all, group_by: [alertname]}
receivers:
- name: all
  webhook_configs:
  - url: https://one.example.org/a
    http_config: {authorization: {credentials: hidden}}
  - url: https://two.example.org/b
    send_resolved: false
  slack_configs: [{channel: '#ops'}]
  email_configs: [{to: 'ada@example.org, ben@example.org'}]
  pagerduty_configs: [{routing_key: hidden}]
  opsgenie_configs: [{api_key: hidden, api_url: 'https://api.eu.opsgenie.com/'}]
  telegram_configs: [{bot_token: '1:hidden', chat_id: -100}]
  discord_configs: [{webhook_url: https://discord.com/api/webhooks/1/hidden}]
  msteams_configs: [{webhook_url: https://example.webhook.office.com/hidden}]
  pushover_configs: [{user_key: u, token: t}]
  victorops_configs: [{api_key_file: /etc/key, routing_key: r}]
"""


def test_every_known_receiver_becomes_a_channel_and_the_others_are_named() -> None:
    found = import_file(EVERYTHING, by=None, now=START)
    assert found.left_out == [
        "all pushover: pushover_configs has no channel here",
        "all victorops: victorops_configs has no channel here",
    ]
    kinds = {channel.name: (channel.kind, channel.send_resolved) for channel in Channel.objects.all()}
    assert kinds == {
        "all webhook 1": ("webhook", True),
        "all webhook 2": ("webhook", False),
        "all slack": ("slack", False),
        "all email": ("email", False),
        "all pagerduty": ("pagerduty", True),
        "all opsgenie": ("opsgenie", True),
        "all telegram": ("telegram", True),
        "all discord": ("discord", True),
        "all msteams": ("teams", True),
    }
    again = import_file(EVERYTHING, by=None, now=START)
    assert (again.created, len(again.changed), again.version.number) == ([], 9, 2)
    assert Channel.objects.count() == 9


def test_a_file_that_alertmanager_refuses_changes_nothing() -> None:
    with pytest.raises(ConfigurationError, match="undefined receiver"):
        import_file(
            "route: {receiver: x}\nreceivers: [{name: y, webhook_configs: [{url: 'https://a.example/'}]}]",
            by=None,
            now=START,
        )
    assert (Channel.objects.count(), RoutingVersion.objects.count()) == (0, 0)


def test_the_export_with_secrets_is_imported_to_the_same_and_amtool_takes_it(tmp_path: Path) -> None:
    import_file(EVERYTHING, by=None, now=START)
    text = export_file(secrets=True)
    first = {channel.target for channel in Channel.objects.all()}
    Channel.objects.all().delete()
    assert import_file(text, by=None, now=START).left_out == []
    assert {channel.target for channel in Channel.objects.all()} == first
    assert export_file(secrets=True) == text
    written = yaml.safe_load(text)
    written["receivers"][0].pop("msteamsv2_configs")  # which Debian's version does not know yet
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(written))
    done = subprocess.run(
        [require_program("amtool"), "check-config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_secrets_the_export_has_none() -> None:
    import_file(EVERYTHING, by=None, now=START)
    text = export_file()
    assert "hidden" not in text
    assert "services/T/B" not in text
    assert "# Secrets are left out" in text
    assert parse_configuration(text).root.receiver == "all"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_command_imports_a_file_and_alerts_go_to_its_receivers(
    file: Path, capsys: pytest.CaptureFixture[str], portal_setting: Callable[..., None]
) -> None:
    call_command("alertmanager", "import", str(file))
    assert "routing version 1 is in force" in capsys.readouterr().out
    policy = current_policy()
    assert policy.configuration is not None
    expected = parse_configuration(file.read_text())
    assert (policy.configuration.root, policy.configuration.inhibit_rules) == (expected.root, expected.inhibit_rules)
    labels = {"alertname": "Watchdog", "service": "database", "owner": "team-X"}
    assert route_of(policy.configuration.root, labels) == route_of(expected.root, labels)
    call_command("alertmanager", "export")
    assert parse_configuration(capsys.readouterr().out).root == expected.root


def test_the_command_reports_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("alertmanager", "import", str(tmp_path / "nothing.yml"))
    with pytest.raises(CommandError, match="no routing tree is saved"):
        call_command("alertmanager", "export")


def test_a_tree_that_is_removed_gives_each_rule_its_own_choice_again() -> None:
    import_file(EVERYTHING, by=None, now=START)
    remove_routing(by=None, now=START)
    assert current_policy().configuration is None
    assert RoutingVersion.objects.count() == 2
