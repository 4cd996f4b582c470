"""SIGTERM in the middle of everything: associations that can finish do, to the last byte; the others are aborted."""

import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from ssl import SSLContext
from struct import unpack_from
from typing import Any

import pytest
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from bench.messages import PASSCODE
from bench.processes import running
from dicomgate.testing import raw
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmtk import NO_DELAY, run_storescp
from dicomgate.testing.peers.loopback import HOST, Address, wait_until
from dicomgate.testing.peers.process import require
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.raw_client import ABORT, RELEASE_RP, RELEASE_RQ, RawClient, p_data
from dicomgate.testing.slices import ct_series, ct_slice
from tests.stamina.measure import report, scaled
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.sink import BROKEN, CALLED, ENDED, RELEASED, Sink
from tests.stamina.stalled_clients import request_by

_ROWS = 256
_LONGEST = 16_382  # what pynetdicom's acceptor says
_SUCCESS = bytes.fromhex("0000 0009 02000000 0000")  # Status (0000,0900), PS3.7 table 9.3-2


class Store(threading.Thread):
    """One association with one C-STORE, as a thread: for some seconds it sends all but the last PDU.

    `begun` is set when it has sent the first; the last is sent when `may_end` is set. In the end `error` says why it
    has failed, if it has.
    """

    def __init__(self, folder: Path, number: int, address: Address, tls: SSLContext | None, seconds: float) -> None:
        super().__init__(name=f"store {number}")
        image = ct_slice(folder / "slice.dcm", number, rows=_ROWS)
        self.uid = str(image.SOPInstanceUID)
        self.data_set = encode(image, is_implicit_vr=False, is_little_endian=True)
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self._pdus = list(_c_store(image, self.data_set))
        context = raw.proposed(1, raw.item(0x30, image.SOPClassUID.encode()), raw.item(0x40, raw.EXPLICIT))
        self._request = raw.rq(raw.login(2, b"alice", PASSCODE), context=context, calling=b"STORE")
        self._address = address
        self._tls = tls
        self._pace = seconds / len(self._pdus)

    @property
    def sent(self) -> int:
        """Bytes of its C-STORE-RQ."""
        return sum(map(len, self._pdus))

    def run(self) -> None:
        try:
            with RawClient(self._address, self._tls) as client:
                self._store(client)
        except (AssertionError, OSError) as error:
            self.error = error
        finally:
            self.begun.set()

    def _store(self, client: RawClient) -> None:
        assert client.ask(self._request)[0] == 2
        *pdus, last = self._pdus
        for pdu in pdus:
            client.send(pdu)
            self.begun.set()
            time.sleep(self._pace)
        assert self.may_end.wait(30)
        client.send(last)
        assert _SUCCESS in client.pdu()
        assert client.release() == RELEASE_RP


def _c_store(image: Any, data_set: bytes) -> Iterator[bytes]:
    primitive = C_STORE()
    primitive.MessageID = 1
    primitive.AffectedSOPClassUID = image.SOPClassUID
    primitive.AffectedSOPInstanceUID = image.SOPInstanceUID
    primitive.Priority = 2
    primitive.DataSet = BytesIO(data_set)
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    for fragments in message.encode_msg(1, _LONGEST):
        pdu = P_DATA_TF()
        pdu.from_primitive(fragments)
        yield pdu.encode()


COUNT = scaled(50, 10)
SOON = 2.0  # seconds between the last association's end and the process's
DRAINED = "the gateway is shutting down"


def tables(upstream: int, certificates: Certificates, drain_timeout: str) -> dict[str, Any]:
    """One listener, and one in TLS."""
    return tables_for(upstream, settings={"drain_timeout": drain_timeout}, certificates=certificates)


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
    with PynetdicomPacs() as pacs, GatewayProcess(tmp_path, tables(pacs.address[1], certificates, "60s")) as gateway:
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
        command += [HOST, str(gateway.address()[1])]
        senders = [
            stack.enter_context(running([*command, *paths], tmp_path, f"storescu-{number}", environment=NO_DELAY))
            for number, paths in files.items()
        ]
        wait_until(lambda: len(gateway.told("Established")) == COUNT, "all of them being under way")
        under_way = begin_to_drain(gateway)
        for sender in senders:
            assert sender.process.wait(timeout=60) == 0, sender.tail()
        last = time.monotonic()
        assert gateway.process.wait(timeout=30) == 0
        after = time.monotonic() - last
        sent = Counter(data_set(path) for paths in files.values() for path in paths)
        assert Counter(map(data_set, scp.stored())) == sent
        assert len(gateway.told("Closed", cause="released")) == COUNT
        report("drain of storescu", associations=COUNT, under_way=under_way, ended_s_after_the_last=after)
        assert under_way >= COUNT // 2  # all of them, where starting that many takes less time than storing
        assert after < SOON


def data_set(path: Path) -> bytes:
    """What a DICOM file has after its file meta information (PS3.10 7.1)."""
    content = path.read_bytes()
    return content[144 + unpack_from("<L", content, 140)[0] :]


WHOLE, HALF = p_data(bytes(100)), p_data(bytes(1000))[:500]


class Straggler:
    """One association with the sink, which has sent a PDU and not been released."""

    def __init__(self, calling: str, sink: Sink, address: Address, tls: SSLContext | None) -> None:
        self.client = RawClient(address, tls)
        assert self.client.ask(request_by(calling, CALLED))[0] == 2
        self.client.send(WHOLE)
        self.taken = sink.of(calling)

    def between_pdus(self) -> None:
        """As it is, on both sides."""

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
def test_an_association_not_over_in_time_is_cut(tmp_path: Path, certificates: Certificates, secured: bool) -> None:
    seconds = 1.5
    with Sink() as sink, GatewayProcess(tmp_path, tables(sink.address[1], certificates, "1500ms")) as gateway:
        name, tls = ("secured", certificates.client_context()) if secured else ("clinical", None)
        stragglers = [Straggler(f"S{number}", sink, gateway.address(name), tls) for number in range(COUNT)]
        others = [Straggler(f"IN TIME {number}", sink, gateway.address(name), tls) for number in range(5)]
        ways = [list(ENDS)[number % len(ENDS)] for number in range(COUNT)]
        for straggler, way in zip(stragglers, ways, strict=True):
            way(straggler)
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
        for straggler, way, end in zip(stragglers, ways, received, strict=True):
            taken = straggler.taken
            assert (end, taken.last, taken.rest, taken.end) == ENDS[way], way.__name__
        causes = Counter(event["cause"] for event in gateway.told("Closed"))
        assert causes == {"released": len(others), DRAINED: COUNT}
        report(f"drain, not over in time, {name}", cut=COUNT, deadline_s=seconds, ended_s=took)
        assert seconds < took < seconds + SOON
