"""Encrypted assertions: read with the gateway's key if they are made as they should be; else nothing is learnt."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import OAEP, PKCS1v15

from dicomgate import Pass, Reject
from dicomgate_saml import Saml
from plugins.saml.tests import mint as m
from plugins.saml.tests import sealing
from plugins.saml.tests.conftest import Trap, assert_accepted
from plugins.saml.tests.mint import ISSUER, RSA, SAML_NAMESPACE, USER, ask, assertion, authenticator, mint, response
from plugins.saml.tests.sealing import GATE, MGF1P, XENC, XENC11, digest_method, encrypted_key, method, oaep, sealed

UNREADABLE = Reject("it cannot be decrypted with the gateway's key")
SET = "which is not accepted: set the identity provider to AES-GCM with RSA-OAEP"
SET_OAEP = "which is not accepted: set the identity provider to RSA-OAEP with SHA-1 or SHA-256"
SHA384, SHA512 = "http://www.w3.org/2001/04/xmldsig-more#sha384", f"{XENC}sha512"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Saml:
    folder = tmp_path_factory.mktemp("encryption")
    return authenticator(folder, key_file=m.written(folder / "gate.key", GATE.private_pem, 0o600))


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("by", [sealed, sealing.sealed_by_xmlsec])
def test_bare_and_in_a_response(judge: Saml, by: Callable[..., bytes], bits: int) -> None:
    """The same as without encryption, the ID by which it is used once as well."""
    for document in (by(mint(id="_a1"), bits=bits), response(by(mint(id="_a1"), bits=bits))):
        answer = m.accepted(judge, document)
        assert answer.user == USER
        assert answer.once is not None
        assert answer.once.key == f"{ISSUER}\0_a1"
    assert_accepted(judge, mint())


@pytest.mark.parametrize(
    ("how", "padding"),
    [
        (method(MGF1P), oaep()),
        (method(MGF1P, digest_method(sealing.SHA1)), oaep()),
        (method(MGF1P, digest_method(sealing.SHA256)), oaep("sha256")),
        (method(sealing.OAEP11), oaep()),
        (
            method(sealing.OAEP11, digest_method(sealing.SHA256) + sealing.mask(f"{XENC11}mgf1sha256")),
            oaep("sha256", "sha256"),
        ),
        (method(sealing.OAEP11, sealing.mask(f"{XENC11}mgf1sha384") + digest_method(SHA384)), oaep("sha384", "sha384")),
        (method(sealing.OAEP11, digest_method(SHA512) + sealing.mask(f"{XENC11}mgf1sha1")), oaep("sha512", "sha1")),
        (method(sealing.OAEP11, sealing.mask(f"{XENC11}mgf1sha512")), oaep("sha1", "sha512")),
    ],
)
def test_ways_to_encrypt_a_key(judge: Saml, how: str, padding: OAEP) -> None:
    assert_accepted(judge, sealed(mint(), how=None, info=encrypted_key(_KEY, how, padding=padding), key=_KEY))
    other = oaep("sha256" if padding.algorithm.name == "sha1" else "sha1")
    assert ask(judge, sealed(mint(), info=encrypted_key(_KEY, how, padding=other), key=_KEY)) == UNREADABLE


_KEY = secrets.token_bytes(16)


@pytest.mark.parametrize(
    "changes",
    [
        {"known": ""},
        {"known": ' Id="_e1" MimeType="text/xml"'},
        {"inner": "<ds:KeyInfo><ds:KeyName>gate</ds:KeyName></ds:KeyInfo>"},
        *({"inner": f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{one.base64}</ds:X509Certificate></ds:X509Data>"
                    "</ds:KeyInfo>"} for one in (GATE, RSA)),
    ],
)  # fmt: skip
def test_what_makes_no_difference(judge: Saml, changes: dict[str, Any]) -> None:
    """Whatever is said of whose key it is: there is one."""
    assert_accepted(judge, sealed(mint(), **changes))


def test_without_a_key_it_may_be_for_another_table(tmp_path: Path) -> None:
    strict, document = authenticator(tmp_path), sealed(mint())
    assert_accepted(strict, mint())
    for sent in (document, response(document)):
        assert ask(strict, sent) == Pass("an encrypted assertion, and the gateway has no key to decrypt it")


def tampered(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def test_whatever_goes_wrong_within_is_one_reason(judge: Saml) -> None:
    """A peer that could tell them apart would learn what is in it; not even the log is told."""
    plain = mint()
    for document in (sealed(plain, gate=RSA), sealing.sealed_by_xmlsec(plain, gate=RSA)):
        assert ask(judge, document) == UNREADABLE
    content = sealing.with_gcm(plain, _KEY)
    wrapped = GATE.private.public_key().encrypt(_KEY, oaep())
    assert_accepted(judge, sealed(plain, key=_KEY, content=content, data=sealing.value(wrapped)))
    for position in (0, 11, 12, 40, len(content) // 2, -17, -16, -1):
        assert ask(judge, sealed(plain, key=_KEY, content=tampered(content, position))) == UNREADABLE
    for cut in (b"", content[:11], content[:12], content[:27], content[:28], content[:-1], content + b"\0"):
        assert ask(judge, sealed(plain, key=_KEY, content=cut)) == UNREADABLE
    for other in (tampered(wrapped, 0), tampered(wrapped, 100), tampered(wrapped, -1), wrapped[:-1], b"", b"\0" * 256,
                  b"\xff" * 256, wrapped + b"\0", b"\0" + wrapped):  # fmt: skip
        assert ask(judge, sealed(plain, key=_KEY, content=content, data=sealing.value(other))) == UNREADABLE
    base64 = b64encode(content).decode()
    for text in ("", "*", "AAA", "\u00e9", f"{base64[:8]}*{base64[8:]}", base64.replace("=", "") + "A==="):
        data = sealing.value(f"<xenc:CipherValue>{text}</xenc:CipherValue>")
        assert ask(judge, sealed(plain, key=_KEY, data=data)) == UNREADABLE
        info = encrypted_key(_KEY)
        assert ask(judge, sealing.around(sealing.encrypted_data(method(sealing.GCM[128]), info, data))) == UNREADABLE


def test_a_content_key_of_another_size(judge: Saml) -> None:
    """The algorithm says 256 bits; a shorter key would do for AES, and is not what was said."""
    for size in (0, 15, 16, 24, 31, 33):
        key = secrets.token_bytes(size)
        content = sealing.with_gcm(mint(), key) if size in (16, 24) else b"x" * 100
        document = sealed(b"", how=method(sealing.GCM[256]), content=content, info=encrypted_key(key))
        assert ask(judge, document) == UNREADABLE


KEY_ALGORITHMS = {
    f"RSA PKCS #1 v1.5 ({sealing.PKCS1}), {SET}": encrypted_key(_KEY, method(sealing.PKCS1), padding=PKCS1v15()),
    f"an AES-128 key that both sides share ({XENC}kw-aes128), {SET}": encrypted_key(_KEY, method(f"{XENC}kw-aes128")),
    f"'', {SET}": encrypted_key(_KEY, method("")),
    f"RSA-OAEP and '{XENC}md5', {SET_OAEP}": encrypted_key(_KEY, method(MGF1P, digest_method(f"{XENC}md5"))),
    f"RSA-OAEP and no algorithm, {SET_OAEP}": encrypted_key(_KEY, method(MGF1P, "<ds:DigestMethod/>")),
    f"RSA-OAEP and '{XENC11}mgf1md5', {SET_OAEP}": encrypted_key(
        _KEY, method(sealing.OAEP11, sealing.mask(f"{XENC11}mgf1md5"))
    ),
}


@pytest.mark.parametrize(("called", "info"), KEY_ALGORITHMS.items())
def test_key_algorithms(judge: Saml, called: str, info: str) -> None:
    assert_accepted(judge, sealed(mint(), key=_KEY, info=encrypted_key(_KEY)))
    assert ask(judge, sealed(mint(), key=_KEY, info=info)) == Reject(f"its key is encrypted with {called}")


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_content_algorithms(judge: Saml, bits: int) -> None:
    """CBC, validly made, is refused before anything is decrypted, so that no padding is looked at."""
    key = secrets.token_bytes(bits // 8)
    cbc = sealed(b"", key=key, how=method(sealing.CBC[bits]), content=sealing.with_cbc(mint(), key))
    assert ask(judge, cbc) == Reject(f"encrypted with AES-{bits}-CBC ({sealing.CBC[bits]}), {SET}")
    triple = f"{XENC}tripledes-cbc"
    for algorithm, called in (
        (triple, f"Triple DES in CBC mode ({triple})"),
        ("", "''"),
        (f"{XENC11}aes128-gcm ", f"'{XENC11}aes128-gcm '"),
        ("http://x", "'http://x'"),
    ):
        assert ask(judge, sealed(mint(), how=method(algorithm))) == Reject(f"encrypted with {called}, {SET}")


def outside(url: str, file: Path) -> Iterator[tuple[str, bytes]]:
    """What would lead to somewhere else, and what has more in it than it should."""
    usual, key = sealing.value(sealing.with_gcm(mint(), _KEY)), encrypted_key(_KEY)
    how = method(sealing.GCM[128])

    def document(info: str = key, data: str = usual, how: str = how, known: str = "", beside: str = "") -> bytes:
        return sealing.around(sealing.encrypted_data(how, info, data, known) + beside)

    def of_method(inner: str) -> bytes:
        return document(info=encrypted_key(_KEY, method(MGF1P, inner)))

    digest = digest_method(sealing.SHA256)
    properties = b"<xenc:EncryptionProperties/></xenc:EncryptedData>"
    yield "the control", document()
    for uri in (f"file://{file}", "file:///dev/zero", url, "#_a1", ""):
        reference = sealing.value(f'<xenc:CipherReference URI="{uri}"/>')
        yield f"the content is at {uri}", document(data=reference)
        yield f"the key is at {uri}", document(info=encrypted_key(_KEY, data=reference))
        retrieval = f'<ds:RetrievalMethod URI="{uri}" Type="http://www.w3.org/2001/04/xmlenc#EncryptedKey"/>'
        yield f"the EncryptedKey is at {uri}", document(info=retrieval)
        yield f"the EncryptedKey is at {uri}, or there", document(info=retrieval + key)
        yield f"there, or the EncryptedKey is at {uri}", document(info=key + retrieval)
        yield f"the EncryptedKey stands beside, {uri}", document(info=retrieval, beside=key)
    yield "a reference beside the value", document(data=usual.replace("<xenc:CipherV", f"<xenc:CipherReference "
                                                                      f'URI="{url}"/><xenc:CipherV', 1))  # fmt: skip
    yield "something in the value", document(data=usual.replace("</xenc:CipherValue>", "<x/></xenc:CipherValue>"))
    yield "two values", document(data=sealing.value(usual[17:-18] * 2))
    yield "no value", document(data=sealing.value(""))
    yield "several keys", document(info=key + key)
    yield "several keys, for others", document(info=encrypted_key(_KEY, gate=RSA) + key)
    yield "no key", document(info="")
    yield "a key in clear", document(info=f"<ds:KeyValue>{b64encode(_KEY).decode()}</ds:KeyValue>")
    yield "a name of a key", document(info="<ds:KeyName>gate</ds:KeyName>")
    yield "a name of a key and the key", document(info="<ds:KeyName>gate</ds:KeyName>" + key)
    yield "the key beside the data", document(beside=key)
    yield "two EncryptedData", document(beside=sealing.encrypted_data(how, key, usual))
    yield "properties", document().replace(b"</xenc:EncryptedData>", properties)
    yield "a list of references", document(info=encrypted_key(_KEY, more="<xenc:ReferenceList/>"))
    yield "a carried name", document(info=encrypted_key(_KEY, more="<xenc:CarriedKeyName>x</xenc:CarriedKeyName>"))
    yield "a key size", document(how=method(sealing.GCM[128], "<xenc:KeySize>128</xenc:KeySize>"))
    yield "a label", of_method("<xenc:OAEPparams>AAAA</xenc:OAEPparams>")
    yield "a mask in the wrong place", of_method(sealing.mask(f"{XENC11}mgf1sha1"))
    yield "two digests", of_method(digest * 2)
    yield "something in a digest", of_method(digest.replace("/>", "><x/></ds:DigestMethod>"))
    yield "foreign elements", document().replace(b"xenc:CipherData", b"ds:CipherData")
    yield "foreign elements of another's", document().replace(XENC.encode(), b"urn:x")
    yield "without EncryptedData", sealing.around("")
    yield "an agreement", document(info=f'<xenc:AgreementMethod Algorithm="{XENC11}ECDH-ES"/>')
    yield "a derived key", document(info=f'<e:DerivedKey xmlns:e="{XENC11}"/>')


def test_nothing_leads_elsewhere(judge: Saml, trap: Trap, tmp_path: Path) -> None:
    file = m.written(tmp_path / "content", sealing.with_gcm(mint(), _KEY))
    rows = list(outside(trap.url, file))
    assert len(rows) > 50
    assert_accepted(judge, rows[0][1])
    for name, document in rows[1:]:
        reason = m.refused(judge, document)
        assert "with unexpected content" in reason or "an ID" in reason, (name, reason)
    trap.assert_unvisited()


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_what_is_in_it_must_be_signed(judge: Saml) -> None:
    """Anybody can encrypt for the gateway, so encryption proves nothing about the sender."""
    for inner, why in (
        (assertion(), "the assertion is not signed"),
        (mint(key=GATE), "not signed with a key of the issuer"),
        (mint().replace(USER.encode(), b"eve"), "not signed with a key of the issuer"),
        (response(mint()), "the encrypted content is not an assertion"),
        (sealed(mint()), "the encrypted content is not an assertion"),
        (mint() + mint(), "not well-formed XML"),
        (b"<!--x-->" + mint(), "a document type"),
        (b'<!DOCTYPE x SYSTEM "file:///dev/zero">' + mint(), "a document type"),
        (mint().replace(b"</saml:Assertion>", sealed(mint()) + b"</saml:Assertion>"), "another assertion"),
        (mint(conditions=""), "Conditions: is missing"),
        (b"", "not well-formed XML"),
        (b"\0\xff\xfe", "not UTF-8"),
        (b"ada", "not well-formed XML"),
        (b"<saml:Assertion/>", "not well-formed XML"),
    ):
        assert m.refused(judge, sealed(inner)).startswith(why)
    assert_accepted(judge, sealed(mint()))
    assert_accepted(judge, sealed(mint(key=m.P256)))
    assert isinstance(ask(judge, sealed(mint(issuer="https://other.example"))), Pass)


def test_the_response_around_it(judge: Saml) -> None:
    """Its signature counts for nothing, and it has one assertion, encrypted or not."""
    assert_accepted(judge, m.sign(response(sealed(mint()))))
    assert m.refused(judge, m.sign(response(sealed(assertion())))) == "the assertion is not signed"
    for several in ((sealed(mint()), mint()), (mint(), sealed(mint())), (sealed(mint()), sealed(mint()))):
        assert m.refused(judge, response(*several)) == "a Response with 2 assertions"


def test_nothing_of_it_is_written_anywhere(judge: Saml, capfd: pytest.CaptureFixture[str]) -> None:
    """libxml2 would tell standard error what it cannot read."""
    secret = f'<saml:Assertion xmlns:saml="{SAML_NAMESPACE}" ID="_a1"><x:y>top secret</x:y></saml:Assertion>'.encode()
    for inner in (secret, secret[:-5], b"top secret & more", b"<x:top_secret/>"):
        assert "secret" not in m.refused(judge, sealed(inner))
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")


def test_its_size(judge: Saml) -> None:
    """What is within the limit as it comes is so as it was; base64 takes a third."""
    filled = mint(attributes={"x": ["y" * 40_000]})
    assert len(sealed(filled)) < 65_535
    assert_accepted(judge, sealed(filled))
    assert "more than 65535" in m.refused(judge, sealed(mint(attributes={"x": ["y" * 60_000]})))
