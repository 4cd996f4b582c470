"""Credentials from the configuration to the routes: who is shown to which upstream, and what does not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomgate import Accept, Admission, Attempt, ConfigError, Decision, PluginError, Presented, StartError, Unavailable
from dicomgate.association.route import Shown
from dicomgate.auth import loading
from dicomgate.auth.kind import AUTHENTICATORS, Kind
from dicomgate.cli.check import describe
from dicomgate.credentials.table import CREDENTIALS
from dicomgate.rights.rule import Who
from dicomgate.run.assembly import Assembly, assemble
from tests.run.fake import LIFE, Entered

BASE = """
[[listener]]
name = "clinical"
bind = "127.0.0.1:0"
[[authenticator]]
use = "fake"
name = "staff"
[[authenticator]]
use = "fake"
name = "devices"
[[credential]]
use = "fake"
name = "ours"
timeout = "1s"
[[credential]]
use = "fake"
name = "theirs"
passcode = "Xq9"
[[upstream]]
name = "pacs"
called_ae_titles = ["*"]
"""
PLAIN = "127.0.0.1:104, no TLS, called AE title any, identity stripped"
LOOPBACK = BASE + 'address = "127.0.0.1:104"\n'


class Taker:
    handles = (5,)

    def authenticate(self, attempt: Attempt) -> Decision:
        return Accept("alice")


class Shower(Entered):
    def __init__(self, passcode: str = "", fails: bool = False) -> None:
        self.fails = fails

    def present(self, admission: Admission) -> Presented | Unavailable:
        return Unavailable("never asked")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    LIFE.clear()
    fakes: dict[Kind, type] = {AUTHENTICATORS: Taker, CREDENTIALS: Shower}
    monkeypatch.setattr(loading, "find", lambda _, kind: fakes[kind])


def build(folder: Path, text: str) -> Assembly:
    (folder / "gate.toml").write_text(text, "utf-8")
    return assemble(folder / "gate.toml")


def shown(made: Assembly, authenticator: str, user: str, *groups: str) -> Shown:
    (listener,) = made.listeners.values()
    route = listener.policy.route("PACS")
    assert route is not None
    who = Who("clinical", authenticator, user, frozenset(groups), {}, "127.0.0.1", "CT1", "PACS", "pacs")
    return route.shown_for(who)


def test_the_first_table_that_matches_counts(tmp_path: Path) -> None:
    made = build(
        tmp_path,
        LOOPBACK
        + """
