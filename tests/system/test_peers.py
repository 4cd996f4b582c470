"""Each real peer on its own, without a gateway: what the system tests rest on."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmjs import UserIdentity, dcmjs
from dicomgate.testing.peers.dcmtk import StoreScp, run_storescp, storescu, tls_options
from dicomgate.testing.peers.loopback import HOST, free_port, listens
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.process import Service, require
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs, ReceivedIdentity
from dicomgate.testing.peers.pynetdicom_scu import associate, commit, user_identity
from dicomgate.testing.peers.spy import HANG_UP, RELEASE_RP, Spy, abort, accept_all, reject, with_server_response
from dicomgate.testing.slices import ct_series, ct_slice

PASSCODE = ["-usr", "alice", "-pwd", "correct horse"]
ALICE = UserIdentity("alice", "correct horse")
ALICE_AS_RECEIVED = ReceivedIdentity(2, b"alice", b"correct horse", positive_response_requested=True)


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not left, left


def study(image: Dataset) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = image.StudyInstanceUID
    query.PatientID = ""
    return query


def test_a_free_port_is_free_and_listens_knows_the_difference() -> None:
    port = free_port()
    assert not listens(port)
    with socket.create_server((HOST, port)):
        assert listens(port)
    assert not listens(port)


def test_a_program_that_ends_at_once_is_an_error_with_its_output(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo out of order; exit 3"]
    with (
        pytest.raises(RuntimeError, match="status 3:\nout of order"),
        Service(command, log=tmp_path / "log", ports=[free_port()]),
    ):
        pass


def test_a_program_that_is_not_installed_is_a_skip_that_says_what_to_install() -> None:
    assert require("sh", "dash").endswith("/sh")
    with pytest.raises(pytest.skip.Exception, match="apt-get install dcmtk"):
        require("no-such-program", "dcmtk")


def test_slices_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    image = ct_slice(tmp_path / "first.dcm", 7)
    ct_slice(tmp_path / "second.dcm", 7)
    assert (tmp_path / "first.dcm").read_bytes() == (tmp_path / "second.dcm").read_bytes()
    assert len(image.PixelData) == 64 * 64 * 2
    paths = ct_series(tmp_path, 3)
    assert len({dcmread(path).SOPInstanceUID for path in paths}) == 3
    assert len({dcmread(path).StudyInstanceUID for path in paths}) == 1


class TestOrthanc:
    def test_stores_what_storescu_sends_and_ignores_the_identity(self, orthanc: Orthanc, tmp_path: Path) -> None:
        image = ct_slice(tmp_path / "ct.dcm")
        sent = storescu(orthanc.address, tmp_path / "ct.dcm", options=PASSCODE)
        assert sent.status == 0, sent.output
        assert orthanc.instances() == [image.SOPInstanceUID]
        assert orthanc.connections() == orthanc.associations() == 1
        assert "Username: [alice]" in orthanc.log()

    def test_does_not_answer_an_identity(self, orthanc: Orthanc, tmp_path: Path) -> None:
        ct_slice(tmp_path / "ct.dcm")
        sent = storescu(orthanc.address, tmp_path / "ct.dcm", options=[*PASSCODE, "-rsp"])
        assert sent.status != 0
        assert orthanc.instances() == []

    def test_is_empty_after_clear(self, orthanc: Orthanc, tmp_path: Path) -> None:
        ct_slice(tmp_path / "ct.dcm")
        assert storescu(orthanc.address, tmp_path / "ct.dcm").status == 0
        orthanc.add_modality("DESTINATION", HOST, 1)
        assert orthanc.instances()
        orthanc.clear()
        assert orthanc.instances() == orthanc.rest("GET", "/modalities") == []
        assert orthanc.connections() == orthanc.associations() == 0
        assert orthanc.log() == ""

    def test_takes_storage_commitment(self, orthanc: Orthanc, tmp_path: Path) -> None:
        """Orthanc reports on a new association, to a modality it knows."""
        image = ct_slice(tmp_path / "ct.dcm")
        assert storescu(orthanc.address, tmp_path / "ct.dcm").status == 0
        orthanc.add_modality("PYNETDICOM", HOST, free_port())
        with associate(orthanc.address, [StorageCommitmentPushModel]) as association, pytest.raises(TimeoutError):
            commit(association, [image], timeout=0.1)
        assert "N-ACTION RQ" in orthanc.log()

    def test_sees_a_connection_that_sends_nothing(self, orthanc: Orthanc) -> None:
        with socket.create_connection(orthanc.address):
            pass
        orthanc.wait_for_connections(1)
        assert orthanc.associations() == 0


class TestOrthancTls:
    @pytest.mark.parametrize("shown", ["client", "stranger", None, "cleartext"])
    def test_takes_only_a_certificate_that_it_trusts(
        self, shown: str | None, orthanc_tls: Orthanc, certificates: Certificates, tmp_path: Path
    ) -> None:
        image = ct_slice(tmp_path / "ct.dcm")
        leaf = {"client": certificates.client, "stranger": certificates.stranger}.get(shown or "")
        options = [] if shown == "cleartext" else tls_options(certificates, leaf)
        sent = storescu(orthanc_tls.address, tmp_path / "ct.dcm", options=options)
        assert (sent.status == 0) is (shown == "client"), sent.output
        assert orthanc_tls.instances() == ([image.SOPInstanceUID] if shown == "client" else [])
        orthanc_tls.wait_for_connections(1)
        assert orthanc_tls.associations() == (shown == "client")


class TestStorescp:
    def test_stores_what_storescu_sends(self, storescp: StoreScp, tmp_path: Path) -> None:
        paths = ct_series(tmp_path, 3)
        sent = storescu(storescp.address, *paths, called="STORESCP")
        assert sent.status == 0, sent.output
        expected = [dcmread(path) for path in paths]
        assert {dcmread(path).SOPInstanceUID for path in storescp.stored()} == {e.SOPInstanceUID for e in expected}
        assert "Called Application Name:     STORESCP" in storescp.log()

    def test_speaks_tls(self, certificates: Certificates, tmp_path: Path) -> None:
        ct_slice(tmp_path / "ct.dcm")
        with run_storescp(tmp_path, tls_options(certificates, certificates.server)) as scp:
            shown = tls_options(certificates, certificates.client)
            unknown = tls_options(certificates, certificates.stranger)
            assert storescu(scp.address, tmp_path / "ct.dcm", options=shown).status == 0
            assert storescu(scp.address, tmp_path / "ct.dcm", options=unknown).status != 0
            assert len(scp.stored()) == 1


class TestPynetdicomPacs:
    def test_records_identity_and_bytes(self, pacs: PynetdicomPacs, tmp_path: Path) -> None:
        image = ct_slice(tmp_path / "ct.dcm")
        identity = user_identity(2, b"alice", b"correct horse", positive_response_requested=True)
        with associate(pacs.address, identity=identity, calling="CT1", called="PACS") as association:
            assert association.is_established
            assert association.send_c_echo().Status == 0x0000
            assert association.send_c_store(tmp_path / "ct.dcm").Status == 0x0000
        with associate(pacs.address) as association:
            assert association.is_established
        first, second = pacs.associations
        assert (first.calling, first.called) == ("CT1", "PACS")
        assert first.identity == ALICE_AS_RECEIVED
        assert second.identity is None
        assert pacs.echoes == 1
        # The bytes of the data set are what follows the file meta information (PS3.10 7.1).
        assert (tmp_path / "ct.dcm").read_bytes().endswith(pacs.stored[image.SOPInstanceUID])

    def test_misses_what_it_was_not_given(self, pacs: PynetdicomPacs, tmp_path: Path) -> None:
        image, stranger = ct_slice(tmp_path / "ct.dcm"), ct_slice(tmp_path / "other.dcm", study="other")
        find = StudyRootQueryRetrieveInformationModelFind
        with associate(pacs.address, [CTImageStorage, find, StorageCommitmentPushModel]) as association:
            assert association.send_c_store(image).Status == 0x0000
            found, missed = (
                [status.Status for status, _ in association.send_c_find(study(asked), find)]
                for asked in (image, stranger)
            )
            received: list[str] = []
            association.bind(evt.EVT_DIMSE_RECV, lambda event: received.append(type(event.message).__name__))
            failed = commit(association, [image, stranger])
        assert received == ["N_ACTION_RSP", "N_EVENT_REPORT_RQ"]  # their fragments are not mixed
        assert (found, missed) == ([0xFF00, 0x0000], [0x0000])
        assert failed.information.FailedSOPSequence[0].ReferencedSOPInstanceUID == stranger.SOPInstanceUID

    def test_speaks_tls(self, certificates: Certificates) -> None:
        server = certificates.server_context(client_certificate=True)
        with PynetdicomPacs(tls=server) as pacs:
            for leaf, established in ((certificates.client, True), (certificates.stranger, False), (None, False)):
                with associate(pacs.address, tls=certificates.client_context(leaf)) as association:
                    assert association.is_established is established


class TestDcmjs:
    def test_echoes_and_stores_with_an_identity(self, pacs: PynetdicomPacs, tmp_path: Path) -> None:
        image = ct_slice(tmp_path / "ct.dcm")
        saw = dcmjs(pacs.address, identity=ALICE, files=[tmp_path / "ct.dcm"])
        assert saw.accepted
        assert saw.released
        assert (saw.echo, saw.store) == (0, [0])
        assert (saw.rejected, saw.aborted, saw.network_error) == (None, None, None)
        assert saw.server_response is None  # pynetdicom answers types 1 and 2 with nothing
        assert [association.identity for association in pacs.associations] == [ALICE_AS_RECEIVED]
        assert list(pacs.stored) == [image.SOPInstanceUID]

    def test_sees_a_server_response(self) -> None:
        with PynetdicomPacs(server_response=b"server's ticket") as pacs:
            saw = dcmjs(pacs.address, identity=replace(ALICE, type=3))
        assert saw.server_response == "server's ticket"

    def test_sees_an_abort(self) -> None:
        with Spy([abort(2, 6)]) as spy:
            saw = dcmjs(spy.address)
        assert not saw.accepted
        assert saw.rejected is None
        assert saw.aborted

    def test_speaks_tls(self, certificates: Certificates) -> None:
        with PynetdicomPacs(tls=certificates.server_context(client_certificate=True)) as pacs:
            saw = dcmjs(pacs.address, identity=ALICE, tls=certificates, leaf=certificates.client)
            refused = dcmjs(pacs.address, identity=ALICE, tls=certificates, leaf=certificates.stranger)
        assert (saw.echo, saw.network_error) == (0, None)
        assert not refused.accepted


class TestSpy:
    def test_records_every_byte_and_answers_from_its_script(self) -> None:
        with Spy([b"first", b"", HANG_UP]) as spy:
            with socket.create_connection(spy.address) as client:
                sent = [b"\x01\x00\x00\x00\x00\x02ab", b"\x04\x00\x00\x00\x00\x01c", b"\x05\x00\x00\x00\x00\x00"]
                client.sendall(sent[0][:3])
                client.sendall(sent[0][3:])
                assert client.recv(100) == b"first"
                client.sendall(sent[1] + sent[2])
                assert client.recv(100) == b""
            assert spy.connections[0].pdus() == sent
            assert spy.received() == b"".join(sent)
            with socket.create_connection(spy.address):
                spy.wait_for(2)
            spy.wait_for(2, closed=True)
        assert [len(connection.received) for connection in spy.connections] == [sum(map(len, sent)), 0]

    def test_accepts_an_association(self) -> None:
        with (
            Spy([accept_all, RELEASE_RP]) as spy,
            associate(spy.address, [Verification, CTImageStorage]) as association,
        ):
            assert association.is_established
            assert len(association.accepted_contexts) == 2

    def test_the_server_response_is_where_a_client_looks_for_it(self) -> None:
        identity = user_identity(3, b"ticket", positive_response_requested=True)
        with (
            Spy([lambda rq: with_server_response(accept_all(rq), b"reply"), RELEASE_RP]) as spy,
            associate(spy.address, identity=identity) as association,
        ):
            assert association.acceptor.user_identity.server_response == b"reply"

    def test_rejects_and_aborts(self) -> None:
        with Spy([reject(2, 3, 2)]) as spy, associate(spy.address) as association:
            refusal = association.acceptor.primitive
            # pynetdicom takes an A-ASSOCIATE-RJ that is followed at once by a close for an abort, now and then.
            assert association.is_rejected or association.is_aborted
            if association.is_rejected:
                assert (refusal.result, refusal.result_source, refusal.diagnostic) == (2, 3, 2)
        with Spy([abort(2, 6)]) as spy, associate(spy.address) as association:
            assert association.is_aborted
