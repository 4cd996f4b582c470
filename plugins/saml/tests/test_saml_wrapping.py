"""Signature wrapping: a genuine, signed assertion is hidden somewhere, and another one is meant to be believed.

Each attack is made from a fresh assertion that is itself accepted in the same test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from plugins.saml.tests import mint as m
from plugins.saml.tests.conftest import IdP, assert_forged, refusal
from plugins.saml.tests.mint import DSIG_NAMESPACE, RSA, SAML_NAMESPACE, STRANGER, SUCCESS, USER, mint, response, sign

SAML, SAMLP, DSIG = f"{{{SAML_NAMESPACE}}}", f"{{{m.PROTOCOL_NAMESPACE}}}", f"{{{DSIG_NAMESPACE}}}"
EVIL = "root"
Element = Any
Attack = Callable[[Element, str], Element]


def parts(genuine: bytes, evil_id: str) -> tuple[Element, Element, Element]:
    """The genuine assertion, a copy of it that names another user, with the signature, and a document for both."""
    root = etree.fromstring(genuine)
    original = root if root.tag == f"{SAML}Assertion" else root.find(f"{SAML}Assertion")
    evil = deepcopy(original)
    evil.tail = None
    evil.find(f"{SAML}Subject/{SAML}NameID").text = EVIL
    evil.set("ID", original.get("ID") if evil_id == "same" else "_evil")
    return root, original, evil


def signature_of(element: Element) -> Element:
    return element.find(f"{DSIG}Signature")


def without_signature(element: Element) -> Element:
    element.remove(signature_of(element))
    return element


def instead(root: Element, original: Element, evil: Element) -> Element:
    """The document with the evil assertion in place of the original, which is removed."""
    if root is original:
        return evil
    root.replace(original, evil)
    return root


def xsw1(root: Element, evil_id: str) -> Element:
    """The original document inside the signature of the evil one."""
    copy, evil = twins(root, evil_id)
    signature_of(evil).append(without_signature(copy))
    return evil


def xsw2(root: Element, evil_id: str) -> Element:
    """The original document in front of the signature, which stays where it was."""
    copy, evil = twins(root, evil_id)
    signature_of(evil).addprevious(without_signature(copy))
    return evil


def twins(root: Element, evil_id: str) -> tuple[Element, Element]:
    """The document, and a copy of it that names another user."""
    evil = deepcopy(root)
    for name in evil.iter(f"{SAML}NameID"):
        name.text = EVIL
    if evil_id != "same":
        evil.set("ID", "_evil")
    return root, evil


def xsw3(root: Element, evil_id: str) -> Element:
    """The evil assertion first, without signature; of a bare one, the original is its first child."""
    root, original, evil = parts(etree.tostring(root), evil_id)
    without_signature(evil)
    if root is original:
        evil.insert(0, original)
        return evil
    original.addprevious(evil)
    return root


def xsw4(root: Element, evil_id: str) -> Element:
    """The original, with its signature, at the end of the evil assertion."""
    root, original, evil = parts(etree.tostring(root), evil_id)
    without_signature(evil)
    document = instead(root, original, evil)
    evil.append(original)
    return document


def hidden(where: Callable[[Element, Element], Element], what: str) -> Attack:
    """The evil assertion, with the signature, in place of the original, which is put into `where` of the document."""

    def attack(root: Element, evil_id: str) -> Element:
        root, original, evil = parts(etree.tostring(root), evil_id)
        document = instead(root, original, evil)
        where(document, signature_of(evil)).append(without_signature(original))
        return document

    attack.__name__ = what
    return attack


xsw5 = hidden(lambda document, signature: document, "xsw5")
xsw6 = hidden(lambda document, signature: signature, "xsw6")
xsw8 = hidden(lambda document, signature: etree.SubElement(signature, f"{DSIG}Object"), "xsw8")


def xsw7(root: Element, evil_id: str) -> Element:
    """Extensions with the evil assertion in front of the original; of a bare one, with the original in the evil one."""
    root, original, evil = parts(etree.tostring(root), evil_id)
    extensions = etree.Element(f"{SAMLP}Extensions")
    without_signature(evil)
    if root is original:
        evil.insert(1, extensions)
        extensions.append(original)
        return evil
    original.addprevious(extensions)
    extensions.append(evil)
    return root


CLASSIC = (xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8)
"""Somorovsky et al., On Breaking SAML: Be Whoever You Want to Be (2012), by their usual numbers."""

DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "bare": mint,
    "in a Response": lambda: response(mint()),
    "in a signed Response": lambda: sign(response(mint())),
}


CASES = [
    (attack, document)
    for attack in CLASSIC
    for document in DOCUMENTS
    if attack not in (xsw1, xsw2) or document != "in a Response"  # the document's own signature is what they are about
]


@pytest.mark.parametrize("evil_id", ["same", "another"])
@pytest.mark.parametrize(("attack", "document"), CASES)
def test_the_eight_classic_ones(idp: IdP, attack: Attack, document: str, evil_id: str) -> None:
    genuine = DOCUMENTS[document]()
    hostile = etree.tostring(attack(etree.fromstring(genuine), evil_id))
    assert EVIL in str(hostile)
    assert_forged(idp.judge, genuine, hostile)


def places(evil: Element) -> Iterator[tuple[str, Element]]:
    """Elements in the evil assertion, by name, below which something can be hidden."""
    conditions = evil.find(f"{SAML}Conditions")
    confirmation = evil.find(f"{SAML}Subject/{SAML}SubjectConfirmation")
    context = evil.find(f"{SAML}AuthnStatement/{SAML}AuthnContext")
    statement = etree.SubElement(evil, f"{SAML}AttributeStatement")
    attribute = etree.SubElement(statement, f"{SAML}Attribute", Name="x")
    yield "AttributeValue", etree.SubElement(attribute, f"{SAML}AttributeValue")
    yield "SubjectConfirmationData", confirmation.find(f"{SAML}SubjectConfirmationData")
    yield "NameID of a SubjectConfirmation", etree.SubElement(confirmation, f"{SAML}NameID")
    yield "Subject", confirmation.getparent()
    yield "Conditions", conditions
    yield "Condition", etree.SubElement(conditions, f"{SAML}Condition")
    yield "Audience", etree.SubElement(conditions, f"{SAML}Audience")
    yield "AuthnContextDecl", etree.SubElement(context, f"{SAML}AuthnContextDecl")
    yield "AuthnStatement", context.getparent()
    decision = etree.SubElement(evil, f"{SAML}AuthzDecisionStatement")
    yield "Evidence", etree.SubElement(decision, f"{SAML}Evidence")
    yield "Issuer", evil[0]
    yield "Statement", etree.SubElement(evil, f"{SAML}Statement")
    yield "Advice", etree.SubElement(evil, f"{SAML}Advice")
    yield "Extensions", etree.SubElement(evil, f"{SAMLP}Extensions")
    yield "no namespace", etree.SubElement(evil, "Wrapper")
    yield "the assertion", evil
    if (signature := signature_of(evil)) is not None:
        yield "Object", etree.SubElement(signature, f"{DSIG}Object")
        key_info = signature.find(f"{DSIG}KeyInfo")
        yield "KeyInfo", key_info
        yield "KeyName", etree.SubElement(key_info, f"{DSIG}KeyName")
        yield "SignatureProperty", etree.SubElement(signature.find(f"{DSIG}SignatureValue"), f"{DSIG}SignatureProperty")
        yield "Reference", signature.find(f"{DSIG}SignedInfo/{DSIG}Reference")
        yield "Transform", signature.find(f"{DSIG}SignedInfo/{DSIG}Reference/{DSIG}Transforms/{DSIG}Transform")
        yield "DigestValue", signature.find(f"{DSIG}SignedInfo/{DSIG}Reference/{DSIG}DigestValue")


def evil_ids(evil: Element, original_id: str) -> Iterator[Element]:
    """The assertion with an ID of its own, with the original's in each spelling, and without one."""
    of_xml = "{http://www.w3.org/XML/1998/namespace}id"
    for spelling in ("ID", "Id", "id", "AssertionID", of_xml, "{urn:wsu}Id", f"{SAML}ID", None):
        copy = deepcopy(evil)
        copy.set("ID", "_evil")
        if spelling is None:
            del copy.attrib["ID"]
        else:
            copy.set(spelling, original_id)
        yield copy