credential = "ours"
called_ae_title = "ARC"
[[upstream.present]]
authenticators = "staff"
groups = ["research", "teaching"]
called_ae_title = "RESEARCH"
[[upstream.present]]
authenticators = "staff"
users = "alice"
groups = "radiology"
credential = "theirs"
[[upstream.present]]
authenticators = ["devices"]
calling_ae_title = "DEVICE"
""",
    )
    ours = Shown("ours", 3.0, "", "ARC")
    assert shown(made, "staff", "bob") == ours
    assert shown(made, "staff", "bob", "teaching") == Shown("ours", 3.0, "", "RESEARCH")
    assert shown(made, "staff", "alice", "radiology") == Shown("theirs", 5.0, "", "ARC")
    assert shown(made, "staff", "alice", "radiology", "research") == Shown("ours", 3.0, "", "RESEARCH")
    assert shown(made, "staff", "bob", "radiology") == ours, "all conditions must be met"
    assert shown(made, "devices", "alice", "radiology", "research") == Shown("ours", 3.0, "DEVICE", "ARC")
    assert made.warnings == ()
    assert describe(made)[3:] == [
        "credential ours: fake, has 1 s for its answer",
        "credential theirs: fake, has 2 s for its answer",
        f"upstream pacs: {PLAIN}, credential ours, called AE title becomes ARC, positive response asked",
        "upstream pacs: called AE title becomes RESEARCH; for authenticators staff, groups research or teaching",
        "upstream pacs: credential theirs; for authenticators staff, groups radiology, 1 users by name",
        "upstream pacs: calling AE title becomes DEVICE; for authenticators devices",
    ]


@pytest.mark.parametrize(
    ("upstream", "said"),
    [
        ('credential = "our"', "upstream[0].credential: no credential is called 'our', did you mean 'ours'?"),
        ('credential = "ours"\nidentity = "forward"', "upstream[0].credential: the upstream sees one identity"),
        ('positive_response = "required"', "upstream[0].positive_response: is the response to a credential, which is"),
        ('called_ae_title = "A\\\\B"', "upstream[0].called_ae_title: 'A\\\\B' is not an AE title"),
        ('present = [{ groups = "x", called_ae_title = "A" }]', "upstream[0].present[0].groups: whose groups? name"),
        (
            'present = [{ authenticators = "x", called_ae_title = "A" }]',
            "upstream[0].present[0].authenticators: no auth",
        ),
        ('present = [{ authenticators = "staff" }]', "upstream[0].present[0]: says nothing about what the upstream"),
        ('called_ae_title = "*"', 'upstream[0].called_ae_title: "*" would be what the upstream sees'),
        (
            'present = [{ authenticators = "staff", calling_ae_title = "*" }]',
            'upstream[0].present[0].calling_ae_title: "*" would be what the upstream sees',
        ),
        ('present = [{ called_ae_title = "A" }]', "upstream[0].present[0]: is for everybody: write its keys into the"),
        ('present = [{ grops = "x" }]', "upstream[0].present[0].grops: unknown key, did you mean 'groups'?; known are"),
        ('present = { called_ae_title = "A" }', "upstream[0].present: there can be several of these tables"),
        (
            'identity = "forward"\npresent = [{ authenticators = "staff", credential = "ours" }]',
            "upstream[0].present[0].credential: the upstream sees one identity",
        ),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, upstream: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        build(tmp_path, LOOPBACK + upstream)
    (line,) = str(error.value).splitlines()
    assert said in line


def test_what_is_wrong_with_a_credential_is_told_with_its_place(tmp_path: Path) -> None:
    for key, said in (("passcod = 1", "unknown key, did you mean 'passcode'?"), ("passcode = 1", "must be text")):
        with pytest.raises(ConfigError, match=f"gate.toml:.*: credential\\[1\\].passcode?: {said}".replace("?'", ".'")):
            build(tmp_path, LOOPBACK.replace('passcode = "Xq9"', key))
    with pytest.raises(ConfigError, match="a second credential is called 'ours'"):
        build(tmp_path, LOOPBACK.replace("theirs", "ours"))


def test_what_is_probably_not_meant(tmp_path: Path) -> None:
    text = BASE + 'address = "192.0.2.1:104"\ncredential = "ours"\n'
    assert build(tmp_path, text).warnings == (
        "upstream pacs: credential ours crosses the network to 192.0.2.1:104 in the clear; give it a tls table",
        "credential theirs: no upstream is shown it",
    )
    pin = f'tls = {{ pin = "{"ab" * 32}" }}\n'
    present = '[[upstream.present]]\nauthenticators = "staff"\ncredential = "theirs"\n'
    assert build(tmp_path, text + pin + present).warnings == ()


def test_a_credential_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    for use, said in (("ticket", r"pip install \./plugins/kerberos"), ("tickets", "no credential is called 'tickets'")):
        monkeypatch.setattr(loading, "entry_points", lambda group: [])
        with pytest.raises(PluginError, match=said):
            loading.make(use, {}, tmp_path, CREDENTIALS)


@pytest.mark.anyio
async def test_credentials_are_entered_and_left(tmp_path: Path) -> None:
    made = build(tmp_path, LOOPBACK)
    await made.open()
    assert LIFE == ["enter", "enter"]
    await made.retire()
    assert LIFE == ["enter", "enter", "leave", "leave"]
    LIFE.clear()
    with pytest.raises(StartError, match="credential theirs failed to start: ConnectionRefusedError"):
        await build(tmp_path, LOOPBACK.replace('passcode = "Xq9"', "fails = true")).open()
    assert LIFE == ["enter", "enter", "leave"]


def test_no_secret_of_a_table_is_in_its_repr(tmp_path: Path) -> None:
    assert "Xq9" not in repr(build(tmp_path, LOOPBACK).configuration.tables)
