"""What systemd hears of a running gateway, at a socket of our own in the place of its."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.pages import ROOT
from dicomgate.testing.peers.loopback import free_port
from dicomgate.testing.raw_client import login, request
from tests.run.confined import possible

_HALF = 0.1  # seconds: half of what WATCHDOG_USEC says
# Blocks the event loop until the file `go` is there.
_BLOCKS_THE_LOOP = """
import logging, pathlib, subprocess, time
from dicomgate import Reject
FOLDER = pathlib.Path(__file__).parent
class Login:
    async def authenticate(self, attempt):
        (FOLDER / "child").write_bytes(subprocess.run(["env"], capture_output=True).stdout)
        logging.getLogger("acme").warning("blocked")
        while not (FOLDER / "go").exists():
            time.sleep(0.01)
        return Reject("that is all")
"""


class Manager:
    """Reads an abstract socket as systemd does."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # the system chooses a name
        self.environment = {
            "NOTIFY_SOCKET": f"@{self._socket.getsockname()[1:].decode()}",
            "WATCHDOG_USEC": f"{2 * _HALF * 1e6:.0f}",
        }

    def close(self) -> None:
        self._socket.close()

    def hear(self, seconds: float = 30) -> list[str]:
        """The lines of the next datagram; none if there is none in time."""
        self._socket.settimeout(seconds)
        with suppress(TimeoutError):
            return self._socket.recv(4096).decode().split("\n")
        return []

    def hear_of(self, what: str) -> list[str]:
        """The lines of the next datagram that has more to say than that the gateway is alive."""
        while (lines := self.hear()) == ["WATCHDOG=1"]:
            pass
        assert what in lines
        return lines


@pytest.fixture
def manager() -> Iterator[Manager]:
    manager = Manager()
    yield manager
    manager.close()


def test_systemd_hears_of_the_whole_life(
    manager: Manager, gate: Path, serving: Any, configuration: Any, distribution: Any
) -> None:
    site = distribution(_BLOCKS_THE_LOOP, "[dicomgate.authenticators]\nacme = acme_login:Login\n")
    gate.write_text(configuration(authenticators='[[authenticator]]\nuse = "acme"\ntimeout = "20s"\n'))
    environment = {"PYTHONPATH": os.pathsep.join([str(site), *sys.path]), **manager.environment}
    with serving(gate, environment=environment) as gateway:
        assert manager.hear() == ["READY=1", "STATUS=0 associations, 0 refused within the last minute"]
        gateway.wait_for("listening on")
        address = "127.0.0.1", gateway.port("plain")
        with socket.create_connection(address) as client:  # it listened before it said so
            beats = []
            for _ in range(4):
                assert manager.hear() == ["WATCHDOG=1"]
                beats.append(time.monotonic())
            assert beats[-1] - beats[0] > 2 * _HALF, "not more often than every half of the interval"
            client.sendall(request(login("alice", b"passcode"), called=b"PACS"))
            gateway.wait_for("blocked")
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & {
                line.partition("=")[0] for line in (site / "child").read_text().splitlines()
            }
            for _ in range(5):  # what was sent before
                if not (lines := manager.hear(5 * _HALF)):
                    break
            assert not lines, "it is blocked, and says that it is alive"
            (site / "go").touch()
            assert client.recv(10)[0] == 3
            assert manager.hear() == ["WATCHDOG=1"]
        right = gate.read_text()
        gate.write_text(right + "nonsense = 1\n")
        gateway.process.send_signal(signal.SIGHUP)
        assert manager.hear_of("RELOADING=1")[1].removeprefix("MONOTONIC_USEC=").isdigit()
        _, status = manager.hear_of("READY=1")
        numbers, _, failure = status.partition("; ")
        assert numbers == "STATUS=0 associations, 1 refused within the last minute"
        assert failure.startswith("the last reload changed nothing: ")
        assert "nonsense" in failure
        gate.write_text(right)
        gateway.process.send_signal(signal.SIGHUP)
        manager.hear_of("RELOADING=1")
        assert manager.hear_of("READY=1")[1] == numbers
        with socket.create_connection(address) as client:
            gateway.process.send_signal(signal.SIGTERM)
            assert sorted(manager.hear_of("STOPPING=1")) == [
                "EXTEND_TIMEOUT_USEC=30000000",
                "STATUS=draining: 1 associations",
                "STOPPING=1",
            ]
            assert manager.hear() == ["WATCHDOG=1"]
            (site / "go").unlink()
            client.sendall(request(login("alice", b"passcode"), called=b"PACS"))
            gateway.wait_for("blocked", times=2)
            gateway.process.send_signal(signal.SIGABRT)  # as systemd does when it hears nothing more
            assert gateway.finished() == -signal.SIGABRT
        assert gateway.count('acme_login.py", line 10 in authenticate') == 1


