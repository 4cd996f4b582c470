"""Identity, or else a certificate, or else the network: the configuration of docs/configuration.md, over the wire.

Law: what a request brings decides who is asked. One that brings an identity stands or falls with it.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RawClient, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
RIGHT, FALSE, STRANGER = login("alice", ALICE), login("alice", WRONG), login("bob", WRONG)
NAME, TOKEN = login("US1", b"", kind=1), login("US1", b"", kind=5)


def tables(upstream: Address, certificates: Certificates) -> dict[str, Any]:
    """The page's, with files and addresses of this machine."""
    text = PAGE.read_text("utf-8").partition("## Identity, or else")[2]
    made = tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])
    (listener,), (pacs,), (_, second, third) = made["listener"], made["upstream"], made["authenticator"]
    listener["bind"] = f"{HOST}:0"
    for key, file in (
        ("certificate", certificates.server.certificate),
        ("key", certificates.server.key),
        ("client_ca", certificates.ca),
    ):
        listener["tls"][key] = file
    pacs["address"] = f"{HOST}:{upstream[1]}"
    second["certificates"] = {"dns:client.test": second["certificates"].pop("dns:ct-1.hospital.example")}
    assert third["devices"]["US1"]["networks"] == ["10.1.3.0/24"]
    third["devices"]["US1"]["networks"] = ["127.0.0.0/30"]
    made["gateway"] = {"audit": "audit.jsonl"}
    for table in made["authenticator"]:
        table["timeout"] = "20s"  # cores may be few and busy
    return made


def ask(
    running: Gateway, certificates: Certificates, identity: bytes, shown: str, calling: str = "US1", source: str = HOST
) -> bytes:
    """The answer to a request with this identity, certificate and calling AE title from this address."""
    context = certificates.client_context(getattr(certificates, shown) if shown else None)
    with RawClient(running.address, context, source) as client:
        answer = client.ask(request(identity).replace(b"RAW".ljust(16), calling.encode().ljust(16)))
        if answer[:1] == b"\2":
            assert client.release() == RELEASE_RP
        return answer


ROWS = [
    # identity, certificate, calling AE title, source: who decides, and as whom it is let in
    (RIGHT, "", "CT9", "127.0.0.9", "staff", "alice"),
    (RIGHT, "client", "US1", HOST, "staff", "alice"),
    (RIGHT, "server", "US1", HOST, "staff", "alice"),
    (b"", "client", "CT9", "127.0.0.9", "certificates", "ct-1"),
    (b"", "client", "US1", HOST, "certificates", "ct-1"),
    (b"", "", "US1", HOST, "devices", "US1"),
    (FALSE, "", "US1", HOST, "staff", None),
    (FALSE, "client", "US1", HOST, "staff", None),
    (STRANGER, "client", "US1", HOST, "staff", None),
    (NAME, "client", "US1", HOST, "", None),
    (TOKEN, "client", "US1", HOST, "", None),
    (b"", "server", "US1", HOST, "certificates", None),
    (b"", "", "CT9", HOST, "devices", None),
    (b"", "", "US1", "127.0.0.9", "devices", None),
]


@pytest.mark.parametrize("unknown_user", ["reject", "pass"])
def test_who_decides(gateway: StartGateway, certificates: Certificates, unknown_user: str, spy: Spy) -> None:
    made = tables(spy.address, certificates)
    made["authenticator"][0]["unknown_user"] = unknown_user
    running = gateway(made)
    for number, (identity, shown, calling, source, authenticator, user) in enumerate(ROWS, 1):
        answer = ask(running, certificates, identity, shown, calling, source)
        assert answer == REFUSED_IDENTITY if user is None else answer[:1] == b"\2"
        decided = running.wait_for("Decided", number)[-1]
        # Where `staff` passes an unknown user on, nobody claims him: the other two are not asked.
        by = "" if (identity, unknown_user) == (STRANGER, "pass") else authenticator
        assert (decided["authenticator"], decided["user"]) == (by, user), ROWS[number - 1]
    assert len(spy.connections) == sum(row[-1] is not None for row in ROWS)


def test_nobody_is_asked_where_an_identity_is_required(
    gateway: StartGateway, certificates: Certificates, spy: Spy
) -> None:
    made = tables(spy.address, certificates)
    made["listener"][0]["identity"] = "required"
    running = gateway(made)
    for shown in ("client", ""):
        assert ask(running, certificates, b"", shown) == REFUSED_IDENTITY
    refused = running.wait_for("Refused", 2)
    assert {one["reason"] for one in refused} == {"no user identity, and the listener requires one"}
    assert not running.told("Decided")
    assert ask(running, certificates, RIGHT, "client")[:1] == b"\2"
