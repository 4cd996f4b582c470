"""Sub-items 51H to 57H: each is read once, whole, or refused."""

from __future__ import annotations

from struct import pack

import pytest

from dicomgate.errors import DoesNotFit
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError
from dicomgate.wire.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    Negotiation,
    NegotiationReader,
    RoleSelection,
)

FIRST, SECOND = raw.field(b"1.2"), raw.field(b"1.3")


def read(*sub_items: tuple[int, bytes]) -> Negotiation:
    reader = NegotiationReader()
    for kind, body in sub_items:
        reader.read(kind, body)
    return reader.negotiation()


def test_nothing() -> None:
    assert read() == Negotiation()
    assert Negotiation().encode() == b""


def test_everything_in_any_order_is_encoded_in_ascending_order() -> None:
    bodies = {
        0x51: pack(">L", 16384),
        0x52: b"1.2.3",
        0x53: pack(">HH", 0, 5),
        0x54: FIRST + b"\1\0",
        0x55: b"NAME 1",
        0x56: FIRST + b"\1\1",
        0x57: FIRST + SECOND + raw.field(FIRST + SECOND),
    }
    whole = Negotiation(
        16384,
        b"1.2.3",
        (0, 5),
        (RoleSelection(b"1.2", 1, 0),),
        b"NAME 1",
        (ExtendedNegotiation(b"1.2", b"\1\1"),),
        (CommonExtendedNegotiation(b"1.2", b"1.3", (b"1.2", b"1.3")),),
    )
    assert read(*bodies.items()) == whole
    assert read(*reversed(bodies.items())) == whole
    assert whole.encode() == b"".join(raw.item(kind, body) for kind, body in bodies.items())


@pytest.mark.parametrize("length", [0, 8, 16384, 0xFFFFFFFF])
def test_maximum_lengths(length: int) -> None:
    assert read((0x51, pack(">L", length))).maximum_length == length


@pytest.mark.parametrize("length", [1, 7])
def test_no_pdv_fits(length: int) -> None:
    with pytest.raises(PduError, match=f"no PDV fits a maximum length of {length}"):
        read((0x51, pack(">L", length)))


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (0x51, bytes(3), "51H has 3 bytes"),
        (0x51, bytes(5), "51H has 5 bytes"),
        (0x51, b"", "51H has 0 bytes"),
        (0x52, b"", "not a UID"),
        (0x52, b"1.2.x", "not a UID"),
        (0x53, bytes(3), "53H has 3 bytes"),
        (0x53, bytes(6), "53H has 6 bytes"),
        (0x54, b"", "lacks its length"),
        (0x54, raw.field(b"1.2", length=6) + b"\1\1", "declares 6 bytes, 5 are left"),
        (0x54, raw.field(b"1.2", length=2) + b"\1\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\1\1\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\2\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\1\xff", "two bytes of 0 or 1"),
        (0x54, raw.field(b"") + b"\1\1", "not a UID"),
        (0x55, b"", "an implementation version name of 0 bytes"),
        (0x55, b"seventeen letters", "an implementation version name of 17 bytes"),
        (0x55, b"A\r\nB", "an implementation version name"),
        (0x55, b"caf\xe9", "an implementation version name"),
        (0x55, b"A\n", "an implementation version name"),
        (0x56, b"\0", "lacks its length"),
        (0x56, raw.field(b"1.2", length=4), "declares 4 bytes, 3 are left"),
        (0x56, raw.field(b"x"), "not a UID"),
        (0x57, FIRST, "lacks its length"),
        (0x57, FIRST + SECOND, "lacks its length"),
        (0x57, FIRST + raw.field(b"") + raw.field(b""), "not a UID"),
        (0x57, FIRST + SECOND + raw.field(b"") + b"\0", "1 bytes left over"),
        (0x57, FIRST + SECOND + raw.field(b"\0"), "a related class .* lacks its length"),
        (0x57, FIRST + SECOND + raw.field(raw.field(b"1.2", length=4)), "declares 4 bytes, 3 are left"),
    ],
)
def test_malformed(kind: int, body: bytes, message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        read((kind, body))
    assert refused.value.answer == INVALID_PARAMETER


@pytest.mark.parametrize(("kind", "body"), [(0x51, bytes(4)), (0x52, b"1.2"), (0x53, bytes(4)), (0x55, b"NAME")])
def test_what_may_be_there_once_is_refused_twice_even_if_alike(kind: int, body: bytes) -> None:
    read((kind, body))
    with pytest.raises(PduError, match=f"sub-item {kind:02X}H is there twice"):
        read((kind, body), (kind, body))


@pytest.mark.parametrize(
    ("kind", "one", "other", "elsewhere"),
    [
        (0x54, FIRST + b"\1\0", FIRST + b"\1\1", SECOND + b"\1\1"),
        (0x56, FIRST + b"\1", FIRST + b"\2", SECOND + b"\2"),
        (0x57, FIRST + FIRST + raw.field(b""), FIRST + SECOND + raw.field(b""), SECOND + SECOND + raw.field(b"")),
    ],
)
def test_one_for_each_sop_class(kind: int, one: bytes, other: bytes, elsewhere: bytes) -> None:
    assert read((kind, one), (kind, one)) == read((kind, one))
    assert len(read((kind, one), (kind, elsewhere)).encode()) == 8 + len(one) + len(elsewhere)
    with pytest.raises(PduError, match=r"two different .* for 1\.2"):
        read((kind, one), (kind, other))


def test_a_padded_version_name_loses_its_nul() -> None:
    assert read((0x55, b"ABC\0")).implementation_version_name == b"ABC"
    with pytest.raises(PduError):
        read((0x55, b"ABC\0\0"))


def test_what_does_not_fit_is_not_encoded() -> None:
    fits = Negotiation(extended=(ExtendedNegotiation(b"1.2", bytes(65530)),))
    assert len(fits.encode()) == 4 + 65535
    with pytest.raises(DoesNotFit):
        Negotiation(extended=(ExtendedNegotiation(b"1.2", bytes(65531)),)).encode()
