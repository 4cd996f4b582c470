"""`use = "ticket"`: tickets of a real KDC, tokens and answers verified by this project's own authenticator."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import threading
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import Mock

import pytest

from dicomgate import Accept, Admission, ConfigError, IdentityType, Presented, Reject, Unavailable
from dicomgate.testing import CredentialContract, admission, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.kdc import OTHER_SERVICE, REALM, SERVICE, Kdc, krb5_conf
from dicomgate.testing.page_contract import Keys, defaults, documented
from dicomgate.testing.pages import DOCS, blocks
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all, with_server_response
from dicomgate.testing.raw_client import ADMITTED, CONGESTION, login, outcome
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from dicomgate.testing.watching import logged
from dicomgate_kerberos import Kerberos, Ticket, tickets
from plugins.kerberos.tests.conftest import accepted, ask
from plugins.kerberos.tests.initiator import Gss

Gate = Callable[..., Ticket]
PAGE = DOCS / "credentials.md"
GATE = f"dicom/gate.clinic.example@{REALM}"


@pytest.fixture
def gate(own_kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Make the credential of a gateway that has a keytab of its own, and nothing in its environment."""
    monkeypatch.delenv("KRB5CCNAME")
    own_kdc.admin(f"addprinc -randkey {GATE}")
    keytab = own_kdc.keytab(GATE, name="gate.keytab")

    def gate(**options: Any) -> Ticket:
        return Ticket(**{"service": SERVICE, "keytab": keytab, "principal": GATE, **options})

    return gate


@pytest.fixture
def pacs(own_kdc: Kdc) -> Kerberos:
    """The authenticator of a dicomgate in front of the PACS."""
    return Kerberos(keytab=own_kdc.keytab(SERVICE, OTHER_SERVICE), principal=SERVICE)


def presented(credential: Ticket) -> Presented:
    answer = credential.present(admission())
    assert isinstance(answer, Presented), answer
    assert (answer.identity.type, answer.identity.secondary) == (IdentityType.KERBEROS, b"")
    return answer


def unavailable(credential: Ticket) -> str:
    answer = credential.present(admission())
    assert isinstance(answer, Unavailable), answer
    return answer.reason


def response(pacs: Kerberos, token: bytes) -> bytes:
    return accepted(pacs, token).server_response or b""


def requests(kdc: Kdc) -> int:
    return (kdc.folder / "kdc.log").read_text().count("_REQ ")


def verify(answer: Presented, response: bytes) -> str:
    assert answer.verify is not None
    return answer.verify(response)


def test_the_gateway_logs_in_and_the_pacs_proves_itself(gate: Gate, pacs: Kerberos) -> None:
    credential = gate()
    one, other = presented(credential), presented(credential)
    accept = accepted(pacs, one.identity.primary)
    assert accept.user == GATE
    assert accept.expires_at is not None
    assert one.expires_at is not None
    assert abs((one.expires_at - accept.expires_at).total_seconds()) < 2
    proof = accept.server_response or b""
    assert "is not the AP-REP of" in verify(other, proof)  # it was for another association
    assert verify(one, proof) == ""
    assert isinstance(ask(pacs, one.identity.primary), Reject)  # each token logs in once
    for bad, words in ((b"", "did not authenticate itself"), (b"garbage", "is not the AP-REP"),
                       (proof[:-1], "is not the AP-REP"), (one.identity.primary, "is not the AP-REP")):  # fmt: skip
        assert words in verify(presented(credential), bad)


def test_only_the_service_can_answer(gate: Gate, own_kdc: Kdc, pacs: Kerberos) -> None:
    """Who has another service's key cannot make an AP-REP: its own would be for another ticket."""
    other = Kerberos(keytab=own_kdc.keytab(OTHER_SERVICE, name="other.keytab"), principal=OTHER_SERVICE)
    elsewhere = presented(gate(service=OTHER_SERVICE))
    answer = response(other, elsewhere.identity.primary)
    mine = presented(gate())
    assert "is not the AP-REP of" in verify(mine, answer)
    assert verify(elsewhere, answer) == ""