@pytest.mark.skipif(not possible(), reason="systemd-analyze or libseccomp is not installed")
def test_the_gateway_lives_under_the_filters_of_the_unit(
    gate: Path, serving: Any, run: Any, passcode: str, tmp_path: Path
) -> None:
    """Which calls a library makes changes with its version. Verifying hashes is nicer than serving, or says nothing."""
    unit = ROOT / "deploy" / "systemd" / "dicomgate.service"
    confined = tmp_path / "python"
    confined.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/run/confined.py" "{unit}" "{sys.executable}" "$@"\n'
    )
    confined.chmod(0o755)
    with serving(gate, python=str(confined)) as gateway:
        gateway.wait_for("listening on")
        process = Path(f"/proc/{gateway.process.pid}")
        assert "Seccomp_filters:\t3" in (process / "status").read_text()
        where = f"127.0.0.1:{gateway.port('plain')}"
        told = run("echo", where, "--user", "alice", "--called", "PACS", stdin=passcode).stderr
        assert "2,3,1" in told, "the passcode is right; there is no PACS"
        assert any(int(task.read_text().rpartition(")")[2].split()[16]) > 0 for task in process.glob("task/*/stat"))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("new associations use the configuration as it is now")
        assert gateway.end() == 0


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd is not installed")
def test_listeners_take_the_sockets_that_systemd_has_opened(
    gate: Path, serving: Any, run: Any, configuration: Any, passcode: str, tmp_path: Path
) -> None:
    ports = by_address, by_name, of_nobody = free_port(), free_port(), free_port()
    listener = '[[listener]]\nname = "{}"\nbind = "127.0.0.1:{}"\ncleartext_passcodes = true\n'
    # Port 1 is nobody's: the address in bind is not the socket's, whose name is the listener's.
    gate.write_text(configuration(listeners=listener.format("plain", by_address) + listener.format("other", 1)))
    activated = tmp_path / "python"
    sockets = " ".join(f"-l 127.0.0.1:{port}" for port in ports)
    activated.write_text(
        f'#!/bin/sh\nexec systemd-socket-activate {sockets} --fdname=x:other:y "{sys.executable}" "$@"\n'
    )
    activated.chmod(0o755)

    def logs_in(port: int) -> bool:
        told = run("echo", f"127.0.0.1:{port}", "--user", "alice", "--called", "PACS", stdin=passcode).stderr
        return "2,3,1" in told  # the passcode is right; there is no PACS

    with serving(gate, python=str(activated)) as gateway:
        gateway.wait_for("Listening on")
        with socket.create_connection(("127.0.0.1", of_nobody)):  # this starts it
            gateway.wait_for("listening on", times=2)
        assert gateway.count("the socket 'y' of systemd") == 1
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", of_nobody))
        for number in (3, 4):
            flags = Path(f"/proc/{gateway.process.pid}/fdinfo/{number}").read_text().split()[3]
            assert int(flags, 8) & os.O_CLOEXEC
        assert logs_in(by_address)
        assert logs_in(by_name)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("new associations use the configuration as it is now")
        assert logs_in(by_name)
        assert gateway.end() == 0
