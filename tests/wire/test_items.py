"""Items: each length stays inside its enclosing item, and nothing is left over."""

from __future__ import annotations

import pytest

from dicomgate.errors import DoesNotFit
from dicomgate.testing import raw
from dicomgate.wire.items import KNOWN, MOST_ITEMS, counted, counted_field, item, misplaced, read_uid, shown_uid, walk
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError


def walked(data: bytes, start: int = 0) -> list[tuple[int, bytes]]:
    return list(walk(data, start, "here"))


def test_items_are_found_one_behind_the_other() -> None:
    data = raw.item(0x51, b"abcd") + raw.item(0) + raw.item(0xFF, b"x", reserved=7)
    assert walked(data) == [(0x51, b"abcd"), (0, b""), (0xFF, b"x")]
    assert walked(b"ab" + data, 2) == walked(data)
    assert walked(b"") == []


@pytest.mark.parametrize("left_over", [1, 2, 3])
def test_bytes_left_over(left_over: int) -> None:
    with pytest.raises(PduError, match=f"{left_over} bytes left over in here") as refused:
        walked(raw.item(0x51) + bytes(left_over))
    assert refused.value.answer == INVALID_PARAMETER


@pytest.mark.parametrize("declared", [3, 4, 0xFFFF])
def test_a_length_beyond_the_enclosing_item(declared: int) -> None:
    assert walked(raw.item(0x51, b"ab", length=2)) == [(0x51, b"ab")]
    with pytest.raises(PduError, match=f"item 51H in here declares {declared} bytes, 2 are left"):
        walked(raw.item(0x51, b"ab", length=declared))


def test_too_many_items() -> None:
    assert len(walked(raw.item(0x7F) * MOST_ITEMS)) == MOST_ITEMS
    with pytest.raises(PduError, match="too many items in here"):
        walked(raw.item(0x7F) * (MOST_ITEMS + 1))


def test_known_items_do_not_stand_everywhere_and_unknown_ones_may() -> None:
    assert {0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A)} == KNOWN
    for kind in range(256):
        if kind in KNOWN:
            with pytest.raises(PduError, match=f"item {kind:02X}H does not belong in here"):
                misplaced(kind, "here")
        else:
            misplaced(kind, "here")


def test_a_counted_field() -> None:
    assert counted(b"..\0\2abc", 2, "it") == (b"ab", 6)
    assert counted(b"\0\0", 0, "it") == (b"", 2)
    with pytest.raises(PduError, match="it lacks its length"):
        counted(b"\0\0\0", 2, "it")
    with pytest.raises(PduError, match="it declares 4 bytes, 3 are left"):
        counted(b"\0\4abc", 0, "it")


@pytest.mark.parametrize("uid", [b"1", b"1.2.840.10008.1.1", b"1." * 31 + b"12", b"1.02.3", b"0"])
def test_uids(uid: bytes) -> None:
    for padding in (b"", b"\0", b"\0\0", b" ", b"  \0 ", bytes(60_000)):
        assert read_uid(uid + padding, "it") == uid


@pytest.mark.parametrize(
    "uid",
    [
        b"",
        b"\0",
        b"1..2",
        b".1",
        b"1.",
        b"1.2\t",
        "1.2\u200b".encode(),
        b" 1.2",
        b"1.2\n",
        b"1.a",
        b"1.2\0.3",
        b"1.\xb2",
        b"1" * 65,
    ],
)
def test_what_is_no_uid(uid: bytes) -> None:
    with pytest.raises(PduError, match=r"it of \d+ bytes is not a UID") as refused:
        read_uid(uid, "it")
    assert refused.value.answer == INVALID_PARAMETER


def test_what_the_log_may_show_of_what_is_no_uid() -> None:
    assert shown_uid("1.2.840\u200b".encode()) == '"1.2.840" and then E2808BH (10 bytes)'
    assert shown_uid(b"1" * 65) == f'"{"1" * 64}" and then 31H (65 bytes)'
    assert shown_uid(b"") == '"" (0 bytes)'
    assert "secret" not in shown_uid(b"1.2secret passcode")


def test_encoding_fits_or_says_so() -> None:
    assert item(0x58, b"ab") == b"\x58\0\0\2ab"
    assert counted_field(b"ab") == b"\0\2ab"
    assert len(item(0x58, bytes(65535))) == 65539
    assert len(counted_field(bytes(65535))) == 65537
    with pytest.raises(DoesNotFit, match="item 58H would have 65536 bytes"):
        item(0x58, bytes(65536))
    with pytest.raises(DoesNotFit, match="65536 bytes"):
        counted_field(bytes(65536))
