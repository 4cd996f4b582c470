"""The stream of an established association: `PdvStream.walk`, in one piece and in many (PS3.8 9.3.5 to 9.3.8)."""

from __future__ import annotations

from dicomgate.association.pdv_stream import MOST_HELD, PdvStream
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import PduError

from .corpora import files
from .engine import Target

_CONTEXTS, _MAXIMUM_LENGTH = (1, 3), 1024


def _run(data: bytes) -> None:
    whole, single = _forwarded([data]), _forwarded([data[at : at + 1] for at in range(len(data))])
    # In pieces, more of the PDU with the wrong header is on its way before that header comes.
    assert whole == single or (whole[1] == single[1] and whole[0] <= single[0])


def _forwarded(pieces: list[bytes]) -> tuple[int, str]:
    """How many bytes may go on, and how it ends: an error, an abort, or neither."""
    stream, other = PdvStream(_CONTEXTS, _MAXIMUM_LENGTH), PdvStream(_CONTEXTS, _MAXIMUM_LENGTH)
    held, forwarded = b"", 0
    for piece in pieces:
        if not (buffer := held + piece):
            continue
        passed = stream.walk(buffer, len(buffer), other)
        assert 0 <= passed <= len(buffer)
        if isinstance(stream.found, PduError):
            return forwarded + passed, repr(stream.found.answer)
        held, forwarded = buffer[passed:], forwarded + passed
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


TARGET = Target("pdv_stream", _run, (), _seeds, (raw.RELEASE_RQ, raw.ABORT, raw.p_data(raw.pdv(1, b""))))
