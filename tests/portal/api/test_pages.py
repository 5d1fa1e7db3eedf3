"""What pages do, the API does: each action of a page has its operation here, and one without fails."""

import pytest
from django.test import Client

from portal.exports.openapi import schema
from tests.core.audit.test_actions import ACTIONS, ELSEWHERE
from tests.people import browser_of, make_people

# By the page's name: the operation that does the same.
SAME = {
    "alert-acknowledge": "post /api/v1/alert-episodes/{id}/acknowledge",
    "alert-give-back": "post /api/v1/alert-episodes/{id}/give-back",
    "budget-add": "post /api/v1/budgets",
    "budget-save": "patch /api/v1/budgets/{id}",
    "budget-delete": "delete /api/v1/budgets/{id}",
    "saved-view-add": "post /api/v1/saved-views",
    "saved-view-delete": "delete /api/v1/saved-views/{id}",
    "channel-new": "post /api/v1/channels",
    "channel-edit": "patch /api/v1/channels/{id}",
    "channel-delete": "delete /api/v1/channels/{id}",
    "channel-test": "post /api/v1/channels/{id}/test",
    "message-template-new": "post /api/v1/message-templates",
    "message-template": "patch /api/v1/message-templates/{id}",
    "message-template-delete": "delete /api/v1/message-templates/{id}",
    "delivery-retry": "post /api/v1/deliveries/{id}/retry",
    "dead-letter-discard": "post /api/v1/dead-letters/{id}/discard",
    "dead-letter-replay": "post /api/v1/dead-letters/{id}/replay",
    "send-data": "post /api/v1/keys",
    "incident-acknowledge": "post /api/v1/incidents/{id}/acknowledge",
    "incident-give-back": "post /api/v1/incidents/{id}/give-back",
    "incident-snooze": "post /api/v1/incidents/{id}/snooze",
    "incident-comment": "post /api/v1/incidents/{id}/comment",
    "schedule-new": "post /api/v1/schedules",
    "schedule-edit": "patch /api/v1/schedules/{id}",
    "schedule-delete": "delete /api/v1/schedules/{id}",
    "schedule-feed-renew": "post /api/v1/schedules/{id}/renew-calendar",
    "rotation-add": "post /api/v1/schedules/{id}/add-rotation",
    "rotation-remove": "post /api/v1/schedules/{id}/remove-rotation",
    "override-add": "post /api/v1/schedules/{id}/override",
    "override-remove": "post /api/v1/schedules/{id}/remove-override",
    "policy-new": "post /api/v1/escalation-policies",
    "policy": "patch /api/v1/escalation-policies/{id}",
    "policy-delete": "delete /api/v1/escalation-policies/{id}",
    "means-new": "post /api/v1/means",
    "means-remove": "delete /api/v1/means/{id}",
    "means-test": "post /api/v1/means/{id}/test",
    "incident-resolve": "post /api/v1/incidents/{id}/resolve",
    "incident-merge": "post /api/v1/incidents/{id}/merge",
    "incident-separate": "post /api/v1/incidents/{id}/separate",
    "incident-owner": "post /api/v1/incidents/{id}/owner",
    "incident-severity": "post /api/v1/incidents/{id}/raise",
    "incident-tick": "post /api/v1/incidents/{id}/tick",
    "incident-act": "post /api/v1/incidents/{id}/acknowledge",
    "slack-interactive": "post /api/v1/incidents/{id}/acknowledge",
    "routing-edit": "post /api/v1/routing/apply",
    "routing-remove": "post /api/v1/routing/remove",
    "silence-new": "post /api/v1/silences",
    "recurring-silence-new": "post /api/v1/recurring-silences",
    "recurring-silence-remove": "delete /api/v1/recurring-silences/{id}",
    "silence-expire": "post /api/v1/silences/{id}/expire",
    "silence-extend": "post /api/v1/silences/{id}/replace",
    "workspace-new": "post /api/v1/workspaces",
    "workspace": "patch /api/v1/workspaces/{slug}",
    "person-change": "patch /api/v1/members/{id}",
    "person-change deactivate": "post /api/v1/people/{id}/deactivate",
    "person-change activate": "post /api/v1/people/{id}/activate",
    "person-change promote": "post /api/v1/people/{id}/promote",
    "person-change demote": "post /api/v1/people/{id}/demote",
    "person-change hand-over": "post /api/v1/people/{id}/hand-over",
    "invite": "post /api/v1/invitations",
    "invitation-withdraw": "delete /api/v1/invitations/{id}",
    "key-new": "post /api/v1/keys",
    "key-revoke": "post /api/v1/keys/{id}/revoke",
    "price-new": "post /api/v1/prices",
    "price-edit": "patch /api/v1/prices/{id}",
    "price-delete": "delete /api/v1/prices/{id}",
    "label-rule-new": "post /api/v1/label-rules",
    "label-rule": "patch /api/v1/label-rules/{id}",
    "label-rule-delete": "delete /api/v1/label-rules/{id}",
    "rule-files": "post /api/v1/rule-files/import",
    "rule-group-new": "post /api/v1/rule-groups",
    "rule-group": "patch /api/v1/rule-groups/{id}",
    "rule-group-delete": "delete /api/v1/rule-groups/{id}",
    "rule-new": "post /api/v1/alerting-rules",
    "rule": "patch /api/v1/alerting-rules/{id}",
    "rule-enable": "post /api/v1/alerting-rules/{id}/enable",
    "rule-delete": "delete /api/v1/alerting-rules/{id}",
    "rule-undo": "post /api/v1/alerting-rules/{id}/undo",
    "runbook-new": "post /api/v1/runbooks",
    "runbook-edit": "patch /api/v1/runbooks/{slug}",
    "runbook-restore": "post /api/v1/runbooks/{slug}/restore",
}
# A person's own session, password and settings, accepting an invitation, and invented traffic for
# a first look, are for people at a screen.
PEOPLE_ONLY = {
    "password_change",
    "login",
    "logout",
    "demo-start",
    "demo-stop",
    "join",
    "account",
}


def test_every_action_of_a_page_has_its_operation() -> None:
    paths = schema()["paths"]
    operations = {f"{method} {path}" for path, methods in paths.items() for method in methods}
    assert set(SAME.values()) - operations == set()
    assert {*ACTIONS, *ELSEWHERE} - PEOPLE_ONLY - set(SAME) == set(), "add a resource or an action, and name it here"


@pytest.mark.django_db
def test_what_the_api_changes_is_in_the_audit_log_as_such() -> None:
    people = make_people()
    client: Client = browser_of(people.admin)
    made = client.post("/api/v1/workspaces", {"slug": "new", "name": "New"}, content_type="application/json")
    assert made.status_code == 201
    (line,) = client.get("/api/v1/audit-lines?object_type=workspace").json()["results"]
    assert (line["actor"], line["via"], line["action"], line["workspace"]) == ("admin", "api", "created", "new")
