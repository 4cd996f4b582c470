"""`dicomgate demo`: shown as a user sees it, and shown to be able to fail."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path

import pytest
import typer
from pydicom import dcmread
from rich.console import Console

from dicomgate.auth import loading as discovery
from dicomgate.cli import group
from dicomgate.contract import Identity, IdentityType
from dicomgate.demo import command, folder, issuers
from dicomgate.demo import run as stage
from dicomgate.demo.client import Visit
from dicomgate.demo.egress import ADMITTED
from dicomgate.demo.folder import DENIED
from dicomgate.demo.output import Result
from dicomgate.demo.pacs import Sighting
from dicomgate.demo.scenarios import CLIENT, SCENARIOS, TICKET_SCENARIOS, Accepted, Scenario
from dicomgate.errors import ConfigError, PluginError
from dicomgate.testing.slices import SIDE, ct_images
from dicomgate.wire.dimse import SUCCESS
from dicomgate.wire.reject_abort import REFUSED_IDENTITY, TRY_LATER

DEMO = [sys.executable, "-W", "error", "-m", "dicomgate.demo"]
PASSCODE = re.compile(r"\b[a-z2-9]{26}\b")
ACCEPTED, WRONG_PASSCODE = SCENARIOS[0], SCENARIOS[2]
(CHAIN,) = [scenario for scenario in SCENARIOS if scenario.egress]
(MOVES,) = [scenario for scenario in SCENARIOS if scenario.moves]


def console() -> Console:
    return Console(file=StringIO(), width=200)


def printed(on: Console) -> str:
    assert isinstance(on.file, StringIO)
    return on.file.getvalue()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No thread and no open file more than before."""
    gc.collect()  # what earlier tests left must not end in this one
    threads, files = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    yield
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files


TICKETS = [
    ["ticket (type 3)", "AC", "identity: none, 1 slices"],
    ["the same ticket once more", "RJ 1,2,1", "nothing"],
]


