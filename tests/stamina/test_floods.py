"""Floods: one source, or one shortage, takes nothing from the others; and when it is over all is as before."""

from __future__ import annotations

import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.messages import ECHO, ECHO_RQ, ECHO_RSP
from bench.pacs import Pacs
from bench.processes import BenchError
from dicomgate.config.schema import GatewayTable
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.raw_client import CONGESTION, LOCAL_LIMIT, RELEASE_RP, RawClient
from tests.stamina.crowd import RESET
from tests.stamina.measure import Probe, Shape, associate, cpu, report, scaled, undisturbed
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.stalled_clients import StalledClients, request_by

CROWDED, OTHER = "127.0.0.5", "127.0.0.6"
ACCEPTED = b"\2"  # how an A-ASSOCIATE-AC begins
NONE_LEFT = "no connection can be accepted for now"


def connect_and_close(address: Address, source: str, *, reset: bool) -> None:
    """Connect from a source, and close with a FIN or a RST."""
    with RawClient(address, source=source) as client:
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def turned_away(address: Address, source: str, opening: bytes) -> bool:
    """Connect and send; True if the connection is closed unanswered."""
    with RawClient(address, source=source) as client:
        client.socket.settimeout(5)
        try:
            client.send(opening)
            return not client.receive(1)
        except ConnectionError:  # what was sent was not read: the close was a RST
            return True


def served(address: Address, source: str) -> bool:
    """True if a good association from there goes as it should."""
    try:
        associate(address, source, secured=False)
    except (BenchError, OSError):
        return False
    return True


@contextmanager
def descriptors_allowed(gateway: GatewayProcess, more: int) -> Iterator[None]:
    """The gateway can open so many file descriptors more, and no others."""
    pid = gateway.process.pid
    used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    free = [number for number in range(len(used) + more + 1) if number not in used]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[more], before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("sources", [1, 200])
def test_ten_thousand_connect_and_close(tmp_path: Path, pacs: Pacs, sources: int) -> None:
    bursts, burst = scaled(20, 5), 500
    with GatewayProcess(tmp_path, tables_for(pacs.port)) as gateway:
        address, before, used = gateway.address(), Shape(gateway), cpu(gateway)
        with Probe(address) as probe:
            began = time.monotonic()
            for _ in range(bursts):
                for number in range(burst):
                    connect_and_close(address, f"127.1.{number % sources}.1", reset=number % 3 == 0)
                time.sleep(scaled(0.4, 0.2))
            took = time.monotonic() - began
            result = probe.stop()
        figures = {"connections": bursts * burst, "per_second": bursts * burst / took, "cpu_s": cpu(gateway) - used}
        undisturbed(f"connect and close, sources: {sources}", before, result, **figures)


def test_a_source_at_twice_its_limits_takes_nothing_from_others(tmp_path: Path, pacs: Pacs) -> None:
    limits = GatewayTable()
    most, silent = limits.max_associations_per_source, limits.max_unauthenticated_per_source
    with GatewayProcess(tmp_path, tables_for(pacs.port)) as gateway:
        address, before = gateway.address(), Shape(gateway)
        with Probe(address) as probe, StalledClients() as crowd:
            established = crowd.associate(address, most, request_by(ECHO), source=CROWDED)
            above = crowd.connect(address, most, request_by(ECHO), source=CROWDED)
            waiting = crowd.connect(address, 2 * silent, b"", source=OTHER)
            end, unanswered = time.monotonic() + scaled(20, 1), 0
            while time.monotonic() < end:  # and both come again and again
                assert turned_away(address, CROWDED, request_by(ECHO))
                assert turned_away(address, OTHER, b"")
                unanswered += 2
                crowd.wait(0.01)
            assert not any(client.ended for client in established + waiting)
            answers = Counter((client.received, client.ended is not None) for client in above)
            assert answers == {(LOCAL_LIMIT, False): silent, (b"", True): most - silent}
            established[0].connection.close()  # one that leaves makes room
            wait_until(lambda: served(address, CROWDED), "the room that was left")
            result = probe.stop()
        figures = {"established": most, "answered": silent, "unanswered": most - silent + unanswered}
        undisturbed("a source at twice its limits", before, result, silent=2 * silent, **figures)


def test_a_client_that_comes_with_few_descriptors_left_is_served(tmp_path: Path, pacs: Pacs) -> None:
    many = scaled(5_000, 300)
    with GatewayProcess(tmp_path, tables_for(pacs.port), descriptor_limit=256) as gateway:
        address, before = gateway.address(), Shape(gateway)
        with Probe(address) as probe, StalledClients() as crowd:
            crowd.connect(address, many, request_by(ECHO), source=CROWDED)
            crowd.connect(address, many, b"", source=OTHER)
            crowd.wait(scaled(10, 1))
            descriptors, result = gateway.descriptors(), probe.stop()
        undisturbed("256 descriptors", before, result, connections=2 * many, descriptors=descriptors)
        assert NONE_LEFT not in gateway.log()


def test_descriptors_that_run_out_all_the_same(tmp_path: Path, pacs: Pacs) -> None:
    seconds = scaled(20, 1)
    with GatewayProcess(tmp_path, tables_for(pacs.port)) as gateway:
        address, before = gateway.address(), Shape(gateway)
        with RawClient(address, source=OTHER) as established, StalledClients() as crowd:
            assert established.ask(request_by(ECHO))[:1] == ACCEPTED
            with descriptors_allowed(gateway, 0):
                coming = crowd.connect(address, 40, request_by(ECHO), source=CROWDED)
                used = cpu(gateway)
                crowd.wait(seconds)
                busy = (cpu(gateway) - used) / seconds
                assert established.ask(ECHO_RQ) == ECHO_RSP
                assert not any(client.received or client.ended for client in coming)
            given_back = time.monotonic()
            assert served(address, "127.0.0.2")
            recovery = time.monotonic() - given_back
            crowd.await_answers(coming)
            assert {client.received[:1] for client in coming} == {ACCEPTED}
            # One for the client, none for the PACS.
            with descriptors_allowed(gateway, 1), RawClient(address, source=OTHER) as refused:
                assert refused.ask(request_by(ECHO)) == CONGESTION
            assert served(address, OTHER)
            assert established.release() == RELEASE_RP
        back = before.again(10)
        assert busy < 0.3
        assert recovery < 5
        assert NONE_LEFT in gateway.log()
        report(
            "no descriptors left", seconds=seconds, cpu_percent=100 * busy, recovery_s=recovery, as_before_after_s=back
        )
