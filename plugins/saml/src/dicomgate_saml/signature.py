"""Whether one of the issuer's keys signed an element; if so, the element is read from the bytes that were signed.

Rule 1: every part of the Signature must be a known one, in the right order and without further attributes, before
        xmlsec sees it: xmlsec follows references to files and runs transforms before it checks the signature.
Rule 2: keys come from the configuration. KeyInfo is thrown away.
Rule 3: the signed element is read again from its canonical form, and the digest of that is computed here once more: so
        nothing can be read that was not verified.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree

from .algorithms import INSTEAD_OF_SIGNATURE, MORE, SIGNATURES, not_accepted
from .document import DSIG, EXCLUSIVE, Element, RefusedError, read_again

xmlsec.enable_debug_trace(False)  # or it writes to standard error why it refuses
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256,
    f"{MORE}sha384": hashlib.sha384,
    "http://www.w3.org/2001/04/xmlenc#sha512": hashlib.sha512,
}
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_INCLUSIVE = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
_PREFIXES = re.compile(r"(?:#default|[A-Za-z_][A-Za-z0-9_.-]*)(?: (?:#default|[A-Za-z_][A-Za-z0-9_.-]*)){0,15}")


def read_signed(signature: Element, certificates: Sequence[str], longest: int) -> Element:
    """The parent of the signature as it was signed: without the signature, the root of a document of its own.

    `certificates` are in PEM; the canonical form may have `longest` bytes. Raises RefusedError.
    """
    signed = signature.getparent()
    signature.attrib.pop("Id", None)  # pysaml2 writes one; nothing refers to it
    digest, expected, prefixes = _check_form(signature, signed.get("ID"))
    for key_info in signature.findall(f"{DSIG}KeyInfo"):
        signature.remove(key_info)
    xmlsec.tree.add_ids(signed, ["ID"])
    if not any(_is_signed_with(one, signature) for one in certificates):
        raise RefusedError("not signed with a key of the issuer, or changed after that")
    canonical = _canonical(signed, signature, prefixes)
    if not canonical or not hmac.compare_digest(_DIGESTS[digest](canonical).digest(), expected):
        raise RefusedError("the signed content differs from what would be read")
    return read_again(canonical, longest)


def _is_signed_with(certificate: str, signature: Element) -> bool:
    """Whether xmlsec finds the signature good with the key of this certificate (PEM)."""
    context = xmlsec.SignatureContext()
    context.key = _key(certificate)
    context.set_enabled_key_data([xmlsec.KeyData.X509])
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


@lru_cache(maxsize=64)
def _key(certificate: str) -> Any:
    # Read once, and without the certificate around it, of which xmlsec makes a copy for each signature: together that
    # takes as long as to verify one.
    key = load_pem_x509_certificate(certificate.encode()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)


def _check_form(signature: Element, signed_id: str | None) -> tuple[str, bytes, list[str]]:
    """The digest's algorithm and value, and the prefixes for inclusive canonicalisation. Raises RefusedError."""
    signed_info, value, *_ = _children(signature, "SignedInfo", "SignatureValue", "KeyInfo", optional=1)
    method, algorithm, reference = _children(signed_info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    transforms, digest, digest_value = _children(reference, "Transforms", "DigestMethod", "DigestValue")
    enveloped, canonical = _children(transforms, "Transform", "Transform")
    for element, attributes in (
        (signature, ()), (signed_info, ()), (value, ()), (method, ("Algorithm",)), (algorithm, ("Algorithm",)),
        (reference, ("URI",)), (transforms, ()), (enveloped, ("Algorithm",)), (canonical, ("Algorithm",)),
        (digest, ("Algorithm",)), (digest_value, ()),
    ):  # fmt: skip
        if element.keys() != list(attributes):
            raise RefusedError(f"{_name(element)} with unexpected attributes")
    for element in (method, algorithm, enveloped, digest, value, digest_value):
        if len(element):
            raise RefusedError(f"{_name(element)} with child elements")
    # An XPointer begins with "#" too.
    if _ID.fullmatch(signed_id or "") is None or reference.get("URI") != f"#{signed_id}":
        raise RefusedError("the signature's Reference is not to its parent element")
    if method.get("Algorithm") != EXCLUSIVE or canonical.get("Algorithm") != EXCLUSIVE:
        raise RefusedError("not exclusive canonicalisation without comments")
    if enveloped.get("Algorithm") != _ENVELOPED:
        raise RefusedError("a transform that is not accepted")
    for what, used, known in (("signed with", algorithm, SIGNATURES), ("signed with the digest", digest, _DIGESTS)):
        if used.get("Algorithm") not in known:
            raise not_accepted(what, used.get("Algorithm"), INSTEAD_OF_SIGNATURE)
    try:
        expected = b64decode("".join((digest_value.text or "").split()), validate=True)
    except ValueError:
        raise RefusedError("the DigestValue is not base64") from None
    return digest.get("Algorithm"), expected, _prefixes(canonical)


def _children(parent: Element, *names: str, optional: int = 0) -> list[Element]:
    """The children, which must be these, in this order, with only white space in between. Raises RefusedError."""
    wanted = [f"{DSIG}{name}" for name in names]
    found = [child.tag for child in parent]
    texts = (parent.text, *(child.tail for child in parent))
    if found not in (wanted, wanted[: len(wanted) - optional]) or any(text and text.strip() for text in texts):
        raise RefusedError(f"{_name(parent)} with unexpected content")
    return list(parent)


def _prefixes(transform: Element) -> list[str]:
    """InclusiveNamespaces (xml-exc-c14n 3), as OpenSAML writes it."""
    if not len(transform):
        return []
    (inclusive, *more) = transform
    names = str(inclusive.get("PrefixList", ""))
    if more or inclusive.tag != _INCLUSIVE or inclusive.keys() != ["PrefixList"] or len(inclusive):
        raise RefusedError("a transform with unexpected content")
    if _PREFIXES.fullmatch(names) is None:
        raise RefusedError("the InclusiveNamespaces is not a list of prefixes")
    return names.split()


def _canonical(signed: Element, signature: Element, prefixes: Iterable[str]) -> bytes:
    """The element without its signature, in canonical form. The tree is changed."""
    before = signature.getprevious()
    if before is None:
        signed.text = (signed.text or "") + (signature.tail or "") or None
    else:  # the text after the signature is signed, but lxml would remove it too
        before.tail = (before.tail or "") + (signature.tail or "") or None
    signature.tail = None
    signed.remove(signature)
    canonical = etree.tostring(
        signed, method="c14n", exclusive=True, with_comments=False, with_tail=False,
        inclusive_ns_prefixes=list(prefixes) or None,
    )  # fmt: skip
    return bytes(canonical)


def _name(element: Element) -> str:
    return str(etree.QName(element).localname)[:40]
