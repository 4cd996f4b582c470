"""Both legs are asked for signs of life: which timer the kernel runs for a connection (proc(5), tcp)."""

from __future__ import annotations

from pathlib import Path

from dicomgate.testing.evidence import ALICE
from dicomgate.testing.fixtures import gateway, spy
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import RELEASE_RP, RawClient, login, request
from dicomgate.testing.system_gateway import StartGateway, configuration

__all__ = ["gateway", "spy"]

_ESTABLISHED, _KEEPALIVE = "01", "02"


def asked_for_life(*, here: Address | None = None, there: Address | None = None) -> bool:
    """Whether the kernel runs its keepalive timer for the established connection with this end."""
    timers = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, _, timer, *_ = line.split()
        ends = [(one, address) for one, address in ((local, here), (remote, there)) if address is not None]
        if state == _ESTABLISHED and all(int(one.rpartition(":")[2], 16) == address[1] for one, address in ends):
            timers.append(timer.partition(":")[0])
    assert timers
    return _KEEPALIVE in timers


def test_peers_that_vanish_are_noticed_on_both_legs(gateway: StartGateway, spy: Spy) -> None:
    tables = configuration(spy.address)
    tables["gateway"]["keepalive"] = "2s"
    running = gateway(tables)
    with RawClient(running.address) as client:
        assert asked_for_life(here=running.address)
        assert client.ask(request(login("alice", ALICE)))[0] == 2
        assert not asked_for_life(there=spy.address)  # what is short pays nothing
        wait_until(lambda: asked_for_life(there=spy.address), "the keepalive timer of the upstream's leg")
        assert client.release() == RELEASE_RP
    tables["gateway"]["keepalive"] = "0s"
    running.write()
    assert running.reload()
    with RawClient(running.address) as client:
        assert client.ask(request(login("alice", ALICE)))[0] == 2
        assert not asked_for_life(here=running.address)