@pytest.mark.parametrize("kerberos", [True, False])
def test_all_rows_are_right(
    nothing_left: None, tmp_path: Path, kerberos: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kerberos and (lacking := issuers.missing()):
        pytest.skip(f"there is no {lacking}")
    if not kerberos:
        monkeypatch.setattr(issuers, "NEEDED", ["krb5kdc"])
    on = console()
    assert stage.perform(on, 7 if kerberos else 6, folder=tmp_path / "demo")
    text = printed(on)
    lines = re.findall(r"^(?:ok|WRONG) .*$", text, re.MULTILINE)
    seen = [re.split(r"\s{2,}", line.strip())[1:4] for line in lines]
    assert seen == [
        ["right passcode", "AC", "identity: none, 1 slices"],
        ["right passcode, positive response requested", "AC, 59H with 0 bytes", "identity: none, 1 slices"],
        ["wrong passcode", "RJ 1,2,1", "nothing"],
        ["unknown user", "RJ 1,2,1", "nothing"],
        ["empty passcode", "RJ 1,2,1", "nothing"],
        ["username alone (type 1)", "RJ 1,2,1", "nothing"],
        ["no identity: a tool that cannot log in", "RJ 1,2,1", "nothing"],
        ["the same tool, through an egress", "AC without move", "identity: none, 1 slices"],
        ["token (type 5)", "AC", "identity: none, 1 slices"],
        ["token that has expired", "RJ 1,2,1", "nothing"],
        ["token signed by somebody else", "RJ 1,2,1", "nothing"],
        ["assertion (type 4)", "AC", "identity: none, 1 slices"],
        ["the same assertion once more", "RJ 1,2,1", "nothing"],
        ["assertion with another name in it", "RJ 1,2,1", "nothing"],
        ["viewer, would store", "AC without store", "identity: none"],
        ["modality, would move", "AC without move", "identity: none, 1 slices"],
        [
            "viewer, moves elsewhere, then to its own AE title",
            "AC without store; C-MOVE 0124H, 0000H",
            "identity: none, C-MOVE to DEMO_CLIENT",
        ],
        ["right passcode, unknown called AE title", "RJ 1,1,7", "nothing"],
        ["right passcode, PACS down", "RJ 2,3,1", "nothing"],
        ["malformed RQ: a length beyond its item", "A-ABORT 2,6", "nothing"],
        ["malformed RQ: two identities", "A-ABORT 2,6", "nothing"],
        ["P-DATA before the answer", "A-ABORT 2,2", "nothing"],
        *(TICKETS if kerberos else []),
    ]
    missing = "a KDC (apt-get install krb5-kdc" if find_spec("gssapi") else "the kerberos plugin"
    assert (f"Kerberos are left out: they need {missing}" in text) is not kerberos
    assert not [name for name in os.environ if name.startswith("KRB5")]
    assert re.search(r"^7 slices, 3\.7 MB in " if kerberos else r"^6 slices, 3\.[12] MB in ", text, re.MULTILINE)
    assert 'accepted by staff as modality; no rule has allow = "move"' in text
    assert text.count("accepted by here as DEMO_CLIENT; accepted by staff as egress-1; no ") == 1
    log = (tmp_path / "demo" / folder.LOG).read_text("utf-8")
    assert re.search("established: .* DEMO_CLIENT -> DEMO_PACS", log)
    assert not PASSCODE.search(text + log)
    assert (tmp_path / "demo" / folder.EGRESS / "egress.passcode").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (replace(WRONG_PASSCODE, answer=Accepted()), "the client must see A-ASSOCIATE-AC"),
        (replace(WRONG_PASSCODE, answer=TRY_LATER), "the client must see A-ASSOCIATE-RJ 2,2,1"),
        (replace(ACCEPTED, answer=REFUSED_IDENTITY), "the PACS must see no connection"),
        (replace(ACCEPTED, answer=Accepted(b"")), "the client must see A-ASSOCIATE-AC, 59H with 0 bytes"),
        (replace(SCENARIOS[-1], forge=None), "the client must see A-ABORT 2,2"),
        (replace(CHAIN, egress=False), "the client must see A-ASSOCIATE-AC without move"),
        (replace(MOVES, answer=Accepted()), "the client must see A-ASSOCIATE-AC"),
        (replace(MOVES, moves={"WS_9": SUCCESS}), "the C-MOVEs must be answered with 0000H"),
    ],
)
def test_a_wrong_row_is_seen(row: Scenario, complaint: str) -> None:
    on = console()
    assert not stage.perform(on, 1, scenarios=[row])
    assert complaint in printed(on)
    assert "NOT every row" in printed(on)


def test_a_new_row_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuers, "NEEDED", ["krb5kdc"])

    def ticket(_: object) -> Identity:
        return Identity(IdentityType.KERBEROS, b"ticket")

    on = console()
    assert stage.perform(on, 1, scenarios=[Scenario("a ticket that nobody here reads", ticket, REFUSED_IDENTITY)])
    assert "no authenticator claims an identity of type 3 (KERBEROS)" in printed(on)


MOVED = Visit(MOVES.answer, moves=dict(MOVES.moves))
RIGHT = Visit(Accepted(), {"1.2.3": "a digest"})
CHAINED = replace(RIGHT, answer=CHAIN.answer)
SEEN = Sighting(1, ["none"], {"1.2.3": "a digest"})


