"""Over the wire: real clients, a gateway with this authenticator, a real OpenID provider, and issuers that do harm."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.answers import Answer, Huge, discovery, dripping, mute, redirect, slow
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.issuer import Issuer, Trap, ca_file
from dicomgate.testing.peers.loopback import HOST, Address, wait_until
from dicomgate.testing.peers.oidc_provider import OidcProvider
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.raw_client import REFUSED_IDENTITY, TRY_LATER, RawClient, login, request
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from dicomgate_jwt import sources
from plugins.jwt.tests.mint import AUDIENCE, P256, RSA, key_set, mint

COOL_DOWN = 0.2  # seconds: twenty would be long for a test
ADMITTED = b"\2"


@pytest.fixture(autouse=True)
def _short_cool_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "COOL_DOWN", COOL_DOWN)


@pytest.fixture
def start(gateway: StartGateway) -> Callable[..., Gateway]:
    """Start a gateway: the first listener asks these tables in turn, the second one a file."""

    def start(upstream: Address, *tables: dict[str, Any]) -> Gateway:
        made = configuration(upstream)
        (listener,), (file,) = made["listener"], made["authenticator"]
        devices = {**listener, "name": "devices", "bind": "127.0.0.2:0", "authenticators": ["file"]}
        names = [table["name"] for table in tables]
        made["listener"] = [{**listener, "authenticators": names}, devices]
        made["authenticator"] = [*tables, {**file, "name": "file"}]
        return gateway(made)

    return start


def table(issuer: str, ca: Path, name: str = "tokens", **options: Any) -> dict[str, Any]:
    """An [[authenticator]] for the tokens of an issuer that is discovered."""
    asked = {"use": "jwt", "name": name, "issuer": issuer, "audience": AUDIENCE, "discovery": True, "ca": ca}
    return {**asked, "group_claims": ["realm_access.roles"], "timeout": "20s", "fetch_timeout": "500ms", **options}


def log_in(address: Address, token: str | None) -> bytes:
    """How a login with this token is answered, or with alice's passcode: ADMITTED, or the A-ASSOCIATE-RJ."""
    item = login("alice", ALICE) if token is None else login(token, b"", kind=5)
    with RawClient(address) as client:
        answer = client.ask(request(item))
        if answer[:1] == ADMITTED:
            client.release()
        return answer if answer[:1] != ADMITTED else ADMITTED


def reasons(running: Gateway, outcome: str) -> set[str]:
    return {event["reason"] for event in running.wait_for("Decided", outcome=outcome)}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("written", ["{}", "Bearer {}\n"])
def test_storescu_stores_into_orthanc(
    start: Callable[..., Gateway],
    oidc_provider: OidcProvider,
    orthanc: Orthanc,
    tmp_path: Path,
    algorithm: str,
    written: str,
) -> None:
    image = ct_slice(tmp_path / "ct.dcm")
    running = start(orthanc.address, table(oidc_provider.issuer, oidc_provider.ca))
    good = oidc_provider.token(AUDIENCE, alg=algorithm)
    file = tmp_path / "token.jwt"
    for token in (oidc_provider.token("https://another.example", alg=algorithm), good):
        file.write_text(written.format(token))
        sent = storescu(running.address, tmp_path / "ct.dcm", options=["--jwt", file, "-rsp"])
        assert (sent.status == 0) == (token == good), sent.output
        assert orthanc.instances() == [image.SOPInstanceUID] * (token == good)
    (accepted,) = running.wait_for("Decided", outcome="accept")
    assert (accepted["user"], accepted["authenticator"]) == (oidc_provider.client_id, "tokens")
    assert sorted(accepted["groups"]) == ["ct", "radiology"]
    (reason,) = reasons(running, "reject")
    assert reason.startswith("aud: ")
    # Neither a token nor its signature is in the log or the audit.
    told = running.log() + (running.folder / "audit.jsonl").read_text()
    assert good not in told
    assert good.rpartition(".")[2] not in told


