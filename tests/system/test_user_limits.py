"""How many associations a user may have; whom an operator ends, and whom he shuts out."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from dicomgate.events.events import Cause
from dicomgate.testing.evidence import ALICE, ZOE
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import (
    ABORT,
    ADMITTED,
    CONGESTION,
    LOCAL_LIMIT,
    REFUSED_IDENTITY,
    RawClient,
    login,
    request,
)
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

ALICE_LOGS_IN, ZOE_LOGS_IN = login("alice", ALICE), login("zoë", ZOE)
BY = "uid 1000 (root): a lost laptop"


@pytest.fixture
def running(gateway: StartGateway, spy: Spy) -> Iterator[Gateway]:
    """A gateway in front of a PACS that accepts everybody, one that never answers and one that is down."""
    with Spy([b""]) as silent:
        tables = configuration(spy.address, upstream={"called_ae_titles": ["ANY-SCP"]})
        for name, port in (("silent", silent.address[1]), ("down", free_port())):
            upstream = {"name": name, "address": f"{HOST}:{port}", "called_ae_titles": [name.upper()]}
            tables["upstream"].append(upstream)
        tables["limits"] = {"per_user": 3}
        yield (made := gateway(tables))
        made.finish()


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Clients stay until the test ends, or until `close`."""
    with ExitStack() as stack:
        yield stack


def come(running: Gateway, clients: ExitStack, who: bytes = ALICE_LOGS_IN, to: bytes = b"ANY-SCP") -> bytes:
    """What one who logs in and stays is answered."""
    return clients.enter_context(RawClient(running.address)).ask(request(who, called=to))


def gone(running: Gateway) -> None:
    wait_until(lambda: not running.server.associations, "their end")


# decision: D49
def test_twenty_come_at_once_and_as_many_as_the_limit_says_come_in(running: Gateway, clients: ExitStack) -> None:
    with ThreadPoolExecutor(20) as threads:
        for most in (3, 3, 4):
            running.tables["limits"]["per_user"] = most
            running.write()
            assert running.reload()
            with ExitStack() as twenty:
                at_down = [come(running, twenty, to=b"DOWN") for _ in range(2)]
                assert at_down == [CONGESTION] * 2, "they stay, and hold no place"
                answers = list(threads.map(lambda _: come(running, twenty), range(20)))
                assert Counter(answer[:1] for answer in answers) == {ADMITTED: most, LOCAL_LIMIT[:1]: 20 - most}
                assert set(answers) - {LOCAL_LIMIT} == {max(answers, key=len)}, "no other refusal"
                assert come(running, twenty, ZOE_LOGS_IN)[:1] == ADMITTED
            gone(running)
    refused = running.told("Refused", reason_class="user_limit")
    assert len(refused) == 17 + 17 + 16
    assert refused[0]["reason"] == "staff/alice has 3 associations already (per_user = 3)"
    accepted = running.told("Decided", outcome="accept")
    assert len(accepted) == 3 * 23, "the login itself was genuine"


# decision: D48
def test_an_operator_ends_associations_and_shuts_a_user_out(running: Gateway, clients: ExitStack, spy: Spy) -> None:
    server = running.server

    waiting = clients.enter_context(RawClient(running.address))
    waiting.send(request(ALICE_LOGS_IN, called=b"SILENT"))
    there = clients.enter_context(RawClient(running.address))
    assert there.ask(request(ALICE_LOGS_IN))[:1] == ADMITTED
    other = clients.enter_context(RawClient(running.address))
    assert other.ask(request(ZOE_LOGS_IN))[:1] == ADMITTED
    wait_until(lambda: len(server.register.of_user("alice", "staff")) == 2, "both logins")

    out = server.users.shut_outs
    in_loop = server.loop.call_soon_threadsafe
    in_loop(out.add, "alice", 600.0, BY, "staff")
    for session in server.register.of_user("alice", "staff"):
        in_loop(session.end, Cause.KICKED, BY)
    assert waiting.pdu() == REFUSED_IDENTITY
    assert there.pdu() == ABORT
    spy.wait_for(1, closed=True)
    assert spy.connections[0].pdus()[-1] == ABORT
    assert come(running, clients) == REFUSED_IDENTITY
    assert other.release() == RELEASE_RP, "another user"
    in_loop(out.add, "alice", 0.0, "", "staff")
    with RawClient(running.address) as again:
        assert again.ask(request(ALICE_LOGS_IN))[:1] == ADMITTED
        assert again.release() == RELEASE_RP
    clients.close()
    gone(running)
    ended, shut_out = running.told("Refused", reason_class="kicked")
    assert ended["reason"] == f"ended by the operator: {BY}"
    assert str(shut_out["reason"]).startswith("staff/alice is shut out until 2")
    assert str(shut_out["reason"]).endswith(BY)
    assert [record["detail"] for record in running.told("Closed", cause="ended by the operator")] == [BY]
    assert not server.users._counts
