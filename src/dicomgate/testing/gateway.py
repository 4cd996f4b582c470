"""A whole gateway for a test: a configuration, one authenticator, a PACS after it, and clients.

It listens on 127.0.0.1 without TLS unless the test says otherwise. Throttling is off: a test may guess.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Protocol

from ..contract import Identity
from ..net.tls import TlsContext
from . import clients
from .clients import Client
from .pacs import Pacs
from .running import RunningGateway

Table = Mapping[str, Any]
NOTHING: Table = MappingProxyType({})
_PATIENCE = 20.0  # seconds; the audit has a record some milliseconds after the client has its answer


@dataclass(frozen=True)
class Login:
    """The result of one login: what the client received, and what the audit says."""

    established: bool
    """The client was admitted, and its C-ECHO or C-STORE succeeded."""
    refusal: str
    """What it received instead, for example "A-ASSOCIATE-RJ 1,2,1"; "" if it was admitted."""
    server_response: bytes | None
    """The content of sub-item 59H. None if there was none; storescu does not report it."""
    reason: str
    """The authenticator's, or the gateway's if none was asked; the client does not see it."""
    user: str | None
    groups: tuple[str, ...]
    attributes: Mapping[str, str]


class Gateway:
    """A context manager: it runs until the block ends, in front of `pacs`."""

    def __init__(self, folder: Path, name: str, authenticator: Table, listener: Table = NOTHING) -> None:
        """`authenticator` and `listener` are keys of the tables of that name; paths are relative to the folder."""
        self.pacs = Pacs()
        self._audit = folder / f"{name}.jsonl"
        self._configuration = folder / f"{name}.toml"
        host, port = self.pacs.address
        tables = {
            "gateway": {"node": name, "audit": self._audit.name, "drain_timeout": "5s"},
            "state": {"path": f"{name}.sqlite"},
            "throttle": {"enabled": False},
            "listener": [{"name": "clinical", "bind": "127.0.0.1:0", "cleartext_passcodes": True, **listener}],
            "upstream": [{"name": "pacs", "address": f"{host}:{port}", "called_ae_titles": ["*"]}],
            # The machine of a test may be busy: no login fails because of that.
            "authenticator": [{"timeout": "20s", **authenticator}],
        }
        self._configuration.write_text(as_toml(tables), "utf-8")
        self._running = RunningGateway(self._configuration)
        self._stack = ExitStack()
        self._one_at_a_time = Lock()

    def __enter__(self) -> Gateway:
        """Start it. Raises ConfigError or StartError."""
        with ExitStack() as stack:
            stack.enter_context(self.pacs)
            stack.enter_context(self._running)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, for clients of your own."""
        return self._running.address

    def echo(
        self, identity: Identity | None = None, *, calling: str = "MODALITY", tls: TlsContext | None = None
    ) -> Login:
        """Log in with the kit's own client, send a C-ECHO, release."""
        return self._log_in(lambda: clients.echo(self.address, identity, calling, tls))

    def pynetdicom(self, identity: Identity | None = None, *, calling: str = "MODALITY") -> Login:
        """The same with pynetdicom. The test is skipped where that is not installed."""
        return self._log_in(lambda: clients.pynetdicom(self.address, identity, calling))

    def storescu(self, identity: Identity | None = None, *, calling: str = "MODALITY") -> Login:
        """Log in with DCMTK's storescu, and send an image. The test is skipped where that is not installed."""
        return self._log_in(lambda: clients.storescu(self.address, identity, calling, self._configuration.parent))

    def audit(self) -> list[dict[str, Any]]:
        """The audit records so far."""
        self._running.server.generation.audit.flush()
        whole, _, _ = self._audit.read_text("ascii").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def _log_in(self, client: Client) -> Login:
        with self._one_at_a_time:  # the next association in the audit is this one
            before = {record["id"] for record in self.audit()}
            established, response = client()
            return _told(self._next(before), established, response)

    def _next(self, before: set[str]) -> list[dict[str, Any]]:
        """The records of an association that was not there before, once it has ended."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            records = [record for record in self.audit() if record["id"] not in before]
            if any(record["event"] == "Closed" for record in records):
                return records
            time.sleep(0.01)
        raise TimeoutError(f"the association did not end within {_PATIENCE:g} s")


class StartGateway(Protocol):
    """What the fixture `gateway` gives."""

    def __call__(self, authenticator: object, /, *, listener: Table = NOTHING, **keys: Any) -> Gateway:
        """Start a gateway in front of a PACS; it ends with the test.

        `authenticator` is the name of an installed one, or the class (or function) that makes it: `keys` are those of
        its `[[authenticator]]` table then. Or it is an authenticator that is made already. `listener` are keys of the
        `[[listener]]` table. Raises ConfigError for what `dicomgate check` would not take.
        """
        ...


def _told(records: list[dict[str, Any]], established: bool, response: bytes | None) -> Login:
    by_event = {record["event"]: record for record in records}
    decided, refused = by_event.get("Decided", {}), by_event.get("Refused", {})
    return Login(
        established=established,
        refusal=refused.get("answer", "").partition(" (")[0],
        server_response=response,
        reason=decided.get("reason") or refused.get("reason", ""),
        user=decided.get("user"),
        groups=tuple(decided.get("groups", ())),
        attributes=decided.get("attributes", {}),
    )


def as_toml(tables: Mapping[str, Any]) -> str:
    """The text of a configuration file with these tables, to be written as UTF-8."""
    lines = []
    for name, content in tables.items():
        for table in content if isinstance(content, list) else [content]:
            lines.append(f"[[{name}]]" if isinstance(content, list) else f"[{name}]")
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, timedelta):
        return f'"{value.total_seconds():g}s"'
    # JSON and TOML write these alike, but for DEL, which TOML wants escaped.
    text = json.dumps(value if isinstance(value, str | int | float) else str(value), ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
