"""PdvStream: what may be forwarded of an established association, and what ends it."""

from __future__ import annotations

import pytest

from dicomgate.association.pdv_stream import MOST_HELD, PdvStream
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import INVALID_PARAMETER, UNEXPECTED_PDU, UNRECOGNIZED_PDU, Abort, Refusal
from tests.properties.strategies import Walked, walked

ACCEPTED = (1, 3, 255)
GOOD = raw.p_data(raw.pdv(1, b"ab"), raw.pdv(255, b"", 3))


def refused(result: Walked) -> Refusal:
    """The answer to the violation that ended it."""
    assert result.error is not None
    return result.error.answer


def flow(maximum_length: int = 64, *, release_requested: bool = False) -> PdvStream:
    made = PdvStream(ACCEPTED, maximum_length)
    made.release_requested = release_requested
    return made


def test_legal_pdus_pass_whole() -> None:
    here = flow()
    stream = GOOD + raw.p_data(raw.pdv(3, bytes(58))) + GOOD
    assert walked(here, flow(), [stream]) == (stream, b"", None)
    assert here.pdus == 3
    assert here.between_pdus


def test_pdus_with_the_same_header_are_all_counted_and_what_follows_them_is_judged() -> None:
    same = raw.p_data(raw.pdv(1, b"ab", 0)) * 5
    for behind, answer in ((raw.p_data(raw.pdv(5, b"ab", 0)), INVALID_PARAMETER), (raw.rq(), UNEXPECTED_PDU)):
        here = flow()
        result = walked(here, flow(), [same + behind])
        assert (result.forwarded, refused(result)) == (same, answer)
    here, one = flow(), len(same) // 5
    assert walked(here, flow(), [same]) == (same, b"", None)
    assert here.pdus == 5
    here = flow()
    assert here.walk(same, 2 * one + MOST_HELD, flow()) == 2 * one, "more of the same stands behind the end"
    assert here.pdus == 2


def test_the_last_fragment_of_a_data_set_may_be_odd() -> None:
    odd = raw.p_data(raw.pdv(1, b"abc")) + raw.p_data(raw.pdv(1, b"ab", 0), raw.pdv(1, b"", 3), raw.pdv(3, b"a", 2))
    for pieces in ([odd + GOOD], [odd[at : at + 1] for at in range(len(odd))]):
        assert walked(flow(), flow(), pieces) == (b"".join(pieces), b"", None)


def test_a_header_is_held_until_it_is_whole() -> None:
    for size in range(1, MOST_HELD + 1):
        assert walked(flow(), flow(), [GOOD[:size]]) == (b"", GOOD[:size], None)
    assert walked(flow(), flow(), [GOOD[: MOST_HELD + 1]]) == (GOOD[: MOST_HELD + 1], b"", None)
    # The second PDV's header too: what is held is never what could be forwarded.
    assert walked(flow(), flow(), [GOOD[:-1]]) == (GOOD[:-6], GOOD[-6:-1], None)


def test_between_pdus_follows_the_receiver() -> None:
    here = flow()
    assert here.between_pdus
    walked(here, flow(), [GOOD[:13]])
    assert not here.between_pdus
    walked(here, flow(), [GOOD[13:14]])  # behind the first PDV, before the header of the second
    assert not here.between_pdus
    walked(here, flow(), [GOOD[14:]])
    assert here.between_pdus


