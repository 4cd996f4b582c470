"""CommandSet.parse and the responses of the gateway's own (PS3.7 6.3.1, 9.3, E.1)."""

from __future__ import annotations

from struct import pack

import pytest

from dicomgate.scu.dimse import Fragment, decode_command, fragments
from dicomgate.testing import raw
from dicomgate.wire.dimse import LONGEST_COMMAND, CommandField, CommandSet, refused_response
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError
from tests.wire import commands as c
from tests.wire.commands import command_set, element, us, with_group_length

STORE = command_set(c.STORE, c.CT)
MOVE = command_set(c.MOVE, c.MOVE_STUDIES, destination=b"WS_1")


def changed(field: int, change: dict[int, bytes | None]) -> bytes:
    sop_class = c.MOVE_STUDIES if field == c.MOVE else c.CT
    return command_set(field, sop_class, destination=b"WS_1" if field == c.MOVE else b"", change=change)


def test_a_request_a_response_and_a_cancel() -> None:
    assert CommandSet.parse(STORE) == (CommandField.C_STORE_RQ, False, 7, c.CT, b"1.2.3.7\0", "")
    assert CommandSet.parse(MOVE) == (CommandField.C_MOVE_RQ, False, 7, c.MOVE_STUDIES, b"", "WS_1")
    action = command_set(c.ACTION, b"1.2.840.10008.1.20.1")
    assert CommandSet.parse(action)[3] == b"1.2.840.10008.1.20.1"
    response = CommandSet.parse(command_set(c.STORE | c.RSP, message_id=0xFFFE))
    assert response == (CommandField.C_STORE_RQ, True, 0xFFFE, b"", b"1.2.3.65534\0", "")
    cancel = CommandSet.parse(command_set(c.CANCEL, message_id=3))
    assert cancel == (CommandField.C_CANCEL_RQ, False, 3, b"", b"", "")
    assert (str(response), str(cancel)) == ("C-STORE-RSP", "C-CANCEL-RQ")


@pytest.mark.parametrize("field", [int(command) | bits for command in CommandField for bits in (0, c.RSP)])
def test_every_command_of_the_standard(field: int) -> None:
    data = command_set(field, c.CT, destination=b"WS_1" if field == c.MOVE else b"")
    if field == c.CANCEL | c.RSP:
        with pytest.raises(PduError, match="without a known Command Field"):
            CommandSet.parse(data)
    else:
        assert CommandSet.parse(data)[:3] == (field & ~c.RSP, field >= c.RSP, 7)


FORGIVEN = {
    "no Command Group Length": (STORE[12:], STORE),
    "a UID padded with a space": (changed(c.STORE, {2: c.CT + b" "}), STORE),
    "an empty Requested SOP Class UID": (changed(c.STORE, {3: b""}), STORE),
    "the same SOP class twice": (changed(c.STORE, {3: c.CT + b"\0"}), STORE),
    "an element that the standard does not know": (changed(c.STORE, {0x1040: b"ab", 0xFFFE: b""}), STORE),
    "two Attribute Identifiers": (changed(c.STORE, {0x0901: bytes(4), 0x1005: bytes(8)}), STORE),
    "another Command Data Set Type": (changed(c.STORE, {0x0800: us(0x0102)}), STORE),
    "a title padded with spaces": (changed(c.MOVE, {0x0600: b"  WS_1  "}), MOVE),
    "a title as a C string": (changed(c.MOVE, {0x0600: b"WS_1\0\0"}), MOVE),
    "a title of sixteen bytes": (changed(c.MOVE, {0x0600: b"WS_1".ljust(16)}), MOVE),
}


@pytest.mark.parametrize("name", FORGIVEN)
def test_what_has_one_reading_is_read(name: str) -> None:
    data, plain = FORGIVEN[name]
    assert data != plain
    assert CommandSet.parse(data) == CommandSet.parse(plain)


def longest(size: int) -> bytes:
    """A command set of this many bytes: values of 16 KiB behind each other."""
    data, number = STORE[12:], 0x2000
    while (left := size - 12 - len(data)) > 0:
        data += element(number, bytes(min(left - 8, 0x4000)))
        number += 1
    return with_group_length(data)


