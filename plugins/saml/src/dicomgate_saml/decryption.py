"""An EncryptedAssertion -> the bytes of the assertion, with the gateway's own key (XML Encryption 1.1).

Rule 1: every part must be a known one: a CipherReference or a RetrievalMethod points elsewhere, and is refused.
Rule 2: only AES-GCM and RSA-OAEP: CBC and PKCS #1 v1.5 let an attacker learn the content by trying forgeries.
Rule 3: anybody can encrypt for the gateway, so the result is bytes, which are read like received ones. xmlsec would
        parse them at once, and libxml2 would write its complaints to standard error.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from dicomgate import ConfigError
from dicomgate.kit.certificates import read_private_key

from . import algorithms
from .algorithms import INSTEAD_OF_ENCRYPTION, MORE, XENC11, not_accepted
from .document import DSIG, XENC, Element, RefusedError

_DIGEST_METHOD, _MGF = f"{DSIG}DigestMethod", f"{{{XENC11}}}MGF"
_SHA1 = f"{DSIG[1:-1]}sha1"
_DIGESTS: Mapping[str | None, hashes.HashAlgorithm] = {
    _SHA1: hashes.SHA1(),  # noqa: S303 (collisions do not weaken OAEP: RFC 8017 B.1)
    f"{XENC[1:-1]}sha256": hashes.SHA256(),
    f"{MORE}sha384": hashes.SHA384(),
    f"{XENC[1:-1]}sha512": hashes.SHA512(),
}
_MASKS: Mapping[str | None, hashes.HashAlgorithm] = {
    f"{XENC11}mgf1{hashed.name}": hashed for hashed in _DIGESTS.values()
}
_IV = 12
"""xmlenc-core1 5.2.4: "a 96 bit Initialization Vector", before the ciphertext and its tag."""


class Decryptor:
    """Decrypts with the RSA key in a PEM file. Raises ConfigError if there is none."""

    def __init__(self, path: Path) -> None:
        key = read_private_key(path)
        if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
            raise ConfigError(f"{path}: must be an RSA key of 2048 bits or more")
        self._key = key

    def decrypt(self, encrypted: Element) -> bytes:
        """The content of an EncryptedAssertion. Raises RefusedError; the message does not say which step failed."""
        padding, key_value, key_size, value = _taken_apart(encrypted)
        try:
            key, content = self._key.decrypt(_binary(key_value), padding), _binary(value)
            if len(key) == key_size:
                return AESGCM(key).decrypt(content[:_IV], content[_IV:], None)
        except (ValueError, InvalidTag):
            pass
        raise RefusedError("it cannot be decrypted with the gateway's key")


def _taken_apart(encrypted: Element) -> tuple[OAEP, Element, int, Element]:
    """The padding and the value of the key, its size, the value of the content. Raises RefusedError."""
    (data,) = _children(encrypted, f"{XENC}EncryptedData")
    method, key_info, cipher = _children(data, f"{XENC}EncryptionMethod", f"{DSIG}KeyInfo", f"{XENC}CipherData")
    (key,) = _children(key_info, f"{XENC}EncryptedKey")
    # The recipient's name or certificate is not needed: there is one key.
    parts = f"{XENC}EncryptionMethod", f"{XENC}CipherData"
    key_method, key_cipher = _children(key, *parts, left_out=f"{DSIG}KeyInfo")
    (key_value,), (value,) = (_children(one, f"{XENC}CipherValue") for one in (key_cipher, cipher))
    for one in (method, key_value, value):
        _children(one)
    size = algorithms.CONTENT.get(method.get("Algorithm"))
    if size is None:
        raise not_accepted("encrypted with", method.get("Algorithm"), INSTEAD_OF_ENCRYPTION)
    return _padding(key_method), key_value, size, value


def _padding(method: Element) -> OAEP:
    """xmlenc-core1 5.5.2: the default is SHA-1 for both functions, and the older algorithm has no MGF element."""
    algorithm = method.get("Algorithm")
    if algorithm not in (algorithms.OAEP, algorithms.OAEP_MGF1P):
        raise not_accepted("its key is encrypted with", algorithm, INSTEAD_OF_ENCRYPTION)
    said = {child.tag: child.get("Algorithm") for child in method if not len(child)}
    if len(said) != len(method) or not said.keys() <= {_DIGEST_METHOD, *[_MGF] * (algorithm == algorithms.OAEP)}:
        raise RefusedError("EncryptionMethod with unexpected content")
    for tag, known in ((_DIGEST_METHOD, _DIGESTS), (_MGF, _MASKS)):
        if tag in said and said[tag] not in known:
            raise not_accepted("its key is encrypted with RSA-OAEP and", said[tag], "RSA-OAEP with SHA-1 or SHA-256")
    mask, digest = _MASKS[said.get(_MGF, f"{XENC11}mgf1sha1")], _DIGESTS[said.get(_DIGEST_METHOD, _SHA1)]
    return OAEP(MGF1(mask), digest, None)


def _children(parent: Element, *tags: str, left_out: str = "") -> list[Element]:
    """The children other than `left_out`, which must be these in this order. Raises RefusedError."""
    children = [child for child in parent if child.tag != left_out]
    if [child.tag for child in children] != list(tags):
        raise RefusedError(f"{etree.QName(parent).localname[:40]} with unexpected content")
    return children


def _binary(element: Element) -> bytes:
    return b64decode("".join((element.text or "").split()), validate=True)
