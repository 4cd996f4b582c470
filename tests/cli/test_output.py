"""Nobody who reads the log or keeps the audit can hold up `serve`: its associations, or its end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicomgate.errors import NegativeAnswer
from dicomgate.scu.client import Client
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.wire.echo import verification_request

EVERYBODY = '[[authenticator]]\nuse = "network"\ndevices.CT1.anywhere = true\n'
LISTENER = '[[listener]]\nname = "plain"\nbind = "127.0.0.1:0"\nidentity = "optional"\n'
_LISTENING = re.compile(rb"listening on 127\.0\.0\.1:(\d+)")
_DRAIN = 1.0  # seconds
_PATIENCE = 60.0

Settings = Callable[[str], None]


class Unread:
    """A pipe of the smallest size. What was written to it is only read when a test asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self.end, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        self.text = b""
        stack.callback(lambda: os.close(self.end))

    def read(self) -> bytes:
        """Read a piece; b"" at the end."""
        assert select.select([self.end], [], [], _PATIENCE)[0], self.text[-500:]
        self.text += (piece := os.read(self.end, 65_536))
        return piece

    def read_to(self, what: bytes) -> None:
        """Read until this is there."""
        while what not in self.text:
            assert self.read(), self.text[-500:]

    def read_all(self) -> bytes:
        """Read to the end, and return all that was read so far."""
        while self.read():
            pass
        return self.text


@pytest.fixture
def settings(gate: Path, configuration: Any, pacs: int) -> Settings:
    """Write the configuration with these keys in [gateway]."""

    def write(keys: str) -> None:
        text = configuration(pacs, LISTENER, EVERYBODY).replace('audit = "audit.jsonl"\ndrain_timeout = "60s"', keys)
        gate.write_text(text.replace("[gateway]", f'[gateway]\ndrain_timeout = "{_DRAIN:g}s"'))

    return write


@contextmanager
def serving(gate: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Unread, Unread]]:
    """The process, its port, its standard output, and its standard error, which was read until it listened."""
    with ExitStack() as stack:
        out, log = Unread(stack), Unread(stack)
        process = subprocess.Popen([*DICOMGATE, "serve", "--config", gate], stdout=out.writing, stderr=log.writing)
        stack.callback(process.wait, _PATIENCE)
        stack.callback(process.kill)
        os.close(out.writing)
        os.close(log.writing)
        log.read_to(b"authenticators: ")
        port = _LISTENING.search(log.text)
        assert port is not None
        yield process, int(port[1]), out, log


def client(port: int) -> Client:
    return Client(socket.create_connection(("127.0.0.1", port)), time.monotonic() + _PATIENCE)


def login(port: int) -> str:
    """ "" if it is admitted, or what it receives instead."""
    with client(port) as scu:
        try:
            scu.associate(verification_request("CT1", "PACS", None))
            scu.release()
        except NegativeAnswer as told:
            return str(told)
    return ""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("ends", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_associations_and_the_end_wait_for_no_reader(
    ends: list[signal.Signals], gate: Path, settings: Settings
) -> None:
    settings("")
    with serving(gate) as (process, port, out, log), client(port) as established:
        established.associate(verification_request("CT1", "PACS", None))
        for number in range(200):
            assert login(port) == ""
            if not number % 20:
                assert established.echo() == 0
        established.release()
        for end in ends:
            process.send_signal(end)
            time.sleep(0.2)
        assert process.wait(_PATIENCE) == 0
        for output, what in ((out, b'"event": "Closed"'), (log, b"closed after")):
            assert output.read_all().count(what) < 100, "the positive control: there was more, and nobody has read it"


def test_what_waits_when_the_end_comes_is_written_if_somebody_reads(gate: Path, settings: Settings) -> None:
    settings("")
    with serving(gate) as (process, port, out, log):
        for _ in range(20):
            login(port)
        process.send_signal(signal.SIGTERM)
        log.read_to(b"no longer listening")
        records = [json.loads(line) for line in out.read_all().splitlines()]
        assert b"ended" in log.read_all()
        assert process.wait(_PATIENCE) == 0
    assert [record["event"] for record in records].count("Closed") == 20


@pytest.mark.parametrize("output", ["a full disk", "a reader that is gone"])
def test_an_audit_that_takes_nothing_is_survived_and_told(output: str, gate: Path, settings: Settings) -> None:
    settings('audit = "/dev/full"' if output == "a full disk" else "")
    with serving(gate) as (process, port, out, log):
        if output == "a reader that is gone":
            os.close(out.end)
            out.end = os.open(os.devnull, os.O_RDONLY)
        assert login(port) == ""
        log.read_to(b"cannot be written: " + (b"No space left" if output == "a full disk" else b"Broken pipe"))
        assert login(port) == ""
        process.send_signal(signal.SIGTERM)
        log.read_to(b"audit records are lost at its end")
        assert process.wait(_PATIENCE) == 0


def test_no_login_without_its_record_where_that_is_required(gate: Path, settings: Settings) -> None:
    settings("audit_required = true")
    with serving(gate) as (process, port, out, _), client(port) as established:
        established.associate(verification_request("CT1", "PACS", None))
        assert established.echo() == 0, "the positive control"
        until(lambda: "2,2,1" in login(port))
        for _ in range(3):
            assert "2,2,1" in login(port)
        assert established.echo() == 0
        reader = threading.Thread(target=out.read_all)
        reader.start()
        until(lambda: not login(port))
        established.release()
        process.send_signal(signal.SIGTERM)
        reader.join(_PATIENCE)
        records = [json.loads(line) for line in out.text.splitlines()]
        assert process.wait(_PATIENCE) == 0
    reasons = {record["reason"] for record in records if record["event"] == "Refused"}
    assert reasons
    assert all(reason.startswith("no login without its audit record (audit_required): ") for reason in reasons), reasons
    written = {record["id"] for record in records if record["event"] == "Decided" and record["outcome"] == "accept"}
    assert written >= {record["id"] for record in records if record["event"] == "Established"}


NOISY = """
import sys, threading, warnings
class Login:
    handles = [None]
    def authenticate(self, attempt):
        print("a canary on standard output")
        print("a canary on standard error", file=sys.stderr)
        warnings.warn("a canary as a warning")
        thread = threading.Thread(target=int, args=("canary-secret",))
        thread.start()
        thread.join()
"""


def test_what_libraries_print_goes_into_the_log_and_not_between_the_records(
    gate: Path, configuration: Any, distribution: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = distribution(NOISY, "[dicomgate.authenticators]\nacme = acme_login:Login\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *sys.path]))
    gate.write_text(
        configuration(1, LISTENER, '[[authenticator]]\nuse = "acme"\n').replace('audit = "audit.jsonl"', "")
    )
    with serving(gate) as (process, port, out, log):
        assert "2,2,1" in login(port), "it answers with nothing"
        process.send_signal(signal.SIGTERM)
        records = [json.loads(line)["event"] for line in out.read_all().splitlines()]
        told = log.read_all().decode()
        assert process.wait(_PATIENCE) == 0
    assert records == ["Opened", "Decided", "Refused", "Closed"]
    for canary in ("on standard output", "on standard error", "as a warning"):
        assert f"a canary {canary}" in told
    assert "ValueError at" in told
    assert "canary-secret" not in told
