"""A peer that breaks the protocol ends its association, and no other: a table, tried live on both connections.

"It" is the peer that breaks the protocol. Beside each violation is its lawful neighbour, which arrives, byte by byte,
just before. A side that is between two PDUs gets an A-ABORT; to one that is inside a PDU that would be data, and its
connection is broken instead.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from struct import pack
from typing import NamedTuple

import pytest

from dicomgate.events.events import Cause
from dicomgate.testing import raw
from dicomgate.testing.fixtures import gateway, install_authenticator  # noqa: F401 (fixtures)
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.system_gateway import StartGateway
from tests.stamina.endings import ABORT, CONGESTION, CUT, NOBODY, Causes, Side, Stage, Told
from tests.stamina.gateway_under_test import GatewayUnderTest, gateway_under_test
from tests.stamina.measure import report
from tests.stamina.peer import GRACE, Peer, hear
from tests.stamina.stages import ACCEPTED, BODY, DATA, HALF, PERMANENT, Association

MAXIMUM = 16_384
"""The maximum length that both sides announce. They agree on one presentation context, 1."""
UNRECOGNIZED, UNEXPECTED, INVALID = (
    Told(f"A-ABORT 2,{reason}", bytes.fromhex("07 00 00000004 0000 02") + bytes((reason,))) for reason in (1, 2, 6)
)
_VIOLATED: Causes = {Side.CLIENT: Cause.CLIENT_VIOLATION, Side.UPSTREAM: Cause.UPSTREAM_VIOLATION}
_REFUSED, _RELEASED = (dict.fromkeys(Side, cause) for cause in (Cause.REFUSED, Cause.RELEASED))


class Violation(NamedTuple):
    """It sends what is `lawful`, the other its `reply`, and both arrive; then it sends what is `bad`."""

    name: str
    lawful: bytes
    bad: bytes
    itself: Told
    other: Told
    reply: bytes = b""
    causes: Causes = _VIOLATED
    stage: Stage = Stage.ESTABLISHED
    sides: tuple[Side, ...] = tuple(Side)

    def __str__(self) -> str:
        return f"{self.name}, {self.stage.value}"


def _both(name: str, lawful: bytes, bad: bytes, answer: Told) -> Violation:
    return Violation(name, lawful, bad, answer, answer)


def _item(length: int, content: bytes) -> bytes:
    """A PDV item that says of itself that it has this length (PS3.8 9.3.5.1)."""
    return pack(">LBB", length, 1, 0) + content


_RELEASE_OF_FIVE = bytes.fromhex("05 00 00000005 0000000000")
_TWO_ITEMS, _FIRST = raw.p_data(raw.pdv(1, b"1234"), raw.pdv(5, b"5678")), 16
_GREATEST, _TOO_GREAT = (raw.p_data(raw.pdv(1, bytes(length - 6))) for length in (MAXIMUM, MAXIMUM + 2))
_EMPTY = raw.p_data(raw.pdv(1, b""))
_STORM = 20_000

_ESTABLISHED = (
    _both("a PDU over the maximum", _GREATEST, _TOO_GREAT, INVALID),
    _both("a PDU of 4 GiB", _GREATEST, b"\4\0\xff\xff\xff\xff" + bytes(6), INVALID),
    _both("a PDU of an unknown type", DATA, b"\x2a" + DATA[1:], UNRECOGNIZED),
    _both("a second A-ASSOCIATE-RQ", DATA, raw.rq(), UNEXPECTED),
    _both("an A-ASSOCIATE-AC", DATA, ACCEPTED, UNEXPECTED),
    _both("an A-ASSOCIATE-RJ", DATA, PERMANENT, UNEXPECTED),
    _both("an A-RELEASE-RP that answers nothing", DATA, raw.RELEASE_RP, UNEXPECTED),
    _both("an A-RELEASE-RQ of five bytes", DATA, _RELEASE_OF_FIVE, INVALID),
    _both("a second A-RELEASE-RQ", DATA + raw.RELEASE_RQ, raw.RELEASE_RQ, UNEXPECTED),
    _both("data after an A-RELEASE-RQ", DATA + raw.RELEASE_RQ, DATA, UNEXPECTED),
    _both("a PDV of no byte", raw.p_data(_item(2, b"")), raw.p_data(pack(">L", 0) + bytes(8)), INVALID),
    _both("a PDV of one byte", raw.p_data(_item(2, b"")), raw.p_data(pack(">LB", 1, 1), _item(2, b"")), INVALID),
    _both("a PDV of an odd length", raw.p_data(_item(4, b"12")), raw.p_data(_item(5, b"123")), INVALID),
    _both("a PDV longer than its PDU", raw.p_data(_item(6, b"1234")), raw.p_data(_item(8, b"1234")), INVALID),
    _both("a PDV of 4 GiB", raw.p_data(_item(6, b"1234")), raw.p_data(_item(0xFFFF_FFFE, b"1234")), INVALID),
    _both("bytes left over", DATA, raw.p_data(raw.pdv(1, b"0123456789"), bytes(2)), INVALID),
    _both("a context that was not accepted", DATA, raw.p_data(raw.pdv(3, b"1234")), INVALID),
    _both("a storm of PDUs of no byte", _EMPTY * _STORM, raw.p_data() * _STORM, INVALID),
    # Its beginning has arrived when the rest shows what it is; or the other side has sent half a PDU.
    Violation("a second PDV on such a context", DATA + _TWO_ITEMS[:_FIRST], _TWO_ITEMS[_FIRST:], INVALID, CUT),
    Violation("a PDU of an unknown type, within the other's", DATA, b"\x2a" + DATA[1:], CUT, UNRECOGNIZED, BODY[:HALF]),
    # What was released stays released.
    Violation("data after the release", raw.RELEASE_RQ, DATA, UNEXPECTED, UNEXPECTED, raw.RELEASE_RP, _RELEASED),
)

_BY_CLIENT = {
    "a second A-ASSOCIATE-RQ": (raw.rq(), UNEXPECTED),
    "an A-ASSOCIATE-AC": (ACCEPTED, UNEXPECTED),
    "data": (DATA, UNEXPECTED),
    "an A-RELEASE-RQ": (raw.RELEASE_RQ, UNEXPECTED),
    "a PDU of an unknown type": (b"\x2a" + DATA[1:], UNRECOGNIZED),
}
_BY_UPSTREAM = {
    "an A-ASSOCIATE-RQ": (raw.rq(), UNEXPECTED),
    "data": (DATA, UNEXPECTED),
    "an A-RELEASE-RP": (raw.RELEASE_RP, UNEXPECTED),
    "a PDU of an unknown type": (b"\x2a" + DATA[1:], UNRECOGNIZED),
    "an A-ASSOCIATE-AC with a context that was not proposed": (raw.ac(context=raw.answered(3)), INVALID),
}


def _early(kinds: Mapping[str, tuple[bytes, Told]], stage: Stage, side: Side, other: Told) -> Iterator[Violation]:
    """What comes before the A-ASSOCIATE-AC, instead of it. The client is left to close (PS3.8 table 9-10, Sta13)."""
    for name, (bad, answer) in kinds.items():
        itself = replace(answer, ends=side is Side.UPSTREAM)
        yield Violation(name, b"", bad, itself, other, b"", _REFUSED, stage, (side,))


TABLE = (
    *_ESTABLISHED,
    *_early(_BY_CLIENT, Stage.DECIDING, Side.CLIENT, NOBODY),
    *_early(_BY_CLIENT, Stage.ASKED, Side.CLIENT, ABORT),
    *_early(_BY_UPSTREAM, Stage.ASKED, Side.UPSTREAM, CONGESTION),
)


_CHANCE = random.Random(0)  # the stages that are reached here leave nothing to it


def pass_on(sender: Peer, receiver: Peer, data: bytes) -> None:
    """What one sends arrives at the other."""
    sender.send(data)
    assert receiver.receive(len(data)) == data


def violate(under_test: GatewayUnderTest, violation: Violation, side: Side, secured: bool, source: str) -> None:
    """One association with one violation. Raises AssertionError, OSError."""
    with Association(side, under_test.way(1, secured), source, _CHANCE) as association:
        association.reach(violation.stage)
        it = association.it
        if violation.lawful:
            pass_on(it, association.other, violation.lawful)
        if violation.reply:
            pass_on(association.other, it, violation.reply)
        it.send(violation.bad)
        if violation.other is not NOBODY:
            hear(association.other, violation.other, GRACE, secured)
            association.other.close()
        hear(it, violation.itself, GRACE, secured)
        it.close()
        closed = under_test.audit.closed(source, GRACE)
        assert association.none_came(), "a connection to the PACS"
    assert closed["cause"] == violation.causes[side].value, closed
    relayed = closed["bytes_from_client"], closed["bytes_from_upstream"]
    expected = len(violation.lawful), len(violation.reply)
    assert relayed == (expected if side is Side.CLIENT else expected[::-1])


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_a_violation_ends_its_association_and_no_other(
    gateway: StartGateway,  # noqa: F811
    install_authenticator: Callable[[str], str],  # noqa: F811
    certificates: Certificates,
    secured: bool,
) -> None:
    violations = [(violation, side) for violation in TABLE for side in violation.sides]
    failed, source = [], "127.2.0.1"
    with (
        gateway_under_test(gateway, install_authenticator, certificates, 2) as under_test,
        Association(Side.CLIENT, under_test.way(0, secured), source, _CHANCE) as bystander,
    ):
        bystander.reach(Stage.ESTABLISHED)
        for number, (violation, side) in enumerate(violations, start=1):
            try:
                violate(under_test, violation, side, secured, f"127.3.0.{number}")
            except (AssertionError, OSError) as error:
                failed.append(f"{violation}, by the {side.value}: {error!r}")
            pass_on(bystander.it, bystander.other, DATA)
            pass_on(bystander.other, bystander.it, DATA)
        pass_on(bystander.it, bystander.other, raw.RELEASE_RQ)
        pass_on(bystander.other, bystander.it, raw.RELEASE_RP)
        bystander.it.close()
        closed = under_test.audit.closed(source, GRACE)
    report(f"violations, {'TLS' if secured else 'plain'}", played=len(violations), failed=len(failed))
    assert not failed, "\n".join(failed)
    assert closed["cause"] == "released"
    assert closed["bytes_from_client"] == closed["bytes_from_upstream"] == len(violations) * len(DATA) + 10
