"""A-ASSOCIATE-RJ and A-ABORT by name."""

from __future__ import annotations

import re
from itertools import product

import pytest

from dicomgate.testing import raw
from dicomgate.wire import reject_abort as refusal
from dicomgate.wire.reject_abort import Abort, AssociateReject, Refusal, decode_refusal, known


@pytest.mark.parametrize(
    ("name", "pdu", "words"),
    [
        ("REFUSED_IDENTITY", "03 00 00000004 00 01 02 01", "rejected-permanent, .*ACSE.*, no-reason-given"),
        ("TRY_LATER", "03 00 00000004 00 02 02 01", "rejected-transient, .*ACSE.*, no-reason-given"),
        ("PROTOCOL_VERSION", "03 00 00000004 00 01 02 02", "protocol-version-not-supported"),
        ("APPLICATION_CONTEXT", "03 00 00000004 00 01 01 02", "application-context-name-not-supported"),
        ("CALLED_AE_TITLE", "03 00 00000004 00 01 01 07", "called-AE-title-not-recognized"),
        ("LOCAL_LIMIT", "03 00 00000004 00 02 03 02", "rejected-transient, .*Presentation.*, local-limit-exceeded"),
        ("CONGESTION", "03 00 00000004 00 02 03 01", "temporary-congestion"),
        ("UNRECOGNIZED_PDU", "07 00 00000004 00 00 02 01", "service-provider, unrecognized-PDU"),
        ("UNEXPECTED_PDU", "07 00 00000004 00 00 02 02", "service-provider, unexpected-PDU"),
        ("INVALID_PARAMETER", "07 00 00000004 00 00 02 06", "service-provider, invalid-PDU-parameter-value"),
        ("NOT_SPECIFIED", "07 00 00000004 00 00 02 00", "service-provider, reason-not-specified"),
        ("BY_USER", "07 00 00000004 00 00 00 00", r"A-ABORT 0,0 \(DICOM UL service-user\)"),
    ],
)
def test_what_a_refused_peer_learns(name: str, pdu: str, words: str) -> None:
    constant = getattr(refusal, name)
    assert constant.encode() == bytes.fromhex(pdu)
    assert decode_refusal(constant.encode()) == constant
    assert re.search(words, str(constant))


@pytest.mark.parametrize(("kind", "name"), [(3, "A-ASSOCIATE-RJ"), (7, "A-ABORT")])
def test_every_value_is_read_and_named(kind: int, name: str) -> None:
    for byte in range(256):
        pdu = raw.pdu(kind, bytes((byte, byte, byte, byte)))
        refused = decode_refusal(pdu)
        assert set(refused) == {byte}
        assert str(refused).startswith(name)
        assert refused.encode()[8:] == pdu[8:]
    assert "reserved" in str(refused)


@pytest.mark.parametrize(
    ("came", "passed_on"),
    [
        (AssociateReject(1, 2, 1), AssociateReject(1, 2, 1)),
        (AssociateReject(2, 3, 2), AssociateReject(2, 3, 2)),
        (AssociateReject(9, 3, 2), AssociateReject(1, 3, 2)),
        (AssociateReject(2, 1, 5), AssociateReject(2, 1, 1)),
        (AssociateReject(2, 2, 7), AssociateReject(2, 2, 1)),
        (AssociateReject(2, 3, 0), AssociateReject(2, 1, 1)),
        (AssociateReject(0, 0, 0), AssociateReject(1, 1, 1)),
        (Abort(0, 0), Abort(0, 0)),
        (Abort(0, 6), Abort(0, 0)),
        (Abort(2, 6), Abort(2, 6)),
        (Abort(2, 3), Abort(2, 0)),
        (Abort(1, 6), Abort(2, 0)),
    ],
)
def test_what_is_passed_on_has_codes_that_the_standard_knows(came: Refusal, passed_on: Refusal) -> None:
    assert known(came) == passed_on


def test_no_code_that_is_passed_on_is_reserved() -> None:
    codes = (0, 1, 2, 3, 4, 5, 6, 7, 8, 99, 255)
    rejections = [AssociateReject(*each) for each in product(codes, repeat=3)]
    aborts = [Abort(*each) for each in product(codes, repeat=2)]
    for came in [*map(known, rejections), *map(known, aborts)]:
        assert "reserved" not in str(came)
        assert known(came) == came
