"""Verdict and policy -> admit, with which response item; or refuse, with which codes.

Law: the peer never learns why (docs/decisions.md). Every identity that is not admitted gets the same A-ASSOCIATE-RJ.
Only "try later" is different, so that a client repeats instead of asking its user for another passcode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from ..auth.chain import Verdict
from ..contract import Accept, Attempt, Identity, IdentityType, Pass, Peer, Reject, Unavailable
from ..events.events import Decided, Facts, Outcome, ReasonClass
from ..kit.text import claimed_name, looks_like_a_token
from ..rights.operations import Denial
from ..rights.rights import Rights
from ..rights.rule import Who
from ..wire.associate import AssociateRequest
from ..wire.reject_abort import (
    CALLED_AE_TITLE,
    LOCAL_LIMIT,
    NO_CONTEXT,
    REFUSED_IDENTITY,
    TRY_LATER,
    NotDicom,
    PduError,
    Refusal,
)
from .route import ANY_AE_TITLE, Route

_MOST_TITLES = 8  # in a message


@dataclass(frozen=True, slots=True)
class Policy:
    """What one listener requires of its associations. Times are in seconds, the limit in bytes.

    `rights` are those of whoever is admitted; None without rules. Unless `enforce_rights`, they are only reported.
    """

    listener: str
    identity_required: bool = True
    passcodes_allowed: bool = True
    fallback_encoding: str | None = None
    end_with_credential: bool = True
    routes: Mapping[str, Route] = field(default_factory=dict)
    request_limit: int = 262_144
    artim: float = 30.0
    decision_timeout: float = 10.0
    audit_required: bool = False
    rights: Callable[[Who], Rights] | None = None
    enforce_rights: bool = True

    def route(self, called_ae_title: str) -> Route | None:
        """The route of a called AE title; None if there is none."""
        return self.routes.get(called_ae_title) or self.routes.get(ANY_AE_TITLE)

    def no_route(self, called_ae_title: str) -> str:
        """Why a called AE title has no route."""
        known = ", ".join(list(self.routes)[:_MOST_TITLES])
        return f"no upstream takes the called AE title {called_ae_title!r}; there are: {known or 'none'}"


@dataclass(slots=True)
class Admit:
    """Admit it. `server_response` is the content of sub-item 59H; None means no such item."""

    accept: Accept
    authenticator: str
    server_response: bytes | None


@dataclass(slots=True)
class Refuse:
    """Refuse it: what the client receives, and the reason, which only the operator is told."""

    refusal: Refusal
    reason: str
    reason_class: ReasonClass = ReasonClass.UNAVAILABLE


def attempt_of(
    association_id: str,
    request: AssociateRequest,
    pdu: bytes,
    peer: Peer,
    policy: Policy,
    time: datetime,
    arrived_at: tuple[str, int] = ("", 0),
) -> Attempt:
    """The request, which was read from `pdu`, as the authenticators see it."""
    return Attempt(
        id=association_id,
        identity=request.identity,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        peer=peer,
        listener=policy.listener,
        abstract_syntaxes=tuple(dict.fromkeys(context.abstract_syntax.decode() for context in request.contexts)),
        time=time,
        arrived_at=arrived_at,
        request=partial(_encoded_anew, pdu, policy.fallback_encoding),
    )


def _encoded_anew(pdu: bytes, fallback_encoding: str | None) -> bytes:
    # Only on demand, and from the bytes: as a value, a long request takes up to nine times as much memory.
    return AssociateRequest.parse(pdu, fallback_encoding).encode()


def routed(called_ae_title: str, policy: Policy, over_limit: str) -> Route | Refuse:
    """Where it goes; or refuse what goes nowhere. `over_limit` names the limit that it exceeds, "" for none."""
    if over_limit:
        return Refuse(LOCAL_LIMIT, over_limit, ReasonClass.LIMIT)
    route = policy.route(called_ae_title)
    return route or Refuse(CALLED_AE_TITLE, policy.no_route(called_ae_title), ReasonClass.NO_ROUTE)


def before_asking(identity: Identity | None, policy: Policy, *, secured: bool = False) -> Refuse | None:
    """Refuse what no authenticator needs to see, else None. `secured`: it may bring passcodes where others may not."""
    if identity is None:
        if not policy.identity_required:
            return None
        why = "no user identity, and the listener requires one"
        return Refuse(REFUSED_IDENTITY, why, ReasonClass.NO_IDENTITY)
    if identity.type is IdentityType.USERNAME_AND_PASSCODE and not (policy.passcodes_allowed or secured):
        why = "a passcode came over a connection without TLS (cleartext_passcodes is false)"
        return Refuse(REFUSED_IDENTITY, why, ReasonClass.CLEARTEXT)
    return None


def who_of(attempt: Attempt, accept: Accept, authenticator: str, upstream: str) -> Who:
    """One who was admitted, as the rules see him."""
    return Who(
        attempt.listener,
        authenticator,
        accept.user,
        accept.groups,
        accept.attributes,
        attempt.peer.address,
        attempt.calling_ae_title,
        attempt.called_ae_title,
        upstream,
    )


def unrecorded(trouble: str) -> Verdict:
    """The verdict without a question, where a login must have its audit record and can have none (`audit_required`)."""
    return Verdict(Unavailable(trouble), reason_class=ReasonClass.AUDIT_UNAVAILABLE)


def settle(attempt: Attempt, facts: Facts, verdict: Verdict, now: datetime) -> tuple[Decided, Admit | Refuse]:
    """What follows from the chain's verdict on an attempt: the record of it, and the answer. `now` is aware."""
    return _record(attempt, facts, verdict, now), _admit(verdict, attempt.identity, now)


