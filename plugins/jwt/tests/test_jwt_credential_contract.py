"""The laws of a credential hold for each of this plugin's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dicomgate import Admission
from dicomgate.testing import CredentialContract, admission, jwt, passcode
from dicomgate.testing.peers.issuer import ca_file
from dicomgate_jwt import ClientCredentials, Minted, TokenExchange, TokenFile
from plugins.jwt.tests.exchanger import PATH, Exchanger
from plugins.jwt.tests.mint import ED25519, mint, written

SECRET = "Wm3-the-gateway's-at-the-provider"
PEM = ED25519.private_pem.decode().splitlines()[1]
USER = admission(identity=passcode("alice", "Zr7-the-client's"))


class TestMinted(CredentialContract):
    wrong_tables = (
        ({"issuer": "gate", "audience": "pacs"}, "key_file"),
        ({"issuer": "gate", "audience": "pacs", "key_file": "k", "lifetime": 120}, "a duration"),
    )
    secrets = (PEM,)

    @pytest.fixture
    def credential(self, tmp_path: Path) -> Minted:
        key = written(tmp_path / "minted.key", ED25519.private_pem, 0o600)
        return Minted(issuer="gate", audience="pacs", key_file=key)

    @pytest.fixture
    def good(self) -> Admission:
        return USER


class TestTokenFile(CredentialContract):
    wrong_tables = (({"token_file": "no-such-file"}, "no-such-file"),)

    @pytest.fixture
    def credential(self, tmp_path: Path) -> TokenFile:
        return TokenFile(token_file=written(tmp_path / "pacs.token", mint().encode(), 0o600))

    @pytest.fixture
    def good(self) -> Admission:
        return USER


@pytest.fixture
def provider() -> Iterator[Exchanger]:
    with Exchanger() as provider:
        yield provider


class TestClientCredentials(CredentialContract):
    wrong_tables = (
        ({"client_id": "gate", "client_secret_file": "s"}, "token_url or issuer"),
        ({"client_id": "gate", "token_url": "https://sso.hospital.example/token"}, "exactly one must say how"),
        ({"client_id": "gate", "client_secret_sent": "header"}, "client_secret_sent"),
    )
    secrets = (PEM,)

    @pytest.fixture
    def credential(self, provider: Exchanger, tmp_path: Path) -> ClientCredentials:
        return ClientCredentials(
            client_id="gate",
            client_key_file=written(tmp_path / "client.key", ED25519.private_pem, 0o600),
            token_url=provider.name + PATH,
            ca=ca_file(provider, tmp_path),
            fetch_timeout=timedelta(seconds=20),
        )

    @pytest.fixture
    def good(self) -> Admission:
        return USER


class TestTokenExchange(CredentialContract):
    wrong_tables = (({"client_id": "gate", "subject_token_type": "saml2"}, "subject_token_type"),)
    secrets = (SECRET,)

    @pytest.fixture
    def credential(self, provider: Exchanger, tmp_path: Path) -> TokenExchange:
        return TokenExchange(
            client_id="gate",
            client_secret_file=written(tmp_path / "client.secret", SECRET.encode(), 0o600),
            token_url=provider.name + PATH,
            ca=ca_file(provider, tmp_path),
            fetch_timeout=timedelta(seconds=20),
        )

    @pytest.fixture
    def good(self) -> Admission:
        return admission(identity=jwt(mint()))
