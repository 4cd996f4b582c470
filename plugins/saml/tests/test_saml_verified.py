"""What is read is what was signed: the form is looked at before xmlsec sees anything, and nothing else is read then."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from dicomgate_saml import signature
from dicomgate_saml.verification import read_assertion, verify
from plugins.saml.tests import mint as m
from plugins.saml.tests.conftest import NOT_THE_ISSUERS, IdP, assert_accepted, assert_forged, refusal
from plugins.saml.tests.hostile import forms, inclusive_namespaces, key_infos
from plugins.saml.tests.mint import DSIG_NAMESPACE, PROTOCOL_NAMESPACE, SAML_NAMESPACE, SUCCESS, USER, assertion, mint

TRAP = "http://127.0.0.1:9/trap"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is handed to xmlsec, which takes everything for good."""
    documents: list[bytes] = []

    def deceived(_: str, signature: Any) -> bool:
        documents.append(etree.tostring(signature.getroottree()))
        return True

    monkeypatch.setattr(signature, "_is_signed_with", deceived)
    return documents


def test_xmlsec_sees_no_wrong_form(idp: IdP, seen: list[bytes]) -> None:
    for name, make in forms(TRAP).items():
        hostile = make()
        assert refusal(idp.judge, hostile)[0] in ("structure", "signature"), name
        assert refusal(idp.judge, m.response(hostile))[0] in ("structure", "signature"), name
    assert seen == []
    assert_accepted(idp.judge, mint())
    assert len(seen) == 1


def test_xmlsec_sees_no_key_info(idp: IdP, seen: list[bytes]) -> None:
    for info in key_infos(TRAP).values():
        assert_accepted(idp.judge, m.sign_by_hand(assertion(), key_info=info))
    assert len(seen) == len(key_infos(TRAP))
    assert not any(b"KeyInfo" in one or b"X509" in one or b"Retrieval" in one for one in seen)


CHANGES = {
    f">{USER}<": ">root<",
    ">reader<": ">writer<",
    " NotOnOrAfter=": " NotOnorAfter=",
    '"2.0"': '"2.0" x=""',
    "<saml:Subject>": "<saml:Subject/><saml:Subject>",
    "</saml:Assertion>": " </saml:Assertion>",
    "</ds:Signature>": "</ds:Signature>x",
}


@pytest.mark.usefixtures("seen")
def test_were_xmlsec_deceived(idp: IdP) -> None:
    """The digest is computed once more, of the very bytes that are read."""
    genuine = mint(attributes={"role": ["reader"]})
    hostile = [genuine.replace(old.encode(), new.encode(), 1) for old, new in CHANGES.items()]
    hostile.append(m.sign_by_hand(assertion(), references=[m.Reference(digested=b"")]))
    for document in hostile:
        assert assert_forged(idp.judge, genuine, document) == "the signed content differs from what would be read"


@pytest.mark.parametrize("within", [False, True])
def test_what_is_read_has_nothing_around_it(idp: IdP, within: bool) -> None:
    """A document of its own, the one whose digest was signed, without a signature."""
    plain = assertion(attributes={"role": ["reader"]})
    document = (
        m.response(m.sign(plain), more=f'<saml:Issuer xmlns:saml="{SAML_NAMESPACE}"/>') if within else m.sign(plain)
    )
    verified = verify(read_assertion(document, None)[1], [m.RSA.pem.decode()])
    assert verified.getparent() is None
    assert verified.getroottree().getroot() is verified
    assert list(verified.iter(f"{{{DSIG_NAMESPACE}}}*")) == []
    assert set(verified.nsmap) == {"saml"}  # what else the document binds is not signed
    expected = etree.fromstring(m.canonicalized(etree.fromstring(plain)))
    for value in expected.iter(f"{{{SAML_NAMESPACE}}}AttributeValue"):
        value.attrib.clear()
    assert m.canonicalized(verified) == m.canonicalized(expected)


@pytest.mark.parametrize("name", ["Advice", "Evidence", "Extensions", "Object"])
def test_where_anything_can_be_hidden(idp: IdP, name: str) -> None:
    """Signed or not, empty or not, whatever namespace it is of."""
    signed = m.sign_by_hand(assertion(more=f"<saml:{name}/>"))
    assert refusal(idp.judge, signed) == ("structure", f"{name}: may have any content, and is not accepted")
    in_key_info = f'<ds:KeyInfo xmlns:ds="{DSIG_NAMESPACE}"><x:{name} xmlns:x="urn:x"/></ds:KeyInfo>'
    assert refusal(idp.judge, m.sign_by_hand(assertion(), key_info=in_key_info))[0] == "structure"


def test_prefixes_that_are_canonicalised_inclusively(idp: IdP) -> None:
    """As OpenSAML signs; what they are bound to is signed then."""
    chain = (m.ENVELOPED, inclusive_namespaces("xs"))
    plain = assertion()
    canonical = etree.tostring(
        etree.fromstring(plain), method="c14n", exclusive=True, inclusive_ns_prefixes=["xs"], with_tail=False
    )
    genuine = m.sign_by_hand(plain, references=[m.Reference(transforms=chain, digested=canonical)])
    assert b'xmlns:xs="http://www.w3.org/2001/XMLSchema"' in canonical
    assert_accepted(idp.judge, genuine)
    hostile = genuine.replace(b'xmlns:xs="http://www.w3.org/2001/XMLSchema"', b'xmlns:xs="urn:x"')
    assert assert_forged(idp.judge, genuine, hostile) == NOT_THE_ISSUERS
    other = inclusive_namespaces("xsi").encode()
    assert_forged(idp.judge, genuine, genuine.replace(inclusive_namespaces("xs").split(">")[1].encode(), other))


