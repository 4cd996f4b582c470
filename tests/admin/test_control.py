"""The control socket against clients that mean no good, and its lists of many associations; one gateway for all."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging.handlers
import os
import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicomgate import StartError
from dicomgate.admin import as_json, control
from dicomgate.admin.as_json import PIECE
from dicomgate.admin.control_client import NobodyListens, ask
from dicomgate.admin.control_words import LONGEST_QUESTION
from dicomgate.cli.sessions import sessions
from dicomgate.events.events import Facts
from dicomgate.run.control_socket import ControlSocket
from dicomgate.sessions.register import Session, Traffic
from dicomgate.state.protocol import Count
from dicomgate.state.sqlite import SqliteState
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.running import RunningGateway

MOST = 2_000
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Another user may look into it."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[RunningGateway]:
    (folder / "users.htpasswd").touch(mode=0o600)
    tables = {
        "gateway": {"node": "gate-1", "audit": "audit.jsonl"},
        "control": {"path": "control.sock"},
        "listener": [{"name": "clinical", "bind": "127.0.0.1:0", "cleartext_passcodes": True}],
        "upstream": [{"name": "pacs", "address": "127.0.0.1:1", "called_ae_titles": ["*"]}],
        "authenticator": [{"use": "passcode", "file": "users.htpasswd"}],
    }
    (folder / "dicomgate.toml").write_text(as_toml(tables))
    heard = logging.handlers.BufferingHandler(100)
    logging.getLogger("asyncio").addHandler(heard)
    with RunningGateway(folder / "dicomgate.toml") as gateway:
        yield gateway
        last = connected(folder / "control.sock")
        last.sendall(b"\n")
        assert last.recv(1)
    last.close()
    logging.getLogger("asyncio").removeHandler(heard)
    assert not [record.getMessage() for record in heard.buffer if record.levelno >= logging.ERROR]
    assert not (folder / "control.sock").exists()


@pytest.fixture
def path(running: RunningGateway, folder: Path) -> Iterator[Path]:
    """The socket; whatever a test does, others are answered afterwards."""
    yield folder / "control.sock"
    assert ask(folder / "control.sock", ask="status")["status"]["node"] == "gate-1"


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(path))
    return client


def said(client: socket.socket) -> list[dict[str, Any]]:
    """All answers until the gateway closes the connection."""
    with client, client.makefile("rb") as lines:
        return [json.loads(line) for line in lines]


def many(count: int) -> list[Session]:
    traffic = Traffic(1, 2, 3, 4, 5.0)
    return [
        cast(
            Session,
            SimpleNamespace(
                id=f"{number:012x}",
                facts=Facts(
                    f"{number:012x}",
                    "clinical",
                    "192.0.2.1",
                    number,
                    "CT1",
                    "PACS",
                    2,
                    "x",
                    f"u{number % 7}",
                    via="10.0.0.5",
                ),
                groups=("radiology",),
                since=NOW,
                ends=None,
                over=False,
                traffic=traffic,
                end=lambda *_: None,
            ),
        )
        for number in range(count)
    ]


@pytest.fixture
def crowded(running: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The gateway has more associations than an answer may have."""
    monkeypatch.setattr(as_json, "MOST", MOST)
    sessions = many(MOST + 3)
    for session in sessions:
        running.server.register.enter(session)
    yield
    for session in sessions:
        running.server.register.leave(session)


@pytest.mark.parametrize(
    "question",
    [
        b"\n",
        b"status\n",
        b'{"ask": "kick user", "user": "", "seconds": 60}\n',
        b"\xff\x00\x16\x03\x01\n",
        b"[" * 30_000 + b"\n",
        b'{"ask": "nothing"}\n',
        b'{"ask": "status", "as": "root"}\n',
        b'{"ask": "kick", "ids": "a1"}\n',
        b'{"ask": "kick user", "user": "a", "seconds": 1e400}\n',
    ],
)
def test_a_wrong_question_is_told_what_is_wrong_with_it(path: Path, question: bytes) -> None:
    with connected(path) as client, client.makefile("rb") as lines:
        client.sendall(question)
        assert json.loads(lines.readline())["error"].startswith("wrong question: ")
        client.sendall(b'{"ask": "status"}\n')  # and may ask again
        assert json.loads(lines.readline())["status"]["draining"] is False


def test_a_long_line_is_not_read_to_its_end(path: Path) -> None:
    with connected(path) as client:
        with suppress(OSError):  # it may be closed meanwhile
            client.sendall(b"x" * 1_048_576)
        with client.makefile("rb") as lines:
            assert json.loads(lines.readline()) == {"error": f"a question has at most {LONGEST_QUESTION} bytes"}
            with suppress(ConnectionResetError):  # unix(7): what it has not read ends the connection so
                assert lines.read() == b""


def test_half_a_question_is_no_question(path: Path) -> None:
    with connected(path) as client:
        client.sendall(b'{"ask": "drain"}')
        client.shutdown(socket.SHUT_WR)
        assert said(client) == []


def test_of_a_hundred_clients_eight_are_served(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_PATIENCE", 0.5)
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(path)) for _ in range(100)]
        answers = [said(client) for client in clients]  # those that are served say nothing, and are cut off
    assert sum(not answer for answer in answers) == 8
    assert sum(answer == [{"error": "8 others are connected; try again"}] for answer in answers) == 92


