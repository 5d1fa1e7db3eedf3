"""Deliveries in a real worker: they hold none of its places."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from alerts.models import Delivery, RuleGroup
from alerts.notify.channels import create_channel
from tests.alerts.scripted_rules import DELAY, gauge, make_rule, minute, run
from tests.alerts.test_concurrency import committed, queue
from tests.portal.test_celery import database_url, process, sending
from tests.servers import Answer, HttpServer, wait_until

__all__ = ["committed", "queue"]


@pytest.mark.usefixtures("committed")
def test_a_handful_of_dead_channels_delays_no_evaluation(
    http_server: HttpServer, portal_setting: Callable[..., None], tmp_path: Path
) -> None:
    portal_setting(outbound_private=True)
    http_server.default = Answer(delay=60)
    for number in range(5):
        create_channel("webhook", f"dead {number}", {"url": http_server.url})
    rule = make_rule()
    run(rule, gauge({"a": [9]}), 0, 0)
    environment = {
        "PORTAL_DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": f"postgresql://?{database_url().replace(' ', '&')}",
        "PORTAL_SECRET_KEY": settings.SECRET_KEY,
        "PORTAL_OUTBOUND_PRIVATE": "true",
        "PORTAL_WORKER_CONCURRENCY": "1",
    }
    command = [sys.executable, "-m", "celery", "-q", "-A", "portal.celery", "worker", "-l", "WARNING"]
    with sending("") as sender, process(command, tmp_path / "worker.log", **environment):
        sender.send_task("alerts.tasks.sweep")
        http_server.wait_for(5, 40)
        RuleGroup.objects.filter(pk=rule.group_id).update(evaluated_until=timezone.now() - 10 * DELAY)
        sender.send_task("alerts.tasks.tick")
        evaluated = RuleGroup.objects.filter(pk=rule.group_id, evaluated_until__gt=minute(1000))
        begun = timezone.now()
        wait_until(lambda: evaluated.filter(last_evaluated_at__gte=begun - DELAY).exists(), 30, "the evaluation")
        firing = Delivery.objects.filter(flip__to_state="firing")
        assert list(firing.values_list("state", "attempts")) == [("sending", 1)] * 5
