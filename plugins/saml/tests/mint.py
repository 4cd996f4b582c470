"""Assertions as an identity provider signs them, and as none would: keys made once, every part changed at will.

`mint(...)` signs with xmlsec, as python3-saml does. `sign_by_hand(...)` needs no library of signatures: what it makes
is validly signed and can be as hostile as one likes. Times are seconds from now, or what is to stand there; None leaves
out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from dicomgate import Accept, Attempt, Decision, Reject
from dicomgate.testing import attempt, saml
from dicomgate_saml import Saml

ISSUER = "https://idp.hospital.example/saml"
ENTITY_ID = "https://pacs.hospital.example/dicom"
USER = "ada"

SAML_NAMESPACE = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL_NAMESPACE = "urn:oasis:names:tc:SAML:2.0:protocol"
DSIG_NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"

ENVELOPED = f"{DSIG_NAMESPACE}enveloped-signature"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256, ECDSA_SHA256 = f"{_MORE}rsa-sha256", f"{_MORE}ecdsa-sha256"
_HASHES: Mapping[str, str] = {
    f"{_MORE}md5": "md5", f"{DSIG_NAMESPACE}sha1": "sha1", SHA256: "sha256",
    f"{_MORE}sha384": "sha384", "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}  # fmt: skip


@dataclass(frozen=True)
class Signer:
    """A key and the certificate of it."""

    private: Any = field(repr=False)
    certificate: x509.Certificate = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate as an operator gets it in a file."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def base64(self) -> str:
        """The certificate as in X509Certificate."""
        return b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def private_pem(self) -> bytes:
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def public_pem(self) -> bytes:
        return bytes(self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    @property
    def algorithm(self) -> str:
        return RSA_SHA256 if isinstance(self.private, rsa.RSAPrivateKey) else ECDSA_SHA256


def signer(private: Any, name: str = "idp.hospital.example", *, by: Signer | None = None) -> Signer:
    """The key, with a certificate that it signs itself, or that another one signs."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(by.private if by else private, hashes.SHA256())
    )
    return Signer(private, certificate)


RSA = signer(rsa.generate_private_key(65537, 2048))
P256 = signer(ec.generate_private_key(ec.SECP256R1()))
STRANGER = signer(rsa.generate_private_key(65537, 2048))
"""A key that is not the issuer's, with a certificate of the same name."""