def test_one_request_for_all_and_none_for_each(gate: Gate, own_kdc: Kdc, pacs: Kerberos) -> None:
    credential, before = gate(), requests(own_kdc)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: presented(credential), range(200)))
    asked = requests(own_kdc) - before
    assert 2 <= asked <= 3  # AS-REQ, perhaps again with preauthentication, and TGS-REQ
    assert len({answer.identity.primary for answer in answers}) == len(answers)
    own_kdc.stop()
    assert isinstance(ask(pacs, presented(credential).identity.primary), Accept)


def test_another_ticket_ahead_of_time(
    gate: Gate, own_kdc: Kdc, pacs: Kerberos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    own_kdc.admin(f'modprinc -maxlife "4 seconds" {GATE}')
    credential = gate()
    first = presented(credential).expires_at
    assert first is not None
    own_kdc.stop()
    while (now := datetime.now(UTC)) < first and (first - now).total_seconds() > 1:
        assert presented(credential).expires_at == first  # the KDC is out of reach, and the ticket is good
        time.sleep(0.1)
    own_kdc.start()
    while (later := presented(credential).expires_at) == first:
        assert datetime.now(UTC) < first
        time.sleep(0.05)
    assert later is not None
    assert later > first
    assert isinstance(ask(pacs, presented(credential).identity.primary), Accept)


def test_the_kdc_is_down_and_comes_back(gate: Gate, own_kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    own_kdc.stop()
    credential = gate()  # it starts all the same
    with logged() as lines:
        assert "no ticket for dicom/gateway" in (reason := unavailable(credential))
        assert "Cannot contact any KDC" in reason
        own_kdc.start()
        assert unavailable(credential) == reason  # just asked
        monkeypatch.setattr(tickets, "_AGAIN", 0.0)
        presented(credential)
    assert sum("no ticket for" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("said", "words"), [(b"", "the KDC has not answered yet"), (b"\0\0\0\4\xff\xff\xff\xff", "no ticket for")]
)
def test_what_is_there_is_no_kdc(
    gate: Gate, own_kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, words: str
) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    held = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    held[-1].sendall(said)

        Thread(target=answer, daemon=True).start()
        conf = tmp_path / "krb5.conf"
        conf.write_text(krb5_conf(REALM, f"127.0.0.1:{server.getsockname()[1]}"))
        monkeypatch.setenv("KRB5_CONFIG", str(conf))
        credential = gate()
        with ThreadPoolExecutor(4) as pool:
            assert all(words in reason for reason in pool.map(lambda _: unavailable(credential), range(40)))
        assert len(held) <= (40 if said else 1)
    for connection in held:
        connection.close()
    monkeypatch.setenv("KRB5_CONFIG", str(own_kdc.configuration))
    while isinstance(credential.present(admission()), Unavailable):
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed: apt-get install faketime")
@pytest.mark.parametrize("own_kdc", ["+200s", "-200s"], indirect=True)
def test_the_kdcs_clock_is_off_by_minutes(gate: Gate, pacs: Kerberos) -> None:
    answer = presented(gate())
    assert verify(answer, response(pacs, answer.identity.primary)) == ""


def test_a_ticket_that_has_ended_is_not_presented(gate: Gate, own_kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    own_kdc.admin(f'modprinc -maxlife "2 seconds" {GATE}')
    credential = gate()
    ends = presented(credential).expires_at
    own_kdc.stop()
    while ends is not None and datetime.now(UTC) < ends:
        time.sleep(0.05)
    assert "Cannot contact any KDC" in unavailable(credential)


def test_the_keys_were_changed(gate: Gate, own_kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    own_kdc.admin(f"cpw -randkey {GATE}")
    credential = gate()
    assert "the KDC has another key than the keytab" in unavailable(credential)
    own_kdc.keytab(GATE, name="gate.keytab")  # adds the new key
    presented(credential)


@pytest.mark.parametrize(
    "service", [f"dicom/nobody.example@{REALM}", "dicom/gateway.hospital.example@ELSEWHERE.EXAMPLE"]
)
def test_a_service_that_nobody_knows(gate: Gate, service: str) -> None:
    assert f"no ticket for {service}: " in unavailable(gate(service=service))
    presented(gate())


def test_the_services_key_was_changed_and_the_keytab_here_touched(
    gate: Gate, own_kdc: Kdc, pacs: Kerberos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    credential = gate()
    assert accepted(pacs, presented(credential).identity.primary)
    own_kdc.admin(f"cpw -randkey {SERVICE}")
    pacs.keytab.unlink()
    own_kdc.keytab(SERVICE)
    assert isinstance(ask(pacs, presented(credential).identity.primary), Reject)
    (own_kdc.folder / "gate.keytab").touch()
    before = credential._tickets._held
    while credential._tickets._held is before:
        presented(credential)
        time.sleep(0.05)
    assert accepted(pacs, presented(credential).identity.primary)


def test_a_credential_cache_that_another_program_renews(
    gate: Gate, own_kdc: Kdc, pacs: Kerberos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    own_kdc.log_in("alice", cache="renewed")
    file = own_kdc.folder / "renewed"
    before = file.read_bytes()
    credential = gate(cache=file, keytab=None, principal=None)
    assert accepted(pacs, presented(credential).identity.primary).user == f"alice@{REALM}"
    assert file.read_bytes() == before  # read, not written
    own_kdc.log_in("zoe", cache="renewed")
    for _ in range(100):
        user = accepted(pacs, presented(credential).identity.primary).user
        if user != f"alice@{REALM}":
            break
        time.sleep(0.05)
    assert user == f"zoe@{REALM}"
    file.chmod(0o644)
    assert accepted(pacs, presented(credential).identity.primary).user == f"zoe@{REALM}"


def test_without_memory_for_another_the_ticket_that_is_there_serves(
    gate: Gate, own_kdc: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    credential, other = gate(), gate()
    presented(credential)
    (own_kdc.folder / "gate.keytab").touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "memfd_create", Mock(side_effect=OSError(errno.EMFILE, os.strerror(errno.EMFILE))))
        assert "Too many open files" in unavailable(other)
        presented(credential)
    presented(other)


def test_nothing_is_kept_of_former_tickets(gate: Gate, own_kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    made: list[str] = []
    credential = gate()

    def renew() -> None:
        held = credential._tickets.outcome(credential._tickets.request().result())
        made.append(held.opened.memory[1].name)  # type: ignore[attr-defined]

    renew()
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(5):
        renew()
    assert len(set(made)) == 6
    monkeypatch.setenv("KRB5CCNAME", made[-1])
    assert Gss().token
    monkeypatch.setenv("KRB5CCNAME", made[0])
    with pytest.raises(Exception, match="No Kerberos credentials available"):
        Gss()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before[0]
    assert threading.active_count() <= before[1] + 1


def test_the_probe(gate: Gate, own_kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_AGAIN", 0.0)
    credential = gate()
    (found,) = asyncio.run(credential.probe())
    assert (found.what, found.problem) == (f"the KDC, for a ticket for {SERVICE}", "")
    assert found.detail.startswith("valid until 20")
    own_kdc.stop()
    (found,) = asyncio.run(credential.probe())
    assert "Cannot contact any KDC" in found.problem


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"service": "dicom/pacs"}, "service: must be of the form"),
        ({"principal": "gate"}, "principal: must be of the form"),
        ({"principal": None}, "either a keytab with its principal, or a cache alone"),
        ({"keytab": None}, "either a keytab with its principal, or a cache alone"),
        ({"cache": Path("cache")}, "either a keytab with its principal, or a cache alone"),
        ({"keytab": Path("gone")}, "gone: cannot be read"),
        ({"principal": f"other@{REALM}"}, f"has no key of other@{REALM}; it has {GATE}"),
        ({"keytab": None, "principal": None, "cache": Path("gone")}, "gone: cannot be read"),
        ({"keytab": None, "principal": None, "cache": Path(__file__)}, "this is not a file of a credential cache"),
    ],
)
def test_what_a_key_may_not_be(gate: Gate, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    if options.get("cache") == Path(__file__):
        options = {**options, "cache": (copy := tmp_path / "copy")}
        copy.touch(0o600)
        copy.write_bytes(b"[libdefaults]")
    with pytest.raises(ConfigError, match=words):
        gate(**options)
    gate()


class TestTicket(CredentialContract):
    wrong_tables = (
        ({"service": "dicom/pacs"}, "service: must be of the form"),
        ({"service": SERVICE}, "or a cache alone"),
    )

    @pytest.fixture
    def credential(self, gate: Gate) -> Ticket:
        return gate()

    @pytest.fixture
    def good(self) -> Admission:
        return admission(identity=passcode("alice", "Zr7-the-client's"))


@pytest.fixture
def front(gateway: StartGateway, gate: Gate) -> Callable[..., Gateway]:
    """Start a gateway that logs in with the table of the page to what is at this address."""
    (text,) = [block.text for block in blocks(PAGE, "toml") if 'use = "ticket"' in block.text]
    shown = tomllib.loads(text)
    (upstream,), (table,) = shown["upstream"], shown["credential"]
    del upstream["address"], upstream["tls"]
    credential = gate()

    def front(address: Address, **options: Any) -> Gateway:
        own = {**table, "service": SERVICE, "keytab": credential.keytab, "principal": GATE, "timeout": "20s"}
        return gateway({**configuration(address, upstream={**upstream, **options}), "credential": [own]})

    return front


def test_the_gateway_behind_lets_it_in_and_proves_itself(
    front: Callable[..., Gateway], gateway: StartGateway, own_kdc: Kdc, pacs: Kerberos
) -> None:
    table = {"use": "kerberos", "name": "realm", "keytab": pacs.keytab, "principal": SERVICE}
    with Spy([accept_all, RELEASE_RP] * 3) as spy:
        behind = gateway(configuration(spy.address, table))
        one = front(behind.address)
        assert [outcome(one.address, login("alice", ALICE)) for _ in range(3)] == [ADMITTED] * 3
        assert [event["user"] for event in behind.wait_for("Decided", 3, outcome="accept")] == [GATE] * 3
        assert ALICE not in spy.received()
    assert documented(PAGE, Keys(Ticket, under="ticket"), {}) == defaults(Ticket)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda pdu: with_server_response(accept_all(pdu), b"anything"), "it is not the AP-REP of"),
        (lambda pdu: with_server_response(accept_all(pdu), b""), "did not authenticate itself"),
        (accept_all, "no server response (59H)"),
    ],
    ids=["another", "empty", "missing"],
)
def test_a_pacs_that_proves_nothing(
    front: Callable[..., Gateway], answer: Callable[[bytes], bytes], words: str
) -> None:
    with Spy([answer]) as spy:
        one = front(spy.address)
        assert outcome(one.address, login("alice", ALICE)) == CONGESTION
        assert words in one.wait_for("Refused")[0]["reason"]
    with Spy([answer, RELEASE_RP]) as spy:
        assert outcome(front(spy.address, positive_response="asked").address, login("alice", ALICE)) == ADMITTED


def test_without_the_kdc_the_pacs_is_not_contacted(front: Callable[..., Gateway], own_kdc: Kdc) -> None:
    own_kdc.stop()
    with Spy([accept_all]) as spy:
        one = front(spy.address, positive_response="asked")
        assert outcome(one.address, login("alice", ALICE)) == CONGESTION
        assert "Cannot contact any KDC" in one.wait_for("Refused")[0]["reason"]
        assert spy.connections == []
