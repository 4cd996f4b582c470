"""The cost of a hostile A-ASSOCIATE-RQ grows with its size and no faster."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from dicomgate.association.pdv_stream import MOST_HEADERS, PdvStream
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.pdu import PduReader, PduType
from dicomgate.wire.reject_abort import PduError

SMALL, LARGE = 32 * 1024, 128 * 1024
TIMES = LARGE // SMALL


def class_of(number: int) -> bytes:
    return raw.field(b"1.2.%d" % number)


def spread(sub_items: bytes, size: int) -> bytes:
    """Sub-items up to the size, in as many presentation contexts as are needed: an item holds 64 KiB."""
    each = b"".join([sub_items] * (size // (4 * len(sub_items)))) if sub_items else b""
    contexts = [
        raw.proposed(context, raw.item(0x30, raw.VERIFICATION), raw.item(0x40, raw.IMPLICIT), each)
        for context in (1, 3, 5, 7)
    ]
    return raw.associate(1, raw.APPLICATION_CONTEXT, *contexts, raw.user_information(raw.login()))


def repeated(make: Callable[[int], bytes], size: int) -> bytes:
    """Sub-items 50H, all different, up to half the size (an item holds 64 KiB)."""
    bodies, total, number = [], 0, 0
    while total < size // 2 - 200:
        bodies.append(make(number))
        total += len(bodies[-1])
        number += 1
    return raw.rq(*bodies)


HOSTILE = {
    "tiny unknown items": lambda size: raw.associate(
        1, raw.APPLICATION_CONTEXT, raw.proposed(), raw.item(0x7F) * (size // 4), raw.user_information(raw.login())
    ),
    "tiny unknown sub-items of a context": lambda size: spread(raw.item(0x7F), size),
    "transfer syntaxes": lambda size: spread(raw.item(0x40, b"1"), size),
    "tiny unknown sub-items of the user information": lambda size: repeated(lambda _: raw.item(0x7F), size),
    "role selections": lambda size: repeated(lambda number: raw.item(0x54, class_of(number) + b"\1\1"), size),
    "extended negotiations": lambda size: repeated(lambda number: raw.item(0x56, class_of(number)), size),
    "related classes": lambda size: raw.rq(
        raw.item(0x57, class_of(1) + class_of(2) + raw.field(raw.field(b"1") * (size // 7)))
    ),
    "username": lambda size: raw.rq(raw.login(1, b"a" * (size // 2 - 200))),
    "username of control characters": lambda size: raw.rq(raw.login(1, b"\x01" * (size // 2 - 200))),
    "UID of digits and dots": lambda size: raw.rq(raw.item(0x52, b"1." * (size // 4 - 100) + b"x")),
}


def parse(pdu: bytes) -> None:
    try:
        AssociateRequest.parse(pdu)
    except PduError:
        return


def best_of(repeat: int, call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


FLOOR = 0.0005


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_size(name: str) -> None:
    small, large = HOSTILE[name](SMALL), HOSTILE[name](LARGE)
    assert len(large) > 2 * len(small)

    def cost(pdu: bytes) -> float:
        def run() -> None:
            for _ in range(5):
                parse(pdu)

        return best_of(5, run)

    # Twice the growth is far from the square of it, and far from noise.
    assert cost(large) < 2.5 * len(large) / len(small) * (cost(small) + FLOOR)


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_follows_size(name: str) -> None:
    def peak(size: int) -> int:
        pdu = HOSTILE[name](size)
        tracemalloc.start()
        try:
            parse(pdu)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(LARGE) < 1.5 * TIMES * (peak(SMALL) + 4096)
    assert peak(LARGE) < 40 * LARGE


def test_a_byte_at_a_time_costs_no_more_than_the_bytes() -> None:
    def drip(size: int) -> float:
        pdu = HOSTILE["tiny unknown items"](size)

        def feed() -> None:
            reader = PduReader({PduType.ASSOCIATE_RQ: (68, 4 * LARGE)})
            for at in range(len(pdu)):
                reader.feed(pdu[at : at + 1])
                reader.next_pdu()

        return best_of(3, feed)

    assert drip(LARGE) < 2.5 * TIMES * drip(SMALL)


def test_tiny_pdus_of_an_association_cost_no_more_than_their_bytes_and_are_looked_at_in_portions() -> None:
    stream, other = PdvStream((1,), 0), PdvStream((), 0)
    tiny = raw.p_data(raw.pdv(1, b""))
    for portions in (3, 12):
        data, position, walks = tiny * (portions * MOST_HEADERS), 0, 0
        while position < len(data):
            passed = stream.walk(data, len(data), other, position)
            assert stream.more is (passed < len(data))
            position, walks = passed, walks + 1
        assert walks == portions
    large = raw.p_data(raw.pdv(1, bytes(16_378))) * 400  # the positive control: many bytes, few headers
    assert stream.walk(large, len(large), other) == len(large)
    assert not stream.more


def test_answers_too() -> None:
    def read(size: int) -> float:
        unknown = raw.item(0x7F, bytes(60)) * (size // 64 // 64)
        answers = [raw.answered(context, 0, raw.item(0x40, raw.IMPLICIT), unknown) for context in range(1, 128, 2)]
        pdu = raw.associate(2, raw.APPLICATION_CONTEXT, *answers, raw.user_information())
        return best_of(5, lambda: AssociateAccept.parse(pdu))

    assert read(LARGE) < 2.5 * TIMES * (read(SMALL) + FLOOR)
