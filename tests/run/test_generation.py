"""Start and reload prepare a generation: whatever fails in it, nothing stays open and nothing that runs changes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomgate import Accept, Attempt, ConfigError, StartError
from dicomgate.auth import loading
from dicomgate.net.dial import Upstream
from dicomgate.run import generation as generation_module
from dicomgate.run.assembly import Assembly
from dicomgate.run.server import Server

pytestmark = pytest.mark.anyio
ENTERED: list[object] = []


class Judge:
    """Accepts everybody; cannot be entered if its table says so."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    async def __aenter__(self) -> None:
        if self.fails:
            raise ConnectionRefusedError
        ENTERED.append(self)

    async def __aexit__(self, *_: object) -> None:
        ENTERED.remove(self)

    def authenticate(self, attempt: Attempt) -> Accept:
        return Accept("alice")


@pytest.fixture(autouse=True)
def _judge(monkeypatch: pytest.MonkeyPatch) -> None:
    ENTERED.clear()
    monkeypatch.setattr(loading, "find", lambda use, _: {"judge": Judge}[use])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def write(folder: Path, *, audit: str = "audit.jsonl", state: str = "state.sqlite", url: str = "", second: str = "",
          port: int = 0, extra: str = "") -> Path:  # fmt: skip
    """A configuration with two authenticators and two listening addresses, the last one of them `port`."""
    path = folder / "gate.toml"
    (folder / "open.sqlite").touch()
    (folder / "open.sqlite").chmod(0o666)
    path.write_text(f"""
        {extra}
        [gateway]
        audit = "{audit}"
        [state]
        path = "{state}"
        {url and f'url = "{url}"'}
        [[listener]]
        name = "clinical"
        bind = ["127.0.0.1:0", "127.0.0.1:{port or 1}"]
        cleartext_passcodes = true
        [[upstream]]
        name = "pacs"
        address = "127.0.0.1:4242"
        called_ae_titles = ["*"]
        [[authenticator]]
        use = "judge"
        [[authenticator]]
        use = "judge"
        name = "second"
        {second}
    """)
    return path


def left_open() -> tuple[int, set[asyncio.Task[object]], list[object]]:
    """Descriptors, tasks and authenticators."""
    return len(list(Path("/proc/self/fd").iterdir())), asyncio.all_tasks(), list(ENTERED)


WRONG = {
    "the file": ({"extra": "no TOML"}, ConfigError, "not TOML"),
    "an authenticator's keys": ({"second": "fials = true"}, ConfigError, "unknown key"),
    "the audit": ({"audit": "nowhere/audit.jsonl"}, StartError, "cannot be written"),
    "the state's folder": ({"state": "nowhere/state.sqlite"}, StartError, "nowhere"),
    "a state that others may change": (
        {"state": "open.sqlite"},
        ConfigError,
        "everybody may write this file",
    ),
    "the state's address": ({"url": "http://127.0.0.1"}, ConfigError, "state.url"),
    "an authenticator's entry": ({"second": "fails = true"}, StartError, "authenticator second failed to start"),
    "a port": ({}, StartError, "Address already in use"),
}


@pytest.fixture
async def settled(tmp_path: Path, free_tcp_port: int) -> None:
    """What is opened once for the whole process, threads and their wake-up sockets, is open now."""
    await (await Server.start(write(tmp_path, port=free_tcp_port))).stop()


@pytest.mark.parametrize("point", WRONG)
async def test_a_start_that_fails_leaves_nothing_open(
    point: str, settled: None, tmp_path: Path, taken: int, free_tcp_port: int
) -> None:
    keys, kind, reason = WRONG[point]
    path = write(tmp_path, port=taken if point == "a port" else free_tcp_port, **keys)
    before = left_open()
    with pytest.raises(kind, match=reason):
        await Server.start(path)
    assert left_open() == before


@pytest.mark.parametrize("point", WRONG)
async def test_a_reload_that_fails_leaves_nothing_open_and_changes_nothing(
    point: str, settled: None, tmp_path: Path, taken: int, free_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = await Server.start(write(tmp_path, port=free_tcp_port))
    keys, _, reason = WRONG[point]
    write(tmp_path, port=taken if point == "a port" else free_tcp_port, **keys)
    bound, generation, before = dict(server.bound), server._generation, left_open()
    assert await server.reload()
    assert reason in caplog.text
    assert "the configuration is as it was before" in caplog.text
    assert left_open() == before
    assert server.bound == bound
    assert server._generation is generation
    # The positive control: once it is right it is adopted, and the same number of descriptors is open.
    write(tmp_path, port=free_tcp_port)
    assert not await server.reload()
    await asyncio.wait(server._retiring)
    assert server._generation is not generation
    assert left_open()[0] == before[0]
    assert len(ENTERED) == 2
    await server.stop()
    assert ENTERED == []


@pytest.mark.parametrize("step", ["open_audit", "Protection", "Assembly.open", "listen", "Upstream.look_up"])
async def test_a_defect_leaves_nothing_open_either(
    step: str, settled: None, tmp_path: Path, free_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DefectError(Exception):
        """Nothing that the gateway raises on purpose."""

    def defect(*_: object) -> None:
        raise DefectError

    async def failed(*_: object) -> None:
        raise DefectError

    path = write(tmp_path, port=free_tcp_port)
    server = await Server.start(path)
    before = left_open()
    with monkeypatch.context() as patched:
        match step:
            case "Assembly.open":
                patched.setattr(Assembly, "open", failed)
            case "Upstream.look_up":
                patched.setattr(Upstream, "look_up", failed)
            case _:
                patched.setattr(generation_module, step, defect)
        write(tmp_path, port=free_tcp_port, state="other.sqlite", audit="other.jsonl")
        path.write_text(path.read_text().replace(f'"127.0.0.1:{free_tcp_port}"', '"127.0.0.2:0"'))
        with pytest.raises(DefectError):
            await server.reload()
        assert left_open() == before
        await server.stop()
        idle = left_open()
        with pytest.raises(DefectError):
            await Server.start(path)
        assert left_open() == idle


async def test_reloads_come_one_after_the_other_and_none_while_the_gateway_drains(tmp_path: Path) -> None:
    server = await Server.start(write(tmp_path))
    assert set(await asyncio.gather(server.reload(), server.reload(), server.reload())) == {()}
    assert server.history.generation == 4
    under_way = asyncio.create_task(server.reload())
    await asyncio.sleep(0)
    await server.drain()
    assert (
        await under_way
        == await server.reload()
        == ("the gateway is draining: it ends, and takes no other configuration",)
    )
    assert server.history.generation == 4


async def test_what_two_generations_have_in_common_is_kept(tmp_path: Path, free_tcp_port: int) -> None:
    server = await Server.start(write(tmp_path, port=free_tcp_port))
    first = server._generation
    assert not await server.reload()
    second = server._generation
    assert second.protection is first.protection
    assert second.sockets == first.sockets
    assert second.audit is not first.audit
    write(tmp_path, port=free_tcp_port, state="other.sqlite")
    assert not await server.reload()
    assert server._generation.protection is not first.protection
    await server.stop()


async def test_a_damaged_state_does_not_end_the_start(tmp_path: Path, free_tcp_port: int) -> None:
    path = write(tmp_path, port=free_tcp_port)
    (tmp_path / "state.sqlite").write_bytes(b"damaged" * 1000)
    await (await Server.start(path)).stop()
    assert len(list(tmp_path.glob("state.sqlite.damaged-*"))) == 1
    await (await Server.start(path)).stop()
    assert len(list(tmp_path.glob("state.sqlite.damaged-*"))) == 1
