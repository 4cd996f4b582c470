"""The records of an association's life.

Rule: each association has exactly one Opened and exactly one Closed, with its cause. Between them are at most one
Decided, and at most one of Refused and Established; after Established, a Denied for each kind of what its rights do not
allow. A connection whose client closes it without having sent anything, such as a health check, has no records: it is
counted. Reasons are for the operator; no record contains a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias


class Member(Enum):
    """A member that is looked up in tables for each association.

    There is one object for each member: its identity is its hash. Enum's own is a call of Python code.
    """

    __hash__ = object.__hash__


class Outcome(Member):
    """What the authenticators decided."""

    ACCEPT = "accept"
    REJECT = "reject"
    PASS = "nobody claims it"  # noqa: S105 (no passcode)
    UNAVAILABLE = "unavailable"


class Cause(Member):
    """Why an association ended."""

    RELEASED = "released"
    REFUSED = "refused"
    ABORTED_BY_CLIENT = "aborted by the client"
    ABORTED_BY_UPSTREAM = "aborted by the upstream"
    CLIENT_GONE = "the client closed the connection"
    NOTHING_SENT = "the client sent nothing"
    UPSTREAM_GONE = "the upstream closed the connection"
    CLIENT_VIOLATION = "the client broke the protocol"
    UPSTREAM_VIOLATION = "the upstream broke the protocol"
    EXPIRED = "the credential expired"
    IDLE = "idle for too long"
    TIMEOUT = "a deadline passed"
    KICKED = "ended by the operator"
    DISABLED = "the user was disabled"
    UNVERIFIABLE = "the user could not be verified again"
    DRAINED = "the gateway is shutting down"
    DEFECT = "a defect of the gateway"


class ReasonClass(Member):
    """Why an association was refused, as one of a few words: what is counted, alerted on, and looked for."""

    WRONG_CREDENTIAL = "wrong_credential"
    NOBODY_CLAIMS = "nobody_claims"
    MALFORMED_IDENTITY = "malformed_identity"
    THROTTLED = "throttled"
    LOCKED = "locked"
    REPLAYED = "replayed"
    EXPIRED = "expired"
    NO_IDENTITY = "no_identity"
    CLEARTEXT = "cleartext"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    NO_ROUTE = "no_route"
    LIMIT = "limit"
    UPSTREAM_DOWN = "upstream_down"
    UPSTREAM_REJECTED = "upstream_rejected"
    UPSTREAM_VIOLATION = "upstream_violation"
    MALFORMED = "malformed"
    NOT_DICOM = "not_dicom"
    TLS = "tls"
    PROXY_HEADER = "proxy_header"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    NOT_GRANTED = "not_granted"
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    UPSTREAM_UNVERIFIED = "upstream_unverified"
    USER_LIMIT = "user_limit"
    KICKED = "kicked"


class Facts(NamedTuple):
    """What is known of an association so far; every record has it.

    `claimed` is the username that the client sent (types 1 and 2), `user` the verified one; `identity_type` is None
    while no identity is known. What is not known yet, or never will be, is "" or None. `via` is the load balancer that
    announced the client, and `unique_id` what that calls the connection.
    """

    id: str
    listener: str
    address: str
    port: int
    calling_ae_title: str = ""
    called_ae_title: str = ""
    identity_type: int | None = None
    claimed: str | None = None
    user: str | None = None
    authenticator: str = ""
    upstream: str = ""
    via: str = ""
    unique_id: str = ""


class Opened(NamedTuple):
    """A connection was accepted."""

    facts: Facts
    time: datetime


class Decided(NamedTuple):
    """The authenticators were asked. `rules` are the names of the rules that match who was accepted."""

    facts: Facts
    time: datetime
    outcome: Outcome
    reason: str
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = MappingProxyType({})
    rules: tuple[str, ...] = ()


class Refused(NamedTuple):
    """An association was refused. `answer` is what the client received, in words; "" if it was only closed."""

    facts: Facts
    time: datetime
    answer: str
    reason: str
    reason_class: ReasonClass


class Established(NamedTuple):
    """The client has its A-ASSOCIATE-AC; from now on bytes are relayed. SOP classes accepted and rejected by UID.

    `left_out` says what of the request and the answer was not taken over, because it was not as the standard says.
    `withheld` are the services that the PACS was not asked for, because no rule allows them. `credential` is the name
    of the one that the PACS was shown, "" for none; `shown_ae_titles` are the calling and the called AE title that the
    PACS saw, if they are not the client's own. `upstream_address` is the one of several that was reached, "" without a
    choice; `connect_seconds` is how long it took to connect there, TLS included.
    """

    facts: Facts
    time: datetime
    accepted: tuple[str, ...]
    rejected: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    credential: str = ""
    shown_ae_titles: tuple[str, ...] = ()
    upstream_address: str = ""
    connect_seconds: float = 0.0


CONTEXT = "presentation context"
"""The operation of a Denied record about what was proposed in the A-ASSOCIATE-RQ."""


class Denied(NamedTuple):
    """No rule grants what the client asked for. The first of its kind in an association; Closed counts all requests.

    `service` is a word of `dicomgate rules services`, or a SOP class UID; `operation` what was asked, in words:
    `CONTEXT`, or such as "C-MOVE-RQ"; `missing` the grant that a rule would need. `enforced` is false where
    `rules = "report"`, so that it went on all the same. `rules` are the names of the rules that match.

    Where `rules = "report"`, also for what would have been an A-ABORT: `operation` says why, and nothing is `missing`.
    """

    facts: Facts
    time: datetime
    service: str
    operation: str
    missing: str
    enforced: bool
    rules: tuple[str, ...] = ()


class Closed(NamedTuple):
    """The end. Bytes and PDUs are those relayed after Established.

    Where rules limit the association, `used` and `denied` count its requests by what they need, such as "store" or
    "move WS_1". None: nobody looked, which is not the same as a client that asked for nothing.
    """

    facts: Facts
    time: datetime
    cause: Cause
    detail: str
    seconds: float
    bytes_from_client: int = 0
    bytes_from_upstream: int = 0
    pdus_from_client: int = 0
    pdus_from_upstream: int = 0
    used: Mapping[str, int] | None = None
    denied: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Of the audit itself: so many records before this one are missing, the first at `since`, the last at `until`."""

    time: datetime
    count: int
    since: datetime
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Operated:
    """An operator did something to the running gateway, or tried to.

    `action` is a word such as "kick" or "reload", `target` what it was done to, "" for the gateway. `by` is who did
    it: `uid 1000 (alice)` at the control socket, `staff/alice` at the page. `problem` is why it was not done, else "".
    """

    time: datetime
    action: str
    target: str
    by: str
    reason: str = ""
    problem: str = ""


Event: TypeAlias = Opened | Decided | Refused | Established | Denied | Closed
Sink: TypeAlias = Callable[[Event], None]
