"""signxml and OpenSAML's samlsign give the same verdict on what becomes of assertions; where they do not, why."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLVerifier
from signxml.verifier import VerifyResult

from dicomgate import Accept, Decision, Reject
from plugins.saml.tests.conftest import IdP
from plugins.saml.tests.mint import P256, RSA, USER, Signer, ask, mint
from plugins.saml.tests.mutations import HARMFUL, HARMLESS, UNUSUAL
from plugins.saml.tests.providers import OpenSaml

CONFIGURATION = SignatureConfiguration(
    location="./",
    signature_methods=frozenset((SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256)),
    digest_algorithms=frozenset((DigestAlgorithm.SHA256,)),
)
ANYWHERE = "the signature does not follow the Issuer (saml-schema-assertion-2.0.xsd)"
VALUE = re.compile(rb"(?<=<ds:SignatureValue>).*?(?=</ds:SignatureValue>)", re.DOTALL)


def signxml_sees(document: bytes, key: Signer) -> str | None:
    """The user in what signxml says is signed; None if it says that nothing is."""
    try:
        seen = XMLVerifier().verify(document, x509_cert=key.certificate, expect_config=CONFIGURATION)
    except Exception:  # noqa: BLE001 (its errors are of many kinds, and so are those of what it uses)
        return None
    assert isinstance(seen, VerifyResult)
    assert seen.signed_xml is not None
    name: str | None = seen.signed_xml.findtext(".//{*}NameID")
    return name


def is_plain_base64(document: bytes) -> bool:
    """The value of the signature is written in the one way in which base64 should write it."""
    value = VALUE.search(document)
    written = b"".join(value[0].split()) if value else b""
    try:
        return b64encode(b64decode(written)) == written
    except ValueError:
        return False


def user(decision: Decision) -> str | None:
    return decision.user if isinstance(decision, Accept) else None


def mutated(seed: int, times: int) -> Iterator[tuple[str, Signer, bytes]]:
    """Each mutation so many times, of an assertion signed with either key."""
    random, mutations = Random(seed), {**HARMLESS, **HARMFUL}
    issued = [(key, mint(key=key, attributes={"groups": ["ct", "radiology"]})) for key in (RSA, P256)]
    for name, mutate in mutations.items():
        for _ in range(times):
            key, document = random.choice(issued)
            yield name, key, mutate(random, document)


def check_counts(verdicts: Counter[str], times: int) -> None:
    """What is harmless is accepted always; what is harmful is not, but now and then it changes nothing."""
    assert {verdicts[name] for name in HARMLESS} == {times}
    assert sum(verdicts[name] for name in HARMFUL) < times * len(HARMFUL) / 5


def test_signxml(idp: IdP) -> None:
    verdicts = Counter[str]()
    for name, key, document in mutated(seed=20, times=20):
        decision = ask(idp.judge, document)
        seen = signxml_sees(document, key)
        # It takes a Signature anywhere among the root's children, which the schema does not.
        explained = decision == Reject(ANYWHERE) or not is_plain_base64(document)
        assert user(decision) == seen or explained, (name, decision, document)
        verdicts[name] += user(decision) is not None
    check_counts(verdicts, times=20)


def test_samlsign(idp: IdP, tmp_path: Path) -> None:
    samlsign, verdicts = OpenSaml(tmp_path), Counter[str]()
    for name, key, document in mutated(seed=21, times=4):
        decision = ask(idp.judge, document)
        # It looks for a key that KeyInfo names; the plugin ignores it.
        expected = user(decision) is not None and name != "another certificate in KeyInfo"
        explained = not is_plain_base64(document)
        assert samlsign.verifies(document, key) == expected or explained, (name, decision, document)
        verdicts[name] += user(decision) is not None
    check_counts(verdicts, times=4)


def test_base64(idp: IdP, tmp_path: Path) -> None:
    """Where they differ in what base64 is, no more than that is at stake: an assertion is known by its ID."""
    issued, samlsign = mint(), OpenSaml(tmp_path)
    value = VALUE.search(issued)
    assert value is not None
    last = value[0].rstrip()[-3:-2]
    assert last in b"AQgw"  # the last four bits of six are no part of what is encoded
    padded = issued.replace(last + b"==", bytes((last[0] + 1,)) + b"==", 1)
    more = issued.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>&gt;")
    for document, (own, signxml, opensaml) in {
        issued: (USER, USER, True), padded: (USER, None, True), more: (None, USER, False),
    }.items():  # fmt: skip
        assert user(ask(idp.judge, document)) == own
        assert signxml_sees(document, RSA) == signxml
        assert samlsign.verifies(document) == opensaml


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_plugin_is_stricter(idp: IdP, tmp_path: Path, name: str) -> None:
    """Each of these both of them accept, but for an Object (samlsign does not)."""
    mutate, reason = UNUSUAL[name]
    document = mutate(Random(22), mint())
    assert signxml_sees(document, RSA) == USER
    assert OpenSaml(tmp_path).verifies(document) == (name != "an Object in the signature")
    assert ask(idp.judge, document) == Reject(reason)
