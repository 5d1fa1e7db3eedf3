"""Outbound HTTP: where it may go, how long, how much."""

import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from core.net.outbound import ANSWER_BYTES, Forbidden, Unreachable, check_url, is_public, post, retry_seconds
from portal.env import Config
from tests.servers import Answer, HttpServer, free_port

NOW = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)


@pytest.fixture
def private_allowed(configure: Callable[..., Config]) -> None:
    configure(outbound_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "fe80::1%eth0",
        "ff02::1",
    ],
)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
def test_a_private_target_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises((Forbidden, Unreachable)):
        post(f"https://{host}:{free_port()}/", b"", {})


def test_nothing_is_sent_to_a_private_server(http_server: HttpServer) -> None:
    with pytest.raises(Forbidden, match="private address"):
        post(http_server.url.replace("http:", "https:"), b"", {})
    assert http_server.requests == []


@pytest.mark.usefixtures("private_allowed")
@pytest.mark.parametrize(
    "url",
    ["ftp://x/", "//x/", "https://", "https://user:pw@x/", "https://x/a b", "https://x:port/", "", "https://x/\n"],
)
def test_what_is_no_plain_http_url_is_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url)


def test_plain_http_needs_the_setting(configure: Callable[..., Config]) -> None:
    with pytest.raises(Forbidden, match="only https"):
        check_url("http://example.com/")
    configure(outbound_private=True)
    check_url("http://example.com/")


@pytest.mark.usefixtures("private_allowed")
def test_an_answer_is_read_with_its_retry_after(http_server: HttpServer) -> None:
    http_server.answers.append(Answer(429, b"slow down", {"Retry-After": "7"}))
    answer = post(f"{http_server.url}/x?y=1", b"body", {"X-Name": "v"})
    assert (answer.status, answer.text, answer.retry_after) == (429, "slow down", 7)
    request = http_server.requests[0]
    assert (request.method, request.path, request.body, request.headers["x-name"]) == ("POST", "/x?y=1", b"body", "v")


@pytest.mark.usefixtures("private_allowed")
def test_a_redirect_is_not_followed(http_server: HttpServer) -> None:
    http_server.answers.append(Answer(302, b"", {"Location": f"{http_server.url}/inside"}))
    assert post(http_server.url, b"", {}).status == 302
    assert len(http_server.requests) == 1


@pytest.mark.usefixtures("private_allowed")
def test_of_a_huge_answer_only_the_beginning_is_read(http_server: HttpServer) -> None:
    http_server.answers.append(Answer(200, b"x" * 5_000_000))
    assert len(post(http_server.url, b"", {}).text) == ANSWER_BYTES


def test_the_operator_s_own_address_may_be_private_and_its_answer_is_marked_where_it_is_cut(
    http_server: HttpServer,
) -> None:
    http_server.answers.extend([Answer(200, b"x" * 100), Answer(200, b"x" * 101)])
    whole, cut = (post(http_server.url, b"", {}, private=True, max_bytes=100) for _ in range(2))
    assert (len(whole.body), whole.cut, len(cut.body), cut.cut) == (100, False, 100, True)


@pytest.mark.usefixtures("private_allowed")
def test_a_server_that_does_not_answer_is_left_in_time(http_server: HttpServer) -> None:
    http_server.answers.append(Answer(delay=30))
    start = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
        post(http_server.url, b"", {}, seconds=0.3)
    assert time.monotonic() - start < 10  # of 30 s, and of a drip that never ends


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte of its header every 50 ms, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    stop.set()
    thread.join(5)
    listener.close()


@pytest.mark.usefixtures("private_allowed")
def test_a_server_that_drips_is_left_in_time(dripping: str) -> None:
    start = time.monotonic()
    with pytest.raises(Unreachable, match="no answer within"):
        post(dripping, b"", {}, seconds=0.4)
    assert time.monotonic() - start < 10  # of 30 s, and of a drip that never ends


@pytest.mark.usefixtures("private_allowed")
def test_nobody_listening_and_unknown_names_are_unreachable() -> None:
    with pytest.raises(Unreachable, match="refused"):
        post(f"http://127.0.0.1:{free_port()}/", b"", {})
    with pytest.raises(Unreachable, match="does not resolve"):
        post("http://nothing.invalid/", b"", {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("Mon, 02 Mar 2026 10:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_seconds(text, NOW) == seconds
