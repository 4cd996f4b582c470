"""A gateway for a system test: a thread, free ports, a configuration and a folder of its own.

Rule: nothing is left at its end, or the test fails: no association, task, socket, session or log line that
tells of a defect; each association has exactly one Opened and one Closed in the audit.

The fixtures that start it are in `dicomgate.testing.fixtures`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from ..net.lifetime import Lifetime
from ..net.negotiation import Negotiation
from ..net.relay import Relay
from ..run.server import Server
from .evidence import Evidence
from .gateway import NOTHING, Table, as_toml
from .peers.loopback import HOST, Address, wait_until
from .running import RunningGateway

USERS: Mapping[str, str] = MappingProxyType(
    {
        "alice": "$argon2id$v=19$m=19456,t=2,p=1$d84ZY0wJQeg95zyn1For5Q$lyxPOKKLXjlf59KFV2ZqvmfQsFDVUT7up0E/hU1YwNA",
        "zoë": "$argon2id$v=19$m=19456,t=2,p=1$NoaQUuq9VyolJCSkFOI8hw$ePX2D5BhmUfCXs43Uf6kGmQjyXXUgOhd7Qe9nUWo7u8",
    }
)
"""The users of `users.htpasswd`, each with the hash of the passcode `evidence.ALICE` or `evidence.ZOE`."""
# The machine may be busy: no deadline of a test depends on how long a hash takes.
STAFF: Table = MappingProxyType({"use": "passcode", "name": "staff", "file": "users.htpasswd", "timeout": "20s"})
"""The authenticator that `configuration` has if the test names none."""
_DEFECTS = ("Traceback", "never retrieved", "never awaited", "Unclosed", "defect", "was destroyed but it is pending")


def configuration(
    upstream_address: Address,
    *authenticators: Table,
    settings: Table = NOTHING,
    listener: Table = NOTHING,
    upstream: Table = NOTHING,
) -> dict[str, Any]:
    """The tables of a gateway in front of one PACS; the keys given go over those that every test needs.

    The listener asks `authenticators` in their order, or `STAFF` if there are none.
    """
    host, port = upstream_address[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {
        "gateway": {"node": "test", "audit": "audit.jsonl", "drain_timeout": "20s", **settings},
        "listener": [{"name": "clinical", "bind": f"{HOST}:0", "cleartext_passcodes": True, **listener}],
        "upstream": [{"name": "pacs", "address": address, "called_ae_titles": ["*"], "timeout": "20s", **upstream}],
        "authenticator": [{"timeout": "20s", **table} for table in authenticators or (STAFF,)],
    }


def add_listener(tables: dict[str, Any], name: str, **keys: Any) -> None:
    """Add a listener on 127.0.0.2: the first one's keys, with `keys` over them."""
    tables["listener"].append({**tables["listener"][0], "name": name, "bind": "127.0.0.2:0", **keys})


