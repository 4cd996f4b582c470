"""Assertions that the issuer's own key has signed, with a Signature whose form must not be accepted.

`trap` is a URL that nobody may fetch. All are made anew at each call, by name.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial

from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import DSIG_NAMESPACE, ENVELOPED, EXCLUSIVE, RSA, SHA256, STRANGER, Reference, assertion

Made = Mapping[str, Callable[[], bytes]]
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_ELEVEN = "http://www.w3.org/2006/12/xml-c14n11"
_DSA = m.signer(dsa.generate_private_key(2048))
_SMALL = m.signer(rsa.generate_private_key(65537, 1024))  # noqa: S505 (that it is refused is the point)
_ID = "_genuine"


def _signed(*references: Reference | str, **how: object) -> Callable[[], bytes]:
    return lambda: m.sign_by_hand(assertion(id=_ID), references=references or (Reference(),), **how)  # type: ignore[arg-type]


def inclusive_namespaces(prefixes: str, more: str = "", namespace: str = EXCLUSIVE) -> str:
    """The Transform of exclusive canonicalisation with a PrefixList."""
    return (
        f'<ds:Transform xmlns:ds="{DSIG_NAMESPACE}" Algorithm="{EXCLUSIVE}">'
        f'<ec:InclusiveNamespaces xmlns:ec="{namespace}" PrefixList="{prefixes}"{more}/></ds:Transform>'
    )


def _transform(algorithm: str, content: str) -> str:
    return f'<ds:Transform xmlns:ds="{DSIG_NAMESPACE}" Algorithm="{algorithm}">{content}</ds:Transform>'


def _stylesheet(content: str) -> str:
    sheet = f'<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">{content}</xsl:stylesheet>'
    return _transform("http://www.w3.org/TR/1999/REC-xslt-19991116", sheet)


def burning(levels: int) -> str:
    """A stylesheet that goes through all nodes once for each node, for each node..."""
    inside = "<x/>"
    for _ in range(levels):
        inside = f'<xsl:for-each select="//. | //@*">{inside}</xsl:for-each>'
    return _stylesheet(f'<xsl:template match="/">{inside}</xsl:template>')


def references(trap: str) -> Made:
    """References that are not the one to the assertion."""
    uris = [
        "file:///dev/zero", "file:///etc/passwd", "file:///proc/self/environ", "/etc/passwd", "etc/passwd", trap,
        f"{trap}#{_ID}", trap.replace("http", "ftp"), "", "#", f"#{_ID} ", f" #{_ID}", f"##{_ID}", "#_Genuine", _ID,
        "#%5Fgenuine", f"#xpointer(id('{_ID}'))", "#xpointer(/)", "#xpointer(//*)", f"#element({_ID})",
        "data:text/xml,<a/>", "#_genuine' or '1'='1", "#_other",
    ]  # fmt: skip
    one = Reference()
    made = {f"to {uri!r}": _signed(Reference(uri=uri)) for uri in uris}
    made |= {f"beside one to {uri!r}": _signed(one, Reference(uri=uri)) for uri in uris[:7]}
    made |= {f"behind one to {uri!r}": _signed(Reference(uri=uri), one) for uri in uris[:7]}
    made |= {
        f"with{attribute}": _signed(Reference(attributes=attribute))
        for attribute in (' Id="r"', f' Type="{DSIG_NAMESPACE}Manifest"', ' xmlns:x="urn:x" x:URI="#x"', ' uri="#x"')
    }
    manifest = (
        f'<ds:Object xmlns:ds="{DSIG_NAMESPACE}"><ds:Manifest Id="m"><ds:Reference URI="file:///dev/zero"/>'
        "</ds:Manifest></ds:Object>"
    )
    return {
        **made,
        "none": lambda: m.sign_by_hand(assertion(id=_ID), references=()),
        "twice": _signed(one, one),
        "a hundred times": _signed(*[one] * 100),
        "without URI": lambda: _signed()().replace(f' URI="#{_ID}"'.encode(), b""),
        "to a Manifest": _signed(Reference(uri="#m", attributes=f' Type="{DSIG_NAMESPACE}Manifest"'), objects=manifest),
        "with a Manifest": _signed(objects=manifest),
        "with a digest that is no base64": _signed(_digest_value("!!!!")),
        "with two digests": _signed(_digest_value("</ds:DigestValue><ds:DigestValue>")),
    }


def _digest_value(text: str) -> str:
    transforms = "".join(f'<ds:Transform Algorithm="{one}"/>' for one in (ENVELOPED, EXCLUSIVE))
    return (
        f'<ds:Reference URI="#{_ID}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{text}</ds:DigestValue></ds:Reference>'
    )


def transforms(trap: str) -> Made:
    """Transforms that are not the two that SAML allows (saml-core-2.0-os 5.4.4), and foreign canonical forms."""
    xpath = "<ds:XPath>{}</ds:XPath>".format
    of_xpath = "http://www.w3.org/TR/1999/REC-xpath-19991116"
    filter_2 = "http://www.w3.org/2002/06/xmldsig-filter2"
    document = f"""<xsl:template match="/"><xsl:copy-of select="document('{trap}')"/></xsl:template>"""
    include = f'<xsl:include href="{trap}"/><xsl:import href="file:///etc/passwd"/>'
    chains = {
        "none": (),
        "enveloped alone": (ENVELOPED,),
        "exclusive alone": (EXCLUSIVE,),
        "the other way round": (EXCLUSIVE, ENVELOPED),
        "enveloped twice": (ENVELOPED, ENVELOPED, EXCLUSIVE),
        "exclusive twice": (ENVELOPED, EXCLUSIVE, EXCLUSIVE),
        "five hundred": (ENVELOPED, *[EXCLUSIVE] * 498),
        "XSLT in front": (_stylesheet(document), ENVELOPED, EXCLUSIVE),
        "XSLT between": (ENVELOPED, _stylesheet(document), EXCLUSIVE),
        "XSLT behind": (ENVELOPED, EXCLUSIVE, _stylesheet(include)),
        "XSLT that burns": (ENVELOPED, burning(5)),
        "XSLT that burns, four times": (*[burning(5)] * 4, EXCLUSIVE),
        "XPath": (ENVELOPED, _transform(of_xpath, xpath("not(ancestor-or-self::ds:Signature)")), EXCLUSIVE),
        "XPath that burns": (_transform(of_xpath, xpath("count(//*[count(//*[count(//*)&gt;0])&gt;0])&gt;0")),),
        "XPath filter": (_transform(filter_2, f'<x:XPath xmlns:x="{filter_2}" Filter="subtract">//*</x:XPath>'),),
        "base64": (ENVELOPED, f"{DSIG_NAMESPACE}base64"),
        "decryption": ("http://www.w3.org/2002/07/decrypt#XML", EXCLUSIVE),
        "of a name that nobody knows": (ENVELOPED, "urn:x"),
        "with something in it": (_transform(ENVELOPED, "<x/>"), EXCLUSIVE),
        "prefixes of another namespace": (ENVELOPED, inclusive_namespaces("xs", namespace="urn:x")),
        "prefixes, and an attribute": (ENVELOPED, inclusive_namespaces("xs", ' x=""')),
        "prefixes that are none": (ENVELOPED, inclusive_namespaces("xs:x")),
        "too many prefixes": (ENVELOPED, inclusive_namespaces(" ".join(f"p{n}" for n in range(17)))),
        "prefixes twice": (
            ENVELOPED,
            inclusive_namespaces("xs").replace("</ds:T", f'<InclusiveNamespaces xmlns="{EXCLUSIVE}"/></ds:T'),
        ),
    }
    # The digest is always the usual one: xmlsec would have to be asked for another, and some of these never end.
    made = {f"transforms: {name}": _signed(Reference(transforms=chain)) for name, chain in chains.items()}
    for foreign in (_INCLUSIVE, f"{_INCLUSIVE}#WithComments", f"{EXCLUSIVE}WithComments", _ELEVEN, "urn:x", ""):
        made[f"SignedInfo in {foreign!r}"] = _signed(canonicalization=foreign)
        made[f"assertion in {foreign!r}"] = _signed(Reference(transforms=(ENVELOPED, foreign)))
    return made


def algorithms() -> Made:
    """Algorithms that are weak, foreign, or not of public keys at all; each value is what it should be."""
    weak = [f"{DSIG_NAMESPACE}rsa-sha1", f"{_MORE}rsa-md5", f"{_MORE}rsa-ripemd160", f"{_MORE}rsa-sha224"]
    pss = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
    strange = [pss, f"{_MORE}RSA-SHA256", f"{_MORE}rsa-sha256 ", ""]
    made: dict[str, Callable[[], bytes]] = {f"signed with {one!r}": _signed(method=one) for one in weak + strange}
    made |= {
        f"signed with {one!r}, by a key of {kind}": partial(m.sign_by_hand, assertion(), key, method=one)
        for one, kind, key in (
            (f"{DSIG_NAMESPACE}dsa-sha1", "DSA", _DSA), ("http://www.w3.org/2009/xmldsig11#dsa-sha256", "DSA", _DSA),
            (f"{_MORE}ecdsa-sha1", "ECDSA", m.P256),
        )
    }  # fmt: skip
    for digest in (f"{DSIG_NAMESPACE}sha1", f"{_MORE}md5"):
        made[f"digested with {digest!r}"] = _signed(Reference(digest=digest))
    public = RSA.private.public_key()
    for name, secret in {
        "the certificate in PEM": RSA.pem, "in PEM, without its end": RSA.pem.strip(), "in DER": m.der(RSA),
        "in base64": RSA.base64.encode(), "the public key in PEM": RSA.public_pem, "nothing": b"",
        "the public key in DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "the public key in PKCS #1": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
    }.items():  # fmt: skip
        for method in (f"{_MORE}hmac-sha256", f"{DSIG_NAMESPACE}hmac-sha1"):
            made[f"{method} with {name}"] = partial(_with_mac, method, secret)
    for bits in (0, 1, 8, 128):
        made[f"HMACOutputLength {bits}"] = partial(_with_mac, f"{_MORE}hmac-sha256", RSA.pem, bits)
    made["an output length for RSA"] = _signed(method=_method(f"{_MORE}rsa-sha256", 8))
    return made


def _method(algorithm: str, bits: int | None = None) -> str:
    length = "" if bits is None else f"<ds:HMACOutputLength>{bits}</ds:HMACOutputLength>"
    return f'<ds:SignatureMethod xmlns:ds="{DSIG_NAMESPACE}" Algorithm="{algorithm}">{length}</ds:SignatureMethod>'


def _with_mac(algorithm: str, secret: bytes, bits: int | None = None) -> bytes:
    hashed = "sha1" if algorithm.endswith("sha1") else "sha256"
    document = m.sign_by_hand(assertion(), method=_method(algorithm, bits), value=b"")
    root = etree.fromstring(document)
    value = root.find(f".//{{{DSIG_NAMESPACE}}}SignatureValue")
    code = m.mac(m.canonicalized(value.getprevious()), secret, hashed)
    value.text = b64encode(code if bits is None else code[: bits // 8]).decode()
    return bytes(etree.tostring(root))


def key_infos(trap: str) -> Mapping[str, str]:
    """KeyInfo as the attacker would like it: his own key, or where it is."""
    numbers = STRANGER.private.public_key().public_numbers()
    modulus = b64encode(numbers.n.to_bytes(256, "big")).decode()
    spki = STRANGER.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    theirs, ours = (f"<ds:X509Certificate>{one.base64}</ds:X509Certificate>" for one in (STRANGER, RSA))
    key_value = (
        f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
        "</ds:RSAKeyValue></ds:KeyValue>"
    )
    contents = {
        "X509Certificate": f"<ds:X509Data>{theirs}</ds:X509Data>",
        "both certificates": f"<ds:X509Data>{theirs}{ours}</ds:X509Data>",
        "ours first": f"<ds:X509Data>{ours}</ds:X509Data><ds:X509Data>{theirs}</ds:X509Data>",
        "our certificate and their key": f"<ds:X509Data>{ours}</ds:X509Data>{key_value}",
        "KeyValue": key_value,
        "KeyName": "<ds:KeyName>idp.hospital.example</ds:KeyName>",
        "DEREncodedKeyValue": '<d:DEREncodedKeyValue xmlns:d="http://www.w3.org/2009/xmldsig11#">'
        f"{b64encode(spki).decode()}</d:DEREncodedKeyValue>",
        "RetrievalMethod": f'<ds:RetrievalMethod URI="{trap}" Type="{DSIG_NAMESPACE}rawX509Certificate"/>',
        "RetrievalMethod of a file": f'<ds:RetrievalMethod URI="file:///dev/zero" Type="{DSIG_NAMESPACE}X509Data"/>',
        "RetrievalMethod that transforms": '<ds:RetrievalMethod URI=""><ds:Transforms>'
        f"{burning(5)}</ds:Transforms></ds:RetrievalMethod>",
        "KeyInfoReference": f'<d:KeyInfoReference xmlns:d="http://www.w3.org/2009/xmldsig11#" URI="{trap}"/>',
        "EncryptedKey": '<x:EncryptedKey xmlns:x="http://www.w3.org/2001/04/xmlenc#"><x:CipherData>'
        f'<x:CipherReference URI="{trap}"/></x:CipherData></x:EncryptedKey>',
        "MgmtData": "<ds:MgmtData>x</ds:MgmtData>",
        "nothing": "",
    }
    return {
        name: f'<ds:KeyInfo xmlns:ds="{DSIG_NAMESPACE}">{content}</ds:KeyInfo>' for name, content in contents.items()
    }


def doctypes(trap: str) -> Mapping[str, str]:
    """Document types, to put before an assertion."""
    return {
        "empty": "<!DOCTYPE x>",
        "lower case": "<!doctype x>",
        "external": '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        "external, of the network": f'<!DOCTYPE x PUBLIC "x" "{trap}">',
        "entity": '<!DOCTYPE x [<!ENTITY x "y">]>',
        "entity of a file": '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        "parameter entity": f'<!DOCTYPE x [<!ENTITY % x SYSTEM "{trap}"> %x;]>',
        "ID by ATTLIST": "<!DOCTYPE x [<!ATTLIST saml:Subject ID ID #IMPLIED>]>",
        "default attribute": "<!DOCTYPE x [<!ATTLIST saml:NameID x CDATA 'y'>]>",
        "namespace by ATTLIST": '<!DOCTYPE x [<!ATTLIST Signature xmlns CDATA #FIXED "urn:x">]>',
        "billion laughs": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        "notation": '<!DOCTYPE x [<!NOTATION x SYSTEM "file:///etc/passwd">]>',
        "conditional": "<!DOCTYPE x [<![INCLUDE[]]>]>",
        "a comment in quotes": "<!DOCTYPE x SYSTEM 'x\"><!--'>",
    }


def values() -> Made:
    """What has the right form: only the numbers in it are wrong."""
    return {
        "to nothing, whose digest it has": _signed(Reference(digested=b"")),
        "with an empty digest": _signed(_digest_value("")),
        "with half a digest": _signed(_digest_value(b64encode(bytes(16)).decode())),
        "signed as with RSA by a key of ECDSA": partial(m.sign_by_hand, assertion(), m.P256, method=RSA.algorithm),
        "signed as with ECDSA by a key of RSA": partial(m.sign_by_hand, assertion(), RSA, method=m.P256.algorithm),
        "signed by a key of 1024 bits": partial(m.sign_by_hand, assertion(), _SMALL),
    }


def everything(trap: str) -> Made:
    """All of them by name, and those of an attacker's key."""
    foreign = {
        f"of another key, with {name}": partial(m.sign_by_hand, assertion(), STRANGER, key_info=one)
        for name, one in key_infos(trap).items()
    }
    return {**forms(trap), **values(), **foreign}


def forms(trap: str) -> Made:
    """Those with a wrong form, which must be refused before their signature is verified."""
    return {**references(trap), **transforms(trap), **algorithms()}
