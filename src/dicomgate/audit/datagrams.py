"""Sockets that take one record in one datagram: the journal of systemd, and a syslog over UDP (RFC 5426)."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..events.moments import utc
from ..kit.addresses import show_address
from .syslog import APP_NAME, FACILITY, NOTICE, host_name

JOURNAL = Path("/run/systemd/journal/socket")
_IDENTIFIER = "dicomgate-audit"


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Where lines go, one in each datagram. `address` is a path, or a host and its port."""

    address: Path | tuple[str, int]
    node: str

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"the audit for {'the journal' if isinstance(self.address, Path) else show_address(*self.address)}"

    def open(self) -> int:
        """A connected socket. May block on the look-up of a name. Raises OSError."""
        if isinstance(self.address, Path):
            family, kind, to = socket.AF_UNIX, socket.SOCK_DGRAM, str(self.address)
        else:
            family, kind, _, _, to = socket.getaddrinfo(*self.address, type=socket.SOCK_DGRAM)[0]  # type: ignore[assignment]
        with socket.socket(family, kind) as opened:
            opened.connect(to)
            return opened.detach()

    def dressed(self, line: bytes) -> bytes:
        """What stands around a line of JSON there."""
        if isinstance(self.address, Path):
            # systemd, "Native Journal Protocol": FIELD=value, a line each
            fields = f"PRIORITY={NOTICE}\nSYSLOG_FACILITY={FACILITY}\nSYSLOG_IDENTIFIER={_IDENTIFIER}\nMESSAGE="
            return fields.encode("ascii") + line
        head = f"<{FACILITY * 8 + NOTICE}>1 {utc(datetime.now(UTC))} {host_name(self.node)} {APP_NAME} {os.getpid()}"
        return f"{head} audit - ".encode("ascii") + line.rstrip(b"\n")
