"""The upstream's answer to the request: the A-ASSOCIATE-AC that the client gets, or why it gets none."""

from __future__ import annotations

from typing import NamedTuple

from ..events.events import ReasonClass
from ..wire import reject_abort as refusal
from ..wire.associate import AssociateAccept
from ..wire.pdu import SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.reject_abort import Abort, PduError, Refusal, decode_refusal, known
from .accept_check import check_accept
from .route import Reached, Route
from .stages import Admitted

GIVEN_UP = refusal.NOT_SPECIFIED.encode()
"""The A-ABORT that ends what was begun, without a reason."""
_LONGEST = 262_144
_ENDED = "the connection ended before its A-ASSOCIATE-AC"
_ANSWERS = {PduType.ASSOCIATE_AC: (SHORTEST_ASSOCIATE, _LONGEST), PduType.ASSOCIATE_RJ: SHORT, PduType.ABORT: SHORT}


class NotEstablished(NamedTuple):
    """What the client is told, why, and what the upstream is sent; None for nothing."""

    answer: Refusal
    reason: str
    reason_class: ReasonClass
    to_upstream: bytes | None = GIVEN_UP

    @property
    def may_pass(self) -> bool:
        """Another address of the upstream may answer otherwise. What is permanent is the PACS's own word."""
        if self.reason_class is not ReasonClass.UPSTREAM_REJECTED:
            return self.reason_class is ReasonClass.UPSTREAM_DOWN
        return isinstance(self.answer, Abort) or self.answer.result == refusal.TRANSIENT


class UpstreamSide:
    """What is read from an upstream until it has answered.

    `reached` is what is connected, None while nothing is.
    """

    __slots__ = ("_passed", "_reader", "_rejected", "reached")

    def __init__(self) -> None:
        self.reached: Reached | None = None
        self._reader = PduReader(_ANSWERS)
        self._passed: list[str] = []
        self._rejected: NotEstablished | None = None

    def read(self, data: bytes, admitted: Admitted) -> AssociateAccept | NotEstablished | None:
        """What the bytes so far answer to the request of `admitted`; None if more must come."""
        self._reader.feed(data)
        upstream = f"upstream {self._called(admitted.route)}"
        try:
            pdu = self._reader.next_pdu()
            if pdu is None:
                return None
            if pdu[0] is not PduType.ASSOCIATE_AC:
                said = decode_refusal(pdu[1])
                odd = "" if known(said) == said else f" with {said}, whose codes are not the standard's"
                return NotEstablished(known(said), f"{upstream} refused{odd}", ReasonClass.UPSTREAM_REJECTED, None)
            answer = AssociateAccept.parse(pdu[1])
            accept = check_accept(admitted.request, answer)
        except PduError as error:
            # An A-ASSOCIATE-RJ may answer a request; what answers an A-ASSOCIATE-AC is an A-ABORT.
            abort = error.answer if isinstance(error.answer, Abort) else refusal.INVALID_PARAMETER
            why = f"{upstream}: {error}"
            return NotEstablished(refusal.CONGESTION, why, ReasonClass.UPSTREAM_VIOLATION, abort.encode())
        if wrong := admitted.unverified(answer.server_response):
            return NotEstablished(refusal.CONGESTION, f"{upstream}: {wrong}", ReasonClass.UPSTREAM_UNVERIFIED)
        accept.server_response = admitted.admit.server_response
        return accept

    def rest(self) -> bytes:
        """What came right after the answer."""
        return self._reader.rest()

    def gone(self, route: Route, detail: str) -> NotEstablished:
        """The connection has ended before there was an answer."""
        why = f"{self._called(route)}: {_ENDED}{detail and f' ({detail})'}"
        return NotEstablished(refusal.CONGESTION, why, ReasonClass.UPSTREAM_DOWN, None)

    def late(self, route: Route, so_far: str) -> NotEstablished:
        """It took too long. `so_far` is what has happened at the upstream's addresses."""
        missed = "connected" if self.reached is None else "answered"
        return self.without(route, f"not {missed} within {route.answer_timeout:g} s{so_far and ': '}{so_far}")

    def without(self, route: Route, why: str) -> NotEstablished:
        """There is no answer, nor will there be. Where another address has given one, the client gets that."""
        told = self._rejected or NotEstablished(refusal.CONGESTION, "", ReasonClass.UPSTREAM_DOWN)
        all_of_it = "; ".join(filter(None, [*self._passed, why]))
        return told._replace(reason=f"{route.upstream}: {all_of_it}", to_upstream=GIVEN_UP)

    def next(self, passed: NotEstablished) -> None:
        """Another address is asked; this is what the last one has said."""
        said = _ENDED
        if passed.reason_class is ReasonClass.UPSTREAM_REJECTED:
            self._rejected, said = passed, str(passed.answer)
        self._passed.append(f"{self.reached and self.reached.address}: {said}")
        self._reader, self.reached = PduReader(_ANSWERS), None

    def _called(self, route: Route) -> str:
        at = self.reached and self.reached.address
        return f"{route.upstream} ({at})" if at else route.upstream
