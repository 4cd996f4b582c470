"""An association ends with the credential that it was admitted for, unless its listener says otherwise."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from time import sleep

import pytest

from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import ABORT, RawClient, login, p_data, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

LIFE = 2.0  # seconds
_JUDGE = """
    from datetime import UTC, datetime, timedelta
    from dicomgate import Accept

    class Judge:
        def authenticate(self, attempt):
            return Accept("alice", expires_at=datetime.now(UTC) + timedelta(seconds={life}))
"""
_LOGIN = request(login("alice", b"token"))
_FRAGMENT = p_data(bytes(10_000))

Start = Callable[..., Gateway]


@pytest.fixture
def pacs() -> Iterator[Spy]:
    """Answers a request and the PDU that is 2,000th behind it: no test gets as far."""
    with Spy([accept_all, *[b""] * 2000]) as running:
        yield running


@pytest.fixture
def start(gateway: StartGateway, pacs: Spy, install_authenticator: Callable[[str], str]) -> Start:
    """Start a gateway whose credentials live so long."""

    def start(upstream: Spy = pacs, life: float = LIFE, **listener: object) -> Gateway:
        tables = configuration(upstream.address, listener=listener)
        tables["authenticator"] = [{"use": install_authenticator(_JUDGE.format(life=life)), "name": "short"}]
        return gateway(tables)

    return start


# decision: D33
def test_who_sends_all_the_time_is_ended_in_time(start: Start, pacs: Spy) -> None:
    running = start()
    with RawClient(running.address) as client:
        assert client.ask(_LOGIN)[0] == 2
        (established,) = running.wait_for("Established")
        with suppress(OSError):  # the end, while we send
            while not running.told("Closed"):
                client.send(_FRAGMENT)
                sleep(0.005)  # the spy keeps all that it reads
        with suppress(OSError):  # what we have sent behind it may break the connection
            assert client.pdu() in (ABORT, b"")
    (closed,) = running.wait_for("Closed")
    assert closed["cause"] == "the credential expired"
    assert closed["detail"].startswith("it ended at 20")
    assert closed["bytes_from_client"] >= len(_FRAGMENT)
    assert LIFE - 1 < closed["seconds"] < LIFE + 5
    assert established["user"] == "alice"
    wait_until(lambda: pacs.connections[0].closed, "the PACS being told")


def test_who_is_between_two_pdus_is_told_by_an_abort(start: Start, pacs: Spy) -> None:
    running = start()
    with RawClient(running.address) as client:
        assert client.ask(_LOGIN)[0] == 2
        client.send(_FRAGMENT)
        assert client.pdu() == ABORT
        assert client.pdu() == b""
    assert running.wait_for("Closed")[0]["cause"] == "the credential expired"
    assert pacs.connections[0].pdus()[-2:] == [_FRAGMENT, ABORT]


def test_a_listener_that_does_not_care(start: Start) -> None:
    with Spy([accept_all, b"", RELEASE_RP]) as patient:
        running = start(patient, life=0.5, end_with_credential=False)
        with RawClient(running.address) as client:
            assert client.ask(_LOGIN)[0] == 2
            client.socket.settimeout(2)
            with pytest.raises(TimeoutError):
                client.pdu()
            client.socket.settimeout(20)
            client.send(_FRAGMENT)
            assert client.release() == RELEASE_RP
    assert running.wait_for("Closed")[0]["cause"] == "released"


def test_who_is_done_before_the_end_is_not_bothered(start: Start, spy: Spy) -> None:
    running = start(spy, life=3600)
    with RawClient(running.address) as client:
        assert client.ask(_LOGIN)[0] == 2
        assert client.release() == RELEASE_RP
    assert running.wait_for("Closed")[0]["cause"] == "released"
