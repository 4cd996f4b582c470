"""A client that must stay undisturbed: a good association with a C-ECHO every 50 ms, in a process of its own.

Its associations are planned at fixed times, and each is measured from its planned time: a gateway that stops for a
second spoils twenty figures and not one.
"""

from __future__ import annotations

import json
import math
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.load import exchange, tls_context
from bench.messages import ECHO, ECHO_RQ, RELEASE_RQ, associate_rq
from bench.processes import BenchError
from tests.stamina.scale import scaled

MOST_MS = scaled(250.0, 2000.0)
"""The limit of its p99. The small runs have too few associations, on too busy a machine, for the real limit."""
_TESTS = Path(__file__).parent.parent
_PATIENCE = 5.0  # seconds that it waits for any answer
_AC, _P_DATA, _RELEASE_RP = 2, 4, 6


@dataclass(frozen=True)
class ProbeResult:
    """How many associations there were, which of them failed and why, and the milliseconds of the others."""

    total: int
    failed: list[str]
    p50: float
    p99: float

    def check(self) -> None:
        """Assert that every association succeeded in time."""
        assert self.total >= 5, "the probe made too few associations"
        assert not self.failed, self.failed
        assert self.p99 < MOST_MS, self


class Probe:
    """A context manager: it runs from its first good association on, until `stop`, from a source of its own."""

    def __init__(
        self, address: tuple[str, int], *, every: float = 0.05, source: str = "127.0.0.2", secured: bool = False
    ) -> None:
        host, port = address
        arguments = [host, str(port), str(every), source, str(int(secured))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stamina.probe", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{_TESTS}:{_TESTS.parent}"},
            text=True,
        )

    def __enter__(self) -> Probe:
        try:
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == "under way\n", "the probe does not probe"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> ProbeResult:
        """End it and return its result."""
        told, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        return ProbeResult(**json.loads(told))


def associate(address: tuple[str, int], source: str, secured: bool) -> None:
    """One association with a username and passcode, one C-ECHO, one release. Raises OSError, BenchError."""
    with socket.create_connection(address, timeout=_PATIENCE, source_address=(source, 0)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = tls_context().wrap_socket(raw) if secured else raw
        with connection:
            exchange(connection, associate_rq(ECHO), _AC)
            exchange(connection, ECHO_RQ, _P_DATA)
            exchange(connection, RELEASE_RQ, _RELEASE_RP)


def probe(address: tuple[str, int], every: float, source: str, secured: bool) -> ProbeResult:
    """Associate at the planned times until standard input ends."""
    associate(address, source, secured)
    print("under way", flush=True)  # noqa: T201
    milliseconds, failed = [], []
    began = planned = time.perf_counter()
    while not select.select([sys.stdin], [], [], max(0.0, planned - time.perf_counter()))[0]:
        try:
            associate(address, source, secured)
        except (OSError, BenchError) as error:
            failed.append(f"{planned - began:.2f} s: {error!r}")
        else:
            milliseconds.append((time.perf_counter() - planned) * 1000)
        planned += every
    milliseconds.sort()

    def of(share: float) -> float:
        return milliseconds[math.ceil(share * len(milliseconds)) - 1] if milliseconds else math.inf

    return ProbeResult(len(milliseconds) + len(failed), failed, of(0.5), of(0.99))


if __name__ == "__main__":
    host, port, every, source, secured = sys.argv[1:]
    print(json.dumps(vars(probe((host, int(port)), float(every), source, secured == "1"))))  # noqa: T201
