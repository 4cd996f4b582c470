"""Which assertion a document contains, and that it is the only one. This is checked before any signature.

A bare Assertion (PS3.15 B.7), or a Response with exactly one in it. Signature wrapping needs a second assertion, a
second signature, or an element that can hold them; none is accepted (saml-core-2.0-os 5.4).
"""

from __future__ import annotations

from .document import DSIG, SAML, SAMLP, SUCCESS, Element, RefusedError

_ASSERTION, _ENCRYPTED = f"{SAML}Assertion", f"{SAML}EncryptedAssertion"
_SIGNATURE = f"{DSIG}Signature"
_RESPONSE_PARTS = frozenset((f"{SAML}Issuer", _SIGNATURE, f"{SAMLP}Status", _ASSERTION, _ENCRYPTED))
_NOWHERE = frozenset(("Advice", "Extensions", "Object", "Evidence"))
"""Elements that may have any content, in which signature wrapping hides things."""


def the_assertion(root: Element) -> Element:
    """The only Assertion or EncryptedAssertion: the root itself, or the child of a Response. Raises RefusedError."""
    if root.tag in (_ASSERTION, _ENCRYPTED):
        return root
    if root.tag != f"{SAMLP}Response":
        raise RefusedError("neither a SAML 2.0 Assertion nor a Response")
    if root.get("Version") != "2.0" or not {child.tag for child in root} <= _RESPONSE_PARTS:
        raise RefusedError("a Response with an element or a Version that is not accepted")
    if [code.get("Value") for code in root.findall(f"{SAMLP}Status/{SAMLP}StatusCode")] != [SUCCESS]:
        raise RefusedError("a Response whose status is not Success")
    found = [child for child in root if child.tag in (_ASSERTION, _ENCRYPTED)]
    if len(found) != 1:
        raise RefusedError(f"a Response with {len(found)} assertions")
    return found[0]


def check_assertion(root: Element, assertion: Element) -> Element:
    """The one Signature of `assertion`, which must be the only assertion of the document. Raises RefusedError."""
    elements = list(root.iter())
    named = [_local(element) for element in elements]
    if named.count("Assertion") != 1 or "EncryptedAssertion" in named:
        raise RefusedError("another assertion in the same document")
    if forbidden := sorted(_NOWHERE.intersection(named)):
        raise RefusedError(f"{forbidden[0]}: may have any content, and is not accepted")
    if assertion.get("Version") != "2.0":
        raise RefusedError("the assertion's Version is not 2.0")
    # A Response may have a signature of its own, which is ignored: only the assertion's counts.
    places = [assertion] if root is assertion else [root, assertion]
    signatures = [element for element, name in zip(elements, named, strict=True) if name == "Signature"]
    if any(signature.tag != _SIGNATURE or signature.getparent() not in places for signature in signatures):
        raise RefusedError("a signature in the wrong place")
    own = [child for child in assertion if child.tag == _SIGNATURE]
    if not own:
        raise RefusedError("the assertion is not signed")
    if len(own) > 1 or len(signatures) - len(own) > 1:
        raise RefusedError("several signatures")
    if [child.tag for child in assertion[:2]] != [f"{SAML}Issuer", _SIGNATURE]:
        raise RefusedError("the signature does not follow the Issuer (saml-schema-assertion-2.0.xsd)")
    return own[0]


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
