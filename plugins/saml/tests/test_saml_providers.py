"""What three identity providers issue is accepted as it comes, with the defaults; and their metadata is understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from dicomgate import Accept, Decision, Pass, Reject
from dicomgate_saml import Saml
from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import P256, RSA, STRANGER, USER, Signer, ask, assertion, authenticator, response, written
from plugins.saml.tests.providers import GROUPS, MADE, PROVIDERS, NpmSaml, OpenSaml, Pysaml2, cut_out

NOT_ITS_KEY = "not signed with a key of the issuer, or changed after that"
XS = b'xmlns:xs="http://www.w3.org/2001/XMLSchema"'


def judge(folder: Path, key: Signer, issuer: str, **options: Any) -> Saml:
    folder.mkdir(exist_ok=True)
    return authenticator(folder, key, issuer=issuer, group_attributes=["groups"], **options)


def accepted(decision: Decision) -> tuple[str, frozenset[str]]:
    assert isinstance(decision, Accept), decision
    return decision.user, decision.groups


@pytest.mark.parametrize(("name", "key", "form"), MADE)
def test_it_is_accepted(tmp_path: Path, name: str, key: Signer, form: str) -> None:
    provider = PROVIDERS[name](tmp_path)
    issued = provider.mint(key, form, user="Ada Lovelace, née Byron")
    own = judge(tmp_path / "own", key, provider.issuer)
    assert accepted(ask(own, issued)) == ("Ada Lovelace, née Byron", frozenset(GROUPS["groups"]))
    # Each is held to its signature, its issuer's keys and its audience.
    assert ask(own, issued.replace(b"Byron", b"Baron")) == Reject(NOT_ITS_KEY)
    assert ask(judge(tmp_path / "other", STRANGER, provider.issuer), issued) == Reject(NOT_ITS_KEY)
    assert m.refused(own, provider.mint(key, form, audience="https://elsewhere.example")).startswith("Audience: ")
    assert m.refused(own, provider.mint(key, form, lifetime=-120)).startswith("Conditions: ended at ")


def test_an_encrypted_assertion(tmp_path: Path) -> None:
    npm = NpmSaml(tmp_path)
    key_file = written(tmp_path / "gateway.key", STRANGER.private_pem, 0o600)
    reads = judge(tmp_path / "reads", RSA, npm.issuer, key_file=key_file)
    encrypted = npm.encrypted(RSA, STRANGER)
    assert accepted(ask(reads, encrypted)) == (USER, frozenset(GROUPS["groups"]))
    assert ask(reads, npm.encrypted(RSA, RSA)) == Reject("it cannot be decrypted with the gateway's key")
    blind = ask(judge(tmp_path / "blind", RSA, npm.issuer), encrypted)
    assert blind == Pass("an encrypted assertion, and the gateway has no key to decrypt it")
    weak: dict[str, str | bool] = {
        "encryptionAlgorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
        "disallowEncryptionWithInsecureAlgorithm": False,
        "warnOnInsecureEncryptionAlgorithm": False,
    }
    refused = m.refused(reads, npm.encrypted(RSA, STRANGER, **weak))
    assert refused.startswith(f"encrypted with AES-256-CBC ({weak['encryptionAlgorithm']}), which is not accepted: set")


def test_metadata(tmp_path: Path) -> None:
    """pysaml2's own, plain; signed by it; signed by OpenSAML."""
    pysaml2, opensaml = Pysaml2(tmp_path), OpenSaml(tmp_path)
    issued = pysaml2.mint()
    plain, signed = pysaml2.metadata(), pysaml2.metadata(signed=True)
    signers = written(tmp_path / "signers.pem", RSA.pem)
    for number, (metadata, options) in enumerate(
        [(plain, {}), (signed, {"metadata_signers": signers}), (opensaml.sign(plain), {"metadata_signers": signers})]
    ):
        file = written(tmp_path / f"metadata-{number}.xml", metadata)
        made = authenticator(tmp_path, issuer=pysaml2.issuer, metadata_file=file, **options)
        assert accepted(ask(made, issued))[0] == USER
        assert ask(made, pysaml2.mint(P256)) == Reject(NOT_ITS_KEY)


# InclusiveNamespaces (xml-exc-c14n 3): OpenSAML names there what xsi:type="xs:string" needs, and a signer within a
# Response may have declared it there.


def signed_within(document: bytes, *prefixes: str) -> bytes:
    """The Response whose last child, an assertion, is signed within it."""
    root = etree.fromstring(document)
    m.sign_within(root[-1], prefixes=prefixes, tail="\n  ")  # as an indenting writer does; it is signed
    return bytes(etree.tostring(root))


def declaring(*declarations: bytes) -> bytes:
    """A Response that declares what its assertion uses in xsi:type, and more."""
    within = assertion(attributes=GROUPS).replace(b" " + XS, b"")
    return response(within).replace(b"<samlp:Response ", b" ".join((b"<samlp:Response", *declarations, b"")), 1)


def test_a_prefix_that_is_declared_on_the_response(tmp_path: Path) -> None:
    own = authenticator(tmp_path, group_attributes=["groups"])
    issued = signed_within(declaring(XS), "xs")
    assert XS not in issued.partition(b"<saml:Assertion")[2]
    others = (signed_within(declaring(XS), "xs", "samlp"), signed_within(declaring(XS), "no"))
    for sent in (issued, cut_out(issued), *others):
        assert accepted(ask(own, sent)) == (USER, frozenset(GROUPS["groups"]))
    # What the prefix means is signed with the rest.
    assert ask(own, issued.replace(XS, XS.replace(b"XMLSchema", b"XMLSchemb"))) == Reject(NOT_ITS_KEY)
    assert ask(own, issued.replace(XS, b"")) == Reject(NOT_ITS_KEY)


def test_a_default_namespace_of_the_response_that_is_signed_is_refused(tmp_path: Path) -> None:
    """libxml2 and xmlsec differ in the canonical form of it: what differs is refused."""
    own = authenticator(tmp_path)
    assert accepted(ask(own, signed_within(declaring(XS), "xs", "#default")))[0] == USER
    issued = signed_within(declaring(XS, b'xmlns="urn:of-the-response"'), "xs", "#default")
    assert ask(own, issued) == Reject("the signed content differs from what would be read")


def test_an_id_of_the_signature(tmp_path: Path) -> None:
    pysaml2 = Pysaml2(tmp_path)
    own = judge(tmp_path / "own", RSA, pysaml2.issuer)
    issued = pysaml2.mint()
    (named,) = [part for part in issued.split(b'"') if part.startswith(b"Signature")]
    assert accepted(ask(own, issued))[0] == USER
    twice = issued.replace(b'Id="' + named, b'Id="' + etree.fromstring(issued).get("ID").encode())
    assert ask(own, twice) == Reject("two elements with the same ID")
    more = issued.replace(b'Id="' + named, b'Id="x" Name="' + named)
    assert ask(own, more) == Reject("Signature with unexpected attributes")
