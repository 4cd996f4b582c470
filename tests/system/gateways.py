"""A dicomgate for a test: in a thread with an event loop of its own, on a free port, with a configuration of its own.

Law: at its end nothing is left behind, or the test fails: no association, task, socket, session or log line that
tells of a defect; each association has exactly one Opened and one Closed in the audit.
"""

import asyncio
import gc
import json
import logging
import os
import socket
import stat
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from dicomgate.net.lifetime import Lifetime
from dicomgate.net.relay import Relay
from dicomgate.net.session import Session
from dicomgate.run.server import Server
from dicomgate.testing.evidence import ALICE, ZOE, Evidence
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.loopback import HOST, Address, wait_until
from dicomgate_passcode.hashing import make_hash

USERS = {"alice": ALICE, "zoë": ZOE}
_DEFECTS = ("Traceback", "never retrieved", "never awaited", "Unclosed", "defect", "was destroyed but it is pending")

Table = Mapping[str, Any]
NOTHING: Table = MappingProxyType({})
_Result = TypeVar("_Result")


def configuration(
    upstream_address: Address, *, settings: Table = NOTHING, listener: Table = NOTHING, upstream: Table = NOTHING
) -> dict[str, Any]:
    """Return the tables of a gateway in front of one PACS; the keys given go over those that every test needs."""
    host, port = upstream_address[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # Cores may be few and busy: no deadline of these tests depends on how long a hash takes.
    authenticator = {"use": "passcode", "name": "staff", "file": "users.htpasswd", "timeout": "20s"}
    return {
        "gateway": {"node": "test", "audit": "audit.jsonl", "drain_timeout": "20s", **settings},
        "listener": [{"name": "clinical", "bind": f"{HOST}:0", "cleartext_passcodes": True, **listener}],
        "upstream": [{"name": "pacs", "address": address, "called_ae_titles": ["*"], "timeout": "20s", **upstream}],
        "authenticator": [authenticator],
    }


class Gateway:
    """Runs from its creation to `finish`. `tables` are what `write` puts into the configuration file."""

    def __init__(
        self, folder: Path, evidence: Evidence, tables: dict[str, Any], users: Mapping[str, bytes] = USERS
    ) -> None:
        self.folder = folder
        self.tables = tables
        self._evidence = evidence
        self._log_begins = evidence.log.stat().st_size
        self.write()
        self.write_users(users)
        # In debug mode the loop complains of calls from a foreign thread, and its log is at its most talkative.
        self._runner = asyncio.Runner(debug=True)
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway")
        self._thread.start()
        self.expected_defect = "\n"  # lines of the log that have this in them are what the test is about
        self._ended = False
        self._finished = False
        self._own_ports: set[int] = set()
        self._upstream_ports: set[int] = set()
        try:
            self.server = self._do(Server.start(folder / "dicomgate.toml"))
        except BaseException:
            self._end_loop()
            raise
        self._remember_ports()

    @property
    def address(self) -> Address:
        """Where the first listener listens."""
        return next(iter(self.server.bound.values()))

    def write(self) -> None:
        """Write the configuration file from `tables`."""
        (self.folder / "dicomgate.toml").write_text(as_toml(self.tables), "utf-8")

    def write_users(self, users: Mapping[str, bytes], name: str = "users.htpasswd") -> None:
        """Write a users file with these passcodes."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text("".join(f"{user}:{_hash(passcode)}\n" for user, passcode in users.items()))

    def reload(self) -> bool:
        """Take the configuration file anew; False if it was not taken."""
        taken = self._do(self.server.reload())
        self._remember_ports()
        return taken

    def drain(self) -> Future[None]:
        """Begin to drain; the result is there when the gateway has ended."""
        self._ended = True
        return asyncio.run_coroutine_threadsafe(self.server.drain(), self._loop)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The audit so far."""
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

    def log(self) -> str:
        """Return what was logged since this gateway was made."""
        with self._evidence.log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode()

    def finish(self) -> None:
        """Stop, and assert that nothing is left behind; a second call is in vain."""
        if self._finished:
            return
        self._finished = True
        try:
            if not self._ended:
                wait_until(lambda: not self.server.associations, "associations ending by themselves")
                self._do(self.server.stop())
            left = self._do(_other_tasks())
        finally:
            self._end_loop()
        assert not left, left
        assert not self.server.associations
        assert not _open_sockets(self._own_ports, self._upstream_ports)
        gc.collect()  # an exception that nobody retrieved is told when its task is collected
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Lifetime | Session | Relay)]
        lines = [line for line in self.log().splitlines() if self.expected_defect not in line]
        assert not [line for line in lines if any(defect in line for defect in _DEFECTS)]
        self._evidence.keep(self.folder / "audit.jsonl")
        counts = {kind: Counter(event["id"] for event in self.told(kind)) for kind in ("Opened", "Closed")}
        assert counts["Opened"] == counts["Closed"] == Counter({event["id"] for event in self.events})

    def _do(self, what: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=60)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()

    def _remember_ports(self) -> None:
        self._own_ports |= {port for _, port in self.server.bound.values()}
        self._upstream_ports |= {int(upstream["address"].rpartition(":")[2]) for upstream in self.tables["upstream"]}


StartGateway = Callable[..., Gateway]


@contextmanager
def gateways(evidence: Evidence, folder: Path) -> Iterator[StartGateway]:
    """Give a function that starts a gateway from its tables (and users); all of them end with the block."""
    count = 0
    with ExitStack() as running:

        def start(tables: dict[str, Any], users: Mapping[str, bytes] = USERS) -> Gateway:
            nonlocal count
            count += 1
            own = folder / f"gateway-{count}"
            own.mkdir()
            gateway = Gateway(own, evidence, tables, users)
            running.callback(gateway.finish)
            return gateway

        yield start


@pytest.fixture(scope="session", autouse=True)
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """What the whole run wrote, at DEBUG; the run fails if a secret is in it."""
    folder = tmp_path_factory.mktemp("evidence")
    evidence = Evidence(folder)
    handler = logging.FileHandler(evidence.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(threadName)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield evidence
    root.removeHandler(handler)
    root.setLevel(level)
    handler.close()
    assert not evidence.found()


@pytest.fixture
def gateway(evidence: Evidence, tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways: `gateway(configuration(spy.address))`."""
    with gateways(evidence, tmp_path) as start:
        yield start


@pytest.fixture
def install_authenticator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Give a function that installs the class `Judge` of this source as an authenticator, and returns its name."""

    def install(source: str) -> str:
        name = f"judge_{uuid4().hex}"  # modules stay imported for the whole run
        installed = tmp_path / name
        (installed / f"{name}-1.0.dist-info").mkdir(parents=True)
        (installed / f"{name}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        (installed / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(
            f"[dicomgate.authenticators]\n{name} = {name}:Judge\n"
        )
        (installed / f"{name}.py").write_text(dedent(source))
        monkeypatch.syspath_prepend(installed)
        return name

    return install


@cache
def _hash(passcode: bytes) -> str:
    return make_hash(passcode)


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
