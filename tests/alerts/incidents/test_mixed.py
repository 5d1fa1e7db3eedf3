"""An incident with alerts of two workspaces: each team sees its own alerts and what its own people did."""

import pytest
from django.utils import timezone

from alerts.incidents import actions
from alerts.incidents.models import Incident
from alerts.incidents.resolve import resolve
from alerts.models import Channel, Delivery
from alerts.notify.channels import create_channel
from core.accounts.models import Membership
from tests.alerts.incidents.world import World
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db
ALL_TOGETHER = {"receiver": "a", "group_by": ["alertname"]}


@pytest.fixture
def people() -> People:
    return make_people()


def both_fire(world: World) -> None:
    world.fire(0, "ours", workspace="production")
    world.fire(0, "theirs", workspace="elsewhere")
    world.run(30)


def test_without_a_routing_tree_each_workspace_has_an_incident_of_its_own(people: People) -> None:
    both_fire(World(None))
    groups = Incident.objects.order_by("group_labels__workspace").values_list("group_labels", flat=True)
    assert [one["workspace"] for one in groups] == ["elsewhere", "production"]


def mixed(people: People) -> Incident:
    """One with a word of somebody of each workspace, owned and resolved by the other one's."""
    world = World(ALL_TOGETHER)
    hook = create_channel("webhook", "rival-hook", {"url": "https://hooks.example.org/"}, workspace=people.elsewhere)
    both_fire(world)
    incident, now = Incident.objects.get(), timezone.now()
    Delivery.objects.create(
        incident=incident,
        number=9,
        alert=incident.members.order_by("id")[0].alert,
        flip=incident.members.order_by("id")[0].alert.flips.get(),
        firing=list(incident.members.values_list("alert_id", flat=True)),
        channel=hook,
        channel_name=hook.name,
        state="failed",
        created_at=now,
        next_attempt_at=now,
    )
    actions.comment(incident, "we are at it", by=people.teammate, now=now)
    actions.comment(incident, "our secret", by=people.outsider, now=now)
    actions.set_owner(incident, people.outsider, by=people.outsider, now=now)
    assert resolve(incident, "their key leaked", by=people.outsider, now=now)
    return incident


def test_what_others_wrote_and_were_sent_of_a_mixed_incident_is_not_shown(people: People) -> None:
    incident = mixed(people)
    paths = [f"/incidents/{incident.pk}/", f"/incidents/{incident.pk}/write-up.md", f"/api/v1/incidents/{incident.pk}"]
    paths += ["/api/v1/incidents", "/incidents/", "/api/v1/deliveries", "/notifications/"]
    for path in paths:
        body = browser_of(people.owner).get(path).content.decode()
        for word in ("our secret", "leaked", "outsider", "theirs", "rival-hook", "elsewhere"):
            assert word not in body, (path, word)
    for path in paths[:3]:
        assert "we are at it" in browser_of(people.owner).get(path).content.decode()
        whole = browser_of(people.admin).get(path).content.decode()
        assert "our secret" in whole
        assert "we are at it" in whole
        assert "leaked" in whole
    shown = browser_of(people.owner).get(paths[0]).context["found"]
    assert {delivery.channel_name for delivery in shown.deliveries} == {"a"}


def test_the_key_of_an_incident_whose_matchers_may_name_workspaces_is_for_those_who_see_all(people: People) -> None:
    tree = {"receiver": "a", "routes": [{"receiver": "a", "matchers": ['workspace=~"production|elsewhere"']}]}
    both_fire(World(tree))
    mine = browser_of(people.owner).get("/api/v1/incidents").json()["results"]
    assert [one["key"] for one in mine] == [""] * len(mine) != []
    whole = browser_of(people.admin).get("/api/v1/incidents").json()["results"]
    assert all("elsewhere" in one["key"] for one in whole) is bool(whole) is True


def test_who_sees_both_workspaces_sees_the_whole_incident(people: People) -> None:
    incident = mixed(people)
    Membership.objects.create(user=people.owner, workspace=people.elsewhere, role="viewer")
    body = browser_of(people.owner).get(f"/incidents/{incident.pk}/").content.decode()
    for word in ("our secret", "we are at it", "leaked", "rival-hook"):
        assert word in body
    assert Channel.objects.filter(name="rival-hook").exists()
