"""The forms of the identity field, told apart by their first bytes, and the unencrypted part of the AP-REQ in it.

PS3.7 D.3.3.7.1 calls the field a "Kerberos Service ticket". A ticket alone proves nothing, because anyone who saw it
can send it again. An AP-REQ (RFC 4120 5.5.1) does: it holds the ticket and an authenticator made for this login.
It comes raw, in the GSS-API's frame (RFC 2743 3.1, RFC 4121 4.1), or in SPNEGO around that frame (RFC 4178).

Rule: SPNEGO is removed and added here. No library negotiates, so no mechanism but Kerberos can be chosen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum

from . import der
from .errors import NeverGoodError

KERBEROS = bytes.fromhex("06092a864886f712010202")
SPNEGO = bytes.fromhex("06062b0601050502")
_OLD_WINDOWS = bytes.fromhex("06092a864882f712010202")
"""Kerberos, cut to 16 bits: Windows still names it first in SPNEGO (MS-SPNG). The token inside has the right one."""
_ACCEPT_COMPLETED = b"\x0a\x01\x00"
_AP_REQ_FOLLOWS = b"\x01\x00"  # RFC 4121 4.1.1: TOK_ID
_OTHERS = {
    bytes.fromhex("06062b0601050205"): "IAKERB",
    bytes.fromhex("060a2b06010401823702021e"): "NegoEx",
    bytes.fromhex("060a2b06010401823702020a"): "NTLM",
    _OLD_WINDOWS: "Kerberos with the identifier of old Windows",
}
_APPLICATIONS = {0x61: "a bare Ticket, which proves nothing: anyone who saw it can send it again", 0x6B: "an AS-REP",
                 0x6D: "a TGS-REP", 0x6F: "an AP-REP", 0x74: "a KRB-SAFE", 0x75: "a KRB-PRIV", 0x76: "a KRB-CRED",
                 0x7E: "a KRB-ERROR"}  # fmt: skip


class Form(Enum):
    """How an AP-REQ came."""

    RAW = "AP-REQ"
    GSS = "GSS-API token"
    SPNEGO = "SPNEGO token"


@dataclass(frozen=True, slots=True)
class ApReq:
    """The unencrypted part of an AP-REQ: none of it is verified yet.

    `ap_req` is the AP-REQ itself, `token` the GSS-API token around it, if any, `mechanism` the one that SPNEGO named,
    `service` the principal that the ticket is for, `encryption` the types of the ticket and the authenticator.
    """

    form: Form
    mechanism: bytes = field(repr=False)
    token: bytes = field(repr=False)
    ap_req: bytes = field(repr=False)
    service: str
    encryption: frozenset[int]
    authenticator: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """A digest of the encrypted authenticator, which differs in every honest login."""
        return hashlib.sha256(self.authenticator).hexdigest()

    def in_its_form(self, answer: bytes) -> bytes:
        """The answer as the client expects it: in SPNEGO if its token came in SPNEGO."""
        if self.form is not Form.SPNEGO:
            return answer
        # RFC 4178 4.2.2: NegTokenResp [1] SEQUENCE { negState [0], supportedMech [1], responseToken [2] }.
        fields = der.write(0xA0, _ACCEPT_COMPLETED) + der.write(0xA1, self.mechanism)
        if answer:
            fields += der.write(0xA2, der.write(0x04, answer))
        return der.write(0xA1, der.write(0x30, fields))


def read_field(data: bytes) -> ApReq:
    """The AP-REQ in the primary field of an identity of type 3. Raises NeverGoodError."""
    try:
        return _unwrap(data)
    except der.DerError as error:
        raise NeverGoodError(f"malformed: {error}") from None


def _unwrap(data: bytes) -> ApReq:
    if data[:8] == b"NTLMSSP\0":
        raise NeverGoodError("NTLM")
    tag = data[0] if data else -1
    if tag == 0x6E:
        return _read_ap_req(Form.RAW, b"", b"", data)
    if tag != 0x60:
        raise NeverGoodError(_APPLICATIONS.get(tag, "not a Kerberos message"))
    content = der.read(data, 0x60)
    if content.startswith(KERBEROS):
        return _read_ap_req(Form.GSS, b"", data, _framed(content))
    if not content.startswith(SPNEGO):
        other = next((name for start, name in _OTHERS.items() if content.startswith(start)), "an unknown mechanism")
        raise NeverGoodError(f"a GSS-API token of {other}")
    # RFC 4178 4.2.1: NegTokenInit [0] SEQUENCE { mechTypes [0], reqFlags [1], mechToken [2], mechListMIC [3] }.
    negotiation = der.fields(der.read(der.read(content[len(SPNEGO) :], 0xA0), 0x30))
    mechanisms = der.read(negotiation.get(0, b""), 0x30)
    first = next((one for one in (KERBEROS, _OLD_WINDOWS) if mechanisms.startswith(one)), None)
    if first is None:
        raise NeverGoodError("SPNEGO whose first mechanism is not Kerberos")
    token = der.read(negotiation.get(2, b""), 0x04)
    return _read_ap_req(Form.SPNEGO, first, token, _framed(der.read(token, 0x60)))


def _framed(content: bytes) -> bytes:
    if not content.startswith(KERBEROS + _AP_REQ_FOLLOWS):
        raise NeverGoodError("a GSS-API token of Kerberos without an AP-REQ in it")
    return content[len(KERBEROS) + 2 :]


def _read_ap_req(form: Form, mechanism: bytes, token: bytes, data: bytes) -> ApReq:
    """RFC 4120 5.5.1, 5.3, 5.2.9."""
    request = der.fields(der.read(der.read(data, 0x6E), 0x30))
    if request.keys() != {0, 1, 2, 3, 4} or der.number(request[0]) != 5 or der.number(request[1]) != 14:
        raise NeverGoodError("not an AP-REQ of Kerberos 5")
    ticket = der.fields(der.read(der.read(request[3], 0x61), 0x30))
    if ticket.keys() != {0, 1, 2, 3} or len(der.read(request[2], 0x03)) != 5:
        raise NeverGoodError("not an AP-REQ of Kerberos 5")
    names = der.fields(der.read(ticket[2], 0x30))
    parts = [_text(content) for _, content in der.elements(der.read(names.get(1, b""), 0x30))]
    encrypted, authenticator = (der.fields(der.read(part, 0x30)) for part in (ticket[3], request[4]))
    return ApReq(
        form,
        mechanism,
        token,
        data,
        f"{'/'.join(parts)}@{_text(der.read(ticket[1], 0x1B))}",
        frozenset(der.number(one.get(0, b"")) for one in (encrypted, authenticator)),
        der.read(authenticator.get(2, b""), 0x04),
    )


def _text(content: bytes) -> str:
    """A KerberosString (RFC 4120 5.2.1: IA5), escaped so that it can be logged."""
    return ascii(content.decode("ascii", "backslashreplace"))[1:-1]
