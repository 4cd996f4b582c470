"""The PDUs that a client may send before its association is established."""

from __future__ import annotations

from collections.abc import Mapping

from ..wire.pdu import SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.reject_abort import BY_USER

_LONGEST = 262_144
ONLY_ABORT = {PduType.ABORT: SHORT}
"""After its request."""
IGNORED: Mapping[PduType, tuple[int, int]] = {
    kind: (0, _LONGEST) for kind in PduType if kind is not PduType.ASSOCIATE_RQ
}
"""After its refusal: they may come, and nobody looks at them."""


def client_reader(request_limit: int) -> PduReader:
    """Reads a request of at most so many bytes; set `expected` and `out_of_turn` once it is there."""
    # PS3.8 table 9-10, Sta2: an A-ABORT closes the connection (AA-2), any other PDU is answered by AA-1.
    may_come = {PduType.ASSOCIATE_RQ: (SHORTEST_ASSOCIATE, request_limit), PduType.ABORT: SHORT}
    return PduReader(may_come, out_of_turn=BY_USER)
