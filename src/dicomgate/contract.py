"""The contract between the gateway and an authenticator.

An authenticator answers one question with one value: given an `Attempt`, is the identity genuine?

Rule 1: whatever is not an `Accept` can never let anyone in. An exception, a missed deadline and an answer of
        another type are `Unavailable`; `None` is not an answer.
Rule 2: `Reject` means "I looked, and it is not genuine"; `Unavailable` means "I could not look". They are never
        exchanged: a user is not told "wrong" when the directory was down.
Rule 3: reasons are for the operator's log. The peer never sees them.
Rule 4: a principal is (authenticator's name, user): `alice` of one source is not `alice` of another.

This file imports nothing of the house; everything else imports it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Protocol, TypeAlias


class IdentityType(IntEnum):
    """User-Identity-Type of sub-item 58H (PS3.7 table D.3-14). All other values are reserved."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True, slots=True)
class Identity:
    """What the requestor says of itself: the User Identity sub-item 58H (PS3.7 D.3.3.7.1).

    `primary` is the username (UTF-8, no control characters, never empty), the Kerberos ticket, the SAML assertion or
    the JSON Web Token; `secondary` is the passcode and empty for every type but 2. Both are the received bytes, but
    where a listener names a `fallback_encoding` what it decodes is handed on as UTF-8. Neither shows in the repr,
    except a username, which is not a secret.
    """

    type: IdentityType
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    positive_response_requested: bool = False

    @property
    def username(self) -> str | None:
        """The claimed username; None for the types that carry a ticket, an assertion or a token."""
        if self.type in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE):
            return self.primary.decode("utf-8", "replace")
        return None

    def __repr__(self) -> str:
        who = f", username={self.username!r}" if self.username is not None else f", {len(self.primary)} bytes"
        return f"Identity({self.type.name}{who})"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where the association comes from.

    `certificate` is the DER encoding of the TLS client certificate, verified against the listener's `client_ca`;
    None without TLS or without a client certificate.
    """

    address: str
    port: int
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One association request, as an authenticator sees it.

    `identity` is None when the A-ASSOCIATE-RQ has no sub-item 58H. AE titles are stripped of their padding;
    `abstract_syntaxes` are UIDs in the order asked for, without repetition; `time` is aware, in UTC. `arrived_at` is
    the address and the port that the client connected to, `("", 0)` where nobody did. `request()` gives the whole
    A-ASSOCIATE-RQ, for those who need all that it negotiates: encoded anew, so that everybody reads the same in it,
    and with the secret in it; None where there is none.
    """

    id: str
    identity: Identity | None
    calling_ae_title: str
    called_ae_title: str
    peer: Peer
    listener: str
    abstract_syntaxes: tuple[str, ...]
    time: datetime
    arrived_at: tuple[str, int] = ("", 0)
    request: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Once:
    """A credential that may be used once: its `key`, and the (aware) time `until` which it must be remembered."""

    key: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class Accept:
    """The identity is genuine.

    `user` is the canonical name, never what was typed where the two can differ. `server_response` travels to
    sub-item 59H of the A-ASSOCIATE-AC (PS3.7 D.3.3.7.2); whether it is sent is the gateway's business.
    `expires_at` (aware) is the credential's own end; unless the listener says otherwise, the association ends with it.
    `attributes` are carried to the audit.
    """

    user: str
    groups: frozenset[str] = frozenset()
    server_response: bytes | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    once: Once | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reject:
    """Mine to judge, and not genuine."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Not mine to judge: ask the next."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Mine to judge, but I could not look: the directory is down, the keys are out of reach."""

    reason: str


Decision: TypeAlias = Accept | Reject | Pass | Unavailable


class Authenticator(Protocol):
    """What an entry point of the group `dicomgate.authenticators` makes from its configuration table.

    `authenticate` may be a plain method (it is called in threads of this authenticator's own, never more than its
    table's `workers`) or an `async def` (it is awaited in the event loop and must not block it). Optional beside it:

    * `handles`: a collection of `IdentityType`s, None among them for attempts without an identity. Attempts of
      other types are never shown to it. Without it, every attempt is.
    * `async with` (`__aenter__`, `__aexit__`): entered before listening and left after draining.
    * `async def groups_of(self, user: str) -> Collection[str]`: the groups of a user whom another authenticator has
      verified (`groups_from` in that one's table). Raises LookupError for a user that it does not know, OSError when
      it could not look; the words of both go to the log.
    """

    def authenticate(self, attempt: Attempt, /) -> Decision | Awaitable[Decision]:
        """Answer one attempt. Never raises on purpose: `Unavailable` says that one could not look."""
        ...
