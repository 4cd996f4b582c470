"""A gateway that logs in to another one: who the second one lets in is who the first one is, not its client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from dicomgate import Admission, Identity, IdentityType, Presented, Unavailable
from dicomgate.auth import loading
from dicomgate.testing.evidence import ALICE, ZOE
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all, with_server_response
from dicomgate.testing.raw_client import ABORT, CONGESTION, RawClient, login, request
from dicomgate.testing.system_gateway import StartGateway, configuration

CLIENT = login("alice", ALICE)


@dataclass(kw_only=True)
class Fixed:
    """Presents the same username and passcode each time."""

    username: str
    down: bool = False
    hangs: bool = False

    async def present(self, admission: Admission) -> Presented | Unavailable:
        """It needs nothing but its table."""
        if self.down:
            return Unavailable("out of order")
        if self.hangs:
            await asyncio.sleep(60)
        return Presented(Identity(IdentityType.USERNAME_AND_PASSCODE, self.username.encode(), ZOE))


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = loading.find
    monkeypatch.setattr(loading, "find", lambda use, *kind: Fixed if use == "fixed" else find(use, *kind))


def chained(address: tuple[str, int], *, upstream: dict[str, Any], **credential: Any) -> dict[str, Any]:
    """A gateway that logs in to what is at this address."""
    tables = configuration(address, upstream={"credential": "ours", **upstream})
    return tables | {
        "credential": [{"use": "fixed", "name": "ours", "username": "zoë", "timeout": "20s", **credential}]
    }


def test_one_gateway_logs_in_to_another(gateway: StartGateway, spy: Spy) -> None:
    second = gateway(configuration(spy.address))
    first = gateway(
        chained(second.address, upstream={"calling_ae_title": "GATE", "positive_response": "required"}),
    )
    with RawClient(first.address) as client:
        answer = client.ask(request(CLIENT))
        assert answer[0] == 2
        assert answer[10:42] == request(CLIENT)[10:42]
        assert client.release() == RELEASE_RP
    assert second.told("Decided")[0]["user"] == "zoë"
    assert second.told("Decided")[0]["calling_ae_title"] == "GATE"
    assert first.told("Decided")[0]["user"] == "alice"
    assert first.told("Established")[0]["credential"] == "ours"
    for secret in (ALICE, ZOE, b"alice"):
        assert secret not in spy.received()
    assert ALICE.decode() not in str(second.events)


def test_the_client_never_sees_what_the_pacs_answers_to_the_credential(gateway: StartGateway) -> None:
    def answer(pdu: bytes) -> bytes:
        return with_server_response(accept_all(pdu), b"for-the-gateway")

    with Spy([answer, RELEASE_RP]) as spy:
        first = gateway(chained(spy.address, upstream={"positive_response": "required"}))
        with RawClient(first.address) as client:
            received = client.ask(request(CLIENT))
            assert received[0] == 2
            assert b"for-the-gateway" not in received
            assert client.release() == RELEASE_RP
        assert ZOE in spy.received()
        assert ALICE not in spy.received()


@pytest.mark.parametrize("down", [False, True])
def test_without_a_credential_no_connection(gateway: StartGateway, spy: Spy, down: bool) -> None:
    first = gateway(chained(spy.address, upstream={}, down=down))
    with RawClient(first.address) as client:
        answer = client.ask(request(CLIENT))
        if down:
            assert answer == CONGESTION
        else:
            assert client.release() == RELEASE_RP
    assert len(spy.connections) == (0 if down else 1)


@pytest.mark.parametrize("end", ["late", "client", "gateway"])
def test_a_credential_that_hangs(gateway: StartGateway, spy: Spy, end: str) -> None:
    timeout = "100ms" if end == "late" else "20s"
    first = gateway(chained(spy.address, upstream={}, hangs=True, timeout=timeout))
    first.expected_defect = "no answer within"
    with RawClient(first.address) as client:
        if end == "late":
            assert client.ask(request(CLIENT)) == CONGESTION
        else:
            client.send(request(CLIENT))
            first.wait_for("Decided")
        if end == "gateway":
            first.tables["gateway"]["drain_timeout"] = "0s"
            first.write()
            assert first.reload()
            drained = first.drain()
            assert client.pdu() == ABORT
    if end == "gateway":
        drained.result()
    (closed,) = first.wait_for("Closed")
    causes = {"late": "refused", "client": "the client closed the connection"}
    assert closed["cause"] == causes.get(end, "the gateway is shutting down")
    assert not spy.connections
