"""A PACS with several addresses: whom the client reaches, and what is heard where nobody answers."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomgate.net.pooled import PooledUpstream
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.dcmtk import run_storescp
from dicomgate.testing.peers.loopback import HOST, Address, free_port, wait_until
from dicomgate.testing.peers.silence import Names, silent
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all, reject
from dicomgate.testing.raw_client import CONGESTION, RawClient, log_in, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

__all__ = ["names"]

LOGIN = [login("alice", ALICE)]
SCRIPT = (accept_all, RELEASE_RP)


def start(gateway: StartGateway, *addresses: Address, **keys: object) -> Gateway:
    tables = configuration(addresses[0], upstream=keys)
    (upstream,) = tables["upstream"]
    del upstream["address"]
    upstream["addresses"] = [f"{host}:{port}" for host, port in (one[:2] for one in addresses)]
    return gateway(tables)


def come_and_go(to: Gateway, times: int = 1) -> None:
    for _ in range(times):
        with RawClient(to.address) as client:
            assert client.ask(request(*LOGIN))[:1] == b"\2"
            client.release()


@pytest.mark.parametrize("how", ["silent", "refused", "busy"])
def test_where_the_first_address_is_of_no_use_everybody_is_served_by_the_second(
    how: str, gateway: StartGateway
) -> None:
    with ExitStack() as stack:
        second = stack.enter_context(Spy(SCRIPT))
        if how == "silent":
            first = stack.enter_context(silent("127.0.0.2"))
        elif how == "refused":
            first = ("127.0.0.2", free_port())
        else:
            first = stack.enter_context(Spy((reject(2, 3, 2),))).address
        running = start(gateway, first, second.address, connect_timeout="200ms")
        come_and_go(running, 8)
        second.wait_for(8, closed=True)
        # One that says that it is busy is there. One that does not answer is asked three times.
        log = running.log()
        assert log.count(" is down for 10 s: ") == (how != "busy")
        assert log.count("; 127.0.0.1:") == (0 if how == "busy" else 3)


# decision: D54
def test_where_no_address_answers_nobody_waits_and_the_reason_names_each(gateway: StartGateway) -> None:
    with silent("127.0.0.2") as first, silent("127.0.0.3") as second:
        running = start(gateway, first, second, connect_timeout="100ms", fall=1)
        for _ in range(2):
            assert log_in(running.address, LOGIN) == CONGESTION
        tried, at_once = (str(record["reason"]) for record in running.wait_for("Refused", 2))
        for host, port in (first, second):
            assert f"{host}:{port}: no answer within " in tried
            assert f"{host}:{port}: down for " in at_once


def test_associations_go_where_the_fewest_are_and_a_reload_keeps_count(gateway: StartGateway) -> None:
    with Spy(SCRIPT) as one, Spy(SCRIPT) as other, ExitStack() as stack:
        running = start(gateway, one.address, other.address, balance="least")
        for _ in range(2):
            for _ in range(2):
                client = stack.enter_context(RawClient(running.address))
                assert client.ask(request(*LOGIN))[:1] == b"\2"
            running.reload()
        assert (len(one.connections), len(other.connections)) == (2, 2)


def test_an_address_that_stays_silent_after_the_request_has_the_whole_time(gateway: StartGateway) -> None:
    with Spy((lambda _: b"",)) as hangs, Spy(SCRIPT) as works:
        running = start(gateway, hangs.address, works.address, timeout="300ms", fall=1)
        assert log_in(running.address, LOGIN) == CONGESTION
        (refused,) = running.wait_for("Refused")
        where = f"{HOST}:{hangs.address[1]}"
        assert refused["reason"] == f"pacs: not answered within 0.3 s: {where}"
        come_and_go(running)  # it is down now


def taken_by(to: Gateway) -> int:
    """Which of its addresses an association goes to that comes now."""
    upstream = to.server.generation.assembly.upstreams["pacs"]
    assert isinstance(upstream, PooledUpstream)
    with RawClient(to.address) as client:
        assert client.ask(request(*LOGIN))[:1] == b"\2"
        counts = [member.associations for member in upstream.pool.members]
        client.release()
    wait_until(lambda: not any(member.associations for member in upstream.pool.members), "its end")
    return counts.index(1)


def test_storescp_that_goes_and_comes_back_is_found_out_without_any_client(
    gateway: StartGateway, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack, run_storescp(folders[1]) as second:
        first = stack.enter_context(run_storescp(folders[0]))
        keys = {"check": "echo", "check_interval": "100ms", "fall": 2}
        running = start(gateway, first.address, second.address, **keys)
        assert taken_by(running) == 0
        stack.close()
        where = f"{HOST}:{first.address[1]}"
        wait_until(lambda: f"{where} is down: Connection refused" in running.log(), "down")
        assert taken_by(running) == 1
        with run_storescp(folders[2], port=first.address[1]) as again:
            wait_until(lambda: f"{where} answers again" in running.log(), "up")
            assert taken_by(running) == 0
            wait_until(lambda: again.log().count("Received Echo Request") >= 2, "real C-ECHOs")
        running.drain().result(20)


def test_a_name_that_moves_is_followed_without_any_failure(gateway: StartGateway, names: Names) -> None:
    with Spy(SCRIPT) as new, ExitStack() as stack:
        port = new.address[1]
        names.addresses["pacs.test"] = ["127.0.0.1"]
        running = start(gateway, ("pacs.test", port), refresh="50ms")
        with RawClient(running.address) as stays:
            assert stays.ask(request(*LOGIN))[:1] == b"\2"
            moved = stack.enter_context(socket.create_server(("127.0.0.2", port)))
            names.addresses["pacs.test"] = ["127.0.0.2"]
            upstream = running.server.generation.assembly.upstreams["pacs"]
            assert isinstance(upstream, PooledUpstream)
            host = upstream.addresses[f"pacs.test:{port}"].host
            wait_until(lambda: [str(one) for one in host.addresses()] == [f"127.0.0.2:{port}"], "the new address")
            with RawClient(running.address) as comes:
                comes.send(request(*LOGIN))
                with moved.accept()[0] as connection:
                    assert connection.recv(1) == b"\1"
            assert stays.release() == RELEASE_RP
