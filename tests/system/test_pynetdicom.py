"""One story, told by pynetdicom: through the gateway it goes as it does without, down to the bytes of the data sets.

The story is told three times: to the PACS itself, through the gateway with and without a wish for a positive response;
all of it in the clear, and over TLS on both legs.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmtk import StoreScp
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, commit, user_identity
from dicomgate.testing.slices import ct_series, ct_slice
from dicomgate.testing.system_gateway import StartGateway, configuration

CONTEXTS = [
    Verification,
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
]
_, _, FIND, GET, MOVE, _ = CONTEXTS


@dataclass
class Security:
    """What the two legs are secured with: the client's context, the PACS's, and the tables for the gateway."""

    client: ssl.SSLContext | None
    pacs: ssl.SSLContext | None
    listener: dict[str, Any]
    upstream: dict[str, Any]


@pytest.fixture(params=["plain", "TLS"])
def security(request: pytest.FixtureRequest, certificates: Certificates) -> Security:
    if request.param == "plain":
        return Security(None, None, {}, {})
    server, client = certificates.server, certificates.client
    return Security(
        certificates.client_context(certificates.client),
        certificates.server_context(client_certificate=True),
        {"tls": {"certificate": server.certificate, "key": server.key}, "cleartext_passcodes": False},
        {"tls": {"ca": certificates.ca, "certificate": client.certificate, "key": client.key}},
    )


@dataclass
class Told:
    """What came of the story. Datasets are compared as they are, images as the bytes that arrived."""

    accepted: list[tuple[int, str, str, bool, bool]]
    echo: int
    stored: list[int]
    found: list[tuple[int, Dataset | None]]
    got: list[int]
    received: dict[str, bytes]
    moved: list[int]
    arrived: list[bytes]
    committed: tuple[int, list[str]] | None = None
    not_committed: tuple[int, list[str]] | None = None


def tell(
    address: Address,
    paths: list[Path],
    move_to: StoreScp,
    *,
    commits: bool,
    tls: ssl.SSLContext | None = None,
    identity: Any = None,
) -> Told:
    """Store on one association, and do the rest on another, in whose C-GET the client is the one that stores (SCP).

    With `commits`, storage commitment is asked for on the second, and the report comes on it as well.
    """
    images = [dcmread(path) for path in paths]
    received: dict[str, bytes] = {}
    for path in move_to.stored():
        path.unlink()
    with associate(address, CONTEXTS[:2], identity=identity, tls=tls) as association:
        assert answer_to_identity(association) == expected_answer(identity)
        accepted = accepted_contexts(association)
        echo = association.send_c_echo().Status
        stored = [association.send_c_store(path).Status for path in paths]
    assert association.is_released
    with associate(address, CONTEXTS[1:], identity=identity, tls=tls, get=received) as association:
        assert answer_to_identity(association) == expected_answer(identity)
        told = Told(
            accepted=accepted + accepted_contexts(association),
            echo=echo,
            stored=stored,
            found=[(status.Status, found) for status, found in association.send_c_find(query(images[0]), FIND)],
            got=[status.Status for status, _ in association.send_c_get(query(images[0]), GET)],
            received=received,
            moved=[status.Status for status, _ in association.send_c_move(query(images[0]), "STORESCP", MOVE)],
            arrived=[data_set(path) for path in move_to.stored()],
        )
        if commits:
            stranger = ct_slice(paths[0].with_name("never-stored.dcm"), study="never stored")
            told.committed = outcome(association, images)
            told.not_committed = outcome(association, [images[0], stranger])
    assert association.is_released
    return told


def accepted_contexts(association: Association) -> list[tuple[int, str, str, bool, bool]]:
    return [
        (context.context_id, context.abstract_syntax, context.transfer_syntax[0], context.as_scu, context.as_scp)
        for context in association.accepted_contexts
    ]


def expected_answer(identity: Any) -> bytes | None:
    return b"" if identity is not None and identity.positive_response_requested else None


def query(image: Dataset) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = image.StudyInstanceUID
    asked.PatientID = ""
    asked.StudyDate = ""
    return asked


def outcome(association: Association, images: list[Dataset]) -> tuple[int, list[str]]:
    report = commit(association, images)
    return report.event_type, [image.ReferencedSOPInstanceUID for image in report.information.ReferencedSOPSequence]


def answer_to_identity(association: Association) -> bytes | None:
    response = association.acceptor.user_identity
    return None if response is None else response.server_response


def data_set(path: Path) -> bytes:
    """Return what follows the file meta information (PS3.10 7.1), of known length."""
    content = path.read_bytes()
    assert content[128:132] == b"DICM"
    return content[144 + int.from_bytes(content[140:144], "little") :]


def assert_it_went_well(told: Told, paths: list[Path]) -> None:
    assert told.echo == 0
    assert told.stored == [0] * len(paths)
    assert [status for status, _ in told.found] == [0xFF00, 0]
    assert told.got[-1] == told.moved[-1] == 0
    assert sorted(told.received.values()) == sorted(map(data_set, paths)) == sorted(told.arrived)


@pytest.mark.parametrize("response", [False, True], ids=["no response", "response"])
def test_a_pynetdicom_pacs(
    gateway: StartGateway, security: Security, storescp: StoreScp, tmp_path: Path, response: bool
) -> None:
    paths = ct_series(tmp_path, 3)
    with PynetdicomPacs(tls=security.pacs) as pacs:
        pacs.move_destinations["STORESCP"] = storescp.address
        directly = tell(pacs.address, paths, storescp, commits=True, tls=security.client)
    with PynetdicomPacs(tls=security.pacs) as pacs:
        pacs.move_destinations["STORESCP"] = storescp.address
        running = gateway(configuration(pacs.address, listener=security.listener, upstream=security.upstream))
        identity = user_identity(2, b"alice", ALICE, positive_response_requested=response)
        through = tell(running.address, paths, storescp, commits=True, tls=security.client, identity=identity)
        assert list(pacs.stored.values()) == [data_set(path) for path in paths]
        assert [association.identity for association in pacs.associations] == [None, None]
    assert through == directly
    assert_it_went_well(through, paths)
    uids = [dcmread(path).SOPInstanceUID for path in paths]
    assert through.committed == (1, uids)
    assert through.not_committed == (2, uids[:1])
    running.wait_for("Closed", 2, cause="released")


@pytest.mark.parametrize("response", [False, True], ids=["no response", "response"])
def test_orthanc(gateway: StartGateway, orthanc: Orthanc, storescp: StoreScp, tmp_path: Path, response: bool) -> None:
    paths = ct_series(tmp_path, 3)
    running = gateway(configuration(orthanc.address))
    identity = user_identity(2, b"alice", ALICE, positive_response_requested=response)
    orthanc.add_modality("STORESCP", *storescp.address)
    directly = tell(orthanc.address, paths, storescp, commits=False)
    orthanc.clear()
    orthanc.add_modality("STORESCP", *storescp.address)
    through = tell(running.address, paths, storescp, commits=False, identity=identity)
    assert through == directly
    assert_it_went_well(through, paths)


@pytest.mark.parametrize("size", [64, 1024], ids=["8 kB", "2 MB"])
def test_large_and_small_images_arrive_byte_for_byte(
    gateway: StartGateway, security: Security, tmp_path: Path, size: int
) -> None:
    image = ct_slice(tmp_path / "ct.dcm", rows=size)
    received: dict[str, bytes] = {}
    with PynetdicomPacs(tls=security.pacs) as pacs:
        running = gateway(configuration(pacs.address, listener=security.listener, upstream=security.upstream))
        identity = user_identity(2, b"alice", ALICE)
        with associate(running.address, identity=identity, tls=security.client) as association:
            assert association.send_c_store(tmp_path / "ct.dcm").Status == 0
        with associate(running.address, CONTEXTS, identity=identity, tls=security.client, get=received) as association:
            assert [status.Status for status, _ in association.send_c_get(query(image), GET)][-1] == 0
        assert pacs.stored == received == {image.SOPInstanceUID: data_set(tmp_path / "ct.dcm")}


BAD_IDENTITIES = {
    "wrong passcode": user_identity(2, b"alice", WRONG, positive_response_requested=True),
    "unknown user": user_identity(2, b"bob", ALICE),
    "username alone": user_identity(1, b"alice"),
    "token": user_identity(5, b"a.b.c"),
    "no identity": None,
}


@pytest.mark.parametrize("identity", BAD_IDENTITIES.values(), ids=BAD_IDENTITIES)
def test_refused(gateway: StartGateway, security: Security, identity: Any) -> None:
    with PynetdicomPacs(tls=security.pacs) as pacs:
        running = gateway(configuration(pacs.address, listener=security.listener, upstream=security.upstream))
        with associate(running.address, identity=identity, tls=security.client) as association:
            assert not association.is_established
            # One rejection in some hundreds, if it comes at once, pynetdicom 3.0.4 takes for an abort.
            assert association.is_rejected or association.is_aborted
            if association.is_rejected:
                refusal = association.acceptor.primitive
                assert (refusal.result, refusal.result_source, refusal.diagnostic) == (1, 2, 1)
        assert running.wait_for("Refused")[0]["answer"].startswith("A-ASSOCIATE-RJ 1,2,1 ")
        assert pacs.associations == []
        with associate(running.address, identity=user_identity(2, b"alice", ALICE), tls=security.client) as association:
            assert association.send_c_echo().Status == 0
        assert len(pacs.associations) == 1
