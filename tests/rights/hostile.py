"""Streams of clients that mean to have done what no rule grants.

Each stands beside a control: what comes nearest to it, and is granted.
"""

from __future__ import annotations

from struct import pack
from typing import NamedTuple

from dicomgate.rights.rights import Rights
from dicomgate.testing import raw
from tests.rights.limited import MODALITY, VIEWER, said
from tests.rights.naive_pacs import Done
from tests.wire import commands as c
from tests.wire.commands import command_set, element, us, with_group_length


def names(*granted: tuple[int, bytes]) -> set[Done]:
    """What is granted, as the PACS tells what it does. Message ID 1 is that of the controls."""
    return {(c.CANCEL, "1"), *((field, detail.decode()) for field, detail in granted)}


GRANTED = {
    VIEWER: names(
        *((c.ECHO, c.VERIFICATION), (c.FIND, c.FIND_STUDIES), (c.GET, c.GET_STUDIES)),
        *((c.MOVE, b"WS_1"), (c.MOVE, b"TEACHING")),
    ),
    MODALITY: names((c.ECHO, c.VERIFICATION), (c.STORE, c.CT)),
}

ECHO, STORE = said(1, command_set(c.ECHO, c.VERIFICATION, 1)), said(3, command_set(c.STORE, c.CT, 1))
FIND, GET = said(5, command_set(c.FIND, c.FIND_STUDIES, 1)), said(9, command_set(c.GET, c.GET_STUDIES, 1))
MOVE = said(7, command_set(c.MOVE, c.MOVE_STUDIES, 1, b"WS_1"))
STORED = said(3, command_set(c.STORE | c.RSP, c.CT, 1))


def store(context: int, sop_class: bytes = c.CT) -> bytes:
    return said(context, command_set(c.STORE, sop_class))


def find(context: int, sop_class: bytes = c.FIND_STUDIES) -> bytes:
    return said(context, command_set(c.FIND, sop_class))


def moved(destination: bytes, context: int = 7, sop_class: bytes = c.MOVE_STUDIES) -> bytes:
    return said(context, command_set(c.MOVE, sop_class, destination=destination))


def cancel(context: int) -> bytes:
    return said(context, command_set(c.CANCEL))


def in_fragments(context: int, command: bytes, size: int = 2, *, in_one_pdu: bool = False) -> bytes:
    """A command set in fragments of this size, with an empty one before each."""
    pdvs = []
    for at in range(0, len(command), size):
        last = 2 if at + size >= len(command) else 0
        pdvs += [raw.pdv(context, b"", 1), raw.pdv(context, command[at : at + size], 1 | last)]
    return raw.p_data(*pdvs) if in_one_pdu else b"".join(map(raw.p_data, pdvs))


def one_pdv(context: int, command: bytes, control: int = 3) -> bytes:
    return raw.p_data(raw.pdv(context, command, control))


DATA = raw.p_data(raw.pdv(7, b"data", 2))
SET = {
    "echo": command_set(c.ECHO, c.VERIFICATION),
    "store": command_set(c.STORE, c.CT),
    "find": command_set(c.FIND, c.FIND_STUDIES),
    "move": command_set(c.MOVE, c.MOVE_STUDIES, destination=b"WS_1"),
    "elsewhere": command_set(c.MOVE, c.MOVE_STUDIES, destination=b"ARCHIVE2"),
}


def altered(context: int, name: str, number: int, *values: bytes) -> bytes:
    """A message with one of these command sets, in which an element is there once for each of these values."""
    start = SET[name].index(element(number, b"")[:4], 12)
    end = start + 8 + SET[name][start + 4]
    between = b"".join(element(number, value) for value in values)
    return said(context, with_group_length(SET[name][12:start] + between + SET[name][end:]))


