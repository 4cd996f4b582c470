"""Over generated A-ASSOCIATE PDUs: one value for each spelling, one spelling for each value, PduError for the rest."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from dicomgate.association.accept_check import check_accept
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.pdu import PduReader, PduType
from dicomgate.wire.reject_abort import PduError, decode_refusal
from tests.properties.strategies import accepts, cuts, damaged, examples, requests, respell

randoms = st.randoms(use_true_random=False)
RQ = requests.map(AssociateRequest.encode)
PEER = AssociateRequest.parse(raw.rq())
AC = accepts.map(lambda accept: accept.encode(PEER))


@examples(120)
@given(requests, randoms)
def test_a_request_has_one_value_in_each_spelling(request: AssociateRequest, rng: Random) -> None:
    canonical = request.encode()
    assert AssociateRequest.parse(canonical) == request
    other = respell(canonical, rng)
    assert AssociateRequest.parse(other) == request
    assert AssociateRequest.parse(other).encode() == canonical


@examples(120)
@given(accepts, requests, randoms)
def test_an_answer_has_one_value_in_each_spelling(
    accept: AssociateAccept, request: AssociateRequest, rng: Random
) -> None:
    canonical = accept.encode(request)
    assert AssociateAccept.parse(canonical) == accept
    other = respell(canonical, rng)
    assert AssociateAccept.parse(other) == accept
    assert AssociateAccept.parse(other).encode(request) == canonical


def test_other_spellings_differ() -> None:
    rng = Random(1)
    pdu = raw.rq(raw.login())
    spellings = {respell(pdu, rng) for _ in range(20)}
    assert len(spellings) == 20
    assert pdu not in spellings


_Parsed = TypeVar("_Parsed", AssociateRequest, AssociateAccept)


def parsed(which: type[_Parsed], pdu: bytes) -> _Parsed | None:
    """The value, or None when refused. Any other exception is the defect that these tests look for."""
    try:
        return which.parse(pdu)
    except PduError as refused:
        reply = refused.answer.encode()
    assert decode_refusal(reply).encode() == reply
    return None


def is_utf8(value: bytes) -> bool:
    return value == value.decode("utf-8", "ignore").encode()


@examples(500)
@given(damaged(RQ | AC, first=6), st.sampled_from([None, "latin-1", "shift_jis"]))
def test_damaged_pdus_are_refused_or_have_one_value(pdu: bytes, fallback_encoding: str | None) -> None:
    request = parsed(AssociateRequest, pdu)
    if request is not None:
        assert AssociateRequest.parse(request.encode()) == request
    try:
        AssociateRequest.parse(pdu, fallback_encoding)
    except PduError:
        # A fallback only ever makes more legible, but for a passcode, which is taken as it is without one.
        assert request is None or (request.identity is not None and not is_utf8(request.identity.secondary))
    accept = parsed(AssociateAccept, pdu)
    if accept is not None:
        assert AssociateAccept.parse(accept.encode(PEER)) == accept


@examples(500)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: raw.rq()[:74] + body))
def test_any_bytes(pdu: bytes) -> None:
    parsed(AssociateRequest, pdu)
    parsed(AssociateAccept, pdu)


CLASS = raw.field(b"1.2.3")
BODIES = [bytes(4), b"1.2.3", CLASS + b"\1\1", CLASS * 2 + raw.field(CLASS), raw.login(2, b"alice", b"pw")[4:], CLASS]


@examples(300)
@given(damaged(st.sampled_from(BODIES)), st.sampled_from(range(0x51, 0x5A)))
def test_any_bytes_as_a_sub_item(body: bytes, kind: int) -> None:
    parsed(AssociateRequest, raw.rq(raw.item(kind, body)))
    parsed(AssociateAccept, raw.ac(raw.item(kind, body)))


@examples(150)
@given(requests, accepts)
def test_an_agreement_is_within_the_request_or_refused(request: AssociateRequest, accept: AssociateAccept) -> None:
    try:
        agreed = check_accept(request, accept)
    except PduError:
        agreed = None
    asked = {context.id: context for context in request.contexts}
    beyond = any(
        context.accepted
        and (context.id not in asked or context.transfer_syntax not in asked[context.id].transfer_syntaxes)
        for context in accept.contexts
    )
    if beyond:
        assert agreed is None
    if agreed is not None:
        assert [context.id for context in agreed.contexts] == [context.id for context in request.contexts]
        assert agreed.server_response is None


@examples(120)
@given(requests, st.lists(st.integers(0, 4), min_size=128, max_size=128))
def test_an_honest_answer_is_agreed_to(request: AssociateRequest, results: list[int]) -> None:
    answer = b"".join(
        raw.answered(proposed.id, result, raw.item(0x40, proposed.transfer_syntaxes[-1]))
        for proposed, result in zip(request.contexts, results, strict=False)
    )
    accept = AssociateAccept.parse(raw.associate(2, raw.APPLICATION_CONTEXT, answer, raw.user_information()))
    agreed = check_accept(request, accept)
    assert AssociateAccept.parse(agreed.encode(request)) == accept


SECRET = b"correct-horse"
TELLING = raw.rq(
    raw.item(0x54, raw.field(b"1.2") + b"\1\1"),
    raw.item(0x55, b"NAME 1"),
    raw.item(0x56, raw.field(b"1.2") + b"\1"),
    raw.login(2, b"M\xc3\xbcller", SECRET),
    raw.item(0x57, raw.field(b"1.2") + raw.field(b"1.3") + raw.field(b"")),
)


def assert_untold(pdu: bytes) -> None:
    for fallback_encoding in (None, "latin-1"):
        try:
            request = AssociateRequest.parse(pdu, fallback_encoding)
            told = f"{request.identity!r} {request.left_out}"
        except PduError as refused:
            told = str(refused)
        assert "horse" not in told


def test_no_message_tells_a_passcode_whichever_byte_is_wrong() -> None:
    for at in range(74, len(TELLING)):
        for value in range(256):
            assert_untold(TELLING[:at] + bytes((value,)) + TELLING[at + 1 :])


@examples(1000)
@given(damaged(st.just(TELLING), first=74 + 25 + 50))
def test_no_message_tells_a_passcode(pdu: bytes) -> None:
    assert_untold(pdu)


def verdict(pieces: list[bytes]) -> tuple[list[tuple[PduType, bytes]], bytes | None]:
    """The PDUs that a reader finds in the pieces, and the reply to what it refuses."""
    reader = PduReader({PduType.ASSOCIATE_RQ: (68, 131072), PduType.ABORT: (4, 4)})
    found = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (pdu := reader.next_pdu()) is not None:
                found.append(pdu)
    except PduError as refused:
        return found, refused.answer.encode()
    return found, None


@examples(150)
@given(st.data())
def test_segments_do_not_matter_to_the_reader(data: st.DataObject) -> None:
    stream = data.draw(
        st.lists(RQ | damaged(RQ) | st.just(raw.ABORT) | st.binary(max_size=20), min_size=1, max_size=3).map(b"".join)
    )
    assert verdict(data.draw(cuts(stream))) == verdict([stream])
