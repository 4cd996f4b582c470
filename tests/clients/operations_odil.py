"""Operations of odil, each on an association of its own, in their order. It is Debian's, for Debian's Python.

The task is one JSON object on standard input, what was seen one JSON object on standard output: which operation was a
success. odil has no storage commitment.
"""

import json
import sys
from typing import Any

import odil

Task = dict[str, Any]
_R = odil.registry
_Context = odil.AssociationParameters.PresentationContext
_MPPS = _R.ModalityPerformedProcedureStep
_EXPLICIT = [_R.ExplicitVRLittleEndian, _R.ImplicitVRLittleEndian]


def _data_set(**values: str) -> Any:
    data_set = odil.DataSet()
    for keyword, value in values.items():
        data_set.add(getattr(_R, keyword), [value] if value else odil.Value.Strings())
    return data_set


def _study(task: Task) -> Any:
    return _data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=task["study"], PatientID="")


def echo(association: Any, task: Task) -> bool:
    odil.EchoSCU(association).echo()
    return True


def store(association: Any, task: Task) -> bool:
    _, image = odil.Reader.read_file(task["file"])
    scu = odil.StoreSCU(association)
    scu.set_affected_sop_class(image)
    scu.store(image)
    return True


def find(association: Any, task: Task) -> bool:
    scu = odil.FindSCU(association)
    scu.set_affected_sop_class(_R.StudyRootQueryRetrieveInformationModelFind)
    return len(scu.find(_study(task))) == 1


def worklist(association: Any, task: Task) -> bool:
    scu = odil.FindSCU(association)
    scu.set_affected_sop_class(_R.ModalityWorklistInformationModelFind)
    return len(scu.find(_data_set(PatientID=""))) == 1


def get(association: Any, task: Task) -> bool:
    scu = odil.GetSCU(association)
    scu.set_affected_sop_class(_R.StudyRootQueryRetrieveInformationModelGet)
    return len(scu.get(_study(task))) == len(task["images"])


def move(association: Any, task: Task, destination: str = "") -> bool:
    statuses: list[int] = []
    scu = odil.MoveSCU(association)
    scu.set_affected_sop_class(_R.StudyRootQueryRetrieveInformationModelMove)
    scu.set_move_destination(destination or task["title"])
    # odil itself is content with every status.
    scu.move(_study(task), lambda _: None, lambda response: statuses.append(response.get_status()))
    return statuses[-1] == 0


def move_elsewhere(association: Any, task: Task) -> bool:
    return move(association, task, "ELSEWHERE")


def mpps(association: Any, task: Task) -> bool:
    step = task["step"].encode()
    begun, ended = (_data_set(PerformedProcedureStepStatus=status) for status in ("IN PROGRESS", "COMPLETED"))
    create = odil.messages.NCreateRequest(association.next_message_id(), _MPPS, begun)
    create.set_affected_sop_instance_uid(step)
    change = odil.messages.NSetRequest(association.next_message_id(), _MPPS, step, ended)
    statuses = []
    for message in (create, change):
        association.send_message(message, _MPPS)
        statuses.append(odil.messages.Response(association.receive_message()).get_status())
    return statuses == [0, 0]


_CLASSES = {
    echo: _R.Verification,
    store: _R.CTImageStorage,
    find: _R.StudyRootQueryRetrieveInformationModelFind,
    worklist: _R.ModalityWorklistInformationModelFind,
    get: _R.StudyRootQueryRetrieveInformationModelGet,
    move: _R.StudyRootQueryRetrieveInformationModelMove,
    move_elsewhere: _R.StudyRootQueryRetrieveInformationModelMove,
    mpps: _MPPS,
}


def perform(task: Task, operation: Any) -> bool:
    contexts = [_Context(_CLASSES[operation], _EXPLICIT, _Context.Role.SCU)]
    if operation is get:
        contexts.append(_Context(_R.CTImageStorage, _EXPLICIT, _Context.Role.SCP))
    association = odil.Association()
    association.set_peer_host(task["host"])
    association.set_peer_port(task["port"])
    parameters = association.update_parameters()
    parameters.set_calling_ae_title(task["title"]).set_called_ae_title(task["called"])
    parameters.set_user_identity_to_username_and_password(task["user"], task["passcode"])
    parameters.set_presentation_contexts(contexts)
    try:
        association.associate()
    except odil.Exception:
        return False
    try:
        return bool(operation(association, task))
    except odil.Exception:
        return False
    finally:
        association.release()


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    saw = {name: perform(asked, globals()[name.replace(" ", "_")]) for name in asked["operations"]}
    sys.stdout.write(json.dumps(saw))
