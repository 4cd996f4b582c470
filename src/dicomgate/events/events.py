"""The records of an association's life.

Rule: each association has exactly one Opened and exactly one Closed, with its cause. Between them are at most one
Decided, and at most one of Refused and Established. Reasons are for the operator; no record contains a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias


class Outcome(Enum):
    """What the authenticators decided."""

    ACCEPT = "accept"
    REJECT = "reject"
    PASS = "nobody claims it"  # noqa: S105 (no passcode)
    UNAVAILABLE = "unavailable"


class Cause(Enum):
    """Why an association ended."""

    RELEASED = "released"
    REFUSED = "refused"
    ABORTED_BY_CLIENT = "aborted by the client"
    ABORTED_BY_UPSTREAM = "aborted by the upstream"
    CLIENT_GONE = "the client closed the connection"
    UPSTREAM_GONE = "the upstream closed the connection"
    CLIENT_VIOLATION = "the client broke the protocol"
    UPSTREAM_VIOLATION = "the upstream broke the protocol"
    EXPIRED = "the credential expired"
    IDLE = "idle for too long"
    TIMEOUT = "a deadline passed"
    DRAINED = "the gateway is shutting down"
    DEFECT = "a defect of the gateway"


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection was accepted."""

    id: str
    time: datetime
    listener: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Decided:
    """The authenticators were asked. `claimed` is the username that the client sent, `user` the verified one."""

    id: str
    time: datetime
    outcome: Outcome
    authenticator: str
    reason: str
    identity_type: int | None
    claimed: str | None
    user: str | None = None
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    called_ae_title: str = ""
    calling_ae_title: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """An association was refused. `answer` is what the client received, in words; "" if it was only closed."""

    id: str
    time: datetime
    answer: str
    reason: str
    called_ae_title: str = ""
    calling_ae_title: str = ""


@dataclass(frozen=True, slots=True)
class Established:
    """The client has its A-ASSOCIATE-AC; from now on bytes are relayed.

    `left_out` says what of the request and the answer was not taken over, because it was not as the standard says.
    """

    id: str
    time: datetime
    upstream: str
    user: str | None
    authenticator: str
    called_ae_title: str
    calling_ae_title: str
    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """The end. Bytes and PDUs are those relayed after Established."""

    id: str
    time: datetime
    cause: Cause
    detail: str
    seconds: float
    bytes_from_client: int = 0
    bytes_from_upstream: int = 0
    pdus_from_client: int = 0
    pdus_from_upstream: int = 0


Event: TypeAlias = Opened | Decided | Refused | Established | Closed
Sink: TypeAlias = Callable[[Event], None]
