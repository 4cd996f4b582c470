"""A pynetdicom association that is being requested -> the attempt that the chain is asked about."""

from __future__ import annotations

import ssl
import struct
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicomgate import Attempt, Peer

_HEAD = struct.Struct(">BBH")
_LENGTH = struct.Struct(">H")


def attempt_of(association: Any, listener: str) -> Attempt:
    """The attempt, without its identity."""
    requestor, acceptor = association.requestor, association.acceptor
    primitive = requestor.primitive
    return Attempt(
        id=token_hex(6),
        identity=None,
        calling_ae_title=primitive.calling_ae_title.strip(),
        called_ae_title=primitive.called_ae_title.strip(),
        peer=Peer(requestor.address, requestor.port, _certificate(association)),
        listener=listener,
        abstract_syntaxes=tuple(dict.fromkeys(str(one.abstract_syntax) for one in requestor.requested_contexts)),
        time=datetime.now(UTC),
        arrived_at=(acceptor.address, acceptor.port),
        request=lambda: bytes(A_ASSOCIATE_RQ(primitive).encode()),
    )


def user_identity_of(association: Any) -> bytes | None:
    """The content of sub-item 58H (PS3.7 table D.3-14) as the client sent it; None if there is none."""
    item = association.requestor.user_identity
    if item is None:
        return None
    primary, secondary = item.primary_field or b"", item.secondary_field or b""
    head = _HEAD.pack(item.user_identity_type, item.positive_response_requested, len(primary))
    return head + primary + _LENGTH.pack(len(secondary)) + secondary


def is_secured(association: Any) -> bool:
    """True if the connection is TLS."""
    return isinstance(_socket(association), ssl.SSLSocket)


def _certificate(association: Any) -> bytes | None:
    # There is a client certificate only if the server's SSLContext asks for one, and then TLS has verified it.
    connection = _socket(association)
    return connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None


def _socket(association: Any) -> object:
    return association.acse.socket.socket
