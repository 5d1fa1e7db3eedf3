"""The resources of the REST API: a line each."""

from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ViewSetMixin

from alerts.api import alerts, channels, incidents, noise, recurring_silences, routing, rule_files, rules, runbooks
from alerts.oncall import api as oncall
from core.accounts import api as accounts
from core.audit import api as audit
from portal.api import status
from portal.people import api as people
from telemetry.api import logs, saved_views, traces
from usage.api import boards, money, received
from usage.marks import api as marks
from usage.relabelling import api as relabelling

# `rules` and `alerts` are taken by the Prometheus API, hence these resources' longer names.
RESOURCES: dict[str, type[ViewSetMixin]] = {
    "alerting-rules": rules.AlertingRules,
    "rule-groups": rules.RuleGroups,
    "rule-files": rule_files.RuleFiles,
    "alert-episodes": alerts.AlertEpisodes,
    "incidents": incidents.Incidents,
    "silences": incidents.Silences,
    "recurring-silences": recurring_silences.RecurringSilences,
    "routing": routing.Routing,
    "noise": noise.Noise,
    "flips": alerts.Flips,
    "deliveries": alerts.Deliveries,
    "channels": channels.Channels,
    "message-templates": channels.MessageTemplates,
    "schedules": oncall.Schedules,
    "escalation-policies": oncall.EscalationPolicies,
    "means": oncall.Means,
    "runbooks": runbooks.Runbooks,
    "prices": money.Prices,
    "budgets": money.Budgets,
    "costs": money.Costs,
    "marks": marks.Marks,
    "label-rules": relabelling.LabelRules,
    "boards": boards.Boards,
    "coverage": boards.Coverage,
    "tools": boards.Tools,
    "traces": traces.Traces,
    "logs": logs.Logs,
    "saved-views": saved_views.SavedViews,
    "records": received.Records,
    "receipts": received.Receipts,
    "dead-letters": received.DeadLetters,
    "workspaces": accounts.Workspaces,
    "members": accounts.Members,
    "keys": accounts.Keys,
    "people": people.People,
    "invitations": people.Invitations,
    "audit-lines": audit.Audit,
    "settings": status.Settings,
}
router = SimpleRouter(trailing_slash=False)
for name, resource in RESOURCES.items():
    router.register(name, resource, basename=f"api-{name}")
