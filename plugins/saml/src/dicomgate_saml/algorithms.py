"""The algorithms of XML Signature and XML Encryption by their URIs: those accepted, and the names of others.

Rule: a refusal names the algorithm and what the identity provider must be set to, because it is set there and not here.
"""

from __future__ import annotations

from dicomgate.kit.text import quoted

from .document import DSIG, XENC, RefusedError

XENC11 = "http://www.w3.org/2009/xmlenc11#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_DSIG, _XENC = DSIG[1:-1], XENC[1:-1]

CONTENT = {f"{XENC11}aes{bits}-gcm": bits // 8 for bits in (256, 192, 128)}
"""Accepted for the content -> the bytes of the key. CBC is not: who can try forgeries learns the content from it."""
OAEP, OAEP_MGF1P = f"{XENC11}rsa-oaep", f"{_XENC}rsa-oaep-mgf1p"
"""Accepted for the content's key. PKCS #1 v1.5 is not, for the same reason."""
SIGNATURES = frozenset(
    f"{MORE}{kind}-{hashed}" for kind in ("rsa", "ecdsa") for hashed in ("sha256", "sha384", "sha512")
)

INSTEAD_OF_ENCRYPTION = "AES-GCM with RSA-OAEP"
INSTEAD_OF_SIGNATURE = "RSA or ECDSA with SHA-256"

_NAMES = {
    **{f"{_XENC}aes{bits}-cbc": f"AES-{bits}-CBC" for bits in (128, 192, 256)},
    f"{_XENC}tripledes-cbc": "Triple DES in CBC mode",
    f"{_XENC}rsa-1_5": "RSA PKCS #1 v1.5",
    **{f"{_XENC}kw-aes{bits}": f"an AES-{bits} key that both sides share" for bits in (128, 192, 256)},
    f"{_XENC}kw-tripledes": "a Triple DES key that both sides share",
    f"{_DSIG}rsa-sha1": "RSA and SHA-1",
    f"{_DSIG}dsa-sha1": "DSA and SHA-1",
    f"{_DSIG}hmac-sha1": "HMAC and SHA-1, a secret",
    f"{MORE}rsa-md5": "RSA and MD5",
    f"{MORE}ecdsa-sha1": "ECDSA and SHA-1",
    f"{MORE}hmac-sha256": "HMAC and SHA-256, a secret",
    f"{_DSIG}sha1": "SHA-1",
    f"{MORE}md5": "MD5",
    **{
        f"http://www.w3.org/2007/05/xmldsig-more#sha{bits}-rsa-MGF1": f"RSA-PSS and SHA-{bits}"
        for bits in (256, 384, 512)
    },
}


def not_accepted(what: str, algorithm: str | None, instead: str) -> RefusedError:
    """The refusal of this algorithm (its URI, None for none) for `what`, with what to set the provider to `instead`."""
    name = _NAMES.get(algorithm or "")
    called = f"{name} ({algorithm})" if name else "no algorithm" if algorithm is None else quoted(algorithm)
    return RefusedError(f"{what} {called}, which is not accepted: set the identity provider to {instead}")
