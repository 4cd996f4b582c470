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


def read(*sub_items: tuple[int, bytes], left_out: list[str] | None = None) -> Negotiation:
    reader = NegotiationReader([] if left_out is None else left_out)
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


@pytest.mark.parametrize(
    ("length", "even"), [(0, 0), (8, 8), (9, 8), (16384, 16384), (65535, 65534), (0xFFFFFFFF, 0xFFFFFFFE)]
)
def test_maximum_lengths_are_even(length: int, even: int) -> None:
    assert read((0x51, pack(">L", length))).maximum_length == even


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
        (0x53, bytes(3), "53H has 3 bytes"),
        (0x53, bytes(6), "53H has 6 bytes"),
        (0x54, b"", "lacks its length"),
        (0x54, raw.field(b"1.2", length=6) + b"\1\1", "declares 6 bytes, 5 are left"),
        (0x54, raw.field(b"1.2", length=2) + b"\1\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\1\1\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\2\1", "two bytes of 0 or 1"),
        (0x54, FIRST + b"\1\xff", "two bytes of 0 or 1"),
        (0x56, b"\0", "lacks its length"),
        (0x56, raw.field(b"1.2", length=4), "declares 4 bytes, 3 are left"),
        (0x57, FIRST, "lacks its length"),
        (0x57, FIRST + SECOND, "lacks its length"),
        (0x57, FIRST + SECOND + raw.field(b"") + b"\0", "1 bytes left over"),
        (0x57, FIRST + SECOND + raw.field(b"\0"), "a related class .* lacks its length"),
        (0x57, FIRST + SECOND + raw.field(raw.field(b"1.2", length=4)), "declares 4 bytes, 3 are left"),
        (0x57, FIRST + SECOND + raw.field(raw.field(b"1") * 1025), "too many related classes"),
    ],
)
def test_malformed(kind: int, body: bytes, message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        read((kind, body))
    assert refused.value.answer == INVALID_PARAMETER


# decision: D36
@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (0x52, b"", "an implementation class UID"),
        (0x52, b"1.2.x", "an implementation class UID"),
        (0x54, raw.field(b"1.2\0.3") + b"\1\1", "a role selection"),
        (0x55, b"", "an implementation version name"),
        (0x55, b"seventeen letters", "an implementation version name"),
        (0x55, b"A\r\nB", "an implementation version name"),
        (0x55, b"caf\xe9", "an implementation version name"),
        (0x55, b"A\0B", "an implementation version name"),
        (0x56, raw.field(b"x"), "an extended negotiation"),
        (0x57, FIRST + raw.field(b"") + raw.field(b""), "a common extended negotiation"),
        (0x57, FIRST + SECOND + raw.field(raw.field(b"x")), "a common extended negotiation"),
    ],
)
def test_what_only_informs_or_is_for_no_class_is_left_out(kind: int, body: bytes, told: str) -> None:
    left_out: list[str] = []
    assert read((kind, body), left_out=left_out) == Negotiation()
    assert len(left_out) == 1
    assert left_out[0].startswith(told)


# decision: D36
@pytest.mark.parametrize("padding", [b"\0", b"\0\0\0", bytes(60)])
def test_padding_is_trimmed(padding: bytes) -> None:
    padded = raw.field(b"1.2" + padding)
    assert read((0x52, b"1.2" + padding), (0x55, b"ABC" + padding)) == Negotiation(
        implementation_class_uid=b"1.2", implementation_version_name=b"ABC"
    )
    for kind, body in ((0x54, b"\1\1"), (0x56, b"\1"), (0x57, padded + raw.field(padded))):
        same = {0x54: body, 0x56: body, 0x57: FIRST + raw.field(FIRST)}[kind]
        assert read((kind, padded + body)) == read((kind, FIRST + same))
        # What is the same after trimming is a duplicate.
        with pytest.raises(PduError, match=r"differs from another one for 1\.2"):
            read((kind, padded + body), (kind, FIRST + (SECOND + raw.field(b"") if kind == 0x57 else b"\0\1")))


@pytest.mark.parametrize(
    ("kind", "body"),
    [(0x51, bytes(4)), (0x52, b"1.2"), (0x52, b"x"), (0x53, bytes(4)), (0x55, b"NAME"), (0x55, b"")],
)
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
    with pytest.raises(PduError, match=r"differs from another one for 1\.2"):
        read((kind, one), (kind, other))


def test_what_does_not_fit_is_not_encoded() -> None:
    fits = Negotiation(extended=(ExtendedNegotiation(b"1.2", bytes(65530)),))
    assert len(fits.encode()) == 4 + 65535
    with pytest.raises(DoesNotFit):
        Negotiation(extended=(ExtendedNegotiation(b"1.2", bytes(65531)),)).encode()
