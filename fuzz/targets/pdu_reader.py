"""The stream before the association is established: `PduReader` (PS3.8 9.3.1).

Promise: the PDUs that are cut out, and the answer to what is none, do not depend on how the bytes come.
"""

from __future__ import annotations

from dicomgate.testing import raw
from dicomgate.wire.pdu import SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from dicomgate.wire.reject_abort import PduError

from ..corpora import files
from ..engine import Target
from ..pieces import pieces

_EXPECTED = {
    PduType.ASSOCIATE_RQ: (SHORTEST_ASSOCIATE, 4096),
    PduType.RELEASE_RQ: SHORT,
    PduType.ABORT: SHORT,
}


def _run(data: bytes) -> None:
    assert _read([data]) == _read(pieces(data))


def _read(came: list[bytes]) -> tuple[list[bytes], str]:
    reader = PduReader(_EXPECTED)
    pdus: list[bytes] = []
    for piece in came:
        reader.feed(piece)
        try:
            while (found := reader.next_pdu()) is not None:
                pdus.append(found[1])
        except PduError as error:
            # The message may name what the peer speaks, as far as it has come; the answer is the same.
            return pdus, repr(error.answer)
    return pdus, reader.rest().hex()


def _seeds() -> list[bytes]:
    return [raw.rq(), raw.rq() + raw.RELEASE_RQ, raw.ABORT, b"GET / HTTP/1.1\r\n\r\n", *files("dicom-seeds")]


TARGET = Target(
    "pdu_reader",
    ("dicomgate.wire.pdu", "dicomgate.wire.foreign"),
    _run,
    (),
    _seeds,
    (raw.RELEASE_RQ, raw.ABORT, b"\x16\x03"),
)
