"""dcmjs-dimse on node logs in through the gateway, in the clear and over TLS, and sees the positive response."""

from dataclasses import replace
from pathlib import Path

import pytest

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmjs import UserIdentity, dcmjs
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import USERS, StartGateway, configuration

ALICE_LOGS_IN = UserIdentity("alice", ALICE.decode())
REJECTED = {"result": 1, "source": 2, "reason": 1}
UMLAUTS = {"bjørn": USERS["alice"]}


@pytest.mark.parametrize("response", [True, False], ids=["response", "no response"])
def test_stores_into_orthanc(gateway: StartGateway, orthanc: Orthanc, tmp_path: Path, response: bool) -> None:
    image = ct_slice(tmp_path / "ct.dcm")
    running = gateway(configuration(orthanc.address))
    identity = replace(ALICE_LOGS_IN, positive_response_requested=response)
    saw = dcmjs(running.address, identity=identity, files=[tmp_path / "ct.dcm"])
    assert saw.accepted
    assert saw.server_response == ("" if response else None)
    assert (saw.echo, saw.store, saw.released) == (0, [0], True)
    assert orthanc.instances() == [image.SOPInstanceUID]
    running.wait_for("Closed", cause="released")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_is_let_in_and_refused(gateway: StartGateway, certificates: Certificates, tmp_path: Path, tls: bool) -> None:
    image = ct_slice(tmp_path / "ct.dcm")
    server = certificates.server
    secured = {"tls": {"certificate": server.certificate, "key": server.key}, "cleartext_passcodes": False}
    upstream = {"tls": {"ca": certificates.ca}}
    with PynetdicomPacs(tls=certificates.server_context() if tls else None) as pacs:
        running = gateway(
            configuration(pacs.address, listener=secured if tls else {}, upstream=upstream if tls else {})
        )
        trusted = certificates if tls else None
        for identity in (replace(ALICE_LOGS_IN, secondary=WRONG.decode()), None):
            saw = dcmjs(running.address, identity=identity, files=[tmp_path / "ct.dcm"], tls=trusted)
            assert not saw.accepted
            assert saw.rejected == REJECTED
            assert (saw.echo, saw.store) == (None, [])
        assert pacs.associations == []
        saw = dcmjs(running.address, identity=ALICE_LOGS_IN, files=[tmp_path / "ct.dcm"], tls=trusted)
        assert (saw.accepted, saw.server_response, saw.echo, saw.store) == (True, "", 0, [0])
        assert [association.identity for association in pacs.associations] == [None]
        assert list(pacs.stored) == [image.SOPInstanceUID]


@pytest.mark.parametrize("fallback", [False, True], ids=["UTF-8 alone", "Latin-1 as well"])
def test_a_username_in_latin_1(gateway: StartGateway, fallback: bool, pacs: PynetdicomPacs) -> None:
    """dcmjs-dimse writes what it is given in Latin-1; a listener may take that."""
    listener = {"fallback_encoding": "latin-1"} if fallback else {}
    running = gateway(configuration(pacs.address, listener=listener), UMLAUTS)
    saw = dcmjs(running.address, identity=UserIdentity("bjørn", ALICE.decode()))
    assert saw.accepted is fallback
    assert saw.rejected == (None if fallback else REJECTED)
    assert len(pacs.associations) == fallback
    if fallback:
        assert [event["user"] for event in running.told("Established")] == ["bjørn"]
