"""An assertion is accepted once: by any gateway, in any spelling, and across restarts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RawClient, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from dicomgate_saml import Saml
from dicomgate_saml.document import read_document
from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import ISSUER, assertion, at, authenticator, conditions, mint, response, table, written
from plugins.saml.tests.sealing import GATE, sealed
from tests.stamina.process import GatewayProcess, tables_for

SOURCES = [f"127.0.2.{number}" for number in range(1, 9)]
USED = "the credential may be used once, and was used before"


def knock(address: Address, document: bytes, source: str = SOURCES[0]) -> bytes:
    """The type of the PDU that answers, or the whole A-ASSOCIATE-RJ."""
    with RawClient(address, source=source) as client:
        answer = client.ask(request(login(document.decode(), b"", kind=4)))
        if answer[:1] == b"\2":
            client.release()
            return b"\2"
        return answer


def at_once(calls: Sequence[tuple[Any, ...]]) -> list[bytes]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(lambda call: knock(*call), calls))


def reasons(running: Gateway) -> set[str]:
    """Why logins were refused so far."""
    return {event["reason"] for event in running.told("Decided", outcome="reject")}


ONE_OF_EIGHT = [b"\2", *[REFUSED_IDENTITY] * 7]


def test_eight_at_once(gateway: StartGateway, spy: Spy, tmp_path: Path) -> None:
    running = gateway(configuration(spy.address, table(tmp_path)))
    for _ in range(5):
        document = mint()
        # Bare and in a Response, each from its own place: for the throttle none is a repetition of another.
        forms = [document, response(document)] * 4
        calls = [(running.address, form, source) for form, source in zip(forms, SOURCES, strict=True)]
        assert at_once(calls) == ONE_OF_EIGHT
    assert reasons(running) == {USED}


def test_without_single_use_as_often_as_one_likes(gateway: StartGateway, spy: Spy, tmp_path: Path) -> None:
    """The control: it is the replay cache that refuses. An assertion that says OneTimeUse is used once all the same."""
    running = gateway(configuration(spy.address, table(tmp_path, single_use=False)))
    document = mint()
    assert at_once([(running.address, document, source) for source in SOURCES]) == [b"\2"] * 8
    once = mint(conditions=conditions(more="<saml:OneTimeUse/>"))
    assert at_once([(running.address, once, source) for source in SOURCES]) == ONE_OF_EIGHT


def test_two_processes_and_after_a_restart(spy: Spy, tmp_path: Path) -> None:
    def process(number: int) -> GatewayProcess:
        folder = tmp_path / f"gateway-{number}"
        folder.mkdir()
        tables = tables_for(spy.address[1], listener={"authenticators": ["sso"]})
        tables["authenticator"].append(table(tmp_path, timeout="20s"))
        return GatewayProcess(folder, tables | {"state": {"path": str(tmp_path / "state.sqlite")}})

    used = []
    with process(1) as one:
        with process(2) as other:
            for _ in range(4):
                document = mint()
                used.append(document)
                addresses = [one.address(), other.address()] * 4
                calls = [(there, document, source) for there, source in zip(addresses, SOURCES, strict=True)]
                assert at_once(calls) == ONE_OF_EIGHT
        with process(3) as again:
            for there in (one.address(), again.address()):
                for document in used:
                    assert knock(there, document) == REFUSED_IDENTITY
                    assert knock(there, response(document), SOURCES[1]) == REFUSED_IDENTITY
            assert knock(again.address(), mint()) == b"\2"


def test_it_is_used_up_by_whom_it_was_accepted_from(gateway: StartGateway, spy: Spy, tmp_path: Path) -> None:
    """One that was refused for something else may come again: for its address, for instance, from the right one."""
    running = gateway(configuration(spy.address, table(tmp_path)))
    document = mint(subject=m.subject("ada", m.confirmation(address=SOURCES[1])))
    assert knock(running.address, document, SOURCES[0]) == REFUSED_IDENTITY
    assert knock(running.address, document, SOURCES[1]) == b"\2"
    assert knock(running.address, document, SOURCES[1]) == REFUSED_IDENTITY


# -- the key -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def judge(tmp_path: Path) -> Saml:
    return authenticator(tmp_path, key_file=written(tmp_path / "gate.key", GATE.private_pem, 0o600))


def key(judge: Saml, document: bytes) -> str:
    once = m.accepted(judge, document).once
    assert once is not None
    return once.key


def spellings(document: bytes) -> dict[str, bytes]:
    """The same assertion, signed as it is, in other bytes (xml-c14n 1.1 makes one of them)."""
    text = document.decode()
    empty, whole = r"<ds:DigestMethod ([^>]*)/>", r"<ds:DigestMethod \1></ds:DigestMethod>"
    return {
        "in a Response": response(document),
        "in another Response": response(document, issuer=None),
        "encrypted": sealed(document),
        "encrypted, in a Response": response(sealed(document)),
        "with a declaration": b"<?xml version='1.0' encoding='UTF-8'?>\n" + document,
        "between blanks": b"\r\n " + document + b"\n\n",
        "padded": document + b"\0",
        "the ID by numbers": text.replace('ID="_a1"', 'ID="&#95;&#x61;1"').encode(),
        "the ID in other quotes": text.replace('ID="_a1"', "ID='_a1'").encode(),
        "blanks in the tag": text.replace(' ID="_a1"', ' \t\n ID = "_a1" ', 1).encode(),
        "attributes in another order": re.sub(r'( ID="_a1")(.*?)( IssueInstant="[^"]*")', r"\3\2\1", text).encode(),
        "a blank in an end tag": text.replace("</saml:Issuer>", "</saml:Issuer >").encode(),
        "the issuer by numbers": text.replace(f">{ISSUER}<", f">&#104;{ISSUER[1:]}<").encode(),
        "an attribute of the issuer by numbers": text.replace('Version="2.0"', 'Version="&#50;.0"').encode(),
        "a namespace more": text.replace("<saml:Assertion", '<saml:Assertion xmlns:x="urn:x"', 1).encode(),
        "an empty element, in two tags": re.sub(empty, whole, text).encode(),
        "without its KeyInfo": re.sub(r"<ds:KeyInfo>.*?</ds:KeyInfo>", "", text, flags=re.DOTALL).encode(),
        "blanks in the signature's value": re.sub(r"(<ds:SignatureValue>)", r"\1 \n", text).encode(),
    }  # fmt: skip


def test_the_key_does_not_depend_on_how_it_is_written(judge: Saml) -> None:
    document = mint(id="_a1")
    for name, written_otherwise in spellings(document).items():
        assert written_otherwise != document, name
        assert key(judge, written_otherwise) == f"{ISSUER}\0_a1", name


def test_one_login_for_all_spellings(gateway: StartGateway, spy: Spy, tmp_path: Path) -> None:
    gate = str(written(tmp_path / "gate.key", GATE.private_pem, 0o600))
    running = gateway(configuration(spy.address, table(tmp_path, key_file=gate)))
    document = mint(id="_a1")
    assert knock(running.address, spellings(document)["the ID by numbers"]) == b"\2"
    for number, other in enumerate((document, *spellings(document).values())):
        assert knock(running.address, other, f"127.0.3.{number + 1}") == REFUSED_IDENTITY
    assert reasons(running) == {USED}
    assert knock(running.address, mint(id="_a2")) == b"\2"


def test_another_assertion_has_another_key(judge: Saml, tmp_path: Path) -> None:
    keys = {key(judge, mint(id=one)) for one in ("_a1", "_a2", "_A1", "_a1.")}
    assert len(keys) == 4
    (tmp_path / "other").mkdir()
    other = authenticator(tmp_path / "other", issuer="https://other.example")
    assert key(other, mint(id="_a1", issuer="https://other.example")) not in keys
    assert len({key(judge, mint()) for _ in range(3)}) == 3


def test_the_same_id_signed_anew_is_the_same(judge: Saml) -> None:
    """saml-core-2.0-os 1.3.4: an issuer gives an ID once. What else says it is it is taken for the same."""
    assert key(judge, mint(id="_a1")) == key(judge, mint("ben", id="_a1"))
    assert key(judge, m.sign_by_hand(assertion(id="_a1"))) == key(judge, mint(id="_a1"))


def test_it_is_remembered_for_as_long_as_it_would_be_accepted(tmp_path: Path) -> None:
    for skew in (timedelta(0), timedelta(minutes=1), timedelta(minutes=3)):
        judge = authenticator(tmp_path, clock_skew=skew)
        ends = at(300)
        answer = m.accepted(judge, mint(conditions=conditions(ends=ends)))
        assert answer.once is not None
        wanted = datetime.fromisoformat(str(ends).replace("Z", "+00:00")) + skew
        assert abs(answer.once.until - wanted) < timedelta(milliseconds=1)
        now = answer.once.until.astimezone(UTC).timestamp()
        document = read_document(assertion(conditions=conditions(ends=ends)))
        for moment, is_over in ((now - 0.001, False), (now + 0.001, True)):
            found = judge.rules.problems(document, address="192.0.2.1", certificate=None, now=moment)
            assert any(problem.claim == "Conditions" for problem in found) == is_over
