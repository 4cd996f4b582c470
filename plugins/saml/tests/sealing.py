"""EncryptedAssertions as an identity provider makes them for the gateway, and as it must not.

`sealed(...)` needs no library of XML Encryption, and all of it can be changed; `sealed_by_xmlsec(...)` is how another
implementation does it.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import Any

import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from plugins.saml.tests.mint import DSIG_NAMESPACE, SAML_NAMESPACE, STRANGER, Signer

GATE = STRANGER
"""The gateway's own key."""
XENC, XENC11 = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2009/xmlenc11#"
SHA1, SHA256 = f"{DSIG_NAMESPACE}sha1", f"{XENC}sha256"
GCM = {bits: f"{XENC11}aes{bits}-gcm" for bits in (128, 192, 256)}
CBC = {bits: f"{XENC}aes{bits}-cbc" for bits in (128, 192, 256)}
MGF1P, OAEP11, PKCS1 = f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep", f"{XENC}rsa-1_5"
_HASHES: dict[str, Any] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(),  # noqa: S303
                           "sha512": hashes.SHA512()}  # fmt: skip
ELEMENT = ' Type="http://www.w3.org/2001/04/xmlenc#Element"'


def oaep(digest: str = "sha1", mask: str = "sha1") -> OAEP:
    return OAEP(MGF1(_HASHES[mask]), _HASHES[digest], None)


def with_gcm(plain: bytes, key: bytes) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, None)


def with_cbc(plain: bytes, key: bytes) -> bytes:
    """xmlenc-core1 5.2.1: the last byte says how many were filled up."""
    filled = 16 - len(plain) % 16
    vector = secrets.token_bytes(16)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(plain + bytes(filled - 1) + bytes((filled,))) + encryptor.finalize()


def method(algorithm: str, inner: str = "") -> str:
    return f'<xenc:EncryptionMethod Algorithm="{algorithm}">{inner}</xenc:EncryptionMethod>'


def digest_method(algorithm: str) -> str:
    return f'<ds:DigestMethod Algorithm="{algorithm}"/>'


def mask(algorithm: str) -> str:
    return f'<e:MGF xmlns:e="{XENC11}" Algorithm="{algorithm}"/>'


def value(data: bytes | str) -> str:
    """A CipherData with these bytes, or this XML, in it."""
    content = data if isinstance(data, str) else f"<xenc:CipherValue>{b64encode(data).decode()}</xenc:CipherValue>"
    return f"<xenc:CipherData>{content}</xenc:CipherData>"


def encrypted_key(key: bytes, how: str = "", *, padding: Any = None, gate: Signer = GATE, inner: str = "",
                  data: str | None = None, more: str = "") -> str:  # fmt: skip
    """An EncryptedKey; `inner` follows its method, `more` is at its end, `data` replaces its CipherData."""
    written = data or value(gate.private.public_key().encrypt(key, padding or oaep()))
    return f"<xenc:EncryptedKey>{how or method(MGF1P)}{inner}{written}{more}</xenc:EncryptedKey>"


def around(inner: str) -> bytes:
    """The EncryptedAssertion with this XML in it."""
    namespaces = f'xmlns:saml="{SAML_NAMESPACE}" xmlns:xenc="{XENC}" xmlns:ds="{DSIG_NAMESPACE}"'
    return f"<saml:EncryptedAssertion {namespaces}>{inner}</saml:EncryptedAssertion>".encode()


def encrypted_data(how: str, info: str, data: str, known: str = ELEMENT) -> str:
    return f"<xenc:EncryptedData{known}>{how}<ds:KeyInfo>{info}</ds:KeyInfo>{data}</xenc:EncryptedData>"


def sealed(
    plain: bytes, *, bits: int = 128, content: bytes | None = None, how: str | None = None, key: bytes | None = None,
    info: str | None = None, known: str = ELEMENT, beside: str = "", **of_key: Any,
) -> bytes:  # fmt: skip
    """It, for the gateway. `content` is in place of the ciphertext, `how` of its method, `info` of the key's."""
    key = key or secrets.token_bytes(bits // 8)
    info = encrypted_key(key, **of_key) if info is None else info
    content = with_gcm(plain, key) if content is None else content
    return around(encrypted_data(how or method(GCM[bits]), info, value(content), known) + beside)


def sealed_by_xmlsec(plain: bytes, gate: Signer = GATE, bits: int = 256) -> bytes:
    root = etree.fromstring(around("<x/>"))
    transform = getattr(xmlsec.Transform, f"AES{bits}_GCM")
    data = xmlsec.template.encrypted_data_create(root, transform, type=xmlsec.EncryptionType.ELEMENT, ns="xenc")
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    wrapped = xmlsec.template.add_encrypted_key(info, xmlsec.Transform.RSA_OAEP)
    for one in (data, wrapped):
        xmlsec.template.encrypted_data_ensure_cipher_value(one)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(gate.pem, xmlsec.KeyFormat.CERT_PEM, None))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, bits, xmlsec.KeyDataType.SESSION)
    root.remove(root[0])
    root.append(context.encrypt_binary(data, plain))
    return bytes(etree.tostring(root))
