"""What a PACS answers to a request: `UpstreamSide.read`, with the check of its answer, and of its proof at an egress.

Promise: there is an answer for the client, or none yet, whatever comes, and however it comes. What the client is told
was accepted was proposed; every context that was proposed is answered; the server response is the gateway's own. Where
a proof of the PACS is required, the client is told of success only if the proof was there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zlib import crc32

from dicomgate import Accept, Presented
from dicomgate.association.admission import Admit
from dicomgate.association.route import Reached, Route, Shown
from dicomgate.association.stages import Admitted
from dicomgate.association.upstream_answer import NotEstablished, UpstreamSide
from dicomgate.rights.rights import EVERYTHING
from dicomgate.testing import jwt, raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest

from ..engine import Target
from ..pieces import pieces

_CT, _PROOF, _OWN = b"1.2.840.10008.5.1.4.1.1.2", b"it is the PACS", b"the gateway's own"
_CONTEXTS = raw.proposed(1) + raw.proposed(
    3, raw.item(0x30, _CT), raw.item(0x40, raw.IMPLICIT), raw.item(0x40, raw.EXPLICIT)
)
_ROLE = raw.item(0x54, raw.field(_CT) + b"\1\1")
_WINDOW, _EXTENDED = raw.item(0x53, b"\0\2\0\1"), raw.item(0x56, raw.field(_CT) + b"\1\1")
_REQUEST = AssociateRequest.parse(raw.rq(_WINDOW, _ROLE, _EXTENDED, context=_CONTEXTS))
_PROPOSED = {context.id: context.transfer_syntaxes for context in _REQUEST.contexts}


def _admitted(*, proves: bool) -> Admitted:
    """One who was admitted; where the PACS `proves` itself, to a credential of the gateway's."""
    route = Route("pacs", positive_response="required" if proves else "asked")
    admit = Admit(Accept("alice"), "staff", _OWN)
    admitted = Admitted(route, _REQUEST, admit, Shown("tokens" if proves else ""), EVERYTHING, ())
    if proves:
        wrong = {_PROOF: "", b"ticket": "not the proof"}
        presented = Presented(jwt(b"a.b.c"), verify=wrong.__getitem__)  # which raises at all others
        assert admitted.presenting(presented, datetime(2026, 1, 1, tzinfo=UTC)) is None
    return admitted


_EITHER = _admitted(proves=False), _admitted(proves=True)


def _run(data: bytes) -> None:
    admitted = _EITHER[crc32(data) & 1]  # each input counts for one of them: most of them come to the same
    answer = _read(admitted, [data])
    _check(answer, data, proves=admitted.presented is not None)
    assert _read(admitted, pieces(data)) == answer


def _read(admitted: Admitted, came: list[bytes]) -> AssociateAccept | NotEstablished | None:
    side = UpstreamSide()
    side.reached = Reached("pacs-1:104", 0.0)
    answers = (side.read(piece, admitted) for piece in came)
    answer = next((answer for answer in answers if answer is not None), None)
    # What else the peer speaks is told from what has come of it.
    return answer._replace(reason="") if isinstance(answer, NotEstablished) else answer


def _check(answer: AssociateAccept | NotEstablished | None, data: bytes, *, proves: bool) -> None:
    if isinstance(answer, NotEstablished):
        assert len(answer.answer.encode()) == 10
        assert answer.to_upstream is None or len(answer.to_upstream) == 10
    elif answer is not None:
        assert [context.id for context in answer.contexts] == [*_PROPOSED]
        for context in answer.contexts:
            assert not context.accepted or context.transfer_syntax in _PROPOSED[context.id]
        assert answer.server_response == _OWN
        again = AssociateAccept.parse(answer.encode(_REQUEST))
        assert [(one.id, one.result) for one in again.contexts] == [(one.id, one.result) for one in answer.contexts]
        assert again.negotiation == answer.negotiation
        assert not proves or _PROOF in data


def _seeds() -> list[bytes]:
    both = raw.answered(1) + raw.answered(3, 0, raw.item(0x40, raw.EXPLICIT))
    proof = raw.item(0x59, raw.field(_PROOF))
    return [
        raw.ac(),
        raw.ac(_WINDOW, _ROLE, _EXTENDED, proof, context=both),
        raw.ac(raw.item(0x59, raw.field(b"ticket"))),
        raw.ac(proof, context=raw.answered(1, 3) + raw.answered(3, 4)) + raw.p_data(raw.pdv(1, b"early")),
        raw.pdu(3, b"\0\1\1\7"),
        raw.pdu(3, b"\0\2\3\2"),
        raw.ABORT,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ]


TARGET = Target(
    "upstream_answer",
    (
        "dicomgate.association.upstream_answer",
        "dicomgate.association.accept_check",
        "dicomgate.association.presenting",
        "dicomgate.wire.reject_abort",
    ),
    _run,
    (),
    _seeds,
    (raw.item(0x59, raw.field(_PROOF)), raw.answered(5), raw.answered(3, 0, raw.item(0x40, raw.EXPLICIT)), _ROLE),
)
