"""Tricks with text rather than with signatures: comments, entities, encodings, IDs, names.

The signature of each is the issuer's and would be good for another reader, or what is added is outside of what it
covers.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

import pytest

from dicomgate import Accept
from plugins.saml.tests.conftest import IdP, assert_accepted, assert_forged, refusal
from plugins.saml.tests.hostile import doctypes
from plugins.saml.tests.mint import ISSUER, USER, ask, assertion, mint, response, sign_by_hand

Change = Callable[[bytes], bytes]


def instead(old: str | bytes, new: str | bytes) -> Change:
    """One place of the document changed."""

    def change(document: bytes) -> bytes:
        before, after = (one.encode() if isinstance(one, str) else one for one in (old, new))
        assert before in document
        return document.replace(before, after, 1)

    return change


def in_front(more: str) -> Change:
    return lambda document: more.encode() + document


NAME = f">{USER}<"
TEXT = {
    "comment in the NameID": instead(NAME, ">a<!-- -->da<"),
    "comment behind the NameID": instead(NAME, f">{USER}<!---->.evil<"),
    "comment with an end": instead(NAME, f">{USER}<!--></saml:NameID>--><"),
    "comment between elements": instead("<saml:Subject>", "<!--x--><saml:Subject>"),
    "comment in the signature": instead("<ds:SignedInfo>", "<ds:SignedInfo><!--x-->"),
    "comment in the DigestValue": instead("<ds:DigestValue>", "<ds:DigestValue><!--x-->"),
    "comment in front": in_front("<!--x-->"),
    "comment behind": lambda document: document + b"<!--x-->",
    "comment in the Issuer": instead(f">{ISSUER}<", f">{ISSUER}<!--x--><"),
    "processing instruction in the NameID": instead(NAME, ">a<?x?>da<"),
    "processing instruction in the DigestValue": instead("<ds:DigestValue>", "<ds:DigestValue><?x?>"),
    "processing instruction in front": in_front('<?xml-stylesheet href="file:///etc/passwd"?>'),
    "processing instruction behind": lambda document: document + b"<?x?>",
    "CDATA in the NameID": instead(NAME, f"><![CDATA[{USER}]]><"),
    "CDATA with a comment": instead(NAME, f"><![CDATA[<!--]]>{USER}<![CDATA[-->]]><"),
    "empty CDATA": instead(NAME, f">{USER}<![CDATA[]]><"),
    "element in the NameID": instead(NAME, ">a<x/>da<"),
    "XInclude": instead(NAME, f'>{USER}<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/><'),
    "text behind the root": lambda document: document + b"x",
    "two roots": lambda document: document + document,
    "NUL in the text": instead(NAME, f">{USER}\0<"),
    "NUL as a reference": instead(NAME, f">{USER}&#0;<"),
    "NUL behind, twice": lambda document: document + b"\0\0",
    "a surrogate as a reference": instead(NAME, f">{USER}&#xD800;<"),
    "an entity that nobody declared": instead(NAME, f">{USER}&x;<"),
    "a reference without an end": instead(NAME, f">{USER}&#65<"),
    "the name with a blank": instead(NAME, f">{USER} <"),
    "the name with a reference to another letter": instead(NAME, ">&#65;da<"),
}
DOCTYPES = doctypes("http://127.0.0.1:9/trap")
TEXT |= {f"no blank of XML: {one!a}": in_front(one) for one in ("\u00a0", "\u2028", "\x1c", "\x85", "\ufeff" * 3)}
TEXT |= {f"document type: {name}": in_front(doctype) for name, doctype in DOCTYPES.items()}
TEXT |= {f"declaration and {name}": in_front(f'<?xml version="1.0"?>{one}') for name, one in DOCTYPES.items()}


def declared(encoding: str, codec: str | None = None) -> Change:
    """In an encoding and declared so; or declared so and still in UTF-8."""
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
    return lambda document: (declaration + document.decode()).encode(codec or "utf-8")


def encoded(codec: str) -> Change:
    return lambda document: document.decode().encode(codec)


ENCODINGS: dict[str, Change] = {
    **{codec: declared(codec, codec) for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037")},
    **{f"{codec}, not said": encoded(codec) for codec in ("utf-16", "utf-16-le", "utf-32")},
    **{
        f"said to be {name}": declared(name)
        for name in ("UTF-16", "UTF-7", "ISO-8859-1", "us-ascii", "EBCDIC-CP-US", "utf-8-x", "", "x", "UTF8")
    },
    "said twice": lambda document: in_front('<?xml version="1.0"?>')(declared("utf-8")(document)),
    "version 1.1": in_front('<?xml version="1.1"?>'),
    "declared behind": lambda document: document + b'<?xml version="1.0"?>',
    "declared within": instead("<saml:Subject>", '<?xml version="1.0"?><saml:Subject>'),
    "a byte that is not UTF-8": instead(NAME, b">ad\xe1<"),
    "overlong": instead(NAME, b">\xc1\xa1da<"),
    "a surrogate": instead(NAME, b">\xed\xa0\x80<"),
    "a mark of another order": lambda document: codecs.BOM_UTF16_BE + document,
    "compressed": lambda document: b"\x1f\x8b\x08\x00" + document,
    "empty": lambda document: b"",
    "blanks": lambda document: b"   ",
    "base64": lambda document: codecs.encode(document, "base64"),
}


@pytest.mark.parametrize("trick", [*TEXT, *ENCODINGS])
def test_tricks_with_text(idp: IdP, trick: str) -> None:
    change = {**TEXT, **ENCODINGS}[trick]
    genuine = mint()
    words = assert_forged(idp.judge, genuine, change(genuine))
    if trick in ("a byte that is not UTF-8", "overlong", "a surrogate"):
        assert words == "not UTF-8"
    if trick not in ("blanks", "empty"):
        around = response(genuine)
        assert_forged(idp.judge, around, change(around))


HARMLESS: dict[str, Change] = {
    "declared": in_front('<?xml version="1.0" encoding="UTF-8"?>\n'),
    "declared with single quotes": in_front("<?xml version='1.0' encoding='utf-8' standalone='yes'?>"),
    "a byte order mark": in_front("\ufeff"),
    "a byte order mark and a declaration": in_front('\ufeff<?xml version="1.0"?>'),
    "blanks around": lambda document: b"\r\n " + document + b"\r\n ",
    "as large as an item of DICOM can be": lambda document: document.ljust(65_535),
    "one NUL behind, the padding of DICOM": lambda document: document + b"\0",
    "letters as references": instead(NAME, ">&#x61;&#100;a<"),
    "attributes in another order": lambda document: re.sub(rb'( ID="\S+")( Version="2.0")', rb"\2\1", document),
    "single quotes": instead('Version="2.0"', "Version='2.0'"),
    "blanks in tags": instead("<saml:Subject>", "<saml:Subject\n\t>"),
    "a namespace that nobody uses": instead("<saml:Subject>", '<saml:Subject xmlns:x="urn:x">'),
    "the value of the signature on many lines": instead("<ds:SignatureValue>", "<ds:SignatureValue>\n \n"),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_changes_nothing(idp: IdP, change: str) -> None:
    assert_accepted(idp.judge, HARMLESS[change](mint()))


IDS = {
    f"{spelling} of {element}": (element, spelling)
    for element in ("saml:Subject", "saml:Conditions", "ds:Signature", "ds:SignedInfo", "ds:X509Data")
    for spelling in ("ID", "Id", "id", "iD", "xml:id", "wsu:Id", "x:ID", "wsu:id")
}


@pytest.mark.parametrize("case", IDS)
def test_the_same_id_twice(idp: IdP, case: str) -> None:
    element, spelling = IDS[case]
    genuine = mint(id="_genuine")
    spelt = f'<{element} xmlns:wsu="urn:wsu" xmlns:x="urn:x" {spelling}="_genuine"'
    words = assert_forged(idp.judge, genuine, re.sub(f"<{element}(?=[ >])".encode(), spelt.encode(), genuine, count=1))
    assert words in ("two elements with the same ID", "an attribute xml:id or xml:base")
    around = response(genuine)
    assert_forged(idp.judge, around, re.sub(rb'(<samlp:Response [^>]*)ID="[^"]*"', rb'\1ID="_genuine"', around))


@pytest.mark.parametrize("attribute", ["xml:id", "xml:base"])
def test_attributes_of_xml(idp: IdP, attribute: str) -> None:
    genuine = mint()
    hostile = instead("<saml:Subject>", f'<saml:Subject {attribute}="_x">')(genuine)
    assert assert_forged(idp.judge, genuine, hostile) == "an attribute xml:id or xml:base"
    spoken = sign_by_hand(assertion().replace(b"<saml:Subject>", b'<saml:Subject xml:lang="en" xml:space="preserve">'))
    # SAML has no such attribute there; xml-c14n and we do not mind.
    assert refusal(idp.judge, spoken)[0] == "verification"


NOT_IDS = (
    "a' or '1'='1", 'a" or "1"="1', "a&quot;b", "*", "", " ", "a b", "_a\n", "1a", "#a", "a:b", "xpointer(/)", "\u00e4",
    "a')]|//*[('1'='1", "_" + "a" * 300,
)  # fmt: skip


@pytest.mark.parametrize("id", NOT_IDS)
def test_ids_that_are_no_names(idp: IdP, id: str) -> None:  # noqa: A002
    hostile = sign_by_hand(assertion(id=id or "_gone").replace(b"_gone", b""))
    assert_forged(idp.judge, sign_by_hand(assertion()), hostile)


NAMESPACES: dict[str, Change] = {
    "the assertion of another namespace": instead("SAML:2.0:assertion", "SAML:1.0:assertion"),
    "of a longer one": instead("SAML:2.0:assertion", "SAML:2.0:assertion/"),
    "of one in other letters": instead("SAML:2.0:assertion", "saml:2.0:assertion"),
    "of one with a reference": instead("SAML:2.0:assertion", "SAML:2.0:assertion&#32;"),
    "of none": lambda document: re.sub(rb"</?saml:|xmlns:saml=\S+", lambda m: m[0].replace(b"saml:", b""), document),
    "a Subject of another": instead("<saml:Subject>", '<saml:Subject xmlns:saml="urn:x">'),
    "a Subject of none": lambda document: document.replace(b"saml:Subject>", b"Subject>"),
    "another Subject of none": instead("<saml:Subject>", "<Subject><NameID>root</NameID></Subject><saml:Subject>"),
    "another NameID of another": instead("<saml:NameID>", '<x:NameID xmlns:x="urn:x">root</x:NameID><saml:NameID>'),
    "a default namespace": instead("<saml:Subject>", '<Subject xmlns="urn:x"/><saml:Subject>'),
    "the prefix not declared": instead("xmlns:saml=", "xmlns:sam1="),
    "a prefix that nobody declared": instead("<saml:Subject>", "<u:x/><saml:Subject>"),
    "an attribute's prefix that nobody declared": instead("<saml:Subject>", '<saml:Subject u:x="">'),
    "a prefix taken back": instead("<saml:Subject>", '<saml:Subject xmlns:saml="">'),
    "a relative one": instead("<saml:Subject>", '<saml:Subject xmlns:x="../x">'),
    "a relative default one": instead("<saml:Subject>", '<saml:Subject xmlns="x">'),
    "one that is no URI": instead("<saml:Subject>", '<saml:Subject xmlns:x="http://x\u0080">'),
    "the prefix xml": instead("<saml:Subject>", '<saml:Subject xmlns:xml="urn:x">'),
    "the prefix xmlns": instead("<saml:Subject>", '<saml:Subject xmlns:xmlns="urn:x">'),
    "an attribute twice by two prefixes": instead(
        "<saml:Subject>", '<saml:Subject xmlns:a="urn:x" xmlns:b="urn:x" a:x="" b:x="">'
    ),
    "an ID twice": instead(' Version="2.0"', ' Version="2.0" ID="_x"'),
    "an ID of a namespace": instead(' ID="', ' saml:ID="'),
    "the signature of another": instead("2000/09/xmldsig#", "2000/09/xmldsig"),
    "the schema's place": instead(" Version=", ' xsi:schemaLocation="urn:x file:///etc/passwd" Version='),
}


@pytest.mark.parametrize("trick", NAMESPACES)
def test_tricks_with_namespaces(idp: IdP, trick: str) -> None:
    genuine = mint()
    assert_forged(idp.judge, genuine, NAMESPACES[trick](genuine))
    around = response(genuine)
    assert_forged(idp.judge, around, response(NAMESPACES[trick](genuine)))


def before_the_subject(more: str) -> Change:
    return instead("<saml:Subject>", f"{more}<saml:Subject>")


ATTRIBUTES = " ".join(f'a{n}=""' for n in range(40))
NESTED, MANY = "too many elements, or nested too deeply", "too many namespaces, or one that is too long"
SIZES: dict[str, tuple[Change, str]] = {
    "elements without an end": (lambda document: b"<a>" * 21_000, "too many elements"),
    "a hundred thousand elements": (lambda document: b"<a>" * 100_000, "300000 bytes, more than 65535"),
    "deep": (before_the_subject("<a>" * 40 + "</a>" * 40), NESTED),
    "wide": (before_the_subject("<a/>" * 2_100), NESTED),
    "many attributes": (before_the_subject(f"<a {ATTRIBUTES}/>"), "too many attributes"),
    "many namespaces": (before_the_subject("<a" + "".join(f' xmlns:n{n}="urn:x"' for n in range(70)) + "/>"), MANY),
    "a long namespace": (before_the_subject(f'<n:a xmlns:n="urn:{"n" * 253}"/>'), MANY),
    "many namespaces, deep": (
        before_the_subject('<a xmlns:x="urn:x" xmlns:y="urn:x" xmlns="urn:x">' * 25 + "</a>" * 25),
        MANY,
    ),
    "a byte too many": (lambda document: document.ljust(65_536), "65536 bytes, more than 65535"),
    "64 KiB of a comment": (
        lambda document: document + b"<!--" + b" " * 62_000 + b"-->",
        "a document type, an entity, a comment or a CDATA section",
    ),
}


@pytest.mark.parametrize("trick", SIZES)
def test_sizes(idp: IdP, trick: str) -> None:
    change, words = SIZES[trick]
    genuine = mint()
    assert assert_forged(idp.judge, genuine, change(genuine)) == words


def test_namespaces_declared_again_and_again(idp: IdP) -> None:
    """As some identity providers do in each AttributeValue: what counts is how many hold at one place."""
    value = '<saml:AttributeValue xmlns:a="urn:a" xmlns:b="urn:b" b:x="">x</saml:AttributeValue>'
    attribute = f'<saml:Attribute Name="x">{value * 300}</saml:Attribute>'
    genuine = mint(attributes=f"<saml:AttributeStatement>{attribute}</saml:AttributeStatement>")
    assert isinstance(ask(idp.judge, genuine), Accept)
