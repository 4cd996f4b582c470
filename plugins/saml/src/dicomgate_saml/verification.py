"""Received bytes -> a verified assertion. The order is the law: structure, signature, schema; then the claims."""

from __future__ import annotations

from collections.abc import Sequence

from .decryption import Decryptor
from .document import LONGEST, Element, RefusedError, read_document
from .names import SAML
from .schema import check_schema
from .signature import read_signed
from .structure import check_assertion, the_assertion

_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class SealedError(RefusedError):
    """It is encrypted, and there is no key to read it with: who issued it is not known."""


def read_assertion(data: bytes, decryptor: Decryptor | None) -> tuple[Element, Element]:
    """The assertion in the received bytes, decrypted if it came encrypted, and its signature. Not to be believed yet.

    Raises RefusedError, SealedError if there is no `decryptor` for what needs one.
    """
    root = read_document(data)
    assertion = the_assertion(root)
    if assertion.tag == f"{SAML}EncryptedAssertion":
        if decryptor is None:
            raise SealedError("an encrypted assertion, and the gateway has no key to read it with")
        root = assertion = read_document(decryptor.decrypt(assertion))
        if assertion.tag != f"{SAML}Assertion":
            raise RefusedError("what is encrypted is no assertion")
    return assertion, check_assertion(root, assertion)


def verify(signature: Element, certificates: Sequence[str]) -> Element:
    """The assertion as it was signed: what is read from now on. Raises RefusedError."""
    verified = read_signed(signature, certificates, 2 * LONGEST)  # its canonical form may be longer
    for value in verified.iter(f"{SAML}AttributeValue"):
        # The prefix in xsi:type="xs:string" need not be among what is signed, so the type says nothing; all are text.
        # IHE's coded values are of a type that the schema does not know, "CE" (ITI TF-2 3.40.4.1.2.1).
        for element in value.iter():
            element.attrib.pop(_TYPE, None)
    check_schema(verified)
    return verified
