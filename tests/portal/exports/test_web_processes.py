"""Two web processes behind one address: what they export together only grows, also when one of them is replaced."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from portal.exports import web_processes
from tests.live import LivePortal, live_portal, open_folder
from tests.servers import wait_until

COUNTERS = re.compile(r"^((?:django|process)_\w+(?:_total|_count|_sum|_bucket)(?:{.*})?) (\S+)$", re.MULTILINE)
REQUESTS = "django_http_requests_before_middlewares_total"


@pytest.fixture
def portal() -> Iterator[LivePortal]:
    """A portal with two web processes."""
    with open_folder() as folder, live_portal(folder, environment={"PORTAL_WEB_WORKERS": "2"}) as running:
        yield running


def counters(portal: LivePortal) -> dict[str, float]:
    """Every counter of the web processes, over a connection of its own: either process may answer."""
    return {name: float(value) for name, value in COUNTERS.findall(portal.get("/metrics"))}


def web_pids(portal: LivePortal) -> set[int]:
    """The web processes below granian's own."""
    return {process.pid for process in portal.leader_of("web").children() if process.num_threads() > 1}


def test_counters_of_two_web_processes_never_go_back_also_over_a_respawn(portal: LivePortal) -> None:
    before = counters(portal)

    def scrape() -> None:
        nonlocal before
        after = counters(portal)
        assert {name: value for name, value in before.items() if after.get(name, -1.0) < value} == {}
        assert after[REQUESTS] == before[REQUESTS] + 1
        before = after

    for _ in range(20):
        scrape()
    killed = sorted(web_pids(portal))[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(killed) and len(web_pids(portal)) == 2, 30, "a new web process")
    for _ in range(20):
        scrape()
    assert before["process_cpu_seconds_total"] > 0


def test_time_used_by_processes_that_ended_still_counts(tmp_path: Path) -> None:
    own = psutil.Process()
    used = web_processes.cpu_seconds(tmp_path, [own])
    assert web_processes.cpu_seconds(tmp_path, []) == used > 0
    assert web_processes.cpu_seconds(tmp_path, [own]) >= used