def at(when: float | str | None) -> str | None:
    """So many seconds from now, as SAML writes it; anything else as it is."""
    if when is None or isinstance(when, str):
        return when
    return (datetime.now(UTC) + timedelta(seconds=when)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def confirmation(
    method: str = BEARER, *, recipient: str | None = ENTITY_ID, ends: float | str | None = 300,
    begins: float | str | None = None, address: str | None = None, holder: Signer | None = None,
    data: str | None = None, more: str = "",
) -> str:  # fmt: skip
    """A SubjectConfirmation. `holder` is the key whose certificate is in it; `data` replaces the whole data element."""
    held = ""
    if holder is not None:
        held = (
            f'<ds:KeyInfo xmlns:ds="{DSIG_NAMESPACE}"><ds:X509Data><ds:X509Certificate>{holder.base64}'
            "</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )
    if data is None:
        known = _attributes(NotBefore=at(begins), NotOnOrAfter=at(ends), Recipient=recipient, Address=address)
        data = f"<saml:SubjectConfirmationData{known}>{held}{more}</saml:SubjectConfirmationData>"
    return f"<saml:SubjectConfirmation{_attributes(Method=method)}>{data}</saml:SubjectConfirmation>"


def subject(user: str | None = USER, *confirmations: str, name_format: str | None = None) -> str:
    """A Subject, confirmed in the usual way if no other is given. `user` None: without NameID."""
    name = "" if user is None else f"<saml:NameID{_attributes(Format=name_format)}>{escape(user)}</saml:NameID>"
    return f"<saml:Subject>{name}{''.join(confirmations or (confirmation(),))}</saml:Subject>"


def conditions(
    *audiences: str | Sequence[str], begins: float | str | None = -5, ends: float | str | None = 300, more: str = ""
) -> str:
    """Conditions; each of the audiences is an AudienceRestriction of one or of several."""
    restrictions = "".join(
        f"<saml:AudienceRestriction>{''.join(f'<saml:Audience>{escape(one)}</saml:Audience>' for one in several)}"
        "</saml:AudienceRestriction>"
        for several in ([one] if isinstance(one, str) else one for one in audiences or (ENTITY_ID,))
    )
    known = _attributes(NotBefore=at(begins), NotOnOrAfter=at(ends))
    return f"<saml:Conditions{known}>{restrictions}{more}</saml:Conditions>"


def authentication(
    context: str = PASSWORD, *, instant: float | str | None = 0, session_ends: float | str | None = None
) -> str:
    known = _attributes(AuthnInstant=at(instant), SessionNotOnOrAfter=at(session_ends))
    return (
        f"<saml:AuthnStatement{known}><saml:AuthnContext><saml:AuthnContextClassRef>{escape(context)}"
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    )


def attributes(values: Mapping[str, Sequence[str]]) -> str:
    """An AttributeStatement of texts; none if there are no attributes."""
    if not values:
        return ""
    written = "".join(
        f"<saml:Attribute{_attributes(Name=name)}>"
        + "".join(f'<saml:AttributeValue xsi:type="xs:string">{escape(one)}</saml:AttributeValue>' for one in several)
        + "</saml:Attribute>"
        for name, several in values.items()
    )
    return f"<saml:AttributeStatement>{written}</saml:AttributeStatement>"


_subject, _conditions, _authentication, _statement = subject, conditions, authentication, attributes
# `assertion` has parameters of these names.


def assertion(
    user: str = USER, *, id: str | None = None, version: str = "2.0", issued: float | str | None = 0,  # noqa: A002
    issuer: str = ISSUER, subject: str | None = None, conditions: str | None = None,
    authentication: str | None = None, attributes: Mapping[str, Sequence[str]] | str = {},
    more: str = "",
) -> bytes:  # fmt: skip
    """An assertion that is not signed. Parts that are given as XML replace the usual ones."""
    known = _attributes(ID=id or f"_{secrets.token_hex(16)}", Version=version, IssueInstant=at(issued))
    body = (
        f"<saml:Issuer>{escape(issuer)}</saml:Issuer>",
        _subject(user) if subject is None else subject,
        _conditions() if conditions is None else conditions,
        _authentication() if authentication is None else authentication,
        attributes if isinstance(attributes, str) else _statement(attributes),
        more,
    )
    return (
        f'<saml:Assertion xmlns:saml="{SAML_NAMESPACE}" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"{known}>{"".join(body)}</saml:Assertion>'
    ).encode()


def mint(user: str = USER, key: Signer = RSA, **parts: Any) -> bytes:
    """An assertion as the issuer signs it, with these parts instead of the usual ones."""
    return sign(assertion(user, **parts), key)


def sign(document: bytes, key: Signer = RSA) -> bytes:
    """The document with its root signed: after the Issuer, or with the signature as first child if there is none."""
    root = etree.fromstring(document)
    sign_within(root, key, place=1 if len(root) and etree.QName(root[0]).localname == "Issuer" else 0)
    return bytes(etree.tostring(root))


def sign_within(
    element: Any, key: Signer = RSA, *, place: int = 1, prefixes: Sequence[str] = (), tail: str | None = None
) -> None:
    """Sign the element where it is. The signature is the child at `place`, and `tail` follows it."""
    method = xmlsec.Transform.RSA_SHA256 if key.algorithm == RSA_SHA256 else xmlsec.Transform.ECDSA_SHA256
    signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, method, ns="ds")
    element.insert(place, signature)
    signature.tail = tail
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri=f"#{element.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    canonical = xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    if prefixes:
        xmlsec.template.transform_add_c14n_inclusive_namespaces(canonical, list(prefixes))
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.tree.add_ids(element, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key.private_pem, xmlsec.KeyFormat.PEM, None)
    context.key.load_cert_from_memory(key.pem, xmlsec.KeyFormat.PEM)
    context.sign(signature)


def response(
    *assertions: bytes, version: str = "2.0", status: str | None = SUCCESS, issuer: str | None = ISSUER, more: str = ""
) -> bytes:
    """A Response, not signed itself, around the assertions; `more` is put before them."""
    known = _attributes(ID=f"_{secrets.token_hex(16)}", Version=version, IssueInstant=at(0))
    head = "" if issuer is None else f'<saml:Issuer xmlns:saml="{SAML_NAMESPACE}">{escape(issuer)}</saml:Issuer>'
    if status is not None:
        head += f"<samlp:Status><samlp:StatusCode{_attributes(Value=status)}/></samlp:Status>"
    before = f'<samlp:Response xmlns:samlp="{PROTOCOL_NAMESPACE}"{known}>{head}{more}'.encode()
    return before + b"".join(assertions) + b"</samlp:Response>"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A Reference as `sign_by_hand` writes it. Without `digested` it is the usual canonical form that is digested."""

    uri: str | None = None
    transforms: Sequence[str] = (ENVELOPED, EXCLUSIVE)
    """Algorithms; or whole Transform elements."""
    digest: str = SHA256
    digested: bytes | None = None
    attributes: str = ""


def sign_by_hand(
    document: bytes, key: Signer = RSA, *, references: Sequence[Reference | str] = (Reference(),),
    canonicalization: str = EXCLUSIVE, method: str | None = None, value: bytes | None = None,
    key_info: str = "", objects: str = "",
) -> bytes:  # fmt: skip
    """The document with a Signature of the requested kind after its root's first child.

    `canonicalization` and `method` are algorithms, or whole elements. A reference may be given as XML. A `value` stands
    in SignatureValue as it is: else it is the key's signature over SignedInfo, which is canonicalised exclusively.
    """
    root = etree.fromstring(document)
    canonical = canonicalized(root)
    method = key.algorithm if method is None else method
    written = "".join(
        one if isinstance(one, str) else _written(one, root.get("ID", ""), canonical) for one in references
    )
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{DSIG_NAMESPACE}">'
        f"{_element('CanonicalizationMethod', canonicalization)}{_element('SignatureMethod', method)}"
        f"{written}</ds:SignedInfo>"
    )
    if value is None:
        value = raw_signature(canonicalized(etree.fromstring(signed_info)), key, method)
    signature = (
        f'<ds:Signature xmlns:ds="{DSIG_NAMESPACE}">{signed_info}'
        f"<ds:SignatureValue>{b64encode(value).decode()}</ds:SignatureValue>{key_info}{objects}</ds:Signature>"
    )
    root.insert(1, etree.fromstring(signature))
    return bytes(etree.tostring(root))


def canonicalized(element: Any) -> bytes:
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False))


def raw_signature(data: bytes, key: Signer, method: str) -> bytes:
    """As XML Signature writes it: of RSA as it is, of DSA and ECDSA the two numbers one after the other."""
    name = next((name for name in ("md5", "sha1", "sha384", "sha512") if name in method), "sha256")
    hashed: Any = getattr(hashes, name.upper())()
    match key.private:
        case rsa.RSAPrivateKey() as private:
            return private.sign(data, padding.PKCS1v15(), hashed)
        case ec.EllipticCurvePrivateKey() as private:
            numbers, size = decode_dss_signature(private.sign(data, ec.ECDSA(hashed))), (private.key_size + 7) // 8
        case dsa.DSAPrivateKey() as private:
            numbers, size = decode_dss_signature(private.sign(data, hashed)), 32
    return b"".join(number.to_bytes(size, "big") for number in numbers)


def mac(data: bytes, secret: bytes, name: str = "sha256") -> bytes:
    return hmac.digest(secret, data, name)


def _written(reference: Reference, signed_id: str, canonical: bytes) -> str:
    digested = canonical if reference.digested is None else reference.digested
    digest = hashlib.new(_HASHES[reference.digest], digested, usedforsecurity=False).digest()
    uri = f"#{signed_id}" if reference.uri is None else reference.uri
    transforms = "".join(_element("Transform", one) for one in reference.transforms)
    return (
        f"<ds:Reference URI={quoteattr(uri)}{reference.attributes}><ds:Transforms>{transforms}</ds:Transforms>"
        f"{_element('DigestMethod', reference.digest)}"
        f"<ds:DigestValue>{b64encode(digest).decode()}</ds:DigestValue></ds:Reference>"
    )


def _element(name: str, algorithm: str) -> str:
    return algorithm if algorithm.startswith("<") else f"<ds:{name}{_attributes(Algorithm=algorithm)}/>"


def _attributes(**known: str | None) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in known.items() if value is not None)


def der(key: Signer) -> bytes:
    return b64decode(key.base64)


def written(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def authenticator(folder: Path, *keys: Signer, **options: Any) -> Saml:
    """The authenticator of the issuer; its certificates in files, unless the options say where its keys are."""
    if not {"certificates", "metadata_file", "metadata_url"} & options.keys():
        options["certificates"] = [
            written(folder / f"idp-{number}.pem", key.pem) for number, key in enumerate(keys or (RSA, P256))
        ]
    return Saml(**{"issuer": ISSUER, "entity_id": ENTITY_ID, **options})


def login(document: bytes, **fields: Any) -> Attempt:
    return attempt(saml(document), **fields)


def ask(judge: Saml, document: bytes, **fields: Any) -> Decision:
    """The answer to one login."""
    return judge.authenticate(login(document, **fields))


def accepted(judge: Saml, document: bytes, **fields: Any) -> Accept:
    """The answer to one login, which must be accepted."""
    answer = ask(judge, document, **fields)
    assert isinstance(answer, Accept), answer
    return answer


def refused(judge: Saml, document: bytes, **fields: Any) -> str:
    """Why one login is rejected, which it must be."""
    answer = ask(judge, document, **fields)
    assert isinstance(answer, Reject), answer
    return answer.reason


def table(folder: Path, name: str = "sso", **options: Any) -> dict[str, Any]:
    """An [[authenticator]] for the issuer, with RSA's certificate unless the options say where its keys are."""
    if not {"certificates", "metadata_url"} & options.keys():
        options["certificates"] = [str(written(folder / "idp.pem", RSA.pem))]
    return {"use": "saml", "name": name, "issuer": ISSUER, "entity_id": ENTITY_ID, **options}
