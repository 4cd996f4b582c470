"""What can become of a signed assertion on its way, by chance and on purpose.

Each mutation is a function of a source of chance and of an assertion as `mint` signs it; it returns what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from lxml import etree

from plugins.saml.tests.mint import DSIG_NAMESPACE, ENVELOPED, STRANGER, Reference, assertion, sign, sign_by_hand

Mutation = Callable[[Random, bytes], bytes]
_DS = f"{{{DSIG_NAMESPACE}}}"
_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def _tree(change: Callable[[Random, Any], object]) -> Mutation:
    """The mutation that changes the tree in place."""

    def mutate(random: Random, document: bytes) -> bytes:
        root = etree.fromstring(document)
        change(random, root)
        return bytes(etree.tostring(root))

    return mutate


def _within(random: Random, root: Any) -> Any:
    """An element of those that are signed, not the root."""
    return random.choice([one for one in root.iterdescendants() if not one.tag.startswith(_DS)])


def _a_byte(random: Random, document: bytes) -> bytes:
    place = random.randrange(document.index(b"<ds:KeyInfo"))
    if random.random() < 0.3:
        place = random.randrange(document.index(b"</ds:Signature>"), len(document))
    one = document[place : place + 1]
    changed = random.choice([bytes((one[0] ^ 1 << random.randrange(7),)), b"", one * 2])
    return document[:place] + changed + document[place + 1 :]


def _a_text(random: Random, root: Any) -> None:
    element = random.choice([one for one in root.iter() if one.text and not one.tag.startswith(_DS)])
    place = random.randrange(len(element.text))
    changed = random.choice(["", " ", "\u00e4", chr(ord(element.text[place]) ^ 1)])
    element.text = element.text[:place] + changed + element.text[place + 1 :]


def _blanks(random: Random, root: Any) -> None:
    element = _within(random, root)
    element.tail = (element.tail or "") + random.choice(" \n\t")


def _an_attribute(random: Random, root: Any) -> None:
    element = random.choice([one for one in root.iter() if one.attrib and not one.tag.startswith(_DS)])
    name = random.choice([*element.keys(), "More"])
    if name in element.attrib and random.random() < 0.5:
        del element.attrib[name]
    else:
        element.set(name, element.get(name, "") + "x")


def _less(random: Random, root: Any) -> None:
    element = _within(random, root)
    element.getparent().remove(element)


def _twice(random: Random, root: Any) -> None:
    element = _within(random, root)
    random.choice([element.addnext, element.addprevious])(etree.fromstring(etree.tostring(element, with_tail=False)))


def _elsewhere(random: Random, root: Any) -> None:
    root.insert(random.randrange(len(root)), _within(random, root))


def _renamed(random: Random, root: Any) -> None:
    element = _within(random, root)
    element.tag = random.choice([f"{element.tag}x", element.tag.replace("assertion", "protocol")])


def _in_the_signature(random: Random, root: Any) -> None:
    """Something of SignedInfo, or SignatureValue."""
    signature = root.find(f"{_DS}Signature")
    element = random.choice([*signature[0].iter(), signature[1]])
    if element.attrib:
        name = random.choice(element.keys())
        element.set(name, random.choice(["", "#x", element.get(name).replace("256", "512") + "x"]))
    elif (element.text or "").strip():
        element.text = element.text.translate({ord("A"): "B", ord("B"): "C", ord("a"): "b"})
    else:
        element.getparent().remove(element)


def _without(name: str) -> Mutation:
    def remove(_: Random, root: Any) -> None:
        element = root.find(f".//{_DS}{name}")
        element.getparent().remove(element)

    return _tree(remove)


def _attributes_reversed(_: Random, root: Any) -> None:
    taken = list(reversed(root.attrib.items()))
    root.attrib.clear()
    for name, value in taken:
        root.set(name, value)


def _another_certificate(_: Random, root: Any) -> None:
    root.find(f".//{_DS}X509Certificate").text = STRANGER.base64


def _in_other_lines(random: Random, root: Any) -> None:
    value = root.find(f"{_DS}Signature/{_DS}SignatureValue")
    base64, place = "".join(value.text.split()), random.randrange(1, 80)
    value.text = f"{base64[:place]}\n{base64[place:]}"


def _inclusive(_: Random, __: bytes) -> bytes:
    unsigned = assertion()
    form = bytes(etree.tostring(etree.fromstring(unsigned), method="c14n"))
    return sign_by_hand(unsigned, references=[Reference(transforms=(ENVELOPED, _INCLUSIVE), digested=form)])


HARMLESS: Mapping[str, Mutation] = {
    "as it is": lambda _, document: document,
    "attributes in another order": _tree(_attributes_reversed),
    "other quotes": lambda _, document: re.sub(rb'IssueInstant="([^"]*)"', rb"IssueInstant='\1'", document),
    "a namespace that nothing uses": lambda _, document: document.replace(b" ID=", b' xmlns:no="urn:no" ID=', 1),
    "a reference to a character": lambda _, document: document.replace(b">ada<", b">&#x61;d&#97;<"),
    "blanks between attributes": lambda _, document: document.replace(b" ID=", b"\n\t ID=", 1),
    "blanks around": lambda _, document: b"\n " + document + b" \n",
    "base64 in other lines": _tree(_in_other_lines),
    "without KeyInfo": _without("KeyInfo"),
    "another certificate in KeyInfo": _tree(_another_certificate),
}
"""What was signed is still there."""

HARMFUL: Mapping[str, Mutation] = {
    "a byte": _a_byte,
    "a text": _tree(_a_text),
    "blanks": _tree(_blanks),
    "an attribute": _tree(_an_attribute),
    "an element less": _tree(_less),
    "an element twice": _tree(_twice),
    "an element elsewhere": _tree(_elsewhere),
    "another name": _tree(_renamed),
    "part of the signature": _tree(_in_the_signature),
    "without signature": _without("Signature"),
    "signed by a stranger": lambda _, __: sign(assertion(), STRANGER),
}
"""It is not (except by chance), or no trusted key signed it."""

_MARKUP = "a document type, an entity, a comment or a CDATA section"
UNUSUAL: Mapping[str, tuple[Mutation, str]] = {
    "a comment": (
        lambda _, document: document.replace(b">ada<", b">a<!---->da<"),
        _MARKUP,
    ),
    "a CDATA section": (
        lambda _, document: document.replace(b">ada<", b"><![CDATA[ada]]><"),
        _MARKUP,
    ),
    "a processing instruction behind it": (
        lambda _, document: document + b"<?no thing?>",
        "an XML declaration that does not say UTF-8, or a processing instruction",
    ),
    "a Reference to the whole document": (
        lambda _, __: sign_by_hand(assertion(), references=[Reference(uri="")]),
        "the signature's Reference is not to its parent element",
    ),
    "an Object in the signature": (
        lambda _, __: sign_by_hand(assertion(), objects="<ds:Object>no thing</ds:Object>"),
        "Object: may have any content, and is not accepted",
    ),
    "inclusive canonicalisation": (_inclusive, "not exclusive canonicalisation without comments"),
}
"""Validly signed, but in a way that hides things or that the profile forbids; and why the plugin refuses it."""
