"""The rows of docs/decisions.md that no conversation of tests/test_handshake.py covers, each beside its control."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dicomgate import Accept, Attempt, Identity, IdentityType, Peer
from dicomgate.association import effects as do
from dicomgate.association.admission import Admit, Policy, Refuse, Route, settle
from dicomgate.association.handshake import Handshake
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.auth.chain import Chain
from dicomgate.auth.link import Link
from dicomgate.wire.associate import DICOM_APPLICATION_CONTEXT, AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.reject_abort import REFUSED_IDENTITY, Abort, AssociateReject, PduError, decode_refusal
from dicomgate.wire.user_information import Negotiation

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALICE = Identity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"pw")
REQUEST = AssociateRequest(
    "PACS", "CT1", (ProposedContext(1, b"1.2.3", (b"1.2.840.10008.1.2",)),), Negotiation(16384, b"1.2.3.4"), ALICE
)
POLICY = Policy("any", routes={"*": Route("pacs")})


def answer(pdu: bytes) -> object:
    """What the client receives for its request, or the effect that asks the authenticators."""
    effects = Handshake("a1", Peer("192.0.2.1", 1), POLICY, clock=lambda: NOW).client_data(pdu)
    sent = [decode_refusal(effect.pdu) for effect in effects if isinstance(effect, do.ToClient)]
    asked = [effect for effect in effects if isinstance(effect, do.Decide)]
    assert len(sent) + len(asked) == 1
    return (sent or asked)[0]


def changed(old: bytes, new: bytes) -> bytes:
    pdu = REQUEST.encode()
    assert pdu.count(old) == 1
    assert len(old) == len(new)
    return pdu.replace(old, new)


def test_the_request_itself_is_taken() -> None:
    assert isinstance(answer(REQUEST.encode()), do.Decide)


# decision: D11
@pytest.mark.parametrize(
    "pdu",
    [
        changed(b"\x58\0\0\x0d\2", b"\x58\0\0\x0d\6"),
        changed(b"alice", b"al\xe9ce"),
        changed(b"alice", b"al\0ce"),
        replace(REQUEST, identity=Identity(IdentityType.USERNAME, b"")).encode(),
        replace(REQUEST, identity=Identity(IdentityType.SAML, b"")).encode(),
    ],
    ids=["reserved type", "not UTF-8", "NUL", "no username", "no assertion"],
)
def test_an_identity_that_nobody_could_verify(pdu: bytes) -> None:
    assert answer(pdu) == REFUSED_IDENTITY


# decision: D13
@pytest.mark.anyio
async def test_an_empty_passcode_is_shown_to_nobody() -> None:
    shown = []

    class Everybody:
        async def authenticate(self, attempt: Attempt) -> Accept:
            shown.append(attempt.identity)
            return Accept("anonymous")

    async def ask(identity: Identity) -> Admit | Refuse:
        attempt = Attempt("a1", identity, "CT1", "PACS", Peer("192.0.2.1", 1), "any", (), NOW)
        async with Chain([Link("everybody", Everybody())]) as chain:
            return settle(attempt, await chain.consult(attempt), NOW)[1]

    empty = replace(ALICE, secondary=b"")
    assert await ask(empty) == Refuse(REFUSED_IDENTITY, "the passcode is empty")
    assert shown == []
    admitted = await ask(ALICE)
    assert isinstance(admitted, Admit)
    assert admitted.accept == Accept("anonymous")
    assert shown == [ALICE]


# decision: D16
def test_another_protocol_version() -> None:
    pdu = REQUEST.encode()
    assert answer(pdu[:6] + b"\0\2" + pdu[8:]) == AssociateReject(1, 2, 2)
    assert isinstance(answer(pdu[:6] + b"\0\3" + pdu[8:]), do.Decide)


# decision: D17
def test_another_application_context() -> None:
    other = DICOM_APPLICATION_CONTEXT[:-1] + b"9"
    assert answer(changed(DICOM_APPLICATION_CONTEXT, other)) == AssociateReject(1, 1, 2)


# decision: D30
@pytest.mark.parametrize(
    ("pdu", "abort"),
    [
        ("04 00 0000000c 00000008 03 03 000000000000", Abort(2, 6)),
        ("01 00 00000044", Abort(2, 2)),
        ("2a 00 00000004 00000000", Abort(2, 1)),
        ("04 00 0000000c 00000008 01 03 000000000000", None),
    ],
    ids=["context", "second request", "unknown", "lawful"],
)
def test_the_protocol_is_watched_after_the_login(pdu: str, abort: Abort | None) -> None:
    flow, other = PdvStream({1}, 0), PdvStream({1}, 0)
    data = bytes.fromhex(pdu.replace(" ", ""))
    if abort is None:
        assert flow.walk(data, len(data), other) == len(data)
        return
    assert flow.walk(data, len(data), other) == 0
    assert isinstance(flow.found, PduError)
    assert flow.found.answer == abort
    assert flow.boundary
