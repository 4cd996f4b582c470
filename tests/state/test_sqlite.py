"""The file: who may read it, what happens when it is held, full, broken, replaced or not writable."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from dicomgate.errors import StartError
from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff, Grant, Limits, StateUnavailable
from dicomgate.state.sqlite import SqliteState

pytestmark = pytest.mark.anyio
SOON = datetime.now(UTC) + timedelta(hours=1)
QUICK = Limits(deadline=1)
PATIENT = Limits(deadline=20)  # this machine may be busy
ALICE = [Backoff("account:alice", 1, 600, 3600)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


async def unavailable(asking: Coroutine[Any, Any, Any], match: str) -> None:
    """It raises StateUnavailable, and in time."""
    start = time.monotonic()
    with pytest.raises(StateUnavailable, match=match):
        await asking
    assert time.monotonic() - start < QUICK.deadline + 5


async def test_the_files_are_for_their_owner_alone(path: Path) -> None:
    umask = os.umask(0)
    try:
        state = SqliteState(path, PATIENT)
        await state.take("", (), ALICE)
    finally:
        os.umask(umask)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"state.sqlite": 0o600, "state.sqlite-wal": 0o600, "state.sqlite-shm": 0o600}
    await state.close()


async def test_while_another_process_holds_the_file_one_does_not_wait_for_ever(path: Path) -> None:
    state = SqliteState(path, QUICK)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await unavailable(state.take("", (), ALICE), f"{path.name}: database is locked")
    await unavailable(state.first_use("ticket", SOON), "database is locked")
    other.execute("ROLLBACK")
    assert await state.first_use("ticket", SOON)
    assert await state.take("", (), ALICE) == Grant(False)
    other.close()
    await state.close()


async def test_a_file_that_another_process_is_just_making_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StartError, match="cannot be opened"):
        SqliteState(path, QUICK)
    later = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    later.start()
    state = SqliteState(path, PATIENT)
    later.join()
    assert await state.first_use("ticket", SOON)
    await state.close()
    other.close()


@pytest.fixture
def goes_on() -> Iterator[threading.Event]:
    """A disk hangs until this is set."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_disk_that_hangs_is_not_waited_for(path: Path, goes_on: threading.Event) -> None:
    state = SqliteState(path, QUICK)
    state._thread.submit(goes_on.wait)
    await asyncio.gather(*(unavailable(state.take("", (), ALICE), "no answer within 1 s") for _ in range(50)))
    goes_on.set()
    assert await state.take("", (), ALICE) == Grant(False)  # none of those before was done later
    assert (await state.take("", (), ALICE)).held
    await state.close()


async def test_closing_does_not_wait_for_a_disk_that_hangs(path: Path, goes_on: threading.Event) -> None:
    state = SqliteState(path, QUICK)
    state._thread.submit(goes_on.wait)
    start = time.monotonic()
    await state.close()
    assert time.monotonic() - start < QUICK.deadline + 5


async def test_a_full_disk_changes_nothing_and_may_have_room_again(path: Path) -> None:
    state = SqliteState(path, QUICK)

    def pages(most: int) -> None:
        state._thread.submit(state._opened_connection().execute, f"PRAGMA max_page_count = {most}").result()

    pages(1)  # no more than there are
    with pytest.raises(StateUnavailable, match="database or disk is full"):  # noqa: PT012
        for number in range(1000):
            counted = number
            await state.take("", (), [Backoff(f"account:{number:0100}", 1, 1, 1), Backoff("source:a", 9999, 1, 1)])
    assert {count.key: count.n for count in await state.counters()}["source:a"] == counted
    pages(1_000_000)
    assert await state.take("", (), ALICE) == Grant(False)
    await state.close()


