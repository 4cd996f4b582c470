"""Every row of vectors/associate_rq.json gets its verdict, and the refused ones get the PDU that PS3.8 has for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from dicomgate.contract import IdentityType
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.pdu import SHORTEST_ASSOCIATE, PduReader, PduType
from dicomgate.wire.reject_abort import (
    APPLICATION_CONTEXT,
    INVALID_PARAMETER,
    PROTOCOL_VERSION,
    REFUSED_IDENTITY,
    UNEXPECTED_PDU,
    UNRECOGNIZED_PDU,
    PduError,
)
from tests.properties import raw

LIMIT = 131072
STORED = json.loads((Path(__file__).parents[1] / "vectors" / "associate_rq.json").read_text())
ROWS = {row["id"]: row for row in STORED["rows"]}

# Whatever is refused and not named here has a structure that does not add up: A-ABORT 2,6.
REPLIES = {
    **dict.fromkeys(("43", "44"), PROTOCOL_VERSION),
    "27": APPLICATION_CONTEXT,
    **dict.fromkeys(("13", "14", "15", "16", "17"), REFUSED_IDENTITY),
    **dict.fromkeys(("54", "55", "56", "57"), UNRECOGNIZED_PDU),
    **dict.fromkeys(("58", "59", "60", "61"), UNEXPECTED_PDU),
}
BYTES = {
    PROTOCOL_VERSION: "03 00 00000004 00 01 02 02",
    APPLICATION_CONTEXT: "03 00 00000004 00 01 01 02",
    REFUSED_IDENTITY: "03 00 00000004 00 01 02 01",
    INVALID_PARAMETER: "07 00 00000004 00 00 02 06",
    UNEXPECTED_PDU: "07 00 00000004 00 00 02 02",
    UNRECOGNIZED_PDU: "07 00 00000004 00 00 02 01",
}


def received(stream: bytes) -> AssociateRequest:
    reader = PduReader({PduType.ASSOCIATE_RQ: (SHORTEST_ASSOCIATE, LIMIT)})
    reader.feed(stream)
    pdu = reader.next_pdu()
    if pdu is None:
        pytest.fail("the reader waits for more")
    return AssociateRequest.parse(pdu[1])


def rows(*verdicts: str) -> list[ParameterSet]:
    return [pytest.param(row, id=f"{row['id']} {row['name']}") for row in ROWS.values() if row["expect"] in verdicts]


def test_the_table_is_whole() -> None:
    assert len(ROWS) == len(STORED["rows"]) == 65
    assert len(STORED["not_stored"]) == 2
    assert {row["expect"] for row in ROWS.values()} == {"accept", "refuse", "policy"}
    assert set(REPLIES) <= {row["id"] for row in ROWS.values() if row["expect"] == "refuse"}


@pytest.mark.parametrize("row", rows("accept", "policy"))
def test_accepted(row: dict[str, str]) -> None:
    request = received(bytes.fromhex(row["pdu"]))
    canonical = request.encode()
    assert AssociateRequest.parse(canonical) == request
    assert AssociateRequest.parse(canonical).encode() == canonical
    if row["id"] in ("01", "05"):
        assert request.identity is None
        return
    assert request.identity is not None
    if row["id"] == "a8":
        assert request.identity.type is IdentityType.JWT
        assert len(request.identity.primary) == 60000
        return
    assert request.identity.type is IdentityType.USERNAME_AND_PASSCODE
    assert request.identity.username == "alice"
    assert request.identity.secondary == (b"pw" if row["id"] != "a7" else request.identity.secondary)
    assert len(request.identity.secondary) == (2 if row["id"] != "a7" else 1024)
    assert request.identity.positive_response_requested is (row["id"] != "a6")


@pytest.mark.parametrize("row", rows("refuse"))
def test_refused(row: dict[str, str]) -> None:
    with pytest.raises(PduError) as refused:
        received(bytes.fromhex(row["pdu"]))
    assert refused.value.answer.encode() == bytes.fromhex(BYTES[REPLIES.get(row["id"], INVALID_PARAMETER)])


def test_what_hides_in_an_unknown_sub_item_is_not_seen() -> None:
    # The table's row 05 says that the identity is alice; but its bytes have no 58H outside of the unknown 5AH, so
    # there is none. Beside it, with a 58H of its own.
    hidden = bytes.fromhex(ROWS["05"]["pdu"])
    assert b"admin" in hidden
    assert b"alice" not in hidden
    request = received(hidden)
    assert request.identity is None
    assert b"admin" not in request.encode()

    both = received(raw.rq(raw.item(0x5A, raw.login(1, b"admin")), raw.login(2, b"alice", b"pw")))
    assert both.identity is not None
    assert both.identity.username == "alice"
    assert b"admin" not in both.encode()


def test_reserved_bytes_and_order_leave_no_trace() -> None:
    plain = received(bytes.fromhex(ROWS["00"]["pdu"])).encode()
    for row in ("a1", "a2", "42"):
        assert received(bytes.fromhex(ROWS[row]["pdu"])).encode() == plain, row
    assert b"\x7f" not in plain


def test_all_negotiation_items_are_read() -> None:
    negotiation = received(bytes.fromhex(ROWS["a9"]["pdu"])).negotiation
    assert all(part not in (None, ()) for part in negotiation)


@pytest.mark.parametrize("described", STORED["not_stored"])
def test_refused_on_the_header_for_its_size(described: str) -> None:
    if described.startswith("128 presentation contexts x 380"):
        syntaxes = raw.item(0x30, raw.VERIFICATION) + raw.item(0x40, raw.IMPLICIT) * 380
        items = [raw.proposed(context, syntaxes) for context in range(1, 256, 2)]
    else:
        assert described.startswith("200000 empty unknown items")
        items = [raw.proposed(), raw.item(0x7F) * 200_000]
    pdu = raw.associate(1, raw.APPLICATION_CONTEXT, *items, raw.user_information(raw.login()))
    assert len(pdu) > 800_000
    # It is the size that is refused, and nothing else: the first bytes are enough to know it.
    assert AssociateRequest.parse(pdu).identity is not None
    with pytest.raises(PduError, match=f"of {len(pdu) - 6} bytes: 68 to {LIMIT} are allowed") as refused:
        received(pdu[:6])
    assert refused.value.answer == INVALID_PARAMETER
