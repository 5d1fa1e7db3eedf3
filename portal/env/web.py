"""The web server, and who signs in how."""

from __future__ import annotations

from dataclasses import dataclass

from portal.env.fields import setting


@dataclass(frozen=True, kw_only=True)
class Web:
    """Addresses, secrets and what a proxy in front says."""

    host: str = setting("127.0.0.1", "Address that the web server binds.", section="Web")
    port: int = setting(8000, "Port of the web server.", section="Web", low=1, high=65535)
    otlp_grpc_port: int = setting(
        0,
        "Port of OTLP over gRPC (4317 by custom), without TLS. 0: off; OTLP over HTTP is always there.",
        section="Web",
        low=0,
        high=65535,
    )
    base_url: str = setting(
        "",
        "Address under which people reach the portal; links in messages start with it. Empty: http://host:port.",
        section="Web",
        schemes=("http", "https"),
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Host names that requests may carry, comma-separated. Empty: the host of the base URL and loopback.",
        section="Web",
    )
    secret_key: str = setting(
        "",
        "Signs sessions and encrypts stored secrets. Empty: made once and kept in the data folder.",
        section="Web",
        secret=True,
    )
    trusted_proxy: bool = setting(
        False,
        "A proxy in front sets X-Forwarded-Proto (and drops what clients send): believe it that a request came by"
        " https.",
        section="Web",
    )
    debug: bool = setting(False, "Django's debug pages. Never in production.", section="Web")
    metrics_token: str = setting("", "Bearer token that /metrics asks for. Empty: open.", section="Web", secret=True)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Ways to sign in besides a password."""

    oidc_providers: str = setting(
        "",
        "OpenID Connect providers as JSON: a list of objects with `id`, `name`, `url`, `client_id`, `client_secret`,"
        " `groups_claim`, `roles` (docs/people.md).",
        section="Sign-in",
        secret=True,
    )
    proxy_user_header: str = setting(
        "",
        "Header in which a reverse proxy names who is signed in, such as X-Forwarded-User. Empty: none.",
        section="Sign-in",
    )
    proxy_addresses: tuple[str, ...] = setting(
        (), "Addresses or networks of the proxies whose header is believed, comma-separated.", section="Sign-in"
    )
