"""Metadata of an identity provider, every part changed at will; not signed, for `mint.sign` to sign."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from plugins.saml.tests.mint import DSIG_NAMESPACE, ISSUER, PROTOCOL_NAMESPACE, RSA, Signer, at

METADATA_NAMESPACE = "urn:oasis:names:tc:SAML:2.0:metadata"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


def key(*keys: Signer, use: str | None = "signing") -> str:
    """A KeyDescriptor; several keys are a chain: first the key's certificate, then those of its authorities."""
    return described("".join(f"<ds:X509Certificate>{one.base64}</ds:X509Certificate>" for one in keys), use)


def described(certificates: str, use: str | None = "signing") -> str:
    """A KeyDescriptor with this XML in its X509Data."""
    known = "" if use is None else f' use="{use}"'
    info = f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>"
    return f"<md:KeyDescriptor{known}>{info}</md:KeyDescriptor>"


def provider(*keys: str, protocols: str = PROTOCOL_NAMESPACE, until: float | str | None = None) -> str:
    known = "" if until is None else f' validUntil="{at(until)}"'
    return (
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{protocols}"{known}>{"".join(keys)}'
        f'<md:SingleSignOnService Binding="{REDIRECT}" Location="https://idp.hospital.example/sso"/>'
        "</md:IDPSSODescriptor>"
    )


def metadata(
    *keys: Signer | str, issuer: str = ISSUER, until: float | str | None = None, id: str | None = None,  # noqa: A002
    providers: Sequence[str] = (), before: str = "", more: str = "",
) -> bytes:  # fmt: skip
    """An EntityDescriptor with an IDPSSODescriptor of these keys, each for signing; or with these `providers`."""
    descriptors = [one if isinstance(one, str) else key(one) for one in keys or (RSA,)]
    known = "" if until is None else f' validUntil="{at(until)}"'
    return (
        f'<md:EntityDescriptor xmlns:md="{METADATA_NAMESPACE}" xmlns:ds="{DSIG_NAMESPACE}"'
        f' ID="{id or f"_{secrets.token_hex(16)}"}" entityID="{issuer}"{known}>{before}'
        f"{''.join(providers or [provider(*descriptors)])}{more}</md:EntityDescriptor>"
    ).encode()
