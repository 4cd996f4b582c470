"""Which keys verify tokens: those of a set, of a PEM file, a shared secret; and a file of them that changes."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from dicomgate import Accept, ConfigError, Reject
from dicomgate.testing.watching import no_descriptor_left
from dicomgate_jwt import Jwt
from dicomgate_jwt.keys import BadKeyError, read_pem, read_set, secret_key
from plugins.jwt.tests.mint import (
    ED25519,
    OTHER_RSA,
    P256,
    P384,
    P521,
    PUBLISHED,
    RSA,
    SECRET,
    Signer,
    ask,
    authenticator,
    encoded,
    key_set,
    mint,
    written,
)

RSA_ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(RSA, RSA_ALGORITHMS), (P256, {"ES256"}), (P384, {"ES384"}), (P521, {"ES512"}), (ED25519, {"EdDSA"})],
)
def test_a_key_is_for_algorithms_of_its_kind(key: Signer, algorithms: set[str]) -> None:
    for keys, name in ((read_set(key_set(key)), key.id), (read_pem(key.pem), None), (read_pem(certified(key)), None)):
        (read,) = keys.keys
        assert (read.id, set(read.algorithms)) == (name, algorithms)


def certified(key: Signer) -> bytes:
    return DER_cert_to_PEM_cert(key.certificate).encode()


GOOD = RSA.jwk
FALSE = [True, 5, None, [], ["RS256"], {}, {"a": 1}]
"""Values of types that no reader of texts expects."""


def test_what_is_dropped_is_dropped_for_one_reason() -> None:
    assert len(read_set(key_set(P384, also=(GOOD,))).keys) == 2


NO_KEY = "its numbers do not make a key"
UNUSED: dict[str, list[dict[str, Any]]] = {
    "a secret, published": [{"kty": "oct", "k": encoded(SECRET.private)}],
    "its kind is not known": [{"kty": value} for value in ("rsa", "AKP", *FALSE)],
    "not for signatures": [{"use": value} for value in ("enc", ["sig"], 5)],
    "not for verifying": [{"key_ops": value} for value in (["encrypt"], "verify", [], {"verify": True})],
    "its name is not text": [{"kid": 5}, {"kid": ["rsa"]}],
    "its algorithm is not one of its kind": [
        {"alg": value} for value in ("ES256", "HS256", "none", "RSA-OAEP", *FALSE)
    ],
    NO_KEY: [*({"n": value} for value in ("", *FALSE)), *({"e": value} for value in ("AQ", "Ag", "AQAA", *FALSE))],
    "RSA with an exponent": [{"e": encoded(bytes([1] + [0] * 200 + [1]))}],
    "a private key, published": [{member: "AQAB"} for member in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")],
    "RSA with 2047 bits": [{"n": encoded(b"\x7f" + b"\xff" * 255)}],
    "RSA with 8193 bits": [{"n": encoded(b"\x01" + b"\xff" * 1024)}],
    "RSA with 800000 bits": [{"n": encoded(b"\xff" * 100_000)}],
}


ODD: list[tuple[dict[str, Any], str]] = [
    *(({"crv": value}, NO_KEY) for value in ("P-384", "P-256 ", *FALSE)),
    ({"crv": "secp256k1"}, "its "),
    *(({"x": value}, NO_KEY) for value in (P384.jwk["x"], encoded(b"\xff" * 32), *FALSE)),
    *(({"y": value}, NO_KEY) for value in (P256.jwk["x"], *FALSE)),
    ({"x": encoded(bytes(32)), "y": encoded(bytes(32))}, NO_KEY),
    *(({"kty": value}, NO_KEY) for value in ("OKP", "RSA")),
    *(({"alg": value}, "its algorithm is not one of its kind") for value in ("ES384", "ES521")),
    ({"d": "AQ"}, "a private key, published"),
]
EDWARDS: list[dict[str, Any]] = [
    *({"crv": value} for value in ("X25519", "Ed448")),
    *({"x": value} for value in ("", encoded(bytes(31)), 5)),
    {"d": "AA"},
]
NO_KEYS: list[tuple[dict[str, Any], str]] = [
    *(({**GOOD, **change}, why) for why, changes in UNUSED.items() for change in changes),
    *(({name: value for name, value in GOOD.items() if name != member}, "") for member in ("kty", "n", "e")),
    *(({**P256.jwk, "kid": "x", **change}, why) for change, why in ODD),
    *(({**ED25519.jwk, **change}, "") for change in EDWARDS),
]


@pytest.mark.parametrize(("described", "why"), NO_KEYS, ids=lambda value: value if isinstance(value, str) else "key")
def test_what_a_set_holds_that_is_not_used(described: dict[str, Any], why: str) -> None:
    read = read_set(key_set(P384, also=(described,)))
    assert [key.id for key in read.keys] == ["p384"]
    (told,) = read.dropped
    assert told.startswith(f"key 2 of 2: {why}")


def test_names() -> None:
    read = read_set(key_set(RSA, P256, also=({**OTHER_RSA.jwk, "kid": "é"},)))
    assert [key.id for key in read.named("rsa")] == ["rsa"]
    assert [key.id for key in read.named("é")] == ["é"]
    assert read.named("RSA") == read.named("") == []
    assert len(read.named(None)) == 3
    nameless = {name: value for name, value in OTHER_RSA.jwk.items() if name != "kid"}
    read = read_set(key_set(RSA, also=(nameless,)))
    assert [key.id for key in read.named("rsa")] == ["rsa"]
    assert [key.id for key in read.named("another")] == [None]


@pytest.mark.parametrize("names", [("a", "a"), ("1", 1), ("None", None)])
def test_two_keys_of_one_name_are_none(names: tuple[object, object]) -> None:
    read = read_set(key_set(P384, also=tuple({**OTHER_RSA.jwk, "kid": name} for name in names)))
    assert [key.id for key in read.keys] == ["p384"]
    assert len(read.dropped) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": {}}', b'{"keys": null}', b'{"keys": [5]}', b'{"keys": ["a"]}',
        b'{"keys": [[]]}', b'{"keys": [{}]}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', key_set(RSA)[:-1],
        key_set(RSA)[:-1] + b', "keys": []}', json.dumps(RSA.jwk).encode(), b"\xef\xbb\xbf" + key_set(RSA),
        key_set(RSA).replace(b'"n"', b'"e": "AQAB", "n"'),
    ],
)  # fmt: skip
def test_what_is_no_key_set(data: bytes) -> None:
    assert read_set(key_set(RSA)).dropped == ()
    with pytest.raises(BadKeyError):
        read_set(data)


def test_a_set_of_a_hundred() -> None:
    many = tuple({**P256.jwk, "kid": str(number)} for number in range(100))
    assert len(read_set(key_set(RSA, also=many[:99])).keys) == 100
    with pytest.raises(BadKeyError, match="101 keys"):
        read_set(key_set(RSA, also=many))


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        lambda: RSA.der,
        lambda: key_set(RSA),
        lambda: SECRET.private,
        lambda: RSA.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        lambda: pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505
        lambda: pem(ec.generate_private_key(ec.SECP256K1())),
        lambda: pem(ec.generate_private_key(ec.SECP224R1())),
        lambda: pem(x25519.X25519PrivateKey.generate()),
        lambda: pem(dsa.generate_private_key(2048)),
    ],
    ids=lambda value: None if callable(value) else str(value),
)
def test_what_is_no_public_key(make: Callable[[], bytes]) -> None:
    assert read_pem(RSA.pem).keys
    with pytest.raises(BadKeyError):
        read_pem(make())


def test_ed448(tmp_path: Path) -> None:
    key = Signer("ed448", "EdDSA", ed448.Ed448PrivateKey.generate())
    judge = authenticator(tmp_path, jwks_file=written(tmp_path / "keys.json", key_set(key, P256)))
    assert isinstance(ask(judge, mint(key)), Accept)
    assert isinstance(ask(judge, mint(ED25519, header={"kid": "ed448"})), Reject)


def test_one_key_in_a_file(tmp_path: Path) -> None:
    """Whatever name the token gives it."""
    for key in PUBLISHED:
        for content in (key.pem, certified(key), b"a comment\n" + key.pem):
            judge = authenticator(tmp_path, public_key_file=written(tmp_path / "key.pem", content))
            assert isinstance(ask(judge, mint(key)), Accept)
            assert isinstance(ask(judge, mint(key, header={"kid": "x"})), Accept)
            for other in PUBLISHED:
                assert isinstance(ask(judge, mint(other)), Accept if other is key else Reject)


@pytest.mark.parametrize(("length", "algorithms"), [(31, 0), (32, 1), (47, 1), (48, 2), (63, 2), (64, 3), (200, 3)])
def test_lengths_of_secrets(length: int, algorithms: int) -> None:
    secret = (SECRET.private + b"0123456789+/" * 20)[:length]
    if algorithms:
        keys = secret_key(secret).keys
        assert len(keys[0].algorithms) == algorithms
        assert secret.decode() not in repr(keys)
    else:
        with pytest.raises(BadKeyError, match="32 bytes or more"):
            secret_key(secret)


# ---- a file that changes


def replaced(path: Path, content: bytes, mode: int = 0o644) -> None:
    """As `mv` does it: another file of that name."""
    os.replace(written(path.with_suffix(".new"), content, mode), path)  # noqa: PTH105


class Source(NamedTuple):
    """A file of keys: the option that names it, its content and the key in it before and after a change."""

    option: str
    before: bytes
    after: bytes
    old: Signer
    new: Signer
    mode: int = 0o644

    def judge(self, folder: Path) -> tuple[Jwt, Path]:
        path = written(folder / "keys", self.before, self.mode)
        return authenticator(folder, **{self.option: path}), path


BACKWARDS = Signer("s", "HS512", SECRET.private[::-1])
SOURCES = [
    Source("jwks_file", key_set(RSA), key_set(P256), RSA, P256),
    Source("public_key_file", RSA.pem, P256.pem, RSA, P256),
    Source("secret_file", SECRET.private, BACKWARDS.private, SECRET, BACKWARDS, 0o600),
]


def accepts(judge: Jwt, good: Signer, bad: Signer) -> bool:
    return isinstance(ask(judge, mint(good)), Accept) and isinstance(ask(judge, mint(bad)), Reject)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.option)
class TestAFileThatChanges:
    def test_a_good_change_counts_and_a_bad_one_does_not(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, source: Source
    ) -> None:
        judge, path = source.judge(tmp_path)
        caplog.set_level(logging.INFO)
        assert accepts(judge, source.old, source.new)
        bad = (
            (b"", source.mode),
            (source.after[:20], source.mode),
            (b"x" * 600_000, source.mode),
            (source.after, 0o666),
        )
        for number, (content, mode) in enumerate(bad, 1):
            replaced(path, content, mode)
            for _ in range(2):
                assert accepts(judge, source.old, source.new)
            assert caplog.text.count("the last good version stays in use") == number
        assert "loaded, 1 keys" not in caplog.text
        for change in (replaced, written):
            change(path, source.after, source.mode)
            assert accepts(judge, source.new, source.old)
            change(path, source.before, source.mode)
            assert accepts(judge, source.old, source.new)
        assert caplog.text.count("loaded, 1 keys") == 4
        assert SECRET.private.decode() not in caplog.text

    def test_a_removed_key_is_not_trusted_because_one_read_failed(self, tmp_path: Path, source: Source) -> None:
        judge, path = source.judge(tmp_path)
        replaced(path, source.after, source.mode)
        with no_descriptor_left():
            assert judge.keys.algorithms  # type: ignore[union-attr]
        assert accepts(judge, source.new, source.old)

    def test_a_bad_one_at_the_start(self, tmp_path: Path, source: Source) -> None:
        source.judge(tmp_path)
        for content, mode in ((b"", source.mode), (source.before[:20], source.mode), (source.before, 0o666),
                              (b"x" * 600_000, source.mode)):  # fmt: skip
            with pytest.raises(ConfigError, match=str(tmp_path / "keys")):
                source._replace(before=content, mode=mode).judge(tmp_path)
        (tmp_path / "keys").unlink()
        with pytest.raises(ConfigError, match="No such file"):
            authenticator(tmp_path, **{source.option: tmp_path / "keys"})


def test_a_secret_that_everybody_may_read(tmp_path: Path) -> None:
    path = written(tmp_path / "secret", SECRET.private, 0o640)
    assert authenticator(tmp_path, secret_file=path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="everybody may read or write"):
        authenticator(tmp_path, secret_file=path)


def test_what_is_dropped_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "keys.json", key_set(RSA, also=({**P256.jwk, "use": "enc"},)))
    authenticator(tmp_path, jwks_file=path)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == f"{path}: not used: key 2 of 2: not for signatures (use)"
