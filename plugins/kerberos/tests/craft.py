"""AP-REQs made by hand, with the service's own key: what no honest KDC would issue, and to the second (RFC 4120 5).

Only the encryption is libkrb5's. The time is the system's, moved by `at`, `starts` and `ends`.
"""

from __future__ import annotations

import ctypes
import secrets
import struct
import time
from collections.abc import Callable
from ctypes import Structure, byref, c_int32, c_uint, c_void_p
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dicomgate.testing.kdc import REALM, SERVICE
from dicomgate_kerberos.libkrb5 import _Data, _EncData

AES128, AES256, RC4, DES = 17, 18, 23, 3
SIZES = {AES128: 16, AES256: 32, RC4: 16}
ALICE = f"alice@{REALM}"
MUTUAL, DELEGATE, DCE_STYLE = 2, 1, 0x1000  # RFC 4121 4.1.1.1, RFC 4757 7.1
INVALID, TRANSIT_CHECKED = 0x01000000, 0x00080000  # RFC 4120 5.3: the bits 7 and 12 of the flags
_TICKET_PART, _AUTHENTICATOR = 2, 11  # RFC 4120 7.5.1: what a key is used for
_CRYPTO = ctypes.CDLL("libk5crypto.so.3")
GSS_KERBEROS = bytes.fromhex("06092a864886f712010202")


@dataclass(frozen=True)
class Key:
    """A key, and for which encryption."""

    encryption: int
    value: bytes


def new_key(encryption: int = AES256) -> Key:
    return Key(encryption, secrets.token_bytes(SIZES[encryption]))


def write_keytab(path: Path, *keys: tuple[str, int, Key]) -> Path:
    """A keytab (MIT's file format, version 2) with principal, version and key of each."""
    data = b"\x05\x02"
    for principal, version, key in keys:
        name, _, realm = principal.rpartition("@")
        parts = name.split("/")
        texts = b"".join(struct.pack(">H", len(text)) + text.encode() for text in (realm, *parts))
        about = struct.pack(">IIBHH", 1, 0, version & 0xFF, key.encryption, len(key.value))
        record = struct.pack(">H", len(parts)) + texts + about + key.value + struct.pack(">I", version)
        data += struct.pack(">i", len(record)) + record
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


def ap_req(
    key: Key,
    *,
    version: int = 1,
    service: str = SERVICE,
    client: str = ALICE,
    says: str | None = None,
    flags: int = TRANSIT_CHECKED,
    starts: float = -60,
    ends: float = 3600,
    at: float = 0,
    session: int = AES256,
    ticket_type: int | None = None,
    mutual: bool = True,
    gss_flags: int = MUTUAL,
    bindings: bytes = bytes(16),
    delegated: bytes = b"",
) -> bytes:
    """An AP-REQ. `says`: the client of the authenticator, if another; `at`: when that was made, from now."""
    now = int(time.time())
    session_key = new_key(session)
    ticket_part = tlv(
        0x63,
        sequence(
            tlv(0x03, b"\0" + struct.pack(">I", flags)),
            sequence(integer(session), octets(session_key.value)),
            *named(client),
            sequence(integer(1), octets(b"")),
            moment(now + min(starts, -60)),
            moment(now + starts),
            moment(now + ends),
        ),
    )
    ticket = tlv(
        0x61,
        sequence(
            integer(5),
            *named(service),
            encrypted(key, _TICKET_PART, ticket_part, version=version, stated=ticket_type),
        ),
    )
    checksum = struct.pack("<I", 16) + bindings + struct.pack("<I", gss_flags)
    if delegated:
        checksum += struct.pack("<HH", 1, len(delegated)) + delegated
    made = time.time() + at
    authenticator = tlv(
        0x62,
        sequence(
            integer(5),
            *named(says or client),
            sequence(integer(0x8003), octets(checksum)),
            integer(100_000 + int(made % 1 * 800_000)),  # always of the same length
            moment(int(made)),
        ),
    )
    options = b"\0" + struct.pack(">I", 0x20000000 if mutual else 0)
    sealed = encrypted(session_key, _AUTHENTICATOR, authenticator)
    return tlv(0x6E, sequence(integer(5), integer(14), tlv(0x03, options), ticket, sealed))


def framed(ap_req: bytes, mechanism: bytes = GSS_KERBEROS, identifier: bytes = b"\x01\x00") -> bytes:
    """The initial token of the GSS-API around it (RFC 2743 3.1)."""
    return tlv(0x60, mechanism + identifier + ap_req)


def negotiated(token: bytes, *mechanisms: bytes) -> bytes:
    """SPNEGO around it (RFC 4178 4.2.1)."""
    choice = tlv(0x30, b"".join(mechanisms or (GSS_KERBEROS,)))
    return tlv(0x60, bytes.fromhex("06062b0601050502") + tlv(0xA0, sequence(choice, None, octets(token))))


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes, "gss": framed, "spnego": lambda ap_req: negotiated(framed(ap_req)),
}  # fmt: skip
"""The forms in which an AP-REQ can come."""


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 + len(length))) + length + content


octets = partial(tlv, 0x04)


def sequence(*fields: bytes | None) -> bytes:
    """A SEQUENCE with each field below its tag [0], [1], ...; None leaves one out."""
    return tlv(0x30, b"".join(tlv(0xA0 + number, field) for number, field in enumerate(fields) if field is not None))


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def text(value: str) -> bytes:
    return tlv(0x1B, value.encode())


def moment(seconds: float) -> bytes:
    return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def named(principal: str) -> tuple[bytes, bytes]:
    """The realm and the name of a principal."""
    name, _, realm = principal.rpartition("@")
    return text(realm), sequence(integer(1), tlv(0x30, b"".join(map(text, name.split("/")))))


class _Block(Structure):
    _fields_ = (("magic", c_int32), ("enctype", c_int32), ("length", c_uint), ("contents", c_void_p))


def encrypted(key: Key, usage: int, plain: bytes, *, version: int | None = None, stated: int | None = None) -> bytes:
    """EncryptedData (RFC 4120 5.2.9); `stated` is another encryption than the true one."""
    value, source = ctypes.create_string_buffer(key.value), ctypes.create_string_buffer(plain, len(plain))
    target = ctypes.create_string_buffer(len(plain) + 100)
    block = _Block(0, key.encryption, len(key.value), ctypes.cast(value, c_void_p))
    data = _Data(0, len(plain), ctypes.cast(source, c_void_p))
    sealed = _EncData(0, 0, 0, _Data(0, len(target), ctypes.cast(target, c_void_p)))
    assert _CRYPTO.krb5_c_encrypt(None, byref(block), usage, None, byref(data), byref(sealed)) == 0
    number = None if version is None else integer(version)
    return sequence(integer(stated or key.encryption), number, octets(target.raw[: sealed.ciphertext.length]))