def test_pynetdicom_logs_in(start: Callable[..., Gateway], oidc_provider: OidcProvider, pacs: PynetdicomPacs) -> None:
    running = start(pacs.address, table(oidc_provider.issuer, oidc_provider.ca))
    identity = user_identity(5, oidc_provider.token(AUDIENCE).encode(), positive_response_requested=True)
    with associate(running.address, identity=identity) as association:
        assert association.is_established
        assert association.send_c_echo().Status == 0
        assert association.acceptor.user_identity.server_response == b""
    with associate(running.address, identity=user_identity(5, b"not a token")) as association:
        assert not association.is_established


def test_tokens_that_are_no_login(
    start: Callable[..., Gateway], oidc_provider: OidcProvider, pacs: PynetdicomPacs
) -> None:
    options: dict[str, Any] = {"leeway": "0s", "required_claims": {"scope": "dicom"}}
    running = start(pacs.address, table(oidc_provider.issuer, oidc_provider.ca, **options))
    short = oidc_provider.token(AUDIENCE, lifetime=1)
    good = oidc_provider.token(AUDIENCE)
    head, claims, signature = good.split(".")
    other = oidc_provider.token(AUDIENCE).split(".")
    hostile = {
        "another audience": oidc_provider.token(AUDIENCE + "/other"),
        "another scope": oidc_provider.token(AUDIENCE, scope="admin"),
        "changed claims": ".".join((head, other[1], signature)),
        "unsigned": f"{head}.{claims}.",
        "another key": mint(RSA, iss=oidc_provider.issuer),
        "another issuer": mint(RSA),
        "opaque": oidc_provider.token(),
    }
    assert log_in(running.address, good) == ADMITTED
    for name, token in hostile.items():
        assert log_in(running.address, token) == REFUSED_IDENTITY, name
    time.sleep(2.1)  # its second, and the one that a whole number of seconds may hide
    assert log_in(running.address, short) == REFUSED_IDENTITY
    assert log_in(running.address, good) == ADMITTED
    assert len(pacs.associations) == 2
    assert any(reason.startswith("exp: ") for reason in reasons(running, "reject"))


def test_keys_rotate_while_associations_run(
    start: Callable[..., Gateway], oidc_provider: OidcProvider, pacs: PynetdicomPacs
) -> None:
    running = start(pacs.address, table(oidc_provider.issuer, oidc_provider.ca))
    old = oidc_provider.token(AUDIENCE)
    with associate(running.address, identity=user_identity(5, old.encode())) as association:
        assert association.send_c_echo().Status == 0
        oidc_provider.rotate(keep=True)
        newer = oidc_provider.token(AUDIENCE)
        time.sleep(COOL_DOWN)
        assert [log_in(running.address, token) for token in (newer, old)] == [ADMITTED] * 2
        oidc_provider.rotate()
        newest = oidc_provider.token(AUDIENCE)
        time.sleep(COOL_DOWN)
        answers = [log_in(running.address, token) for token in (newest, newer, old)]
        assert answers == [ADMITTED, REFUSED_IDENTITY, REFUSED_IDENTITY]
        assert association.send_c_echo().Status == 0
    assert log_in(running.address, newest) == ADMITTED


def test_the_provider_stops_and_comes_back(
    start: Callable[..., Gateway], oidc_provider: OidcProvider, pacs: PynetdicomPacs
) -> None:
    token = oidc_provider.token(AUDIENCE)
    oidc_provider.stop()
    running = start(pacs.address, table(oidc_provider.issuer, oidc_provider.ca))
    _, devices = running.server.bound.values()
    for _ in range(2):
        assert log_in(running.address, token) == TRY_LATER
        assert log_in(devices, None) == ADMITTED
        time.sleep(COOL_DOWN)
    (reason,) = reasons(running, "unavailable")
    assert reason.startswith(f"the keys of {oidc_provider.issuer} cannot be fetched: ")
    oidc_provider.start()
    wait_until(lambda: log_in(running.address, token) == ADMITTED, "logins again")
    oidc_provider.stop()  # the keys are known: logins go on
    time.sleep(COOL_DOWN)
    assert log_in(running.address, token) == ADMITTED
    # But there may be a new key that could not be fetched.
    assert log_in(running.address, mint(P256, iss=oidc_provider.issuer)) == TRY_LATER


