"""Bytes -> an XML tree in which nothing can hide; the names of the elements that are read.

Rule 1: forbidden constructs are refused before a parser sees them: "<!" begins a DTD, an entity, a comment or a CDATA
        section, "<?" a processing instruction; neither occurs anywhere else in well-formed XML.
Rule 2: UTF-8 and no other encoding, whatever the declaration says.
Rule 3: sizes are limited before the tree is used.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from lxml import etree

Element: TypeAlias = Any
"""An element of lxml, which has no types of its own."""

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"
XENC = "{http://www.w3.org/2001/04/xmlenc#}"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"

LONGEST = 65_535
_MOST_ELEMENTS = 2_000
_MOST_ATTRIBUTES = 32
_MOST_NAMESPACES = 64
_LONGEST_NAMESPACE = 256
_DEEPEST = 32
_DECLARATION = re.compile(
    r"<\?xml version=(['\"])1\.0\1(?: encoding=(['\"])(?i:utf-8)\2)?(?: standalone=(['\"])(?:yes|no)\3)? ?\?>"
)
_XML = "{http://www.w3.org/XML/1998/namespace}"
_XML_ATTRIBUTES = frozenset((f"{_XML}lang", f"{_XML}space"))


class RefusedError(Exception):
    """The assertion cannot be accepted. The message is for the log and repeats nothing but names."""


def read_document(data: bytes, longest: int = LONGEST) -> Element:
    """The root of the document, of at most `longest` bytes. Raises RefusedError."""
    data = data.removesuffix(b"\0")  # a field of odd length may be padded (PS3.5 6.2)
    if len(data) > longest:
        raise RefusedError(f"{len(data)} bytes, more than {longest}")
    try:
        text = data.decode("utf-8-sig").strip(" \t\r\n")
    except UnicodeDecodeError:
        raise RefusedError("not UTF-8") from None
    declaration = _DECLARATION.match(text)
    body = text[declaration.end() :] if declaration else text
    if "<?" in body:
        raise RefusedError("an XML declaration that does not say UTF-8, or a processing instruction")
    if "<!" in body:
        raise RefusedError("a document type, an entity, a comment or a CDATA section")
    if body.count("<") > 2 * _MOST_ELEMENTS:
        raise RefusedError("too many elements")
    root = _parsed(body.encode("utf-8"))
    _check_namespaces(root)
    _check_size(root)
    _check_ids(root)
    return root


def read_again(canonical: bytes, longest: int) -> Element:
    """The root of what `read_document` has read, or of a part of it, from its canonical form. Raises RefusedError."""
    if len(canonical) > longest:  # it may be longer than what was read
        raise RefusedError(f"{len(canonical)} bytes, more than {longest}")
    return _parsed(canonical)


def _parsed(document: bytes) -> Element:
    try:
        return etree.fromstring(document, _parser())
    except (etree.XMLSyntaxError, ValueError):
        raise RefusedError("not well-formed XML") from None


def _parser() -> Any:
    # lxml keeps every name that it has read until the thread ends, even with a new parser each time. The gateway parses
    # each assertion in a new thread; in a thread that stays, strangers could fill the memory.
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, collect_ids=False
    )


def _check_namespaces(root: Element) -> None:
    # This comes first: lxml writes the namespace into the name of each element that is read, and libxml2 writes it
    # wherever it is used when it canonicalises, so that 60 kB could become 100 MB. And for each prefix libxml2 searches
    # all declarations around the element.
    in_scope = 0
    for event, declared in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > _MOST_NAMESPACES or (event == "start-ns" and len(declared[1]) > _LONGEST_NAMESPACE):
            raise RefusedError("too many namespaces, or one that is too long")


def _check_size(root: Element) -> None:
    level, depth, elements = [root], 0, 0
    while level:
        depth, elements = depth + 1, elements + len(level)
        if depth > _DEEPEST or elements > _MOST_ELEMENTS:
            raise RefusedError("too many elements, or nested too deeply")
        for element in level:
            if not isinstance(element.tag, str):
                raise RefusedError("something other than elements and text")
            if len(element.attrib) > _MOST_ATTRIBUTES:
                raise RefusedError("too many attributes")
        level = [child for element in level for child in element]


def _check_ids(root: Element) -> None:
    """No two elements with the same ID, however the attribute is spelt: verifiers differ in which one they use."""
    seen: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.startswith(_XML) and name not in _XML_ATTRIBUTES:
                raise RefusedError("an attribute xml:id or xml:base")
            if name.rpartition("}")[2].lower() == "id":
                if value in seen:
                    raise RefusedError("two elements with the same ID")
                seen.add(value)
