"""Messages in the words of their owners: which template writes which, what it sees, and what happens when it fails."""

from typing import Any

import pytest

from alerts.models import Channel, Delivery, MessageTemplate
from alerts.notify import templates
from alerts.notify.channels import create_channel
from alerts.notify.deliveries import send_channel
from alerts.notify.incident_message import delivery_message
from alerts.notify.template_edits import TemplateInvalid, create_template, delete_template, update_template
from alerts.notify.templates import apply_template, template_of, written
from alerts.notify.transports.contract import Message
from core.accounts.models import Workspace
from core.audit.models import AuditLine
from tests.alerts.incidents.world import World, at
from tests.people import browser_of, make_people
from tests.servers import HttpServer

pytestmark = pytest.mark.django_db


def message_of(world: World) -> tuple[Message, Channel]:
    """What the world's newest delivery says."""
    delivery = Delivery.objects.select_related("incident", "channel", "flip__alert__rule__runbook").latest("id")
    assert delivery.channel is not None
    return delivery_message(delivery, at(0)), delivery.channel


@pytest.fixture
def message() -> Message:
    world = World({"receiver": "a", "group_by": ["team"], "group_wait": "0s"})
    world.fire(0, "x", "y", team="t")
    return message_of(world)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .Title }}", "World and 1 more"),
        ("{{ len .Alerts.Firing }} firing, {{ len .Alerts.Resolved }} over", "2 firing, 0 over"),
        ("{{ range .Alerts }}{{ .Labels.name }};{{ end }}", "x;y;"),
        ("{{ range $i, $one := .Alerts }}{{ $i }}{{ $one.Status }} {{ end }}{{ $.Severity | toUpper }}",
         "0firing 1firing WARNING"),
        ("{{ range $name, $value := .GroupLabels }}{{ $name }}={{ $value }}{{ end }}", "team=t"),
        ("{{ $labels.team }} {{ (index .Alerts 1).Labels.name }} {{ .Receiver }} {{ .TruncatedAlerts }}", "t y a 0"),
        ('{{ define "one" }}<{{ .Labels.name }}>{{ end }}{{ range .Alerts }}{{ template "one" . }}{{ end }}', "<x><y>"),
        ("{{ (index .Alerts 0).StartsAt }}", "2026-03-02T10:00:00Z"),
    ],
)  # fmt: skip
def test_a_template_sees_alertmanager_s_names_and_the_portal_s(message: Message, text: str, expected: str) -> None:
    assert written(message, "", text).description == expected
    assert written(message, text, "").title == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ .Titel }}", "can't evaluate field Titel"),
        ("{{ range .Alerts }}{{ .Nothing }}{{ end }}", "can't evaluate field Nothing"),
        ('{{ query "up" }}', "query"),
        ("{{ range $i := 10000 }}{{ range $j := 10000 }}x{{ end }}{{ end }}", "steps"),
        ('{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}', "depth"),
        ('{{ printf "%070000d" 1 }}', "longer"),
        ("{{ .Alerts | toUpper }}", "wrong type"),
    ],
)
def test_what_fails_leaves_the_portal_s_words_and_says_why(message: Message, text: str, reason: str) -> None:
    template = MessageTemplate.objects.create(title="mine", text=text)
    channel = Channel.objects.get(name="a")
    sent = apply_template(message, template_of(channel))
    assert (sent.title, sent.description) == (message.title, message.description)
    assert sent.note.startswith("The message template could not be used: ")
    assert reason in sent.note
    template.delete()
    assert apply_template(message, template_of(channel)) == message


