"""Logins by DICOM, through a gateway, judged by a real directory; by real clients, and in trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.dcmtk import StoreScp, storescu
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.peers.slapd import BASE, PEOPLE, SERVICE, Slapd
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, TRY_LATER, log_in, login
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import USERS, Gateway, StartGateway, configuration

DEADLINE = 2.0
ACCEPTED = 2  # the type of an A-ASSOCIATE-AC, PS3.8 9.3.3


def tables(upstream: Any, slapd: Slapd, **keys: Any) -> dict[str, Any]:
    """A gateway with two authenticators: devices by a users file, then everybody else by the directory."""
    made = configuration(upstream)
    devices = made["authenticator"][0] | {"name": "devices", "unknown_user": "pass"}
    table: dict[str, Any] = {
        "use": "ldap",
        "name": "directory",
        "timeout": "20s",
        "deadline": f"{DEADLINE}s",
        "base": BASE,
    }
    table |= {"servers": [slapd.plain], "ca": slapd.ca, "bind_password_file": slapd.service_file}
    made["throttle"] = {"enabled": False}  # each attempt is to reach the directory
    made["authenticator"] = [devices, table | {"bind_dn": f"cn=gate,{BASE}"} | keys]
    return made


DEVICES = {"ct-1": USERS["alice"]}


def as_alice(running: Gateway, secret: bytes = ALICE) -> bytes:
    return log_in(running.address, [login("alice", secret)])


class TestRealClients:
    def test_storescu(self, gateway: StartGateway, storescp: StoreScp, slapd: Slapd, tmp_path: Path) -> None:
        running = gateway(tables(storescp.address, slapd), DEVICES)
        image = tmp_path / "image.dcm"
        ct_slice(image)
        good = storescu(running.address, image, options=["-usr", "Alice", "-pwd", ALICE.decode(), "-rsp"])
        assert good.status == 0, good.output
        assert len(storescp.stored()) == 1
        bad = storescu(running.address, image, options=["-usr", "alice", "-pwd", WRONG.decode(), "-rsp"])
        assert bad.status != 0
        assert len(storescp.stored()) == 1
        (accepted,) = running.wait_for("Decided", outcome="accept")
        assert (accepted["claimed"], accepted["user"]) == ("Alice", "alice")
        assert accepted["authenticator"] == "directory"
        assert "radiology" in accepted["groups"]
        assert accepted["attributes"] == {"dn": f"uid=alice,{PEOPLE}"}
        (rejected,) = running.wait_for("Decided", outcome="reject")
        assert rejected["reason"] == "wrong passcode"

    def test_pynetdicom(self, gateway: StartGateway, spy: Spy, slapd: Slapd) -> None:
        running = gateway(tables(spy.address, slapd, servers=[slapd.tls], required_group="radiology"), DEVICES)
        with associate(running.address, identity=user_identity(2, b"alice", ALICE)) as association:
            assert association.is_established
        for user, reason in ((b"bob", "not in the group radiology"), (b"bert", "the account is locked or disabled")):
            with associate(running.address, identity=user_identity(2, user, ALICE)) as association:
                assert association.is_rejected
            running.wait_for("Decided", outcome="reject", reason=reason)


def test_every_refusal_is_the_same_on_the_wire(gateway: StartGateway, spy: Spy, slapd: Slapd) -> None:
    running = gateway(tables(spy.address, slapd), DEVICES)
    users = ("alice", "zoe", "bert", "carl", "dora", "emil", "nopasscode", "twin", "*", ")(uid=*", "a" * 300)
    answers = {log_in(running.address, [login(user, WRONG)]) for user in users}
    answers |= {log_in(running.address, [login(user, ALICE)]) for user in users[1:]}
    assert answers == {REFUSED_IDENTITY}
    assert not spy.connections
    assert as_alice(running)[0] == ACCEPTED
    assert (
        len({event["reason"] for event in running.wait_for("Decided", 2 * len(users), authenticator="directory")}) > 6
    )
    assert SERVICE not in running.log()


@contextmanager
def logins_of_others(running: Gateway) -> Iterator[list[float]]:
    """A device that is in the users file logs in over and over: what each login took, all of them accepted."""
    taken: list[float] = []
    over = threading.Event()

    def log_in_again() -> None:
        while not over.wait(0.05):
            start = time.monotonic()
            assert log_in(running.address, [login("ct-1", ALICE)])[0] == ACCEPTED
            taken.append(time.monotonic() - start)

    device = threading.Thread(target=log_in_again, name="device")
    device.start()
    try:
        yield taken
    finally:
        over.set()
        device.join()


def check_trouble(running: Gateway, reason: str, users: int = 3) -> None:
    """Everybody is told to try again, in time and whatever the passcode; the audit says why; a device still logs in."""
    before = len(running.told("Decided", outcome="unavailable"))
    with logins_of_others(running) as taken:
        for secret in (ALICE, WRONG, ALICE)[:users]:
            start = time.monotonic()
            assert as_alice(running, secret) == TRY_LATER
            assert time.monotonic() - start < DEADLINE + 1
        time.sleep(0.3)
    decided = running.wait_for("Decided", before + users, outcome="unavailable")[before:]
    assert all(reason in event["reason"] and event["authenticator"] == "directory" for event in decided), decided
    assert taken
    assert max(taken) < DEADLINE


class TestTrouble:
    def check(
        self, running: Gateway, begins: Callable[[], object], ends: Callable[[], object], reason: str, users: int = 3
    ) -> None:
        assert as_alice(running)[0] == ACCEPTED
        begins()
        check_trouble(running, reason, users)
        ends()
        assert as_alice(running)[0] == ACCEPTED
        assert as_alice(running, WRONG) == REFUSED_IDENTITY

    @pytest.mark.parametrize("kind", ["plain", "tls"])
    def test_stopped(self, gateway: StartGateway, spy: Spy, own_slapd: Slapd, kind: str) -> None:
        running = gateway(tables(spy.address, own_slapd, servers=[getattr(own_slapd, kind)]), DEVICES)
        self.check(running, own_slapd.stop, own_slapd.start, "Connection refused")
        assert "works again" in running.log()

    @pytest.mark.parametrize("kind", ["plain", "tls"])
    def test_hung(self, gateway: StartGateway, spy: Spy, own_slapd: Slapd, kind: str) -> None:
        running = gateway(tables(spy.address, own_slapd, servers=[getattr(own_slapd, kind)]), DEVICES)
        self.check(running, own_slapd.hang, own_slapd.go_on, "no answer within 2 s", users=1)

    def test_the_gateways_own_account_is_refused(self, gateway: StartGateway, spy: Spy, own_slapd: Slapd) -> None:
        running = gateway(tables(spy.address, own_slapd), DEVICES)

        def now(secret: str) -> None:
            own_slapd.service_file.write_text(secret)
            own_slapd.restart()

        refused = "refuses the gateway's own account"
        self.check(running, lambda: now("no longer right"), lambda: now(SERVICE), refused)


def test_reloads(gateway: StartGateway, spy: Spy, slapd: Slapd) -> None:
    running = gateway(tables(spy.address, slapd), DEVICES)
    for _ in range(3):
        assert running.reload()
        assert as_alice(running)[0] == ACCEPTED
    running.tables["authenticator"][1]["servers"] = ["dc1"]
    running.write()
    assert not running.reload()
    assert as_alice(running)[0] == ACCEPTED
