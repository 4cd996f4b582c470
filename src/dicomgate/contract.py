"""The contract between the gateway and an authenticator.

An authenticator answers one question with one value: given an `Attempt`, is the identity genuine?

Rule 1: only an `Accept` lets a client in. An exception, a missed deadline and any other answer are `Unavailable`.
Rule 2: `Reject` means "verified, and not genuine"; `Unavailable` means "could not be verified". Never return one for
        the other: a user must not be told "wrong passcode" because the directory was down.
Rule 3: reasons are for the operator's log. The client never sees them.
Rule 4: a principal is (authenticator's name, user): `alice` of one authenticator is not `alice` of another.
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
    """The identity that the client claims: User Identity sub-item 58H (PS3.7 D.3.3.7.1).

    `primary` is the username (UTF-8, no control characters, never empty), the Kerberos ticket, the SAML assertion or
    the JSON Web Token. `secondary` is the passcode, and empty for every type but 2. Both are the bytes received, except
    that text in a listener's `fallback_encoding` is converted to UTF-8. The repr shows neither, only a short username.
    """

    type: IdentityType
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    positive_response_requested: bool = False

    @property
    def username(self) -> str | None:
        """The claimed username (types 1 and 2); None for a ticket, an assertion or a token."""
        if self.type in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE):
            return self.primary.decode("utf-8", "replace")
        return None

    def __repr__(self) -> str:
        name = self.username  # a long one may be a token that is in the wrong place
        who = f", username={name!r}" if name is not None and len(name) <= 32 else f", {len(self.primary)} bytes"
        return f"Identity({self.type.name}{who})"


@dataclass(frozen=True, slots=True)
class Peer:
    """The client's end of the connection.

    `certificate` is its TLS certificate in DER, verified against the listener's `client_ca`; None if it has shown none.
    `via` is the load balancer that announced it, which calls the connection `unique_id`; both are "" if it came itself.
    By the word of one that is trusted, it came by TLS (`proxy_tls`), with a certificate of this name (`proxy_cn`).
    """

    address: str
    port: int
    certificate: bytes | None = field(default=None, repr=False)
    via: str = ""
    unique_id: str = ""
    proxy_tls: bool = False
    proxy_cn: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One association request, as an authenticator sees it.

    `id` is the association's id in the log. `identity` is None if the A-ASSOCIATE-RQ has no sub-item 58H. AE titles
    have no padding. `abstract_syntaxes` are the requested UIDs in their order, each once. `time` is now, aware, in UTC.
    `arrived_at` is the address and port that the client connected to, `("", 0)` if there is no connection. `request()`
    is the whole A-ASSOCIATE-RQ, secret included, encoded again, so that no other parser reads it differently, or None.
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
    """Says that a credential may be used once: the gateway remembers `key` until the (aware) time `until`.

    `made` (aware): when it was made, or the earliest time at which it can have been. If the gateway loses what it has
    remembered, it accepts only credentials that were made after that; for a day, none without `made`.
    """

    key: str = field(repr=False)
    until: datetime
    made: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The identity is genuine.

    `user` is the canonical name, not what was typed if the two can differ. `groups` must be a frozenset of text, and
    `attributes`, which are written to the audit, a mapping of text to text. `server_response` is the content of
    sub-item 59H of the A-ASSOCIATE-AC (PS3.7 D.3.3.7.2); the gateway sends it if the client asked for one. `expires_at`
    (aware) is when the credential ends, and the association too, unless the listener's `end_with_credential` is false.
    `once`: it may be used once. `handle`, hashable, such as the token, is kept for `still_valid`, and never written.
    """

    user: str
    groups: frozenset[str] = frozenset()
    server_response: bytes | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    once: Once | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    handle: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """Verified, and not genuine. `reason` is for the operator.

    `stands`, if you can tell: True while nothing that the refusal rests on (the users file, the keys) has changed. The
    gateway then refuses repeats for some seconds without asking. It is called in the event loop, and must not block.
    """

    reason: str
    stands: Callable[[], bool] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Pass:
    """Not an identity for this authenticator: the next one is asked. `stands` is that of `Reject`."""

    reason: str = ""
    stands: Callable[[], bool] | None = field(default=None, repr=False, compare=False)


