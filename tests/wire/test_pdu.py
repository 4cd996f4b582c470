"""PduReader: whole PDUs from arbitrary pieces; what may not come is refused on its first byte or on its header."""

from __future__ import annotations

import tracemalloc

import pytest

from dicomgate.testing import raw
from dicomgate.wire.pdu import SHORT, PduReader, PduType
from dicomgate.wire.reject_abort import BY_USER, INVALID_PARAMETER, UNEXPECTED_PDU, UNRECOGNIZED_PDU, Abort, PduError

REQUEST = raw.rq(raw.login())


def reader(*fed: bytes, out_of_turn: Abort = UNEXPECTED_PDU) -> PduReader:
    made = PduReader({PduType.ASSOCIATE_RQ: (68, 131072), PduType.ABORT: SHORT}, out_of_turn)
    for data in fed:
        made.feed(data)
    return made


def test_a_pdu_comes_when_its_last_byte_has_come() -> None:
    pdus = reader()
    for byte in REQUEST[:-1]:
        pdus.feed(bytes((byte,)))
        assert pdus.next_pdu() is None
    pdus.feed(REQUEST[-1:])
    assert pdus.next_pdu() == (PduType.ASSOCIATE_RQ, REQUEST)
    assert pdus.next_pdu() is None
    assert pdus.empty


def test_what_stands_behind_a_pdu_is_kept_and_not_judged() -> None:
    pdus = reader(REQUEST + raw.ABORT + b"GET")
    assert pdus.next_pdu() == (PduType.ASSOCIATE_RQ, REQUEST)
    assert not pdus.empty
    assert pdus.next_pdu() == (PduType.ABORT, raw.ABORT)
    with pytest.raises(PduError):
        pdus.next_pdu()


def test_what_is_expected_may_change_between_two_pdus() -> None:
    pdus = reader(REQUEST + REQUEST)
    assert pdus.next_pdu() is not None
    pdus.expected = {PduType.ABORT: SHORT}
    with pytest.raises(PduError, match="A-ASSOCIATE-RQ out of turn"):
        pdus.next_pdu()


@pytest.mark.parametrize(("length", "legal"), [(67, False), (68, True), (131072, True), (131073, False)])
def test_the_length_is_judged_on_the_header(length: int, legal: bool) -> None:
    pdus = reader(raw.pdu(1, b"", length=length))
    if legal:
        assert pdus.next_pdu() is None
        return
    with pytest.raises(PduError, match=f"of {length} bytes") as refused:
        pdus.next_pdu()
    assert refused.value.answer == INVALID_PARAMETER


@pytest.mark.parametrize("length", [0, 3, 5, 0xFFFFFFFF])
def test_a_short_pdu_has_four_bytes(length: int) -> None:
    with pytest.raises(PduError):
        reader(raw.pdu(7, b"", length=length)).next_pdu()


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("out_of_turn", [UNEXPECTED_PDU, BY_USER])
def test_a_type_out_of_turn_is_judged_on_its_first_byte(kind: int, out_of_turn: Abort) -> None:
    with pytest.raises(PduError, match=f"{PduType(kind)!s} out of turn") as refused:
        reader(bytes((kind,)), out_of_turn=out_of_turn).next_pdu()
    assert refused.value.answer == out_of_turn


# An equal Abort is as good as the constant. Sta2, AA-1: who awaits an A-ASSOCIATE-RQ answers everything else alike.
@pytest.mark.parametrize("kind", [0, 8, 0x16, 0x47, 0xFF])
@pytest.mark.parametrize(
    ("out_of_turn", "answer"), [(UNEXPECTED_PDU, UNRECOGNIZED_PDU), (Abort(2, 2), UNRECOGNIZED_PDU), (BY_USER, BY_USER)]
)
def test_a_type_that_does_not_exist(kind: int, out_of_turn: Abort, answer: Abort) -> None:
    with pytest.raises(PduError, match=f"its type is {kind:02X}H") as refused:
        reader(bytes((kind,)), out_of_turn=out_of_turn).next_pdu()
    assert refused.value.answer == answer


@pytest.mark.parametrize(
    ("start", "guess"),
    [
        (b"\x16\x03\x01\x00\xa5", "TLS"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"POST / HTTP/1.1\r\n", "HTTP"),
        (b"OPTIONS * HTTP/1.1\r\n", "HTTP"),
    ],
)
def test_the_likely_mistake_is_named(start: bytes, guess: str) -> None:
    with pytest.raises(PduError, match=guess):
        reader(start).next_pdu()
    with pytest.raises(PduError) as refused:
        reader(b"\x08" + start).next_pdu()
    assert guess not in str(refused.value)


def test_the_standards_names() -> None:
    names = "A-ASSOCIATE-RQ A-ASSOCIATE-AC A-ASSOCIATE-RJ P-DATA-TF A-RELEASE-RQ A-RELEASE-RP A-ABORT"
    assert [str(kind) for kind in PduType] == names.split()


def test_memory_follows_what_was_received_not_what_was_declared() -> None:
    greatest = 64 * 1024 * 1024
    pdus = PduReader({PduType.ASSOCIATE_RQ: (68, greatest)})
    body = bytes(1024)
    tracemalloc.start()
    try:
        pdus.feed(raw.pdu(1, body, length=greatest))
        for _ in range(15):
            pdus.feed(body)
            assert pdus.next_pdu() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 16 * 1024


def test_the_rest_is_handed_over_once() -> None:
    pdus = reader(REQUEST + b"\7\0")
    assert pdus.next_pdu() is not None
    assert pdus.rest() == b"\7\0"
    assert pdus.empty
    assert pdus.rest() == b""
