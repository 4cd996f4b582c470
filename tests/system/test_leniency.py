"""What real peers do that is untidy, and what it comes to: it works as it does without the gateway."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet

from dicomgate.testing import raw
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import RawClient
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate.wire.associate import AssociateAccept, AssociateRequest

CONTEXTS = [CTImageStorage, StudyRootQueryRetrieveInformationModelGet]
TEN_MEGABYTES = 2240  # rows and columns, of two bytes each
LOGIN = raw.login(2, b"alice", ALICE)


@pytest.mark.parametrize("odd", [16_383, 32_767, 65_535, 131_071, 1_000_001])
def test_ten_megabytes_pass_at_an_odd_maximum_length_of_either_side(
    gateway: StartGateway, tmp_path: Path, odd: int
) -> None:
    """pynetdicom fills a PDU to the last byte, and its fragments are odd if that is told to it."""
    image = ct_slice(tmp_path / "ct.dcm", rows=TEN_MEGABYTES)
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = image.StudyInstanceUID
    wanted.PatientID = ""
    received: dict[str, bytes] = {}
    with PynetdicomPacs(maximum_length=odd) as pacs:
        running = gateway(configuration(pacs.address))
        identity = user_identity(2, b"alice", ALICE)
        with associate(running.address, identity=identity) as association:
            assert association.acceptor.maximum_length == odd - 1
            assert association.send_c_store(tmp_path / "ct.dcm").Status == 0
        with associate(running.address, CONTEXTS, identity=identity, get=received, maximum_length=odd) as association:
            statuses = [status.Status for status, _ in association.send_c_get(wanted, CONTEXTS[1])]
        assert statuses[-1] == 0
        assert received == pacs.stored
        assert len(received[image.SOPInstanceUID]) > 10_000_000
    running.wait_for("Closed", 2, cause="released")


def test_every_class_in_every_transfer_syntax_fits_the_limit(gateway: StartGateway, spy: Spy) -> None:
    """The longest request that pynetdicom makes."""
    syntaxes = [raw.item(0x40, uid.encode()) for uid in ALL_TRANSFER_SYNTAXES]
    classes = [str(context.abstract_syntax).encode() for context in AllStoragePresentationContexts[:128]]
    contexts = [raw.proposed(2 * at + 1, raw.item(0x30, uid), *syntaxes) for at, uid in enumerate(classes)]
    request = raw.rq(LOGIN, context=b"".join(contexts))
    assert len(request) > 150_000
    running = gateway(configuration(spy.address))
    with RawClient(running.address) as client:
        assert len(AssociateAccept.parse(client.ask(request)).contexts) == 128
        assert client.release() == raw.RELEASE_RP


def test_an_untidy_request_reaches_the_pacs_tidy(gateway: StartGateway, spy: Spy) -> None:
    running = gateway(configuration(spy.address))
    strange = raw.proposed(3, raw.item(0x30, "1.2.840\u200b".encode()), raw.item(0x40, raw.IMPLICIT))
    padded = raw.proposed(1, raw.item(0x30, raw.VERIFICATION + b" "), raw.item(0x40, raw.IMPLICIT + b"\0\0"))
    untidy = raw.rq(
        raw.item(0x55, b""), LOGIN, context=strange + padded, called=b"ANY-SCP".ljust(16, b"\0"), calling=b"EFILM\0"
    )
    with RawClient(running.address) as client:
        answer = AssociateAccept.parse(client.ask(untidy))
        assert client.release() == raw.RELEASE_RP
    assert {(context.id, context.result) for context in answer.contexts} == {(1, 0), (3, 3)}
    tidy = replace(AssociateRequest.parse(raw.rq(calling=b"EFILM")), identity=None)
    assert spy.connections[0].pdus()[0] == tidy.encode()
    assert 'left out: presentation context 3: its abstract syntax "1.2.840" and then E2808BH' in running.log()
