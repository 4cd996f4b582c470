"""Keys that verify tokens: from a JSON Web Key Set (RFC 7517), from one PEM file, or a shared secret.

Rule 1: one key, one kind of signature. A key is used with the algorithm that its `alg` names or with those of its
        kind, never with another one: no RSA key is ever used as a secret (RFC 8725 3.1).
Rule 2: keys of a set that are not for verifying are dropped: secrets and private keys, which do not belong in a public
        document, keys with another `use`, and keys that are too weak or too large.
Rule 3: two keys with the same name are both dropped (RFC 7517 4.5: distinct names SHOULD be used), because it is
        unclear which one a token means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from .strict_json import NotJsonError, read_object

_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518 3.2: "A key of the same size as the hash output ... or larger MUST be used." """
PUBLIC_KEY_ALGORITHMS = (*sorted(_RSA), *_CURVES.values(), "EdDSA")
SECRET_ALGORITHMS = tuple(_SECRET_BYTES)

_MOST_KEYS = 100
_RSA_BITS = range(2048, 8192 + 1)  # RFC 7518 3.3: 2048 or more; above 8192 a verification takes too long
_RSA_EXPONENTS = range(3, 2**64, 2)
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_KINDS: Mapping[object, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


class BadKeyError(Exception):
    """The key cannot verify tokens. The message says why, and repeats no secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name in the set, and the algorithms that it may be used with."""

    id: str | None
    algorithms: frozenset[str]
    material: Any = field(repr=False)  # in the form that PyJWT takes


class KeySet:
    """The keys that an issuer signs with now. `dropped` says of each key that is not used why."""

    def __init__(self, keys: Iterable[Key], dropped: Iterable[str] = ()) -> None:
        self.keys = tuple(keys)
        self.dropped = tuple(dropped)

    def named(self, key_id: str | None) -> list[Key]:
        """The keys with this name, or those without a name if there are none; all keys if `key_id` is None."""
        if key_id is None:
            return list(self.keys)
        return [key for key in self.keys if key.id == key_id] or [key for key in self.keys if key.id is None]


def read_set(data: bytes) -> KeySet:
    """The keys of a JSON Web Key Set (RFC 7517 5). Raises BadKeyError if it is not one or has no usable key."""
    try:
        listed = read_object(data).get("keys")
    except NotJsonError as error:
        raise BadKeyError(f"no key set: {error}") from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadKeyError('no key set: it has no list "keys" of objects')
    if len(listed) > _MOST_KEYS:
        raise BadKeyError(f"{len(listed)} keys; {_MOST_KEYS} are the most")
    keys: list[Key] = []
    dropped: list[str] = []
    names = Counter(str(one.get("kid")) for one in listed if "kid" in one)
    for number, one in enumerate(listed, 1):
        try:
            keys.append(_read_key(one, unique=names[str(one.get("kid"))] < 2))
        except BadKeyError as error:
            dropped.append(f"key {number} of {len(listed)}: {error}")
    if not keys:
        raise BadKeyError("; ".join(["it has no key that can verify tokens", *dropped[:5]]))
    return KeySet(keys, dropped)


def read_pem(data: bytes) -> KeySet:
    """The one public key in a PEM file (SubjectPublicKeyInfo), or that of the certificate in it. Raises BadKeyError."""
    try:
        certified = b"-----BEGIN CERTIFICATE-----" in data
        key: object = load_pem_x509_certificate(data).public_key() if certified else load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKeyError("neither a public key nor a certificate in PEM") from None
    return KeySet([Key(None, _algorithms(key), key)])


def secret_key(secret: bytes) -> KeySet:
    """A shared secret as a key. Raises BadKeyError if it is too short for every algorithm, or can be guessed."""
    algorithms = frozenset(name for name, least in _SECRET_BYTES.items() if len(secret) >= least)
    if not algorithms:
        raise BadKeyError(f"a shared secret must have 32 bytes or more; this one has {len(secret)}")
    if secret in _EXAMPLES or len(set(secret)) < 10 or secret in (secret + secret)[1:-1]:  # it repeats itself
        raise BadKeyError("this secret can be guessed; make a random one")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise BadKeyError("this is a public key, not a secret") from None
    return KeySet([Key(None, algorithms, secret)])


def _read_key(described: dict[str, Any], *, unique: bool) -> Key:
    if not unique:
        raise BadKeyError("another key has the same name")
    kind, name, use, operations = (described.get(member) for member in ("kty", "kid", "use", "key_ops"))
    if kind == "oct":
        raise BadKeyError("a secret, published")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadKeyError("its kind is not known")
    if any(member in described for member in _PRIVATE):
        raise BadKeyError("a private key, published")
    if use not in (None, "sig"):
        raise BadKeyError("not for signatures (use)")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        raise BadKeyError("not for verifying (key_ops)")
    if name is not None and not isinstance(name, str):
        raise BadKeyError("its name is not text (kid)")
    try:
        key = _KINDS[kind].from_jwk(described)
        algorithms = _algorithms(key)
    except (InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        # PyJWT lets through the exceptions of its base64 and its arithmetic.
        raise BadKeyError("its numbers do not make a key") from None
    if "alg" in described:
        algorithms = frozenset(name for name in algorithms if name == described["alg"])
        if not algorithms:
            raise BadKeyError("its algorithm is not one of its kind (alg)")
    return Key(name, algorithms, key)


def _algorithms(key: object) -> frozenset[str]:
    """The algorithms of this kind of key. Raises BadKeyError if there are none."""
    match key:
        case RSAPublicKey():
            if key.key_size not in _RSA_BITS:
                raise BadKeyError(
                    f"RSA with {key.key_size} bits; {_RSA_BITS.start} to {_RSA_BITS.stop - 1} are verified"
                )
            if key.public_numbers().e not in _RSA_EXPONENTS:
                raise BadKeyError("RSA with an exponent that is unsafe or too slow")
            if all(key.public_numbers().n % prime in powers for prime, powers in _ROCA.items()):
                raise BadKeyError("RSA from a generator whose keys can be factored (CVE-2017-15361)")
            return _RSA
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return frozenset((_CURVES[key.curve.name],))
        case Ed25519PublicKey() | Ed448PublicKey():
            return frozenset(("EdDSA",))
    raise BadKeyError("its kind is not known")


_ROCA = {
    prime: {pow(65537, exponent, prime) for exponent in range(prime)}
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
}
"""The weak generator's primes are powers of 65537 modulo small primes, and so are their products, the moduli."""

_EXAMPLES = (
    b"a-string-secret-at-least-256-bits-long",
    b"a-valid-string-secret-that-is-at-least-384-bits-long",
    b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",  # RFC 7515 A.1
    b"qnscAdgRlkIhAUPY44oiexBKtQbGY0orf7OV1I50",
    b"MI4Xbt1Wd7bbTwO8Jh1y9hT0bHxvgyZr",
    b"your-256-bit-secret-your-256-bit-secret",
    b"ThisIsMySuperSecretKeyForJwtTokens",
    b"this_is_my_super_secret_jwt_key_change_me",
    b"change-me-change-me-change-me-change-me",
)
"""Secrets that documentation and generators show, and that are therefore copied."""
