"""Records for the journal and for a syslog over UDP: one in each datagram."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from dicomgate.audit.datagrams import Datagrams
from dicomgate.audit.json_audit import Audit
from dicomgate.testing.peers.loopback import HOST
from tests.events.examples import ACCEPTED, OPENED


def test_the_journal_gets_fields_and_goes_on_after_its_restart(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(path))
    journal.settimeout(20)
    with closing(Audit(Datagrams(path, "gate"), "gate")) as audit:
        audit(OPENED)
        audit(ACCEPTED)
        for event in (OPENED, ACCEPTED):
            fields = dict(line.split("=", 1) for line in journal.recv(65_536).decode().splitlines())
            assert fields["SYSLOG_IDENTIFIER"] == "dicomgate-audit"
            assert json.loads(fields["MESSAGE"])["event"] == type(event).__name__
        journal.close()
        path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
            again.bind(str(path))
            again.settimeout(20)
            audit(OPENED)
            assert b'"event": "Opened"' in again.recv(65_536)
        assert audit.lost == 0


def test_syslog_over_udp_has_a_header_of_rfc_5424() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind((HOST, 0))
        collector.settimeout(20)
        with closing(Audit(Datagrams(collector.getsockname(), "gate"), "gate", label="udp")) as audit:
            audit(ACCEPTED)
            head, _, content = collector.recv(65_536).partition(b" audit - ")
    assert head.startswith(b"<85>1 20")
    assert b" gate dicomgate " in head
    assert json.loads(content)["user"] == "alice.liddell"


def test_a_record_that_is_too_long_for_a_datagram_holds_up_no_other() -> None:
    groups = tuple(f"{number:0200}" for number in range(400))
    answers: SimpleQueue[str] = SimpleQueue()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind((HOST, 0))
        collector.settimeout(20)
        with closing(Audit(Datagrams(collector.getsockname(), "gate"), "gate", label="udp")) as audit:
            audit.keep(ACCEPTED._replace(groups=groups), answers.put)
            assert answers.get(timeout=20) == "Message too long"
            lost = json.loads(collector.recv(65_536).partition(b" audit - ")[2])
            assert (lost["event"], lost["count"], lost["reason"]) == ("Lost", 1, "Message too long")
            audit.keep(ACCEPTED, answers.put)
            assert answers.get(timeout=20) == ""
        assert audit.lost == 1
