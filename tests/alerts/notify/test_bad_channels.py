"""Channels whose other side does everything wrong, on real sockets: each is left in time, and none delays another."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from django.utils import timezone

from alerts.models import Channel, Delivery, DeliveryAttempt
from alerts.notify import pool
from alerts.notify.channels import create_channel
from core.net.outbound import ANSWER_BYTES
from tests.alerts.incidents.world import World
from tests.alerts.test_concurrency import committed, queue
from tests.servers import Answer, HttpServer, serve_http, wait_until

__all__ = ["committed", "queue"]
OK = b"HTTP/1.1 200 OK\r\n"
GIGABYTE = 1 << 30


class RawServer(socketserver.ThreadingTCPServer):
    """Lets `answer` have each connection once its request is there; `sent` counts the bytes of its answers."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[["RawServer", socket.socket], None]) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.answer, self.sent, self.stopping = answer, 0, threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.recv(65_536)
        with suppress(OSError):  # the portal hangs up
            self.answer(self, request)

    def send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.sent += len(data)


def hang(server: RawServer, connection: socket.socket) -> None:
    server.stopping.wait(60)


def garbage(server: RawServer, connection: socket.socket) -> None:
    server.send(connection, b"\x00\xff\xfe what is this \r\n\r\n" * 50)


def gigabyte(server: RawServer, connection: socket.socket) -> None:
    server.send(connection, OK + f"Content-Length: {GIGABYTE}\r\n\r\n".encode())
    while server.sent < GIGABYTE:
        server.send(connection, b"x" * 65_536)


def endless_header(server: RawServer, connection: socket.socket) -> None:
    server.send(connection, OK + b"X-Long: ")
    while server.sent < GIGABYTE:
        server.send(connection, b"x" * 65_536)


def drip_of_header(server: RawServer, connection: socket.socket) -> None:
    server.send(connection, OK + b"X-Slow: ")
    while not server.stopping.wait(0.5):
        server.send(connection, b"x")


def drip_of_body(server: RawServer, connection: socket.socket) -> None:
    server.send(connection, OK + b"Content-Length: 1000\r\n\r\n")
    while not server.stopping.wait(0.5):
        server.send(connection, b"x")


def closed_at_once(server: RawServer, connection: socket.socket) -> None:
    connection.close()


@contextmanager
def raw(answer: Callable[[RawServer, socket.socket], None]) -> Iterator[RawServer]:
    """Such a server."""
    with RawServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join(5)


def test_whatever_the_other_side_does_nobody_else_waits_for_it(
    committed: None, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    slow = (hang, drip_of_header, drip_of_body)
    odd = (garbage, gigabyte, endless_header, closed_at_once)
    with ExitStack() as stack:
        raws = {answer.__name__: stack.enter_context(raw(answer)) for answer in (*slow, *odd)}
        good, private = stack.enter_context(serve_http()), stack.enter_context(serve_http())
        answers = {
            "error": Answer(500, b"boom"),
            "too many": Answer(429, b"", {"Retry-After": "600"}),
            "redirect": Answer(307, b"", {"Location": private.url}),
        }
        web: dict[str, HttpServer] = {name: stack.enter_context(serve_http()) for name in answers}
        for name, answer in answers.items():
            web[name].default = answer
        urls = {name: server.url for name, server in {**raws, **web}.items()} | {"z good": good.url}
        channels = {name: create_channel("webhook", name, {"url": url}) for name, url in urls.items()}
        World(None, "unused").fire(0, "x")
        Channel.objects.filter(name="unused").delete()
        now = timezone.now()
        Delivery.objects.update(state="pending", finished_at=None, created_at=now, next_attempt_at=now)
        for channel in channels.values():
            pool.send_soon(channel.pk)
        good.wait_for(1)
        # It came last and is there, while those that hang still have their time.
        tried = DeliveryAttempt.objects.values_list("delivery__channel_name", flat=True)
        assert {answer.__name__ for answer in slow}.isdisjoint(tried)
        wait_until(lambda: len(tried.all()) == len(channels), 60, "every try")
        found = {
            one.delivery.channel_name: (one.delivery.state, one.reply or one.error)
            for one in DeliveryAttempt.objects.select_related("delivery")
        }
        assert {
            name: found[name] for name in ("z good", "error", "too many", *(answer.__name__ for answer in slow))
        } == {
            "z good": ("sent", "HTTP 200 ok"),
            "error": ("pending", "HTTP 500 boom"),
            "too many": ("pending", "HTTP 429"),
            "hang": ("pending", "no answer within 10 s"),
            "drip_of_header": ("pending", "no answer within 10 s"),
            "drip_of_body": ("pending", "no answer within 10 s"),
        }
        assert found["redirect"] == ("failed", "HTTP 307")
        assert private.requests == []
        assert found["gigabyte"][0] == "sent"
        assert {found[name][0] for name in ("garbage", "endless_header", "closed_at_once")} == {"pending"}
        # No more of an answer is read than its bound, and what the sockets between hold.
        assert max(server.sent for server in raws.values()) < ANSWER_BYTES + (32 << 20)
        again = Delivery.objects.get(channel_name="too many").next_attempt_at
        assert (again - now).total_seconds() >= 600