VIOLATIONS = {
    "zero length": (raw.p_data(), INVALID_PARAMETER),
    "no room for a PDV": (raw.p_data(length=5) + bytes(5), INVALID_PARAMETER),
    "4 GiB": (raw.p_data(raw.pdv(1, bytes(58)), length=0xFFFFFFFF), INVALID_PARAMETER),
    "over the limit": (raw.p_data(raw.pdv(1, bytes(60))), INVALID_PARAMETER),
    "PDV of length 0": (raw.p_data(raw.pdv(1, b"ab", length=0)), INVALID_PARAMETER),
    "PDV of length 1": (raw.p_data(raw.pdv(1, b"ab", length=1)), INVALID_PARAMETER),
    "empty PDV of length 0": (raw.p_data(raw.pdv(1, b"", length=0)), INVALID_PARAMETER),
    "PDV of odd length, not the last": (raw.p_data(raw.pdv(1, b"abc", 0)), INVALID_PARAMETER),
    "PDV longer than its PDU": (raw.p_data(raw.pdv(1, b"ab", length=6)), INVALID_PARAMETER),
    "PDV of 4 GiB": (raw.p_data(raw.pdv(1, b"ab", length=0xFFFFFFFE)), INVALID_PARAMETER),
    **{
        f"{left} bytes left over": (raw.p_data(raw.pdv(1, b"ab") + bytes(left)), INVALID_PARAMETER)
        for left in range(1, 6)
    },
    **{f"context {context}": (raw.p_data(raw.pdv(context, b"ab")), INVALID_PARAMETER) for context in (0, 2, 5, 254)},
    "A-ASSOCIATE-RQ": (raw.rq(), UNEXPECTED_PDU),
    "A-ASSOCIATE-AC": (raw.ac(), UNEXPECTED_PDU),
    "A-ASSOCIATE-RJ": (bytes.fromhex("03 00 00000004 00010201"), UNEXPECTED_PDU),
    **{f"type {kind:02X}H": (raw.pdu(kind, bytes(4)), UNRECOGNIZED_PDU) for kind in (0, 8, 0x47, 0xFF)},
    "A-RELEASE-RP without RQ": (raw.RELEASE_RP, UNEXPECTED_PDU),
    "P-DATA-TF behind A-RELEASE-RQ": (raw.RELEASE_RQ + GOOD, UNEXPECTED_PDU),
    "second A-RELEASE-RQ": (raw.RELEASE_RQ + raw.RELEASE_RQ, UNEXPECTED_PDU),
    "A-RELEASE-RQ of 0 bytes": (raw.pdu(5, b""), INVALID_PARAMETER),
    "A-RELEASE-RQ of 5 bytes": (raw.pdu(5, bytes(5)), INVALID_PARAMETER),
    "A-ABORT of 4 GiB": (raw.pdu(7, bytes(4), length=0xFFFFFFFF), INVALID_PARAMETER),
}


# decision: D30
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_not_forwarded_not_even_in_part(name: str) -> None:
    stream, answer = VIOLATIONS[name]
    legal = GOOD + (raw.RELEASE_RQ if stream.startswith(raw.RELEASE_RQ) else b"")
    stream = GOOD + stream
    for pieces in ([stream], [stream[:13], stream[13:]], [stream[at : at + 1] for at in range(len(stream))]):
        here = flow()
        result = walked(here, flow(), [*pieces, GOOD])
        assert refused(result) == answer
        assert here.boundary
        assert result.forwarded == legal


@pytest.mark.parametrize(
    "second", [raw.pdv(5, b"ab"), raw.pdv(1, b"abc", 1), raw.pdv(1, b"ab", length=0), raw.pdv(1, b"ab", length=400)]
)
def test_a_violation_behind_the_first_pdv(second: bytes) -> None:
    bad = raw.p_data(raw.pdv(1, b"ab"), second)
    here = flow()
    result = walked(here, flow(), [GOOD + bad])
    assert (result.forwarded, refused(result), here.boundary) == (GOOD, INVALID_PARAMETER, True)
    # Once its first PDV has been forwarded, the receiver stands in the middle of a PDU: an A-ABORT cannot follow.
    here = flow()
    result = walked(here, flow(), [GOOD + bad[:16], bad[16:]])
    assert (result.forwarded, refused(result), here.boundary) == (GOOD + bad[:14], INVALID_PARAMETER, False)


