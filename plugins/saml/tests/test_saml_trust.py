"""Whose signatures count: the keys of files and of metadata that are for signing, and none besides."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from lxml import etree

from dicomgate import Accept, ConfigError
from dicomgate_saml import trust
from dicomgate_saml.document import RefusedError
from dicomgate_saml.trust import read_certificates, read_metadata
from plugins.saml.tests import mint as m
from plugins.saml.tests.described import METADATA_NAMESPACE, described, key, metadata, provider
from plugins.saml.tests.mint import DSIG_NAMESPACE, ISSUER, P256, PROTOCOL_NAMESPACE, RSA, STRANGER, Reference, sign

FEDERATION = m.signer(ec.generate_private_key(ec.SECP256R1()), "federation.example")
WEAK = m.signer(rsa.generate_private_key(65537, 1024))  # noqa: S505 (that is the point)
WEAK_KEYS = {
    "RSA 1024": WEAK,
    "RSA 2047": m.signer(rsa.generate_private_key(65537, 2047)),  # noqa: S505
    "P-192": m.signer(ec.generate_private_key(ec.SECP192R1())),
    "secp256k1": m.signer(ec.generate_private_key(ec.SECP256K1())),
    "Ed25519, unknown to XML Signature": m.signer(ed25519.Ed25519PrivateKey.generate(), by=RSA),
}


def trusted(data: bytes, *signers: m.Signer) -> set[str]:
    """The certificates that metadata names, in PEM."""
    return set(read_metadata(data, ISSUER, [one.pem.decode() for one in signers]).certificates)


def pems(*keys: m.Signer) -> set[str]:
    return {one.pem.decode() for one in keys}


def why_not(data: bytes, *signers: m.Signer) -> str:
    with pytest.raises(RefusedError) as raised:
        trusted(data, *signers)
    return str(raised.value)


# -- files in PEM ------------------------------------------------------------------------------------------------------


def test_what_stands_around_certificates() -> None:
    assert read_certificates(b"Bag Attributes\n" + RSA.pem + b"\nsubject: x\n" + P256.pem) == tuple(
        one.pem.decode() for one in (RSA, P256)
    )
    broken = RSA.pem.replace(b"MII", b"MIJ", 1)
    for data in (b"", b"hello", broken, RSA.pem[:-30], b"\xff\xfe", RSA.private_pem, P256.private_pem, RSA.public_pem):
        with pytest.raises(RefusedError, match="no certificates in PEM"):
            read_certificates(data)


@pytest.mark.parametrize("weak", WEAK_KEYS.values(), ids=list(WEAK_KEYS))
def test_weak_keys(weak: m.Signer) -> None:
    for data in (weak.pem, RSA.pem + weak.pem):
        with pytest.raises(RefusedError, match="too weak, too large or of an unknown kind"):
            read_certificates(data)
    assert trusted(metadata(RSA)) == pems(RSA)
    assert "too weak" in why_not(metadata(RSA, weak))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_curves(curve: ec.EllipticCurve) -> None:
    one = m.signer(ec.generate_private_key(curve))
    assert trusted(metadata(one)) == pems(one)


# -- what of metadata counts -------------------------------------------------------------------------------------------


def test_keys_for_signing() -> None:
    assert trusted(metadata(RSA)) == pems(RSA)
    assert trusted(metadata(RSA, P256)) == pems(RSA, P256)
    assert trusted(metadata(RSA, RSA)) == pems(RSA)
    assert trusted(metadata(key(RSA, STRANGER))) == pems(RSA), "of a chain the first: the authority is not the owner"
    assert trusted(metadata(key(RSA, use=None))) == pems(RSA)
    assert trusted(metadata(key(RSA, use="encryption"), key(P256))) == pems(P256)
    assert trusted(metadata(key(RSA, use="encryption"), key(P256, use=None))) == pems(P256)


@pytest.mark.parametrize("use", ["encryption", "", "Signing", " signing", "signing encryption", "x"])
def test_keys_for_something_else(use: str) -> None:
    assert why_not(metadata(key(RSA, use=use))) == "metadata without a signing certificate"


def test_whose_descriptors() -> None:
    """That of an identity provider, of SAML 2.0, of this entity's; nothing is looked for elsewhere."""
    one = provider(key(RSA))
    other = one.replace("IDPSSO", "SPSSO").replace("SingleSignOnService", "AssertionConsumerService")
    old = provider(key(STRANGER), protocols="urn:oasis:names:tc:SAML:1.1:protocol urn:mace:shibboleth:1.0")
    both = provider(key(P256), protocols=f"urn:oasis:names:tc:SAML:1.1:protocol {PROTOCOL_NAMESPACE}")
    longer = provider(key(STRANGER), protocols=f"{PROTOCOL_NAMESPACE}2")
    hidden = f"<md:Extensions>{provider(key(STRANGER))}</md:Extensions>"
    assert trusted(metadata(providers=[one, other.replace(RSA.base64, STRANGER.base64), old, longer])) == pems(RSA)
    assert trusted(metadata(providers=[one, both])) == pems(RSA, P256)
    assert trusted(metadata(before=hidden)) == pems(RSA)
    for providers in ([other], [old], [hidden], [longer]):
        assert why_not(metadata(providers=providers)) == "metadata without a signing certificate"


