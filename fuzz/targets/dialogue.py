"""A client with limited rights and its PACS, both of which send whatever they like: what each of them gets.

An input is what one side and the other send in turns, the client first, with `TURN` in between.

Promise: there is no exception. No reading of what the PACS gets, however careless, does what no rule grants. What the
client gets are whole PDUs up to those of the PACS that are under way, and no answer of the gateway's inside a message.
"""

from __future__ import annotations

from itertools import cycle

from dicomgate.association import effects as do
from dicomgate.rights.rule import is_one_of
from dicomgate.testing import raw
from tests.association.conversation import CLIENT, UPSTREAM
from tests.rights.hostile import ECHO, FIND, GET, HOSTILE, MOVE, STORE, STORED, cancel, moved
from tests.rights.limited import VIEWER, Limited, said
from tests.rights.naive_pacs import Done, done_by
from tests.wire import commands as c

from ..engine import Target

TURN = b"\xfe\xed"
_LONGEST = 8_192  # the careless readings take their time


def _run(data: bytes) -> None:
    talk, over = Limited(VIEWER, 256), False
    for side, turn in zip(cycle((CLIENT, UPSTREAM)), data[:_LONGEST].split(TURN), strict=False):
        over = any(isinstance(effect, do.Close) for effect in talk.send(side, turn))
        if over:
            break
    beyond = {done for done in done_by(bytes(talk.received[UPSTREAM])) if not _granted(done)}
    assert not beyond, beyond
    _check_messages(bytes(talk.received[CLIENT]), over=over)


def _granted(done: Done) -> bool:
    command, detail = done
    if command == c.MOVE:
        return is_one_of(detail, ("WS_*", "TEACHING"))
    granted = {c.ECHO: c.VERIFICATION, c.FIND: c.FIND_STUDIES, c.GET: c.GET_STUDIES}
    return command == c.CANCEL or granted.get(command, b"").decode() == detail


def _check_messages(stream: bytes, *, over: bool) -> None:
    """Each message's fragments are on one context, the command set's before the data set's."""
    context = 0
    while len(stream) >= 12 and stream[0] == 4:
        length = int.from_bytes(stream[2:6])
        pdvs, stream = stream[6 : 6 + length], stream[6 + length :]
        while len(pdvs) >= 6:
            size, found, control = int.from_bytes(pdvs[:4]), pdvs[4], pdvs[5]
            assert not context or found == context
            context = 0 if control & 3 == 3 and c.element(0x0800, c.us(0x0101)) in pdvs[: 4 + size] else found
            context = 0 if control & 3 == 2 else context
            pdvs = pdvs[4 + size :]
    assert over or not stream or stream[0] in (4, 5, 6)


def _seeds() -> list[bytes]:
    found = said(5, c.command_set(c.FIND | c.RSP, c.FIND_STUDIES, 1, change={0x0800: c.us(1), 0x0900: c.us(0xFF00)}))
    sub_operation = said(3, c.command_set(c.STORE, c.CT, 9))
    return [
        ECHO + TURN + said(1, c.command_set(c.ECHO | c.RSP, c.VERIFICATION, 1)) + TURN + raw.RELEASE_RQ + TURN
        + raw.RELEASE_RP,
        FIND + TURN + found + TURN + cancel(5) + TURN + found,
        GET + TURN + sub_operation + TURN + STORED,
        FIND + TURN + found[:-12] + TURN + STORE + TURN + found[-12:],
        MOVE + moved(b"ARCHIVE2") + TURN + raw.RELEASE_RQ + TURN + raw.ABORT,
        *(case.stream for case in HOSTILE.values() if len(case.stream) < 2000),
    ]  # fmt: skip


TARGET = Target(
    "dialogue",
    (
        "dicomgate.association.established",
        "dicomgate.association.message_stream",
        "dicomgate.rights.operations",
        "dicomgate.wire.dimse",
    ),
    _run,
    (),
    _seeds,
    (TURN, ECHO, STORE, STORED, MOVE, raw.RELEASE_RQ, raw.RELEASE_RP, raw.ABORT, moved(b"ARCHIVE2"), b"ARCHIVE2"),
)
