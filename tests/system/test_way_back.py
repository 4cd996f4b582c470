"""The way back: what a PACS opens itself goes through the gateway to the devices, and nobody else comes that way.

The gateway is that of docs/way-back.md, with addresses of this machine.
"""

import queue
import re
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.evidence import ALICE, Evidence
from dicomgate.testing.pages import DOCS, blocks
from dicomgate.testing.peers.dcmtk import StoreScp, run_dcmqrscp, run_scu, run_storescp, storescu
from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.orthanc import run_orthanc
from dicomgate.testing.peers.pynetdicom_scu import associate, commit, user_identity
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, gateways
from tests.system.operations import MOVE, query

WHO = user_identity(2, b"alice", ALICE)
NOTHING_GRANTED = (1, 1, 1)  # A-ASSOCIATE-RJ, PS3.8 table 9-21
NO_LOGIN = (1, 2, 1)


@dataclass
class Ct:
    """A device that takes storage commitment reports: the calling AE title and the event type of each."""

    address: Address = field(default_factory=lambda: (HOST, free_port()))
    reports: "queue.Queue[tuple[str, int]]" = field(default_factory=queue.Queue)

    def report(self, event: Any) -> tuple[int, None]:
        self.reports.put((event.assoc.requestor.ae_title, event.event_type))
        return 0x0000, None

    @contextmanager
    def run(self) -> Iterator[None]:
        device = AE("CT1")
        device.add_supported_context(Verification)
        device.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        server = device.start_server(self.address, block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.report)])
        try:
            yield
        finally:
            server.shutdown()


@dataclass
class Site:
    """One PACS, WS_1 that takes images, CT1 that takes reports, and the gateway between them on both ways."""

    gateway: Gateway
    title: str  # the PACS's own
    ws_1: StoreScp
    ct: Ct
    image: Any

    def listener(self, number: int) -> Address:
        return list(self.gateway.server.bound.values())[number]

    @contextmanager
    def changed(self, upstream: int, **keys: Any) -> Iterator[None]:
        """The gateway with other keys of an upstream, until the block ends."""
        tables = self.gateway.tables["upstream"]
        was, tables[upstream] = tables[upstream], tables[upstream] | keys
        self._reload()
        try:
            yield
        finally:
            tables[upstream] = was
            self._reload()

    def _reload(self) -> None:
        self.gateway.write()
        assert self.gateway.reload()


def as_on_the_page(title: str, pacs: Address, from_pacs: Address, ws_1: Address, ct: Address) -> dict[str, Any]:
    (page,) = (block for block in blocks(DOCS / "way-back.md", "toml") if block.note == "example")
    tables = tomllib.loads(page.text)
    clinical, way_back = tables["listener"]
    del clinical["tls"]
    clinical |= {"bind": f"{HOST}:0", "cleartext_passcodes": True}
    way_back["bind"] = "{}:{}".format(*from_pacs)
    archive, modalities = tables["upstream"]
    archive |= {"address": "{}:{}".format(*pacs), "called_ae_titles": [title], "timeout": "20s"}
    modalities["addresses"] = {"WS_1": "{}:{}".format(*ws_1), "CT1": "{}:{}".format(*ct)}
    for authenticator in tables["authenticator"]:
        authenticator["timeout"] = "20s"
    tables["authenticator"][1]["devices"] = {title: {"networks": [HOST]}}
    tables["gateway"] = {"audit": "audit.jsonl", "drain_timeout": "20s"}
    return tables


@contextmanager
def running(name: str, folder: Path, to: Address) -> Iterator[tuple[str, Address]]:
    """A PACS that has the gateway's address for both devices: its AE title and its own address."""
    devices = {"WS_1": to, "CT1": to}
    if name == "orthanc":
        with run_orthanc(folder) as orthanc:
            for device, address in devices.items():
                orthanc.add_modality(device, *address)
            yield "ORTHANC", orthanc.address
    else:
        with run_dcmqrscp(folder, ["ARCHIVE"], devices) as address:
            yield "ARCHIVE", address


