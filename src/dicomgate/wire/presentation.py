"""Presentation contexts: proposed by 20H (PS3.8 9.3.2.2), answered by 21H (PS3.8 9.3.3.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .items import find_uid, item, malformed, misplaced, short_item, shown_uid, walk
from .reject_abort import PduError

IMPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
"""The transfer syntax of an answer in which it is not significant; every peer knows it (PS3.5 10.1)."""
_MOST_SYNTAXES = 80  # the standard has 59 transfer syntaxes, retired ones included
_REMEMBERED = 2048  # bytes, so that what is remembered is little

RESULTS = {
    0: "acceptance",
    1: "user-rejection",
    2: "no-reason",
    3: "abstract-syntax-not-supported",
    4: "transfer-syntaxes-not-supported",
}
ACCEPTANCE, USER_REJECTION, NO_REASON, ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = 0, 1, 2, 3, 4


class ProposedContext(NamedTuple):
    """Item 20H: an odd id, one abstract syntax, at least one transfer syntax."""

    id: int
    abstract_syntax: bytes
    transfer_syntaxes: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The item, header included."""
        body = bytearray((self.id, 0, 0, 0))
        body += short_item(0x30, self.abstract_syntax)
        for uid in self.transfer_syntaxes:
            body += short_item(0x40, uid)
        return item(0x20, body)


class AnsweredContext(NamedTuple):
    """Item 21H: the result (see `RESULTS`), and the transfer syntax, significant only if accepted."""

    id: int
    result: int
    transfer_syntax: bytes

    @property
    def accepted(self) -> bool:
        """True if P-DATA may flow on this context."""
        return self.result == ACCEPTANCE

    def encode(self) -> bytes:
        """The item, header included."""
        return item(0x21, bytes((self.id, 0, self.result, 0)) + short_item(0x40, self.transfer_syntax))


def _read_id(body: bytes) -> int:
    if len(body) < 4:
        raise malformed(f"a presentation context item of {len(body)} bytes")
    # PS3.8 9.3.2.2: "Presentation-context-ID values shall be odd integers between 1 and 255"
    if not body[0] & 1:
        raise malformed(f"presentation context id {body[0]} is not odd")
    return body[0]


def read_proposed(body: bytes, left_out: list[str]) -> ProposedContext | AnsweredContext:
    """Parse the body of an item 20H. Raises PduError.

    A context that nobody could support, since what it proposes are no UIDs, is refused alone: it is returned as its
    answer, and must not reach the upstream. That, and each transfer syntax that is left out, is added to `left_out`.
    """
    context_id = _read_id(body)
    syntaxes = body[4:]
    try:
        # A client proposes the same again and again.
        read = _remembered_syntaxes if len(syntaxes) <= _REMEMBERED else _read_syntaxes
        abstract_syntax, transfer_syntaxes, wrong = read(syntaxes)
    except PduError as error:
        raise malformed(f"presentation context {context_id}: {error}") from None
    if wrong:
        left_out.append(f"presentation context {context_id}: {wrong}")
    if abstract_syntax is None:
        return AnsweredContext(context_id, ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_VR_LITTLE_ENDIAN)
    if not transfer_syntaxes:
        return AnsweredContext(context_id, TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_VR_LITTLE_ENDIAN)
    return ProposedContext(context_id, abstract_syntax, transfer_syntaxes)


def _read_syntaxes(syntaxes: bytes) -> tuple[bytes | None, tuple[bytes, ...], str]:
    """The abstract syntax, the transfer syntaxes, and what of them is no UID. Raises PduError."""
    abstract_syntax: bytes | None = None
    transfer_syntaxes: list[bytes] = []
    proposed: bytes | None = None
    strange: list[bytes] = []
    for kind, field in walk(syntaxes, 0, "its syntaxes", _MOST_SYNTAXES):
        if kind == 0x40:
            uid = find_uid(field)
            if uid is None:
                strange.append(field)
            else:
                transfer_syntaxes.append(uid)
        elif kind == 0x30:
            if proposed is not None:
                raise malformed("two abstract syntaxes")
            proposed, abstract_syntax = field, find_uid(field)
        else:
            misplaced(kind, "its syntaxes")
    if proposed is None:
        return None, (), "no abstract syntax"
    if abstract_syntax is None:
        return None, (), f"its abstract syntax {shown_uid(proposed)} is not a UID"
    wrong = ""
    if strange:
        every = len(strange) + len(transfer_syntaxes)
        wrong = f"transfer syntaxes that are not UIDs: {len(strange)} of {every}, the first is {shown_uid(strange[0])}"
    elif not transfer_syntaxes:
        wrong = "no transfer syntax"
    return abstract_syntax, tuple(transfer_syntaxes), wrong and f"{wrong} (abstract syntax {abstract_syntax.decode()})"


_remembered_syntaxes = lru_cache(maxsize=512)(_read_syntaxes)


def read_answered(body: bytes, left_out: list[str]) -> AnsweredContext:
    """Parse the body of an item 21H. Raises PduError.

    A result that the standard does not know is no acceptance: it is read as "no reason", and added to `left_out`.
    """
    context_id = _read_id(body)
    result = body[2]
    if result not in RESULTS:
        left_out.append(f"presentation context {context_id}: its result {result}, which the standard does not know")
        result = NO_REASON
    syntaxes = body[4:]
    try:
        read = _remembered_syntax if len(syntaxes) <= _REMEMBERED else _read_syntax
        transfer_syntax = read(syntaxes, result == ACCEPTANCE)
    except PduError as error:
        raise malformed(f"presentation context {context_id}: {error}") from None
    return AnsweredContext(context_id, result, transfer_syntax)


def _read_syntax(syntaxes: bytes, accepted: bool) -> bytes:
    """The transfer syntax of an answer. Raises PduError."""
    transfer_syntax: bytes | None = None
    for kind, field in walk(syntaxes, 0, "its answer", _MOST_SYNTAXES):
        if kind != 0x40:
            misplaced(kind, "its answer")
        elif accepted:
            if transfer_syntax is not None:
                raise malformed("accepted with two transfer syntaxes")
            transfer_syntax = find_uid(field)
            if transfer_syntax is None:
                raise malformed(f"its transfer syntax {shown_uid(field)} is not a UID")
        # PS3.8 9.3.3.2: of a context that is not accepted the transfer syntax "shall not be significant".
    if accepted and transfer_syntax is None:
        raise malformed("accepted without a transfer syntax")
    return transfer_syntax or b""


_remembered_syntax = lru_cache(maxsize=512)(_read_syntax)