def test_a_prefix_that_the_response_binds(idp: IdP) -> None:
    """Signed within the Response, as identity providers do: what it binds there is signed, if the signature says so."""
    plain = assertion().replace(b' xmlns:xs="http://www.w3.org/2001/XMLSchema"', b"")
    around = m.response(plain).replace(b"<samlp:Response ", b'<samlp:Response xmlns:xs="urn:bound" ')
    inner = etree.fromstring(around).find(f"{{{SAML_NAMESPACE}}}Assertion")
    canonical = etree.tostring(inner, method="c14n", exclusive=True, inclusive_ns_prefixes=["xs"], with_tail=False)
    assert b'"urn:bound"' in canonical
    chain = (m.ENVELOPED, inclusive_namespaces("xs"))
    signed = m.sign_by_hand(plain, references=[m.Reference(transforms=chain, digested=canonical)])
    genuine = around.replace(plain, signed)
    assert_accepted(idp.judge, genuine)
    assert_forged(idp.judge, genuine, genuine.replace(b"urn:bound", b"urn:other"))
    assert_forged(idp.judge, genuine, signed)


def test_the_default_namespace_as_a_prefix(idp: IdP) -> None:
    plain = assertion().replace(b"xmlns:saml=", b"xmlns=").replace(b"saml:", b"")
    chains = ((m.ENVELOPED, inclusive_namespaces(prefixes)) for prefixes in ("#default", "#default xs"))
    genuine, more = (m.sign_by_hand(plain, references=[m.Reference(transforms=chain)]) for chain in chains)
    assert refusal(idp.judge, more) == ("signature", NOT_THE_ISSUERS)  # xs is not in what was digested
    assert_forged(idp.judge, genuine, genuine.replace(b"<Subject>", b'<Subject xmlns="urn:x">'))
    assert_forged(idp.judge, genuine, genuine.replace(b' xmlns="urn:oasis', b' xmlns="urn:Oasis'))


def test_a_prefix_bound_anew_between_what_is_signed_and_what_is_not(idp: IdP) -> None:
    """The Response binds `saml` to something else, or the Signature does: each name means what it meant."""
    genuine = mint()
    for prefix in ("samlp", "saml", "ds", "xs", "xsi"):
        status = f'<p:Status xmlns:p="{PROTOCOL_NAMESPACE}"><p:StatusCode Value="{SUCCESS}"/></p:Status>'.encode()
        around = f'<r:Response xmlns:r="{PROTOCOL_NAMESPACE}" xmlns:{prefix}="urn:x" Version="2.0">'.encode()
        assert_accepted(idp.judge, around + status + genuine + b"</r:Response>")
        inside = genuine.replace(b"<saml:Subject>", f'<saml:Subject xmlns:{prefix}="urn:x">'.encode())
        if prefix == "saml":
            assert_forged(idp.judge, genuine, inside)
        else:  # nothing below uses it: the canonical form is the same
            assert_accepted(idp.judge, inside)
    rebound = genuine.replace(b"<ds:Reference ", f'<ds:Reference xmlns:saml="{DSIG_NAMESPACE}" '.encode())
    assert_accepted(idp.judge, rebound)
    assert_forged(idp.judge, genuine, rebound.replace(b"<ds:Reference ", b"<saml:Reference ").replace(
        b"</ds:Reference>", b"</saml:Reference>"))  # fmt: skip


def test_each_attribute_and_text_is_signed(idp: IdP) -> None:
    genuine = mint(attributes={"role": ["reader"]})
    seen = 0
    for number, element in enumerate(etree.fromstring(genuine).iter()):
        if "xmldsig" in element.tag or element.tag.endswith("}Signature"):
            continue
        for name in (*element.keys(), None):
            root = etree.fromstring(genuine)
            twin = list(root.iter())[number]
            if name is None:
                twin.text = (twin.text or "") + "x"
            else:
                twin.set(name, twin.get(name) + "0")
            hostile = etree.tostring(root)
            if twin.tag.endswith("}Issuer"):
                continue  # another issuer's: passed on
            assert_forged(idp.judge, genuine, hostile)
            seen += 1
    assert seen >= 25


@pytest.mark.parametrize("version", ["1.1", "2", "2.0 ", "2.00", ""])
def test_versions(idp: IdP, version: str) -> None:
    genuine = mint()
    hostile = m.sign_by_hand(assertion(version=version))
    assert assert_forged(idp.judge, genuine, hostile) == "the assertion's Version is not 2.0"
    words = assert_forged(idp.judge, m.response(genuine), m.response(genuine, version=version))
    assert words == "a Response with an element or a Version that is not accepted"


@pytest.mark.parametrize(
    "status", [None, "", "urn:oasis:names:tc:SAML:2.0:status:Responder", f"{SUCCESS} ", f" {SUCCESS}"]
)
def test_a_response_that_is_no_success(idp: IdP, status: str | None) -> None:
    genuine = mint()
    words = assert_forged(idp.judge, m.response(genuine), m.response(genuine, status=status))
    assert words == "a Response whose status is not Success"