def explicit_vr(command: bytes) -> bytes:
    """The same elements with a VR each, without the Command Group Length."""
    found, at = b"", 12
    while at < len(command):
        number, length = int.from_bytes(command[at + 2 : at + 4], "little"), command[at + 4]
        found += pack("<HH2sH", 0, number, b"US" if length == 2 else b"UI", length)
        found += command[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def big_endian(elements: dict[int, bytes]) -> bytes:
    values = {number: value[::-1] if len(value) == 2 else value for number, value in elements.items()}
    return b"".join(pack(">HHL", 0, number, len(value)) + value for number, value in sorted(values.items()))


def hidden_in_explicit_vr() -> bytes:
    """A C-FIND-RQ behind a long value; who sees the VR "LO" in its length finds a C-STORE-RQ in it."""
    within = explicit_vr(SET["store"])
    return with_group_length(element(0x0001, within.ljust(0x4F4C, b"\0")) + SET["find"][12:])[12:]


def hidden_by_an_odd_length() -> bytes:
    """A C-FIND-RQ with an odd value; who makes it even finds a C-STORE-RQ in the value behind it."""
    within = bytes(3) + SET["store"][12:]
    # Read from its second byte on, the header (0000,0900) with a length of 256 is (0000,0009) with one of 1.
    return SET["find"][12:] + element(0x0801, b"x") + element(0x0900, within.ljust(0x100, b"\0"))


class Hostile(NamedTuple):
    """A stream, what it means to have done, and its control. `answers`: how many 0124H; None for an abort."""

    rights: Rights
    means: Done
    stream: bytes
    control: bytes
    answers: int | None = None


def hostile(field: int, detail: bytes, stream: bytes, control: bytes, answers: int | None = None) -> Hostile:
    rights = MODALITY if control is STORE else VIEWER
    return Hostile(rights, (field, detail.decode("latin-1")), stream, control, answers)


def storing(stream: bytes, control: bytes, answers: int | None = None) -> Hostile:
    return hostile(c.STORE, c.CT, stream, control, answers)


def moving(stream: bytes, control: bytes = MOVE, answers: int | None = None, to: bytes = b"ARCHIVE2") -> Hostile:
    return hostile(c.MOVE, to, stream, control, answers)


HOSTILE = {
    # Another context
    "C-STORE on Verification": storing(store(1), ECHO),
    "C-STORE of Verification": hostile(c.STORE, c.VERIFICATION, store(1, c.VERIFICATION), ECHO),
    "C-STORE on find": storing(store(5), FIND),
    "C-STORE of find on find": hostile(c.STORE, c.FIND_STUDIES, store(5, c.FIND_STUDIES), FIND),
    "C-STORE on get": storing(store(9), GET),
    "C-STORE on a context that may only receive": storing(store(3), STORED, 1),
    "C-STORE of another class on a storage context": hostile(c.STORE, c.MR, store(3, c.MR), STORE, 1),
    "C-FIND on Verification": hostile(c.FIND, c.FIND_STUDIES, find(1), STORE),
    "C-FIND on storage": hostile(c.FIND, c.FIND_STUDIES, find(3), STORE),
    "C-FIND of storage": hostile(c.FIND, c.CT, find(3, c.CT), STORE),
    "C-FIND of the worklist on find": hostile(c.FIND, c.WORKLIST, find(5, c.WORKLIST), FIND),
    "C-FIND of patients on find": hostile(c.FIND, c.FIND_PATIENTS, find(5, c.FIND_PATIENTS), FIND),
    "C-GET on storage": hostile(c.GET, c.GET_STUDIES, said(3, command_set(c.GET, c.GET_STUDIES)), STORE),
    "C-MOVE on storage": hostile(c.MOVE, b"WS_1", moved(b"WS_1", 3), STORE),
    "C-MOVE on find": moving(moved(b"ARCHIVE2", 5), FIND),
    "N-DELETE on find": hostile(c.DELETE, c.FIND_STUDIES, said(5, command_set(c.DELETE, c.FIND_STUDIES)), FIND),
    "N-EVENT-REPORT on storage": hostile(c.EVENT_REPORT, c.CT, said(3, command_set(c.EVENT_REPORT, c.CT)), STORE),
    # Another destination
    "C-MOVE elsewhere": moving(moved(b"ARCHIVE2"), answers=1),
    "C-MOVE elsewhere as a C string": moving(moved(b"ARCHIVE2\0\0"), answers=1),
    "C-MOVE elsewhere with spaces": moving(moved(b"  ARCHIVE2  "), answers=1),
    "C-MOVE in lower case": moving(moved(b"ws_1"), answers=1, to=b"ws_1"),
    "C-MOVE to a title that only begins so": moving(moved(b"TEACHING2 "), answers=1, to=b"TEACHING2"),
    "C-MOVE to one title and another": moving(moved(b"WS_1\\ARCHIVE2 ")),
    "C-MOVE to another title and one": moving(moved(b"ARCHIVE2\\WS_1 ")),
    "C-MOVE to a title and a NUL": moving(moved(b"ARCHIVE2\0\0WS_1")),
    "C-MOVE to a long title": moving(moved(b"ARCHIVE2".ljust(16) + b"WS_1"), to=b"ARCHIVE2        WS_1"),
    "C-MOVE to nowhere": moving(moved(b""), to=b""),
    "C-MOVE of patients on a context of studies": moving(
        moved(b"ARCHIVE2", sop_class=b"1.2.840.10008.5.1.4.1.2.1.2"), answers=1
    ),
    # Fragments and PDUs
    "fragments of two bytes": moving(in_fragments(7, SET["elsewhere"]) + DATA, answers=1),
    "fragments of two bytes in one PDU": moving(in_fragments(7, SET["elsewhere"], in_one_pdu=True) + DATA, answers=1),
    "fragments of three bytes": moving(in_fragments(7, SET["elsewhere"], 3) + DATA),
    "command and data set in one PDU": moving(
        raw.p_data(raw.pdv(7, SET["elsewhere"], 3), raw.pdv(7, b"data", 2)), answers=1
    ),
    "reserved bits of the message control header": storing(
        one_pdv(3, SET["store"], 0xFF) + raw.p_data(raw.pdv(3, b"data", 0xFE)), STORED, 1
    ),
    "two commands in a PDU": storing(raw.p_data(raw.pdv(1, SET["echo"], 3), raw.pdv(3, SET["store"], 3)), ECHO),
    "two commands in a fragment": storing(one_pdv(1, SET["store"] + SET["echo"]), ECHO),
    "a command on two contexts": storing(
        raw.p_data(raw.pdv(1, SET["store"][:20], 1)) + one_pdv(3, SET["store"][20:]), ECHO
    ),
    "a command inside a data set": storing(FIND[:-16] + one_pdv(5, SET["store"]), FIND),
    "a command of another context inside a data set": storing(FIND[:-16] + one_pdv(3, SET["store"]), FIND),
    "two commands that alternate": storing(
        raw.p_data(raw.pdv(3, SET["store"][:20], 1))
        + raw.p_data(raw.pdv(1, SET["echo"][:20], 1))
        + one_pdv(3, SET["store"][20:])
        + one_pdv(1, SET["echo"][20:]),
        STORED,
    ),
    "a fragment longer than its PDU": storing(raw.p_data(raw.pdv(1, SET["store"], 3, length=1000)), ECHO),
    "a PDU shorter than its fragment": storing(raw.p_data(raw.pdv(1, b"", 3), length=6) + store(3), ECHO),
    "a data set inside a command": storing(
        raw.p_data(raw.pdv(3, SET["store"][:20], 1)) + raw.p_data(raw.pdv(3, b"", 2)) + one_pdv(3, SET["store"][20:]),
        STORED,
    ),
    "a context that was not accepted": storing(store(21), ECHO),
    "a command after a release": storing(ECHO + raw.RELEASE_RQ + store(3), ECHO),
    "a release inside a message": storing(FIND[:-16] + raw.RELEASE_RQ + store(3), FIND),
    # Command sets that can be read in two ways
    "a destination twice, the other one last": moving(altered(7, "elsewhere", 0x0600, b"WS_1", b"ARCHIVE2")),
    "a destination twice, the other one first": moving(altered(7, "elsewhere", 0x0600, b"ARCHIVE2", b"WS_1")),
    "two commands": hostile(c.STORE, c.FIND_STUDIES, altered(5, "find", 0x0100, us(c.STORE), us(c.FIND)), FIND),
    "a Command Field of two values": hostile(
        c.STORE, c.FIND_STUDIES, altered(5, "find", 0x0100, us(c.FIND) + us(c.STORE)), FIND
    ),
    "a destination of another group": moving(
        said(7, with_group_length(SET["move"][12:] + element(0x0600, b"ARCHIVE2", group=8)))
    ),
    "a command before the Command Group Length": storing(
        one_pdv(1, element(0x0100, us(c.STORE)) + element(2, c.uid(c.CT)) + SET["echo"]), ECHO
    ),
    "a command behind the last element": storing(one_pdv(1, SET["echo"] + SET["store"][12:]), ECHO),
    "two SOP classes": hostile(
        c.FIND, c.WORKLIST, said(5, command_set(c.FIND, c.FIND_STUDIES, change={3: c.uid(c.WORKLIST)})), FIND
    ),
    "two SOP classes in a value": hostile(
        c.FIND, c.WORKLIST, said(5, command_set(c.FIND, change={2: c.uid(c.FIND_STUDIES + b"\\" + c.WORKLIST)})), FIND
    ),
    "only the other SOP class": hostile(
        c.FIND, c.WORKLIST, said(5, command_set(c.FIND, change={3: c.uid(c.WORKLIST)})), FIND
    ),
    "no SOP class": hostile(c.FIND, b"", said(5, command_set(c.FIND)), FIND),
    "another Command Field": hostile(0x4001, c.CT, said(3, command_set(0x4001, c.CT, change={0x0800: us(1)})), STORED),
    "explicit VR": storing(one_pdv(1, explicit_vr(SET["store"])), ECHO),
    "explicit VR inside a value": storing(one_pdv(5, hidden_in_explicit_vr()), FIND),
    "big endian": storing(one_pdv(1, big_endian(c.elements_of(c.STORE, c.CT))), ECHO),
    "an odd length": storing(one_pdv(5, hidden_by_an_odd_length()), FIND),
    "a Command Group Length that ends early": moving(
        one_pdv(7, with_group_length(SET["move"][12:], off=-22)) + DATA, to=b""
    ),
    "too long": storing(one_pdv(3, SET["store"][12:] + element(0x2000, bytes(0x4000)) * 4), STORED),
    # Data sets that are promised, or not
    "a C-STORE that says it has no data set": storing(
        one_pdv(3, command_set(c.STORE, c.CT, change={0x0800: us(0x0101)})) + raw.p_data(raw.pdv(3, b"data", 2)), STORED
    ),
    "a C-ECHO that says it has one": storing(
        one_pdv(1, command_set(c.ECHO, c.VERIFICATION, change={0x0800: us(1)})) + store(3), ECHO
    ),
    "a C-FIND whose data set does not come": storing(one_pdv(5, SET["find"]) + store(3), FIND),
    "a command that does not say": storing(one_pdv(3, command_set(c.STORE, c.CT, change={0x0800: None})), STORED),
    # Roles and responses
    "a C-STORE-RSP that asks": storing(
        said(3, command_set(c.STORE | c.RSP, c.CT, change={0x0110: us(7), 0x0700: us(0)})), STORED
    ),
    "a C-FIND-RSP that asks, on storage": hostile(
        c.FIND, c.CT, said(3, command_set(c.FIND | c.RSP, c.CT, change={0x0110: us(7)})), STORE
    ),
    "a C-MOVE-RSP that asks": moving(
        said(7, command_set(c.MOVE | c.RSP, c.MOVE_STUDIES, 7, b"ARCHIVE2", {0x0110: us(7)}))
    ),
    "a C-STORE-RQ that answers": storing(
        said(3, command_set(c.STORE, c.CT, change={0x0120: us(7), 0x0900: us(0)})), STORED
    ),
    # C-CANCEL
    "a C-CANCEL of a refused C-MOVE": hostile(c.CANCEL, b"7", moved(b"ARCHIVE2") + cancel(7), MOVE, 1),
    "a C-CANCEL of it on another context": hostile(c.CANCEL, b"7", moved(b"ARCHIVE2") + cancel(5) * 3, MOVE, 1),
    "a C-CANCEL of a C-STORE": hostile(c.CANCEL, b"7", store(3) + cancel(3), STORED),
    "a C-CANCEL that is a C-MOVE": moving(
        said(7, command_set(c.CANCEL, destination=b"ARCHIVE2", change={0x0100: us(c.CANCEL) + us(c.MOVE)}))
    ),
    "a Message ID that is used again": moving(
        said(5, command_set(c.FIND, c.FIND_STUDIES, 1)) + said(7, command_set(c.MOVE, c.MOVE_STUDIES, 1, b"ARCHIVE2")),
        answers=1,
    ),
}
