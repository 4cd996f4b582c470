"""A hospital for the tests of rights: PACS with a study in them, two workstations, and people who work there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dicomgate.testing.peers.dcmtk import StoreScp, run_dcmqrscp, run_storescp, storescu
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.orthanc import run_orthanc
from dicomgate.testing.peers.pynetdicom_ris import PynetdicomRis
from dicomgate.testing.slices import ct_series, ct_slice
from dicomgate.testing.system_gateway import STAFF, USERS, configuration
from tests.system.operations import Work

PACS = ("orthanc", "dcmqrscp", "pynetdicom")
HAS_NO = {"orthanc": {"worklist", "mpps"}, "dcmqrscp": {"worklist", "mpps", "commit"}}
"""What a PACS has no service for."""
CALLED = ("PACS", "RESEARCH")
"""The AE titles of each PACS; in dcmqrscp each has images of its own."""
PEOPLE = {"VIEWER": "viewer", "CT1": "technician", "STUDENT": "student"}
"""AE titles, and who works there. Whoever sends no identity is known by the AE title."""
PASSCODES = dict.fromkeys(PEOPLE.values(), USERS["alice"])
_DEVICES = {title: {"networks": ["127.0.0.0/8"], "user": user} for title, user in PEOPLE.items()}


def tables_of(pacs: Address) -> dict[str, Any]:
    """A gateway in front of one of these PACS; its two AE titles are two upstreams, `pacs` and `research`."""
    devices = {"use": "network", "name": "devices", "devices": _DEVICES}
    anybody, clinical = {"identity": "optional"}, {"called_ae_titles": ["PACS"]}
    tables = configuration(pacs, STAFF, devices, listener=anybody, upstream=clinical)
    tables["upstream"].append({**tables["upstream"][0], "name": "research", "called_ae_titles": ["RESEARCH"]})
    return tables


@dataclass
class Hospital:
    """Its PACS by their names, each with the same study; VIEWER and ELSEWHERE take what C-MOVE sends."""

    folder: Path
    pacs: Mapping[str, Address]
    workstations: Mapping[str, StoreScp]
    images: Sequence[Dataset]

    def work(self, title: str, called: str = "PACS", *, reports: bool = True) -> Work:
        """Work with the study; each time with a new image to store."""
        new = self.folder / f"{title}-{len(list(self.folder.iterdir()))}.dcm"
        ct_slice(new, study=new.name, rows=16)
        uids = [image.SOPInstanceUID for image in self.images]
        study = self.images[0].StudyInstanceUID
        return Work(title, PEOPLE[title], called, study, uids, str(new), self.folder, reports)

    def moved(self) -> list[int]:
        """How many images were sent to VIEWER and to ELSEWHERE since this was last asked."""
        arrived = [workstation.stored() for workstation in self.workstations.values()]
        for path in (*arrived[0], *arrived[1]):
            path.unlink()
        return [len(paths) for paths in arrived]


@contextmanager
def hospital(folder: Path, pacs: Sequence[str] = PACS) -> Iterator[Hospital]:
    """Runs until the block ends. Skips the test if a program is not installed."""
    with ExitStack() as running:
        workstations = {}
        for title in ("VIEWER", "ELSEWHERE"):
            (folder / title).mkdir()
            workstations[title] = running.enter_context(run_storescp(folder / title))
        titles = {"CT1": workstations["VIEWER"].address}  # Orthanc takes storage commitment from those that it knows
        titles |= {title: workstation.address for title, workstation in workstations.items()}
        addresses = {name: running.enter_context(_a_pacs(name, folder, titles)) for name in pacs}
        paths = ct_series(folder, 3, rows=16)
        for name, address in addresses.items():
            for called in CALLED if name == "dcmqrscp" else CALLED[:1]:
                loaded = storescu(address, *paths, called=called)
                assert loaded.status == 0, loaded.output
        images = [ct_slice(path, number, rows=16) for number, path in enumerate(paths, start=1)]
        yield Hospital(folder, addresses, workstations, images)


@contextmanager
def _a_pacs(name: str, folder: Path, destinations: Mapping[str, Address]) -> Iterator[Address]:
    if name == "orthanc":
        with run_orthanc(folder) as orthanc:
            for title, address in destinations.items():
                orthanc.add_modality(title, *address)
            yield orthanc.address
    elif name == "dcmqrscp":
        with run_dcmqrscp(folder, CALLED, destinations) as address:
            yield address
    else:
        with PynetdicomRis() as pacs:
            pacs.move_destinations.update(destinations)
            yield pacs.address
