"""What a handshake knows in each of its states, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ..auth.chain import Verdict
from ..contract import Attempt
from ..errors import DoesNotFit
from ..events.events import Decided, Denied, Established, Event, Facts, ReasonClass
from ..rights.contexts import narrowed
from ..rights.operations import Denial, Operations
from ..rights.rights import EVERYTHING, Rights
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.reject_abort import TRY_LATER
from . import effects as do
from .admission import Admit, Policy, Refuse, Route, nothing_granted, settle, who_of
from .message_stream import MessageStream
from .observed_stream import observed
from .pdv_stream import PdvStream

_LONG = 16_384


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
        self, verdict: Verdict, facts: Facts, policy: Policy, now: datetime
    ) -> tuple[Decided, Admitted | Refuse]:
        """What follows from the verdict: its record, and the next stage, if there is one."""
        record, answer = settle(self.attempt, facts, verdict, now)
        if isinstance(answer, Refuse):
            return record, answer
        rights = EVERYTHING
        if policy.rights is not None:
            rights = policy.rights(who_of(self.attempt, answer.accept, answer.authenticator, self.route.upstream))
            record = record._replace(rules=rights.rules)
        request = self._to_upstream(policy.fallback_encoding)
        passed, withheld = narrowed(request, rights)
        if not policy.enforce_rights:
            passed = request
        if not passed.contexts:
            return record, nothing_granted(withheld, rights)
        try:
            return record, Admitted(self.route, passed, answer, passed.encode(), rights, withheld)
        except DoesNotFit as error:
            why = f"the identity cannot be forwarded: {error}"
            return record, Refuse(TRY_LATER, why, ReasonClass.MALFORMED_IDENTITY)

    def _to_upstream(self, fallback_encoding: str | None) -> AssociateRequest:
        """The request as the upstream may see it."""
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
    """In RECORDING, CONNECTION and ANSWER: who is admitted. `to_upstream` is the PDU that asks the upstream.

    `withheld` is what `rights` do not grant of the client's request. Where rights are only reported, `request` has it.
    """

    route: Route
    request: AssociateRequest
    admit: Admit
    to_upstream: bytes
    rights: Rights
    withheld: tuple[Denial, ...]

    def records(self, now: datetime, facts: Facts, answer: AssociateAccept, enforced: bool) -> list[Event]:
        """Those of an association to which the upstream agrees with `answer`; its rights are `enforced`, or not."""
        denied = [Denied(facts, now, *denial, enforced, self.rights.rules) for denial in self.withheld]
        established = self._established(now, facts, answer)
        if enforced:
            established = established._replace(withheld=tuple(denial.service for denial in self.withheld))
        return [established, *denied]

    def _established(self, now: datetime, facts: Facts, answer: AssociateAccept) -> Established:
        accepted = {context.id for context in answer.contexts if context.accepted}
        syntaxes = [(context.id in accepted, context.abstract_syntax.decode()) for context in self.request.contexts]
        return Established(
            facts,
            now,
            accepted=tuple(dict.fromkeys(name for taken, name in syntaxes if taken)),
            rejected=tuple(dict.fromkeys(name for taken, name in syntaxes if not taken)),
            left_out=answer.left_out,
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
        ends = self.admit.accept.expires_at if policy.end_with_credential else None
        return do.Relay(*streams, early, ends, operations)
