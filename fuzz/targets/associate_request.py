"""A-ASSOCIATE-RQ of a client: `AssociateRequest.parse` (PS3.8 9.3.2).

Promise: it is read or refused with PduError. What was read is what would be written, in UTF-8 or not.
"""

from __future__ import annotations

from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.reject_abort import PduError

from ..corpora import files, vectors
from ..engine import Target


def _run(data: bytes) -> None:
    for fallback_encoding in ("iso-8859-15", None):
        request = AssociateRequest.parse(data, fallback_encoding)
        assert AssociateRequest.parse(request.encode()) == request


def _seeds() -> list[bytes]:
    logins = [raw.rq(raw.login(kind, b"alice", b"secret" * (kind == 2), response=kind % 2)) for kind in range(1, 6)]
    contexts = raw.proposed(1) + raw.proposed(3, raw.item(0x30, raw.VERIFICATION), raw.item(0x40, raw.EXPLICIT))
    return [raw.rq(), raw.rq(context=contexts), *logins, *vectors(), *files("dicom-seeds")]


TARGET = Target(
    "associate_request",
    (
        "dicomgate.wire.associate",
        "dicomgate.wire.items",
        "dicomgate.wire.presentation",
        "dicomgate.wire.user_information",
        "dicomgate.wire.user_identity",
    ),
    _run,
    (PduError,),
    _seeds,
    (raw.item(0x58), raw.login(), raw.proposed(5)),
)
