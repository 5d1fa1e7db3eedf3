"""`manage.py up` with real processes: start, stop, kill, recover, refuse."""

import http.cookiejar
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from portal.run.postgres import THROWAWAY, running
from tests.conftest import require_program
from tests.live import ROOT, LivePortal, clean_environment, live_portal, open_folder, run_up
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.long

# An ordinary user who may read what root may: the interpreter of the tests may lie in root's home.
AS_NOBODY = [
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data folder that the module's portals use one after the other."""
    with open_folder() as folder:
        yield folder / "data"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for one test."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def first_start(data: Path) -> Iterator[str]:
    """What the first start on the folder printed; the portal is stopped again."""
    with live_portal(data) as portal:
        send_the_printed_record(portal)
        sign_in(portal, *re.findall(r"sign in as (\S+) with the one-time password (\S+)", portal.output)[0])
        family = portal.family()
        assert len(family) > 8
        assert portal.stop(signal.SIGTERM) == 0
        await_end(family)
        yield portal.output


@pytest.fixture(scope="module")
def later_starts(data: Path, first_start: str) -> Iterator[Callable[[], LivePortal]]:
    """Gives the portal that runs on the folder; starts it where the last one was stopped or killed."""
    with ExitStack() as starts:
        running: list[LivePortal] = []

        def portal() -> LivePortal:
            if not running or running[-1].process.poll() is not None:
                running.append(starts.enter_context(live_portal(data)))
            return running[-1]

        yield portal


@pytest.fixture
def portal(later_starts: Callable[[], LivePortal]) -> LivePortal:
    """A later start on the same folder. Who ends it has shown what the next test's start is like after that."""
    return later_starts()


@pytest.fixture(scope="module")
def stopped(data: Path, later_starts: Callable[[], LivePortal]) -> Path:
    """The folder of all these portals, which nobody uses any more."""
    portal = later_starts()
    family = portal.family()
    assert portal.stop(signal.SIGINT) == 0
    await_end(family)
    return data


def send_the_printed_record(portal: LivePortal) -> None:
    """Run the curl line as a reader would."""
    require_program("curl")
    [command] = [line for line in portal.output.splitlines() if line.startswith("curl ")]
    answer = json.loads(subprocess.check_output(shlex.split(command), timeout=20))
    assert (answer["accepted"], answer["rejected"]) == (1, [])


def sign_in(portal: LivePortal, name: str, password: str) -> None:
    """Sign in on the admin's form; AssertionError if it is refused."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    address = f"{portal.url}/login/?next=/admin/"
    browser.open(address, timeout=10).read()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "login": name, "password": password})
    browser.open(address, form.encode(), timeout=10).read()
    assert any(cookie.name == "sessionid" for cookie in jar)


def gone(processes: list[psutil.Process]) -> bool:
    """None of them runs any more (a zombie whose parent is not ours to judge counts as ended)."""
    return not any(runs(process) for process in processes)


def await_end(processes: list[psutil.Process]) -> None:
    """All of them have ended, or do so now: Postgres's logger outlives the server by a moment."""
    wait_until(lambda: gone(processes), 10, "the end of every process")


def runs(process: psutil.Process) -> bool:
    """The process is there and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def evaluated_after(portal: LivePortal, moment: datetime) -> bool:
    """Beat, queue and worker did their work since then."""
    try:
        answer = json.loads(portal.get("/readyz"))
    except OSError:  # 503: Postgres was killed just now
        return False
    seen = answer["checks"]["evaluate"]["detail"].removeprefix("last heartbeat ")
    return datetime.fromisoformat(seen) > moment


def ready(portal: LivePortal) -> bool:
    """/readyz says that records can be stored and rules evaluated."""
    try:
        return bool(json.loads(portal.get("/readyz"))["status"] == "ok")
    except OSError:
        return False


def test_first_start_prints_what_one_needs_and_its_curl_line_and_password_work(first_start: str) -> None:
    assert re.search(r"^portal: ready at http://127\.0\.0\.1:\d+/$", first_start, re.M)
    assert re.search(r"^api key: \S+$", first_start, re.M)
    password = re.findall(r"one-time password (\S+)", first_start)[0]
    assert first_start.count(password) == 1


def test_the_first_start_says_how_far_it_is(first_start: str, data: Path) -> None:
    said = [line for line in first_start.splitlines() if line.startswith("portal: ")]
    database = f"portal: making a Postgres database in {data / 'postgres'}"
    assert said[:2] == [database, "portal: preparing tables and static files"]
    assert said[2].startswith("portal: ready at http://127.0.0.1:")
    assert "portal: running (postgres, web, worker, beat); Ctrl-C stops it" in said


def test_later_start_prints_no_secret_and_everything_works(portal: LivePortal, first_start: str) -> None:
    key = re.findall(r"^api key: (\S+)$", first_start, re.M)[0]
    assert "api key:" not in portal.output
    assert "password" not in portal.output
    assert key not in portal.output
    wait_until(lambda: ready(portal), 40, "readiness")
    checks = json.loads(portal.get("/readyz"))["checks"]
    assert set(checks) == {"database", "store", "evaluate", "rules"}


def test_a_second_up_on_the_same_data_is_refused_with_one_line(portal: LivePortal, data: Path) -> None:
    refused = run_up("--data", str(data), "--port", "0" + str(int(portal.url.rpartition(":")[2]) + 1))
    assert refused.returncode == 1
    assert re.fullmatch(
        rf"portal: postgres already runs on the data folder {re.escape(str(data))}"
        rf" \(process {portal.process.pid}\); .*\n",
        refused.stderr,
    )
    assert portal.get("/healthz")


def test_a_killed_child_is_started_again_and_the_others_live_on(portal: LivePortal) -> None:
    wait_until(lambda: ready(portal), 40, "readiness")
    for word in ("beat", "worker", "web", "postgres"):
        others = [portal.leader_of(other) for other in ("web", "worker", "beat", "postgres") if other != word]
        killed = portal.leader_of(word)
        below = killed.children(recursive=True)
        killed.kill()
        wait_until(lambda: not killed.is_running(), 30, "the end of the killed")  # noqa: B023 called in this turn
        wait_until(lambda: ready(portal), 120, f"readiness after the kill of {word}")
        wait_until(lambda: portal.leaders(word), 30, f"a new {word}")  # noqa: B023 called in this turn
        wait_until(lambda: gone(below), 30, f"the end of what {word} left")  # noqa: B023 called in this turn
        assert all(process.is_running() for process in others), portal.output
    done = datetime.now(UTC)
    wait_until(lambda: evaluated_after(portal, done), 120, "a heartbeat after all that")


def test_the_parts_are_forks_that_share_most_of_their_memory(portal: LivePortal) -> None:
    wait_until(lambda: ready(portal), 40, "readiness")
    for role in ("web", "worker", "beat"):
        memory = portal.leader_of(role).memory_full_info()
        assert memory.uss < memory.rss / 2, role


def test_kill_of_the_supervisor_takes_all_along_and_the_next_start_recovers(
    portal: LivePortal, later_starts: Callable[[], LivePortal]
) -> None:
    family = portal.family()
    portal.process.kill()
    portal.process.wait()
    wait_until(lambda: gone(family), 60, "the end of the children")
    after = later_starts()
    wait_until(lambda: ready(after), 40, "readiness")


def test_kill_of_supervisor_and_leaders_at_once_leaves_nothing_after_the_next_start(
    portal: LivePortal, later_starts: Callable[[], LivePortal]
) -> None:
    family = portal.family()
    leaders = [portal.leader_of(word) for word in ("web", "worker", "beat", "postgres")]
    for process in [psutil.Process(portal.process.pid), *leaders]:
        process.kill()
    portal.process.wait()
    after = later_starts()
    await_end(family)
    wait_until(lambda: ready(after), 40, "readiness")


def test_ctrl_c_stops_everything(stopped: Path) -> None:
    assert not (stopped / "postgres" / "postmaster.pid").exists()


def test_a_port_in_use_is_refused_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_up("--data", str(tmp_path / "data"), "--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"portal: cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --port\n"
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PORTAL_PORT": "many"}, "portal: PORTAL_PORT: expected a whole number\n"),
        ({"PORTAL_PROT": "1"}, "portal: PORTAL_PROT: no such setting (see docs/settings.md)\n"),
        ({"CELERY_BROKER_URL": "kafka://x"}, "portal: CELERY_BROKER_URL: must start with redis:// or rediss:// "
            "or amqp:// or amqps://\n"),
    ],
)  # fmt: skip
def test_a_wrong_environment_is_refused_with_one_line(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    refused = run_up("--data", str(tmp_path / "data"), **environment)
    assert (refused.returncode, refused.stderr) == (1, said)
    assert not (tmp_path / "data").exists()


def test_a_database_that_is_away_is_refused_with_one_line(tmp_path: Path) -> None:
    url = "postgresql://nobody:wrong@127.0.0.1:1/portal"
    refused = run_up("--data", str(tmp_path / "data"), "--port", "18999", DATABASE_URL=url, PORTAL_DATABASE_WAIT="1")
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert line.startswith("portal: Postgres cannot be reached:")
    assert "wrong" not in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
class TestAsOrdinaryUser:
    """The same as a user without privileges."""

    def test_it_runs_and_stops(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        with live_portal(home / "data", wrap=AS_NOBODY) as portal:
            family = portal.family()
            assert {process.uids().effective for process in family} == {65534}
            assert portal.stop() == 0
            await_end(family)

    def test_a_folder_that_cannot_be_written_is_refused_with_one_line(self, tmp_path: Path) -> None:
        refused = run_up("--data", str(tmp_path / "data"), wrap=AS_NOBODY)
        assert refused.returncode == 1
        assert refused.stderr == f"portal: the data folder {tmp_path}/data cannot be used: Permission denied\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_data_folder_is_refused_with_one_line(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(full)], check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        refused = run_up("--data", str(full), "--port", "18999")
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert refused.returncode == 1
    assert refused.stderr == f"portal: the data folder {full} has 0 MB left; at least 128 MB are needed\n"


def test_with_a_database_url_nothing_is_embedded_and_roles_run_alone(folder: Path) -> None:
    with running(folder / "elsewhere", **THROWAWAY) as server:
        environment = {"DATABASE_URL": server.url()}
        data = folder / "data"
        with (
            live_portal(data, "--only", "web", environment=environment) as web,
            live_portal(data, "--only", "worker", environment=environment) as worker,
            live_portal(data, "--only", "beat", environment=environment) as beat,
        ):
            wait_until(lambda: ready(web), 40, "readiness")
            for portal, role in ((web, "web"), (worker, "worker"), (beat, "beat")):
                assert portal.line("portal: running") == f"({role}); Ctrl-C stops it"
        assert not (data / "postgres").exists()


def test_roles_alone_find_the_embedded_postgres_of_their_data_folder(stopped: Path) -> None:
    with live_portal(stopped, "--only", "postgres"), live_portal(stopped, "--only", "web") as web:
        assert json.loads(web.get("/readyz?check=store"))["checks"]["store"]["detail"] == "in Postgres"


def test_without_the_embedded_postgres_a_role_alone_says_so(stopped: Path) -> None:
    refused = run_up("--data", str(stopped), "--only", "worker", PORTAL_DATABASE_WAIT="0")
    assert refused.returncode == 1
    assert refused.stderr.endswith("; is `up` with postgres running on this data folder?\n")
    assert refused.stderr.count("\n") == 1


def test_the_end_of_make_stops_everything_and_make_run_again_recovers_at_once(stopped: Path) -> None:
    port = free_port()
    command = ["make", "-s", "-C", str(ROOT), "run", f"ARGS=--data {stopped} --port {port}"]
    log = stopped.parent / "make.log"

    def start() -> LivePortal:
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=clean_environment(), stdout=output, stderr=output)
        portal = LivePortal(process, log, f"http://127.0.0.1:{port}")
        portal.wait_ready()
        return portal

    first = start()
    family = first.family()
    first.process.kill()
    first.process.wait()
    second = start()
    try:
        await_end(family)
        wait_until(lambda: ready(second), 40, "readiness")
        family = second.family()
    finally:
        second.process.terminate()
        second.process.wait(10)
    await_end(family)
