"""The field of a Kerberos login: `read_field`, all that is read before libkrb5 decrypts it (RFC 4120 5.5.1, RFC 4178).

Promise: it is read or refused with NeverGoodError. What libkrb5 gets is part of what came, and the answer to it can be
read.
"""

from __future__ import annotations

from functools import partial

from dicomgate_kerberos import der
from dicomgate_kerberos.errors import NeverGoodError
from dicomgate_kerberos.form import KERBEROS, SPNEGO, Form, read_field

from ..corpora import files
from ..engine import Target


def _run(data: bytes) -> None:
    found = read_field(data)
    assert found.ap_req in data
    assert found.token in data
    assert found.authenticator in found.ap_req
    assert found.service.isprintable()
    assert len(found.fingerprint) == 64
    answer = found.in_its_form(b"answer")
    if found.form is Form.SPNEGO:
        fields = der.fields(der.read(der.read(answer, 0xA1), 0x30))
        assert der.read(fields[2], 0x04) == b"answer"
    else:
        assert answer == b"answer"


def _sequence(*fields: bytes) -> bytes:
    return der.write(0x30, b"".join(der.write(0xA0 + number, one) for number, one in enumerate(fields)))


_number, _octets, _text = partial(der.write, 0x02), partial(der.write, 0x04), partial(der.write, 0x1B)


def _ap_req(*parts: bytes) -> bytes:
    """The form of an AP-REQ for the service of these parts; nothing in it is encrypted."""
    five, sealed = _number(b"\5"), _sequence(_number(b"\x12"), _number(b"\1"), _octets(b"sealed"))
    names = _sequence(_number(b"\1"), der.write(0x30, b"".join(map(_text, parts))))
    ticket = der.write(0x61, _sequence(five, _text(b"HOSPITAL.EXAMPLE"), names, sealed))
    return der.write(0x6E, _sequence(five, _number(b"\x0e"), der.write(0x03, bytes(5)), ticket, sealed))


def _negotiated(token: bytes, *mechanisms: bytes) -> bytes:
    choice = der.write(0xA0, der.write(0x30, b"".join(mechanisms)))
    fields = der.write(0x30, choice + der.write(0xA2, _octets(token)))
    return der.write(0x60, SPNEGO + der.write(0xA0, fields))


_OTHERS = (b"NTLMSSP\0\1\0\0\0", der.write(0x60, bytes.fromhex("060a2b06010401823702020a")), b"\x76\2\1\5")


def _seeds() -> list[bytes]:
    raw = _ap_req(b"dicom", b"gate.hospital.example")
    framed = der.write(0x60, KERBEROS + b"\1\0" + raw)
    both = _negotiated(framed, bytes.fromhex("06092a864882f712010202"), KERBEROS)
    return [raw, framed, _negotiated(framed, KERBEROS), both, *_OTHERS, *files("kerberos-seeds")]


TARGET = Target(
    "kerberos_form",
    ("dicomgate_kerberos.form", "dicomgate_kerberos.der"),
    _run,
    (NeverGoodError,),
    _seeds,
    (KERBEROS, SPNEGO, b"\1\0", _text(b"\x1b\n"), der.write(0xA0, _number(b"\5")), b"\x30\x84", b"\x80"),
)
