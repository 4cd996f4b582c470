"""Over the wire: clients that cannot send an identity, a gateway with this authenticator, a real Orthanc."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from dicomgate.testing.peers.certificates import Certificates, Leaf
from dicomgate.testing.peers.dcmtk import storescu, tls_options
from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.peers.nameless import CLIENTS, ask_for
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RawClient, log_in, request
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import StartGateway, configuration
from plugins.certificate.tests.tunnel import tls_tunnel

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
    image = ct_slice(tmp_path / "ct.dcm")
    assert storescu(orthanc.address, tmp_path / "ct.dcm", called="ORTHANC").status == 0
    orthanc.wait_for_connections(1)
    running = gateway(tables(orthanc.address, certificates))
    optional, required = running.server.bound.values()
    (received := tmp_path / "received").mkdir()

    def ask(address: Address, shown: Leaf) -> tuple[int, str]:
        tls = tls_options(certificates, shown) if client in SPEAK_TLS else []
        with ExitStack() as stack:
            if client not in SPEAK_TLS:
                address = stack.enter_context(tls_tunnel(tmp_path, address, certificates.ca, shown))
            asked = ask_for(image.StudyInstanceUID, client, address, orthanc, received, "CT1", tls)
        return asked.status, asked.output

    # The server's is a certificate of the same authority, and no device's.
    for address, shown in ((required, certificates.client), (optional, certificates.server)):
        status, output = ask(address, shown)
        assert status != 0
        assert "Association Rejected" in output
    assert list(received.iterdir()) == []
    status, output = ask(optional, certificates.client)
    assert status == 0, output
    assert len(list(received.iterdir())) == (client != "echoscu")

    [accepted] = running.wait_for("Decided", outcome="accept")
    assert (accepted["authenticator"], accepted["user"], accepted["groups"]) == ("devices", "ct-1", ["modalities"])
    assert accepted["attributes"]["certificate"] == "dns:client.test"
    running.wait_for("Closed", 3)
    without, unknown = (one["reason"] for one in running.told("Refused"))
    assert without == "no user identity, and the listener requires one"
    assert unknown.startswith("devices: the certificate is unknown; its names are sha256:")
    assert "common-name:server" in unknown
    # Where an identity is required nobody was asked; and Orthanc saw neither of the two.
    assert len(running.told("Decided")) == 2
    assert orthanc.connections() == 2


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
    leaves = {}
    for name, until in (("short", end), ("long", end + timedelta(days=1))):
        issued = authority.issue_cert(f"{name}.test", not_after=until)
        leaves[name] = Leaf(folder / f"{name}.pem", folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(leaves[name].certificate)
        leaves[name].key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(leaves[name].key)
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
