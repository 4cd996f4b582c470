"""A value read from a file that may change: what counts when, what is tried again, what the log says."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate.kit.files import read_trusted
from dicomgate.kit.watched import Watched

LOG = logging.getLogger("watched")


class Words:
    """The words of two files, and how often they were read. `failure` is raised by each read, if there is one."""

    def __init__(self, folder: Path) -> None:
        self.paths = [folder / "first", folder / "second"]
        self.write("old")
        self.failure: Exception | None = None
        self.reads = 0
        self.watched = Watched(self.paths, self._read, log=LOG, describe=lambda words: f"loaded, {len(words)} words")
        self.reads = 0

    def write(self, first: str, second: str = "other") -> None:
        for path, text in zip(self.paths, (first, second), strict=True):
            path.write_text(text)

    def _read(self) -> list[str]:
        self.reads += 1
        if self.failure is not None:
            raise ConfigError("the files: cannot be read") from self.failure
        words = [word for path in self.paths for word in read_trusted(path, 100).decode().split()]
        if "wrong" in words:
            raise ConfigError("the files: wrong")
        return words


@pytest.fixture
def words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Words:
    caplog.set_level(logging.INFO)
    return Words(tmp_path)


def test_a_change_of_any_file_counts_at_the_next_use(words: Words, caplog: pytest.LogCaptureFixture) -> None:
    assert words.watched.current() == words.watched.current() == ["old", "other"]
    assert words.reads == 0, "nothing has changed since it was made"
    words.paths[1].write_text("new one")
    assert words.watched.current() == words.watched.current() == ["old", "new", "one"]
    assert words.reads == 1
    assert caplog.messages == [f"{words.paths[0]}, {words.paths[1]}: loaded, 3 words"]


@pytest.mark.parametrize("cause", [OSError(errno.EMFILE, "too many"), OSError(errno.EIO, "I/O"), MemoryError()])
def test_what_could_not_be_read_is_read_again_at_the_next_use(
    words: Words, caplog: pytest.LogCaptureFixture, cause: Exception
) -> None:
    words.write("new")
    words.failure = cause
    assert words.watched.current() == words.watched.current() == ["old", "other"]
    assert words.reads == 2
    assert caplog.messages == ["not loaded, the last good version stays in use: the files: cannot be read"]
    words.failure = None
    assert words.watched.current() == ["new", "other"]
    assert len(caplog.messages) == 2


def test_what_is_wrong_waits_for_the_next_change(words: Words, caplog: pytest.LogCaptureFixture) -> None:
    words.write("wrong")
    assert words.watched.current() == words.watched.current() == ["old", "other"]
    assert words.reads == 1
    words.write("wrong", "too")
    assert words.watched.current() == ["old", "other"]
    assert caplog.messages == ["not loaded, the last good version stays in use: the files: wrong"] * 2
    words.write("good")
    assert words.watched.current() == ["good", "other"]


def test_a_file_that_is_gone_takes_nothing_away_until_it_is_back(
    words: Words, caplog: pytest.LogCaptureFixture
) -> None:
    words.paths[0].rename(words.paths[0].with_suffix(".away"))
    assert words.watched.current() == words.watched.current() == ["old", "other"]
    assert len(caplog.messages) == 1
    words.write("new")
    assert words.watched.current() == ["new", "other"]


def test_a_folder_that_everybody_may_write_is_seen(words: Words, caplog: pytest.LogCaptureFixture) -> None:
    folder = words.paths[0].parent
    folder.chmod(0o777)
    words.watched.current()
    (message,) = caplog.messages
    assert "everybody may write the folder" in message
    folder.chmod(0o700)
    assert words.watched.current() == ["old", "other"]
    assert len(caplog.messages) == 2


def test_what_is_wrong_when_it_is_made_raises(words: Words) -> None:
    words.failure = OSError(errno.EMFILE, "too many")
    with pytest.raises(ConfigError, match="cannot be read"):
        Watched(words.paths, words._read, log=LOG)


def test_a_defect_of_the_reader_does_not_end_the_reloads(words: Words) -> None:
    words.write("new")
    words.paths[1].write_bytes(b"\xff")
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError):
            words.watched.current()
    words.write("newer")
    assert words.watched.current() == ["newer", "other"]


def test_nobody_waits_for_the_reload_of_another_thread(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    reading, go_on, slow = threading.Event(), threading.Event(), False

    def read() -> str:
        text = path.read_text()
        if slow:
            reading.set()
            assert go_on.wait(10)
        return text

    watched = Watched([path], read, log=LOG)
    slow = True
    path.write_text("new")
    with ThreadPoolExecutor(1) as pool:
        reload = pool.submit(watched.current)
        try:
            assert reading.wait(10)
            assert watched.current() == "old", "at once, while the other thread still reads"
        finally:
            go_on.set()
        assert reload.result(10) == watched.current() == "new"


async def reading_again(path: Path, changes: int) -> list[str]:
    """What each of three tasks gets that come one after the other, the last ones while the first reads `path` anew."""
    reading, go_on = threading.Event(), threading.Event()

    def read() -> str:
        text = path.read_text()
        if text != "old":
            reading.set()
            assert go_on.wait(10)
        return text

    path.write_text("old")
    watched = Watched([path], read, log=LOG)
    path.write_text("new 1")
    tasks = [asyncio.ensure_future(watched.current_async())]
    assert await asyncio.to_thread(reading.wait, 10)
    for change in range(2, changes + 1):
        path.write_text(f"new {change}, longer")
    tasks += [asyncio.ensure_future(watched.current_async()) for _ in range(2)]
    await asyncio.sleep(0.05)
    go_on.set()
    return list(await asyncio.gather(*tasks))


@pytest.mark.anyio
async def test_a_task_that_comes_after_a_change_never_gets_what_was_before(tmp_path: Path) -> None:
    assert await reading_again(tmp_path / "one", 1) == ["new 1"] * 3
    assert (await reading_again(tmp_path / "two", 2))[1:] == ["new 2, longer"] * 2, "the first read came too soon"


def test_a_change_while_the_files_are_read_is_seen_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    to_write = ["newest"]

    def read() -> str:
        text = path.read_text()
        if text == "new" and to_write:
            path.write_text(to_write.pop())
        return text

    watched = Watched([path], read, log=LOG)
    path.write_text("new")
    assert watched.current() == "new"
    assert watched.current() == "newest"


def test_one_change_is_one_reload_for_any_number_of_threads(words: Words, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            words.write(f"word{number}")
            list(pool.map(lambda _: words.watched.current(), range(50)))
            assert words.watched.current() == [f"word{number}", "other"]
    assert words.reads == len(caplog.messages) == 20


def test_a_value_is_current_until_a_file_changes(words: Words) -> None:
    old = words.watched.current()
    assert words.watched.is_current(old)
    assert not words.watched.is_current(["old", "other"]), "as equal as it may be"
    words.write("newer")
    assert not words.watched.is_current(old), "before anybody has read it"
    new = words.watched.current()
    assert words.watched.is_current(new)
    assert not words.watched.is_current(old)
    words.failure = OSError(errno.EMFILE, "too many")
    words.write("newest")
    assert words.watched.current() is new
    assert not words.watched.is_current(new), "what could not be read may say something else"
