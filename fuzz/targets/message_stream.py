"""The stream of a client whose messages are judged: `MessageStream` and `Operations`.

Promise: what the PACS gets, what the client gets, and whether it is over do not depend on how the bytes come; but of a
message that passes, more is on its way before what is wrong with it has come.
"""

from __future__ import annotations

from dicomgate.association import effects as do
from dicomgate.testing import raw
from tests.association.conversation import CLIENT, UPSTREAM
from tests.rights.hostile import ECHO, FIND, HOSTILE, MOVE, STORE, cancel
from tests.rights.limited import VIEWER, Limited

from ..engine import Target
from ..pieces import pieces


def _run(data: bytes) -> None:
    whole, parts = _sent([data]), _sent(pieces(data))
    assert whole == parts or (
        whole[2] == parts[2] == "close" and parts[0].startswith(whole[0]) and whole[1] == parts[1]
    )


def _sent(came: list[bytes]) -> tuple[bytes, bytes, str]:
    """What the PACS gets and what the client gets, and whether it is over."""
    talk = Limited(VIEWER, 128)
    for piece in came:
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
    "message_stream",
    ("dicomgate.association.message_stream", "dicomgate.rights.operations"),
    _run,
    (),
    _seeds,
    (ECHO, STORE, raw.RELEASE_RQ, raw.ABORT, raw.p_data(raw.pdv(3, b"", 1))),
)
