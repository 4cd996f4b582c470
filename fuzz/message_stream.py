"""The stream of a client whose messages are judged: `MessageStream` and `Operations`, in one piece and in many."""

from __future__ import annotations

from dicomgate.association import effects as do
from dicomgate.testing import raw
from tests.association.conversation import CLIENT, UPSTREAM
from tests.rights.hostile import ECHO, FIND, HOSTILE, MOVE, STORE, cancel
from tests.rights.limited import VIEWER, Limited

from .engine import Target


def _run(data: bytes) -> None:
    whole, single = _sent([data]), _sent([data[at : at + 1] for at in range(len(data))])
    # In pieces, more of a message that passes is on its way before what is wrong with it comes.
    assert whole == single or (
        whole[2] == single[2] == "close" and single[0].startswith(whole[0]) and whole[1] == single[1]
    )


def _sent(pieces: list[bytes]) -> tuple[bytes, bytes, str]:
    """What the PACS gets and what the client gets, and whether it is over."""
    talk = Limited(VIEWER, 128)
    for piece in pieces:
        if any(isinstance(effect, do.Close) for effect in talk.send(CLIENT, piece)):
            return bytes(talk.received[UPSTREAM]), bytes(talk.received[CLIENT]), "close"
    return bytes(talk.received[UPSTREAM]), bytes(talk.received[CLIENT]), ""


def _seeds() -> list[bytes]:
    return [
        ECHO + FIND + MOVE + cancel(7) + raw.RELEASE_RQ,
        STORE + STORE + ECHO,
        *(case.stream for case in HOSTILE.values() if len(case.stream) < 2000),
    ]


TARGET = Target(
    "message_stream", _run, (), _seeds, (ECHO, STORE, raw.RELEASE_RQ, raw.ABORT, raw.p_data(raw.pdv(3, b"", 1)))
)
