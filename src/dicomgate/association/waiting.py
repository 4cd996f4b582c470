"""Whether a sender waits for an answer: then nobody need hurry to acknowledge what it sent.

Nothing depends on it but speed. A wrong guess costs 40 ms or a few microseconds.
"""

from __future__ import annotations

from struct import pack

from ..wire.pdu import LAST_FRAGMENT
from .pdv_stream import PdvStream

_LONGEST = 1_024  # bytes that are looked at; a command set has a few hundred
# PS3.7 E.1: Command Data Set Type, and the Status that may be behind it, in the encoding of 6.3.1
_NO_DATA_SET = pack("<HHLH", 0, 0x0800, 2, 0x0101)
_PENDING = tuple(pack("<HHLH", 0, 0x0900, 2, status) for status in (0xFF00, 0xFF01))


def awaits_answer(stream: PdvStream, buffer: bytearray, end: int) -> bool:
    """True if the sender of `buffer[:end]`, which `stream` has walked, has nothing more to say now.

    It has asked for a release or answered that, or sent a request or a response without a data set; but a response
    that says "pending" goes on.
    """
    if not stream.between_pdus:
        return False
    if stream.release_requested or stream.released:
        return True
    found = buffer.find(_NO_DATA_SET, 0, min(end, _LONGEST))
    return found >= 0 and not buffer.startswith(_PENDING, found + len(_NO_DATA_SET))


def may_go_on(stream: PdvStream) -> bool:
    """True if the sender has stopped between two PDUs of one command set or data set: it may hold the next one back."""
    return stream.between_pdus and not stream.control & LAST_FRAGMENT
