"""What people do with a PACS, by four libraries: each operation on an association of its own.

DCMTK's clients send no identity; the others log in with a username and a passcode. An operation is "done" if the
library says that it was a success.
"""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import Association
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicomgate.testing.evidence import ALICE
from dicomgate.testing.pages import ROOT
from dicomgate.testing.peers.dcmtk import run_scu
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.other_libraries import python_with
from dicomgate.testing.peers.process import require
from dicomgate.testing.peers.pynetdicom_scu import associate, commit, user_identity

CLIENTS = ROOT / "tests" / "clients"
FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove


@dataclass(frozen=True)
class Work:
    """Who works with which study of a PACS: `title` is the calling AE title, `file` what is to be stored.

    What `reports` has its storage commitment report on the same association; Orthanc makes another one.
    """

    title: str
    user: str
    called: str
    study: str
    images: Sequence[str]
    file: str
    folder: Path
    reports: bool
    step: str = field(default_factory=generate_uid)
    transaction: str = field(default_factory=generate_uid)
    sop_class: str = CTImageStorage
    passcode: str = ALICE.decode()

    def task(self, address: Address, operations: Sequence[str]) -> bytes:
        """The same as the task of a program in tests/clients."""
        task = {**asdict(self), "host": address[0], "port": address[1], "operations": operations}
        return json.dumps({key: value for key, value in task.items() if key != "folder"}).encode()


Saw = Mapping[str, bool]
"""Each operation, and whether it was a success."""
Client = Callable[[Address, Work, Sequence[str]], Saw]


def dcmtk(address: Address, work: Work, operations: Sequence[str]) -> Saw:
    """Debian's echoscu, storescu, findscu, getscu, movescu. None of them makes MPPS or asks for commitment."""
    study: list[str | Path] = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={work.study}"]
    commands: dict[str, tuple[str, list[str | Path], list[Path]]] = {
        "echo": ("echoscu", [], []),
        "store": ("storescu", [], [Path(work.file)]),
        "find": ("findscu", study, []),
        "worklist": ("findscu", ["-W", "-k", "PatientID"], []),
        "get": ("getscu", [*study, "+B", "-od", work.folder], []),
        "move": ("movescu", [*study, "-aem", work.title], []),
        "move elsewhere": ("movescu", [*study, "-aem", "ELSEWHERE"], []),
    }
    saw = {}
    for operation in operations:
        program, options, files = commands[operation]
        own = ["-aet", work.title, *options]
        saw[operation] = run_scu(program, address, *files, called=work.called, options=own).status == 0
    return saw


def pynetdicom(address: Address, work: Work, operations: Sequence[str]) -> Saw:
    """pynetdicom, in this process."""
    received: dict[str, bytes] = {}
    study, patient = query(work.study), Dataset()
    patient.PatientID = ""
    made: dict[str, tuple[list[str], Callable[[Association], bool]]] = {
        "echo": ([Verification], lambda to: to.send_c_echo().Status == 0),
        "store": ([CTImageStorage], lambda to: to.send_c_store(dcmread(work.file)).Status == 0),
        "find": ([FIND], lambda to: _statuses(to.send_c_find(study, FIND)) == [0xFF00, 0]),
        "get": ([GET, CTImageStorage], lambda to: _statuses(to.send_c_get(study, GET))[-1] == 0),
        "move": ([MOVE], lambda to: _statuses(to.send_c_move(study, work.title, MOVE))[-1] == 0),
        "move elsewhere": ([MOVE], lambda to: _statuses(to.send_c_move(study, "ELSEWHERE", MOVE))[-1] == 0),
        "worklist": (
            [ModalityWorklistInformationFind],
            lambda to: _statuses(to.send_c_find(patient, ModalityWorklistInformationFind)) == [0xFF00, 0],
        ),
        "commit": ([StorageCommitmentPushModel], lambda to: _commit(to, work)),
        "mpps": ([ModalityPerformedProcedureStep], lambda to: _mpps(to, work)),
    }
    saw = {}
    for operation in operations:
        contexts, perform = made[operation]
        identity = user_identity(2, work.user.encode(), work.passcode.encode())
        gets = received if operation == "get" else None
        with associate(
            address, contexts, identity=identity, calling=work.title, called=work.called, get=gets
        ) as association:
            try:
                saw[operation] = association.is_established and perform(association)
            except ValueError:  # it sends nothing for which there is no presentation context
                saw[operation] = False
    return saw


def query(study: str) -> Dataset:
    """Ask for a study by its UID."""
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = study
    return asked


def _statuses(responses: Any) -> list[int]:
    return [status.Status for status, _ in responses]


def _commit(association: Association, work: Work) -> bool:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, work.images[0]
    with nullcontext() if work.reports else suppress(TimeoutError):
        return commit(association, [image], timeout=20 if work.reports else 0).event_type == 1
    return True  # as it raises nothing else, the N-ACTION was a success


def _mpps(association: Association, work: Work) -> bool:
    step = Dataset()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    created, _ = association.send_n_create(step, ModalityPerformedProcedureStep, work.step)
    step.PerformedProcedureStepStatus = "COMPLETED"
    changed, _ = association.send_n_set(step, ModalityPerformedProcedureStep, work.step)
    return (created.Status, changed.Status) == (0, 0)


def dcmjs(address: Address, work: Work, operations: Sequence[str]) -> Saw:
    """dcmjs-dimse on node."""
    node = require("node", "nodejs npm")
    if not (CLIENTS / "node_modules" / "dcmjs-dimse").is_dir():
        pytest.skip("dcmjs-dimse is not installed: npm ci --prefix tests/clients --ignore-scripts")
    return _program([node, CLIENTS / "operations.cjs"], work.task(address, operations))


def odil(address: Address, work: Work, operations: Sequence[str]) -> Saw:
    """odil, by Debian's Python. It has no storage commitment."""
    return _program([python_with("odil"), CLIENTS / "operations_odil.py"], work.task(address, operations))


def _program(command: list[str | Path], task: bytes) -> Saw:
    run = subprocess.run(command, input=task, capture_output=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr.decode()
    saw: Saw = json.loads(run.stdout)
    return saw


BY: Mapping[str, Client] = {"dcmtk": dcmtk, "pynetdicom": pynetdicom, "dcmjs": dcmjs, "odil": odil}
CANNOT = {"dcmtk": {"commit", "mpps"}, "odil": {"commit"}}
"""What a library has no client for."""
