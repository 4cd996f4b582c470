"""A gateway's resources, which must be the same after a test as before; its CPU time and its peak memory."""

from __future__ import annotations

import re
import time
from pathlib import Path

from dicomgate.testing.peers.loopback import wait_until
from tests.stamina.process import GatewayProcess


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
