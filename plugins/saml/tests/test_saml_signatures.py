"""Signatures that no one should believe: of other keys, algorithms, references, transforms.

Most are made with the issuer's own key: it is their form that must not pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from plugins.saml.tests import mint as m
from plugins.saml.tests.conftest import NOT_THE_ISSUERS, IdP, assert_accepted, assert_forged, refusal
from plugins.saml.tests.hostile import everything, key_infos
from plugins.saml.tests.mint import (
    DSIG_NAMESPACE,
    P256,
    RSA,
    STRANGER,
    Reference,
    Signer,
    assertion,
    refused,
    response,
    sign_by_hand,
)

TRAP = "http://127.0.0.1:9/trap"
HOSTILE = everything(TRAP)


@pytest.mark.parametrize("name", HOSTILE)
def test_signed_but_not_like_this(idp: IdP, name: str) -> None:
    genuine, hostile = sign_by_hand(assertion()), HOSTILE[name]()
    assert len(hostile) < 65_535
    assert_forged(idp.judge, genuine, hostile)
    assert_forged(idp.judge, response(genuine), response(hostile))


@pytest.mark.parametrize("key", [RSA, P256], ids=["RSA", "P-256"])
@pytest.mark.parametrize("name", key_infos(TRAP))
def test_what_stands_in_key_info_is_thrown_away(idp: IdP, name: str, key: Signer) -> None:
    """A genuine signature is not the worse for it; an attacker's is not the better, whatever it names."""
    info = key_infos(TRAP)[name]
    genuine = sign_by_hand(assertion(), key, key_info=info)
    assert_accepted(idp.judge, genuine)
    assert refusal(idp.judge, sign_by_hand(assertion(), STRANGER, key_info=info)) == ("signature", NOT_THE_ISSUERS)
    swapped = re.sub(rb"<ds:SignatureValue>.*</ds:SignatureValue>", _value_of(STRANGER), genuine)
    assert refusal(idp.judge, swapped) == ("signature", NOT_THE_ISSUERS)


def _value_of(key: Signer) -> bytes:
    found = re.search(rb"<ds:SignatureValue>.*</ds:SignatureValue>", sign_by_hand(assertion(), key))
    assert found is not None
    return found[0]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("key", [RSA, P256], ids=["RSA", "P-256"])
def test_what_is_accepted(idp: IdP, key: Signer, algorithm: str) -> None:
    method = key.algorithm.replace("sha256", algorithm)
    digest = "http://www.w3.org/2001/04/xmldsig-more#sha384" if algorithm == "sha384" else (
        f"http://www.w3.org/2001/04/xmlenc#{algorithm}"
    )  # fmt: skip
    assert_accepted(idp.judge, sign_by_hand(assertion(), key, method=method, references=[m.Reference(digest=digest)]))


def test_a_refused_algorithm_is_named_with_what_to_set_instead(idp: IdP) -> None:
    assert_accepted(idp.judge, sign_by_hand(assertion()))
    instead = "which is not accepted: set the identity provider to RSA or ECDSA with SHA-256"
    for method, called in (
        (f"{DSIG_NAMESPACE}rsa-sha1", f"RSA and SHA-1 ({DSIG_NAMESPACE}rsa-sha1)"),
        ("urn:mine", "'urn:mine'"),
    ):
        assert refused(idp.judge, sign_by_hand(assertion(), method=method)) == f"signed with {called}, {instead}"
    digested = sign_by_hand(assertion(), references=[Reference(digest=f"{DSIG_NAMESPACE}sha1")])
    told = f"signed with the digest SHA-1 ({DSIG_NAMESPACE}sha1), {instead}"
    assert refused(idp.judge, digested) == told


def values() -> dict[str, tuple[Signer, bytes]]:
    """Values of signatures that verifiers have taken for good ones."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    modulus = RSA.private.public_key().public_numbers().n
    return {
        "ECDSA 0, 0": (P256, bytes(64)),  # CVE-2022-21449
        "ECDSA 1, 1": (P256, (bytes(31) + b"\1") * 2),
        "ECDSA n, n": (P256, order.to_bytes(32, "big") * 2),
        "ECDSA r = n, s = 1": (P256, order.to_bytes(32, "big") + bytes(31) + b"\1"),
        "ECDSA of one number": (P256, bytes(31) + b"\1"),
        "RSA 0": (RSA, bytes(256)),
        "RSA 1": (RSA, bytes(255) + b"\1"),
        "RSA n - 1": (RSA, (modulus - 1).to_bytes(256, "big")),
        "RSA n": (RSA, modulus.to_bytes(256, "big")),
        "nothing": (RSA, b""),
        "nothing, ECDSA": (P256, b""),
        "one byte": (RSA, b"\0"),
        "60,000 bytes": (RSA, bytes(45_000)),
    }


@pytest.mark.parametrize("name", values())
def test_values_of_the_signature(idp: IdP, name: str) -> None:
    key, value = values()[name]
    assert_forged(idp.judge, sign_by_hand(assertion(), key), sign_by_hand(assertion(), key, value=value))


def test_a_good_value_with_more_behind_it(idp: IdP) -> None:
    genuine = sign_by_hand(assertion())
    for more in (b"AAAA", b"=", b"!!!!", b"</ds:SignatureValue><ds:SignatureValue>"):
        assert_forged(idp.judge, genuine, genuine.replace(b"</ds:SignatureValue>", more + b"</ds:SignatureValue>"))


PIECES = (
    "Signature", "SignedInfo", "CanonicalizationMethod", "SignatureMethod", "Reference", "Transforms", "Transform",
    "DigestMethod", "DigestValue", "SignatureValue",
)  # fmt: skip


CHANGES: tuple[Callable[[Any], object], ...] = (
    lambda element: element.getparent().remove(element),
    lambda element: element.addnext(etree.fromstring(etree.tostring(element, with_tail=False))),
    lambda element: element.append(etree.Element("x")),
    lambda element: element.append(etree.Element(f"{{{DSIG_NAMESPACE}}}Object")),
    lambda element: setattr(element, "tag", element.tag.replace("2000/09", "2001/09")),
    lambda element: setattr(element, "tag", etree.QName(element).localname),
    lambda element: setattr(element, "tag", element.tag.lower()),
    lambda element: element.set("{urn:x}Id", "x"),
    lambda element: element.set("Algorithms", "x"),
)


@pytest.mark.parametrize("piece", PIECES)
def test_each_piece_of_the_signature(idp: IdP, piece: str) -> None:
    genuine = sign_by_hand(assertion())

    def changed(change: Callable[[Any], object]) -> bytes:
        root = etree.fromstring(genuine)
        change(next(root.iter(f"{{{DSIG_NAMESPACE}}}{piece}")))
        return bytes(etree.tostring(root))

    for change in CHANGES:
        assert_forged(idp.judge, genuine, changed(change))
    named = changed(lambda element: element.set("Id", "x"))
    if piece == "Signature":
        assert_accepted(idp.judge, named)  # as pysaml2 writes it; nothing refers to it
    else:
        assert_forged(idp.judge, genuine, named)
        assert_forged(idp.judge, genuine, changed(lambda element: setattr(element, "tail", "x")))
