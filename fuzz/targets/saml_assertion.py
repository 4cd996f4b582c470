"""SAML assertions: `read_assertion`, everything that is read before the signature is verified.

Promise: it is read or refused with RefusedError.
"""

from __future__ import annotations

from dicomgate_saml.document import RefusedError
from dicomgate_saml.verification import read_assertion

from ..corpora import files
from ..engine import Target

_SIGNATURE = b"""<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo/></ds:Signature>"""
_ASSERTION = (
    b"""<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0">"""
    b"""<saml:Issuer>https://idp.example</saml:Issuer>%b<saml:Subject><saml:NameID>alice</saml:NameID></saml:Subject>"""
    b"""</saml:Assertion>""" % _SIGNATURE
)
_RESPONSE = b"""<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">%b</samlp:Response>""" % _ASSERTION


def _seeds() -> list[bytes]:
    corpus = files("saml-node", "saml-python3", "saml-ruby", "xml-bombs")
    return [_ASSERTION, _RESPONSE, b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>" + _ASSERTION, *corpus]


TARGET = Target(
    "saml_assertion", ("dicomgate_saml.document",), lambda data: read_assertion(data, None), (RefusedError,), _seeds,
    (b"<", b">", b"&#0;", b"<!DOCTYPE a>", b"<!--", b"<![CDATA[", b"<?a?>", b"<a>" * 300, b' xmlns:a="b"', b' ID="_1"'),
    native=True,
)  # fmt: skip
