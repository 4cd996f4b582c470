"""The writer: nobody who puts a line waits for it, lines keep their order, and what is lost is told."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from dicomgate.events.backlog import MOST, RESERVED, Loss
from dicomgate.events.writer import Writer
from dicomgate.testing.peers.loopback import wait_until

_SMALL = 4096  # the smallest pipe that Linux makes
LOSSES: list[Loss] = []


def told(loss: Loss) -> bytes:
    LOSSES.append(loss)
    return b"lost %d\n" % loss.items


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A small pipe: its end to read, and a copy of its end to write for a writer, which closes that."""
    LOSSES.clear()
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, _SMALL)
    yield ends[0], os.dup(ends[1])
    for end in ends:
        os.close(end)


def read(end: int, last: bytes) -> list[bytes]:
    """All lines up to one that begins like this."""
    data = b""
    while not any(line.startswith(last) for line in data.splitlines()):
        assert select.select([end], [], [], 30)[0], data[-200:]
        data += os.read(end, 65_536)
    assert data.endswith(b"\n")
    return data.splitlines()


def test_what_is_put_is_written_in_its_order(pipe: tuple[int, int]) -> None:
    writer = Writer(pipe[1], told)
    for number in range(2000):
        writer.put(b"%d\n" % number)
    writer.put(b"long %s\n" % (b"x" * 20_000))
    writer.put(b"end\n")
    lines = read(pipe[0], b"end")
    assert lines == [b"%d" % number for number in range(2000)] + [b"long " + b"x" * 20_000, b"end"]
    assert writer.close() == 0
    assert LOSSES == []


def test_what_nobody_reads_is_lost_counted_and_told_in_its_place(pipe: tuple[int, int]) -> None:
    writer = Writer(pipe[1], told)
    writer.put(b"x" * 2 * _SMALL + b"\n")
    wait_until(lambda: writer._began and not writer._waiting, "a write that does not end")
    for number in range(2 * MOST):
        writer.put(b"%d\n" % number)
    refused: list[str] = []
    for _ in range(RESERVED):
        writer.put(b"waited for\n", refused.append)
    assert not refused, "a flood of other lines does not end all logins"
    writer.put(b"one too many\n", refused.append)
    assert len(refused) == 1
    lines = read(pipe[0], b"lost")
    writer.put(b"again\n")
    lines += read(pipe[0], b"again")
    (loss,) = LOSSES
    assert loss.items == MOST + 1
    written = [b"x" * 2 * _SMALL, *(b"%d" % number for number in range(MOST))]
    assert lines == [*written, b"lost %d" % loss.items, *RESERVED * [b"waited for"], b"again"]
    wait_until(lambda: len(refused) > RESERVED, "who waited is told, after the write")
    assert refused[1:] == RESERVED * [""]
    assert loss.since <= loss.until
    assert loss.reason in (*refused, "nobody takes what is written")
    assert writer.close() == 0


def test_it_ends_although_nobody_reads_and_says_how_many_lines_are_left(pipe: tuple[int, int]) -> None:
    writer = Writer(pipe[1], told)
    for _ in range(3 * _SMALL // 8):
        writer.put(b"7 bytes\n")
    left = writer.close(0.1)
    assert 3 * _SMALL > 8 * left >= _SMALL, "it is in a write that does not end"
    answers: list[str] = []
    writer.put(b"too late\n", answers.append)
    assert answers
    os.read(pipe[0], 65_536)  # and now it can end


def test_whoever_waits_behind_what_cannot_be_written_learns_at_once() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = Writer(full, told)
    answers: SimpleQueue[str] = SimpleQueue()
    with writer._lock:  # so that all wait at once, and more than one write takes
        for _ in range(2_000):
            writer.put(b"x" * 99 + b"\n", answers.put)
    assert {answers.get(timeout=20) for _ in range(2_000)} == {"No space left on device"}
    assert writer.close() == 2_000


def test_a_pipe_that_somebody_else_made_non_blocking_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = Writer(pipe[1], told)
    for number in range(3000):
        writer.put(b"%d\n" % number)
    writer.put(b"end\n")
    assert read(pipe[0], b"end")[:-1] == [b"%d" % number for number in range(3000)]
    assert writer.close() == 0
