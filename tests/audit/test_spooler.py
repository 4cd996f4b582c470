"""The thread that fills a spool: what happens where there is no room, and over a reload."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from dicomgate.audit.atna import Atna, AtnaSettings
from dicomgate.audit.connection import Collector
from dicomgate.audit.messages import Messages
from dicomgate.audit.spool import Spool
from dicomgate.audit.spooler import Spooler
from dicomgate.audit.syslog import Envelope
from dicomgate.events import backlog
from dicomgate.net.tls_context import client_context
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from tests.events.examples import ACCEPTED, CLOSED, REFUSED


@contextmanager
def filling(folder: Path, most_bytes: int, *, drop_oldest: bool = False) -> Iterator[tuple[Spool, Spooler]]:
    with closing(Spool(folder / "spool", most_bytes, 3_000)) as spool:
        running = Spooler("the audit", spool, lambda: None)
        running.use(Messages("gate"), Envelope("gate", "x", mark=False), drop_oldest)
        yield spool, running
        running.close(20)


def everything(spool: Spool) -> list[str]:
    place, found = spool.delivered, list[str]()
    while batch := spool.read(place, 1_000_000):
        place = batch[-1][0]
        found += [message.decode() for _, message in batch]
    return found


def kept(running: Spooler) -> str:
    answers: SimpleQueue[str] = SimpleQueue()
    running.tell(ACCEPTED, answers.put)
    return answers.get(timeout=20)


def test_without_room_whoever_waits_hears_it_and_the_record_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "RETRY", 0.05)
    with filling(tmp_path, 2_500) as (spool, running):
        assert kept(running) == ""
        assert kept(running) == ""
        assert kept(running) == "the spool is full (spool_max)"
        assert running.trouble
        running.tell(CLOSED)
        running.flush(20)
        spool.deliver(spool.read(spool.delivered, 10_000)[-1][0])
        wait_until(lambda: not running.trouble, "room")
        running.flush(20)
        assert [line.count("Login") for line in everything(spool)] == [1, 0]
        assert running.lost == 0


def test_what_is_dropped_for_room_is_counted_and_told(tmp_path: Path) -> None:
    with filling(tmp_path, 10_000, drop_oldest=True) as (spool, running):
        for _ in range(30):
            assert kept(running) == ""
        assert running.dropped > 0
        running.close(20)
        assert sum("Audit Recording St" in line for line in everything(spool)) == 2
        assert "audit records are lost: the spool is full" in everything(spool)[-1]


def test_what_memory_cannot_hold_is_lost_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST", 5)
    with filling(tmp_path, 100) as (_, running):
        assert kept(running) != ""
        for _ in range(20):
            running.tell(CLOSED)
        assert running.lost >= 15


def test_whoever_waits_for_a_record_of_which_no_message_can_be_made_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filling(tmp_path, 10_000) as (spool, running):
        with monkeypatch.context() as broken:
            broken.setattr(Messages, "_login", lambda *_: 1 / 0)
            assert kept(running) == "a defect, see the log"
        assert kept(running) == ""
        assert [line.count("Login") for line in everything(spool)] == [0, 0, 1]  # the first two tell of the loss
        assert running.lost == 1


def test_a_reload_goes_on_with_the_spool_and_counts_from_its_adoption_on(tmp_path: Path) -> None:
    collector = Collector(HOST, free_port(), HOST, client_context(None, pinned=False))
    settings = AtnaSettings("atna", "before", "", "x", False, collector, tmp_path / "spool", 1 << 22, False)
    atna = Atna(settings)
    atna.begin()
    with closing(Atna(replace(settings, node="after"), running=atna)) as successor:
        assert atna.goes_on_in(successor)
        atna(REFUSED)
        atna.flush()
        successor.begin()
        successor(REFUSED)
        successor.flush()
        lines = everything(successor.spool)
    # One Application Start, and its numbers go on.
    assert [line.count("Application Start") for line in lines] == [1, 0, 0]
    assert [line.split()[2] for line in lines] == ["before", "before", "after"]
    assert [f'sequenceId="{number}"' in line for number, line in enumerate(lines, 1)] == [True] * 3


def test_nothing_counts_as_written_while_the_disk_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system takes the bytes, says later that the quota is used up, and drops them."""
    monkeypatch.setattr(backlog, "RETRY", 0.05)
    synced = os.fdatasync
    safe = 0

    def sync_of_a_full_quota(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        os.ftruncate(descriptor, safe)
        os.ftruncate(descriptor, size)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with filling(tmp_path, 1_000_000) as (spool, running):
        assert kept(running) == ""
        wait_until(lambda: running._unsynced is None, "the positive control: it is on the disk")
        safe = spool.size
        monkeypatch.setattr(os, "fdatasync", sync_of_a_full_quota)
        assert kept(running) == "", "it is not known yet"
        wait_until(lambda: running.trouble == "Disk quota exceeded", "the failed sync")
        assert kept(running) == "Disk quota exceeded"
        monkeypatch.setattr(os, "fdatasync", synced)
        wait_until(lambda: not running.trouble, "the disk keeps it again")
        running.flush(20)
        assert [line.count("Login") for line in everything(spool)] == [1, 1, 1]
    with closing(Spool(tmp_path / "spool", 1_000_000)) as spool:
        assert len(everything(spool)) == 3


def test_what_is_damaged_in_the_spool_is_counted_and_told(tmp_path: Path) -> None:
    with filling(tmp_path, 1_000_000) as (spool, running):
        for _ in range(9):
            assert kept(running) == ""
    assert running.dropped == 0, "the positive control"
    _, second, third, fourth, *_ = sorted(tmp_path.glob("spool/*.spool"))
    second.write_bytes(bytes(100))
    with filling(tmp_path, 1_000_000) as (spool, running):
        third.write_bytes(bytes(third.stat().st_size))
        assert len(everything(spool)) == 9 - (gone := int(fourth.stem) - int(second.stem))
        everything(spool)
        running.close(20)
        assert running.dropped == gone, "each once: at the start, and while it is read"
        assert f"{gone} audit records are lost: they were damaged in the spool" in everything(spool)[-1]
