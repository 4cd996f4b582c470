"""A gateway whose messages go to Debian's rsyslog over TLS, which is restarted, away, or not the right one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomgate.audit import sender, tail
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.certificates import Certificates, Leaf
from dicomgate.testing.peers.loopback import HOST, wait_until
from dicomgate.testing.peers.rsyslog import Rsyslog, contents
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import ADMITTED, RELEASE_RP, TRY_LATER, RawClient, login, outcome, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

ACCEPTED, LOGOUT = 'csd-code="110122"', 'csd-code="110123"'


@pytest.fixture
def rsyslog(tmp_path: Path, certificates: Certificates) -> Iterator[Rsyslog]:
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    with Rsyslog(folder, certificates) as running:
        yield running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less, so that the tests are shorter."""
    monkeypatch.setattr(tail, "GRACE", 0.5)
    monkeypatch.setattr(sender, "_LONGEST_WAIT", 0.2)


def atna(port: int, certificates: Certificates, **keys: Any) -> dict[str, Any]:
    """The table of a collector at this port."""
    own = {"ca": certificates.ca, "certificate": certificates.client.certificate, "key": certificates.client.key}
    tls = {key: str(value) for key, value in own.items()}
    return {"kind": "atna", "to": f"syslog+tls://{HOST}:{port}", "tls": tls, "spool": "spool", **keys}


def tables(spy: Spy, *audits: dict[str, Any]) -> dict[str, Any]:
    return configuration(spy.address) | {"audit": [*audits]}


def counted(rsyslog: Rsyslog, kind: str, *, well: bool = False) -> int:
    """How many messages there are of this kind; `well`: of a success."""
    found = contents(rsyslog.messages).values()
    return sum(kind in xml and (not well or 'EventOutcomeIndicator="0"' in xml) for xml in found)


def spooled(gateway: Gateway) -> int:
    """How many messages wait."""
    sink = gateway.server.generation.audit.sinks[1]
    assert sink.spool is not None
    return sink.spool.waiting


def test_a_collector_that_is_restarted_loses_nothing_and_can_tell_what_it_has_twice(
    gateway: StartGateway, spy: Spy, certificates: Certificates, rsyslog: Rsyslog
) -> None:
    gate = gateway(tables(spy, atna(rsyslog.port, certificates)))
    done = threading.Event()

    def restart() -> None:
        for number in range(3):
            time.sleep(0.5)
            rsyslog.stop() if number == 1 else rsyslog.end()
            time.sleep(0.2)
            rsyslog.start()
        done.set()

    restarting = threading.Thread(target=restart)
    restarting.start()
    logins = 0
    while not done.is_set() or logins < 50:
        assert outcome(gate.address, login("alice", ALICE)) == ADMITTED
        logins += 1
    restarting.join()
    wait_until(lambda: not spooled(gate), "everything delivered", 60)
    assert sorted(set(rsyslog.numbers)) == [*range(1, max(rsyslog.numbers) + 1)]
    found = [*contents(rsyslog.messages).values()]
    assert sum(ACCEPTED in xml for xml in found) == sum(LOGOUT in xml for xml in found) == logins


def test_what_a_collector_took_while_it_hung_is_sent_again_when_it_was_killed(
    gateway: StartGateway, spy: Spy, certificates: Certificates, rsyslog: Rsyslog
) -> None:
    gate = gateway(tables(spy, atna(rsyslog.port, certificates)))
    assert outcome(gate.address, login("alice", ALICE)) == ADMITTED
    wait_until(lambda: counted(rsyslog, LOGOUT) == 1, "the connection")
    assert rsyslog.process is not None
    rsyslog.process.send_signal(signal.SIGSTOP)
    for _ in range(20):
        assert outcome(gate.address, login("alice", ALICE)) == ADMITTED
    gate.server.generation.audit.flush()
    wait_until(lambda: not spooled(gate), "its host has acknowledged all, long ago")
    before = len(rsyslog.numbers)
    rsyslog.stop()
    assert len(rsyslog.numbers) == before, "the control: it had read nothing"
    rsyslog.start()
    wait_until(lambda: counted(rsyslog, LOGOUT) == 21 and not spooled(gate), "what it had not read", 30)
    assert sorted(set(rsyslog.numbers)) == [*range(1, max(rsyslog.numbers) + 1)]
    seen = len(rsyslog.numbers)
    time.sleep(1.0)  # the grace of what was sent again
    rsyslog.end()
    rsyslog.start()
    assert outcome(gate.address, login("alice", ALICE)) == ADMITTED
    wait_until(lambda: counted(rsyslog, LOGOUT) == 22 and not spooled(gate), "the next one")
    assert len(rsyslog.numbers) == seen + 2, "after an orderly end nothing is sent again that it has read"


def test_without_its_collector_logins_go_on_until_a_required_spool_is_full(
    gateway: StartGateway, spy: Spy, certificates: Certificates, rsyslog: Rsyslog
) -> None:
    rsyslog.end()
    gate = gateway(tables(spy, atna(rsyslog.port, certificates, required=True)))
    sink = gate.server.generation.audit.sinks[1]
    assert sink.spool is not None
    with RawClient(gate.address) as live:
        assert live.ask(request(login("alice", ALICE)))[:1] == ADMITTED
        sink.spool.most_bytes = 20_000
        answers = [outcome(gate.address, login("alice", ALICE)) for _ in range(20)]
        assert answers[0] == ADMITTED
        assert answers[-1] == TRY_LATER
        assert answers == sorted(answers, key=lambda answer: answer == TRY_LATER)
        assert "the spool is full" in gate.server.records.trouble()
        rsyslog.start()
        wait_until(lambda: not gate.server.records.trouble(), "room in the spool", 60)
        assert outcome(gate.address, login("alice", ALICE)) == ADMITTED
        assert live.release() == RELEASE_RP
    logins = answers.count(ADMITTED) + 2
    wait_until(lambda: not spooled(gate) and counted(rsyslog, LOGOUT, well=True) == logins, "all logouts", 20)
    # One whose record could not be written in time is accepted, refused, and has both messages later.
    assert counted(rsyslog, ACCEPTED, well=True) == counted(rsyslog, LOGOUT) <= logins + 1
    found = [*contents(rsyslog.messages).values()]
    assert any("audit_unavailable" in xml for xml in found)
    assert sink.lost == 0


@pytest.mark.parametrize("wrong", ["other authority", "other name"])
def test_nothing_is_sent_to_a_collector_that_is_not_the_right_one(
    gateway: StartGateway, spy: Spy, certificates: Certificates, tmp_path: Path, wrong: str
) -> None:
    leaf: Leaf = certificates.wrong[wrong]
    with Rsyslog(tmp_path, certificates, leaf) as impostor:
        gate = gateway(tables(spy, atna(impostor.port, certificates)))
        assert outcome(gate.address, login("alice", ALICE)) == ADMITTED
        sink = gate.server.generation.audit.sinks[1]
        wait_until(lambda: sink.problem, "the certificate being refused")
        gate.server.generation.audit.flush()
        assert spooled(gate) >= 1
        assert not sink.trouble
        assert not impostor.messages
