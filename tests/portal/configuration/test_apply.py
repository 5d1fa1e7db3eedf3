"""Configuration as code: what is written and applied again is the same, and a plan changes nothing."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from alerts.models import Channel, Rule, RuleChange, RuleGroup, Runbook
from alerts.notify.encryption import decrypt
from alerts.oncall.models import EscalationPolicy, Schedule
from core.accounts.models import Workspace
from core.api.managed import file_of
from core.api.models import ManagedObject
from core.audit.models import AuditLine
from portal.configuration.apply import apply
from portal.configuration.documents import FileError, read, written
from tests.people import browser_of, make_people
from usage.models import Budget, Price

pytestmark = pytest.mark.django_db

FILE = """
workspaces:
  - {slug: shop, name: The shop}
rule_groups:
  - {name: shop, interval_seconds: 30}
runbooks:
  - slug: shop-slow
    workspace: shop
    title: The shop is slow
    text: |
      # Look

      1. Wait.
channels:
  - name: "#shop"
    workspace: shop
    kind: webhook
    config: {url: {env: SHOP_URL}}
    severities: [critical]
schedules:
  - name: shop
    workspace: shop
    time_zone: Europe/Berlin
    rotations:
      - {people: [grace, ada], first_day: 2026-01-05, handover: "09:00", weekdays: [0, 1]}
      - {people: [ada], first_day: 2026-01-05, handover: "18:00", shift_days: 1, begins: "18:00", ends: "06:00"}
escalation_policies:
  - name: shop
    workspace: shop
    steps:
      - {targets: ["schedule:shop"]}
      - {delay_seconds: 600, severities: [critical], targets: ["person:ada", "channel:#shop"]}
    repeats: 2
rules:
  - name: ShopSlow
    workspace: shop
    group: shop
    expr: up > $threshold
    threshold: 2
    for_seconds: 60
    labels: {team: shop}
    runbook: shop-slow
    channels: ["#shop"]
prices:
  - {provider: openai, model: gpt-x, input_usd: 1, output_usd: 2.5, valid_from: 2026-01-01T00:00:00Z}
budgets:
  - {team: shop, workspace: shop, limit_usd: 100, period: week}
"""
ENVIRON = {"SHOP_URL": "https://hooks.example.org/secret"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one of each kind."""
    for name in ("ada", "grace"):
        User.objects.create_superuser(name)
    path = tmp_path / "shop.yaml"
    path.write_text(FILE)
    return path


def bring(path: Path, **how: Any) -> list[str]:
    """Apply a file; what was done, without the fields."""
    changes = apply(read([path]), ENVIRON, only_plan=how.pop("only_plan", False), **how)
    return [str(change).splitlines()[0] for change in changes]


ALL = [
    "+ workspaces shop",
    "+ rule_groups shop",
    "+ runbooks shop-slow",
    "+ channels shop/#shop",
    "+ schedules shop/shop",
    "+ escalation_policies shop/shop",
    "+ rules shop/ShopSlow",
    "+ prices openai/gpt-x/2026-01-01T00:00:00+00:00",
    "+ budgets shop/shop",
]


def test_a_plan_names_everything_and_changes_nothing(file: Path) -> None:
    assert bring(file, only_plan=True) == ALL
    assert not Workspace.objects.filter(slug="shop").exists()
    assert not ManagedObject.objects.exists()


def test_what_is_applied_twice_is_changed_once_and_is_in_the_audit_log(file: Path) -> None:
    assert bring(file) == ALL
    lines = AuditLine.objects.count()
    assert bring(file) == []
    assert bring(file, only_plan=True) == []
    assert AuditLine.objects.count() == lines
    assert {(line.actor, line.via) for line in AuditLine.objects.all()} == {("apply", "apply")}
    rule = Rule.objects.get(name="ShopSlow")
    assert (str(rule.workspace), rule.threshold, str(rule.runbook)) == ("shop", 2.0, "The shop is slow")
    assert [one.name for one in rule.channels.all()] == ["#shop"]
    assert decrypt(Channel.objects.get(name="#shop").config_encrypted)["url"] == ENVIRON["SHOP_URL"]


def test_a_change_says_what_was_and_what_is_and_is_in_the_history(file: Path) -> None:
    bring(file)
    file.write_text(FILE.replace("threshold: 2", "threshold: 3"))
    (change,) = apply(read([file]), ENVIRON, only_plan=False)
    assert str(change) == "~ rules shop/ShopSlow\n    threshold: 2.0 → 3"
    assert RuleChange.objects.get(rule__name="ShopSlow", version=2).author_name == "apply"


def test_a_secret_is_changed_by_the_variable_and_kept_without_it(file: Path) -> None:
    bring(file)
    assert apply(read([file]), {}, only_plan=False) == []
    (change,) = apply(read([file]), {"SHOP_URL": "https://hooks.example.org/other"}, only_plan=False)
    assert str(change) == "~ channels shop/#shop\n    config: ••• → •••"