@pytest.fixture(scope="module", params=["orthanc", "dcmqrscp"])
def site(
    request: pytest.FixtureRequest, evidence: Evidence, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    to, ct = (HOST, free_port()), Ct()
    with ExitStack() as stack:
        ws_1 = stack.enter_context(run_storescp(folder))
        stack.enter_context(ct.run())
        title, pacs = stack.enter_context(running(request.param, folder, to))
        image = ct_slice(folder / "ct.dcm")
        assert storescu(pacs, folder / "ct.dcm", called=title).status == 0
        start = stack.enter_context(gateways(evidence, folder))
        gateway = start(as_on_the_page(title, pacs, to, ws_1.address, ct.address))
        yield Site(gateway, title, ws_1, ct, image)


@pytest.mark.parametrize("other", [None, "GATE"])
def test_what_a_c_move_sends_comes_through_the_gateway(site: Site, other: str | None) -> None:
    with (
        site.changed(0, **({"calling_ae_title": other} if other else {})),
        associate(site.listener(0), [MOVE], identity=WHO, calling="WS_1", called=site.title) as association,
    ):
        *_, (last, _) = association.send_c_move(query(site.image.StudyInstanceUID), "WS_1", MOVE)
    assert last.Status == 0x0000
    (arrived,) = site.ws_1.stored()
    arrived.unlink()
    sent = site.gateway.wait_for("Established", listener="from-pacs", upstream="modalities", called_ae_title="WS_1")[-1]
    assert sent["calling_ae_title"] == site.title
    assert site.gateway.wait_for("Closed", id=sent["id"])[0]["used"] == {"store": 1}
    log = site.ws_1.log().rpartition("Association Received")[2]
    assert re.search(rf"Calling Application Name: +{site.title}\n", log)
    assert re.search(rf"Move Originator AE Title +: {other or 'WS_1'}\n", log)  # PS3.7 C.3.1: who asked, says the PACS


@pytest.mark.parametrize("site", ["orthanc"], indirect=True)
def test_a_commitment_report_comes_through_the_gateway(site: Site) -> None:
    with (
        associate(
            site.listener(0), [StorageCommitmentPushModel], identity=WHO, calling="CT1", called=site.title
        ) as association,
        suppress(TimeoutError),  # on this association there is none
    ):
        commit(association, [site.image], timeout=0)
    assert site.ct.reports.get(timeout=20) == (site.title, 1)
    assert site.gateway.wait_for("Closed", called_ae_title="CT1")[0]["used"] == {"commitment": 1}


@pytest.mark.parametrize(
    ("listener", "calling", "called", "refusal"),
    [
        (0, "WS_1", "WS_1", NOTHING_GRANTED),  # a user, to a device
        (0, "WS_1", "", None),
        (1, "", "", NOTHING_GRANTED),  # the PACS, to itself
        (1, "WS_1", "CT1", NO_LOGIN),  # a device that takes the PACS's way
        (1, "", "CT1", None),
    ],
)
def test_each_way_leads_in_one_direction(
    site: Site, listener: int, calling: str, called: str, refusal: tuple[int, int, int] | None
) -> None:
    identity = None if listener else WHO
    calling, called = calling or site.title, called or site.title
    with associate(
        site.listener(listener), [Verification], identity=identity, calling=calling, called=called
    ) as association:
        assert association.is_established is (refusal is None)
        if refusal is None:
            assert association.send_c_echo().Status == 0x0000
        else:
            answer = association.acceptor.primitive
            assert (answer.result, answer.result_source, answer.diagnostic) == refusal


def test_a_device_that_is_down_is_the_only_one(site: Site) -> None:
    addresses, options = site.gateway.tables["upstream"][1]["addresses"], ["-aet", site.title]
    nobody = f"{HOST}:{free_port()}"
    with site.changed(1, addresses=addresses | {"WS_1": nobody}):
        assert "Rejected Transient" in run_scu("echoscu", site.listener(1), called="WS_1", options=options).output
        assert run_scu("echoscu", site.listener(1), called="CT1", options=options).status == 0
        checked = dicomgate("check", "--connect", "--config", site.gateway.folder / "dicomgate.toml").output
    assert "upstream modalities WS_1: cannot be reached" in checked
    assert "upstream modalities CT1: reached, a C-ECHO from" in checked
    refused = site.gateway.wait_for("Refused", called_ae_title="WS_1", listener="from-pacs", upstream="modalities")[-1]
    assert nobody in refused["reason"]