TWO_WAYS = {
    "nothing": b"",
    "an empty Command Group Length alone": element(0, b""),
    "bytes left over": STORE[12:] + b"\0\0\0",
    "a value that is cut off": STORE[12:-2],
    "a Length to End of two bytes": changed(c.STORE, {0x0001: bytes(2)}),
    "an Offending Element of two bytes": changed(c.STORE, {0x0901: bytes(2)}),
    "an Attribute Identifier List of six bytes": changed(c.STORE, {0x1005: bytes(6)}),
    "an odd length": STORE[12:] + element(0x1040, b"abc") + element(0x1041, b"d"),
    "an undefined length": STORE[12:] + element(0x1040, b"", length=0xFFFF_FFFF),
    "a length that reads as a VR": STORE[12:] + element(0x1040, bytes(0x4F4C)),  # "LO"
    "too much": longest(LONGEST_COMMAND + 2),
    "a wrong Command Group Length": with_group_length(STORE[12:], off=2),
    "a Command Group Length without its own end": with_group_length(STORE[12:], off=12),
    "a Command Group Length of two bytes": element(0, us(len(STORE) - 12)) + STORE[12:],
    "another group": STORE[12:] + element(0x1040, b"ab", group=8),
    "an element twice": with_group_length(
        element(2, c.uid(c.CT)) * 2 + STORE[12:].removeprefix(element(2, c.uid(c.CT)))
    ),
    "two commands": with_group_length(element(0x0100, us(c.ECHO)) + STORE[12:]),
    "elements out of order": with_group_length(STORE[-16:] + STORE[12:-16]),
    "big endian": b"".join(
        pack(">HHL", 0, number, len(value)) + value
        for number, value in sorted({**c.elements_of(c.STORE, c.CT), 0x0100: pack(">H", c.STORE)}.items())
    ),
    "explicit VR": b"".join(
        pack("<HH2sH", 0, number, b"US" if len(value) == 2 else b"UI", len(value)) + value
        for number, value in sorted(c.elements_of(c.STORE, c.CT).items())
    ),
    "no Command Field": changed(c.STORE, {0x0100: None}),
    "a Command Field of four bytes": changed(c.STORE, {0x0100: pack("<L", c.STORE)}),
    "an empty Command Field": changed(c.STORE, {0x0100: b""}),
    "an unknown Command Field": changed(c.STORE, {0x0100: us(0x0002)}),
    "no Message ID": changed(c.STORE, {0x0110: None}),
    "a Message ID of four bytes": changed(c.STORE, {0x0110: bytes(4)}),
    "no Command Data Set Type": changed(c.STORE, {0x0800: None}),
    "a C-STORE-RQ without a data set": changed(c.STORE, {0x0800: us(0x0101)}),
    "a C-ECHO-RQ with a data set": changed(c.ECHO, {0x0800: us(1)}),
    "a C-STORE-RSP with a data set": changed(c.STORE | c.RSP, {0x0800: us(1)}),
    "a request that answers": changed(c.STORE, {0x0120: us(1)}),
    "a request with a Status": changed(c.STORE, {0x0900: us(0)}),
    "a response that asks": changed(c.STORE | c.RSP, {0x0110: us(1)}),
    "a response without a Status": changed(c.STORE | c.RSP, {0x0900: None}),
    "a C-CANCEL-RQ that asks": changed(c.CANCEL, {0x0110: us(1)}),
    "no SOP class": changed(c.STORE, {2: None}),
    "the other SOP class": changed(c.STORE, {2: None, 3: c.uid(c.CT)}),
    "the other SOP class of an N-SET-RQ": changed(c.N_SET, {2: c.uid(c.CT), 3: None}),
    "two SOP classes": changed(c.STORE, {3: c.uid(c.MR)}),
    "two SOP classes in one value": changed(c.STORE, {2: c.uid(c.CT + b"\\" + c.MR)}),
    "a SOP class with a NUL inside": changed(c.STORE, {2: b"1.2\0.3"}),
    "a SOP class with a NUL in front": changed(c.STORE, {2: b"\0" + c.CT}),
    "a SOP class of 66 bytes": changed(c.STORE, {2: c.CT.ljust(66, b"\0")}),
    "no destination": changed(c.MOVE, {0x0600: None}),
    "an empty destination": changed(c.MOVE, {0x0600: b"    "}),
    "two destinations": changed(c.MOVE, {0x0600: b"WS_1\\WS_9 "}),
    "a destination with a NUL inside": changed(c.MOVE, {0x0600: b"WS_1\0X"}),
    "a destination with a NUL in front": changed(c.MOVE, {0x0600: b"\0WS_1 "}),
    "a destination with a line break": changed(c.MOVE, {0x0600: b"WS_1\n "}),
    "a destination that is not ASCII": changed(c.MOVE, {0x0600: b"WS_\xe9"}),
    "a destination of 18 bytes": changed(c.MOVE, {0x0600: b"WS_1".ljust(16) + b"_X"}),
    "a destination of 18 bytes with spaces": changed(c.MOVE, {0x0600: b"WS_1".rjust(18)}),
}


