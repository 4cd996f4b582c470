"""What a handshake knows in each of its states, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ..auth.chain import Verdict
from ..contract import Admission, Attempt, IdentityType, Presented, Unavailable
from ..errors import DoesNotFit
from ..events.events import Decided, Denied, Established, Event, Facts, ReasonClass
from ..rights.contexts import narrowed
from ..rights.operations import Denial, Operations
from ..rights.rights import EVERYTHING, Rights
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.reject_abort import CONGESTION, TRY_LATER
from . import effects as do
from .admission import Admit, Policy, Refuse, nothing_granted, settle, who_of
from .message_stream import MessageStream
from .observed_stream import observed
from .pdv_stream import PdvStream
from .presenting import admission_of, verified
from .route import ONLY, Reached, Route, Shown

_LONG = 16_384
_AS_OFTEN_AS_YOU_LIKE = (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE)


@dataclass(slots=True, repr=False)
class Asked:
    """In DECISION: the authenticators are asked about `attempt`.

    A long request is kept as the bytes of its PDU: as a value it takes up to nine times as much, and a decision may
    take a while.
    """

    attempt: Attempt
    route: Route
    request: AssociateRequest | bytes

    @classmethod
    def about(cls, attempt: Attempt, route: Route, request: AssociateRequest, pdu: bytes) -> Asked:
        """`request` was read from `pdu`."""
        return cls(attempt, route, pdu if len(pdu) > _LONG else request)

    def settled(
        self, verdict: Verdict, no_place: Refuse | None, facts: Facts, policy: Policy, now: datetime
    ) -> tuple[Decided, Admitted | Refuse]:
        """What follows from the verdict: its record, and the next stage, if there is one.

        `no_place` says why one who is accepted gets no place, if that is so.
        """
        record, answer = settle(self.attempt, facts, verdict, now)
        if isinstance(answer, Refuse):
            return record, answer
        who = who_of(self.attempt, answer.accept, answer.authenticator, self.route.upstream)
        rights = EVERYTHING
        if policy.rights is not None:
            rights = policy.rights(who)
            record = record._replace(rules=rights.rules)
        request = self._to_upstream(policy.fallback_encoding)
        passed, withheld = narrowed(request, rights)
        if not policy.enforce_rights:
            passed = request
        if not passed.contexts:
            return record, nothing_granted(withheld, rights)
        if no_place is not None:
            return record, no_place
        admitted = Admitted(self.route, passed, answer, self.route.shown_for(who), rights, withheld)
        admitted.used_up = verdict.used_up
        return record, admitted.asking(self.attempt, now) or admitted

    def _to_upstream(self, fallback_encoding: str | None) -> AssociateRequest:
        """The request as the upstream may see it, but for its AE titles and the gateway's own credential."""
        request = self.request
        if isinstance(request, bytes):
            request = AssociateRequest.parse(request, fallback_encoding)
        if not self.route.forward_identity:
            request.identity = None
        elif request.identity is not None:
            # The gateway answers the client itself: it asks the upstream for no response.
            request.identity = replace(request.identity, positive_response_requested=False)
        return request


