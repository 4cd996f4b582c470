"""With the KDC of a real Active Directory, Samba's, and a keytab that it exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import Accept, Decision, Pass, Reject
from dicomgate.testing.kdc import SERVICE
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.samba import PRINCIPAL, REALM, Samba
from dicomgate.testing.raw_client import ADMITTED, REFUSED_IDENTITY, login, outcome
from dicomgate.testing.system_gateway import StartGateway, configuration
from plugins.kerberos.tests.conftest import Make, ask
from plugins.kerberos.tests.initiator import Gss, Raw

LogIn = Callable[..., None]
ELSEWHERE = f"host/dc1.hospital.example@{REALM}"


@pytest.fixture(scope="module")
def keytab(samba: Samba) -> Path:
    assert PRINCIPAL == SERVICE
    return samba.keytab(PRINCIPAL)


@pytest.fixture
def log_in(samba: Samba, monkeypatch: pytest.MonkeyPatch) -> LogIn:
    """Give this process the ticket of a user of the directory."""

    def log_in(*options: str) -> None:
        for name, value in samba.log_in(*options).items():
            monkeypatch.setenv(name, value)

    return log_in


@pytest.mark.parametrize("typed", [PRINCIPAL, PRINCIPAL.replace("dicom/", "DICOM/"), PRINCIPAL.replace("gate", "Gate")])
def test_the_service_as_the_client_typed_it(gateway: StartGateway, keytab: Path, log_in: LogIn, typed: str) -> None:
    log_in("alice")
    table = {"use": "kerberos", "name": "ad", "keytab": keytab, "principal": PRINCIPAL, "strip_realms": [REALM]}
    with PynetdicomPacs() as pacs:
        running = gateway({**configuration(pacs.address), "authenticator": [table]})
        for client in (Gss(typed), Raw(typed)):
            knocks = [outcome(running.address, login(client.token, kind=3, response=True)) for _ in range(2)]
            assert knocks == [ADMITTED, REFUSED_IDENTITY]
        other = Gss(ELSEWHERE).token
        assert outcome(running.address, login(other, kind=3)) == REFUSED_IDENTITY
        assert {one["user"] for one in running.wait_for("Decided", 2, outcome="accept")} == {"alice"}
        reasons = {one["reason"] for one in running.wait_for("Decided", 2, outcome="reject")}
        assert reasons == {"a replay: this token was seen before"}
        assert f"the ticket is for {ELSEWHERE}, not for {PRINCIPAL}" in running.log()


def test_the_answer_to_a_service_in_other_letters_proves_the_gateway(kerberos: Make, log_in: LogIn) -> None:
    log_in("alice")
    for client in (Gss(PRINCIPAL.replace("dicom", "DICOM")), Raw(PRINCIPAL.replace("dicom", "DICOM"))):
        decision = ask(kerberos(), client.token)
        assert isinstance(decision, Accept), decision
        assert client.verify(decision.server_response)


@pytest.mark.parametrize(
    ("options", "user", "reason"),
    [
        (["-E", "Anna.Meier@hospital.example"], "", "'Anna.Meier@hospital.example' is an enterprise name (RFC 6806)"),
        (["-E", "-C", "Anna.Meier@hospital.example"], f"ameier@{REALM}", ""),
        (["-C", "ALICE"], f"alice@{REALM}", ""),
        (["ALICE"], f"ALICE@{REALM}", ""),  # the ticket has the name as it was typed
    ],
)
def test_names_that_are_not_the_accounts(
    kerberos: Make, log_in: LogIn, options: list[str], user: str, reason: str
) -> None:
    log_in(*options)
    decision: Decision = ask(kerberos(), Gss(PRINCIPAL).token)
    if user:
        assert isinstance(decision, Accept), decision
        assert decision.user == user
    else:
        assert isinstance(decision, Reject), decision
        assert reason in decision.reason


def test_a_keytab_of_before_a_new_password(kerberos: Make, samba: Samba, log_in: LogIn) -> None:
    """For a service in other letters too, the log says what is wrong with the keytab."""
    samba.set_passcode("svc-dicomgate", "another")
    log_in("alice")
    exact, other = (ask(kerberos(), Gss(typed).token) for typed in (PRINCIPAL, PRINCIPAL.replace("dicom", "DICOM")))
    assert isinstance(exact, Reject)
    assert isinstance(other, Pass)
    for decision in (exact, other):
        assert "kvno 2 in keytab" in decision.reason
