"""The gateway as it is run, `dicomgate serve` in a process of its own.

Rule: at its end it has the status that was expected, no line of its log tells of a defect, and each association has
exactly one Opened and one Closed in the audit.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from bench.messages import PASSCODE
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.gateway import NOTHING, Table, as_toml
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, Address, free_port, wait_until
from dicomgate.testing.peers.process import Service
from dicomgate.testing.raw_client import CONGESTION, login, request
from dicomgate.testing.system_gateway import configuration
from dicomgate_passcode.hashing import make_hash

NOWHERE = "NOWHERE"
"""A called AE title whose PACS is not there."""
_INSPECTOR = (f"{HOST[:-1]}3", 0)  # an address of its own: what is limited for each source does not hinder it
# glibc keeps what was freed for later, and a leak could hide in the 19 MiB that an argon2 hash has left behind. With
# one arena, and great blocks always given back, a figure of memory can be compared with an earlier one.
_ENVIRONMENT = {
    "PYTHONFAULTHANDLER": "1",
    "PYTHONWARNINGS": "default::ResourceWarning",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "262144",
}
_POINTS = """[dicomgate.authenticators]
stamina-inspector = tests.stamina.authenticators:Inspector
stamina-notary = tests.stamina.authenticators:Notary
stamina-quick = tests.stamina.authenticators:Quick
"""
_LISTENING = re.compile(r"listening on (\S+):(\d+): listener ([^,]+),")
_TAKEN = "reload: new associations use the configuration as it is now"
_REFUSED = "the configuration is as it was before"
_DEFECTS = (
    "Traceback", "never retrieved", "never awaited", "Unclosed", "ResourceWarning", "defect", "Exception in callback",
    "Exception ignored", "was destroyed but it is pending",
)  # fmt: skip


def tables_for(
    upstream: int,
    *,
    settings: Table = NOTHING,
    listener: Table = NOTHING,
    pacs: Table = NOTHING,
    certificates: Certificates | None = None,
) -> dict[str, Any]:
    """Return the tables of a gateway in front of the PACS at this port; the keys given go over those that are there.

    The listener `clinical` asks `quick`; `staff` has a users file with alice. The inspector
    has a listener of its own; with `certificates` there is also `secured`, which asks `quick`, in TLS.
    """
    asked = {"authenticators": ["quick"], **listener}
    tables = configuration((HOST, upstream), settings=settings, listener=asked, upstream=pacs)
    inspection = {"bind": f"{_INSPECTOR[0]}:0", "cleartext_passcodes": True, "authenticators": ["inspector"]}
    tables["listener"].append({"name": "inspection", **inspection})
    if certificates is not None:
        tls = {"certificate": certificates.server.certificate, "key": certificates.server.key}
        tables["listener"].append(
            {"name": "secured", "bind": f"{HOST}:{free_port()}", "authenticators": ["quick"], "tls": tls}
        )
    tables["upstream"].append({"name": "nowhere", "address": f"{HOST}:1", "called_ae_titles": [NOWHERE]})
    for name in ("inspector", "quick"):
        tables["authenticator"].append({"use": f"stamina-{name}", "name": name})
    return tables


class GatewayProcess:
    """A context manager: it listens from `with` on. `tables` are what `write` puts into the configuration file."""

    def __init__(
        self,
        folder: Path,
        tables: dict[str, Any],
        *,
        descriptor_limit: int | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self.tables = tables
        self.file = folder / "dicomgate.toml"
        self.users_file = folder / "users.htpasswd"
        self.expected_status = 0
        self.write()
        self.users_file.touch(mode=0o600)
        self.users_file.write_text(f"alice:{make_hash(PASSCODE)}\n")
        _install_authenticators(folder)
        # The hard limit too: the gateway raises the soft one as far as it may.
        limited = ["sh", "-c", f'ulimit -n {descriptor_limit} && exec "$@"', "sh"] if descriptor_limit else []
        command = [*limited, *DICOMGATE, "serve", "--config", str(self.file)]
        environment = {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), **_ENVIRONMENT, **environment}
        self._service = Service(command, log=folder / "gateway.log", environment=environment, ready=self._listens)

    def __enter__(self) -> "GatewayProcess":
        self._service.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                assert self.terminate() == self.expected_status, self.log()[-4000:]
                self._check()
            elif issubclass(kind, TimeoutError):
                self.process.send_signal(signal.SIGABRT)  # the log gets what each of its threads is doing
                self.process.wait(timeout=10)
        finally:
            self._service.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._service.process is not None
        return self._service.process

    def write(self) -> None:
        """Write the configuration file from `tables`."""
        self.file.write_text(as_toml(self.tables), "utf-8")

    def address(self, listener: str = "clinical") -> Address:
        """Where a listener listens; of several addresses the last."""
        found = [(host, int(port)) for host, port, name in _LISTENING.findall(self.log()) if name == listener]
        return found[-1]

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def memory(self) -> int:
        """KiB of memory that are its own: heap and stacks, without the libraries that other processes share."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text("ascii")
        return int(re.search(r"^Anonymous: +(\d+) kB$", rollup, re.MULTILINE)[1])  # type: ignore[index]

    def inspect(self) -> dict[str, int]:
        """Return how many tasks, threads, sessions, relays and assemblies it has.

        The question is an association like any other: one session and one task are its own. Of what there was at the
        start nothing is counted: the gateway has taken it away from the collector. `collected` are the sessions that
        were over, and still there until the collector came.
        """
        with socket.create_connection(self.address("inspection"), timeout=20, source_address=_INSPECTOR) as asking:
            port = asking.getsockname()[1]
            asking.sendall(request(login("inspector", PASSCODE), called=NOWHERE.encode()))
            assert asking.recv(10) == CONGESTION  # accepted, but there is no PACS for inspectors
            asking.shutdown(socket.SHUT_WR)
            assert asking.recv(1) == b""  # when this comes, the descriptor of this very connection is closed
        mine = {"port": port, "listener": "inspection"}
        wait_until(lambda: bool(self.told("Decided", **mine)), "the record of the inspection")  # it is written later
        [decided] = self.told("Decided", **mine)
        return {name: int(count) for name, count in decided["attributes"].items()}

    def log(self, since: int = 0) -> str:
        """Return what was logged, or what came after that many bytes."""
        with self._service.log.open("rb") as log:
            log.seek(since)
            return log.read().decode()

    def logged(self) -> int:
        """How many bytes were logged so far, for `log`."""
        return self._service.log.stat().st_size

    def told(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Return the records of this kind that have these fields."""
        wanted = f'{{"event": "{kind}"'
        records = (json.loads(line) for line in self.records() if line.startswith(wanted))
        return [record for record in records if all(record[key] == fields[key] for key in fields)]

    def reload(self) -> bool:
        """Have the configuration file taken anew; False if it was not taken, and `log` says why."""
        before = self.logged()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any(line in self.log(before) for line in (_TAKEN, _REFUSED)), "the reload")
        return _TAKEN in self.log(before)

    def terminate(self) -> int:
        """Have it end, and return its status; one that ended before has its own."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def _listens(self) -> bool:
        return len(_LISTENING.findall(self.log())) >= len(self.tables["listener"])

    def records(self) -> Iterator[str]:
        """The lines of the audit; those of files that were renamed to audit-SOMETHING.jsonl come first."""
        for path in sorted(self.folder.glob("audit*.jsonl")):
            with path.open(encoding="ascii") as audit:
                for line in audit:
                    if line.endswith("\n"):  # the last one may still be under way
                        yield line

    def _check(self) -> None:
        defects = [line for line in self.log().splitlines() if any(defect in line for defect in _DEFECTS)]
        assert not defects, defects[:20]
        counts: dict[str, Counter[str]] = {"Opened": Counter(), "Closed": Counter()}
        others = set()
        for line in self.records():
            event = json.loads(line)
            if event["event"] in counts:
                counts[event["event"]][event["id"]] += 1
            elif event["event"] != "Operated":  # of a reload; it is of no association
                others.add(event["id"])
        assert counts["Opened"] == counts["Closed"]
        assert set(counts["Opened"].values()) <= {1}
        assert others <= counts["Opened"].keys()


def _install_authenticators(folder: Path) -> None:
    distribution = folder / "dicomgate_stamina-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: dicomgate-stamina\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(_POINTS)
