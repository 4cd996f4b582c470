"""docs/pynetdicom.md: its keys are the code's, its tables hold, its examples run."""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import shlex
import ssl
import subprocess
import sys
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

import pytest
from pynetdicom import _config, evt

import dicomgate_pynetdicom
from dicomgate.run.embedding import DEFAULT_DEADLINE
from dicomgate.testing import ask, attempt, pages, passcode
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.peers.loopback import free_port
from dicomgate.testing.peers.process import Service
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.slices import ct_slice
from dicomgate_passcode.hashing import make_hash
from dicomgate_pynetdicom import Principal, adapt, bind, configured
from dicomgate_pynetdicom.event import RequestedAssociation
from plugins.pynetdicom.tests.entities import REFUSED_IDENTITY, TRY_LATER, entity, log_in
from plugins.pynetdicom.tests.wards import GENUINE, Ward

PAGE = pages.DOCS / "pynetdicom.md"
TEXT = pages.text(PAGE)
CHOSEN = b"correct horse battery"


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


# pynetdicom's thread may meet our rejection and the client's close at once.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_ae_of_the_page(tmp_path: Path) -> None:
    """Its program, its file and its commands as they stand, but for the port and the time that a hash may take."""
    port = str(free_port())
    (tmp_path / "ward.py").write_text(block("python", "ae").replace("2762", port))
    (tmp_path / "dicomgate.toml").write_text(block("toml", "ae") + 'timeout = "20s"\n')
    certificate, add, serve, echo = block("sh", "ae").replace("2762", port).splitlines()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def call(line: str, said: bytes = CHOSEN) -> int:
        environment = {**os.environ, "PATH": path}
        return subprocess.run(line, shell=True, cwd=tmp_path, input=said, timeout=60, env=environment).returncode  # noqa: S602 (our own page)

    assert [call(line) for line in (certificate, add)] == [0, 0]
    server = shlex.split(serve.removesuffix(" &"))
    begin: list[str | Path] = ["sh", "-c", 'cd "$0" && exec "$@"', tmp_path, *server]
    with Service(begin, log=tmp_path / "log", ports=[int(port)], environment={"PATH": path}):
        assert [call(echo), call(echo, WRONG)] == [0, 1]
        image = ct_slice(tmp_path / "ct.dcm")
        trusting = ssl.create_default_context(cafile=tmp_path / "ward.pem")
        identity = user_identity(2, b"alice", CHOSEN)
        with associate(("localhost", int(port)), identity=identity, tls=trusting) as association:
            assert association.send_c_store(tmp_path / "ct.dcm").Status == 0
        assert f"alice stores {image.SOPInstanceUID}" in (tmp_path / "log").read_text()
    reasons = [json.loads(line).get("reason") for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert "wrong passcode" in reasons
    assert block("python", "ae") in (PAGE.parents[1] / "plugins/pynetdicom/README.md").read_text()


def test_the_listener_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it allows, and what is refused without it."""
    monkeypatch.chdir(tmp_path)
    Path("users.htpasswd").touch(mode=0o600)
    Path("users.htpasswd").write_text(f"alice:{make_hash(ALICE)}\n")
    without = block("toml", "ae") + 'timeout = "20s"\n'
    for text, answer in ((without, REFUSED_IDENTITY), (without + block("toml", "listener"), None)):
        Path("dicomgate.toml").write_text(text)
        with bind("dicomgate.toml") as login, entity(*login.strict) as address:
            assert log_in(address, 2, b"alice", ALICE) == answer
            assert log_in(address, None) == REFUSED_IDENTITY
    assert "without TLS" in Path("audit.jsonl").read_text()


def test_who_of_the_page() -> None:
    assert [*table("of who")] == [field.name for field in fields(Principal)]
    alice = Principal("alice", "staff", frozenset({"radiographers"}), {}, None)
    for who, status in ((alice, 0x0000), (replace(alice, groups=frozenset()), 0x0124), (None, 0x0124)):
        page: dict[str, Any] = {"login": Mock(**{"who.return_value": who}), "store": lambda _, sent_by: 0x0000}
        exec(block("python", "who"), page)  # noqa: S102
        assert page["handle_store"](Mock()) == status


def test_the_rules_of_the_page() -> None:
    page = {"bind": bind, "authenticator": Ward(), "ae": Mock(), "evt": evt, "tls": None, "handle_store": None}
    exec(block("python", "rules"), page)  # noqa: S102
    page["ae"].start_server.assert_called_once()


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
