"""Debian's storescu stores into Debian's Orthanc through the gateway, in the clear and over TLS on both legs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicomgate.testing.evidence import ALICE, WRONG, ZOE
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmtk import Finished, storescu, tls_options
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.slices import ct_series, ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

ALICE_LOGS_IN = ["-usr", "alice", "-pwd", ALICE.decode()]
REJECTED = "Result: Rejected Permanent, Source: Service Provider (ACSE Related)"


@dataclass
class Bench:
    orthanc: Orthanc
    gateway: Gateway
    tls: list[str | Path]

    def store(self, options: Sequence[str], *files: Path) -> Finished:
        return storescu(self.gateway.address, *files, called="ORTHANC", options=[*self.tls, *options])


@pytest.fixture(params=["plain", "TLS"])
def bench(request: pytest.FixtureRequest, gateway: StartGateway, certificates: Certificates) -> Bench:
    if request.param == "plain":
        orthanc = request.getfixturevalue("orthanc")
        return Bench(orthanc, gateway(configuration(orthanc.address)), [])
    orthanc = request.getfixturevalue("orthanc_tls")
    server, client = certificates.server, certificates.client
    tables = configuration(
        orthanc.address,
        listener={"tls": {"certificate": server.certificate, "key": server.key}, "cleartext_passcodes": False},
        upstream={"tls": {"ca": certificates.ca, "certificate": client.certificate, "key": client.key}},
    )
    return Bench(orthanc, gateway(tables), tls_options(certificates))


@pytest.mark.parametrize("response", [[], ["-rsp"]], ids=["no response", "response"])
def test_a_good_login(bench: Bench, response: list[str], tmp_path: Path) -> None:
    paths = ct_series(tmp_path, 3)
    stored = [ct_slice(path, number).SOPInstanceUID for number, path in enumerate(paths, start=1)]
    sent = bench.store([*ALICE_LOGS_IN, *response], *paths)
    assert sent.status == 0, sent.output
    assert bench.orthanc.instances() == sorted(stored)
    assert bench.orthanc.connections() == bench.orthanc.associations() == 1
    log = bench.orthanc.log()
    # What DCMTK shows of the A-ASSOCIATE-RQ, and of its A-ASSOCIATE-AC.
    assert log.count("User Identity Negotiation:") == 2
    assert "Requested User Identity Negotiation: none\n" in log
    assert "alice" not in log
    assert ALICE.decode() not in log
    assert len(bench.gateway.wait_for("Closed", cause="released")) == 1
    [established] = bench.gateway.told("Established")
    assert (established["user"], established["called_ae_title"]) == ("alice", "ORTHANC")


@pytest.mark.parametrize(
    "options",
    [
        ["-usr", "alice", "-pwd", WRONG.decode()],
        ["-usr", "alice", "-pwd", WRONG.decode(), "-rsp"],
        ["-usr", "alice", "-pwd", ZOE.decode()],
        ["-usr", "bob", "-pwd", ALICE.decode()],
        ["-usr", "alice", "-epw"],
        ["-usr", "alice"],
        [],
    ],
    ids=["wrong", "wrong, response", "another's", "unknown user", "empty passcode", "no passcode", "no identity"],
)
def test_a_bad_login(bench: Bench, options: list[str], tmp_path: Path) -> None:
    ct_slice(tmp_path / "ct.dcm")
    refused = bench.store(options, tmp_path / "ct.dcm")
    assert refused.status != 0
    assert REJECTED in refused.output
    # Beside it one that is good: Orthanc's log, which is behind its sockets, has seen all that came before.
    sent = bench.store(ALICE_LOGS_IN, tmp_path / "ct.dcm")
    assert sent.status == 0, sent.output
    bench.orthanc.wait_for_connections(1)
    assert bench.orthanc.connections() == 1
    assert len(bench.orthanc.instances()) == 1
    bench.gateway.wait_for("Closed", 2)
    [told] = bench.gateway.told("Refused")
    assert told["answer"].startswith("A-ASSOCIATE-RJ 1,2,1")
