"""A program of its own that judges the documents of a folder, for tests that watch what it opens and how much it needs.

    python judging.py FOLDER            judged as the gateway does, each in a new thread
    python judging.py FOLDER --naively  handed to python3-saml as they are

In the folder are `certificate.pem`, `genuine` and the documents, `hostile-*`. It judges between the look-ups of
/the-beginning and /the-end; then it prints, as JSON, the decision and the CPU seconds of each, and the MiB it grew by.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from onelogin.saml2.utils import OneLogin_Saml2_Utils

from dicomgate.testing import attempt, saml
from dicomgate_saml import Saml

folder, naively = Path(sys.argv[1]), "--naively" in sys.argv
certificate = folder / "certificate.pem"
pem = certificate.read_text()
judge = Saml(
    issuer="https://idp.hospital.example/saml",
    entity_id="https://pacs.hospital.example/dicom",
    certificates=[certificate],
)
documents = {path.name: path.read_bytes() for path in sorted(folder.glob("hostile-*"))}
found: dict[str, tuple[str, float]] = {}


def look(name: str, document: bytes) -> None:
    before = time.thread_time()
    if naively:
        with suppress(Exception):
            OneLogin_Saml2_Utils.validate_sign(document, pem, xpath="//*[local-name()='Signature']")
        decision = "naively"
    else:
        decision = type(judge.authenticate(attempt(saml(document)))).__name__
    found[name] = decision, time.thread_time() - before


def each(name: str, document: bytes) -> None:
    thread = threading.Thread(target=look, args=(name, document))
    thread.start()
    thread.join()


genuine = (folder / "genuine").read_bytes()
each("genuine", genuine)
size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with suppress(OSError):
    os.stat("/the-beginning")  # noqa: PTH116 (a look-up that shows in a trace, and nothing else)
for one in documents.items():
    each(*one)
with suppress(OSError):
    os.stat("/the-end")  # noqa: PTH116
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size
each("genuine again", genuine)
sys.stdout.write(json.dumps({"found": found, "grown": grown / 1024}))
