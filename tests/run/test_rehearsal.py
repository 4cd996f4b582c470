"""A rehearsal fails exactly where a start fails, with the same words, and leaves no trace."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from dicomgate import ConfigError, StartError
from dicomgate.auth import loading
from dicomgate.run.assembly import assemble
from dicomgate.run.rehearsal import rehearsed
from dicomgate.run.server import Server
from tests.run.fake import LIFE, Fake

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _judge(monkeypatch: pytest.MonkeyPatch) -> None:
    LIFE.clear()
    monkeypatch.setattr(loading, "find", lambda use, _: {"judge": Fake}[use])


def write(folder: Path, *, audit: str = "audit.jsonl", state: str = "state.sqlite", url: str = "",
          bind: str = "127.0.0.1:0", judge: str = "", control: str = "control.sock") -> Path:  # fmt: skip
    path = folder / "gate.toml"
    path.write_text(
        f'[gateway]\naudit = "{audit}"\n[state]\npath = "{state}"\n{url}\n[control]\npath = "{control}"\n'
        f'[[listener]]\nname = "clinical"\nbind = "{bind}"\ncleartext_passcodes = true\n'
        '[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:4242"\ncalled_ae_titles = ["*"]\n'
        f'[[authenticator]]\nuse = "judge"\n{judge}\n'
    )
    return path


async def outcome(path: Path, *, really: bool) -> str:
    """How a start or its rehearsal ends: "", or the kind of its error and the words."""
    try:
        if really:
            server = await Server.start(path)
            await server.stop()
            if server.generation.control is not None:
                server.generation.control.close()
        else:
            async with rehearsed(assemble(path)):
                pass
    except (ConfigError, StartError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


BROKEN = {
    "nothing": ({}, ""),
    "no folder for the audit": ({"audit": "nowhere/audit.jsonl"}, "StartError: the audit file .*there is no folder"),
    "a folder as the audit": ({"audit": "folder"}, "StartError: the audit file .*Is a directory"),
    "a file as the audit's folder": ({"audit": "file/audit.jsonl"}, "StartError: the audit file .*Not a directory"),
    "no folder for the state": ({"state": "nowhere/state.sqlite"}, "StartError: state .*No such file"),
    "a file as the state's folder": ({"state": "file/state.sqlite"}, "StartError: state .*Not a directory"),
    "a state that others may change": ({"state": "open.sqlite"}, "ConfigError: .*state.path: .*everybody may write"),
    "no URL of a state": ({"url": 'url = "http://127.0.0.1"'}, "ConfigError: .*state.url: "),
    "an authenticator that fails": ({"judge": "fails = true"}, "StartError: authenticator judge failed to start"),
    "an address of another machine": (
        {"bind": "192.0.2.1:0"},
        r"StartError: \[\[listener]] clinical: cannot listen on 192.0.2.1:0: .*; this m",
    ),
    "no folder for the socket": ({"control": "nowhere/c.sock"}, "StartError: control socket .*there is no folder"),
    "a file as the socket": ({"control": "file"}, "StartError: control socket .*no socket"),
    "a long path of the socket": ({"control": "x" * 104}, "StartError: control socket .*shorter"),
    "a socket that others may replace": ({"control": "open/c.sock"}, "ConfigError: .*control.path: .*may write the f"),
    "a key that is none": ({"judge": "fial = true"}, "ConfigError: .*unknown key"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_rehearsal_ends_as_a_start_would(case: str, tmp_path: Path) -> None:
    keys, said = BROKEN[case]
    (tmp_path / "folder").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "file").touch()
    (tmp_path / "open.sqlite").touch()
    (tmp_path / "open.sqlite").chmod(0o666)
    path = write(tmp_path, **keys)
    before = sorted(tmp_path.iterdir())
    rehearsal = await outcome(path, really=False)
    assert sorted(tmp_path.iterdir()) == before, "nothing is created"
    assert LIFE.count("enter") - LIFE.count("leave") == (case == "an authenticator that fails")
    assert rehearsal == await outcome(path, really=True)
    assert re.match(said, rehearsal, re.DOTALL) if said else not rehearsal, rehearsal


async def test_a_rehearsal_beside_a_running_gateway_is_not_noticed(tmp_path: Path) -> None:
    path = write(tmp_path)
    server = await Server.start(path)
    (address,) = server.bound.values()
    path = write(tmp_path, bind=f"127.0.0.1:{address[1]}")
    async with rehearsed(assemble(path)) as busy:
        (line,) = busy
    assert line.startswith(f"[[listener]] clinical: 127.0.0.1:{address[1]} is in use: by the running gateway, or by")
    with socket.create_connection(address):
        pass
    await server.stop()
    assert server.generation.control is not None
    server.generation.control.close()
    async with rehearsed(assemble(path)) as busy:
        assert busy == [], "the control"