def test_who_takes_no_answer_is_cut_off_and_holds_nobody_up(
    path: Path, crowded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_PATIENCE", 0.5)
    with connected(path) as deaf:
        deaf.sendall(b'{"ask": "sessions"}\n')
        assert ask(path, ask="status")["status"]["node"] == "gate-1"
        closed = select.poll()
        closed.register(deaf, select.POLLRDHUP)
        assert closed.poll(20_000)
        taken = b""
        while more := deaf.recv(1_048_576):
            taken += more
    assert taken.startswith(b'{"sessions": [{"id": "000000000000"')
    assert not taken.endswith(b"\n")


def test_a_long_list_is_bounded_and_lets_the_gateway_work_meanwhile(
    path: Path, crowded: None, running: RunningGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    turns, asked = 0, threading.Event()

    async def work() -> None:
        nonlocal turns
        while not asked.is_set():
            turns += 1
            await asyncio.sleep(0)

    working = running.begin(work())
    answer = ask(path, ask="sessions")
    asked.set()
    working.result()
    assert len(answer["sessions"]) == MOST
    assert answer["left_out"] == 3
    assert answer["sessions"][1] == {
        "id": "000000000001", "node": "gate-1", "since": "2026-01-02T03:04:05.000+00:00", "listener": "clinical",
        "address": "192.0.2.1", "port": 1, "claimed": "x", "user": "u1", "authenticator": "", "groups": ["radiology"],
        "calling_ae_title": "CT1", "called_ae_title": "PACS", "upstream": "", "ends": None,
        "traffic": {"bytes_from_client": 1, "bytes_from_upstream": 2, "pdus_from_client": 3, "pdus_from_upstream": 4,
                    "idle": 5.0},
        "via": "10.0.0.5",
    }  # fmt: skip
    assert turns > MOST / PIECE, "it had a turn for each piece"
    assert {one["user"] for one in ask(path, ask="sessions", user="u2")["sessions"]} == {"u2"}
    sessions("u1", socket=path)
    assert "\t192.0.2.1 port 1 via 10.0.0.5\tclinical\t" in capsys.readouterr().out


def test_counters_are_read_beside_the_gateways_own_questions(
    path: Path, running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    counters = SqliteState.counters

    async def noted(state: SqliteState) -> list[Count]:
        loops.append(asyncio.get_running_loop())
        return await counters(state)

    monkeypatch.setattr(SqliteState, "counters", noted)
    assert ask(path, ask="throttled")["counters"] == []
    assert [loop is running.server.loop for loop in loops] == [False]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_may_not_open_it_unless_the_group_is_his(path: Path) -> None:
    nobody, group = 65_534, 12_345
    os.chown(path, -1, group)
    assert "status" in as_user(nobody, group, lambda: ask(path, ask="status"))
    refused = as_user(nobody, nobody, lambda: ask(path, ask="status"))
    assert isinstance(refused, NobodyListens)
    assert str(refused) == f"{path}: you may not open it: only root, the user root and members of the group {group} may"


def as_user(uid: int, gid: int, do: Callable[[], Any]) -> Any:
    """What it returns or raises in a thread that opens files as this user: Linux knows users of threads."""
    results: list[Any] = []
    libc = ctypes.CDLL(None)

    def run() -> None:
        libc.setfsgid(gid)
        libc.setfsuid(uid)
        try:
            results.append(do())
        except StartError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_a_reload_makes_a_socket_again_that_somebody_removed(path: Path, running: RunningGateway) -> None:
    before = path.stat().st_ino
    assert ask(path, ask="reload") == {"problems": []}
    assert path.stat().st_ino == before
    path.unlink()
    assert running.call(running.server.reload()) == ()
    assert ask(path, ask="status")["status"]["generation"] == 3
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_dead_gateways_socket_is_replaced_and_a_living_ones_is_not(path: Path, folder: Path) -> None:
    with pytest.raises(StartError, match="another gateway is running and listens there"):
        ControlSocket(path)
    dead = folder / "dead.sock"
    ControlSocket(dead).socket.close()
    assert dead.is_socket()
    successor = ControlSocket(dead)
    assert dead.stat().st_mode & 0o777 == 0o660
    with connected(dead):
        pass
    successor.close()
    assert not dead.exists()
    for name in ("file", "other.new"):
        (folder / name).touch()
        with pytest.raises(StartError, match=f"{name}: .* no socket"):
            ControlSocket(folder / name.removesuffix(".new"))
        assert (folder / name).exists()
    with pytest.raises(StartError, match="there is no folder"):
        ControlSocket(folder / "missing" / "control.sock")
    with pytest.raises(StartError, match="shorter"):
        ControlSocket(folder / ("x" * 120))


@pytest.mark.anyio
async def test_a_thousand_questions_at_once_leave_others_their_turns() -> None:
    class Writer:
        transport = SimpleNamespace(set_write_buffer_limits=lambda _: None, abort=lambda: None)
        taken = b""

        def get_extra_info(self, _: str) -> object:
            return SimpleNamespace(getsockopt=lambda *_: bytes(12))

        def write(self, data: bytes) -> None:
            self.taken += data

        async def drain(self) -> None:
            """The client reads as fast as it is answered."""

    reader, writer = asyncio.StreamReader(), Writer()
    reader.feed_data(b"\n" * 1000)
    reader.feed_eof()
    answering = asyncio.create_task(control.Control(cast(Any, None))._connected(reader, cast(Any, writer)))
    turns = 0
    while not answering.done():
        await asyncio.sleep(0)
        turns += 1
    assert (writer.taken.count(b"\n"), turns > 1000) == (1000, True)
