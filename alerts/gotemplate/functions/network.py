"""Host and port of an address, as Go's net splits them."""

from __future__ import annotations

from ipaddress import ip_address


def split_host_port(text: str) -> tuple[str, str] | None:
    """net.SplitHostPort; None where that fails."""
    colon = text.rfind(":")
    if colon < 0:
        return None
    if text[0] == "[":
        end = text.find("]")
        if end < 0 or end + 1 != colon:
            return None
        host, brackets_from, closing_from = text[1:end], 1, end + 1
    else:
        host, brackets_from, closing_from = text[:colon], 0, 0
        if ":" in host:
            return None
    if "[" in text[brackets_from:] or "]" in text[closing_from:]:
        return None
    return host, text[colon + 1 :]


def strip_port(text: str) -> str:
    split = split_host_port(text)
    return text if split is None else split[0]


def strip_domain(text: str) -> str:
    """The host's first part, with the port where there is one; addresses stay as they are."""
    host, port = split_host_port(text) or (text, "")
    if _is_address(host):
        return text
    host = host.split(".", 1)[0]
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_address(host: str) -> bool:
    if "%" in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