def wrapped(genuine: bytes) -> Iterator[tuple[str, bytes]]:
    """The original at each place, with or without the signature there, below each evil assertion, bare and not."""
    for signed_where in ("original", "evil", "both", "Response"):
        _, original, evil = parts(genuine, "another")
        signature = deepcopy(signature_of(original))
        if signed_where in ("evil", "Response"):
            without_signature(original)
        if signed_where in ("original", "Response"):
            without_signature(evil)
        names = [name for name, _ in places(deepcopy(evil))]
        for name in names:
            for hostile in evil_ids(evil, original.get("ID")):
                place = dict(places(hostile))[name]
                # The other places are not needed.
                for extra in hostile.xpath("//*[not(node()) and not(@*)]"):
                    if extra is not place:
                        extra.getparent().remove(extra)
                place.insert(0, deepcopy(original))
                bare = etree.tostring(hostile)
                within = response(bare, more=etree.tostring(signature).decode() if signed_where == "Response" else "")
                yield f"{name}, {signed_where}", bare
                yield f"{name}, {signed_where}, Response", within


def naive_user(document: bytes) -> str | None:
    """The user for a reader that takes any good signature and any NameID."""
    root = etree.fromstring(document)
    query = root.xpath("//ds:Signature", namespaces={"ds": DSIG_NAMESPACE})
    good = any(
        OneLogin_Saml2_Utils.validate_sign(deepcopy(root), RSA.pem.decode(), xpath=root.getroottree().getpath(one))
        for one in query
    )
    return root.findtext(f".//{SAML}NameID") if good else None


