"""How many may come, in all and from one source, before and after their login; beside them others log in."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import LOCAL_LIMIT, RawClient, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

OTHER = "127.0.0.2"
ALICE_LOGS_IN = request(login("alice", ALICE))

Start = Callable[..., Gateway]


@pytest.fixture
def start(gateway: StartGateway, spy: Spy) -> Start:
    """Start a gateway with these limits, in front of a PACS that accepts everybody."""
    return lambda **limits: gateway(configuration(spy.address, settings=limits))


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Clients stay until the test ends, or until `close`."""
    with ExitStack() as stack:
        yield stack


def come(running: Gateway, clients: ExitStack, source: str = "") -> RawClient:
    """A client that has been accepted, and says nothing."""
    server = running.server
    before = server.associations
    client = clients.enter_context(RawClient(running.address, source=source))
    wait_until(lambda: server.associations > before, "the connection being accepted")
    return client


def established(running: Gateway, clients: ExitStack, source: str = "") -> RawClient:
    """A client that has logged in, and stays."""
    client = come(running, clients, source)
    assert client.ask(ALICE_LOGS_IN)[0] == 2
    return client


def answer(running: Gateway, source: str = "") -> bytes:
    """What one more client is answered; it has gone."""
    before = running.server.associations
    with RawClient(running.address, source=source) as client:
        answered = client.ask(ALICE_LOGS_IN)
        if answered[:1] == b"\2":
            assert client.release() == RELEASE_RP
    wait_until(lambda: running.server.associations == before, "its end")
    return answered


@pytest.mark.parametrize(
    ("limit", "second", "others", "reason"),
    [
        ("max_associations_per_source", "", 2, "too many associations from its source ({} = 2)"),
        ("max_associations", OTHER, 3, "too many associations ({} = 2)"),
    ],
)
def test_who_is_let_in_counts_until_it_ends(
    start: Start, clients: ExitStack, limit: str, second: str, others: int, reason: str
) -> None:
    running = start(**{limit: 2})
    first, _ = established(running, clients), established(running, clients, second)
    assert answer(running) == LOCAL_LIMIT
    assert answer(running, "127.0.0.3")[0] == others  # a source at its limit takes nothing from another
    refused = running.told("Refused")
    assert {event["reason"] for event in refused} == {reason.format(limit)}
    assert all(event["answer"].startswith("A-ASSOCIATE-RJ 2,3,2") for event in refused)
    assert reason.format(limit) in running.log()
    assert first.release() == RELEASE_RP
    first.socket.close()
    wait_until(lambda: running.server.associations == 1, "its end")
    assert answer(running)[0] == 2


@pytest.mark.parametrize("limit", ["max_unauthenticated", "max_unauthenticated_per_source"])
def test_who_logs_in_makes_room(start: Start, clients: ExitStack, limit: str) -> None:
    running = start(**{limit: 1})
    client = come(running, clients)
    assert answer(running) == LOCAL_LIMIT
    assert (answer(running, OTHER) == LOCAL_LIMIT) == (limit == "max_unauthenticated")
    assert client.ask(ALICE_LOGS_IN)[0] == 2
    assert answer(running)[0] == 2
    assert {event["reason"] for event in running.told("Refused")} == {
        "too many unauthenticated connections (max_unauthenticated = 1)"
        if limit == "max_unauthenticated"
        else "too many unauthenticated connections from its source (max_unauthenticated_per_source = 1)"
    }


def test_who_is_refused_counts_until_the_connection_ends(start: Start, clients: ExitStack) -> None:
    running = start(max_unauthenticated_per_source=1)
    with ExitStack() as refused:
        client = come(running, refused)
        assert client.ask(request())[0] == 3
        assert answer(running) == LOCAL_LIMIT
    wait_until(lambda: not running.server.associations, "its end")
    assert answer(running)[0] == 2


def test_far_above_a_limit_connections_are_closed_unanswered(start: Start, clients: ExitStack) -> None:
    running = start(max_unauthenticated_per_source=2)
    for _ in range(4):  # two that may log in, two that will be refused
        come(running, clients)
    for _ in range(50):
        with RawClient(running.address) as client:
            assert client.pdu() == b""
    assert answer(running, OTHER)[0] == 2
    assert len(running.told("Opened")) == 1, "those that say nothing have no record"
    summary = re.compile(r"WARNING .* connections closed unanswered: (\d+), the last of them from 127\.0\.0\.1: too")
    wait_until(lambda: sum(map(int, summary.findall(running.log()))) == 50, "the log telling of all of them")
    assert len(summary.findall(running.log())) < 10
    clients.close()
    wait_until(lambda: not running.server.associations, "their end")
    assert answer(running)[0] == 2


def test_a_reload_changes_a_limit_for_those_who_come(start: Start, clients: ExitStack) -> None:
    running = start()
    first, second = established(running, clients), established(running, clients)
    for most, kind in ((2, 3), (3, 2), (1, 3)):
        running.tables["gateway"]["max_associations_per_source"] = most
        running.write()
        assert running.reload()
        assert answer(running)[0] == kind
    assert first.release() == second.release() == RELEASE_RP
