"""docs/pynetdicom.md: its keys are the code's, its tables hold, its examples run."""

from __future__ import annotations

import inspect
import logging
import re
import tomllib
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
from pynetdicom import AE, _config, evt
from pynetdicom.transport import ThreadedAssociationServer

import dicomgate_pynetdicom
from dicomgate.run.embedding import DEFAULT_DEADLINE
from dicomgate.testing import ask, attempt, pages, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate_passcode.hashing import make_hash
from dicomgate_pynetdicom import adapt, bind, configured
from dicomgate_pynetdicom.event import RequestedAssociation
from plugins.pynetdicom.tests.entities import REFUSED_IDENTITY, TRY_LATER, entity, log_in
from plugins.pynetdicom.tests.wards import GENUINE, Ward

PAGE = pages.DOCS / "pynetdicom.md"
TEXT = pages.text(PAGE)


def block(language: str, note: str) -> str:
    (found,) = [block.text for block in pages.blocks(PAGE, language) if block.note == note]
    return found


def table(head: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in pages.table(PAGE, head)}


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_pynetdicom
    keys = (Keys(configured),)
    words = MappingProxyType({"all": (1, 2, 3, 4, 5)})
    logs = False


def test_every_keyword() -> None:
    made = inspect.signature(bind).parameters
    assert {"what", "listener", *table("keyword")} == set(made)
    assert all(f"{name}=" in TEXT or f"`{name}`" in TEXT for name in made if name != "what")
    assert table("keyword")["deadline"][0] == f"{DEFAULT_DEADLINE.total_seconds():g} s"


def test_the_ae_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code and its file as they stand, but for the port and for the time that it runs."""
    (tmp_path / "dicomgate.toml").write_text(block("toml", "ae"))
    (tmp_path / "users.htpasswd").touch(mode=0o600)
    (tmp_path / "users.htpasswd").write_text(f"alice:{make_hash(ALICE)}\n")
    monkeypatch.chdir(tmp_path)
    answers: list[Any] = []
    begin = AE.start_server

    def start_server(ae: AE, address: tuple[str, int], evt_handlers: Any) -> None:
        assert address == ("", 11112)
        here = (HOST, free_port())
        server = begin(ae, here, block=False, evt_handlers=evt_handlers)
        assert isinstance(server, ThreadedAssociationServer)
        answers.extend(log_in(here, *credential) for credential in ((2, b"alice", ALICE), (1, b"alice"), (None,)))
        ae.shutdown()

    monkeypatch.setattr(AE, "start_server", start_server)
    exec(block("python", "ae"), vars(ModuleType("page")))  # noqa: S102
    assert answers == [REFUSED_IDENTITY] * 3, "a passcode in the clear"
    reasons = [re.search(r'"reason": "([^"]*)', line) for line in Path("audit.jsonl").read_text().splitlines()]
    assert "without TLS" in str(reasons[0] and reasons[0][1])
    tables = 'cleartext_passcodes = true\nname = "ward"\nbind = "127.0.0.1:0"\n'
    (tmp_path / "dicomgate.toml").write_text(f'{block("toml", "ae")}\ntimeout = "20s"\n[[listener]]\n{tables}')
    answers.clear()
    exec(block("python", "ae"), vars(ModuleType("page")))  # noqa: S102
    assert answers == [None, REFUSED_IDENTITY, REFUSED_IDENTITY]


def test_the_handler_of_the_page() -> None:
    (configuration,) = tomllib.loads(block("toml", "handler"))["authenticator"]
    assert configuration.pop("use") == "pynetdicom"
    page: dict[str, Any] = {"may_enter": lambda ward, name, secret: (ward, name, secret) == ("ward 7", "alice", b"x")}
    exec(block("python", "handler"), page)  # noqa: S102
    adapted = adapt(page["handle_user_id"], configuration["args"], types=configuration["types"])
    yes, no = ask(adapted, attempt(passcode("alice", "x")), attempt(passcode("alice", "y")))
    assert (type(yes).__name__, type(no).__name__) == ("Accept", "Reject")


def test_the_row_of_the_ways() -> None:
    """The first three rows, for all three ways that are ours or pynetdicom's."""
    rows = table("case")
    columns = {"login.strict": 1, "login": 2, "pynetdicom without a handler": 3}
    codes = {"RJ 1,2,1": REFUSED_IDENTITY, "RJ 2,2,1": TRY_LATER, "accepted": None, "none": None, "zero length": b""}
    with bind(Ward(), cleartext_passcodes=True) as login:
        handlers: dict[str, list[Any]] = {
            "login.strict": login.strict,
            "login": [login],
            "pynetdicom without a handler": [],
        }
        for way, column in columns.items():
            with entity(*handlers[way]) as address:
                shown = {what: row[column] for what, row in rows.items()}
                assert log_in(address, None) == codes[shown["no user identity"]]
                assert log_in(address, 1, b"bob") == codes[shown["not genuine"]]
                assert log_in(address, 1, b"a\0b") == codes[shown[
                    "an identity of zero length, with control characters, not UTF-8"
                ]]  # fmt: skip
                answer = log_in(address, 2, *GENUINE[2], response=True)
                assert answer == codes[shown["59H for types 1 and 2, if asked for"]]
                answer = log_in(address, 5, *GENUINE[5], response=True)
                expected = {"the response": b"you are welcome", "none": None}
                assert answer == expected[shown["59H for types 3 to 5, if asked for"]]


def test_the_attributes_of_the_association() -> None:
    offered = {name for name in dir(RequestedAssociation(attempt())) if not name.startswith("_")}
    rows = " ".join(key for key in table("attribute"))
    assert offered == set(re.findall(r"(?:assoc)?\.(\w+)", rows)) - {
        "assoc", "event", "timestamp", "user_id_type", "primary_field", "secondary_field"
    }  # fmt: skip


def test_the_cure_for_passcodes_in_the_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "LOG_HANDLER_LEVEL" in TEXT
    told = {}
    monkeypatch.setattr(logging.getLogger("pynetdicom"), "level", logging.DEBUG)
    logging.getLogger("pynetdicom").setLevel(logging.DEBUG)
    try:
        for level in ("standard", "none"):
            monkeypatch.setattr(_config, "LOG_HANDLER_LEVEL", level)
            caplog.clear()
            with caplog.at_level(logging.DEBUG), entity((evt.EVT_USER_ID, lambda event: (True, None))) as address:
                log_in(address, 2, b"bert", b"spoken aloud")
            told[level] = "spoken aloud" in caplog.text
    finally:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    assert told == {"standard": True, "none": False}