@pytest.mark.parametrize("name", TWO_WAYS)
def test_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(PduError) as caught:
        CommandSet.parse(TWO_WAYS[name])
    assert caught.value.answer == INVALID_PARAMETER


def test_a_command_set_of_many_elements() -> None:
    empty: dict[int, bytes | None] = {0x2000 + number: b"" for number in range(127 - 6)}
    assert CommandSet.parse(changed(c.STORE, empty)) == CommandSet.parse(STORE)
    with pytest.raises(PduError, match="128 elements"):
        CommandSet.parse(changed(c.STORE, {**empty, 0x1FFE: b""}))


def test_the_longest_command_set() -> None:
    assert CommandSet.parse(longest(LONGEST_COMMAND)) == CommandSet.parse(STORE)


@pytest.mark.parametrize("maximum_length", [0, 8, 9, 14, 150, 16384])
@pytest.mark.parametrize(
    ("request_", "field", "instance"),
    [
        (STORE, 0x8001, "1.2.3.7"),
        (command_set(c.STORE, c.CT, change={0x1000: b"1" * 64}), 0x8001, "1" * 64),
        (command_set(c.STORE, c.CT, change={0x1000: b"1" * 66}), 0x8001, None),  # in fragments of 2 bytes it grows
        (command_set(c.MOVE, c.CT, 9, b"WS_1"), 0x8021, None),
    ],
    ids=["C-STORE", "C-STORE with a long UID", "C-STORE with no UID", "C-MOVE"],
)
def test_the_response(request_: bytes, field: int, instance: str | None, maximum_length: int) -> None:
    request = CommandSet.parse(request_)
    stream = refused_response(request, 5, maximum_length)
    found: list[Fragment] = []
    while stream:
        length = int.from_bytes(stream[2:6])
        assert length <= (maximum_length or 0xFFFF)
        found += fragments(stream[: 6 + length])
        stream = stream[6 + length :]
    assert [fragment.last for fragment in found] == [False] * (len(found) - 1) + [True]
    assert {(fragment.context, fragment.of_command, len(fragment.content) % 2) for fragment in found} == {(5, True, 0)}
    content = b"".join(fragment.content for fragment in found)
    assert CommandSet.parse(content).response, "what the gateway sends is what it would let pass"
    response = decode_command(content)
    assert response.get("AffectedSOPInstanceUID") == instance
    assert (response.AffectedSOPClassUID, response.MessageIDBeingRespondedTo) == (c.CT.decode(), request.message_id)
    assert (response.CommandField, response.CommandDataSetType, response.Status) == (field, 0x0101, 0x0124)


def test_the_response_in_bytes() -> None:
    expected = command_set(c.MOVE | c.RSP, c.CT, 9, change={0x0900: us(0x0124)})
    response = refused_response(CommandSet.parse(command_set(c.MOVE, c.CT, 9, b"WS_1")), 5, 0)
    assert response == raw.p_data(raw.pdv(5, expected, 3))
