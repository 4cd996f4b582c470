"""Tokens that the gateway signs: verified by this project's own authenticator, and by PyJWT with the published keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from joserfc.jwk import import_key

from dicomgate import Accept, Admission, ConfigError, IdentityType, Presented, Reject, Unavailable
from dicomgate.testing import admission
from dicomgate.testing.commandline import dicomgate
from dicomgate_jwt import Jwt, Minted
from plugins.jwt.tests.mint import ED25519, P256, P384, RSA, Signer, ask, written

GATE = "https://gate.hospital.example"
GROUPS = frozenset(("radiology", "ct"))
Make = Callable[..., Minted]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The credential, whose key is written to "minted.key"."""

    def make(key: Signer = P256, **options: Any) -> Minted:
        path = written(tmp_path / "minted.key", key.private_pem, 0o600)
        return Minted(**{"issuer": GATE, "audience": "archive", "key_file": path, **options})

    return make


def token_of(minted: Minted, asked: Admission | None = None) -> str:
    presented = asyncio.run(minted.present(asked or admission()))
    assert isinstance(presented, Presented)
    assert presented.identity.type is IdentityType.JWT
    assert presented.identity.secondary == b""
    assert presented.expires_at is None  # the association ends with the user's login, not with its token
    return presented.identity.primary.decode("ascii")


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def published(folder: Path, *keys: Path) -> Path:
    """What the command makes of these private keys."""
    result = dicomgate("jwt", "jwks", *keys)
    assert result.exit_code == 0
    return written(folder / "published.json", result.stdout.encode())


def behind(keys: Path, **options: Any) -> Jwt:
    """The authenticator of the dicomgate before the PACS."""
    return Jwt(**{"issuer": GATE, "audience": "archive", "jwks_file": keys, "group_claims": ["groups"], **options})


@pytest.mark.parametrize("key", [P256, ED25519], ids=lambda key: key.id)
def test_the_gateway_behind_knows_the_user(make: Make, tmp_path: Path, key: Signer) -> None:
    minted = make(key)
    judge = behind(published(tmp_path, minted.key_file), single_use=True)
    decisions = [ask(judge, token_of(minted, admission("Ada Löv", groups=GROUPS))) for _ in range(2)]
    assert all(isinstance(decision, Accept) for decision in decisions)
    (one, other) = [decision for decision in decisions if isinstance(decision, Accept)]
    assert (one.user, one.groups) == ("Ada Löv", GROUPS)
    assert one.once != other.once  # each association has a token of its own
    assert one.attributes["client_id"] == GATE
    assert isinstance(ask(judge, token_of(make(key, audience="another"))), Reject)


def test_only_the_published_key_counts(make: Make, tmp_path: Path) -> None:
    judge = behind(published(tmp_path, make(P256).key_file))
    assert isinstance(ask(judge, token_of(make(P256))), Accept)
    assert isinstance(ask(judge, token_of(make(ED25519))), Reject)


def test_what_a_standard_verifier_sees(make: Make, tmp_path: Path) -> None:
    """RFC 9068 2.2: iss, exp, aud, sub, client_id, iat and jti are REQUIRED; RFC 7638: the name of the key."""
    minted = make()
    (key,) = json.loads(published(tmp_path, minted.key_file).read_bytes())["keys"]
    token = token_of(minted)
    said = jwt.decode_complete(token, jwt.PyJWK(key), algorithms=["ES256"], audience="archive", issuer=GATE)
    assert said["header"] == {"alg": "ES256", "typ": "at+jwt", "kid": key["kid"]}
    assert said["payload"].keys() == {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "groups"}
    assert said["payload"]["exp"] - said["payload"]["iat"] == 120
    assert "d" not in key
    assert key["kid"] == import_key(key).thumbprint()


def test_who_has_no_groups_and_who_is_told_of_none(make: Make) -> None:
    nobody, somebody = admission(), admission(groups=GROUPS)
    assert claims_of(token_of(make(), nobody))["groups"] == []
    assert claims_of(token_of(make(groups_claim="roles"), somebody))["roles"] == ["ct", "radiology"]
    assert "groups" not in claims_of(token_of(make(groups_claim=""), somebody))


def test_it_does_not_outlive_the_users_login(make: Make) -> None:
    now = datetime.now(UTC)

    def exp(ends: datetime | None) -> int:
        return int(claims_of(token_of(make(), admission(time=now, expires_at=ends)))["exp"])

    assert exp(now + timedelta(seconds=30)) == int((now + timedelta(seconds=30)).timestamp())
    assert exp(None) == exp(now + timedelta(hours=1)) == int((now + timedelta(minutes=2)).timestamp())
    over = admission(time=now, expires_at=now - timedelta(seconds=5))
    assert isinstance(asyncio.run(make().present(over)), Unavailable)


def test_another_key_without_a_refused_login(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The steps of the page."""
    minted = make(P256)
    judge = behind(published(tmp_path, minted.key_file))
    before = token_of(minted)
    assert isinstance(ask(judge, before), Accept)
    new = written(tmp_path / "new.key", ED25519.private_pem, 0o600)
    published(tmp_path, new, minted.key_file)
    new.rename(minted.key_file)
    after = token_of(minted)
    assert jwt.get_unverified_header(after)["kid"] != jwt.get_unverified_header(before)["kid"]
    assert [type(ask(judge, token)) for token in (before, after)] == [Accept, Accept]
    published(tmp_path, minted.key_file)
    assert [type(ask(judge, token)) for token in (before, after)] == [Reject, Accept]
    written(minted.key_file, b"-----BEGIN PRIVATE KEY-----\nbroken", 0o600)
    assert isinstance(ask(judge, token_of(minted)), Accept)
    assert "the last good version stays in use" in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": ""}, "issuer"),
        ({"audience": ""}, "audience"),
        ({"lifetime": timedelta(seconds=9)}, "lifetime: 10s to 1h"),
        ({"lifetime": timedelta(minutes=61)}, "lifetime: 10s to 1h"),
        ({"groups_claim": "sub"}, "groups_claim: 'sub' says"),
        ({"key_file": Path("no-such-file")}, "no-such-file"),
        ({"key": RSA}, "P-256 or Ed25519"),
        ({"key": P384}, "P-256 or Ed25519"),
    ],
)
def test_what_is_wrong_with_the_table_is_said(make: Make, changes: dict[str, Any], said: str) -> None:
    assert make(lifetime=timedelta(hours=1))
    with pytest.raises(ConfigError, match=said):
        make(**changes)


def test_a_key_that_everybody_may_read_is_neither_used_nor_published(make: Make) -> None:
    path = make().key_file
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="everybody may read"):
        Minted(issuer=GATE, audience="archive", key_file=path)
    result = dicomgate("jwt", "jwks", path)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_neither_key_nor_token_is_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    minted = make()
    presented = asyncio.run(minted.present(admission()))
    assert isinstance(presented, Presented)
    told = repr((minted, vars(minted), minted._key.current(), presented)) + caplog.text
    assert presented.identity.primary.decode() not in told
    for line in P256.private_pem.decode().splitlines()[1:-1]:
        assert line not in told