def test_what_is_in_no_file_any_more_is_removed_only_when_asked(file: Path) -> None:
    bring(file)
    document = yaml.safe_load(FILE)
    del document["rules"], document["budgets"]
    file.write_text(yaml.safe_dump(document))
    assert bring(file) == []
    assert bring(file, prune=True) == ["- budgets shop/shop", "- rules shop/ShopSlow"]
    assert not Rule.objects.filter(name="ShopSlow").exists()
    assert Rule.objects.exists(), "what people made stays"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("threshold: 2", "threshold: much", "rules shop/ShopSlow: threshold: A valid number is required."),
        ("runbook: shop-slow", "runbook: none", "rules shop/ShopSlow: runbook: "),
        ("expr: up > $threshold", "expr: up > $threshold +", "rules shop/ShopSlow: expr: not PromQL"),
        ("period: week", "perod: week", "budgets, entry 1: no such field: perod"),
        ("rules:", "rule:", "rule: no such kind"),
        ("SHOP_URL", "OTHER_URL", "channels shop/#shop: config.url: the variable OTHER_URL is not set"),
        ("workspaces:", "workspaces: [", "not YAML"),
        ("  - {slug: shop, name: The shop}", "  - shop", "workspaces, entry 1: expected a mapping"),
        ("{team: shop, work", "{work", "budgets, entry 1: team is missing"),
    ],
)
def test_a_file_that_cannot_be_applied_is_named_with_its_place_and_nothing_is_applied(
    old: str, new: str, error: str, file: Path
) -> None:
    file.write_text(FILE.replace(old, new, 1))
    with pytest.raises(FileError, match=re.escape(error)) as refused:
        bring(file)
    assert str(refused.value).startswith(str(file))
    assert not Workspace.objects.filter(slug="shop").exists()


def test_export_and_apply_are_a_round_trip_without_loss(file: Path, tmp_path: Path) -> None:
    bring(file)
    first = written()
    assert "hooks.example.org" not in first
    for model in (EscalationPolicy, Schedule, Rule, RuleGroup, Channel, Runbook, Price, Budget):
        model._default_manager.all().delete()
    Workspace.objects.filter(slug="shop").delete()
    (tmp_path / "all.yaml").write_text(first)
    apply(read([tmp_path / "all.yaml"]), {"CHANNEL_SHOP_SHOP_URL": ENVIRON["SHOP_URL"]}, only_plan=False)
    assert written() == first
    assert Rule.objects.count() > 5
    assert decrypt(Channel.objects.get(name="#shop").config_encrypted)["url"] == ENVIRON["SHOP_URL"]
    assert apply(read([tmp_path / "all.yaml"]), {}, only_plan=True) == []


def test_schedules_and_policies_are_kept_by_names_and_changed_where_they_differ(file: Path) -> None:
    bring(file)
    schedule, policy = Schedule.objects.get(name="shop"), EscalationPolicy.objects.get(name="shop")
    people, channel = User.objects.in_bulk(field_name="username"), Channel.objects.get(name="#shop")
    rotations = list(schedule.rotations.order_by("position"))
    assert [one.people for one in rotations] == [[people["grace"].pk, people["ada"].pk], [people["ada"].pk]]
    assert [step["targets"] for step in policy.steps] == [
        [f"schedule:{schedule.pk}"],
        [f"person:{people['ada'].pk}", f"channel:{channel.pk}"],
    ]
    file.write_text(FILE.replace("[grace, ada]", "[ada, grace]").replace("delay_seconds: 600", "delay_seconds: 300"))
    assert bring(file) == ["~ schedules shop/shop", "~ escalation_policies shop/shop"]
    assert schedule.rotations.order_by("position")[0].people == [people["ada"].pk, people["grace"].pk]
    for wrong, reason in (("person:nobody", "there is no person"), ("team:x", "write schedule:")):
        file.write_text(FILE.replace("person:ada", wrong))
        with pytest.raises(FileError, match=reason):
            bring(file)
    file.write_text("")
    assert "- escalation_policies shop/shop" in bring(file, prune=True)
    assert not Schedule.objects.exists()


def test_the_command_exits_with_2_when_something_would_change(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", ENVIRON["SHOP_URL"])
    with pytest.raises(SystemExit) as ended:
        call_command("apply", str(file), "--plan")
    assert ended.value.code == 2
    assert capsys.readouterr().out.endswith("9 of 9 would change.\n")
    call_command("apply", str(file.parent))
    call_command("apply", str(file), "--plan")
    assert capsys.readouterr().out.endswith("0 of 9 would change.\n")
    call_command("export")
    assert "ShopSlow" in capsys.readouterr().out
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("apply", str(file.with_name("none.yaml")))


def test_pages_warn_before_a_thing_of_a_file_is_edited(file: Path) -> None:
    bring(file)
    admin = browser_of(make_people().admin)
    rule, channel = Rule.objects.get(name="ShopSlow"), Channel.objects.get(name="#shop")
    price, budget = Price.objects.get(model="gpt-x"), Budget.objects.get(team="shop")
    assert file_of(rule) == str(file)
    paths = [f"/rules/{rule.pk}/", f"/channels/{channel.pk}/edit/", "/runbooks/shop-slow/edit/"]
    schedule, policy = Schedule.objects.get(name="shop"), EscalationPolicy.objects.get(name="shop")
    paths += [f"/on-call/schedules/{schedule.pk}/edit/", f"/on-call/policies/{policy.pk}/"]
    for path in [*paths, f"/prices/{price.pk}/", f"/cost/budgets/{budget.pk}/"]:
        assert f"<code>{file}</code>" in admin.get(path).content.decode(), path
    other = Rule.objects.exclude(name="ShopSlow").first()
    assert other is not None
    assert "Managed." not in admin.get(f"/rules/{other.pk}/").content.decode()
