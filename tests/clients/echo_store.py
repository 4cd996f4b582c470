"""A C-ECHO and a C-STORE with a username and a passcode, by a library for DICOM that is named on the command line.

The task is one JSON object on standard input (nothing secret on the command line), what was seen is one JSON line on
standard output: the status of both, or why the association was refused. Only the named library is imported.
"""

import json
import sys
from typing import Any

Task = dict[str, Any]
Statuses = tuple[int, int]


class RefusedError(Exception):
    """The association was refused; the text is the library's."""


def pynetdicom2(task: Task) -> Statuses:
    """An association for each; AE titles are padded with NUL."""
    from pynetdicom2 import asceprovider, commands, exceptions

    remote = asceprovider.RemoteAEConfig(task["called"], task["host"], task["port"], task["user"], task["passcode"])
    try:
        echo = commands.verify(task["calling"], remote)
        return int(echo), int(commands.store(task["calling"], remote, task["file"]))
    except exceptions.AssociationRejectedError as error:
        raise RefusedError(f"{error.result},{error.source},{error.diagnostic}") from error


def tiny_pacs(task: Task) -> Statuses:
    """The client of a PACS that is made with pynetdicom2; it raises for every other status."""
    from pynetdicom2.exceptions import AssociationRejectedError
    from tiny_pacs.client import DICOMClient

    remote = {"aet": task["called"], "address": task["host"], "port": task["port"]}
    client = DICOMClient(task["calling"], {**remote, "username": task["user"], "password": task["passcode"]})
    try:
        client.echo()
        client.store(task["file"])
    except AssociationRejectedError as error:
        raise RefusedError(f"{error.result},{error.source},{error.diagnostic}") from error
    return 0, 0


def odil(task: Task) -> Statuses:
    """One association for both; it raises for every other status."""
    import odil

    header, image = odil.Reader.read_file(task["file"])
    context, both = odil.AssociationParameters.PresentationContext, odil.AssociationParameters.PresentationContext.Role
    syntax = header.as_string("TransferSyntaxUID")[0]
    contexts = [
        context(odil.registry.Verification, [odil.registry.ImplicitVRLittleEndian], both.SCU),
        context(image.as_string("SOPClassUID")[0], [syntax], both.SCU),
    ]
    association = odil.Association()
    association.set_peer_host(task["host"])
    association.set_peer_port(task["port"])
    parameters = association.update_parameters()
    parameters.set_calling_ae_title(task["calling"]).set_called_ae_title(task["called"])
    parameters.set_user_identity_to_username_and_password(task["user"], task["passcode"])
    parameters.set_presentation_contexts(contexts)
    try:
        association.associate()
    except odil.Exception as error:
        raise RefusedError(str(error)) from error
    odil.EchoSCU(association).echo()
    store = odil.StoreSCU(association)
    store.set_affected_sop_class(image)
    store.store(image)
    association.release()
    return 0, 0


if __name__ == "__main__":
    log_in = {"pynetdicom2": pynetdicom2, "tiny_pacs": tiny_pacs, "odil": odil}[sys.argv[1]]
    refused, statuses = "", None
    try:
        statuses = log_in(json.load(sys.stdin))
    except RefusedError as error:
        refused = str(error)
    sys.stdout.write(json.dumps({"statuses": statuses, "refused": refused}))
