from __future__ import annotations

import select
import socket
from contextlib import closing
from pathlib import Path

import pytest

from dicomgate.run.systemd import Manager, manager_of


def test_a_manager_that_does_not_read_holds_nobody_up_and_hears_the_last_of_it(tmp_path: Path) -> None:
    where = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader, closing(Manager(where, 0)) as manager:
        reader.bind(where)
        for number in range(5000):  # many times the queue of the socket
            manager.tell(state="RELOADING=1" if number % 2 == 0 else "READY=1", status=f"STATUS={number}")
        assert reader.recv(4096) == b"RELOADING=1\nSTATUS=0"
        while select.select([reader], [], [], 0)[0]:
            reader.recv(4096)
        manager.tell(alive="WATCHDOG=1")
        assert reader.recv(4096) == b"READY=1\nSTATUS=4999\nWATCHDOG=1"
        manager.tell(alive="WATCHDOG=1")
        assert reader.recv(4096) == b"WATCHDOG=1"


def test_a_manager_that_is_gone_is_missed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Manager(str(tmp_path / "gone"), 0)) as manager:
        for _ in range(3):
            manager.tell(state="READY=1")
    assert [record.getMessage() for record in caplog.records] == [
        "systemd cannot be told anything at NOTIFY_SOCKET: No such file or directory"
    ]


def test_the_watchdog_of_another_process_is_not_ours() -> None:
    for pid, watchdog in (("", 3.0), ("1", 0.0)):
        environment = {"NOTIFY_SOCKET": "@there", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": pid, "HOME": "/"}
        manager = manager_of(environment)
        assert manager is not None
        manager.close()
        assert (manager.watchdog, environment) == (watchdog, {"HOME": "/"})
    assert manager_of({"WATCHDOG_USEC": "3000000"}) is None
