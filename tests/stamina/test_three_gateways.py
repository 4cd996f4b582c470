"""Three gateways behind HAProxy, with one Redis, one collector and two PACSs: what fails, and what must not.

Only with DICOMGATE_STAMINA=full, as root (ss --kill). DICOMGATE_CHAOS_SECONDS, _SEED and _AT_ONCE (so many faults at
the same time) are for longer runs and others.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.messages import PASSCODE
from dicomgate.contract import Identity, IdentityType
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import wait_until
from tests.stamina.faults import Fault, Faults
from tests.stamina.many_logins import Load
from tests.stamina.measure import FULL, report
from tests.stamina.three_gateways import FREE, Gate, House, house
from tests.stamina.visit import PATIENCE, Login, under

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not FULL or os.geteuid() != 0, reason="DICOMGATE_STAMINA=full, and root"),
]
SECONDS = float(os.environ.get("DICOMGATE_CHAOS_SECONDS", "60"))
RATE = 50.0  # logins a second
AT_ONCE = int(os.environ.get("DICOMGATE_CHAOS_AT_ONCE", "2"))
SEED = int(os.environ.get("DICOMGATE_CHAOS_SEED", "19"))
_LOGIN = re.compile(r'EventOutcomeIndicator="0".*csd-code="110122".*calling AE title \'([A-Z0-9-]+)\'')
_SEQUENCE = re.compile(r'\[meta sequenceId="([0-9]+)"\]')
_DEFECTS = ("Traceback", "never retrieved", "never awaited", "defect", "Exception in callback", "was destroyed")


@pytest.fixture
def running(tmp_path: Path, certificates: Certificates) -> Iterator[House]:
    with house(tmp_path, certificates) as started:
        yield started


def collected(running: House) -> tuple[set[str], int]:
    """The calling AE titles of all logins that the collector has, and how many messages it has twice."""
    found: dict[tuple[str, int], str] = {}
    twice, logins = 0, set()
    for message in running.rsyslog.messages:
        head, _, xml = message.partition("\ufeff")
        sequence = _SEQUENCE.search(head)
        if sequence is None:
            continue  # cut by the end of rsyslog; it comes again
        key = (head.split()[2], int(sequence[1]))
        twice += key in found
        assert found.setdefault(key, xml) == xml, "another message of the same number"
        if login := _LOGIN.search(xml):
            logins.add(login[1])
    return logins, twice


def check_admissions(running: House, load: Load) -> None:
    """Nobody is in who should not be; a token is good for one; guesses count at all gateways together."""
    audits = [record for gate in running.gates for record in gate.records()]
    accepted = [one for one in load.logins if one.answer == "accepted"]
    assert not [one for one in accepted if one.kind == "guess"]
    known = {one.calling: one for one in load.logins}
    decided = [record for record in audits if record["event"] == "Decided" and record["outcome"] == "accept"]
    for record in decided:
        assert record["user"] == known[record["calling_ae_title"]].user
        assert known[record["calling_ae_title"]].kind != "guess"
    tokens = Counter(record["user"] for record in decided if record["user"].startswith("token"))
    assert max(tokens.values(), default=0) <= 1, tokens.most_common(3)
    assert max(Counter(one.user for one in accepted if one.kind == "token").values(), default=0) <= 1
    verified = Counter(
        known[record["calling_ae_title"]].user
        for record in audits
        if record["event"] == "Refused" and record["reason_class"] == "wrong_credential"
    )
    assert max(verified.values()) <= FREE, verified.most_common(3)
    locked = [user for user, count in verified.items() if count == FREE]
    assert locked, "no account had its guesses"
    right = [Login(f"R{at}", "right", user, 0) for at, user in enumerate(locked)]
    ask = Load(running)

    async def all_of_them() -> None:
        for one in right:
            identity = Identity(IdentityType.USERNAME_AND_PASSCODE, one.user.encode(), PASSCODE)
            await ask.one(one, identity, running.front)

    asyncio.run(all_of_them())
    assert {one.answer for one in right} == {"rejected 1,2,1"}, "the right passcode of one who must wait"


def check_audits(running: House, load: Load) -> dict[str, Any]:
    """Each admission is in a gateway's file, and at the collector. Returns figures."""
    written = {
        record["calling_ae_title"]
        for gate in running.gates
        for record in gate.records()
        if record["event"] == "Decided" and record["outcome"] == "accept"
    }
    admitted = {one.calling for one in load.logins if one.answer == "accepted"}
    assert admitted <= written, sorted(admitted - written)[:10]
    wait_until(lambda: admitted <= collected(running)[0], "all logins at the collector", 90)
    logins, twice = collected(running)
    return {"admitted": len(admitted), "in_files": len(written), "at_collector": len(logins), "twice": twice}


