"""`manage.py otlp_grpc`."""

import signal
from threading import Event

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from telemetry.otlp.grpc_server import make_server

GRACE_SECONDS = 4


class Command(BaseCommand):
    """OTLP over gRPC as a process of its own; `up` starts it as the role `otlp`."""

    help = "Takes OTLP over gRPC on PORTAL_OTLP_GRPC_PORT until it is stopped."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        """Serve until SIGTERM or SIGINT, then let what is under way end."""
        config = settings.PORTAL
        if not config.otlp_grpc_port:
            raise CommandError("PORTAL_OTLP_GRPC_PORT is not set")
        stopped = Event()
        for what in (signal.SIGTERM, signal.SIGINT):
            signal.signal(what, lambda *_: stopped.set())
        address = f"{config.host}:{config.otlp_grpc_port}"
        try:
            server = make_server(address, threads=config.web_threads, max_bytes=config.body_max_unpacked_bytes)
        except RuntimeError as error:
            raise CommandError(f"cannot listen on {address}: {error}") from None
        server.start()
        stopped.wait()
        server.stop(GRACE_SECONDS).wait()
