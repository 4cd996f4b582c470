"""The gateway's own metadata, for registration at an identity provider (saml-metadata-2.0-os 2.4.4).

The schema requires a binding and there is none for DICOM, so HTTP-POST is given. Its Location is the Recipient that
assertions must have; nothing is ever posted there.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from .document import DSIG, METADATA, SAMLP, Element

_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def write_metadata(entity_id: str, recipient: str, certificate: bytes | None) -> str:
    """The EntityDescriptor of a service provider. `certificate` (PEM) is that of its key to decrypt and sign."""
    names = {None: METADATA[1:-1], "ds": DSIG[1:-1]}
    root = etree.Element(f"{METADATA}EntityDescriptor", nsmap=names, entityID=entity_id)
    provider = {
        "AuthnRequestsSigned": "false", "WantAssertionsSigned": "true", "protocolSupportEnumeration": SAMLP[1:-1],
    }  # fmt: skip
    service = etree.SubElement(root, f"{METADATA}SPSSODescriptor", provider)
    if certificate is not None:
        for use in ("signing", "encryption"):
            _add_key(service, use, certificate)
    consumer = {"Binding": _POST, "Location": recipient, "index": "0", "isDefault": "true"}
    etree.SubElement(service, f"{METADATA}AssertionConsumerService", consumer)
    return str(etree.tostring(root, pretty_print=True, encoding="unicode"))


def _add_key(service: Element, use: str, certificate: bytes) -> None:
    descriptor = etree.SubElement(service, f"{METADATA}KeyDescriptor", use=use)
    data = etree.SubElement(etree.SubElement(descriptor, f"{DSIG}KeyInfo"), f"{DSIG}X509Data")
    pem = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.PEM).decode("ascii")
    etree.SubElement(data, f"{DSIG}X509Certificate").text = "".join(pem.splitlines()[1:-1])
