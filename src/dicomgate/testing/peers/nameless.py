"""DCMTK's clients that cannot send an identity: echoscu, findscu, getscu and movescu."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .dcmtk import NO_DELAY, Finished
from .loopback import Address, free_port
from .orthanc import Orthanc
from .process import require

CLIENTS = ("echoscu", "findscu", "getscu", "movescu")


def ask_for(
    study: str, client: str, address: Address, orthanc: Orthanc, folder: Path, calling: str, tls: Sequence[str | Path]
) -> Finished:
    """Let one of `CLIENTS` ask for a study of Orthanc's, and return how that ended.

    What it gets goes to `folder`: findscu the match, getscu and movescu the images, which Orthanc sends to movescu
    itself. `tls` are options for echoscu and findscu; the other two speak none.
    """
    options: list[str | Path] = ["-v", "-aet", calling, "-aec", "ORTHANC", *tls]
    if client != "echoscu":
        options += ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}", "-od", folder]
    if client == "findscu":
        options += ["-X"]
    if client == "movescu":
        port = free_port()
        orthanc.add_modality(calling, address[0], port)
        options += ["-aem", calling, "+P", str(port)]
    finished = subprocess.run(
        [require(client, "dcmtk"), *options, address[0], str(address[1])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **NO_DELAY},
        timeout=60,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout.decode(errors="replace"))
