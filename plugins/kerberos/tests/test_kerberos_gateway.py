"""Over the wire: real clients with tickets of a real KDC, whole gateways, a real Orthanc."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import gssapi
import pytest

from dicomgate.testing.kdc import OTHER_SERVICE, REALM, SERVICE
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ADMITTED, REFUSED_IDENTITY, login, outcome
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from plugins.kerberos.tests.conftest import PAGE
from plugins.kerberos.tests.craft import ap_req, framed
from plugins.kerberos.tests.initiator import SPNEGO, Gss, Raw
from plugins.kerberos.tests.matrix import KEYS, MATRIX
from tests.stamina.process import GatewayProcess, tables_for

Start = Callable[..., Gateway]
TABLE = {"use": "kerberos", "name": "realm", "principal": SERVICE, "timeout": "20s"}


@pytest.fixture
def start(gateway: StartGateway, keytab: Path) -> Start:
    """Start a gateway that asks the kerberos authenticator alone."""

    def start(upstream: Address, **options: Any) -> Gateway:
        made = configuration(upstream, listener={"authenticators": ["realm"]})
        made["authenticator"] = [{**TABLE, "keytab": keytab, **options}]
        return gateway({**made, "throttle": {"source_free": 1000}})

    return start


def knock(address: Address, token: bytes) -> bytes:
    """How a login that asks for a response is answered: ADMITTED, or the A-ASSOCIATE-RJ."""
    return outcome(address, login(token, kind=3, response=True))


@pytest.mark.parametrize("form", ["gss", "raw"])
def test_storescu_stores_into_orthanc(start: Start, orthanc: Orthanc, tmp_path: Path, form: str) -> None:
    image = ct_slice(tmp_path / "ct.dcm")
    running = start(orthanc.address)
    make = Gss if form == "gss" else Raw
    client, elsewhere = make(), make(OTHER_SERVICE)
    file = tmp_path / "token"
    for token, right in ((elsewhere.token, False), (client.token, True), (client.token, False)):
        file.write_bytes(token)
        sent = storescu(running.address, tmp_path / "ct.dcm", options=["--kerberos", file, "-rsp"])
        assert (sent.status == 0) == right, sent.output
        assert right or "Rejected" in sent.output
    assert orthanc.instances() == [image.SOPInstanceUID]
    (accepted,) = running.wait_for("Decided", outcome="accept")
    assert (accepted["user"], accepted["authenticator"]) == (f"alice@{REALM}", "realm")
    (refused,) = running.wait_for("Decided", outcome="reject")
    assert refused["reason"] == "a replay: this token was seen before"
    assert f"the ticket is for {OTHER_SERVICE}, not for {SERVICE}" in running.log()
    told = running.log() + (running.folder / "audit.jsonl").read_text()
    assert client.token[40:60].hex() not in told


@pytest.mark.parametrize("form", ["gss", "raw", "spnego"])
def test_the_client_verifies_the_gateway(start: Start, orthanc: Orthanc, form: str) -> None:
    running = start(orthanc.address, forms=["gss", "raw", "spnego"], strip_realms=[REALM])
    client = Raw() if form == "raw" else Gss(mechanism=SPNEGO if form == "spnego" else gssapi.MechType.kerberos)
    asked = user_identity(3, client.token, positive_response_requested=True)
    with associate(running.address, identity=asked) as association:
        assert association.is_established
        assert association.send_c_echo().Status == 0
        answer = association.acceptor.user_identity.server_response
    assert answer not in (b"", client.token)
    assert client.verify(answer)
    assert running.wait_for("Decided", outcome="accept")[0]["user"] == "alice"
    with associate(running.address, identity=asked) as association:  # the same once more
        refusal = association.acceptor.primitive
        assert association.is_rejected
        assert (refusal.result, refusal.result_source, refusal.diagnostic) == (1, 2, 1)
    # Another client's answer is none for this one.
    stranger = Gss()
    assert not stranger.verify(answer)


def test_each_row_of_the_matrix_has_its_reason_in_the_audit(start: Start, crafted_keytab: Path) -> None:
    with PynetdicomPacs() as pacs:
        running = start(pacs.address, keytab=crafted_keytab)
        accepted = 0
        for number, (name, (reason, made)) in enumerate(MATRIX.items()):
            token = made()
            answer = knock(running.address, framed(token) if number % 2 else token)
            assert answer == (REFUSED_IDENTITY if reason else ADMITTED), name
            accepted += not reason
        refused = [reason for reason, _ in MATRIX.values() if reason]
        told = [event["reason"] for event in running.wait_for("Decided", len(refused), outcome="reject")]
        assert [reason.startswith(start) for reason, start in zip(told, refused, strict=True)] == [True] * len(refused)
        assert len(pacs.associations) == accepted
        # What libkrb5 accepts within the skew, and has ended, is no login.
        assert knock(running.address, ap_req(KEYS[0][2], version=3, ends=-200)) == REFUSED_IDENTITY
        assert "the credential ended at" in running.wait_for("Refused", len(refused) + 1)[-1]["reason"]


def test_several_services_are_several_tables(gateway: StartGateway, keytab: Path) -> None:
    with PynetdicomPacs() as pacs:
        tables = [{**TABLE, "keytab": keytab}, {**TABLE, "keytab": keytab, "name": "http", "principal": OTHER_SERVICE}]
        running = gateway({**configuration(pacs.address), "authenticator": tables})
        for service in (SERVICE, OTHER_SERVICE, SERVICE):
            token = Gss(service).token
            assert [knock(running.address, token) for _ in range(2)] == [ADMITTED, REFUSED_IDENTITY]
        accepted = [event["authenticator"] for event in running.wait_for("Decided", 3, outcome="accept")]
        assert accepted == ["realm", "http", "realm"]


def test_one_login_at_all_the_gateways_together(tmp_path: Path, keytab: Path) -> None:
    """Two gateways as on two machines: each has a replay cache of its own, and they share their state."""
    with Spy([accept_all, RELEASE_RP]) as pacs:
        gateways = []
        for name in ("one", "other", "stranger"):
            folder = tmp_path / name
            folder.mkdir()
            tables = tables_for(pacs.address[1], listener={"authenticators": ["realm"]})
            table = {**TABLE, "keytab": str(keytab), "replay_cache": str(folder / "replays")}
            tables["authenticator"].append(table)
            state = tmp_path / "state.sqlite" if name != "stranger" else folder / "state.sqlite"
            gateways.append(GatewayProcess(folder, {**tables, "state": {"path": str(state)}}))
        with gateways[0] as one, gateways[1] as other, gateways[2] as stranger:
            tokens = [client.token for client in (Gss(), Raw(), Gss())]
            for token in tokens:
                assert knock(one.address(), token) == ADMITTED
                assert knock(other.address(), token) == REFUSED_IDENTITY
                assert knock(one.address(), token) == REFUSED_IDENTITY
                assert knock(stranger.address(), token) == ADMITTED  # it would have been accepted
            wait_until(lambda: len(other.told("Decided", outcome="reject")) == len(tokens), "the audit telling of them")
            reasons = [event["reason"] for event in other.told("Decided", outcome="reject")]
            assert set(reasons) == {"the credential may be used once, and was used before"}
            wait_until(lambda: len(one.told("Opened")) == len(one.told("Closed")), "the last to leave")


def test_the_association_ends_with_the_ticket(start: Start, crafted_keytab: Path) -> None:
    with PynetdicomPacs() as pacs:
        running = start(pacs.address, keytab=crafted_keytab)
        for form in (bytes, framed):
            token = form(ap_req(KEYS[0][2], version=3, ends=2))
            with associate(running.address, identity=user_identity(3, token)) as association:
                assert association.is_established
                wait_until(lambda: association.is_aborted, "the ticket's end")
        causes = [event["cause"] for event in running.wait_for("Closed", 2)]
        assert ["credential" in cause for cause in causes] == [True, True]


def test_the_keytab_after_a_reload(start: Start, crafted_keytab: Path) -> None:
    with PynetdicomPacs() as pacs:
        running = start(pacs.address, keytab=crafted_keytab)
        crafted_keytab.chmod(0o644)
        assert not running.reload()
        assert "everybody may read or write this file" in running.log()
        assert knock(running.address, ap_req(KEYS[0][2], version=3)) == ADMITTED
        crafted_keytab.chmod(0o600)
        assert running.reload()
        assert knock(running.address, ap_req(KEYS[0][2], version=3)) == ADMITTED


def test_the_configuration_of_the_page(gateway: StartGateway, keytab: Path, tmp_path: Path) -> None:
    (text,) = [block for block in PAGE.read_text("utf-8").split("```") if block.startswith("toml\n[[listener]]")]
    (shown,) = tomllib.loads(text.removeprefix("toml\n"))["authenticator"]
    assert shown["principal"] == SERVICE
    with PynetdicomPacs() as pacs:
        files = {"keytab": keytab, "replay_cache": tmp_path / "replays"}
        running = gateway({**configuration(pacs.address), "authenticator": [{**shown, **files}]})
        for client in islice(iter(Gss, None), 2):
            assert knock(running.address, client.token) == ADMITTED
            assert knock(running.address, client.token) == REFUSED_IDENTITY
        assert {event["user"] for event in running.wait_for("Decided", 2, outcome="accept")} == {"alice"}
