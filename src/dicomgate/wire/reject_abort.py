"""A-ASSOCIATE-RJ (PS3.8 table 9-21), A-ABORT (table 9-26), and the error that carries one.

The constants at the end of this file are all that a refused peer ever learns.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import DicomgateError

_RESULTS = {1: "rejected-permanent", 2: "rejected-transient"}
_SOURCES = {
    1: "DICOM UL service-user",
    2: "DICOM UL service-provider (ACSE)",
    3: "DICOM UL service-provider (Presentation)",
}
_REASONS = {
    (1, 1): "no-reason-given",
    (1, 2): "application-context-name-not-supported",
    (1, 3): "calling-AE-title-not-recognized",
    (1, 7): "called-AE-title-not-recognized",
    (2, 1): "no-reason-given",
    (2, 2): "protocol-version-not-supported",
    (3, 1): "temporary-congestion",
    (3, 2): "local-limit-exceeded",
}
_ABORT_SOURCES = {0: "DICOM UL service-user", 2: "DICOM UL service-provider"}
_ABORT_REASONS = {
    0: "reason-not-specified",
    1: "unrecognized-PDU",
    2: "unexpected-PDU",
    4: "unrecognized-PDU-parameter",
    5: "unexpected-PDU-parameter",
    6: "invalid-PDU-parameter-value",
}


class AssociateReject(NamedTuple):
    """An A-ASSOCIATE-RJ PDU: its three codes."""

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        """The whole PDU, 10 bytes (PS3.8 9.3.4)."""
        return bytes((3, 0, 0, 0, 0, 4, 0, self.result, self.source, self.reason))

    def __str__(self) -> str:
        words = (
            _RESULTS.get(self.result, "reserved"),
            _SOURCES.get(self.source, "reserved"),
            _REASONS.get((self.source, self.reason), "reserved"),
        )
        return f"A-ASSOCIATE-RJ {self.result},{self.source},{self.reason} ({', '.join(words)})"


class Abort(NamedTuple):
    """An A-ABORT PDU: who aborts, and why."""

    source: int
    reason: int

    def encode(self) -> bytes:
        """The whole PDU, 10 bytes (PS3.8 9.3.8)."""
        return bytes((7, 0, 0, 0, 0, 4, 0, 0, self.source, self.reason))

    def __str__(self) -> str:
        source = _ABORT_SOURCES.get(self.source, "reserved")
        # PS3.8 table 9-26: the reason is significant only when the service-provider aborts.
        reason = f", {_ABORT_REASONS.get(self.reason, 'reserved')}" if self.source == 2 else ""
        return f"A-ABORT {self.source},{self.reason} ({source}{reason})"


Refusal = AssociateReject | Abort


class PduError(DicomgateError):
    """The peer sent bytes that PS3.8 or PS3.7 does not allow; `answer` is the PDU that tells it so.

    The message is for the log. It may quote claimed values such as AE titles, but never a secret.
    """

    def __init__(self, message: str, answer: Refusal) -> None:
        self.answer = answer
        super().__init__(message)


class NotDicom(PduError):
    """The peer speaks another protocol."""


def decode_refusal(pdu: bytes | bytearray) -> Refusal:
    """From a whole A-ASSOCIATE-RJ or A-ABORT PDU of 10 bytes; values that the standard reserves are kept."""
    return AssociateReject(pdu[7], pdu[8], pdu[9]) if pdu[0] == 3 else Abort(pdu[8], pdu[9])


def known(refusal: Refusal) -> Refusal:
    """The same with codes that the standard knows: what a peer sent, as it may be passed on (PS3.8 9.3.4, 9.3.8).

    Unknown results become permanent. Unknown reasons become none given: of their source, if that may give none;
    otherwise of the service-user in a rejection, and of the service-provider in an abort.
    """
    if isinstance(refusal, Abort):
        # PS3.8 table 9-26: with another source than the service-provider the reason "shall not be significant".
        if refusal.source == 2 and refusal.reason in _ABORT_REASONS:
            return refusal
        return Abort(0 if refusal.source == 0 else 2, 0)
    result = refusal.result if refusal.result in _RESULTS else 1
    if (refusal.source, refusal.reason) in _REASONS:
        return refusal._replace(result=result)
    return AssociateReject(result, 2 if refusal.source == 2 else 1, 1)


TRANSIENT = 2
"""The result of a rejection that need not be one the next time (PS3.8 table 9-21)."""
REFUSED_IDENTITY = AssociateReject(1, 2, 1)
"""The one answer to every identity that is not admitted: it does not tell the reasons apart."""
TRY_LATER = AssociateReject(2, 2, 1)
PROTOCOL_VERSION = AssociateReject(1, 2, 2)
APPLICATION_CONTEXT = AssociateReject(1, 1, 2)
NO_CONTEXT = AssociateReject(1, 1, 1)
"""The answer to a request of whose presentation contexts none can be read; PS3.8 has no reason of its own for it."""
CALLING_AE_TITLE = AssociateReject(1, 1, 3)
CALLED_AE_TITLE = AssociateReject(1, 1, 7)
LOCAL_LIMIT = AssociateReject(2, 3, 2)
CONGESTION = AssociateReject(2, 3, 1)

UNRECOGNIZED_PDU = Abort(2, 1)
UNEXPECTED_PDU = Abort(2, 2)
INVALID_PARAMETER = Abort(2, 6)
NOT_SPECIFIED = Abort(2, 0)
BY_USER = Abort(0, 0)
"""PS3.8 table 9-8, AA-1: the answer to any other PDU while an A-ASSOCIATE-RQ is expected."""
