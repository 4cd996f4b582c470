"""A PACS that does what a command says, whatever presentation context it comes on, in each of several readings.

Each reading is one that a real reader has, or that a careless one would have. None of them is the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from struct import error, unpack, unpack_from
from warnings import catch_warnings

from pydicom.filereader import read_dataset

from tests.wire import commands as c

Elements = list[tuple[int, bytes]]
Done = tuple[int, str]
"""A request, and what it acts on: the destination of a C-MOVE, the Message ID of a C-CANCEL, or the SOP class."""
_NAMES = (0x0002, 0x0003)


def done_by(stream: bytes) -> set[Done]:
    """Everything that any reading of this stream of PDUs does."""
    return {
        done
        for by_context in (False, True)
        for command in _commands(stream, by_context)
        for reading in READINGS
        for values in _values(reading(command))
        for done in _done(values)
    }


def _commands(stream: bytes, by_context: bool) -> Iterator[bytes]:
    """What stands in command fragments up to a last one: on any context, or on each context by itself."""
    commands: dict[int, bytes] = {}
    while len(stream) >= 6:
        kind, length = unpack_from(">BxL", stream)
        pdvs, stream = stream[6 : 6 + length], stream[6 + length :]
        while kind == 4 and len(pdvs) >= 6:
            length, context, control = unpack_from(">LBB", pdvs)
            fragment, pdvs = pdvs[6 : 4 + length], pdvs[max(6, 4 + length) :]
            if control & 1:
                key = by_context and context
                commands[key] = commands.get(key, b"") + fragment
                if control & 2:
                    yield commands.pop(key)


def _plain(data: bytes, *, order: str = "<", even: bool = False, groups: bool = False) -> Elements:
    found = []
    while len(data) >= 8:
        group, number, length = unpack_from(order + "HHL", data)
        if not group or groups:
            found.append((number, data[8 : 8 + length]))
        data = data[8 + length + (length & 1 if even else 0) :]
    return [(number, value[::-1] if order == ">" and len(value) == 2 else value) for number, value in found]


def _as_long_as_it_says(data: bytes) -> Elements:
    """Only what the Command Group Length counts."""
    if data[:8] != bytes.fromhex("0000 0000 04000000"):
        return []
    return _plain(data[12 : 12 + unpack("<L", data[8:12])[0]])


def _by_pydicom(data: bytes) -> Elements:
    """It changes to explicit VR where it sees one."""
    with catch_warnings(action="ignore"):
        try:
            found = read_dataset(BytesIO(data), is_implicit_VR=True, is_little_endian=True)
        except Exception:  # noqa: BLE001 (a PACS that cannot read it does nothing)
            return []
    values = [(tag.element, getattr(raw, "value", None)) for tag, raw in found.items() if tag.group == 0]
    return [(element, value) for element, value in values if isinstance(value, bytes)]


READINGS: tuple[Callable[[bytes], Elements], ...] = (
    _plain,
    lambda data: _plain(data, order=">"),
    lambda data: _plain(data, even=True),
    lambda data: _plain(data, groups=True),
    _as_long_as_it_says,
    _by_pydicom,
)


def _values(elements: Elements) -> Iterator[Mapping[int, bytes]]:
    """Of an element that is there twice, the last one counts, or the first one."""
    yield dict(elements)
    yield dict(reversed(elements))


def _done(values: Mapping[int, bytes]) -> Iterator[Done]:
    """What is done, by the first or the last value of a command, a destination or a class, and by either class."""
    try:
        fields = unpack(f"<{len(values[0x0100]) // 2}H", values[0x0100])
    except (KeyError, error):
        return
    for field in {fields[0], fields[-1]} if fields else ():
        request = field & ~c.RSP
        if field == c.CANCEL:
            yield c.CANCEL, str(int.from_bytes(values.get(0x0120, b""), "little"))
        elif field >= c.RSP and 0x0110 not in values:  # what has a Message ID asks for something
            continue
        elif request == c.MOVE:
            for title in _each(values.get(0x0600, b"")):
                yield request, title
        else:
            for uid in [uid for name in _NAMES if name in values for uid in _each(values[name])] or [""]:
                yield request, uid


def _each(value: bytes) -> set[str]:
    """The first and the last one of a list; as a C string, and without what stands behind the sixteenth byte."""
    parts = value.split(b"\\")
    ends = {parts[0], parts[-1]}
    return {text.strip(b"\0 ").decode("latin-1") for end in ends for text in (end, end.split(b"\0")[0])}
