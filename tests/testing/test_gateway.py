"""The fixture `gateway` of the kit: a whole gateway, a PACS behind it, and three clients that agree."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from pydicom import Dataset

from dicomgate import Accept, Attempt, ConfigError, Decision, Identity, Reject, Unavailable
from dicomgate.scu.dimse import command_pdu
from dicomgate.testing import attempt, jwt, kerberos, passcode, saml, username
from dicomgate.testing.gateway import Gateway, Login, StartGateway
from dicomgate.testing.pacs import Pacs
from dicomgate.testing.peers.certificates import make_certificates
from dicomgate.testing.raw_client import RawClient, p_data, request

pytest_plugins = ["dicomgate.testing.plugin"]

CLIENTS = ["echo", "pynetdicom", "storescu"]
GOOD, BAD = passcode("alice", "correct horse"), passcode("alice", "battery staple")


@dataclass
class Ward:
    """Alice, and what it was asked."""

    secret: str = "correct horse"
    grace: timedelta = timedelta(seconds=1)
    answer: Decision | None = None
    asked: list[Attempt] = field(default_factory=list)

    def authenticate(self, attempt: Attempt) -> Decision:
        self.asked.append(attempt)
        if self.answer is not None:
            return self.answer
        right = attempt.identity is not None and attempt.identity.secondary == self.secret.encode()
        return Accept("alice", frozenset({"ward"}), attributes={"bed": "7"}) if right else Reject("not alice")


@pytest.mark.parametrize("client", CLIENTS)
def test_who_logs_in_and_who_does_not(gateway: StartGateway, client: str) -> None:
    gate = gateway(Ward)
    log_in = getattr(gate, client)
    assert log_in(GOOD) == Login(True, "", None, "", "alice", ("ward",), {"bed": "7"})
    assert log_in(BAD) == Login(False, "A-ASSOCIATE-RJ 1,2,1", None, "not alice", None, (), {})
    assert log_in(GOOD).established
    assert gate.pacs.identities == [None, None]
    assert (gate.pacs.echoes, len(gate.pacs.stored)) == ((0, 2) if client == "storescu" else (2, 0))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "identity",
    [username("zoë"), passcode("zoë", "ç"), kerberos(b"\x6e\0\xff"), saml("<a/>"), jwt("e30"), None],
    ids=lambda it: it.type.name if it else "none",
)
def test_every_identity_arrives_as_it_is(gateway: StartGateway, client: str, identity: Identity | None) -> None:
    ward = Ward(answer=Accept("zoë"))
    login = getattr(gateway(ward, listener={"identity": "optional"}), client)(identity, calling="CT_1")
    assert (login.established, login.user) == (True, "zoë")
    (asked,) = ward.asked
    assert (asked.identity, asked.calling_ae_title, asked.called_ae_title) == (identity, "CT_1", "PACS")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_response(gateway: StartGateway, client: str) -> None:
    gate = gateway(Ward(answer=Accept("alice", server_response=b"thanks")))
    log_in = getattr(gate, client)
    assert log_in(jwt("e30")).server_response is None
    asked = log_in(jwt("e30", positive_response_requested=True))
    assert asked.established
    assert asked.server_response == (None if client == "storescu" else b"thanks")


def test_by_class_by_object_and_by_name(gateway: StartGateway, tmp_path: Path) -> None:
    assert gateway(Ward, secret="battery staple", name="other").echo(BAD).established
    assert gateway(Ward(secret="battery staple"), timeout=timedelta(seconds=3)).echo(BAD).established
    assert gateway(lambda secret: Ward(secret), secret="battery staple", name="made").echo(BAD).established
    users = tmp_path / "users.htpasswd"
    users.touch(mode=0o600)
    gate = gateway("passcode", file="users.htpasswd")
    assert gate.echo(GOOD).reason == "unknown user"
    assert gate.audit()[1]["authenticator"] == "passcode"


@pytest.mark.parametrize(
    ("authenticator", "keys", "words"),
    [
        (Ward, {"sekret": "x"}, "did you mean 'secret'"),
        (Ward, {"grace": "soon"}, "grace"),
        (Ward(), {"secret": "x"}, "unknown key"),
        ("no-such-one", {}, "no authenticator is called 'no-such-one'"),
    ],
)
def test_a_wrong_table_is_what_check_would_say(
    gateway: StartGateway, authenticator: object, keys: dict[str, Any], words: str
) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError, match=words):
        gateway(authenticator, **keys)
    assert threading.active_count() == before
    assert gateway(Ward, grace=timedelta(milliseconds=500)).echo(GOOD).established


def test_a_guess_is_not_throttled_and_what_is_down_is_told(gateway: StartGateway) -> None:
    gate = gateway(Ward)
    assert {gate.echo(passcode("alice", f"guess-{number}")).reason for number in range(8)} == {"not alice"}
    assert gate.echo(GOOD).established
    down = gateway(Ward(answer=Unavailable("the directory is down"))).echo(GOOD)
    assert (down.refusal, down.reason) == ("A-ASSOCIATE-RJ 2,2,1", "the directory is down")
    nobody = gate.echo()
    assert nobody.refusal == "A-ASSOCIATE-RJ 1,2,1"
    assert "identity" in nobody.reason


def test_through_tls_with_a_client_certificate(gateway: StartGateway, tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    tls = {"certificate": made.server.certificate, "key": made.server.key, "client_ca": made.ca}
    ward = Ward()
    gate = gateway(ward, listener={"tls": tls, "cleartext_passcodes": False})
    context = made.client_context(made.client)
    assert gate.echo(GOOD, tls=context).established
    assert ward.asked[0].peer.certificate


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    users = tmp_path / "users"
    users.touch(mode=0o600)
    with Gateway(tmp_path, "one", {"use": "passcode", "file": users}) as gate:
        assert not gate.echo(GOOD).established
        addresses = gate.address, gate.pacs.address
    assert set(threading.enumerate()) == before
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


@pytest.mark.parametrize("client", ["storescu", "pynetdicom"])
def test_a_client_that_is_not_installed_skips_the_test(
    gateway: StartGateway, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = gateway(Ward)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    with pytest.raises(pytest.skip.Exception):
        getattr(gate, client)(GOOD)
    assert gate.echo(GOOD).established


def test_the_pacs_answers_what_is_no_dicom_with_an_abort() -> None:
    with Pacs() as pacs, socket.create_connection(pacs.address, 20) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(10)[0] == 7
        assert client.recv(1) == b""


def test_the_pacs_has_stored_when_it_has_the_whole_data_set() -> None:
    command = Dataset()
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    command.CommandField, command.MessageID, command.CommandDataSetType = 0x0001, 1, 0x0000
    last = pack(">BBLLBB", 4, 0, 8, 4, 1, 2) + b"\0\0"  # P-DATA-TF with the last fragment of a data set
    with Pacs() as pacs, RawClient(pacs.address) as client:
        assert client.ask(request())[0] == 2
        client.send(command_pdu(1, command), p_data(b"\0\0"))
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.pdu()
        client.socket.settimeout(20)
        assert client.ask(last)[0] == 4
        assert pacs.stored == ["1.2.3"]
        assert client.release()[0] == 6


def test_an_attempt_of_the_kit_is_what_a_gateway_makes(gateway: StartGateway) -> None:
    ward = Ward()
    gateway(ward).echo(GOOD)
    (asked,) = ward.asked
    assert attempt(GOOD).abstract_syntaxes == asked.abstract_syntaxes
    assert (attempt(GOOD).listener, attempt(GOOD).identity) == (asked.listener, asked.identity)
