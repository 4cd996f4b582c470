"""No secret in a log, an audit record or the repr of a value, whatever goes wrong.

What the whole run logged at DEBUG is searched when it ends (gateways.evidence); here is what goes wrong, and the proof
that the search finds what there is to find.
"""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomgate import Accept, Attempt, ConfigError, Identity, IdentityType, Peer
from dicomgate.association.effects import ToClient, ToUpstream
from dicomgate.testing.evidence import ALICE, SECRETS, WRONG, ZOE, Evidence, spellings
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ABORT, REFUSED_IDENTITY, RawClient, item, log_in, login, request
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate.wire.associate import AssociateAccept, AssociateRequest

TOKEN = SECRETS[3]
MISPLACED = [
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.{TOKEN.decode()}",
    f"Bearer {TOKEN.decode()}",
    f"<saml:Assertion>{TOKEN.decode()}</saml:Assertion>",
]
"""What is a secret, in the field for the username."""


@pytest.mark.parametrize("secret", SECRETS[:4])
@pytest.mark.parametrize(
    "written",
    [
        lambda secret: secret,
        lambda secret: repr(secret).encode(),
        lambda secret: repr(secret.decode()).encode(),
        lambda secret: secret.hex().encode(),
        lambda secret: base64.b64encode(secret),
        lambda secret: base64.b64encode(b"u:" + secret + b"/"),
        lambda secret: base64.urlsafe_b64encode(b"user:" + secret),
        lambda secret: secret.decode().encode("utf-16-le"),
        lambda secret: repr(login("alice", secret)).encode(),
    ],
)
def test_the_search_finds_what_is_there(secret: bytes, written: Callable[[bytes], bytes], tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.log.write_bytes(b"a line\nanother\n")
    assert evidence.found() == []
    with evidence.log.open("ab") as log:
        log.write(b"DEBUG user alice: " + written(secret) + b" is wrong\n")
    [found] = evidence.found()
    assert found.startswith(f"debug.log:3: secret {SECRETS.index(secret)}")


def test_the_search_looks_into_audits(evidence: Evidence, gateway: StartGateway, tmp_path: Path) -> None:
    with Spy([accept_all, RELEASE_RP]) as spy:
        running = gateway(configuration(spy.address))
        assert log_in(running.address, [login("alice", ALICE)])[0] == 2
        identifier = running.wait_for("Closed")[0]["id"]
    running.finish()
    assert identifier in evidence.audits.read_text()
    assert identifier in evidence.log.read_text()


@pytest.mark.parametrize("identity", ["strip", "forward"])
def test_whatever_goes_wrong(gateway: StartGateway, evidence: Evidence, identity: str) -> None:
    malformed = item(0x58, login("alice", WRONG)[4:] + b"left over")
    too_long = item(0x58, login("alice", WRONG)[4:].replace(b"\0\x05alice", b"\0\x50alice"))
    with Spy([accept_all, RELEASE_RP]) as spy:
        running = gateway(configuration(spy.address, upstream={"identity": identity}))
        good = [login("alice", ALICE, response=True)], [login("zoë", ZOE)]
        refused = (
            [login("alice", WRONG)],
            [login("alice", ALICE + b"\0")],
            [login("nobody", WRONG)],
            [login("\u202e\n" + WRONG.decode(), WRONG)],  # not a username: it has a control character
            [login("alice", WRONG, kind=1)],
            [login(TOKEN.decode(), b"", kind=5)],
            *([login(secret, b"", kind=1)] for secret in MISPLACED),
            *([login(secret, WRONG)] for secret in MISPLACED),
            *([login(f"{secret}\n", WRONG)] for secret in MISPLACED),  # a file that was read with its line end
            [login(TOKEN.decode(), b"", kind=6)],
            [login("alice", WRONG), login("alice", ALICE)],
            [malformed],
            [too_long],
        )
        for sub_items in good:
            assert log_in(running.address, sub_items)[0] == 2
        for sub_items in refused:
            assert log_in(running.address, sub_items)[0] in (3, 7)
        with RawClient(running.address) as client:
            client.send(request(login("alice", ALICE))[:-1])  # it gives up in the middle of its passcode
        with RawClient(running.address) as client:
            client.send(request(login("alice", ALICE)), request(login("alice", ALICE)))
            assert client.pdu()[0] == 7
        assert len(spy.connections) == len(good)
        assert any(spelled in spy.received() for spelled in spellings(ALICE)) is (identity == "forward")
        running.wait_for("Closed", len(good) + len(refused) + 2)
    assert evidence.found() == []


@pytest.mark.parametrize("answer", [ABORT, b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["abort", "HTTP", "nothing"])
def test_an_upstream_that_was_told_the_passcode_and_fails(
    gateway: StartGateway, evidence: Evidence, answer: bytes
) -> None:
    with Spy([answer]) as spy:
        running = gateway(configuration(spy.address, upstream={"identity": "forward", "timeout": "200ms"}))
        assert log_in(running.address, [login("alice", ALICE)])[0] in (3, 7)
        assert ALICE in spy.received()
        assert running.wait_for("Refused")
    assert evidence.found() == []


def test_the_repr_of_values() -> None:
    identity = Identity(IdentityType.USERNAME_AND_PASSCODE, b"alice", ALICE, positive_response_requested=True)
    sent = request(login("alice", ALICE))
    asked = AssociateRequest.parse(sent)
    assert asked.identity is not None
    assert asked.identity.secondary == ALICE
    attempt = Attempt("1", identity, "A", "B", Peer("::1", 1), "clinical", (), datetime.now(UTC))
    token = replace(identity, type=IdentityType.JWT, primary=TOKEN, secondary=b"")
    values = [
        identity,
        token,
        asked,
        attempt,
        replace(attempt, identity=token),
        Accept("alice", server_response=ALICE),
        AssociateAccept((), server_response=ALICE),
        # With identity = "forward" the passcode goes to the PACS.
        ToUpstream(sent),
        ToClient(sent),
    ]
    for value in values:
        assert not shown(value)
    assert "alice" in repr(identity)  # a username is not a secret
    assert shown(ALICE)
    assert shown((sent,))


def shown(value: object) -> bool:
    texts = [repr(value).encode(), str(value).encode(), repr([value]).encode()]
    return any(spelled in text for text in texts for secret in (ALICE, TOKEN) for spelled in spellings(secret))


def test_a_passcode_in_the_clear_is_not_even_shown_to_an_authenticator(
    gateway: StartGateway, install_authenticator: Callable[[str], str], spy: Spy
) -> None:
    """cleartext_passcodes = false on a listener without TLS."""
    judge = install_authenticator("""
        from dicomgate import Accept, IdentityType
        class Judge:
            handles = {IdentityType.JWT}
            async def authenticate(self, attempt):
                return Accept("anybody")
    """)
    tables = configuration(spy.address, listener={"cleartext_passcodes": False})
    with pytest.raises(ConfigError, match="passcodes would cross the network in the clear"):
        gateway(tables)
    tables["authenticator"].append({"use": judge})
    tables["listener"][0]["authenticators"] = [judge]
    running = gateway(tables)
    assert log_in(running.address, [login("a.b.c", b"", kind=5)])[0] == 2
    assert log_in(running.address, [login("alice", ALICE)]) == REFUSED_IDENTITY
    [refused] = running.wait_for("Refused")
    assert "without TLS" in refused["reason"]
    assert len(running.told("Decided")) == len(spy.connections) == 1
