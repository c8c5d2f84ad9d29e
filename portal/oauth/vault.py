"""Private keys at rest: AES-256-GCM under a key that lives in a file of its own, never in the database."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class WrongVaultKey(Exception):
    """The stored private key cannot be opened with this key file: the file was lost, or belongs to another database."""


def seal(plain: bytes, *, key: bytes, purpose: str) -> bytes:
    """`plain` encrypted, bound to `purpose` (the key id), as nonce and ciphertext."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, purpose.encode())


def unseal(sealed: bytes, *, key: bytes, purpose: str) -> bytes:
    """What `seal` was given; raises `WrongVaultKey` for another key, another purpose, or an altered byte."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
    except (InvalidTag, ValueError) as error:
        raise WrongVaultKey(
            f"signing key {purpose} cannot be opened with this data folder's signing key file"
        ) from error
