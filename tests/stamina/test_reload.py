"""A hundred reloads, twenty of them of something broken, while associations come and go: none of them notices."""

import hashlib
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random

import pytest

from bench.messages import ECHO, PASSCODE
from bench.pacs import Pacs
from dicomgate.testing.peers.loopback import HOST, Address, wait_until
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RELEASE_RP, RawClient, item, login, p_data, request
from tests.stamina.crowd import ECHOES, Caller, Crowd, Listener, Play, talk
from tests.stamina.files import BROKEN, LONG, SHORT, Files
from tests.stamina.measure import report, scaled
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.sink import CALLED, RELEASED, Sink
from tests.stamina.stalled_clients import request_by

RELOADS = scaled(100, 10)
EVERY = 5  # of the reloads is broken
RATE = 100.0  # associations a second
MOST_KIB = scaled(4096, 2048)  # that the memory may grow; 40 reloads more add half a MiB, 40 more than that less


@dataclass
class Traffic:
    """Associations at a rate, plain and in TLS in turn. Of those in TLS it notes when, and which certificate."""

    plain: Listener
    secured: Listener
    crowd: Crowd = field(init=False)
    met: list[tuple[float, float, int]] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """It flows as long as the block; then the last of them have ended, too."""
        over, self.crowd = threading.Event(), Crowd()

        def plays() -> Iterator[tuple[str, Play]]:
            while not over.is_set():
                yield "plain", talk(self.plain, *ECHOES)
                yield "secured", self._secured()

        thread = threading.Thread(target=self.crowd.run_at, args=(RATE, plays()))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _secured(self) -> Play:
        with Caller(self.secured) as caller:
            began = time.monotonic()
            yield from caller.open()
            self.met.append((began, time.monotonic(), serial_of(caller.socket)))
            yield from caller.take(*ECHOES)


class Transfer(threading.Thread):
    """One association that sends fragment after fragment while the block lasts, and is then released."""

    def __init__(self, calling: str, address: Address, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(name=calling)
        self.calling = calling
        self.digest = hashlib.sha256()
        self.sent = 0
        self.released = b""
        self._client = RawClient(address, tls)
        self._stopping = threading.Event()
        assert self._client.ask(request_by(calling, CALLED))[0] == 2

    def run(self) -> None:
        chance = Random(self.calling)
        with self._client:
            while not self._stopping.wait(0.005):
                pdu = p_data(chance.randbytes(chance.randrange(2, 12_000, 2)))
                self._client.send(pdu)
                self.digest.update(pdu)
                self.sent += 1
            self.released = self._client.release()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()


def serial_of(secured: socket.socket) -> int:
    """The serial number of the certificate that the peer showed."""
    assert isinstance(secured, ssl.SSLSocket)
    certificate = secured.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)


def check(gateway: GatewayProcess, files: Files, tls: ssl.SSLContext) -> None:
    """A new client finds what the files say: certificate, users, limit, listeners."""
    good, large = [login("alice", PASSCODE)], [login("alice", PASSCODE), item(0x5F, bytes(SHORT))]
    assert associates(gateway.address("secured"), good, tls) == files.serial
    assert associates(gateway.address("hashed"), [login(files.user, PASSCODE)])
    assert not associates(gateway.address("hashed"), [login(files.former, PASSCODE)])
    assert associates(gateway.address(), large) == (files.longest == LONG)
    if files.spare:
        assert associates((HOST, files.spare_port), good)
    else:
        with pytest.raises(ConnectionRefusedError):
            RawClient((HOST, files.spare_port))


def associates(address: Address, sub_items: list[bytes], tls: ssl.SSLContext | None = None) -> int:
    """False if refused; otherwise true, or with TLS the certificate's serial number."""
    with RawClient(address, tls) as client:
        answer = client.ask(request(*sub_items, called=CALLED.encode()))
        if answer[0] != 2:
            assert answer == REFUSED_IDENTITY or answer[0] == 7
            return False
        assert client.release() == RELEASE_RP
        return serial_of(client.socket) if tls else True


def change(files: Files, number: int) -> None:
    """Something is different each time."""
    match number % 4:
        case 0:
            files.renew_certificate()
        case 1:
            files.renew_users()
        case 2:
            files.longest = SHORT if files.longest == LONG else LONG
        case 3:
            files.spare = not files.spare


