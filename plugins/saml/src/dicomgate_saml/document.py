"""Bytes -> an XML tree in which nothing can hide.

Rule 1: what is refused is refused before a parser sees it: "<!" begins a DTD, an entity, a comment or a CDATA section,
        "<?" a processing instruction; in well-formed XML neither stands anywhere else.
Rule 2: UTF-8 and no other encoding, whatever the declaration says.
Rule 3: sizes are limited before anything is done with the tree.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from lxml import etree

Element: TypeAlias = Any
"""lxml's element; its types are not lxml's to give."""

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
    """The assertion cannot be accepted. The words are for the log, and repeat nothing but names."""


def read_document(data: bytes, longest: int = LONGEST) -> Element:
    """The root of the document. Raises RefusedError."""
    data = data.removesuffix(b"\0")  # a field of odd length may come padded to an even one (PS3.5 6.2)
    if len(data) > longest:
        raise RefusedError(f"{len(data)} bytes; {longest} are the most")
    try:
        text = data.decode("utf-8-sig").strip(" \t\r\n")
    except UnicodeDecodeError:
        raise RefusedError("not UTF-8") from None
    declaration = _DECLARATION.match(text)
    body = text[declaration.end() :] if declaration else text
    if "<?" in body:
        raise RefusedError("an XML declaration that is not of UTF-8, or a processing instruction")
    if "<!" in body:
        raise RefusedError("a document type, an entity, a comment or a CDATA section")
    if body.count("<") > 2 * _MOST_ELEMENTS:
        raise RefusedError("too many elements")
    try:
        root = etree.fromstring(body.encode("utf-8"), _parser())
    except (etree.XMLSyntaxError, ValueError):
        raise RefusedError("not well-formed XML") from None
    _check_namespaces(root)
    _check_size(root)
    _check_ids(root)
    return root


def _parser() -> Any:
    # A new one each time, and still lxml keeps every name that it has seen for as long as the thread lives. The gateway
    # asks in a new thread each time; whoever parses strangers' documents in one that stays would let them fill it.
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, collect_ids=False
    )


def _check_namespaces(root: Element) -> None:
    # First, for lxml writes the namespace into the name of each element that is looked at, and libxml2, when it
    # canonicalises, wherever it is used: sixty kilobytes would become a hundred megabytes. And for each prefix it looks
    # through all that is declared around the element.
    in_scope = 0
    for event, declared in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > _MOST_NAMESPACES or (event == "start-ns" and len(declared[1]) > _LONGEST_NAMESPACE):
            raise RefusedError("too many namespaces, or too long a one")


def _check_size(root: Element) -> None:
    level, depth, elements = [root], 0, 0
    while level:
        depth, elements = depth + 1, elements + len(level)
        if depth > _DEEPEST or elements > _MOST_ELEMENTS:
            raise RefusedError("too many elements, or too deep")
        for element in level:
            if not isinstance(element.tag, str):
                raise RefusedError("something else than elements and text")
            if len(element.attrib) > _MOST_ATTRIBUTES:
                raise RefusedError("too many attributes")
        level = [child for element in level for child in element]


def _check_ids(root: Element) -> None:
    """No two elements of one ID, however the attribute is spelt: verifiers differ in which they believe."""
    seen: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.startswith(_XML) and name not in _XML_ATTRIBUTES:
                raise RefusedError("an attribute of XML's own: xml:id or xml:base")
            if etree.QName(name).localname.lower() == "id":
                if value in seen:
                    raise RefusedError("two elements with the same ID")
                seen.add(value)
