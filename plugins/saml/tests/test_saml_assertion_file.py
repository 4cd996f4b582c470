"""`use = "assertion-file"`: what is presented, whom the gateway behind lets in, and what is told."""

from __future__ import annotations

import asyncio
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomgate import Admission, ConfigError, IdentityType, Presented, Unavailable
from dicomgate.testing import CredentialContract, admission, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.page_contract import Keys, defaults, documented
from dicomgate.testing.pages import DOCS, blocks
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ADMITTED, CONGESTION, REFUSED_IDENTITY, login, outcome
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_saml import AssertionFile
from plugins.saml.tests.mint import RSA, STRANGER, USER, assertion, conditions, mint, response, written
from plugins.saml.tests.mint import table as issuer_table
from plugins.saml.tests.sealing import sealed_by_xmlsec

PAGE = DOCS / "credentials.md"


def replaced(path: Path, content: bytes, mode: int = 0o600) -> Path:
    written(path.with_suffix(".new"), content, mode).rename(path)
    return path


def presented(credential: AssertionFile, at: datetime | None = None) -> Presented | Unavailable:
    return asyncio.run(credential.present(admission(time=at)))


def content(credential: AssertionFile) -> bytes:
    answer = presented(credential)
    assert isinstance(answer, Presented), answer
    assert (answer.identity.type, answer.identity.secondary, answer.verify) == (IdentityType.SAML, b"", None)
    return answer.identity.primary


def test_the_assertion_of_now_until_its_end(tmp_path: Path) -> None:
    first, second = (mint(conditions=conditions(ends=ends)) for ends in (300, 900))
    file = replaced(tmp_path / "assertion.xml", b"\xef\xbb\xbf" + first + b"\r\n")
    credential = AssertionFile(file=file)
    assert content(credential) == first
    answer = presented(credential)
    assert isinstance(answer, Presented)
    assert answer.expires_at is not None
    assert timedelta(seconds=290) < answer.expires_at - datetime.now(UTC) < timedelta(seconds=301)
    assert isinstance(presented(credential, answer.expires_at - timedelta(seconds=1)), Presented)
    ended = presented(credential, answer.expires_at)
    assert isinstance(ended, Unavailable)
    assert ended.reason.startswith(f"{file}: the assertion ended at ")
    replaced(file, second)
    assert isinstance(presented(credential, answer.expires_at), Presented)
    assert content(credential) == second


def test_other_forms(tmp_path: Path) -> None:
    for number, sent in enumerate((response(mint()), sealed_by_xmlsec(mint()))):
        file = replaced(tmp_path / f"{number}.xml", sent)
        assert content(AssertionFile(file=file)) == sent


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (b"", "not well-formed XML"),
        (b"<a/>", "neither a SAML 2.0 Assertion nor a Response"),
        (assertion(), "the assertion is not signed"),
        (mint(conditions=conditions(more="<saml:OneTimeUse/>")), "OneTimeUse"),
        (mint(conditions=conditions(ends="2026-11-29T10:00:00")), "NotOnOrAfter is not one time in UTC"),
        (b"x" * 65_536, "longer than 65535 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_used(tmp_path: Path, broken: bytes, words: str) -> None:
    file = replaced(tmp_path / "assertion.xml", broken)
    with pytest.raises(ConfigError, match=words) as refused:
        AssertionFile(file=file)
    assert str(file) in str(refused.value)
    good = mint()
    credential = AssertionFile(file=replaced(file, good))
    replaced(file, broken)
    assert content(credential) == good
    replaced(file, mint(), 0o644)
    assert content(credential) == good


class TestAssertionFile(CredentialContract):
    wrong_tables = (({"file": "/nowhere/assertion.xml"}, "/nowhere/assertion.xml: cannot be read"),)

    @pytest.fixture
    def credential(self, tmp_path: Path) -> AssertionFile:
        return AssertionFile(file=replaced(tmp_path / "assertion.xml", mint()))

    @pytest.fixture
    def good(self) -> Admission:
        return admission(identity=passcode("alice", ALICE))


def test_the_gateway_behind_lets_in_whom_the_assertion_names(gateway: StartGateway, tmp_path: Path) -> None:
    (text,) = [block.text for block in blocks(PAGE, "toml") if 'use = "assertion-file"' in block.text]
    ((shown,),) = tomllib.loads(text).values()
    assert documented(PAGE, Keys(AssertionFile, under="assertion-file"), {}) == defaults(AssertionFile)
    file = replaced(tmp_path / Path(shown["file"]).name, mint())
    with Spy([accept_all, RELEASE_RP] * 2) as spy:
        pem = written(tmp_path / "idp.pem", RSA.pem)
        judge = issuer_table(tmp_path, "idp", certificates=[pem], single_use=False, check_address=False, timeout="20s")
        behind = gateway(configuration(spy.address, judge))
        front = gateway(
            {
                **configuration(behind.address, upstream={"credential": shown["name"]}),
                "credential": [{**shown, "file": file}],
            }
        )
        assert [outcome(front.address, login("alice", ALICE)) for _ in range(2)] == [ADMITTED] * 2
        assert {record["user"] for record in behind.wait_for("Decided", 2, outcome="accept")} == {USER}
        replaced(file, mint(key=STRANGER))
        assert outcome(front.address, login("alice", ALICE)) == REFUSED_IDENTITY
        replaced(file, mint(conditions=conditions(begins=-600, ends=-120)))
        assert outcome(front.address, login("alice", ALICE)) == CONGESTION
        assert len(behind.told("Decided")) == 3  # the last was not even asked