def test_wrapped_below_everything(idp: IdP) -> None:
    genuine = mint()
    assert naive_user(genuine) == USER
    taken_in, seen = set(), 0
    for number, (name, hostile) in enumerate(wrapped(genuine)):
        assert_forged(idp.judge, genuine, hostile)
        seen += 1
        if number % 7 == 0 and naive_user(hostile) not in (None, USER):
            taken_in.add(name.partition(",")[0])
    assert seen > 1000
    assert len(taken_in) >= 6, "the attacks do not deceive anybody: they are no good"


def around(*children: bytes, status_detail: bytes = b"") -> bytes:
    """A Response with a StatusDetail."""
    status = (
        f'<samlp:Status><samlp:StatusCode Value="{SUCCESS}"/><samlp:StatusDetail>{status_detail.decode()}'
        "</samlp:StatusDetail></samlp:Status>"
    )
    return response(*children, status=None, more=status)


def evil_one(genuine: bytes, *, signed: bool = False) -> bytes:
    """The evil assertion; signed with a key of the attacker's, or not at all."""
    evil = without_signature(parts(genuine, "another")[2])
    return sign(etree.tostring(evil), STRANGER) if signed else bytes(etree.tostring(evil))


def moved(genuine: bytes, where: Callable[[Element, Element], None]) -> bytes:
    """The genuine assertion with its signature put elsewhere."""
    root = etree.fromstring(genuine)
    where(root, signature_of(root))
    return bytes(etree.tostring(root))


def first(genuine: bytes) -> bytes:
    """An assertion with the genuine assertion's signature before its own."""
    evil = etree.fromstring(evil_one(genuine, signed=True))
    signature_of(evil).addprevious(signature_of(etree.fromstring(genuine)))
    evil.append(without_signature(etree.fromstring(genuine)))
    return bytes(etree.tostring(evil))


