"""Which other protocol a peer speaks, by its first bytes.

Most often a port is wrong, or TLS is switched on at one end alone.
"""

from __future__ import annotations

FIRST_BYTES = 16
"""How many bytes tell all of them."""
TLS_HANDSHAKE = b"\x16"
"""RFC 8446 5.1: the content type of a ClientHello's record."""
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x01\x00", "DICOM without TLS"),  # an A-ASSOCIATE-RQ and its reserved byte (PS3.8 table 9-11)
    (TLS_HANDSHAKE + b"\x03", "TLS, and this port takes none"),
    (b"GET ", "HTTP"),
    (b"POST ", "HTTP"),
    (b"HEAD ", "HTTP"),
    (b"PUT ", "HTTP"),
    (b"OPTIONS ", "HTTP"),
    (b"PRI * HTTP/2", "HTTP/2"),
    (b"HTTP/", "HTTP, as a web server"),
    (b"PROXY ", "the PROXY protocol, which this port does not expect"),  # HAProxy's proxy-protocol.txt, 2.1
    (b"\r\n\r\n\0\r\nQUIT\n", "the PROXY protocol, which this port does not expect"),  # 2.2
    (b"\x0b", "HL7 (MLLP)"),  # 0BH begins a block
    (b"MSH|", "HL7"),
    (b"SSH-", "SSH"),  # RFC 4253 4.2
)


def foreign_protocol(start: bytes) -> str:
    """The protocol that a stream begins with, in words for the log; "" if it is none of those that are known here.

    From two bytes on, the first that `start` may become is named, although not all of its signature is there yet.
    """
    for signature, name in _SIGNATURES:
        length = min(len(start), len(signature))
        if length >= min(2, len(signature)) and start[:length] == signature[:length]:
            return name
    return ""
