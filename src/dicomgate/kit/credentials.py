"""The username and the passcode of an attempt, or why there are none (PS3.7 D.3.3.7.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..contract import Attempt, Identity, IdentityType, Pass, Reject, always

LONGEST_NAME = 1024
"""Bytes. A longer username is not looked up; the sub-item could hold 65,535."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client sent.

    If no user can have the name, `name` is empty and `problem` says why. An authenticator verifies such a login like
    any other, so that the time of the answer does not differ, and rejects it.
    """

    name: str
    passcode: bytes = field(repr=False)
    problem: str = ""


def credentials_of(attempt: Attempt, longest: int = LONGEST_NAME) -> Credentials | Pass | Reject:
    """The credentials of an attempt; Pass for another type of identity, Reject for an empty passcode.

    An empty passcode is rejected here, because a directory takes it for an anonymous login, which succeeds (RFC 4513
    5.1.2). `longest` is the longest name, in bytes of UTF-8.
    """
    identity = attempt.identity
    if identity is None or identity.type is not IdentityType.USERNAME_AND_PASSCODE:
        return Pass("not a username with a passcode", always)
    if not identity.secondary:
        return Reject("empty passcode", always)
    try:
        name = identity.primary.decode("utf-8")
    except UnicodeDecodeError:
        return Credentials("", identity.secondary, "the username is not UTF-8")
    if not name or len(identity.primary) > longest or not name.isprintable():
        return Credentials("", identity.secondary, f"not a username of 1 to {longest} printable bytes")
    return Credentials(name, identity.secondary)


def name_of(identity: Identity) -> str:
    """The claimed name; "" for one that is not UTF-8, or has a NUL, which a database may not take: no user has it."""
    try:
        name = identity.primary.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in name else name