@dataclass(slots=True, repr=False)
class Admitted:
    """From RECORDING to ANSWER: who is admitted. `to_upstream` is the PDU that asks the upstream.

    `request` has the client's own AE titles. `withheld` is what `rights` do not grant of the client's request. Where
    rights are only reported, `request` has it. `admission` is what a credential is asked with, until it has answered.
    `used_up`: the client's own credential may be used once.
    """

    route: Route
    request: AssociateRequest
    admit: Admit
    shown: Shown
    rights: Rights
    withheld: tuple[Denial, ...]
    to_upstream: bytes = b""
    admission: Admission | None = None
    presented: Presented | None = None
    used_up: bool = False

    def asking(self, attempt: Attempt, now: datetime) -> Refuse | None:
        """Prepare to ask the upstream; where it is shown a credential, to ask that first."""
        if self.shown.credential:
            self.admission = admission_of(attempt, self.admit, self.route.upstream, self.shown, now)
            return None
        try:
            self.to_upstream = self.shown.request(self.request, self.request.identity).encode()
        except DoesNotFit as error:
            why = f"the identity cannot be forwarded: {error}"
            return Refuse(TRY_LATER, why, ReasonClass.MALFORMED_IDENTITY)
        return None

    def presenting(self, answer: Presented | Unavailable, now: datetime) -> Refuse | None:
        """Prepare to ask the upstream with what the credential presents."""
        self.admission, credential = None, f"credential {self.shown.credential}"
        if isinstance(answer, Unavailable):
            return Refuse(CONGESTION, f"{credential}: {answer.reason}", ReasonClass.CREDENTIAL_UNAVAILABLE)
        if answer.expires_at is not None and answer.expires_at <= now:
            why = f"{credential}: it ended at {answer.expires_at.isoformat()}"
            return Refuse(CONGESTION, why, ReasonClass.CREDENTIAL_UNAVAILABLE)
        asked = self.route.positive_response != "none"
        identity = replace(answer.identity, positive_response_requested=asked)
        try:
            self.to_upstream = self.shown.request(self.request, identity).encode()
        except DoesNotFit as error:
            why = f"{credential}: it does not fit the request: {error}"
            return Refuse(TRY_LATER, why, ReasonClass.CREDENTIAL_UNAVAILABLE)
        self.presented = answer
        return None

    @property
    def may_ask_again(self) -> bool:
        """What one address of the upstream was sent may be sent to another one.

        Not a ticket, an assertion or a token: these may be used once, and the first one has it already.
        """
        if not self.route.pool:
            return False
        sent = self.request.identity if self.presented is None else self.presented.identity
        if sent is None:
            return True
        return sent.type in _AS_OFTEN_AS_YOU_LIKE and (self.presented is not None or not self.used_up)

    def unverified(self, response: bytes | None) -> str:
        """What is wrong with the upstream's server response, where one is required; "" if nothing is."""
        if self.presented is None or self.route.positive_response != "required":
            return ""
        credential = f"credential {self.shown.credential}"
        if response is None:
            return f'no server response (59H) to {credential}, and positive_response = "required"'
        if self.presented.verify is None:
            return ""
        wrong = verified(self.presented.verify, response)
        return wrong and f"its server response (59H) to {credential} proves nothing: {wrong}"

    def records(
        self, now: datetime, facts: Facts, answer: AssociateAccept, reached: Reached | None, policy: Policy
    ) -> list[Event]:
        """Those of an association to which the upstream agrees with `answer`."""
        enforced = policy.enforce_rights
        denied = [Denied(facts, now, *denial, enforced, self.rights.rules) for denial in self.withheld]
        established = self._established(now, facts, answer, reached or ONLY)
        if enforced and denied:
            established = established._replace(withheld=tuple(denial.service for denial in self.withheld))
        return [established, *denied]

    def _established(self, now: datetime, facts: Facts, answer: AssociateAccept, reached: Reached) -> Established:
        accepted = {context.id for context in answer.contexts if context.accepted}
        syntaxes = [(context.id in accepted, context.abstract_syntax.decode()) for context in self.request.contexts]
        return Established(
            facts,
            now,
            accepted=tuple(dict.fromkeys(name for taken, name in syntaxes if taken)),
            rejected=tuple(dict.fromkeys(name for taken, name in syntaxes if not taken)),
            left_out=answer.left_out,
            credential=self.shown.credential,
            shown_ae_titles=self.shown.ae_titles(self.request),
            upstream_address=reached.address,
            connect_seconds=reached.seconds,
        )

    def handed_over(
        self, answer: AssociateAccept, early: bytes, policy: Policy, denied: Callable[[Denial], None]
    ) -> do.Relay:
        """What the relay is given; `early` is what the upstream sent right after its answer.

        `denied` is called when the client first asks for something of a kind that its rights do not grant.
        """
        accepted = {context.id for context in answer.contexts if context.accepted}
        to_upstream, to_client = answer.negotiation.maximum_length or 0, self.request.negotiation.maximum_length or 0
        operations = None
        streams: tuple[PdvStream, PdvStream]
        if self.rights.everything:
            streams = PdvStream(accepted, to_upstream), PdvStream(accepted, to_client)
        else:
            classes = {context.id: context.abstract_syntax for context in self.request.contexts}
            operations = Operations(self.rights, classes, to_client, self.request.calling_ae_title, denied)
            if policy.enforce_rights:
                streams = MessageStream(accepted, to_upstream, operations.judge), MessageStream(accepted, to_client)
            else:
                streams = observed(accepted, (to_upstream, to_client), operations.judge, denied)
        ends = [self.admit.accept.expires_at, None if self.presented is None else self.presented.expires_at]
        first = min((end for end in ends if end is not None), default=None)
        return do.Relay(*streams, early, first if policy.end_with_credential else None, operations)