def always() -> bool:
    """For `stands`: the refusal rests on nothing but the credential and the configuration."""
    return True


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It could not be verified: the directory is down, the keys cannot be fetched. `reason` is for the operator.

    `looked`, set by the gateway (`dicomgate.kit.verified`): it was compared all the same, and counts as a guess.
    """

    reason: str
    looked: bool = field(default=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Probed:
    """One thing that an authenticator depends on, asked once: a line of `dicomgate check --connect`.

    `what` names it with its address: "directory ldaps://dc1.example:636". `problem` says why it cannot be used and what
    to do; "" if it can. `detail` is what is worth knowing about it then, for example its certificate.
    """

    what: str
    problem: str = ""
    detail: str = ""


Decision: TypeAlias = Accept | Reject | Pass | Unavailable


@dataclass(frozen=True, slots=True)
class Admission:
    """One admitted association, as a credential sees it before the upstream is asked.

    `user`, `groups`, `attributes`, `expires_at` are of the `Accept`, `authenticator` is whose it is. AE titles are as
    the upstream will see them. `identity` is the client's own, with its secret. `time` is now, aware, in UTC.
    """

    id: str
    listener: str
    upstream: str
    authenticator: str
    user: str
    groups: frozenset[str]
    attributes: Mapping[str, str]
    calling_ae_title: str
    called_ae_title: str
    identity: Identity | None
    time: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """What the gateway presents to the upstream: a User Identity (PS3.7 D.3.3.7.1).

    `verify` is given the content of the upstream's response (59H), if it was asked for one, and returns "" or what is
    wrong with it. It is called in the event loop, and must not block. `expires_at` is as in `Accept`.
    """

    identity: Identity
    verify: Callable[[bytes], str] | None = field(default=None, repr=False, compare=False)
    expires_at: datetime | None = None


class Credential(Protocol):
    """What an entry point of the group `dicomgate.credentials` makes from its configuration table.

    `present` may be a plain method or an `async def`, as `authenticate` of an authenticator, with the same threads and
    deadline. The optional members `__aenter__`, `__aexit__`, `answers_within` and `probe` are an authenticator's.
    """

    def present(self, admission: Admission, /) -> Presented | Unavailable | Awaitable[Presented | Unavailable]:
        """What to present for one association. Return `Unavailable` rather than raise an exception."""


class Authenticator(Protocol):
    """What an entry point of the group `dicomgate.authenticators` makes from its configuration table.

    `authenticate` may be a plain method or an `async def`. A plain method is called in threads, up to `workers` of its
    table at a time; an `async def` is awaited in the event loop and must not block it. Optional members:

    * `handles`: the `IdentityType`s that it gets, None for attempts without an identity; without `handles`, all.
    * `__aenter__`, `__aexit__`: entered before the gateway listens, left when no association needs it any more.
    * `async def groups_of(self, user: str) -> Collection[str]`: the groups of a user whom another authenticator has
      verified (its `groups_from`). Raises LookupError for an unknown user, OSError if it cannot tell.
    * `needs_client_certificate`: True if it accepts nobody without one; `dicomgate check` then wants a `client_ca`.
    * `answers_within`: the longest that its own deadlines let an answer take, a `timedelta`; `timeout` must be longer.
    * `locks_after`: how many wrong passcodes lock an account at the server that it asks, 0 if it does not know. It is
      read after `__aenter__`; the operator is warned if `free` of `[throttle]` is not less.
    * `still_valid(self, user: str, handle: object) -> Accept | Reject | Unavailable`, plain or an `async def`: may a
      user who was accepted with this handle still log in? Asked every `revalidate`; `Reject` ends his associations.
    * `async def probe(self) -> Sequence[Probed]`: ask everything that it depends on (a directory, a database, an
      issuer's keys) at the same time, for `dicomgate check --connect`. It logs nobody in, and changes nothing.
    """

    def authenticate(self, attempt: Attempt, /) -> Decision | Awaitable[Decision]:
        """Answer one attempt. Return `Unavailable` rather than raise an exception."""