OTHERS: dict[str, Callable[[bytes], bytes]] = {
    # CVE-2022-41912: crewjam/saml verified one assertion and read another.
    "a copy behind": lambda g: response(g, evil_one(g)),
    "a copy in front": lambda g: response(evil_one(g), g),
    "a copy of the attacker's behind": lambda g: response(g, evil_one(g, signed=True)),
    "a copy of the attacker's in front": lambda g: response(evil_one(g, signed=True), g),
    "two genuine ones": lambda g: response(g, mint()),
    "the same twice": lambda g: response(g, g),
    # pysaml2, CVE-2020-5390: the wrapped assertion where xmlsec1 finds it first.
    "in a wrapper": lambda g: response(evil_one(g), more=f"<wrapper>{g.decode()}</wrapper>"),
    "in Extensions": lambda g: response(evil_one(g), more=f"<samlp:Extensions>{g.decode()}</samlp:Extensions>"),
    "assertion in assertion": lambda g: response(etree.tostring(xsw4(etree.fromstring(g), "another"))),
    "assertion in assertion, its signature first": lambda g: response(first(g)),
    "Response in Response": lambda g: response(evil_one(g), more=sign(response(g)).decode()),
    "in StatusDetail": lambda g: around(evil_one(g), status_detail=g),
    "in StatusDetail, beside the attacker's": lambda g: around(evil_one(g, signed=True), status_detail=g),
    "the evil one in StatusDetail": lambda g: around(g, status_detail=evil_one(g)),
    # CVE-2025-25292: the signature hidden in StatusDetail.
    "the signature in StatusDetail": lambda g: around(
        evil_one(g), status_detail=etree.tostring(signature_of(etree.fromstring(g)))
    ),
    "of another version beside it": lambda g: response(
        g, evil_one(g).replace(SAML_NAMESPACE.encode(), b"urn:oasis:names:tc:SAML:1.0:assertion")
    ),
    "of no namespace beside it": lambda g: response(g, evil_one(g).replace(SAML_NAMESPACE.encode(), b"urn:x")),
    "below another root": lambda g: b"<Assertions>" + g + b"</Assertions>",
    "below an envelope": lambda g: b'<s:Body xmlns:s="http://schemas.xmlsoap.org/soap/">' + g + b"</s:Body>",
    "beside an encrypted one": lambda g: response(
        g, f'<saml:EncryptedAssertion xmlns:saml="{SAML_NAMESPACE}"/>'.encode()
    ),
}
MOVED: dict[str, Callable[[Element, Element], None]] = {
    "to the end": lambda root, signature: root.append(signature),
    "to the front": lambda root, signature: root.insert(0, signature),
    "behind the Subject": lambda root, signature: root.find(f"{SAML}Subject").addnext(signature),
    "into the Subject": lambda root, signature: root.find(f"{SAML}Subject").append(signature),
    "into the Issuer": lambda root, signature: root[0].append(signature),
    "into Conditions": lambda root, signature: root.find(f"{SAML}Conditions").append(signature),
    "into a second one": lambda root, signature: signature.append(deepcopy(signature)),
    "doubled": lambda root, signature: signature.addnext(deepcopy(signature)),
    "doubled at the end": lambda root, signature: root.append(deepcopy(signature)),
    "away": lambda root, signature: root.remove(signature),
}


@pytest.mark.parametrize("attack", OTHERS)
def test_other_shapes(idp: IdP, attack: str) -> None:
    genuine = mint()
    assert_forged(idp.judge, genuine, OTHERS[attack](genuine))


@pytest.mark.parametrize("where", MOVED)
def test_the_signature_moved(idp: IdP, where: str) -> None:
    genuine = mint()
    hostile = moved(genuine, MOVED[where])
    words = assert_forged(idp.judge, genuine, hostile)
    assert "signature" in words or "signed" in words
    assert_forged(idp.judge, response(genuine), response(hostile))


def test_only_the_response_is_signed(idp: IdP) -> None:
    """By the assertion's signature, moved there; and by one of its own."""
    genuine = mint()
    signature = etree.tostring(signature_of(etree.fromstring(genuine))).decode()
    unsigned = etree.tostring(without_signature(etree.fromstring(genuine)))
    for hostile in (response(unsigned, more=signature), sign(response(unsigned))):
        assert assert_forged(idp.judge, genuine, hostile) == "the assertion is not signed"
        assert refusal(idp.judge, hostile)[0] == "structure"
