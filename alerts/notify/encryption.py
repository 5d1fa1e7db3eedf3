"""Secrets at rest: a channel's configuration is stored as Fernet ciphertext under a key derived from the portal's
secret key."""

import base64
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SecretLost(Exception):
    """Stored secrets cannot be read: the secret key changed since they were saved. They must be entered again."""


def _fernet() -> Fernet:
    kdf = HKDF(algorithm=SHA256(), length=32, salt=b"llm-usage-portal", info=b"channel configuration")
    return Fernet(base64.urlsafe_b64encode(kdf.derive(settings.SECRET_KEY.encode())))


def encrypt(config: dict[str, Any]) -> bytes:
    """Ciphertext of the configuration."""
    return _fernet().encrypt(json.dumps(config, sort_keys=True).encode())


def decrypt(data: bytes | memoryview) -> dict[str, Any]:
    """The configuration again; SecretLost when it was encrypted under another secret key."""
    try:
        config: dict[str, Any] = json.loads(_fernet().decrypt(bytes(data)))
    except InvalidToken:
        raise SecretLost(
            "the stored configuration cannot be read since the secret key changed; enter it again"
        ) from None
    return config