@pytest.mark.parametrize(
    ("result", "problems"),
    [
        (Result(ACCEPTED, RIGHT, SEEN, "accepted"), []),
        (Result(WRONG_PASSCODE, Visit(REFUSED_IDENTITY), Sighting(), "wrong"), []),
        (Result(ACCEPTED, replace(RIGHT, answer=None), SEEN, "accepted"), ["the client must see A-ASSOCIATE-AC"]),
        (Result(ACCEPTED, replace(RIGHT, problems=["it failed"]), SEEN, "accepted"), ["it failed"]),
        (
            Result(ACCEPTED, RIGHT, replace(SEEN, identities=["type 2"]), "accepted"),
            ["the PACS must see one association without identity"],
        ),
        (
            Result(ACCEPTED, RIGHT, replace(SEEN, stored={"1.2.3": "another"}), "accepted"),
            ["what the PACS stored is not what was sent"],
        ),
        (
            Result(ACCEPTED, RIGHT, replace(SEEN, stored={}), "accepted"),
            ["what the PACS stored is not what was sent"],
        ),
        (
            Result(WRONG_PASSCODE, Visit(REFUSED_IDENTITY), Sighting(connections=1), "wrong"),
            ["the PACS must see no connection"],
        ),
        (Result(WRONG_PASSCODE, Visit(REFUSED_IDENTITY), Sighting(), ""), ["the audit must say why"]),
        (Result(CHAIN, CHAINED, SEEN, f"{ADMITTED}; {DENIED} x"), []),
        (
            Result(CHAIN, CHAINED, SEEN, f"; accepted by staff as {folder.ACCOUNT}; {DENIED} x"),
            ["the audits of both gateways must say whom they admitted"],
        ),
        (Result(MOVES, MOVED, Sighting(1, ["none"], moves=[CLIENT]), f"accepted; {DENIED} x"), []),
        (
            Result(MOVES, MOVED, Sighting(1, ["none"], moves=["WS_9", CLIENT]), "accepted"),
            ["the PACS must see the C-MOVEs that are granted, and no other", "the audit must say what was denied"],
        ),
    ],
)
def test_the_verdict(result: Result, problems: list[str]) -> None:
    assert result.problems == problems


@pytest.mark.parametrize(("answer", "status"), [(REFUSED_IDENTITY, 0), (Accepted(), 1)])
def test_the_exit_status(
    answer: Accepted, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [replace(WRONG_PASSCODE, answer=answer)]
    monkeypatch.setattr(stage, "perform", partial(stage.perform, scenarios=rows))
    try:
        command.demo(slices=1)
        ended = 0
    except typer.Exit as end:
        ended = end.exit_code
    assert ended == status
    assert ("WRONG" in capsys.readouterr().out) == bool(status)


@pytest.mark.parametrize(
    "missing", ["pynetdicom", "dicomgate-passcode", "dicomgate-jwt", "dicomgate-saml", "dicomgate-network"]
)
def test_what_is_missing_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing == "pynetdicom":
        monkeypatch.setitem(sys.modules, "pynetdicom", None)
    else:
        left = {name: point for name, point in discovery.installed().items() if f"dicomgate-{name}" != missing}
        monkeypatch.setattr(command, "installed", lambda: left)
    with pytest.raises(typer.Exit) as end:
        command.demo(slices=1)
    assert end.value.exit_code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert missing in line
    assert "pip install . ./plugins/passcode" in line


def test_the_command_is_there_without_pynetdicom() -> None:
    code = "import sys; sys.modules['pynetdicom'] = None; from dicomgate.demo.command import demo"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_users_file_needs_the_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PASSCODE.fullmatch(folder.add_user(tmp_path, "demo"))
    assert "demo:" in (tmp_path / folder.USERS).read_text("utf-8")
    monkeypatch.setattr(group, "entry_points", lambda **_: [])
    with pytest.raises(PluginError, match="the passcode plugin is not installed"):
        folder.add_user(tmp_path, "other")


def test_a_folder_with_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ConfigError, match="not empty"), folder.work_folder(tmp_path, keep=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_temporary_folder_stays_only_if_kept(keep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with folder.work_folder(None, keep=keep) as where:
        assert where.parent == tmp_path
        assert where.stat().st_mode & 0o077 == 0
    assert where.exists() == keep


def test_two_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([*DEMO, "--slices", "2"], stdout=pipe, stderr=pipe, text=True, env=environment)
        for _ in range(2)
    ]
    for process in both:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        assert output.count("\nok ") == len(SCENARIOS) + (0 if issuers.missing() else len(TICKET_SCENARIOS))
        assert "\x1b" not in output
        assert not PASSCODE.search(output)
    assert list(tmp_path.iterdir()) == []


def test_slices() -> None:
    first, second = ct_images(2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.PixelData != second.PixelData
    file = BytesIO()
    first.save_as(file, enforce_file_format=True)
    file.seek(0)
    read = dcmread(file)
    assert len(read.PixelData) == 2 * SIDE * SIDE == 2 * read.Rows * read.Columns
    values = {int.from_bytes(read.PixelData[at : at + 2], "little") for at in range(0, len(read.PixelData), 2)}
    assert {value + read.RescaleIntercept for value in values} == {-1000, 0, 1000}
