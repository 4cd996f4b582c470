"""Clients that are made with other libraries log in through the gateway, and get done what they do without it."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.other_libraries import CLIENTS, Saw, echo_and_store, tiny_pacs
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import StartGateway, configuration

DONE = Saw([0, 0], "")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_echoes_and_stores(gateway: StartGateway, pacs: PynetdicomPacs, tmp_path: Path, client: str) -> None:
    """pynetdicom2 and tiny-pacs pad AE titles with NUL: the PACS itself would abort their associations."""
    image = ct_slice(tmp_path / "ct.dcm")
    running = gateway(configuration(pacs.address))
    refused = echo_and_store(client, running.address, tmp_path / "ct.dcm", WRONG)
    assert refused.statuses is None
    assert running.wait_for("Refused", calling_ae_title=client.upper())[0]["answer"].startswith("A-ASSOCIATE-RJ 1,2,1")
    assert pacs.associations == []
    assert echo_and_store(client, running.address, tmp_path / "ct.dcm", ALICE) == DONE
    (stored,) = pacs.stored.values()
    assert dcmread(BytesIO(stored), force=True) == image
    assert {(one.calling, one.identity) for one in pacs.associations} == {(client.upper(), None)}
    running.wait_for("Closed", len(pacs.associations), user="alice", cause="released")


def test_a_pacs_of_pynetdicom2(gateway: StartGateway, tmp_path: Path) -> None:
    image = ct_slice(tmp_path / "ct.dcm")
    (tmp_path / "pacs").mkdir()
    with tiny_pacs(tmp_path / "pacs") as address:
        running = gateway(configuration(address))
        assert echo_and_store("tiny_pacs", running.address, tmp_path / "ct.dcm", ALICE, called="TINY_PACS") == DONE
        running.wait_for("Closed", 2, cause="released")
        (stored,) = (tmp_path / "pacs").rglob("*.dcm")
        assert dcmread(stored) == image
