"""Debian's Orthanc as the PACS: a private configuration and storage, everything allowed, its log at trace level.

Orthanc cannot be told to listen on loopback alone: its DICOM port is open on every interface while a test runs.
"""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .certificates import Certificates
from .loopback import HOST, Address, free_port, wait_until
from .process import Service, require

AE_TITLE = "ORTHANC"

# One line of the log for each; --trace-dicom writes the first two.
_REQUESTED = "(dicom) Received Association Parameters:"
_ACCEPTED = "======================= END A-ASSOCIATE-AC ======================"
_BROKEN = "Receiving Association failed:"


@dataclass
class Orthanc:
    """An Orthanc that runs; `log()` and what is counted begin at the last `clear()`."""

    address: Address  # DICOM
    http: Address
    _log: Path
    _read_from: int = 0

    def wait_ready(self) -> None:
        """Return once it listens and answers on both ports."""
        wait_until(lambda: "Orthanc has started" in self._log.read_text(errors="replace"), "Orthanc starting")
        self.rest("GET", "/system")

    def rest(self, method: str, path: str, body: object = None) -> Any:
        """Ask the REST API; return the JSON it answers, None for an empty answer. Raises RuntimeError unless 200."""
        connection = http.client.HTTPConnection(*self.http, timeout=20)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def instances(self) -> list[str]:
        """Return the SOP Instance UIDs it stores, sorted."""
        stored = self.rest("GET", "/instances?expand")
        return sorted(instance["MainDicomTags"]["SOPInstanceUID"] for instance in stored)

    def add_modality(self, ae_title: str, host: str, port: int) -> None:
        """Make an application entity known to it: a destination of C-MOVE and of storage commitment reports."""
        self.rest("PUT", f"/modalities/{ae_title}", {"AET": ae_title, "Host": host, "Port": port})

    def log(self) -> str:
        """Return what it logged since the last `clear()`, the A-ASSOCIATE messages in full."""
        with self._log.open("rb") as log:
            log.seek(self._read_from)
            return log.read().decode(errors="replace")

    def connections(self) -> int:
        """Return how many connections it saw come in: association requests, and sockets that sent none."""
        return len(re.findall(f"{re.escape(_REQUESTED)}|{re.escape(_BROKEN)}", self.log()))

    def wait_for_connections(self, count: int) -> None:
        """Return once `connections()` is at least `count`: its log comes a moment later than its sockets."""
        wait_until(lambda: self.connections() >= count, f"{count} connections to Orthanc")

    def associations(self) -> int:
        """Return how many associations it accepted."""
        return self.log().count(_ACCEPTED)

    def clear(self) -> None:
        """Forget everything: instances, modalities, the log so far."""
        for patient in self.rest("GET", "/patients"):
            self.rest("DELETE", f"/patients/{patient}")
        for modality in self.rest("GET", "/modalities"):
            self.rest("DELETE", f"/modalities/{modality}")
        self._read_from = self._log.stat().st_size


@contextmanager
def run_orthanc(
    folder: Path, tls: Certificates | None = None, settings: Mapping[str, object] = MappingProxyType({})
) -> Iterator[Orthanc]:
    """Run an Orthanc with its files in `folder`; `tls` makes its DICOM port TLS and requires client certificates.

    `settings` go over those that every test needs.
    """
    program = require("Orthanc", "orthanc")
    storage = folder / "storage"
    storage.mkdir()
    orthanc = Orthanc((HOST, free_port()), (HOST, free_port()), folder / "orthanc.log")
    configuration = {
        "Name": "dicomgate test PACS",
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "Plugins": [],
        "HttpPort": orthanc.http[1],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": True,
        "DicomAet": AE_TITLE,
        "DicomPort": orthanc.address[1],
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomScpTimeout": 0,  # an idle association stays open: the gateway decides about idleness
        "OverwriteInstances": True,
    }
    if tls is not None:
        configuration |= {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(tls.server.certificate),
            "DicomTlsPrivateKey": str(tls.server.key),
            "DicomTlsTrustedCertificates": str(tls.ca),
            "DicomTlsRemoteCertificateRequired": True,
        }
    configuration |= settings
    configuration_file = folder / "orthanc.json"
    configuration_file.write_text(json.dumps(configuration, indent=2))

    with Service(
        [program, "--trace-dicom", configuration_file],
        log=folder / "orthanc.log",
        ports=[orthanc.address[1], orthanc.http[1]],
    ):
        orthanc.wait_ready()
        yield orthanc
