"""SIGTERM in the middle of everything: who can finish finishes, to the last byte; the others are told."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from ssl import SSLContext
from struct import unpack_from
from typing import Any

import pytest

from bench.messages import PASSCODE
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmtk import NO_DELAY, run_storescp
from dicomgate.testing.peers.loopback import HOST, Address, free_port, wait_until
from dicomgate.testing.peers.process import require
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.raw_client import ABORT, RELEASE_RP, RELEASE_RQ, RawClient, p_data
from dicomgate.testing.slices import ct_series
from tests.stamina.measure import report, scaled
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.sink import BROKEN, ENDED, RELEASED, Sink, request_by
from tests.stamina.store import Store

COUNT = scaled(50, 10)
SOON = 2.0  # seconds between the last association's end and the process's
DRAINED = "the gateway is shutting down"


def tables(upstream: int, certificates: Certificates, drain_timeout: str) -> dict[str, Any]:
    """One listener, and one in TLS."""
    made = tables_for(upstream, settings={"drain_timeout": drain_timeout})
    tls = {"certificate": certificates.server.certificate, "key": certificates.server.key}
    secured = {"name": "secured", "bind": f"{HOST}:{free_port()}", "authenticators": ["quick"], "tls": tls}
    made["listener"].append(secured)
    return made


def begin_to_drain(gateway: GatewayProcess) -> int:
    """Send SIGTERM, after which no client is admitted. Returns how many associations are under way."""
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "draining: " in gateway.log(), "the drain beginning")
    for name in ("clinical", "secured"):
        with pytest.raises(ConnectionRefusedError):
            RawClient(gateway.address(name))
    [count] = re.findall(r"draining: (\d+) associations", gateway.log())
    return int(count)


def test_stores_under_way_are_finished(tmp_path: Path, certificates: Certificates) -> None:
    """Every other one in TLS; the PACS answers each of them."""
    with (
        PynetdicomPacs() as pacs,
        GatewayProcess(tmp_path, tables(pacs.address[1], certificates, "60s")) as gateway,
    ):
        ways = [(gateway.address(), None), (gateway.address("secured"), certificates.client_context())]
        stores = [Store(tmp_path, number, *ways[number % 2], seconds=2) for number in range(COUNT)]
        for store in stores:
            store.start()
        for store in stores:
            assert store.begun.wait(30)
        assert begin_to_drain(gateway) == COUNT
        for store in stores:
            store.may_end.set()
        for store in stores:
            store.join()
        last = time.monotonic()
        assert gateway.process.wait(timeout=30) == 0
        after = time.monotonic() - last
        assert [store.error for store in stores] == [None] * COUNT
        assert pacs.stored == {store.uid: store.data_set for store in stores}
        closed = gateway.told("Closed", cause="released")
        sent = [store.sent + len(RELEASE_RQ) for store in stores]
        assert sorted(event["bytes_from_client"] for event in closed) == sorted(sent)
        report("drain", stores=COUNT, megabytes=sum(sent) / 1e6, ended_s_after_the_last=after)
        assert after < SOON


def test_storescu_can_finish(tmp_path: Path, certificates: Certificates) -> None:
    """DCMTK on both sides, a process for each association; storing takes storescp its time."""
    folder = tmp_path / "storescp"
    folder.mkdir()
    files = {number: ct_series(tmp_path, scaled(2, 1), study=f"study-{number}", rows=96) for number in range(COUNT)}
    with (
        run_storescp(folder, ["--bit-preserving", "--sleep-during", "1"]) as scp,
        GatewayProcess(tmp_path, tables(scp.address[1], certificates, "60s")) as gateway,
        ExitStack() as stack,
    ):
        command = [require("storescu", "dcmtk"), "-v", "--user", "alice", "--password", PASSCODE.decode()]
        senders = [
            stack.enter_context(sending([*command, HOST, str(gateway.port()), *paths])) for paths in files.values()
        ]
        wait_until(lambda: len(gateway.told("Established")) == COUNT, "all of them being under way")
        under_way = begin_to_drain(gateway)
        for sender in senders:
            output, _ = sender.communicate(timeout=60)
            assert sender.returncode == 0, output
        last = time.monotonic()
        assert gateway.process.wait(timeout=30) == 0
        after = time.monotonic() - last
        sent = Counter(data_set(path) for paths in files.values() for path in paths)
        assert Counter(map(data_set, scp.stored())) == sent
        assert len(gateway.told("Closed", cause="released")) == COUNT
        report("drain of storescu", associations=COUNT, under_way=under_way, ended_s_after_the_last=after)
        assert under_way >= COUNT // 2  # all of them, where starting that many takes less time than storing
        assert after < SOON


@contextmanager
def sending(command: list[str | Path]) -> Iterator[subprocess.Popen[bytes]]:
    """A storescu that runs; it does not outlive the block."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **NO_DELAY}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def data_set(path: Path) -> bytes:
    """What stands in a DICOM file behind its file meta information (PS3.10 7.1)."""
    content = path.read_bytes()
    return content[144 + unpack_from("<L", content, 140)[0] :]