def explain(running: House, load: Load, faults: list[Fault]) -> dict[str, int]:
    """Why clients failed who should not have: what they got, the gateway's reason, and the fault. Reports each kind."""
    reasons: dict[str, str] = {}
    for gate in running.gates:
        for record in gate.records():
            if record["event"] == "Refused":
                reasons[record["calling_ae_title"]] = record["reason_class"]
            elif record["event"] == "Closed":
                reasons.setdefault(record["calling_ae_title"], record["cause"])
    kinds: Counter[tuple[str, ...]] = Counter()
    unexplained = []
    for one in load.logins:
        if one.kind != "store" or one.good:
            continue
        there = [fault for fault in faults if fault.overlaps(one)]
        if not there:
            unexplained.append((one, reasons.get(one.calling)))
            continue
        # Of several, the one that is still there, or was there last.
        fault = max(there, key=lambda fault: (fault.began <= one.ended, fault.began))
        kinds[fault.target.partition("-")[0], fault.act, one.end, reasons.get(one.calling, "no record")] += 1
    for (target, act, end, reason), count in sorted(kinds.items()):
        report("chaos, failed", fault=f"{target} {act}", client=end, gateway=reason, associations=count)
    assert not unexplained, unexplained[:10]
    return {" ".join(kind): count for kind, count in kinds.items()}


def late(load: Load) -> list[Login]:
    """Clients without an answer to what they asked."""
    return [one for one in load.logins if "no answer" in (one.answer, one.end)]


def check_logs(running: House) -> None:
    """No gateway tells of a defect of its own."""
    lines = [line for gate in running.gates for line in gate.log.read_text().splitlines()]
    found = [line for line in lines if any(defect in line for defect in _DEFECTS)]
    assert not found, found[:10]


def test_whatever_fails_nobody_is_admitted_wrongly_and_no_admission_is_lost(running: House) -> None:
    load, made = Load(running), list[Fault]()

    def chaos() -> None:
        threading.Event().wait(3)  # first without any fault: what fails here is not explained
        faults = Faults(running, SEED, SECONDS, AT_ONCE)
        faults.join()
        made.extend(faults.done)

    under(load.visits, RATE, chaos)
    acts = Counter(f"{fault.target} {fault.act}" for fault in made)
    report("chaos", seed=SEED, seconds=SECONDS, at_once=AT_ONCE, faults=len(made), kinds=len(acts))
    stores = [one for one in load.logins if one.kind == "store"]
    failed = sum(not one.good for one in stores)
    took = sorted(one.took for one in load.logins)
    median, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    report("chaos, clients", logins=len(load.logins), median_s=median, p99_s=p99, longest_s=took[-1])
    report("chaos, stores", all=len(stores), failed=failed, percent=100 * failed / len(stores))
    explain(running, load, made)
    report("chaos, audits", **check_audits(running, load))
    check_admissions(running, load)
    assert not late(load), f"none within {PATIENCE:g} s: {late(load)[:10]}"
    check_logs(running)


def test_a_rolling_upgrade_cuts_and_loses_nobody(running: House) -> None:
    load, upgraded = Load(running, lasts=1.0, bad=False), defaultdict[str, float](float)

    def upgrade() -> None:
        threading.Event().wait(2)
        for gate in running.gates:
            _upgrade(running, gate)
            upgraded[gate.name] += 1

    under(load.visits, RATE, upgrade)
    failed = [one for one in load.logins if not one.good]
    shares = {gate.name: sum(record["event"] == "Established" for record in gate.records()) for gate in running.gates}
    longest = max(one.took for one in load.logins)
    report("rolling upgrade", logins=len(load.logins), failed=len(failed), longest_s=longest, **shares)
    assert not failed, failed[:10]
    assert all(shares.values())
    report("rolling upgrade, audits", **check_audits(running, load))
    check_logs(running)


def _upgrade(running: House, gate: Gate) -> None:
    """End it as systemd does, and start it again; as an upgrade does, with other code between."""
    before = running.said_up(gate)
    assert gate.process is not None
    gate.process.send_signal(signal.SIGTERM)
    assert gate.process.wait(30) == 0
    gate.start()
    running.up(gate, before)
