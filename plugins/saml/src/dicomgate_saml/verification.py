"""Received bytes -> a verified assertion, in this order: structure, signature, schema. Its claims come after that."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import onelogin.saml2
from lxml import etree

from dicomgate.kit.text import one_line

from .decryption import Decryptor
from .document import LONGEST, SAML, Element, RefusedError, read_document
from .signature import read_signed
from .structure import check_assertion, the_assertion

_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_SCHEMAS = Path(onelogin.saml2.__file__).parent / "schemas"
_validating = Lock()
"""A validator keeps the errors of its last document, so it takes one document at a time."""


class SealedError(RefusedError):
    """The assertion is encrypted and there is no key to decrypt it, so that its issuer is unknown."""


def read_assertion(data: bytes, decryptor: Decryptor | None) -> tuple[Element, Element]:
    """The assertion in the received bytes, decrypted if need be, and its signature. Neither is verified yet.

    Raises RefusedError, or SealedError if the assertion is encrypted and there is no `decryptor`.
    """
    root = read_document(data)
    assertion = the_assertion(root)
    if assertion.tag == f"{SAML}EncryptedAssertion":
        if decryptor is None:
            raise SealedError("an encrypted assertion, and the gateway has no key to decrypt it")
        root = assertion = read_document(decryptor.decrypt(assertion))
        if assertion.tag != f"{SAML}Assertion":
            raise RefusedError("the encrypted content is not an assertion")
    return assertion, check_assertion(root, assertion)


def verify(signature: Element, certificates: Sequence[str]) -> Element:
    """The assertion as it was signed; nothing else may be read from here on. Raises RefusedError."""
    verified = read_signed(signature, certificates, 2 * LONGEST)  # its canonical form may be longer
    for value in verified.iter(f"{SAML}AttributeValue"):
        # The prefix in xsi:type="xs:string" may be outside of what is signed, so the type is ignored: all are text. The
        # schema does not know the type of IHE's coded values, "CE" (ITI TF-2 3.40.4.1.2.1).
        for element in value.iter():
            element.attrib.pop(_TYPE, None)
    check_schema(verified)
    return verified


def check_schema(element: Element, name: str = "saml-schema-assertion-2.0.xsd") -> None:
    """Check the element by a schema that comes with python3-saml. Raises RefusedError with the schema's own words."""
    with _validating:
        schema = _load(name)
        if not schema.validate(element):
            said = " ".join(schema.error_log.last_error.message.split()) if len(schema.error_log) else ""
            raise RefusedError(f"not valid by the schema: {one_line(said)[:160]}")


@cache
def _load(name: str) -> Any:
    return etree.XMLSchema(etree.parse(_SCHEMAS / name, etree.XMLParser(no_network=True)))
