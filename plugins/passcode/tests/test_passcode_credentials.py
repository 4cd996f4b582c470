"""`use = "service"` and `use = "username"`: what is presented, who the gateway behind lets in, and what is told."""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import Admission, ConfigError, Credential, IdentityType, Presented, Unavailable
from dicomgate.testing import CredentialContract, admission, passcode
from dicomgate.testing.evidence import ALICE, WRONG, ZOE
from dicomgate.testing.gateway import Table
from dicomgate.testing.page_contract import Keys, defaults, documented
from dicomgate.testing.pages import DOCS, blocks
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ADMITTED, REFUSED_IDENTITY, login, outcome
from dicomgate.testing.system_gateway import STAFF, StartGateway, configuration
from dicomgate.testing.watching import logged
from dicomgate_passcode import Service, Username

PAGE = DOCS / "credentials.md"
FIRST, SECOND = b"correct horse \xe2\x82\xac", b"battery staple"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pacs.passcode"
    path.touch(0o600)
    path.write_bytes(FIRST + b"\n")
    return path


async def present(credential: Credential, user: str = "alice") -> Presented | Unavailable:
    answer = credential.present(admission(user))
    assert not isinstance(answer, Presented | Unavailable)
    return await answer


def presented(credential: Credential, user: str = "alice") -> tuple[IdentityType, bytes, bytes]:
    answer = asyncio.run(present(credential, user))
    assert isinstance(answer, Presented), answer
    assert (answer.verify, answer.expires_at) == (None, None)
    return answer.identity.type, answer.identity.primary, answer.identity.secondary


def replaced(path: Path, content: bytes, mode: int = 0o600) -> None:
    new = path.with_suffix(".new")
    new.touch(mode)
    new.write_bytes(content)
    new.rename(path)


def test_one_account_for_everybody(file: Path) -> None:
    service = Service(username="gäteway", passcode_file=file)
    for user in ("alice", "zoë"):
        assert presented(service, user) == (2, "gäteway".encode(), FIRST)


def test_the_passcode_of_now(file: Path) -> None:
    service = Service(username="gateway", passcode_file=file)
    replaced(file, SECOND)
    assert presented(service)[2] == SECOND
    with logged() as lines:
        for content, mode in ((b"two\nlines\n", 0o600), (FIRST, 0o644), (b"", 0o600)):
            replaced(file, content, mode)
            assert presented(service)[2] == SECOND
    assert sum("the last good version stays in use" in line for line in lines) == 3
    replaced(file, FIRST)
    assert presented(service)[2] == FIRST


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (os.unlink, "cannot be read"),
        (lambda path: path.chmod(0o644), "everybody may read"),
        (lambda path: path.write_bytes(b"\n"), "one line of 1 to 1024 bytes"),
    ],
)
def test_a_file_that_cannot_be_used(file: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(file)
    with pytest.raises(ConfigError, match=words) as refused:
        Service(username="gateway", passcode_file=file)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("name", ["", " gateway", "gate\nway", "g" * 257])
def test_a_name_that_nobody_can_have(file: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="username: must be"):
        Service(username=name, passcode_file=file)


def test_the_user_that_was_verified() -> None:
    assert presented(Username(), "zoë@HOSPITAL") == (1, "zoë@HOSPITAL".encode(), b"")


class TestService(CredentialContract):
    wrong_tables = (({"username": 5}, "username: must be text"),)
    secrets = (ZOE.decode(),)

    @pytest.fixture
    def credential(self, file: Path) -> Service:
        replaced(file, ZOE)
        return Service(username="gateway", passcode_file=file)

    @pytest.fixture
    def good(self) -> Admission:
        return admission(identity=passcode("alice", ALICE))


class TestUsername(CredentialContract):
    @pytest.fixture
    def credential(self) -> Username:
        return Username()

    @pytest.fixture
    def good(self) -> Admission:
        return admission(identity=passcode("alice", ALICE))


@pytest.mark.parametrize(
    ("use", "staff", "user"),
    [
        ({"use": "service", "username": "zoë", "passcode_file": "ours"}, {}, "zoë"),
        ({"use": "username"}, {"username_only": True}, "alice"),
    ],
    ids=["service", "username"],
)
def test_the_gateway_behind_lets_in_whom_it_is_shown(
    gateway: StartGateway, tmp_path: Path, use: Table, staff: Table, user: str
) -> None:
    replaced(tmp_path / "ours", ZOE)
    table = {**use, "name": "ours", **({"passcode_file": tmp_path / "ours"} if "passcode_file" in use else {})}
    with Spy([accept_all, RELEASE_RP, accept_all, RELEASE_RP]) as spy:
        behind = gateway(configuration(spy.address, {**STAFF, **staff}))
        front = gateway({**configuration(behind.address, upstream={"credential": "ours"}), "credential": [table]})
        for typed, answer in ((WRONG, REFUSED_IDENTITY), (ALICE, ADMITTED)):
            assert outcome(front.address, login("alice", typed)) == answer
        assert [record["user"] for record in behind.wait_for("Decided")] == [user]
        replaced(tmp_path / "ours", WRONG)
        refused = user == "zoë"
        assert outcome(front.address, login("alice", ALICE)) == (REFUSED_IDENTITY if refused else ADMITTED)
        assert ALICE not in spy.received()


def test_the_page(gateway: StartGateway, tmp_path: Path) -> None:
    assert documented(PAGE, Keys(Service, under="service"), {}) == defaults(Service)
    replaced(tmp_path / "hospital.passcode", ZOE)
    found = [table for block in blocks(PAGE, "toml") for table in tomllib.loads(block.text).get("credential", [])]
    tables = {table["use"]: table for table in found if table["use"] in ("service", "username")}
    tables["service"]["passcode_file"] = tmp_path / tables["service"]["passcode_file"]
    with Spy([accept_all, RELEASE_RP] * 2) as spy:
        made = configuration(spy.address, upstream={"credential": tables["service"]["name"], "called_ae_titles": ["A"]})
        made["upstream"].append({**made["upstream"][0], "name": "other", "credential": tables["username"]["name"],
                                 "called_ae_titles": ["*"]})  # fmt: skip
        front = gateway({**made, "credential": list(tables.values())})
        assert outcome(front.address, login("alice", ALICE)) == ADMITTED
        assert b"alice" in spy.received()
