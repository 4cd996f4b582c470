"""A-ASSOCIATE-AC of an upstream: `AssociateAccept.parse` (PS3.8 9.3.3).

Promise: it is read or refused with PduError. What was read is what would be written.
"""

from __future__ import annotations

from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.reject_abort import PduError

from ..engine import Target

_REQUEST = AssociateRequest.parse(raw.rq())


def _run(data: bytes) -> None:
    accept = AssociateAccept.parse(data)
    assert AssociateAccept.parse(accept.encode(_REQUEST)) == accept


def _seeds() -> list[bytes]:
    answer = raw.item(0x59, raw.field(b"ticket"))
    refused = raw.answered(1, 3) + raw.answered(3)
    return [raw.ac(), raw.ac(answer), raw.ac(context=refused), raw.ac(raw.item(0x54, raw.field(b"1.2") + b"\1\1"))]


TARGET = Target(
    "associate_accept",
    ("dicomgate.wire.associate", "dicomgate.wire.items", "dicomgate.wire.presentation"),
    _run,
    (PduError,),
    _seeds,
    (raw.item(0x59), raw.answered(5)),
)