def figures(gateway: GatewayProcess) -> dict[str, int]:
    """How the gateway is without a client."""
    wait_until(lambda: gateway.inspect()["sessions"] == 1, "the last association ending")
    wait_until(lambda: gateway.inspect()["assemblies"] <= 1, "the last assembly retiring")
    return gateway.inspect() | {"descriptors": gateway.descriptors(), "memory": gateway.memory()}


@contextmanager
def running(folder: Path, pacs: Pacs, sink: Sink) -> Iterator[tuple[GatewayProcess, Files, ssl.SSLContext]]:
    """A gateway, its files, and what its TLS clients trust."""
    tables = tables_for(pacs.port)
    to_sink = {"name": "sink", "address": f"{HOST}:{sink.address[1]}", "called_ae_titles": [CALLED]}
    tables["upstream"].append(to_sink)
    gateway = GatewayProcess(folder, tables)
    with closing(Files(folder, tables)) as files, gateway:
        yield gateway, files, ssl.create_default_context(cadata=files.authority)


def reload_what_is_right(gateway: GatewayProcess, files: Files, tls: ssl.SSLContext, number: int) -> None:
    change(files, number)
    files.write()
    logged = gateway.logged()
    assert gateway.reload(), gateway.log(logged)
    check(gateway, files, tls)


def reload_what_is_wrong(
    gateway: GatewayProcess, files: Files, tls: ssl.SSLContext, spoil: Callable[[Files], str]
) -> None:
    told, logged = spoil(files), gateway.logged()
    assert not gateway.reload()
    wait_until(lambda: re.search(f"ERROR reload: {told}", gateway.log(logged)), f"the log telling {told}")
    check(gateway, files, tls)
    files.write()


@pytest.mark.timeout(scaled(900, 120))
def test_reloads_under_load(tmp_path: Path, pacs: Pacs) -> None:
    with Sink() as sink, running(tmp_path, pacs, sink) as (gateway, files, tls):
        traffic = Traffic(Listener(gateway.address()), Listener(gateway.address("secured"), tls))
        for number in range(4):  # everything there is has been there once
            reload_what_is_right(gateway, files, tls, number)
        warming = [Transfer("WARM", gateway.address()), Transfer("WARMER", gateway.address("secured"), tls)]
        with traffic.flowing(), warming[0], warming[1]:
            time.sleep(0.5)
        warm, before = traffic.crowd.done.total(), figures(gateway)
        valid = {files.serial: (0.0, math.inf)}  # from when until when
        broken, began = cycle(BROKEN), time.monotonic()
        transfers = [Transfer("PLAIN", gateway.address()), Transfer("SECURED", gateway.address("secured"), tls)]
        with traffic.flowing(), transfers[0], transfers[1]:
            for number in range(RELOADS):
                serial, asked = files.serial, time.monotonic()
                if number % EVERY == EVERY - 1:
                    reload_what_is_wrong(gateway, files, tls, next(broken))
                else:
                    reload_what_is_right(gateway, files, tls, number % EVERY)
                if files.serial != serial:
                    valid |= {serial: (valid[serial][0], time.monotonic()), files.serial: (asked, math.inf)}
        seconds = time.monotonic() - began
        for transfer in transfers:
            taken = sink.of(transfer.calling)
            assert transfer.released == RELEASE_RP
            assert taken.end == RELEASED
            assert taken.digest.digest() == transfer.digest.digest()
        assert not traffic.crowd.failed, traffic.crowd.failed[:20]
        # A client before the request for a renewal sees the old certificate, one after the reload the new one.
        assert [met for met in traffic.met if met[0] > valid[met[2]][1] or met[1] < valid[met[2]][0]] == []
        after = figures(gateway)
        grown = after["memory"] - before.pop("memory")
        associations = traffic.crowd.done.total()
        sent = sum(transfer.sent for transfer in transfers)
        done = {"reloads": RELOADS, "associations": associations, "rate": associations / seconds, "fragments": sent}
        report("reload", **done, grown_kib=grown, **after)
        assert grown < MOST_KIB
        # The threads that look up names are as many as were once needed at the same time, and stay.
        assert after["threads"] <= before.pop("threads") + len(files.tables["upstream"])
        assert {key: after[key] for key in before if after[key] > before[key]} == {}
        assert len(gateway.told("Established", calling_ae_title=ECHO)) == associations + warm
        assert len(gateway.told("Closed", cause="released")) == len(gateway.told("Established"))
