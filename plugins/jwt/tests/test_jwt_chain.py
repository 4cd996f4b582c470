"""Over the wire: a gateway that logs in to a second one with a token, and what each of them sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.issuer import ca_file
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import CONGESTION, RawClient, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from plugins.jwt.tests.exchanger import PACS, Exchanger
from plugins.jwt.tests.mint import AUDIENCE, ISSUER, P256, RSA, key_set, mint, written

GATE = "https://gate.hospital.example"


@pytest.fixture
def credentials(tmp_path: Path) -> dict[str, dict[str, Any]]:
    key = written(tmp_path / "minted.key", P256.private_pem, 0o600)
    token = written(tmp_path / "pacs.token", mint(sub="clinic").encode(), 0o600)
    return {
        "minted": {"use": "minted", "issuer": GATE, "audience": AUDIENCE, "key_file": key},
        "token-file": {"use": "token-file", "token_file": token},
    }


@pytest.fixture
def second(gateway: StartGateway, spy: Spy, tmp_path: Path) -> Gateway:
    """The gateway before the PACS; it takes tokens of the first gateway and of the provider alone."""
    published = dicomgate("jwt", "jwks", written(tmp_path / "minted.key", P256.private_pem, 0o600)).stdout
    keys = {GATE: published.encode(), ISSUER: key_set()}
    made = configuration(spy.address)
    made["authenticator"] = [
        {
            "use": "jwt", "name": f"tokens-{number}", "issuer": issuer, "audience": AUDIENCE, "timeout": "20s",
            "jwks_file": written(tmp_path / f"{number}.json", keys[issuer]), "group_claims": ["groups"],
        }
        for number, issuer in enumerate(keys)
    ]  # fmt: skip
    return gateway(made)


@pytest.mark.parametrize(("use", "user"), [("minted", "alice"), ("token-file", "clinic")])
def test_the_second_gateway_knows_who_comes(
    gateway: StartGateway, second: Gateway, spy: Spy, credentials: dict[str, dict[str, Any]], use: str, user: str
) -> None:
    tables = configuration(second.address, upstream={"credential": "ours", "positive_response": "required"})
    first = gateway(tables | {"credential": [{**credentials[use], "name": "ours", "timeout": "20s"}]})
    with RawClient(first.address) as client:
        assert client.ask(request(login("alice", ALICE)))[0] == 2
        assert client.release() == RELEASE_RP
    (decided,) = second.told("Decided")
    assert (decided["user"], decided["identity_type"]) == (user, 5)
    told = json.dumps([*first.events, *second.events], default=str)
    assert ALICE.decode() not in told
    assert ".eyJ" not in told  # no token
    assert ALICE not in spy.received()


def test_the_users_own_token_never_reaches_the_second_gateway(gateway: StartGateway, spy: Spy, tmp_path: Path) -> None:
    own = mint(sub="ada")
    with Exchanger() as provider:
        secret = written(tmp_path / "client.secret", b"secret of the gateway", 0o600)
        credential = {
            "use": "token-exchange", "name": "ours", "token_url": provider.name + "/token", "client_id": "gateway",
            "client_secret_file": secret, "ca": ca_file(provider, tmp_path), "timeout": "20s", "fetch_timeout": "10s",
        }  # fmt: skip
        users: dict[str, Any] = {
            "use": "jwt",
            "name": "users",
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "timeout": "20s",
        }
        users["jwks_file"] = written(tmp_path / "users.json", key_set(RSA))
        pacs = {**users, "name": "pacs", "issuer": provider.name, "audience": PACS}
        pacs["jwks_file"] = written(tmp_path / "pacs.json", key_set(P256))
        second = gateway(configuration(spy.address) | {"authenticator": [pacs, users]})
        tables = configuration(second.address, upstream={"credential": "ours"})
        first = gateway(tables | {"authenticator": [users], "credential": [credential]})
        with RawClient(first.address) as client:
            assert client.ask(request(login(own, kind=5)))[0] == 2
            assert client.release() == RELEASE_RP
    (decided,) = second.told("Decided")
    assert (decided["user"], decided["authenticator"]) == ("ada", "pacs")
    assert ".eyJ" not in json.dumps([*first.events, *second.events], default=str)


def test_without_a_token_the_second_gateway_is_not_asked(
    gateway: StartGateway, second: Gateway, credentials: dict[str, dict[str, Any]]
) -> None:
    written(credentials["token-file"]["token_file"], mint(exp=1_000_000_000).encode(), 0o600)
    tables = configuration(second.address, upstream={"credential": "ours"})
    first = gateway(tables | {"credential": [{**credentials["token-file"], "name": "ours", "timeout": "20s"}]})
    with RawClient(first.address) as client:
        assert client.ask(request(login("alice", ALICE))) == CONGESTION
    assert second.told("Decided") == []
    (refused,) = first.wait_for("Refused")
    assert refused["reason_class"] == "credential_unavailable"