def test_a_violation_is_known_on_its_header() -> None:
    for start in (b"\1", b"\x03", b"\x47", raw.p_data()[:6], raw.p_data(length=65)[:6], raw.pdu(7, b"", length=3)):
        assert walked(flow(), flow(), [start]).error
    for start in (b"\4", b"\5", b"\7", raw.p_data(length=64)[:6], raw.p_data(length=6)[:6]):
        assert walked(flow(), flow(), [start]) == (b"", start, None)


def test_no_limit() -> None:
    here = flow(0)
    stream = raw.p_data(raw.pdv(1, bytes(100_000)))
    assert walked(here, flow(), [stream]) == (stream, b"", None)
    start = raw.p_data(raw.pdv(1, b"", length=0xFFFFFFFA), length=0xFFFFFFFE)
    assert walked(flow(0), flow(), [start]) == (start, b"", None)


def test_one_byte_over_the_limit() -> None:
    assert walked(flow(64), flow(), [raw.p_data(raw.pdv(1, bytes(58)))])[1] == b""
    over = walked(flow(63), flow(), [raw.p_data(raw.pdv(1, bytes(58)))])
    assert str(over.error) == "P-DATA-TF of 64 bytes: 6 to 63 are allowed"


class TestRelease:
    def test_asked_and_answered(self) -> None:
        client, upstream = flow(), flow()
        assert walked(client, upstream, [GOOD + raw.RELEASE_RQ]) == (GOOD + raw.RELEASE_RQ, b"", None)
        assert (client.release_requested, client.released) == (True, False)
        # Sta8: the acceptor may still send P-DATA before its answer.
        assert walked(upstream, client, [GOOD + raw.RELEASE_RP]) == (GOOD + raw.RELEASE_RP, b"", None)
        assert (upstream.release_requested, upstream.released) == (False, True)
        assert (client.pdus, upstream.pdus) == (2, 2)

    def test_collision(self) -> None:
        client, upstream = flow(), flow()
        for here, there in ((client, upstream), (upstream, client)):
            assert walked(here, there, [raw.RELEASE_RQ]) == (raw.RELEASE_RQ, b"", None)
        for here, there in ((client, upstream), (upstream, client)):
            assert walked(here, there, [raw.RELEASE_RP]) == (raw.RELEASE_RP, b"", None)
            assert here.released

    def test_an_answer_to_the_senders_own_request(self) -> None:
        result = walked(flow(), flow(), [raw.RELEASE_RQ + raw.RELEASE_RP])
        assert str(result.error) == "A-RELEASE-RP without an A-RELEASE-RQ"

    @pytest.mark.parametrize("behind", [raw.RELEASE_RP, raw.RELEASE_RQ, GOOD, GOOD[:1]])
    def test_nothing_behind_the_answer(self, behind: bytes) -> None:
        here = flow()
        result = walked(here, flow(release_requested=True), [raw.RELEASE_RP + behind])
        assert refused(result) == UNEXPECTED_PDU
        assert (result.forwarded, here.boundary) == (raw.RELEASE_RP, True)

    def test_an_abort_behind_a_release(self) -> None:
        here = flow()
        assert walked(here, flow(), [raw.RELEASE_RQ + raw.ABORT]) == (raw.RELEASE_RQ, raw.ABORT, None)
        assert here.aborted == Abort(2, 6)


def test_no_abort_passes_and_nothing_behind_it() -> None:
    here = flow()
    forwarded, rest, _ = walked(here, flow(), [GOOD + raw.ABORT + GOOD + b"GET"])
    assert (forwarded, rest) == (GOOD, raw.ABORT + GOOD + b"GET")
    assert here.aborted == Abort(2, 6)
    assert here.pdus == 2
    # Nor in a later piece.
    assert here.walk(GOOD, len(GOOD), flow()) == 0
    assert here.pdus == 2


def test_what_stands_behind_end_is_not_looked_at() -> None:
    buffer = bytearray(GOOD + b"\xff" * 100)
    here = flow()
    assert here.walk(buffer, len(GOOD), flow()) == len(GOOD)
    assert here.walk(buffer, 0, flow()) == 0
    assert here.between_pdus
