"""Presentation contexts: proposed by 20H (PS3.8 9.3.2.2), answered by 21H (PS3.8 9.3.3.2)."""

from __future__ import annotations

from typing import NamedTuple

from .items import item, malformed, misplaced, read_uid, short_item, walk

RESULTS = {
    0: "acceptance",
    1: "user-rejection",
    2: "no-reason",
    3: "abstract-syntax-not-supported",
    4: "transfer-syntaxes-not-supported",
}


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
        return self.result == 0

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


def read_proposed(body: bytes) -> ProposedContext:
    """Parse the body of an item 20H. Raises PduError."""
    context_id = _read_id(body)
    abstract_syntax: bytes | None = None
    transfer_syntaxes: list[bytes] = []
    for kind, uid in walk(body, 4, "a presentation context"):
        if kind == 0x40:
            transfer_syntaxes.append(read_uid(uid, "a transfer syntax"))
        elif kind == 0x30:
            if abstract_syntax is not None:
                raise malformed(f"two abstract syntaxes in presentation context {context_id}")
            abstract_syntax = read_uid(uid, "an abstract syntax")
        else:
            misplaced(kind, "a presentation context")
    if abstract_syntax is None:
        raise malformed(f"no abstract syntax in presentation context {context_id}")
    if not transfer_syntaxes:
        raise malformed(f"no transfer syntax in presentation context {context_id}")
    return ProposedContext(context_id, abstract_syntax, tuple(transfer_syntaxes))


def read_answered(body: bytes) -> AnsweredContext:
    """Parse the body of an item 21H. Raises PduError."""
    context_id = _read_id(body)
    result = body[2]
    if result not in RESULTS:
        raise malformed(f"result {result} for presentation context {context_id}")
    transfer_syntax = b""
    for kind, uid in walk(body, 4, "an answered presentation context"):
        if kind != 0x40:
            misplaced(kind, "an answered presentation context")
        elif result == 0:
            if transfer_syntax:
                raise malformed(f"two transfer syntaxes for presentation context {context_id}")
            transfer_syntax = read_uid(uid, "a transfer syntax")
        # PS3.8 9.3.3.2: of a context that is not accepted the transfer syntax "shall not be significant".
    if result == 0 and not transfer_syntax:
        raise malformed(f"no transfer syntax for accepted presentation context {context_id}")
    return AnsweredContext(context_id, result, transfer_syntax)