@pytest.mark.parametrize("contents", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8176])
def test_a_file_that_is_no_database_is_named_and_left_alone(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    with pytest.raises(StartError, match=r"state .*state\.sqlite: cannot be opened: .*(not a database|malformed)"):
        SqliteState(path, PATIENT)
    assert path.read_bytes() == contents


async def use(path: Path, first: bool) -> None:
    """Use two hundred keys, each for the first time or not."""
    state = SqliteState(path, PATIENT)
    try:
        for number in range(200):
            assert await state.first_use(f"ticket {number}", SOON) is first
    finally:
        await state.close()


async def test_a_database_that_is_broken_inside_lets_nobody_in(path: Path) -> None:
    await use(path, first=True)
    await use(path, first=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + os.urandom(len(whole) - 8192))
    with pytest.raises((StartError, StateUnavailable), match=r"state\.sqlite: .*malformed"):
        await use(path, first=False)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no database": lambda _: b"no database at all" * 100,
    "zeros": lambda whole: bytes(len(whole)),
    "cut off": lambda whole: whole[:5000],
    "torn header": lambda whole: b"\xff" * 100 + whole[100:],
    "broken inside": lambda whole: whole[:8192] + bytes(len(whole) - 8192),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_does_not_end_the_start_and_lets_no_credential_be_used_twice(
    damage: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await use(path, first=True)
    path.write_bytes(damaged := DAMAGES[damage](path.read_bytes()))
    state = SqliteState(path, PATIENT, mend=True)
    (aside,) = path.parent.glob("state.sqlite.damaged-*Z")
    assert aside.read_bytes() == damaged
    assert f"moved aside as {aside}" in caplog.text
    now = datetime.now(UTC)
    for made in None, now - timedelta(minutes=1), now + timedelta(minutes=4):  # an issuer's clock may be ahead
        with pytest.raises(StateUnavailable, match="is not known, because the state was damaged then"):
            await state.first_use("ticket 1", SOON, made)
    later = now + timedelta(minutes=6)
    assert await state.first_use("ticket 201", SOON, later)
    assert not await state.first_use("ticket 201", SOON, later)
    assert await state.take("alice", [], ALICE) == Grant(False)
    await state.close()
    caplog.clear()
    again = SqliteState(path, PATIENT, mend=True)
    with pytest.raises(StateUnavailable, match="must be made after"):  # a restart makes nobody forget it
        await again.first_use("ticket 1", SOON, now)
    await again.close()
    assert not caplog.text


async def test_a_file_that_is_damaged_while_it_is_in_use_is_replaced_as_well(path: Path) -> None:
    state = SqliteState(path, PATIENT, mend=True)
    for number in range(200):
        assert await state.first_use(f"ticket {number}", SOON)
    state._thread.submit(state._opened_connection().execute, "PRAGMA wal_checkpoint(TRUNCATE)").result()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    state._thread.submit(state._opened_connection().execute, "PRAGMA shrink_memory").result()
    with pytest.raises(StateUnavailable, match="malformed"):
        await state.first_use("ticket 1", SOON)
    with pytest.raises(StateUnavailable, match="is not known"):
        await state.first_use("ticket 1", SOON)
    assert await state.take("alice", [], ALICE) == Grant(False)
    await state.close()


async def test_a_file_that_is_locked_at_the_start_is_opened_later(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    state = SqliteState(path, Limits(deadline=1), mend=True)
    assert "cannot be reached for now: database is locked" in caplog.text
    with pytest.raises(StateUnavailable):
        await state.take("", (), ALICE)
    other.close()
    while True:
        try:
            assert await state.take("", (), ALICE) == Grant(False)
            break
        except StateUnavailable:  # a busy machine
            await asyncio.sleep(0.01)
    await state.close()


async def test_a_damaged_file_that_cannot_be_moved_ends_no_start_either(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"no database at all" * 100)
    with monkeypatch.context() as fixed:
        fixed.setattr(Path, "rename", Mock(side_effect=PermissionError(13, "Permission denied")))
        state = SqliteState(path, PATIENT, mend=True)
        assert "it cannot be moved aside: Permission denied; move it yourself" in caplog.text
        with pytest.raises(StateUnavailable, match="move it yourself"):
            await state.first_use("ticket", SOON)
    with pytest.raises(StateUnavailable, match="is not known"):
        await state.first_use("ticket", SOON)
    assert await state.take("alice", [], ALICE) == Grant(False)
    await state.close()


async def test_a_sound_file_is_left_alone_and_loses_nothing(path: Path) -> None:
    await use(path, first=True)
    state = SqliteState(path, PATIENT, mend=True)
    assert not await state.first_use("ticket 1", SOON)
    assert await state.first_use("ticket 201", SOON)
    await state.close()


@pytest.mark.parametrize("mend", [True, False])
def test_a_file_that_may_be_something_else_is_left_alone(mend: bool, tmp_path: Path) -> None:
    path = tmp_path / ("users.htpasswd" if mend else "state.sqlite")
    path.write_text("alice:$argon2id$\n" * 100)
    with pytest.raises(StartError, match="not a database"):
        SqliteState(path, PATIENT, mend=mend)
    assert list(tmp_path.iterdir()) == [path]


async def test_a_loss_of_an_unknown_time_ago_is_forgotten_after_a_day(path: Path) -> None:
    path.write_bytes(b"no database")
    state = SqliteState(path, PATIENT, mend=True)
    with pytest.raises(StateUnavailable):
        await state.first_use("ticket", SOON)
    state._thread.submit(state._opened_connection().execute, "UPDATE lost SET at = at - 86401").result()
    assert await state.first_use("ticket", SOON)
    await state.close()


def test_a_file_of_another_version_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 7")
    other.close()
    with pytest.raises(StartError, match="its tables have version 7"):
        SqliteState(path, PATIENT)


@pytest.mark.parametrize("place", ["no/such/folder/state.sqlite", "."])
def test_a_place_without_a_file_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(StartError, match=r"cannot be opened: (No such file|unable to open)"):
        SqliteState(tmp_path / place)


async def test_a_file_that_may_not_be_written_is_named(path: Path) -> None:
    await SqliteState(path, PATIENT).close()
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        pytest.skip("root may write everywhere")
    with pytest.raises(StartError, match=r"state\.sqlite: cannot be opened: .*readonly"):
        SqliteState(path, PATIENT)


async def test_a_file_that_was_replaced_is_not_counted_in(path: Path) -> None:
    state, same = SqliteState(path, QUICK), SqliteState(path, QUICK)
    assert await state.first_use("ticket", SOON)
    assert not await same.first_use("ticket", SOON)
    for file in list(path.parent.iterdir()):
        file.unlink()
    await unavailable(state.first_use("ticket", SOON), "No such file")
    new = SqliteState(path, QUICK)
    await unavailable(state.first_use("ticket", SOON), "the file was replaced while it was in use")
    assert await new.first_use("ticket", SOON)
    for each in (state, same, new):
        await each.close()


async def test_a_subject_that_is_no_longer_known_is_not_kept(path: Path) -> None:
    state = SqliteState(path, Limits(deadline=20, forget_known=0))
    for name in "abc":
        await state.succeeded(name, (), ())
    await state.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT key FROM known").fetchall() == [("c",)]
    connection.close()


async def test_a_second_state_on_the_same_file_leaves_the_first_its_locks(path: Path) -> None:
    """A reload opens the file once more in one process, and closes it; another process may come and go meanwhile."""
    come_and_go = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM used'); c.close()"
    state = SqliteState(path, PATIENT)
    assert await state.first_use("before", SOON)
    await SqliteState(path, PATIENT).close()
    subprocess.run([sys.executable, "-c", come_and_go, path], check=True, timeout=30)
    assert await state.first_use("ticket", SOON)
    other = SqliteState(path, PATIENT)
    assert not await other.first_use("before", SOON)
    assert not await other.first_use("ticket", SOON)
    await other.close()
    await state.close()


async def test_in_memory_each_is_alone() -> None:
    one, other = open_state(None, None), open_state(None, None)
    assert await one.first_use("ticket", SOON)
    assert not await one.first_use("ticket", SOON)
    assert await other.first_use("ticket", SOON)
    await one.close()
    await other.close()