def _admit(verdict: Verdict, identity: Identity | None, now: datetime) -> Admit | Refuse:
    """What the verdict means for the client."""
    decision = verdict.decision
    by = f"{verdict.authenticator}: " if verdict.authenticator else ""
    if not isinstance(decision, Accept):
        looked = isinstance(decision, Reject | Pass)
        reason_class = verdict.reason_class or _REASON_CLASSES[type(decision)]
        why = f"{by}{_reason(decision, identity)}"
        return Refuse(REFUSED_IDENTITY if looked else TRY_LATER, why, reason_class)
    if decision.expires_at is not None and decision.expires_at <= now:
        why = f"{by}the credential ended at {decision.expires_at.isoformat()}"
        return Refuse(REFUSED_IDENTITY, why, ReasonClass.EXPIRED)
    if decision.once is not None:
        why = f"{by}the credential may be used once, and there is no replay cache to enforce that"
        return Refuse(TRY_LATER, why, ReasonClass.UNAVAILABLE)
    return Admit(decision, verdict.authenticator, _response(decision, identity))


def nothing_granted(withheld: tuple[Denial, ...], rights: Rights) -> Refuse:
    """Refuse one who was admitted, none of whose presentation contexts is granted."""
    matching = ", ".join(rights.rules) or "none"
    missing = "; ".join(denial.missing for denial in withheld)
    why = f"no rule allows anything that the client asks for; matching rules: {matching}; it would take {missing}"
    return Refuse(NO_CONTEXT, why, ReasonClass.NOT_GRANTED)


def _response(decision: Accept, identity: Identity | None) -> bytes | None:
    # PS3.7 D.3.3.7.2: the response is sent only if the requestor asked for it, and authentication succeeded.
    if identity is None or not identity.positive_response_requested:
        return None
    # PS3.7 D.3.3.7.2: "for values 1 and 2 this field shall be of zero length".
    if identity.type in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE):
        return b""
    return decision.server_response or b""


def _reason(decision: Reject | Pass | Unavailable, identity: Identity | None) -> str:
    """The reason, which may repeat the claimed name; one that looks like a token is hidden there, too."""
    name = identity.username if identity else None
    if name is None or not looks_like_a_token(name):
        return decision.reason
    return decision.reason.replace(name, claimed_name(name))


def reason_class_of(error: PduError) -> ReasonClass:
    """The class of a request that cannot be read."""
    if isinstance(error, NotDicom):
        return ReasonClass.NOT_DICOM
    return ReasonClass.MALFORMED_IDENTITY if error.answer == REFUSED_IDENTITY else ReasonClass.MALFORMED


_OUTCOMES: Mapping[type, Outcome] = {
    Accept: Outcome.ACCEPT,
    Reject: Outcome.REJECT,
    Pass: Outcome.PASS,
    Unavailable: Outcome.UNAVAILABLE,
}
_REASON_CLASSES: Mapping[type, ReasonClass] = {
    Reject: ReasonClass.WRONG_CREDENTIAL,
    Pass: ReasonClass.NOBODY_CLAIMS,
    Unavailable: ReasonClass.UNAVAILABLE,
}


def facts_of(attempt: Attempt) -> Facts:
    """What is known of an association before its authenticators are asked."""
    identity = attempt.identity
    name = identity.username if identity else None
    return Facts(
        attempt.id,
        attempt.listener,
        attempt.peer.address,
        attempt.peer.port,
        attempt.calling_ae_title,
        attempt.called_ae_title,
        identity.type.value if identity else None,
        None if name is None else claimed_name(name),
        via=attempt.peer.via,
        unique_id=attempt.peer.unique_id,
    )


def _record(attempt: Attempt, facts: Facts, verdict: Verdict, now: datetime) -> Decided:
    decision = verdict.decision
    outcome = _OUTCOMES[type(decision)]
    if isinstance(decision, Accept):
        facts = facts._replace(user=decision.user, authenticator=verdict.authenticator)
        return Decided(facts, now, outcome, "", tuple(sorted(decision.groups)), decision.attributes)
    reason = _reason(decision, attempt.identity)
    return Decided(facts._replace(authenticator=verdict.authenticator), now, outcome, reason)
