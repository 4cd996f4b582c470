"""What the gateway itself writes: signed responses (sub-item 59H, PS3.7 D.3.3.7.2), and its own metadata.

A response is a minimal samlp:Response. It says which assertion was accepted, by whom, and when. The ID is all that it
repeats from the client.

The metadata is for registration at an identity provider (saml-metadata-2.0-os 2.4.4). The schema requires a binding and
there is none for DICOM, so HTTP-POST is given. Its Location is the Recipient that assertions must have; nothing is ever
posted there.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from dicomgate import ConfigError
from dicomgate.kit.files import read_private, read_trusted

from . import algorithms
from .document import DSIG, LONGEST, METADATA, SAML, SAMLP, SUCCESS, Element

_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


class Responder:
    """Signs with the RSA key and the certificate in two PEM files. Raises ConfigError if they do not match."""

    def __init__(self, key_file: Path, certificate_file: Path, entity_id: str) -> None:
        key, certificate = read_private(key_file, LONGEST), read_trusted(certificate_file, LONGEST)
        try:
            fit = load_pem_x509_certificate(certificate).public_key() == load_pem_private_key(key, None).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
            fit = False
        if not fit:
            raise ConfigError(f"{certificate_file}: not the certificate, in PEM, of the key in {key_file}")
        self._key, self._certificate = key.decode("ascii", "replace"), certificate.decode("ascii", "replace")
        self._entity_id = entity_id

    def respond(self, assertion_id: str) -> bytes:
        """The response to the assertion with this ID."""
        response = etree.Element(f"{SAMLP}Response", nsmap={"samlp": SAMLP[1:-1], "saml": SAML[1:-1]})
        response.set("ID", f"_{secrets.token_hex(16)}")
        response.set("Version", "2.0")
        response.set("IssueInstant", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        response.set("InResponseTo", assertion_id)
        etree.SubElement(response, f"{SAML}Issuer").text = self._entity_id
        status = etree.SubElement(response, f"{SAMLP}Status")
        etree.SubElement(status, f"{SAMLP}StatusCode", Value=SUCCESS)
        signed = OneLogin_Saml2_Utils.add_sign(response, self._key, self._certificate)
        return signed if isinstance(signed, bytes) else str(signed).encode("utf-8")


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
    pem = load_pem_x509_certificate(certificate).public_bytes(Encoding.PEM).decode("ascii")
    etree.SubElement(data, f"{DSIG}X509Certificate").text = "".join(pem.splitlines()[1:-1])
    if use == "encryption":
        # saml-metadata-2.0-os 2.4.1.1, EncryptionMethod: "an algorithm and algorithm-specific settings supported".
        for algorithm in (*algorithms.CONTENT, algorithms.OAEP, algorithms.OAEP_MGF1P):
            etree.SubElement(descriptor, f"{METADATA}EncryptionMethod", Algorithm=algorithm)
