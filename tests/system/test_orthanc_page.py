"""docs/orthanc.md: its two configurations, with other ports and paths, do what the page says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.pages import DOCS, blocks, configurations
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmtk import storescu, tls_options
from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.orthanc import Orthanc, run_orthanc
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import StartGateway

PAGE = DOCS / "orthanc.md"


@dataclass
class Bench:
    orthanc: Orthanc
    clinical: tuple[str, int]
    local: tuple[str, int]


@pytest.fixture
def bench(tmp_path: Path, gateway: StartGateway, certificates: Certificates) -> Iterator[Bench]:
    settings = json.loads(blocks(PAGE, "json")[0].text)
    assert settings.pop("DicomPort") == 4242
    folder = tmp_path / "orthanc"
    folder.mkdir()
    # One of its own: `clear` would take the page's modalities from it.
    with run_orthanc(folder, settings=settings) as orthanc:
        (tables,) = configurations(PAGE)
        clinical, local = tables["listener"]
        ports = free_port(), free_port()
        clinical["bind"], local["bind"] = (f"{HOST}:{port}" for port in ports)
        clinical["tls"] = {"certificate": certificates.server.certificate, "key": certificates.server.key}
        tables["upstream"][0]["address"] = "{}:{}".format(*orthanc.address)
        tables["authenticator"][0]["timeout"] = "20s"
        gateway(tables)
        yield Bench(orthanc, *((HOST, port) for port in ports))


def logs_in(passcode: bytes) -> list[str]:
    return ["-usr", "alice", "-pwd", passcode.decode()]


def test_both_listeners_lead_to_it(bench: Bench, certificates: Certificates, tmp_path: Path) -> None:
    ways: tuple[tuple[Address, list[str | Path]], ...] = (
        (bench.clinical, tls_options(certificates)),
        (bench.local, []),
    )
    for stored, (address, tls) in enumerate(ways, start=1):
        ct_slice(tmp_path / "ct.dcm", stored)
        wrong: tuple[tuple[str, list[str]], ...] = (
            ("ORTHANC", []),
            ("ORTHANC", logs_in(WRONG)),
            ("ELSEWHERE", logs_in(ALICE)),
        )
        for called, bad in wrong:
            assert storescu(address, tmp_path / "ct.dcm", called=called, options=[*tls, *bad]).status != 0
        sent = storescu(address, tmp_path / "ct.dcm", called="ORTHANC", options=[*tls, *logs_in(ALICE)])
        assert sent.status == 0, sent.output
        bench.orthanc.wait_for_connections(stored)
        assert bench.orthanc.connections() == len(bench.orthanc.instances()) == stored


def found(bench: Bench, calling: str) -> int | None:
    """How many studies the AE title finds, logged in as alice; None if Orthanc aborts its query."""
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = ""
    with associate(
        bench.local,
        [StudyRootQueryRetrieveInformationModelFind],
        identity=user_identity(2, b"alice", ALICE),
        calling=calling,
        called="ORTHANC",
    ) as association:
        if not association.is_established:
            return None
        answers = [answer for answer, _ in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind)]
    return sum(answer.Status == 0xFF00 for answer in answers) if answers and "Status" in answers[-1] else None


def test_the_rules_by_ae_title_go_on_working(bench: Bench, tmp_path: Path) -> None:
    ct_slice(tmp_path / "ct.dcm")
    assert storescu(bench.local, tmp_path / "ct.dcm", called="ORTHANC", options=logs_in(ALICE)).status == 0
    assert found(bench, "READING1") == 1
    assert found(bench, "CT1") is None
