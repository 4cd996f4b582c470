"""The upstream's answer to the request: the A-ASSOCIATE-AC that the client gets, or why it gets none."""

from __future__ import annotations

from typing import NamedTuple

from ..events.events import ReasonClass
from ..wire import reject_abort as refusal
from ..wire.associate import AssociateAccept
from ..wire.pdu import SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.reject_abort import Abort, PduError, Refusal, decode_refusal, known
from .accept_check import check_accept
from .stages import Admitted

GIVEN_UP = refusal.NOT_SPECIFIED.encode()
"""The A-ABORT that ends what was begun, without a reason."""
_LONGEST = 262_144
_ANSWERS = {PduType.ASSOCIATE_AC: (SHORTEST_ASSOCIATE, _LONGEST), PduType.ASSOCIATE_RJ: SHORT, PduType.ABORT: SHORT}


class NotEstablished(NamedTuple):
    """What the client is told, why, and what the upstream is sent; None for nothing."""

    answer: Refusal
    reason: str
    reason_class: ReasonClass
    to_upstream: bytes | None = GIVEN_UP


def upstream_reader() -> PduReader:
    """Reads the PDUs that may answer a request."""
    return PduReader(_ANSWERS)


def read_answer(reader: PduReader, admitted: Admitted) -> AssociateAccept | NotEstablished | None:
    """What the bytes so far answer to the request of `admitted`; None if more must come."""
    upstream = f"upstream {admitted.route.upstream}"
    try:
        pdu = reader.next_pdu()
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
