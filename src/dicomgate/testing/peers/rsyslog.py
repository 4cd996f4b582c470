"""Debian's rsyslog as an Audit Record Repository: syslog over TLS into a file, as it comes. A process of our own."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from .certificates import Certificates, Leaf
from .loopback import HOST, free_port
from .process import Service, require

_CONFIGURATION = """\
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
       defaultNetstreamDriverCAFile="{ca}"
       defaultNetstreamDriverCertFile="{leaf.certificate}" defaultNetstreamDriverKeyFile="{leaf.key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="{host}" port="{port}")
template(name="raw" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{file}" template="raw")
"""
_SEQUENCE = re.compile(r'\[meta sequenceId="([0-9]+)"\]')


class Rsyslog(Service):
    """A collector that requires a client certificate of `certificates.ca`; `leaf` is its own."""

    def __init__(self, folder: Path, certificates: Certificates, leaf: Leaf | None = None) -> None:
        program = require("rsyslogd", "rsyslog rsyslog-gnutls")
        self.port = free_port()
        self.file = folder / "received"
        text = _CONFIGURATION.format(
            folder=folder,
            ca=certificates.ca,
            leaf=leaf or certificates.server,
            host=HOST,
            port=self.port,
            file=self.file,
        )
        (folder / "rsyslog.conf").write_text(text)
        command: list[str | Path] = [program, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "rsyslog.pid"]
        super().__init__(command, log=folder / "rsyslog.log", ports=[self.port])

    def end(self) -> None:
        """Ask it to end, as a restart of the service does, and wait until it has."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    @property
    def messages(self) -> list[str]:
        """What it has received so far, whole messages alone."""
        if not self.file.exists():
            return []
        whole, _, _ = self.file.read_text("utf-8").rpartition("\n")
        return whole.splitlines()

    @property
    def numbers(self) -> list[int]:
        """The sequenceId of each message."""
        return [int(match[1]) for match in map(_SEQUENCE.search, self.messages) if match]


def contents(messages: list[str]) -> dict[int, str]:
    """The XML of each message by its sequenceId; those that came twice once. Raises AssertionError if two differ."""
    found: dict[int, str] = {}
    for message in messages:
        match = _SEQUENCE.search(message)
        assert match is not None, message
        head, _, xml = message.partition("\ufeff")
        assert found.setdefault(int(match[1]), xml) == xml, head
    return found
