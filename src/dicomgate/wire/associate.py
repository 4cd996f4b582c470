"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3): strict parse to a value, canonical encode.

For every legal PDU, `parse(encode(value)) == value`; and encode(parse(pdu)) is the PDU that is sent on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import TypeVar

from ..contract import Identity
from ..kit.text import is_ae_title
from .items import item, malformed, misplaced, read_uid, short_item, walk
from .pdu import HEADER, SHORTEST_ASSOCIATE
from .presentation import AnsweredContext, ProposedContext, read_answered, read_proposed
from .reject_abort import APPLICATION_CONTEXT, NO_CONTEXT, PROTOCOL_VERSION, PduError
from .user_identity import encode_identity, encode_server_response, read_identity, read_server_response
from .user_information import Negotiation, NegotiationReader

DICOM_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"  # PS3.7 annex A.2.1
_APPLICATION_CONTEXT = short_item(0x10, DICOM_APPLICATION_CONTEXT)
_FIXED = Struct(">BxLH2x32s32x")
_FIRST_ITEM = HEADER.size + SHORTEST_ASSOCIATE
_VERSION_1 = 1


@dataclass(slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ. AE titles are without padding; `identity` is None when there is no sub-item 58H.

    `refused` are the answers to the contexts that were refused alone, and `left_out` is for the log: what was read and
    not taken over. Neither is encoded.
    """

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    negotiation: Negotiation = Negotiation()  # noqa: RUF009 (a named tuple is immutable)
    identity: Identity | None = None
    refused: tuple[AnsweredContext, ...] = field(default=(), compare=False)
    left_out: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(cls, pdu: bytes, fallback_encoding: str | None = None) -> AssociateRequest:
        """From a whole PDU, header included. Raises PduError with the answer that PS3.8 has for the mistake."""
        _check_version(pdu)
        called, calling = _read_ae_titles(pdu[10:42])
        contexts: dict[int, ProposedContext | AnsweredContext] = {}
        left_out: list[str] = []
        identity: Identity | None = None
        reader = NegotiationReader(left_out)
        for kind, body in _user_information(pdu, contexts, left_out, 0x20, read_proposed):
            if kind == 0x58:
                if identity is not None:
                    raise malformed("two user identity sub-items")
                identity = read_identity(body, fallback_encoding)
            elif 0x51 <= kind <= 0x57:
                reader.read(kind, body)
            else:
                misplaced(kind, "the user information of an A-ASSOCIATE-RQ")
        proposed = tuple(context for context in contexts.values() if isinstance(context, ProposedContext))
        refused = tuple(context for context in contexts.values() if isinstance(context, AnsweredContext))
        if not proposed:
            raise PduError(f"no presentation context is left: {'; '.join(left_out)}", NO_CONTEXT)
        return cls(called, calling, proposed, reader.negotiation(), identity, refused, tuple(left_out))

    def encode(self) -> bytes:
        """The whole PDU, canonical. Raises DoesNotFit."""
        user_information = self.negotiation.encode()
        if self.identity is not None:
            user_information += encode_identity(self.identity)
        return _encode(0x01, self.called_ae_title, self.calling_ae_title, self.contexts, user_information)


@dataclass(slots=True)
class AssociateAccept:
    """An A-ASSOCIATE-AC. `server_response` is the content of sub-item 59H, None when there is none.

    `left_out` is for the log: what was read and not taken over.
    """

    contexts: tuple[AnsweredContext, ...]
    negotiation: Negotiation = Negotiation()  # noqa: RUF009 (a named tuple is immutable)
    server_response: bytes | None = field(default=None, repr=False)
    left_out: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(cls, pdu: bytes) -> AssociateAccept:
        """From a whole PDU, header included. Raises PduError."""
        _check_version(pdu)
        contexts: dict[int, AnsweredContext] = {}
        left_out: list[str] = []
        server_response: bytes | None = None
        reader = NegotiationReader(left_out)
        for kind, body in _user_information(pdu, contexts, left_out, 0x21, read_answered):
            if kind == 0x59:
                if server_response is not None:
                    raise malformed("two server responses")
                server_response = read_server_response(body)
            elif 0x51 <= kind <= 0x56:
                reader.read(kind, body)
            elif kind != 0x57:  # which informs the acceptor alone (PS3.7 D.3.3.6), whoever repeats it
                misplaced(kind, "the user information of an A-ASSOCIATE-AC")
        return cls(tuple(contexts.values()), reader.negotiation(), server_response, tuple(left_out))

    def encode(self, request: AssociateRequest) -> bytes:
        """The whole PDU, canonical, as the answer to `request`. Raises DoesNotFit.

        PS3.8 table 9-17: the AE titles "shall be sent with a value identical to the value received in the same
        field of the A-ASSOCIATE-RQ PDU, but its value shall not be tested when received".
        """
        user_information = self.negotiation.encode()
        if self.server_response is not None:
            user_information += encode_server_response(self.server_response)
        return _encode(0x02, request.called_ae_title, request.calling_ae_title, self.contexts, user_information)


_Context = TypeVar("_Context", bound=ProposedContext | AnsweredContext)


def _user_information(
    pdu: bytes,
    contexts: dict[int, _Context],
    left_out: list[str],
    context_item: int,
    read: Callable[[bytes, list[str]], _Context],
) -> Iterator[tuple[int, bytes]]:
    """Walk the variable items, fill `contexts`, return the sub-items of 50H. Nothing may be missing or double."""
    application_context: bytes | None = None
    user_information: bytes | None = None
    for kind, body in walk(pdu, _FIRST_ITEM, "the PDU"):
        if kind == context_item:
            context = read(body, left_out)
            if context.id in contexts:
                raise malformed(f"two presentation contexts have the id {context.id}")
            contexts[context.id] = context
        elif kind == 0x50:
            if user_information is not None:
                raise malformed("two user information items")
            user_information = body
        elif kind == 0x10:
            if application_context is not None:
                raise malformed("two application context items")
            application_context = read_uid(body, "the application context")
        else:
            misplaced(kind, "the PDU")
    if application_context is None:
        raise malformed("no application context")
    if application_context != DICOM_APPLICATION_CONTEXT:
        message = f"the application context is {application_context.decode()}, not DICOM's"
        raise PduError(message, APPLICATION_CONTEXT)
    if not contexts:
        raise malformed("no presentation context")
    if user_information is None:
        raise malformed("no user information")
    return walk(user_information, 0, "the user information")


def _check_version(pdu: bytes) -> None:
    if len(pdu) < _FIRST_ITEM:
        raise malformed(f"an A-ASSOCIATE PDU of {len(pdu)} bytes")
    # PS3.8 9.3.2: bit 0 says version 1; "a receiver ... shall only test that this bit is set".
    if not pdu[7] & _VERSION_1:
        raise PduError(f"protocol version {pdu[6] << 8 | pdu[7]} is not supported", PROTOCOL_VERSION)


@lru_cache(maxsize=512)
def _read_ae_titles(fields: bytes) -> tuple[str, str]:
    """Called and calling AE title, from 16 bytes each. Cached, because requests have the same few pairs."""
    return _read_ae_title(fields[:16], "called"), _read_ae_title(fields[16:], "calling")


def _read_ae_title(field: bytes, which: str) -> str:
    # PS3.5 table 6.2-1: spaces at either end are not significant. Some write the field as a C string, with NULs behind
    # the title; only NULs and spaces, since of "A\0B" one reader takes "A" and another all of it.
    title = field.rstrip(b"\0 ").lstrip(b" ").decode("latin-1")
    if not is_ae_title(title):
        raise malformed(
            f"the {which} AE title {field!r} is not valid: 1 to 16 ASCII characters, no backslash, "
            "no control character; change it on the device"
        )
    return title


def _encode(
    kind: int,
    called: str,
    calling: str,
    contexts: tuple[ProposedContext, ...] | tuple[AnsweredContext, ...],
    user_information: bytearray,
) -> bytes:
    body = bytearray(_APPLICATION_CONTEXT)
    for context in contexts:
        body += context.encode()
    body += item(0x50, user_information)
    length = SHORTEST_ASSOCIATE + len(body)
    return _FIXED.pack(kind, length, _VERSION_1, _ae_title_fields(called, calling)) + body


@lru_cache(maxsize=512)
def _ae_title_fields(called: str, calling: str) -> bytes:
    return f"{called:16}{calling:16}".encode("ascii")
