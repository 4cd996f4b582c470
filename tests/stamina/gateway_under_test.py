"""A gateway in which each association can be identified: by its client's address and its PACS's port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, Address, free_port, wait_until
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from tests.stamina.endings import ANSWER, ARTIM, DECISION, IDLE
from tests.stamina.peer import PacsPort
from tests.stamina.stages import Way


class Audit:
    """The records so far, for many threads that wait for theirs: each client has an address of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read = 0
        self._addresses: dict[str, str] = {}
        self._records: dict[str, list[dict[str, Any]]] = {}

    def of(self, address: str) -> list[dict[str, Any]]:
        """Return the records of the association from this address."""
        with self._lock:
            with self._path.open("rb") as audit:
                audit.seek(self._read)
                whole, newline, _ = audit.read().rpartition(b"\n")
            self._read += len(whole + newline)
            for record in map(json.loads, whole.splitlines()):
                of = self._addresses.setdefault(record["id"], record.get("address", ""))
                self._records.setdefault(of, []).append(record)
            return list(self._records.get(address, ()))

    def closed(self, address: str, seconds: float) -> dict[str, Any]:
        """Return the record Closed, the only one, once it is there. Raises TimeoutError."""

        def found() -> list[dict[str, Any]]:
            return [record for record in self.of(address) if record["event"] == "Closed"]

        wait_until(found, "a record Closed", seconds)
        [record] = found()
        kinds = [record["event"] for record in self.of(address)]
        # events/events.py: between Opened and Closed, at most one Decided and at most one of Refused and Established.
        assert kinds.count("Decided") <= 1, kinds
        assert kinds.count("Refused") + kinds.count("Established") <= 1, kinds
        return record


@dataclass(frozen=True)
class GatewayUnderTest:
    """The gateway, its listeners without and with TLS, and for each worker a PACS without and one with TLS."""

    gateway: Gateway
    listeners: dict[bool, Address]
    ports: list[dict[bool, PacsPort]]
    audit: Audit
    certificates: Certificates

    def way(self, worker: int, secured: bool) -> Way:
        """Return the way of a worker's associations, both connections in TLS or neither."""
        contexts = (self.certificates.client_context(), self.certificates.server_context()) if secured else (None, None)
        return Way(self.listeners[secured], self.ports[worker][secured], *contexts)


@contextmanager
def gateway_under_test(
    start: StartGateway, install: Callable[[str], str], certificates: Certificates, workers: int, pacs: int = 1
) -> Iterator[GatewayUnderTest]:
    """Start the gateway with the deadlines of endings.py. The called AE title PACS is at the port `pacs`."""
    with ExitStack() as stack:
        ports = [
            {secured: stack.enter_context(closing(PacsPort())) for secured in (False, True)} for _ in range(workers)
        ]
        settings = {"artim": f"{ARTIM}s", "idle_timeout": f"{IDLE}s"}
        tables = configuration((HOST, pacs), settings=settings, upstream={"called_ae_titles": ["PACS"]})
        own = {"certificate": certificates.server.certificate, "key": certificates.server.key}
        tables["listener"].append({"name": "secured", "bind": f"{HOST}:{free_port()}", "tls": own})
        tables["authenticator"] = [
            {"use": install("from tests.stamina.authenticators import Judge"), "timeout": f"{DECISION}s"}
        ]
        for pair in ports:
            tables["upstream"] += [_upstream(port, certificates, secured) for secured, port in pair.items()]
        gateway = start(tables)
        plain, secured = gateway.server.bound.values()
        audit = Audit(gateway.folder / "audit.jsonl")
        yield GatewayUnderTest(gateway, {False: plain, True: secured}, ports, audit, certificates)


def _upstream(pacs: PacsPort, certificates: Certificates, secured: bool) -> dict[str, Any]:
    host, port = pacs.address
    tls = {"tls": {"ca": certificates.ca}} if secured else {}
    timeout = f"{ANSWER}s"
    return {
        "name": pacs.called, "address": f"{host}:{port}", "called_ae_titles": [pacs.called], "timeout": timeout, **tls
    }  # fmt: skip