HARM: dict[str, tuple[Answer | None, str]] = {
    "slow": (slow, "no answer within 0.5 s"),
    "mute": (mute, "no answer within 0.5 s"),
    "dripping": (dripping, "no answer within 0.5 s"),
    "redirecting": (redirect("/elsewhere", key_set(RSA)), "answers with status 302"),
    "huge": (Huge(stated=False), "answers with more than 524288 bytes"),
    "wrong certificate": (None, "certificate verify failed"),
}


@pytest.mark.parametrize(("answer", "words"), HARM.values(), ids=HARM)
def test_an_issuer_that_does_harm(
    start: Callable[..., Gateway],
    issuer: Issuer,
    pacs: PynetdicomPacs,
    tmp_path: Path,
    answer: Answer | None,
    words: str,
) -> None:
    token, good = mint(RSA, iss=issuer.name), issuer.authority.issue_cert(HOST)
    if answer is None:
        issuer.show(issuer.wrong_certificates()["of another authority"])
    else:
        issuer.answers["/keys"] = answer
    running = start(pacs.address, table(issuer.name, ca_file(issuer, tmp_path)))
    _, devices = running.server.bound.values()
    with ThreadPoolExecutor(4) as clients:
        hopeless = [clients.submit(log_in, running.address, token) for _ in range(4)]
        assert log_in(devices, None) == ADMITTED
        assert [one.result() for one in hopeless] == [TRY_LATER] * 4
    assert all(words in reason for reason in reasons(running, "unavailable"))
    # Its own deadline was kept: the gateway's never was.
    assert "no answer within 20 s" not in running.log()
    assert len(pacs.associations) == 1
    issuer.show(good)
    issuer.publish(key_set(RSA))
    wait_until(lambda: log_in(running.address, token) == ADMITTED, "logins again")
    assert log_in(running.address, mint(RSA, iss=issuer.name, aud="another")) == REFUSED_IDENTITY


def test_a_key_set_that_is_elsewhere(
    start: Callable[..., Gateway], issuer: Issuer, pacs: PynetdicomPacs, tmp_path: Path
) -> None:
    """What takes connections and never answers, not even the handshake."""
    token = mint(RSA, iss=issuer.name)
    with Trap() as trap:
        issuer.answers["/.well-known/openid-configuration"] = discovery(
            issuer.name, f"https://{HOST}:{trap.address[1]}/"
        )
        running = start(pacs.address, table(issuer.name, ca_file(issuer, tmp_path)))
        assert log_in(running.address, token) == TRY_LATER
        wait_until(lambda: trap.connections == 1 and not trap.open, "the gateway's leaving the trap")
        issuer.publish(key_set(RSA))
        wait_until(lambda: log_in(running.address, token) == ADMITTED, "logins again")


def test_two_issuers_side_by_side(
    start: Callable[..., Gateway],
    oidc_provider: OidcProvider,
    issuer: Issuer,
    pacs: PynetdicomPacs,
    tmp_path: Path,
) -> None:
    tables = [
        table(oidc_provider.issuer, oidc_provider.ca, "provider"),
        table(issuer.name, ca_file(issuer, tmp_path), "issuer"),
    ]
    running = start(pacs.address, *tables)
    its, others = oidc_provider.token(AUDIENCE), mint(RSA, iss=issuer.name)
    assert [log_in(running.address, token) for token in (its, others)] == [ADMITTED] * 2
    accepted = running.wait_for("Decided", 2, outcome="accept")
    assert [(event["authenticator"], event["user"]) for event in accepted] == [
        ("provider", oidc_provider.client_id),
        ("issuer", "ada"),
    ]
    # A good signature of the one does not make a token of the other; nor does a third's make one of either.
    assert log_in(running.address, mint(RSA, iss=oidc_provider.issuer)) == REFUSED_IDENTITY
    assert log_in(running.address, mint(RSA)) == REFUSED_IDENTITY
    # One that is out of reach does not affect the other.
    oidc_provider.stop()
    again = start(pacs.address, *tables)
    assert log_in(again.address, its) == TRY_LATER
    assert log_in(again.address, others) == ADMITTED
