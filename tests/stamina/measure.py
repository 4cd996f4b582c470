"""The size of a run, its figures, a gateway's resources, and a client that must stay undisturbed.

The size is small with `make test`, full with `make stamina`. `Probe` makes a good association with a C-ECHO every
50 ms, in a process of its own. Its associations are planned at fixed times, and each is measured from its planned
time: a gateway that stops for a second spoils twenty figures and not one.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.load import exchange, tls_context
from bench.messages import ECHO, ECHO_RQ, RELEASE_RQ, associate_rq
from bench.processes import BenchError
from dicomgate.testing.peers.loopback import Address, wait_until

if TYPE_CHECKING:  # the probe's process does not need it
    from tests.stamina.process import GatewayProcess

FULL = os.environ.get("DICOMGATE_STAMINA") == "full"
reported: list[str] = []
"""What pytest's summary shows, in the order of the tests."""

_Value = TypeVar("_Value")


def scaled(full: _Value, small: _Value) -> _Value:
    """The value for the size of this run."""
    return full if FULL else small


def report(name: str, **figures: object) -> None:
    """Show one line of figures in the summary at the end of the run."""
    told = (f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in figures.items())
    reported.append(f"{name}: {' '.join(told)}")


MOST_MS = scaled(250.0, 2000.0)
"""The limit of the probe's p99. The small runs have too few associations, on too busy a machine, for the real limit."""
_TESTS = Path(__file__).parent.parent
_PATIENCE = 5.0  # seconds that the probe waits for any answer
_AC, _P_DATA, _RELEASE_RP = 2, 4, 6


def cpu(gateway: GatewayProcess) -> float:
    """Seconds of CPU time that it used so far, by its own clock: clock_getcpuclockid(3)."""
    return time.clock_gettime(~gateway.process.pid << 3 | 2)


class Shape:
    """How many descriptors, tasks, threads, sessions and relays a gateway had at the start."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._descriptors = gateway.descriptors()  # before an inspection, which is an association itself
        gateway.inspect()  # the first login with a credential is more work than those that follow
        self._inside = gateway.inspect()

    def again(self, seconds: float) -> float:
        """Wait until there are no more of them, for at most `seconds`; return how long it took. Raises TimeoutError."""
        began = time.monotonic()
        wait_until(lambda: self._gateway.descriptors() <= self._descriptors, "the descriptors of before", seconds)
        took = time.monotonic() - began
        # What closes a connection or counts an attempt may still be about it.
        while (more := self._more()) and time.monotonic() < began + seconds:
            time.sleep(0.05)
        assert not more, f"{more}, before: {self._inside}"
        return took

    def _more(self) -> dict[str, int]:
        inside = self._gateway.inspect()
        return {what: count for what, count in inside.items() if count > self._inside[what]}


class Peak:
    """How far a gateway's resident memory rises from now on (proc(5): VmRSS, VmHWM, clear_refs)."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._process = Path(f"/proc/{gateway.process.pid}")
        (self._process / "clear_refs").write_text("5")
        self._before = self._bytes("VmRSS")

    def risen(self) -> int:
        """Bytes, at the highest."""
        return self._bytes("VmHWM") - self._before

    def _bytes(self, which: str) -> int:
        found = re.search(rf"^{which}:\s+(\d+) kB$", (self._process / "status").read_text("ascii"), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


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
        self, address: Address, *, every: float = 0.05, source: str = "127.0.0.2", secured: bool = False
    ) -> None:
        host, port = address
        arguments = [host, str(port), str(every), source, str(int(secured))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stamina.measure", *arguments],
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


def associate(address: Address, source: str, secured: bool) -> None:
    """One association with a username and passcode, one C-ECHO, one release. Raises OSError, BenchError."""
    with socket.create_connection(address, timeout=_PATIENCE, source_address=(source, 0)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = tls_context().wrap_socket(raw) if secured else raw
        with connection:
            exchange(connection, associate_rq(ECHO), _AC)
            exchange(connection, ECHO_RQ, _P_DATA)
            exchange(connection, RELEASE_RQ, _RELEASE_RP)


def probe(address: Address, every: float, source: str, secured: bool) -> ProbeResult:
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


def undisturbed(name: str, before: Shape, result: ProbeResult, seconds: float = 10, **figures: object) -> None:
    """Assert that the probe succeeded in time, and that the gateway is as before within `seconds`; report both."""
    back = before.again(seconds)
    result.check()
    report(name, **figures, probe=result.total, p99_ms=result.p99, as_before_after_s=back)


if __name__ == "__main__":
    host, port, every, source, secured = sys.argv[1:]
    print(json.dumps(vars(probe((host, int(port)), float(every), source, secured == "1"))))  # noqa: T201
