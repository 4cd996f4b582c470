"""Over the wire: real clients log in through a gateway that asks a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.postgresql import PASSWORD, Postgresql
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import REFUSED_IDENTITY, TRY_LATER, log_in, login
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import StartGateway, configuration
from plugins.sql.tests.backend import UPDATE, Backend, cheap_hash


@pytest.fixture(autouse=True)
def _users(backend: Backend) -> None:
    backend.put("dora", cheap_hash(ALICE), "ct, radiology")
    backend.put("emil", cheap_hash(ALICE), disabled=True)


def tables(backend: Backend, upstream: Address, **options: object) -> dict[str, Any]:
    made = configuration(upstream)
    table = {"use": "sql", "name": "staff", "timeout": "20s", **backend.options, **options}
    return {**made, "authenticator": [table]}


def test_storescu_and_pynetdicom_log_in_and_their_groups_are_in_the_audit(
    backend: Backend, gateway: StartGateway, tmp_path: Path
) -> None:
    image = ct_slice(tmp_path / "ct.dcm")
    with PynetdicomPacs() as pacs:
        running = gateway(tables(backend, pacs.address, update=UPDATE))
        before = backend.hash_of("dora")
        refused = storescu(running.address, tmp_path / "ct.dcm", options=["-usr", "dora", "-pwd", WRONG.decode()])
        assert refused.status != 0
        assert "Association Rejected" in refused.output
        assert pacs.stored == {}
        stored = storescu(running.address, tmp_path / "ct.dcm", options=["-usr", "dora", "-pwd", ALICE.decode()])
        assert stored.status == 0, stored.output
        assert list(pacs.stored) == [image.SOPInstanceUID]
        wait_until(lambda: backend.hash_of("dora") != before, "the renewal of the hash")
        assert not backend.is_outdated("dora")
        identity = user_identity(2, b"dora", ALICE, positive_response_requested=True)
        with associate(running.address, identity=identity) as association:
            assert association.send_c_echo().Status == 0
            assert association.acceptor.user_identity.server_response == b""
        accepted = running.wait_for("Decided", 2, outcome="accept")
    assert {(event["user"], event["authenticator"], tuple(event["groups"])) for event in accepted} == {
        ("dora", "staff", ("ct", "radiology"))
    }


def test_every_refusal_is_the_same_answer(backend: Backend, gateway: StartGateway) -> None:
    with Spy([accept_all, RELEASE_RP]) as spy:
        running = gateway(tables(backend, spy.address))
        names = ("dora", "emil", "carl", "zoe", "d" * 300, "' OR '1'='1", "dora' --", "x'; DROP TABLE users; --")
        assert {log_in(running.address, [login(name, WRONG)]) for name in names} == {REFUSED_IDENTITY}
        assert log_in(running.address, [login("zoe", ALICE)]) == REFUSED_IDENTITY
        assert log_in(running.address, [login("dora", b"")]) == REFUSED_IDENTITY
        assert spy.connections == []
        assert log_in(running.address, [login("dora", ALICE)])[0] == 2
        reasons = [event["reason"] for event in running.told("Decided", outcome="reject")]
    assert "wrong passcode" in reasons
    assert "unknown user" in reasons
    assert "the user cannot log in: disabled" in reasons


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_database_that_is_down_is_no_wrong_passcode(
    backend: Backend, postgresql: Postgresql, gateway: StartGateway
) -> None:
    """It comes back, and logins work again without a restart; the audit says why, without a secret."""
    with Spy([accept_all, RELEASE_RP]) as spy:
        running = gateway(tables(backend, spy.address))
        assert log_in(running.address, [login("dora", ALICE)])[0] == 2
        postgresql.stop()
        assert log_in(running.address, [login("dora", ALICE)]) == TRY_LATER
        assert log_in(running.address, [login("zoe", ALICE)]) == TRY_LATER
        postgresql.start()
        assert log_in(running.address, [login("dora", ALICE)])[0] == 2
        reasons = {event["reason"] for event in running.wait_for("Decided", 2, outcome="unavailable")}
        told = json.dumps(running.events)
    assert len(reasons) == 1
    assert "the database: connection failed: " in reasons.pop()
    assert PASSWORD not in told
    assert "argon2" not in told


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_gateway_starts_before_its_database_does(
    backend: Backend, postgresql: Postgresql, gateway: StartGateway
) -> None:
    postgresql.stop()
    with Spy([accept_all, RELEASE_RP]) as spy:
        running = gateway(tables(backend, spy.address))
        assert "sql: all logins fail for now: the database: connection failed: " in running.log()
        assert log_in(running.address, [login("dora", ALICE)]) == TRY_LATER
        postgresql.start()
        assert log_in(running.address, [login("dora", ALICE)])[0] == 2


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({}, 0, "authenticator staff: sql, has 20 s for its answer"),
        ({"select": "SELECT hash FROM users WHERE name = '{name}'"}, 2, "select: has no parameter :name"),
        ({"update": "UPDATE users SET hash = :hash WHERE name = :name"}, 2, "update: has no parameter :old_hash"),
        ({"selects": "SELECT"}, 2, "did you mean 'select'?"),
    ],
)
def test_check_says_what_is_wrong(
    options: dict[str, str], status: int, says: str, backend: Backend, tmp_path: Path
) -> None:
    config = tmp_path / "dicomgate.toml"
    config.write_text(as_toml(tables(backend, ("127.0.0.1", 4242), **options)), "utf-8")
    done = dicomgate("check", "--config", config)
    assert done.exit_code == status, done.stderr
    assert says in done.stdout + done.stderr
    if status:
        assert "dicomgate.toml:" in done.stderr
