"""What the gateway answers: nothing; or a short token of its own, which the client can verify."""

from __future__ import annotations

import json
import socket
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from dicomgate import Accept, ConfigError
from dicomgate_jwt import Jwt
from dicomgate_jwt.response import LIFETIME, TYPE
from plugins.jwt.tests.mint import (
    ED25519,
    P256,
    P384,
    RSA,
    STRANGER,
    Signer,
    ask,
    authenticator,
    decoded,
    mint,
    written,
)


def responding(folder: Path, key: Signer = P256, **options: Any) -> Jwt:
    return authenticator(folder, response_key_file=written(folder / "gate.key", key.private_pem, 0o600), **options)


def response(judge: Jwt, token: str | bytes, **fields: Any) -> bytes:
    answer = ask(judge, token, response=True, **fields)
    assert isinstance(answer, Accept)
    assert answer.server_response is not None
    return answer.server_response


def nonce(token: str) -> str:
    return urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()


def test_nothing_by_default(tmp_path: Path) -> None:
    for judge, asked in ((authenticator(tmp_path), True), (responding(tmp_path), False)):
        answer = ask(judge, mint(), response=asked)
        assert isinstance(answer, Accept)
        assert answer.server_response is None


@pytest.mark.parametrize("key", [P256, ED25519], ids=lambda key: key.id)
def test_a_client_verifies_it(tmp_path: Path, key: Signer) -> None:
    token = mint(sub="ada")
    judge = responding(tmp_path, key, response_issuer="gate.hospital.example")
    received = response(judge, token, calling_ae_title="CT-2").decode()
    said = jwt.decode_complete(
        received,
        key.private.public_key(),
        algorithms=[key.algorithm],
        audience="CT-2",
        issuer="gate.hospital.example",
        options={"require": ["exp", "iat", "sub", "nonce"]},
    )
    assert said["header"].keys() == {"alg", "kid", "typ"}
    assert said["header"]["typ"] == TYPE
    assert said["payload"].keys() == {"iss", "sub", "aud", "iat", "exp", "nonce"}
    assert said["payload"]["sub"] == "ada"
    assert said["payload"]["nonce"] == nonce(token)
    assert said["payload"]["exp"] - said["payload"]["iat"] == LIFETIME
    assert 0 <= time.time() - said["payload"]["iat"] < 30
    for audience in ("CT-1", "CT-2 ", "ct-2"):
        with pytest.raises(jwt.InvalidAudienceError):
            jwt.decode(received, key.private.public_key(), algorithms=[key.algorithm], audience=audience)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(received[:-6] + "AAAAAA", key.private.public_key(), algorithms=[key.algorithm], audience="CT-2")


def test_it_is_for_this_token_alone(tmp_path: Path) -> None:
    judge = responding(tmp_path)

    def told(token: str | bytes) -> str:
        claims: dict[str, str] = json.loads(decoded(response(judge, token).decode().split(".")[1]))
        return claims["nonce"]

    token = mint(jti="1")
    assert told(token) == told(f"Bearer {token}") == told(f"{token}\r\n") == nonce(token)
    assert told(mint(jti="2")) != told(token)


def test_it_is_short_and_no_echo(tmp_path: Path) -> None:
    judge, token = responding(tmp_path), mint(email="ada@hospital.example", secret="xyzzy")
    received = response(judge, token)
    said = decoded(received.decode().split(".")[1])
    assert len(received) < 600
    for part in (*token.split("."), "xyzzy", "ada@hospital.example"):
        assert part.encode() not in received + said
    assert json.loads(said)["iss"] == socket.gethostname()  # by default
    assert len(response(judge, mint(sub="😀" * 256))) < 6000  # it fits the item


def test_it_is_no_login(tmp_path: Path) -> None:
    """Not even at a gateway that has that key among its issuers' keys, and for that audience."""
    judge = responding(tmp_path, response_issuer="https://gate")
    received = response(judge, mint(), calling_ae_title="A")
    for tokens in ("access", "id", "either"):
        trusting = authenticator(
            tmp_path, issuer="https://gate", audience="A", public_key_file=written(tmp_path / "gate.pem", P256.pem),
            tokens=tokens,
        )  # fmt: skip
        good = {"access": "at+jwt", "id": "JWT", "either": "JWT"}[tokens]
        assert isinstance(ask(trusting, mint(P256, header={"typ": good}, iss="https://gate", aud="A")), Accept)
        assert str(ask(trusting, received)).startswith("Reject(reason=\"typ: 'dicomgate-response+jwt' is not the type")


def test_there_is_none_for_a_rejected_token(tmp_path: Path) -> None:
    judge = responding(tmp_path)
    assert response(judge, mint())
    assert not hasattr(ask(judge, mint(STRANGER)), "server_response")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"x" * 100, "no private key in PEM"),
        (b"x" * 70_000, "longer than"),
        (P256.pem, "this is a public key"),
        (RSA.private_pem, "P-256 or Ed25519"),
        (P384.private_pem, "P-256 or Ed25519"),
        (Signer("", "EdDSA", ed448.Ed448PrivateKey.generate()).private_pem, "P-256 or Ed25519"),
        (Signer("", "", x25519.X25519PrivateKey.generate()).private_pem, "P-256 or Ed25519"),
        (
            P256.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "the key has a passphrase",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_keys_that_cannot_sign(tmp_path: Path, content: bytes, why: str) -> None:
    assert responding(tmp_path)
    with pytest.raises(ConfigError, match=why):
        authenticator(tmp_path, response_key_file=written(tmp_path / "gate.key", content, 0o600))


def test_permissions(tmp_path: Path) -> None:
    assert responding(tmp_path)
    for mode in (0o644, 0o604, 0o602, 0o666):
        (tmp_path / "gate.key").chmod(mode)
        with pytest.raises(ConfigError, match=r"everybody may (read or )?write"):
            authenticator(tmp_path, response_key_file=tmp_path / "gate.key")
    (tmp_path / "gate.key").unlink()
    with pytest.raises(ConfigError, match="No such file"):
        authenticator(tmp_path, response_key_file=tmp_path / "gate.key")
    with pytest.raises(ConfigError, match="response_issuer"):
        authenticator(tmp_path, response_issuer="gate")