@pytest.mark.parametrize(
    "data",
    [
        f'<md:EntitiesDescriptor xmlns:md="{METADATA_NAMESPACE}">{{}}</md:EntitiesDescriptor>',
        f'<md:EntityDescriptors xmlns:md="{METADATA_NAMESPACE}">{{}}</md:EntityDescriptors>',
        '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:1.0:metadata">{}</EntityDescriptor>',
        "<EntityDescriptor>{}</EntityDescriptor>",
    ],
)
def test_metadata_of_several_is_not_searched(data: str) -> None:
    whole = metadata().decode()
    assert trusted(whole.encode()) == pems(RSA)
    assert why_not(data.format(whole).encode()).startswith("no EntityDescriptor")


@pytest.mark.parametrize(
    "issuer", ["", f"{ISSUER}/", ISSUER[:-1], ISSUER.upper(), "https://other.example", f" {ISSUER}"]
)
def test_metadata_of_another(issuer: str) -> None:
    assert why_not(metadata(issuer=issuer)) == "metadata of another issuer"


TWO_IN_ONE = f"{RSA.base64}-----END CERTIFICATE----------BEGIN CERTIFICATE-----{P256.base64}"


@pytest.mark.parametrize(
    "certificate",
    [
        "",
        "AAAA",
        "=",
        "\u00e9",
        "-----BEGIN CERTIFICATE-----",
        RSA.base64[:-8],
        "<x/>",
        STRANGER.pem.decode(),
        TWO_IN_ONE,
    ],
)
def test_certificates_that_are_none(certificate: str) -> None:
    """One that cannot be read is a reason to read nothing: half of the keys would be a riddle."""
    broken = described(f"<ds:X509Certificate>{certificate}</ds:X509Certificate>")
    assert why_not(metadata(RSA, broken)) == "no certificates in PEM"
    spaced = described(f"<ds:X509Certificate>\n  {RSA.base64[:70]}\n\t{RSA.base64[70:]}\n</ds:X509Certificate>")
    assert trusted(metadata(spaced)) == pems(RSA)


def test_valid_until() -> None:
    def until(data: bytes) -> float | None:
        return read_metadata(data, ISSUER, []).until

    year = {"2030": 1893456000.0, "2031": 1924992000.0}
    soon, later = (f"{one}-01-01T00:00:00Z" for one in year)
    assert until(metadata()) is None
    assert until(metadata(until=soon)) == year["2030"]
    for entity, descriptor in ((soon, later), (later, soon), (None, soon), (soon, None)):
        assert until(metadata(until=entity, providers=[provider(key(RSA), until=descriptor)])) == year["2030"]
    for text in ("", "soon", "2030-01-01T00:00:00", "2030-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z"):
        assert why_not(metadata(until=text)) == "a validUntil that is not a time in UTC"
        assert why_not(metadata(until=soon, providers=[provider(key(RSA), until=text)])).startswith("a validUntil")


# -- signed metadata ---------------------------------------------------------------------------------------------------

UNSIGNED = "metadata that is not signed, or has its signature in the wrong place"
NOT_THEIRS = "not signed with a key of the issuer, or changed after that"


def test_signed_by_whom_it_should() -> None:
    signed = sign(metadata(), FEDERATION)
    assert trusted(signed, FEDERATION) == pems(RSA)
    assert trusted(signed, STRANGER, FEDERATION) == pems(RSA)
    assert why_not(signed, STRANGER) == NOT_THEIRS
    assert why_not(metadata(), FEDERATION) == UNSIGNED
    assert why_not(sign(metadata(), RSA), FEDERATION) == NOT_THEIRS, "its own key vouches for nothing"
    assert trusted(signed) == pems(RSA), "who names no signers does not ask"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (RSA.base64, STRANGER.base64),
        (f'entityID="{ISSUER}"', 'entityID="https://other.example"'),
        ('use="signing"', 'use="encryption"'),
        ("https://idp.hospital.example/sso", "https://idp.hospital.example/ssp"),
        ("<md:IDPSSODescriptor", '<md:Extensions><x xmlns="urn:x"/></md:Extensions><md:IDPSSODescriptor'),
        ('validUntil="2099', 'validUntil="2999'),
    ],
)
def test_what_was_changed_behind_the_signature(old: str, new: str) -> None:
    signed = sign(metadata(until="2099-01-01T00:00:00Z"), FEDERATION).decode()
    assert trusted(signed.encode(), FEDERATION) == pems(RSA)
    assert signed.count(old) == 1
    assert why_not(signed.replace(old, new).encode(), FEDERATION) == NOT_THEIRS


