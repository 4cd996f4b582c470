"""Who waits for an answer, and need not be acknowledged at once."""

from __future__ import annotations

from struct import pack

import pytest

from dicomgate.association.pdv_stream import PdvStream
from dicomgate.association.waiting import awaits_answer, may_go_on
from dicomgate.testing import raw


def command(data_set_type: int, status: int | None = None) -> bytes:
    """A command set in a P-DATA-TF of its own."""
    elements = pack("<HHLH", 0, 0x0800, 2, data_set_type)
    if status is not None:
        elements += pack("<HHLH", 0, 0x0900, 2, status)
    return raw.p_data(raw.pdv(1, elements, 3))


RESPONSE = command(0x0101, 0x0000)
WAITS = {
    "a request without a data set": command(0x0101),
    "the last response": RESPONSE,
    "a failure": command(0x0101, 0xA700),
    "A-RELEASE-RQ": raw.RELEASE_RQ,
}
GOES_ON = {
    "nothing of a PDU but its header": RESPONSE[:12],
    "all but its last byte": RESPONSE[:-1],
    "a request with a data set": command(0x0001),
    "a data set": raw.p_data(raw.pdv(1, bytes(100), 2)),
    "pending": command(0x0101, 0xFF00),
    "pending, with a warning": command(0x0101, 0xFF01),
}


@pytest.mark.parametrize("name", WAITS | GOES_ON)
def test_who_waits(name: str) -> None:
    stream, pdus = PdvStream({1}, 0), (WAITS | GOES_ON)[name]
    buffer = bytearray(pdus + RESPONSE)  # what stands behind the end is older
    stream.walk(buffer, len(pdus), PdvStream({1}, 0))
    assert awaits_answer(stream, buffer, len(pdus)) is (name in WAITS)


@pytest.mark.parametrize(("control", "cut", "goes_on"), [(0, 0, True), (0, 1, False), (1, 0, True), (2, 0, False)])
def test_who_stopped_between_two_pdus_of_a_data_set_or_command_set(control: int, cut: int, goes_on: bool) -> None:
    for values in ([raw.pdv(1, b"ab", control)], [raw.pdv(1, b"ab", 3), raw.pdv(1, b"ab", control)]):
        stream, pdus = PdvStream({1}, 0), raw.p_data(*values) * 2
        stream.walk(pdus, len(pdus) - cut, PdvStream({1}, 0))
        assert may_go_on(stream) is goes_on
