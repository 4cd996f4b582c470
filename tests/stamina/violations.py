"""What breaks the protocol, and what comes of it: a table.

"It" is the peer that does so. Beside each violation stands its lawful neighbour, which arrives, byte by byte, just
before. A side that stands between two PDUs gets an A-ABORT; to one that stands inside of a PDU that would be data, and
its connection is broken instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from struct import pack
from typing import NamedTuple

from dicomgate.events.events import Cause
from tests.properties import raw
from tests.stamina.endings import ABORT, CONGESTION, CUT, NOBODY, Causes, Side, Stage, Told
from tests.stamina.stages import ACCEPTED, BODY, DATA, HALF, PERMANENT

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
    _both("an A-RELEASE-RP that nobody asked for", DATA, raw.RELEASE_RP, UNEXPECTED),
    _both("an A-RELEASE-RQ of five bytes", DATA, _RELEASE_OF_FIVE, INVALID),
    _both("a second A-RELEASE-RQ", DATA + raw.RELEASE_RQ, raw.RELEASE_RQ, UNEXPECTED),
    _both("data behind an A-RELEASE-RQ", DATA + raw.RELEASE_RQ, DATA, UNEXPECTED),
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
    Violation("data behind the release", raw.RELEASE_RQ, DATA, UNEXPECTED, UNEXPECTED, raw.RELEASE_RP, _RELEASED),
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
