"""Real servers on loopback that stand for the outside: a web server (Slack, a webhook) and a mail server."""

import email
import email.message
import email.policy
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the web server answers: after `delay` seconds, `status`, `headers` and `body`."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


class HttpServer:
    """Records `requests`; answers with the next of `answers`, then always with `default`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.answers: deque[Answer] = deque()
        self.default = Answer()
        self.stopping = threading.Event()
        self._arrived = threading.Condition()

    def take(self, request: Request) -> Answer:
        """Record the request and choose its answer."""
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
            return self.answers.popleft() if self.answers else self.default

    def wait_for(self, count: int, seconds: float = 40) -> list[Request]:
        """The requests, once there are at least `count`; AssertionError after `seconds`."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.requests) >= count, seconds)
            assert came, f"{len(self.requests)} requests in {seconds} s, expected {count}"
            return list(self.requests)


class Handler(BaseHTTPRequestHandler):
    """Passes each request to the recorder."""

    protocol_version = "HTTP/1.1"
    recorder: HttpServer

    def answer(self) -> None:
        """Read the request, record it, answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.recorder.take(Request(self.command, self.path, headers, body))
        if answer.delay and self.recorder.stopping.wait(answer.delay):
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """Does not wait for idle keep-alive connections at the end, and is quiet about clients that went away."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up first is part of the tests."""


@contextmanager
def serve_http() -> Iterator[HttpServer]:
    """A recording web server on a free port."""
    handler = type("RecordingHandler", (Handler,), {})
    server = LoopbackServer(("127.0.0.1", 0), handler)
    recorder = handler.recorder = HttpServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        recorder.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


@dataclass(frozen=True)
class Mail:
    """A message as it was handed over: the envelope's addresses and the parsed content."""

    sender: str
    recipients: list[str]
    message: email.message.EmailMessage


class SmtpServer:
    """Records `messages`. With `refusal` set (e.g. "550 no such user") every recipient is refused with it."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.messages: list[Mail] = []
        self.refusal = ""

    @property
    def url(self) -> str:
        """For PORTAL's EMAIL_URL and email channels."""
        return f"smtp://{self.host}:{self.port}"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Record the message."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        message = email.message_from_bytes(raw.replace(b"\r\n", b"\n"), policy=email.policy.default)
        self.messages.append(Mail(envelope.mail_from or "", list(envelope.rcpt_tos), message))  # type: ignore[arg-type]
        return "250 OK"


@contextmanager
def serve_smtp() -> Iterator[SmtpServer]:
    """A recording mail server on a free port."""
    recorder = SmtpServer()
    recorder.port = free_port()
    controller = Controller(recorder, hostname=recorder.host, port=recorder.port)
    controller.start()
    try:
        yield recorder
    finally:
        controller.stop()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether something on loopback accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], object], seconds: float = 40, what: str = "the condition") -> None:
    """Return when `condition()` is true (another process's doing); AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.02)