def parts(signed: bytes) -> tuple[str, str]:
    """The Signature, and the document without it."""
    before, found, rest = signed.decode().partition("<ds:Signature")
    inner, end, after = rest.partition("</ds:Signature>")
    return found + inner + end, before + after


def wrappings() -> dict[str, str]:
    """Documents of the attacker's, each with the federation's signature of the genuine one somewhere in it."""
    inner = sign(metadata(id="_genuine"), FEDERATION).decode()
    signature, without = parts(inner.encode())
    other, _ = parts(sign(metadata(id="_genuine"), STRANGER))
    evil = metadata(STRANGER, id="_evil").decode()
    end, first = "</md:EntityDescriptor>", "<md:IDPSSO"
    around = f'<md:EntitiesDescriptor xmlns:md="{METADATA_NAMESPACE}">'
    within = signature.replace("</ds:Signature>", f"<ds:Object>{without}</ds:Object></ds:Signature>")

    def forged(before: str, id: str = "_evil", **more: str) -> str:  # noqa: A002
        return metadata(STRANGER, id=id, before=before, **more).decode()

    def extended(content: str) -> str:
        return f"<md:Extensions>{content}</md:Extensions>"

    return {
        "genuine in Extensions, its signature moved out": forged(signature + extended(without)),
        "genuine in Extensions, with its signature": forged(extended(inner)),
        "genuine in Extensions, with its signature, and that copied": forged(signature + extended(inner)),
        "genuine behind, its signature moved out": forged(signature, more=without),
        "genuine within the signature's Object": forged(within),
        "the same ID twice": forged(signature + extended(without), "_genuine"),
        "the same, one spelt otherwise": forged(signature + extended(without.replace(" ID=", " Id=")), "_genuine"),
        "evil around genuine": evil.replace(end, inner + end),
        "genuine around evil": inner.replace(end, evil + end),
        "the signature is not the first child": without.replace(end, signature + end),
        "two signatures": without.replace(first, signature + signature + first, 1),
        "a stranger's signature in front": without.replace(first, other + signature + first, 1),
        "EntitiesDescriptor": f"{around}{evil}{inner}</md:EntitiesDescriptor>",
        # Without an ID there is nothing that a Reference could name, but for the whole document.
        "without an ID": inner.replace(' ID="_genuine"', ""),
        "with xml:id instead": inner.replace(' ID="_genuine"', ' xml:id="_genuine"'),
    }


WRAPPINGS = wrappings()


@pytest.mark.parametrize("kind", WRAPPINGS)
def test_wrapped_metadata(kind: str) -> None:
    assert trusted(sign(metadata(id="_genuine"), FEDERATION), FEDERATION) == pems(RSA)
    data = WRAPPINGS[kind].encode()
    etree.fromstring(data)  # it is well-formed: that is not the reason
    assert why_not(data, FEDERATION)


