"""What an operator can get wrong in the table, and what is not told of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import ConfigError, IdentityType
from dicomgate_jwt import Jwt
from plugins.jwt.tests.mint import AUDIENCE, ISSUER, RSA, SECRET, key_set, written


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "jwks_file": written(tmp_path / "keys.json", key_set()),
        "public_key_file": written(tmp_path / "key.pem", RSA.pem),
        "secret_file": written(tmp_path / "secret", SECRET.private, 0o600),
    }


def made(files: dict[str, Path], **options: Any) -> Jwt:
    return Jwt(**{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": files["jwks_file"], **options})


def test_the_defaults(files: dict[str, Path]) -> None:
    judge = made(files)
    assert judge.handles == {IdentityType.JWT}
    assert judge.rules.leeway == 30
    assert judge.rules.maximum_lifetime == 86_400
    assert judge.rules.tokens == "access"
    assert not judge.rules.bound
    assert not judge.rules.single_use
    assert set(judge.algorithms) == {
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    }  # fmt: skip
    secret = made(files, jwks_file=None, secret_file=files["secret_file"])
    assert set(secret.algorithms) == {"HS256", "HS384", "HS512"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"issuer": ""}, "issuer and audience"),
        ({"audience": ""}, "issuer and audience"),
        ({"audience": []}, "issuer and audience"),
        ({"audience": ["a", ""]}, "issuer and audience"),
        ({"leeway": timedelta(seconds=61)}, "leeway"),
        ({"leeway": timedelta(seconds=-1)}, "leeway"),
        ({"maximum_lifetime": timedelta(0)}, "maximum_lifetime"),
        ({"maximum_lifetime": timedelta(seconds=-1)}, "maximum_lifetime"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["RS256", "none"]}, "algorithms"),
        ({"algorithms": ["rs256"]}, "algorithms"),
        ({"jwks_file": None}, "exactly one must say where the keys are"),
        ({"discovery": True}, "exactly one must say where the keys are"),
        ({"jwks_url": "https://login.hospital.example/keys"}, "exactly one must say where the keys are"),
        ({"user_claim": ""}, "user_claim"),
    ],
)
def test_options(files: dict[str, Path], options: dict[str, Any], message: str) -> None:
    right = {"leeway": timedelta(seconds=60), "audience": ["a", "b"], "algorithms": ["RS256", "EdDSA"]}
    assert made(files, **right)
    with pytest.raises(ConfigError, match=message):
        made(files, **{**right, **options})


@pytest.mark.parametrize("first", ["jwks_file", "public_key_file", "secret_file"])
@pytest.mark.parametrize("second", ["jwks_file", "public_key_file", "secret_file"])
def test_one_source_of_keys(files: dict[str, Path], first: str, second: str) -> None:
    options: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, first: files[first]}
    assert Jwt(**options)
    if first != second:
        with pytest.raises(ConfigError, match="exactly one must say where the keys are"):
            Jwt(**{**options, second: files[second]})


def test_secrets_and_public_keys_have_algorithms_of_their_own(files: dict[str, Path]) -> None:
    short = {
        "jwks_file": None,
        "secret_file": written(files["secret_file"].with_name("short"), SECRET.private[:32], 0o600),
    }
    assert made(files, **short, algorithms=["HS256", "HS512"])
    with pytest.raises(ConfigError, match="algorithms: the key is for HS256"):
        made(files, **short, algorithms=["HS512"])
    assert made(files, jwks_file=None, secret_file=files["secret_file"], algorithms=["HS512"])
    with pytest.raises(ConfigError, match="HS256, HS384, HS512"):
        made(files, jwks_file=None, secret_file=files["secret_file"], algorithms=["RS256"])
    with pytest.raises(ConfigError, match="EdDSA"):
        made(files, jwks_file=None, public_key_file=files["public_key_file"], algorithms=["HS256"])


def test_no_secret_shows(files: dict[str, Path]) -> None:
    judge = made(files, jwks_file=None, secret_file=files["secret_file"])
    assert SECRET.private.decode() not in repr(judge) + repr(vars(judge))
    judge = made(files, jwks_file=None, jwks_url="https://login.example/keys", proxy="http://gate:canary@proxy:3128")
    assert "canary" not in repr(judge)
    assert "login.example" in repr(judge)
