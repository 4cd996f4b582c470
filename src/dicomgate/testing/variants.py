"""What a good attempt is turned into, and the forms that its secret could be told in."""

from __future__ import annotations

import base64
from dataclasses import replace

from ..contract import Attempt, Identity, IdentityType


def nonsense(kind: IdentityType) -> bytes:
    """The secondary field of an identity of this type that belongs to no user."""
    return b"nonsense" if kind is IdentityType.USERNAME_AND_PASSCODE else b""


def damaged(good: Attempt) -> list[Attempt]:
    """Its secret empty, cut, reversed, not text, too long."""
    identity = good.identity
    if identity is None:
        return []
    whole = identity.secondary or identity.primary
    values = (b"", whole[: len(whole) // 2], whole[::-1], b"\xff\xfe\x00", whole * (60_000 // max(1, len(whole))))
    return [replace(good, identity=_with_secret(identity, value)) for value in values if value != whole]


def of_others(good: Attempt) -> list[Attempt]:
    """The passcode with other names: an unknown one, and names that match all users in a directory or a database."""
    identity = good.identity
    if identity is None or identity.type is not IdentityType.USERNAME_AND_PASSCODE:
        return []
    names = (b"nobody-" + identity.primary, b"*", b"*)(uid=*", b"x' OR 'a'='a", b"x' OR 1=1 -- ")
    return [replace(good, identity=replace(identity, primary=name)) for name in names]


def _with_secret(identity: Identity, value: bytes) -> Identity:
    return replace(identity, secondary=value) if identity.secondary else replace(identity, primary=value)


def forms(identity: Identity | None) -> list[str]:
    """Its secret as it could stand in a text. A username is none."""
    if identity is None or identity.type is IdentityType.USERNAME:
        return []
    secret = identity.secondary or identity.primary
    plain = secret.decode("utf-8", "replace")
    return [plain, repr(plain)[1:-1], repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode().rstrip("=")]
