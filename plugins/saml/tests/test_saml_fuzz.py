"""Assertions with small changes: the user stays the same or it is refused, and there is always a decision."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest
from lxml import etree

from dicomgate import Accept, Pass, Reject
from dicomgate_saml import Saml
from plugins.saml.tests.conftest import IdP
from plugins.saml.tests.mint import P256, RSA, Signer, ask, assertion, mint, response, sign_by_hand

ROUNDS = 1_500
TOKENS = (
    b"", b" ", b"\0", b"<", b">", b"&", b'"', b"'", b"/", b"#", b"<!--", b"-->", b"<?", b"?>", b"<![CDATA[", b"]]>",
    b"&lt;", b"&#0;", b"&#x61;", b"root", b"xmlns", b"xmlns:saml='urn:x' ", b'ID="_x" ', b"ds:", b"saml:", b"\xff",
    b"\xef\xbb\xbf", b"<x/>", b"<saml:NameID>root</saml:NameID>", b"2.0", b"=", b"A",
)  # fmt: skip


def genuine(key: Signer) -> list[bytes]:
    """Assertions of one user, bare and in a Response."""
    signed = mint(key=key, attributes={"role": ["reader", "writer"]})
    return [signed, response(signed), sign_by_hand(assertion(), key)]


def assert_the_same_user(judge: Saml, document: bytes, mutant: bytes) -> bool:
    decision = ask(judge, mutant)  # nothing is raised
    assert isinstance(decision, Accept | Reject | Pass), (decision, document, mutant)
    if isinstance(decision, Accept):
        before = ask(judge, document)
        assert isinstance(before, Accept)
        same = (before.user, before.groups, before.once, before.attributes, before.expires_at)
        assert same == (decision.user, decision.groups, decision.once, decision.attributes, decision.expires_at), mutant
    return isinstance(decision, Accept)


def changed_bytes(document: bytes, random: Random) -> bytes:
    """One to three places changed, taken away, doubled or exchanged."""
    data = bytearray(document)
    for _ in range(random.randint(1, 3)):
        at, length = random.randrange(len(data)), random.choice((1, 1, 1, 2, 5, 20, 100, 400))
        match random.randrange(6):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                data[at : at + length] = random.choice(TOKENS)
            case 2:
                data[at:at] = random.choice(TOKENS)
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                del data[at : at + length]
            case 5:
                other = random.randrange(len(data))
                data[other:other] = data[at : at + length]
    return bytes(data)


def changed_tree(document: bytes, random: Random) -> bytes:
    """One to three elements moved, copied, taken away, renamed, or given another's attributes and text."""
    root = etree.fromstring(document)
    for _ in range(random.randint(1, 3)):
        elements = list(root.iter())
        one, other = random.choice(elements), random.choice(elements)
        match random.randrange(8):
            case 0:
                _add(other, deepcopy(one), random)
            case 1 if other not in one.iter() and one is not root:
                _add(other, one, random)
            case 2 if one is not root:
                one.getparent().remove(one)
            case 3:
                one.tag = other.tag
            case 4:
                one.text = random.choice((other.text, "root", "", None))
            case 5:
                one.tail = random.choice((other.text, "root", " "))
            case 6 if other.keys():
                name = random.choice(other.keys())
                one.set(random.choice((name, name.lower(), "ID", "Id")), other.get(name))
            case 7 if one.keys():
                del one.attrib[random.choice(one.keys())]
    return bytes(etree.tostring(root))


def _add(parent: Any, child: Any, random: Random) -> None:
    parent.insert(random.randint(0, len(parent)), child)


@pytest.mark.parametrize("key", [RSA, P256], ids=["RSA", "P-256"])
@pytest.mark.parametrize("change", [changed_bytes, changed_tree])
def test_small_changes(idp: IdP, change: Any, key: Signer) -> None:
    random = Random(f"{change.__name__} {key.algorithm}")
    documents = genuine(key)
    accepted = sum(
        assert_the_same_user(idp.judge, document, change(document, random))
        for document in documents
        for _ in range(ROUNDS // len(documents))
    )
    # Blanks between elements of the signature, KeyInfo, the Response: some changes have no effect.
    assert 0 < accepted < ROUNDS // 4


def test_each_byte_taken_away_and_cut_short(idp: IdP) -> None:
    document = mint()
    for at in range(len(document)):
        assert_the_same_user(idp.judge, document, document[:at] + document[at + 1 :])
        assert at % 3 or not assert_the_same_user(idp.judge, document, document[:at])


def test_halves_of_two_assertions(idp: IdP) -> None:
    """Every element of the one in the place of the same of the other."""
    one, other = mint(), mint("root")
    positions = range(sum(1 for _ in etree.fromstring(one).iter()))
    for position in positions[1:]:
        root = etree.fromstring(one)
        target = list(root.iter())[position]
        target.getparent().replace(target, deepcopy(list(etree.fromstring(other).iter())[position]))
        assert_the_same_user(idp.judge, one, etree.tostring(root))