def test_a_template_that_breaks_the_portal_holds_nothing_up(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    MessageTemplate.objects.create(title="mine")
    monkeypatch.setattr(templates, "fill_in", lambda *_: 1 / 0)
    sent = apply_template(message, template_of(Channel.objects.get(name="a")))
    assert (sent.title, sent.note) == (message.title, "The message template could not be used: ZeroDivisionError.")


def test_the_workspace_s_comes_first_then_the_one_for_the_kind(message: Message) -> None:
    ours, theirs = (Workspace.objects.create(slug=slug, name=slug) for slug in ("ours", "theirs"))
    channel = create_channel("slack", "b", {"url": "https://hooks.slack.com/services/T/B/x"}, workspace=ours)
    seen = [apply_template(message, template_of(channel)).title]
    for kind, owner in (("", None), ("email", None), ("slack", None), ("", theirs), ("", ours), ("slack", ours)):
        create_template(kind, f"{kind or 'all'} of {owner or 'the portal'}", "", workspace=owner)
        seen.append(apply_template(message, template_of(channel)).title)
    assert seen == [
        "World and 1 more",
        "all of the portal",
        "all of the portal",
        "slack of the portal",
        "slack of the portal",
        "all of ours",
        "slack of ours",
    ]
    assert apply_template(message, template_of(Channel.objects.get(name="a"))).title == "all of the portal"


def test_a_delivery_is_sent_in_the_template_s_words(http_server: HttpServer, portal_setting: Any) -> None:
    portal_setting(outbound_private=True)
    world = World(None, "a")
    channel = create_channel("ntfy", "phone", {"topic": "t", "url": http_server.url})
    create_template("ntfy", "{{ .Severity }}!", "{{ .AlertName }} on {{ .CommonLabels.name }}", workspace=None)
    world.arrive = lambda **_: None  # type: ignore[method-assign]
    world.fire(0, "x")
    assert send_channel(channel.pk, lambda: at(0)) == 1
    (request,) = http_server.requests
    assert b"World on x" in request.body
    assert b"warning!" in request.body


def test_writes_are_checked_and_leave_their_lines() -> None:
    for kind, title, text, field in (
        ("fax", "x", "", "kind"),
        ("", " ", "", "text"),
        ("", "{{ .Title", "", "title"),
        ("", "", "{{ nothing }}", "text"),
        ("", "x" * 1001, "", "title"),
    ):
        with pytest.raises(TemplateInvalid) as caught:
            create_template(kind, title, text, workspace=None)
        assert list(caught.value.errors) == [field]
    made = create_template("", "one", "", workspace=None)
    with pytest.raises(TemplateInvalid, match="has a template already"):
        create_template("", "two", "", workspace=None)
    delete_template(update_template(made, title="two", text=""))
    lines = AuditLine.objects.filter(object_type="message template").order_by("id").values_list("action", flat=True)
    assert list(lines) == ["created", "changed", "deleted"]


def test_the_page_shows_alerts_of_the_past_in_the_typed_words(message: Message) -> None:
    people = make_people()
    client = browser_of(people.admin)
    form = {"title": "{{ .Severity }} of {{ len .Alerts }}", "text": "<b>{{ .Receiver }}</b>", "preview": "1"}
    address = "/channels/messages/new/"
    assert b"Warning: World" in client.get(address).content
    shown = client.post(address, form, headers={"HX-Request": "true"}).content.decode()
    assert "Warning: warning of 1</b>" in shown
    assert "&lt;b&gt;a&lt;/b&gt;" in shown
    shown = client.post(address, {**form, "grouped": "on"}, headers={"HX-Request": "true"}).content.decode()
    assert "warning of 2" in shown
    shown = client.post(address, {**form, "text": "{{ .Oops }}"}, headers={"HX-Request": "true"}).content.decode()
    assert "field Oops" in shown
    assert "Warning: World" in shown
    assert client.post(address, {"title": "{{", "text": ""}).status_code == 422
    assert client.post(address, {"title": "t", "text": ""}).status_code == 302
    template = MessageTemplate.objects.get()
    own = f"/channels/messages/{template.pk}/"
    # An operator of one workspace sees the portal's template, changes it not, and is shown no alert of others.
    owner = browser_of(people.owner)
    assert "every kind" in owner.get("/channels/messages/").content.decode().lower()
    assert owner.post(own, {"title": "x"}).status_code == 403
    assert "No alert has fired yet" in owner.get(address).content.decode()
    assert browser_of(people.teammate).get(address).status_code == 403
