"""What a handshake knows in each of its states, and only there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ..contract import Attempt
from ..events.events import Established, Facts
from ..wire.associate import AssociateAccept, AssociateRequest
from . import effects as do
from .admission import Admit, Policy, Route
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

    def admitted(self, admit: Admit, fallback_encoding: str | None) -> Admitted:
        """The next stage. Raises DoesNotFit if the identity is forwarded and does not fit its item."""
        request = self.request
        if isinstance(request, bytes):
            request = AssociateRequest.parse(request, fallback_encoding)
        if not self.route.forward_identity:
            request.identity = None
        elif request.identity is not None:
            # The gateway answers the client itself: it asks the upstream for no response.
            request.identity = replace(request.identity, positive_response_requested=False)
        return Admitted(self.route, request, admit, request.encode())


@dataclass(slots=True, repr=False)
class Admitted:
    """In RECORDING, CONNECTION and ANSWER: who is admitted. `to_upstream` is the PDU that asks the upstream."""

    route: Route
    request: AssociateRequest
    admit: Admit
    to_upstream: bytes

    def established(self, now: datetime, facts: Facts, answer: AssociateAccept) -> Established:
        """The record of an association to which the upstream agrees with `answer`."""
        accepted = {context.id for context in answer.contexts if context.accepted}
        syntaxes = [(context.id in accepted, context.abstract_syntax.decode()) for context in self.request.contexts]
        return Established(
            facts,
            now,
            accepted=tuple(dict.fromkeys(name for taken, name in syntaxes if taken)),
            rejected=tuple(dict.fromkeys(name for taken, name in syntaxes if not taken)),
            left_out=answer.left_out,
        )

    def handed_over(self, answer: AssociateAccept, early: bytes, policy: Policy) -> do.Relay:
        """What the relay is given; `early` is what the upstream sent right after its answer."""
        accepted = {context.id for context in answer.contexts if context.accepted}
        return do.Relay(
            PdvStream(accepted, answer.negotiation.maximum_length or 0),
            PdvStream(accepted, self.request.negotiation.maximum_length or 0),
            early,
            self.admit.accept.expires_at if policy.end_with_credential else None,
        )