WHOLE, HALF = p_data(bytes(100)), p_data(bytes(1000))[:500]


class Straggler:
    """One association with the sink, which has sent a PDU and not been released."""

    def __init__(self, calling: str, sink: Sink, address: Address, tls: SSLContext | None) -> None:
        self.client = RawClient(address, tls)
        assert self.client.ask(request_by(calling))[0] == 2
        self.client.send(WHOLE)
        self.taken = sink.of(calling)

    def between_pdus(self) -> None:
        """Where it stands, on both sides."""

    def inside_its_pdu(self) -> None:
        self.client.send(HALF)

    def inside_an_answer(self) -> None:
        self.taken.connection.sendall(HALF)
        assert self.client.receive(len(HALF)) == HALF

    def end(self) -> bytes:
        """What comes at the end; nothing where the connection is broken."""
        with self.client, suppress(OSError):
            return self.client.receive(len(ABORT) + 1)
        return b""


# What the client receives; the last whole PDU of the PACS, what it has of another, and how its connection ends.
ENDS = {
    Straggler.between_pdus: (ABORT, ABORT, b"", ENDED),
    Straggler.inside_its_pdu: (ABORT, WHOLE, HALF, BROKEN),
    Straggler.inside_an_answer: (b"", ABORT, b"", ENDED),
}


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_who_is_not_over_in_time_is_cut(tmp_path: Path, certificates: Certificates, secured: bool) -> None:
    seconds = 1.5
    with Sink() as sink, GatewayProcess(tmp_path, tables(sink.address[1], certificates, "1500ms")) as gateway:
        name, tls = ("secured", certificates.client_context()) if secured else ("clinical", None)
        stragglers = [Straggler(f"S{number}", sink, gateway.address(name), tls) for number in range(COUNT)]
        others = [Straggler(f"IN TIME {number}", sink, gateway.address(name), tls) for number in range(5)]
        stands = [list(ENDS)[number % len(ENDS)] for number in range(COUNT)]
        for straggler, stand in zip(stragglers, stands, strict=True):
            stand(straggler)
        began = time.monotonic()
        assert begin_to_drain(gateway) == COUNT + len(others)
        for other in others:
            assert other.client.release() == RELEASE_RP
            assert other.end() == b""
        received = [straggler.end() for straggler in stragglers]
        assert gateway.process.wait(timeout=30) == 0
        took = time.monotonic() - began
        sink.wait_for_ends()
        assert [other.taken.end for other in others] == [RELEASED] * len(others)
        for straggler, stand, end in zip(stragglers, stands, received, strict=True):
            taken = straggler.taken
            assert (end, taken.last, taken.rest, taken.end) == ENDS[stand], stand.__name__
        causes = Counter(event["cause"] for event in gateway.told("Closed"))
        assert causes == {"released": len(others), DRAINED: COUNT}
        report(f"drain, not over in time, {name}", cut=COUNT, deadline_s=seconds, ended_s=took)
        assert seconds < took < seconds + SOON
