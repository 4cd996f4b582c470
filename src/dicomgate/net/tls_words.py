"""What went wrong in a TLS handshake, in words for the operator.

They say whose certificate or setting it is, and what to do. In the
tables `{peer}` is "the client" on a listener and "the server" towards an upstream, and `{authorities}` the key of the
file with the authorities that are trusted there.
"""

from __future__ import annotations

from collections.abc import Mapping

_OURS = "{peer} does not accept the gateway's certificate: give it the authority that issued that one"
_OLD = "{peer} has no version of TLS that the gateway takes (1.2 and 1.3): update it"
_SUITES = (
    "{peer} and the gateway have no cipher suite in common: it is too old, or set to another profile (PS3.15 B.12)"
)
_NO_TLS = "{peer} does not speak TLS on this port"
_REASONS: Mapping[str, str] = {
    "TLSV1_ALERT_UNKNOWN_CA": _OURS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "{peer} says that the gateway's certificate has expired: renew it",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "{peer} requires a certificate of the gateway: set certificate and key",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "{peer} sent no certificate, and one is required",
    "NO_SHARED_CIPHER": _SUITES,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _SUITES,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "UNEXPECTED_EOF_WHILE_READING": (
        "{peer} closed the connection in the middle of the handshake: it may not accept the gateway's certificate"
    ),
}
"""By OpenSSL's name of the reason."""
_AUTHORITIES = {"the client": "`client_ca`", "the server": "`ca` (without `ca`, the system's authorities count)"}
_VERIFY: Mapping[str, str] = {
    "certificate has expired": "it has expired: renew it",
    "certificate is not yet valid": "it is not valid yet: look at both clocks",
    "self-signed certificate": "it is self-signed and not trusted here: put it into the file of {authorities}",
    "self-signed certificate in certificate chain": "its root authority is not in the file of {authorities}",
    "unable to get local issuer certificate": (
        "its issuer is not in the file of {authorities}, or {peer} does not send the intermediate certificate"
    ),
    "unsuitable certificate purpose": "it was not issued for this use (extended key usage clientAuth or serverAuth)",
    "unsupported certificate purpose": "it was not issued for this use (extended key usage clientAuth or serverAuth)",
}
"""By OpenSSL's words for the result of a verification."""


def reason_in_words(reason: str, peer: str) -> str:
    """Why a handshake failed. `reason` is OpenSSL's name of it, `peer` "the client" or "the server"."""
    words = _REASONS.get(reason)
    return words.format(peer=peer) if words else (reason or "broken off").lower().replace("_", " ")


def verification_in_words(message: str, peer: str) -> str:
    """Why a certificate does not verify. `message` is OpenSSL's."""
    why = _VERIFY.get(message, message.rstrip(".")).format(peer=peer, authorities=_AUTHORITIES.get(peer, "`ca`"))
    return f"the certificate of {peer} does not verify: {why}"
