"""Over the wire: clients that cannot send an identity, a gateway with this authenticator, a real Orthanc."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from dicomgate.testing.peers.certificates import Certificates, Leaf, issue_leaf
from dicomgate.testing.peers.dcmtk import Finished, tls_options
from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.peers.nameless import CLIENTS, ask_for, check_logins, tls_tunnel
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RawClient, log_in, request
from dicomgate.testing.system_gateway import StartGateway, configuration

SPEAK_TLS = ("echoscu", "findscu")
DEVICES = {"dns:client.test": {"user": "ct-1", "groups": ["modalities"]}}


def tables(upstream: Address, certificates: Certificates, **options: object) -> dict[str, Any]:
    """The first listener takes attempts without identity, the second requires one."""
    tls = {
        "certificate": certificates.server.certificate,
        "key": certificates.server.key,
        "client_ca": certificates.ca,
        "client_certificate": "optional",
    }
    made = configuration(upstream, listener={"identity": "optional", "tls": tls, "cleartext_passcodes": False})
    (listener,) = made["listener"]
    made["listener"] += [{**listener, "name": "staff", "bind": "127.0.0.2:0", "identity": "required"}]
    made["authenticator"] = [{"use": "certificate", "name": "devices", **(options or {"certificates": DEVICES})}]
    return made


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_cannot_log_in(
    gateway: StartGateway, orthanc: Orthanc, certificates: Certificates, tmp_path: Path, client: str
) -> None:
    running = gateway(tables(orthanc.address, certificates))
    optional, required = running.server.bound.values()

    def ask(study: str, received: Path, address: Address, shown: Leaf) -> Finished:
        if client in SPEAK_TLS:
            return ask_for(study, client, address, orthanc, received, "CT1", tls_options(certificates, shown))
        with tls_tunnel(tmp_path, address, certificates.ca, shown) as tunnel:
            return ask_for(study, client, tunnel, orthanc, received, "CT1", [])

    # The server's is a certificate of the same authority, and no device's.
    cases = (required, certificates.client), (optional, certificates.server), (optional, certificates.client)
    accepted, (without, unknown) = check_logins(client, ask, orthanc, running, tmp_path, *cases)
    assert (accepted["authenticator"], accepted["user"], accepted["groups"]) == ("devices", "ct-1", ["modalities"])
    assert accepted["attributes"]["certificate"] == "dns:client.test"
    assert without == "no user identity, and the listener requires one"
    assert unknown.startswith("devices: the certificate is unknown; its names are sha256:")
    assert "common-name:server" in unknown
    assert len(running.told("Decided")) == 2, "where an identity is required no authenticator is asked"


def test_no_certificate_and_one_of_a_strange_authority(
    gateway: StartGateway, certificates: Certificates, spy: Spy
) -> None:
    running = gateway(tables(spy.address, certificates, user_from="common-name"))
    assert log_in(running.address, [], certificates.client_context(certificates.client))[:1] == b"\2"
    assert log_in(running.address, [], certificates.client_context()) == REFUSED_IDENTITY
    assert running.wait_for("Refused")[0]["reason"] == (
        "no authenticator claims an attempt without identity (devices: no client certificate)"
    )
    with pytest.raises(OSError):  # of TLS itself: who shows it is told so before anybody is asked
        log_in(running.address, [], certificates.client_context(certificates.stranger))
    running.wait_for("Closed", 3)
    assert [one["outcome"] for one in running.told("Decided")] == ["accept", "nobody claims it"]
    assert running.told("Decided", outcome="accept")[0]["user"] == "client"


def issued_until(folder: Path, end: datetime) -> tuple[Path, Mapping[str, Leaf]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    ends = {"short": end, "long": end + timedelta(days=1)}
    leaves = {name: issue_leaf(authority, folder, name, f"{name}.test", until=until) for name, until in ends.items()}
    return folder / "authority.pem", leaves


def test_the_association_ends_with_the_certificate(
    gateway: StartGateway, certificates: Certificates, tmp_path: Path, spy: Spy
) -> None:
    end = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
    authority, leaves = issued_until(tmp_path, end)
    made = tables(spy.address, certificates, user_from="dns")
    for listener in made["listener"]:
        listener["tls"] = {**listener["tls"], "client_ca": authority}
    running = gateway(made)
    with (
        RawClient(running.address, certificates.client_context(leaves["short"])) as short,
        RawClient(running.address, certificates.client_context(leaves["long"])) as long,
    ):
        assert short.ask(request())[:1] == b"\2"
        assert long.ask(request())[:1] == b"\2"
        assert short.pdu()[:1] == b"\7"  # A-ABORT
        assert datetime.now(UTC) >= end
        assert long.release() == RELEASE_RP
    assert {one["user"]: one["id"] for one in running.told("Established")}.keys() == {"short.test", "long.test"}
    running.wait_for("Closed", 2)
    assert {one["cause"] for one in running.told("Closed")} == {"the credential expired", "released"}


def test_good_logins_are_not_throttled_and_strange_certificates_are(
    gateway: StartGateway, certificates: Certificates, spy: Spy
) -> None:
    """Attempts without an identity are counted by their source: five go ahead here, then one waits."""

    def answer(shown: Leaf, calling: str, source: str) -> bytes:
        with RawClient(running.address, certificates.client_context(shown), source) as client:
            answer = client.ask(request().replace(b"RAW".ljust(16), calling.encode().ljust(16)))
            if answer[:1] == b"\2":
                assert client.release() == RELEASE_RP
            return answer

    running = gateway(tables(spy.address, certificates) | {"throttle": {"source_free": 5}})
    for calling in ["CT1"] * 10 + ["CT1", "CT2"] * 10:
        assert answer(certificates.client, calling, HOST)[:1] == b"\2"
    for number in range(10):
        assert answer(certificates.server, f"CT{number}", "127.0.0.2") == REFUSED_IDENTITY
    begins = [one["reason"][:9] for one in running.told("Decided", outcome="reject")]
    assert begins == ["the certi"] * 5 + ["throttled"] * 5
    # The source waits, whatever it shows; another one does not.
    assert answer(certificates.client, "CT1", "127.0.0.2") == REFUSED_IDENTITY
    assert answer(certificates.client, "CT1", HOST)[:1] == b"\2"