class Gateway:
    """Runs from its creation to `finish`. `tables` are what `write` puts into the configuration file."""

    def __init__(
        self, folder: Path, evidence: Evidence, tables: dict[str, Any], users: Mapping[str, str] = USERS
    ) -> None:
        """`users` are names with the hashes of their passcodes. Raises ConfigError or StartError."""
        self.folder = folder
        self.tables = tables
        self.expected_defect = "\n"  # lines of the log that have this in them are what the test is about
        self._evidence = evidence
        self._log_begins = evidence.log.stat().st_size
        self._ended = False
        self._finished = False
        self._own_ports: set[int] = set()
        self._upstream_ports: set[int] = set()
        self.write()
        self.write_users(users)
        self._running = RunningGateway(folder / "dicomgate.toml", debug=True).__enter__()
        self._remember_ports()

    @property
    def server(self) -> Server:
        """The gateway itself; its loop runs in another thread."""
        return self._running.server

    @property
    def address(self) -> Address:
        """Where the first listener listens."""
        return self._running.address

    def write(self) -> None:
        """Write the configuration file from `tables`."""
        (self.folder / "dicomgate.toml").write_text(as_toml(self.tables), "utf-8")

    def write_users(self, users: Mapping[str, str], name: str = "users.htpasswd") -> None:
        """Write a users file with these hashes."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text("".join(f"{user}:{passcode_hash}\n" for user, passcode_hash in users.items()))

    def reload(self) -> bool:
        """Read the configuration file again; False if it was not taken."""
        taken = not self._running.call(self.server.reload())
        self._remember_ports()
        return taken

    def drain(self) -> Future[None]:
        """Begin to drain; the result is there when the gateway has ended."""
        self._ended = True
        return self._running.begin(self.server.drain())

    @property
    def events(self) -> list[dict[str, Any]]:
        """The audit so far."""
        self.server.generation.audit.flush()
        with suppress(FileNotFoundError):
            whole, _, _ = (self.folder / "audit.jsonl").read_text("ascii").rpartition("\n")
            return [json.loads(line) for line in whole.splitlines()]
        return []

    def told(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Return the records of this kind that have these fields."""
        return [e for e in self.events if e["event"] == kind and all(e[key] == fields[key] for key in fields)]

    def wait_for(self, kind: str, count: int = 1, **fields: object) -> list[dict[str, Any]]:
        """Return the records of this kind with these fields, once there are `count`."""
        wait_until(lambda: len(self.told(kind, **fields)) >= count, f"{count} x {kind} {fields} in {self.folder}")
        return self.told(kind, **fields)

    def reasons(self, outcome: str, count: int = 1) -> list[str]:
        """Return the reasons of the decisions with this outcome, once there are `count`."""
        return [str(record["reason"]) for record in self.wait_for("Decided", count, outcome=outcome)]

    def log(self) -> str:
        """Return what was logged since this gateway was made."""
        with self._evidence.log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode()

    def finish(self) -> None:
        """Stop, and assert that nothing is left. Idempotent."""
        if self._finished:
            return
        self._finished = True
        try:
            if not self._ended:
                wait_until(lambda: not self.server.associations, "associations ending by themselves")
                self._running.call(self.server.stop())
            left = self._running.call(_other_tasks())
        finally:
            self._running.close()
        assert not left, left
        assert not self.server.associations
        # A peer in another thread may be a moment late.
        wait_until(lambda: not _open_sockets(self._own_ports, self._upstream_ports), "the last sockets closing")
        gc.collect()  # asyncio reports an exception that nothing retrieved when the task is collected
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Negotiation | Relay | Lifetime)]
        lines = [line for line in self.log().splitlines() if self.expected_defect not in line]
        assert not [line for line in lines if any(defect in line for defect in _DEFECTS)]
        self._evidence.keep(self.folder / "audit.jsonl")
        counts = {kind: Counter(event["id"] for event in self.told(kind)) for kind in ("Opened", "Closed")}
        ids = {event["id"] for event in self.events if event["event"] != "Operated"}
        assert counts["Opened"] == counts["Closed"] == Counter(ids)

    def _remember_ports(self) -> None:
        self._own_ports |= {port for _, port in self.server.bound.values()}
        for upstream in self.tables["upstream"]:
            addresses = upstream.get("addresses") or [upstream["address"]]
            addresses = addresses.values() if isinstance(addresses, dict) else addresses
            self._upstream_ports |= {int(address.rpartition(":")[2]) for address in addresses}


class StartGateway(Protocol):
    """What the fixture `gateway` gives."""

    def __call__(self, tables: dict[str, Any], users: Mapping[str, str] = USERS) -> Gateway:
        """Start a gateway from its tables, in a folder of its own; it ends with the test."""
        ...


@contextmanager
def gateways(evidence: Evidence, folder: Path) -> Iterator[StartGateway]:
    """Give a function that starts a gateway from its tables (and users); all of them end with the block."""
    count = 0
    with ExitStack() as running:

        def start(tables: dict[str, Any], users: Mapping[str, str] = USERS) -> Gateway:
            nonlocal count
            count += 1
            own = folder / f"gateway-{count}"
            own.mkdir()
            gateway = Gateway(own, evidence, tables, users)
            running.callback(gateway.finish)
            return gateway

        yield start


async def _other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def _open_sockets(own_ports: set[int], upstream_ports: set[int]) -> list[tuple[object, object]]:
    """The gateway's ends of connections, which the tests' peers in this process have as well, the other way round."""
    left = []
    for descriptor in (int(entry.name) for entry in Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # closed since it was listed, or not connected
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                if copy.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                here, there = copy.getsockname(), None
                with suppress(OSError):
                    there = copy.getpeername()
                if here[1] in own_ports or (there and there[1] in upstream_ports):
                    left.append((here, there))
    return left
