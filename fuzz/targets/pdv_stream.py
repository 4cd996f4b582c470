"""The stream of an established association: `PdvStream.walk` (PS3.8 9.3.5 to 9.3.8).

Promise: how much passes, and how it ends, do not depend on how the bytes come; but where a PDU has a wrong header in
its middle, more of it is on its way before that has come. No more than an unfinished header is held back.
"""

from __future__ import annotations

from dicomgate.association.pdv_stream import MOST_HELD, PdvStream
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import PduError

from ..corpora import files
from ..engine import Target
from ..pieces import pieces

_CONTEXTS, _MAXIMUM_LENGTH = (1, 3), 1024


def _run(data: bytes) -> None:
    whole, parts = _forwarded([data]), _forwarded(pieces(data))
    assert whole == parts or (whole[1] == parts[1] and whole[0] <= parts[0])


def _forwarded(came: list[bytes]) -> tuple[int, str]:
    """How many bytes may go on, and how it ends: an error, an abort, or neither."""
    stream, other = PdvStream(_CONTEXTS, _MAXIMUM_LENGTH), PdvStream(_CONTEXTS, _MAXIMUM_LENGTH)
    held, forwarded = b"", 0
    for piece in came:
        held += piece
        stream.more = True
        while stream.more:
            passed = stream.walk(held, len(held), other)
            assert 0 <= passed <= len(held)
            held, forwarded = held[passed:], forwarded + passed
            if isinstance(stream.found, PduError):
                return forwarded, repr(stream.found.answer)
            if stream.aborted is not None:
                return forwarded, repr(stream.aborted)
        assert len(held) <= MOST_HELD
    return forwarded, ""


def _seeds() -> list[bytes]:
    one, two = raw.pdv(1, b"data"), raw.pdv(3, b"more", 3)
    return [
        raw.p_data(one),
        raw.p_data(one, two) + raw.p_data(two),
        raw.p_data(one) + raw.RELEASE_RQ + raw.ABORT,
        raw.p_data(raw.pdv(1, bytes(1000))) + raw.RELEASE_RP,
        *(seed[:4096] for seed in files("dicom-seeds")),
    ]


TARGET = Target(
    "pdv_stream",
    ("dicomgate.association.pdv_stream",),
    _run,
    (),
    _seeds,
    (raw.RELEASE_RQ, raw.ABORT, raw.p_data(raw.pdv(1, b""))),
)