@pytest.mark.parametrize(
    ("reference", "options"),
    [
        (Reference(uri=""), {}),
        (Reference(uri="#other"), {}),
        (Reference(uri="file:///dev/null", digested=b""), {}),
        (Reference(transforms=("http://www.w3.org/2001/10/xml-exc-c14n#",)), {}),
        (Reference(transforms=("http://www.w3.org/TR/1999/REC-xslt-19991116",) * 2), {}),
        (Reference(digest=f"{DSIG_NAMESPACE}sha1"), {}),
        (Reference(), {"method": f"{DSIG_NAMESPACE}hmac-sha1"}),
        (Reference(), {"method": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"}),
        (Reference(), {"canonicalization": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"}),
        (Reference(), {"objects": "<ds:Object/>"}),
    ],
)
def test_the_rules_of_signatures_hold(reference: Reference, options: dict[str, Any]) -> None:
    """Those of assertions, to the letter: it is the same code."""
    document = metadata(before="<x/>").replace(b"<x/>", b'<md:Extensions><x xmlns="urn:x"/></md:Extensions>')

    def by_hand(*references: Reference, **options: Any) -> bytes:
        # It puts the signature after the first child; here it must be the first.
        made = etree.fromstring(m.sign_by_hand(document, FEDERATION, references=references, **options))
        made.insert(0, made[1])
        return bytes(etree.tostring(made))

    assert trusted(by_hand(Reference()), FEDERATION) == pems(RSA)
    assert why_not(by_hand(reference, **options), FEDERATION)
    assert why_not(by_hand(Reference(), reference), FEDERATION)


# -- the document ------------------------------------------------------------------------------------------------------


def test_comments_say_nothing() -> None:
    """Shibboleth writes them. What is signed is without them, and so is what is read."""
    around = b"<?xml version='1.0' encoding='UTF-8'?>\n<!-- U K  FEDERATION -->"
    signed = sign(metadata(), FEDERATION)
    commented = signed.replace(b"<md:IDPSSO", b"<!-- <md:KeyDescriptor> - --><md:IDPSSO", 1)
    half = len(RSA.base64) // 2
    within = commented.replace(RSA.base64.encode(), f"{RSA.base64[:half]}<!--x-->{RSA.base64[half:]}".encode())
    for data in (signed, commented, within, around + within + b"<!---->"):
        assert trusted(data, FEDERATION) == pems(RSA)
        assert trusted(data) == pems(RSA)
    hidden = metadata(RSA, f"<!--{key(STRANGER)}-->")
    assert trusted(hidden) == pems(RSA)


@pytest.mark.parametrize(
    "tail",
    ["<!--", "<!-- x", "<!-->", "<!-- <!-- -->", "--><!--", "<!DOCTYPE x>", "<![CDATA[<!-- x -->]]>", "<?x?>",
     "<!<!-- -->-- x -->"],
)  # fmt: skip
def test_comments_that_are_none(tail: str) -> None:
    data = metadata()
    assert trusted(data + b"<!-- x -->") == pems(RSA)
    assert why_not(data + tail.encode())
    assert why_not(data.replace(b"<md:IDPSSO", tail.encode() + b"<md:IDPSSO", 1))


def test_comments_cost_no_more_than_their_length() -> None:
    for data in (b"<!--" * 130_000, b"-->" * 170_000, b"-->" * 85_000 + b"<!--" * 65_000, b"<!---->" * 74_000):
        assert why_not(data)


@pytest.mark.parametrize("data", [b"", b"<", b"\xff\xfe<\0", b"<a>" * 40, b"{}", b"<x/>", b" " * 600_000])
def test_what_is_no_metadata(data: bytes) -> None:
    assert why_not(data)
    assert why_not(data, FEDERATION)


def test_large_metadata() -> None:
    """As AD FS writes it: hundreds of claim types in front of the keys."""
    claim = '<x xmlns="urn:x"><y>{}</y><z>{}</z></x>'
    many = "".join(claim.format(secrets.token_hex(40), "z" * 400) for _ in range(500))
    data = metadata(before=f"<md:Extensions>{many}</md:Extensions>")
    assert 200_000 < len(data) < 524_288
    assert trusted(sign(data, FEDERATION), FEDERATION) == pems(RSA)


def test_a_metadata_file_that_cannot_be_used(tmp_path: Path) -> None:
    signers = m.written(tmp_path / "federation.pem", FEDERATION.pem)
    file = m.written(tmp_path / "idp.xml", metadata())
    assert isinstance(m.ask(m.authenticator(tmp_path, metadata_file=file), m.mint()), Accept)
    with pytest.raises(ConfigError, match=r"idp\.xml: metadata that is not signed"):
        m.authenticator(tmp_path, metadata_file=file, metadata_signers=signers)
    m.written(file, sign(metadata(), FEDERATION))
    assert isinstance(m.ask(m.authenticator(tmp_path, metadata_file=file, metadata_signers=signers), m.mint()), Accept)
    contents: Sequence[tuple[bytes, int]] = ((b"", 0o644), (metadata(issuer="x"), 0o644), (metadata(), 0o666))
    for content, mode in contents:
        with pytest.raises(ConfigError, match=r"idp\.xml: "):
            m.authenticator(tmp_path, metadata_file=m.written(file, content, mode))
    with pytest.raises(ConfigError, match="cannot be read"):
        m.authenticator(tmp_path, metadata_file=tmp_path / "none.xml")


def test_what_is_read_is_what_was_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the document in which it stood."""
    signed = sign(metadata(RSA), FEDERATION)
    assert trusted(signed, FEDERATION) == pems(RSA)
    monkeypatch.setattr(trust, "read_signed", lambda *_: etree.fromstring(metadata(P256)))
    assert trusted(signed, FEDERATION) == pems(P256)
