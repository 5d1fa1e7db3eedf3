"""What files can hold: a declaration per kind, in the order in which one needs the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.serializers import ModelSerializer

from alerts.api.channels import ChannelSerializer, MessageTemplateSerializer
from alerts.api.rules import GroupSerializer, RuleSerializer
from alerts.api.runbooks import RunbookSerializer, runbooks
from alerts.models import Channel, MessageTemplate, Rule, RuleGroup
from alerts.notify.channels import delete_channel
from alerts.notify.template_edits import delete_template
from alerts.oncall.models import EscalationPolicy, Schedule
from alerts.oncall.policies import delete_policy
from alerts.oncall.schedules import delete_schedule
from alerts.rules.groups import delete_group
from alerts.rules.rule_history import delete_rule
from alerts.runbooks.edits import delete_runbook
from core.accounts.api import WorkspaceSerializer
from core.accounts.holder import Console
from core.accounts.models import DEMO, Workspace
from portal.configuration.oncall import FilePolicySerializer, FileScheduleSerializer
from usage.api.money import BudgetSerializer, PriceSerializer
from usage.boards.budget_edits import delete_budget
from usage.models import Budget, Price
from usage.pages.price_edits import delete_price

APPLY = Console("apply")


@dataclass(frozen=True)
class Kind:
    """One kind: the fields that say which object it is, and how it is read and written. `remove` None: never
    removed."""

    name: str
    keys: tuple[str, ...]
    serializer: type[ModelSerializer[Any]]
    rows: Callable[[], QuerySet[Any]]
    remove: Callable[[Any], object] | None
    left_out: frozenset[str] = frozenset()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that a file may give."""
        fields = self.serializer().fields
        return tuple(name for name, one in fields.items() if not one.read_only and name not in self.left_out)

    def name_of(self, entry: Mapping[str, Any]) -> str:
        """An entry's keys, as people read them."""
        return "/".join(str(entry[name]) for name in self.keys if entry.get(name) is not None)


def schedules() -> QuerySet[Schedule]:
    """Ready to be shown."""
    return Schedule.objects.prefetch_related("rotations", "overrides__person")


KINDS: tuple[Kind, ...] = (
    Kind("workspaces", ("slug",), WorkspaceSerializer, lambda: Workspace.objects.exclude(slug=DEMO), None),
    Kind("rule_groups", ("name",), GroupSerializer, RuleGroup.objects.all, delete_group),
    Kind("runbooks", ("slug",), RunbookSerializer, runbooks, lambda one: delete_runbook(one, by=APPLY)),
    Kind("channels", ("workspace", "name"), ChannelSerializer, Channel.objects.all, delete_channel),
    Kind(
        "message_templates",
        ("workspace", "kind"),
        MessageTemplateSerializer,
        MessageTemplate.objects.all,
        delete_template,
    ),
    Kind("schedules", ("workspace", "name"), FileScheduleSerializer, schedules, delete_schedule),
    Kind(
        "escalation_policies",
        ("workspace", "name"),
        FilePolicySerializer,
        EscalationPolicy.objects.all,
        delete_policy,
    ),
    Kind("rules", ("workspace", "name"), RuleSerializer, Rule.objects.all, delete_rule),
    Kind("prices", ("provider", "model", "valid_from"), PriceSerializer, Price.objects.all, delete_price),
    Kind("budgets", ("workspace", "team"), BudgetSerializer, Budget.objects.all, delete_budget),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def shown(kind: Kind, instance: Model) -> dict[str, Any]:
    """An object's fields as a file gives them; secrets are not among them."""
    data = kind.serializer(instance, context=context()).data
    return {name: data[name] for name in kind.fields if name in data}


class _Request:
    """Stands for the request in the serializers' context."""

    user = APPLY


def context() -> dict[str, Any]:
    """The context of serializers: who acts."""
    return {"request": _Request()}
