"""Peers that stall: each is cut within a second of its deadline, and no other notices.

Deadlines: `artim` for all that comes before the association, TLS included, and for the close after a refusal;
`idle_timeout` inside the association; LINGER for the close after its end.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

from bench.messages import ECHO, associate_ac, bulk_block
from bench.pacs import Pacs
from dicomgate.association.established import LINGER
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.peers.spy import Connection, Spy
from dicomgate.testing.raw_client import RELEASE_RP, RELEASE_RQ, p_data
from tests.stamina.measure import Peak, Probe, Shape, report, scaled, undisturbed
from tests.stamina.peer import greeting
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.stalled_clients import ROOM, StalledClient, StalledClients, as_on_ethernet, drop_by_drop, request_by

DEADLINE = scaled(3.0, 2.0)  # seconds: `artim` and `idle_timeout`
NONE_TAKES_IT = bytes.fromhex("03 00 00000004 00 01 01 07")  # A-ASSOCIATE-RJ, called-AE-title-not-recognized
NOT_SPECIFIED = bytes.fromhex("07 00 00000004 0000 02 00")  # A-ABORT of the gateway


BLOCK = bulk_block(16_384)
POURS, DEAF, MUTE, LEAVES = "POURS", "DEAF", "MUTE", "LEAVES"
"""Calling AE titles of the contrary PACS: it sends bulk data without an end and reads none; reads nothing; answers
nothing; asks for the release, and that is all."""


class ContraryPacs(Spy):
    """A PACS that stalls its clients, in a way that the calling AE title names. It never closes first."""

    def __init__(self) -> None:
        super().__init__()
        as_on_ethernet(self._listener)

    def _converse(self, client: socket.socket, connection: Connection) -> None:
        with client, suppress(OSError):
            calling = client.recv(65_536)[26:42].decode("ascii").rstrip()  # PS3.8 table 9-11
            client.sendall(associate_ac(calling) + (RELEASE_RQ if calling == LEAVES else b""))
            while calling == POURS:
                client.sendall(BLOCK)
            if calling == DEAF:
                broken = select.poll()
                broken.register(client, select.POLLHUP)
                broken.poll()
            while client.recv(65_536):
                pass


def tables(pacs: int, contrary: int = 1, certificates: Certificates | None = None) -> dict[str, Any]:
    settings = {"artim": f"{DEADLINE:g}s", "idle_timeout": f"{DEADLINE:g}s", **ROOM}
    made = tables_for(pacs, settings=settings, pacs={"called_ae_titles": ["PACS"]}, certificates=certificates)
    made["upstream"].append({"name": "contrary", "address": f"{HOST}:{contrary}", "called_ae_titles": ["CONTRARY"]})
    return made


def within_a_second(seconds: list[float], deadline: float) -> float:
    """Assert that none is before the deadline, and none a second after it; return the greatest."""
    assert deadline - 0.2 <= min(seconds), sorted(seconds)[:5]
    assert max(seconds) <= deadline + 1, sorted(seconds)[-5:]
    return max(seconds)


def cut(clients: list[StalledClient], deadline: float) -> float:
    """Assert that each of them was cut in time; return the latest, in seconds."""
    return within_a_second([client.lasted for client in clients], deadline)


def test_a_peer_that_does_not_associate_in_time_is_cut(tmp_path: Path, pacs: Pacs, certificates: Certificates) -> None:
    made = tables(pacs.port, certificates=certificates)
    whole, nobodys, hello = request_by(ECHO), request_by(ECHO, "NOBODY"), greeting(ssl.create_default_context())
    many, fewer = scaled(500, 40), scaled(200, 20)
    with GatewayProcess(tmp_path, made) as gateway, StalledClients() as crowd:
        plain, secure = gateway.address(), gateway.address("secured")
        before = Shape(gateway)
        with Probe(plain) as probe, Probe(secure, source="127.0.0.4", secured=True) as secured_probe:
            late = {
                "silent": crowd.connect(plain, many, b""),
                "six bytes": crowd.connect(plain, many, whole[:6]),
                "a byte a second": crowd.connect(plain, many, b"", drop_by_drop(whole)),
                "all but the last byte": crowd.connect(plain, many, whole[:-1]),
                "no ClientHello": crowd.connect(secure, fewer, b""),
                "a ClientHello by bytes": crowd.connect(secure, fewer, hello[:100], drop_by_drop(hello[100:])),
                "refused, and stays": crowd.connect(plain, fewer, nobodys),
                "refused, and talks": crowd.connect(plain, fewer, nobodys, repeat(p_data(b"word"))),
            }
            in_time = crowd.connect(plain, 10, whole[:-2], drop_by_drop(whole[-2:]))
            crowd.wait(DEADLINE + 2)
            results = probe.stop(), secured_probe.stop()
        for result in results:
            result.check()
        for name, clients in late.items():
            report(f"cut: {name}", peers=len(clients), deadline_s=DEADLINE, latest_s=cut(clients, DEADLINE))
            answer = NONE_TAKES_IT if name.startswith("refused") else b""
            assert {client.received for client in clients} == {answer}, name
        assert {client.received[:1] for client in in_time} == {b"\2"}
        # They all still hold their ends.
        report(
            "before the association", peers=sum(map(len, late.values())), probe=results[0].total, p99_ms=results[0].p99,
            tls_probe=results[1].total, tls_p99_ms=results[1].p99, as_before_after_s=before.again(LINGER + 2),
        )  # fmt: skip


def test_a_peer_that_does_not_read_is_cut(tmp_path: Path, pacs: Pacs) -> None:
    many, words = scaled(70, 15), repeat(p_data(b"word"))
    pours, deaf, mute = (request_by(which, "CONTRARY") for which in (POURS, DEAF, MUTE))
    with ContraryPacs() as contrary, GatewayProcess(tmp_path, tables(pacs.port, contrary.address[1])) as gateway:
        address, before, peak = gateway.address(), Shape(gateway), Peak(gateway)
        with Probe(address) as probe, StalledClients() as crowd:
            unread = {
                "the client": crowd.associate(address, many, pours, deaf=True),
                "the client, which talks": crowd.associate(address, many, pours, words=words, deaf=True),
            }
            poured = crowd.associate(address, many, deaf, pours=BLOCK)
            read = crowd.associate(address, 5, mute, words=words)
            crowd.wait(DEADLINE + 2)
            result, risen = probe.stop(), peak.risen()
            assert not any(client.ended for client in read)
            # A client that reads nothing cannot see that it is cut: the audit tells.
            ports = {event["id"]: event["port"] for event in gateway.told("Opened")}
            closed = {ports[event["id"]]: event for event in gateway.told("Closed")}
            for name, clients in unread.items():
                ends = [closed.get(client.port, {"cause": "not cut", "seconds": math.inf}) for client in clients]
                assert {end["cause"] for end in ends} == {"idle for too long"}, name
                latest = within_a_second([end["seconds"] for end in ends], DEADLINE)
                report(f"does not read: {name}", peers=many, deadline_s=DEADLINE, latest_s=latest)
            report("does not read: the PACS", peers=many, deadline_s=DEADLINE, latest_s=cut(poured, DEADLINE))
            assert {client.received for client in poured} == {NOT_SPECIFIED}
            for client in read:
                client.connection.close()
            undisturbed("does not read", before, result, LINGER + 2, peers=3 * many, memory_mib=risen / 2**20)


def test_a_peer_that_does_not_finish_a_release_is_cut(tmp_path: Path, pacs: Pacs) -> None:
    many = scaled(100, 15)
    with ContraryPacs() as contrary, GatewayProcess(tmp_path, tables(pacs.port, contrary.address[1])) as gateway:
        address, before = gateway.address(), Shape(gateway)
        with Probe(address) as probe, StalledClients() as crowd:
            unanswered = {
                "by the PACS": crowd.associate(address, many, request_by(MUTE, "CONTRARY"), RELEASE_RQ),
                "by the client": crowd.associate(address, many, request_by(LEAVES, "CONTRARY")),
            }
            unclosed = {
                "stays": crowd.associate(address, many, request_by(ECHO), RELEASE_RQ),
                "talks": crowd.associate(
                    address, many, request_by(ECHO), RELEASE_RQ, words=drop_by_drop(NOT_SPECIFIED)
                ),
            }
            crowd.wait(LINGER + 2)
            result = probe.stop()
            for name, clients in unanswered.items():
                report(f"release unanswered {name}", peers=many, deadline_s=DEADLINE, latest_s=cut(clients, DEADLINE))
                assert {client.received[-10:] for client in clients} == {NOT_SPECIFIED}
            for name, clients in unclosed.items():
                report(f"released, and {name}", peers=many, deadline_s=LINGER, latest_s=cut(clients, LINGER))
                assert {client.received for client in clients} == {RELEASE_RP}
            undisturbed("release", before, result, LINGER + 2, peers=4 * many)
