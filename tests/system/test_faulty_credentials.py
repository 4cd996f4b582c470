"""Whatever a credential does wrong, its client is refused in time, nothing of it reaches the PACS or the log, and
nobody else notices. That nothing is left behind, and that no secret is told, the fixtures see to.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias, cast

import pytest

from dicomgate import Admission, Identity, IdentityType, Presented
from dicomgate.auth import loading
from dicomgate.testing.evidence import ALICE, WRONG, ZOE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import ABORT, CONGESTION, TRY_LATER, RawClient, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

UNEXPECTED = bytes.fromhex("07 00 00000004 0000 02 02")  # A-ABORT, PS3.8 table 9-26
TIMEOUT, SLACK = 1.0, 3.0  # seconds; cores may be few and busy
LATE = f"no answer within {TIMEOUT:g} s"
Start: TypeAlias = Callable[..., Gateway]
GOOD = Presented(Identity(IdentityType.USERNAME_AND_PASSCODE, b"gateway", ZOE))


class SecretError(Exception):
    def __init__(self) -> None:
        super().__init__(f"the provider refused {ZOE.decode()}")
        self.add_note(ZOE.decode())


async def raises() -> object:
    raise SecretError from KeyError(ZOE)


async def exits() -> object:
    sys.exit(ZOE.decode())


async def is_cancelled() -> object:
    raise asyncio.CancelledError(ZOE.decode())


async def never() -> object:
    await asyncio.Event().wait()
    return GOOD


async def swallows() -> object:
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return GOOD


def interrupts() -> object:
    raise KeyboardInterrupt(ZOE.decode())


def blocks() -> object:
    time.sleep(TIMEOUT + 1)
    return GOOD


def says(value: object) -> Callable[[], object]:
    return lambda: value


WITH_CONTROL = Presented(Identity(IdentityType.USERNAME, b"\n" + ZOE))
TOO_LONG = Presented(Identity(IdentityType.JWT, ZOE * 7_000))
DEFECT = "defect: "
FAULTS: dict[str, tuple[Callable[[], object], bytes, str]] = {
    "raises": (raises, CONGESTION, DEFECT + "SecretError in "),
    "exits": (exits, CONGESTION, DEFECT + "SystemExit in "),
    "interrupts": (interrupts, CONGESTION, DEFECT + "KeyboardInterrupt in "),
    "is cancelled": (is_cancelled, CONGESTION, DEFECT),
    "says None": (says(None), CONGESTION, DEFECT + "it answered with NoneType"),
    "says the secret": (says(ZOE.decode()), CONGESTION, DEFECT + "it answered with str"),
    "says a control character": (says(WITH_CONTROL), CONGESTION, DEFECT + "its identity of type 1 "),
    "is too long": (says(TOO_LONG), TRY_LATER, "it does not fit the request"),
    "blocks its thread": (blocks, CONGESTION, LATE),
    "never ends": (never, CONGESTION, LATE),
    "swallows its end": (swallows, CONGESTION, LATE),
}


@pytest.fixture
def start(gateway: StartGateway, spy: Spy, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a gateway whose PACS is shown what this returns; for the called AE title CANARY it is shown nothing."""

    def start(act: Callable[[], object], **credential: object) -> Gateway:
        class InLoop:
            async def present(self, admission: Admission) -> object:
                return await cast(Awaitable[object], act())

        class InThread:
            def present(self, admission: Admission) -> object:
                return act()

        made = InLoop if asyncio.iscoroutinefunction(act) else InThread
        find = loading.find
        monkeypatch.setattr(loading, "find", lambda use, *kind: made if use == "faulty" else find(use, *kind))
        tables = configuration(spy.address, upstream={"credential": "ours"})
        plain = configuration(spy.address, upstream={"name": "canary", "called_ae_titles": ["CANARY"]})
        tables["upstream"] += plain["upstream"]
        tables["credential"] = [{"use": "faulty", "name": "ours", "timeout": f"{TIMEOUT:g}s", **credential}]
        return gateway(tables)

    return start


def served(running: Gateway) -> None:
    """Alice logs in and out."""
    with RawClient(running.address) as client:
        assert client.ask(request(login("alice", ALICE), called=b"CANARY"))[0] == 2
        assert client.release() == RELEASE_RP


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_in_time_and_named_and_harms_nobody_else(start: Start, spy: Spy, name: str) -> None:
    act, answer, told = FAULTS[name]
    running = start(act)
    running.expected_defect = DEFECT
    served(running)
    for _ in range(2):
        with RawClient(running.address) as client:
            began = time.monotonic()
            client.send(request(login("alice", ALICE)))
            served(running)  # beside it
            assert client.pdu() == answer
            assert time.monotonic() - began < TIMEOUT + SLACK
    served(running)
    assert len(spy.connections) == 4
    refused = running.wait_for("Refused", 2)
    assert [record["reason"].startswith(f"credential ours: {told}") for record in refused] == [True, True], refused
    assert {record["reason_class"] for record in refused} == {"credential_unavailable"}
    assert ZOE not in spy.received()


def test_who_leaves_while_the_credential_is_made_leaves_nothing_behind(start: Start, spy: Spy) -> None:
    began, ended = threading.Event(), threading.Event()

    async def waits() -> object:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return GOOD

    running = start(waits, timeout="60s")
    for leave in (b"", ABORT, request(login("alice", ALICE))):  # the last one is not allowed, and answered
        began.clear()
        ended.clear()
        with RawClient(running.address) as client:
            client.send(request(login("alice", ALICE)))
            assert began.wait(20)
            assert not ended.is_set()
            client.send(leave)
            assert leave[:1] != b"\1" or client.pdu() == UNEXPECTED
        assert ended.wait(20)
        wait_until(lambda: not running.server.associations, "its end")
    served(running)
    assert len(spy.connections) == 1


def test_a_reload_leaves_those_who_wait_what_they_came_for(start: Start, spy: Spy) -> None:
    """The one who waits is shown as the old one, who comes then as the new one."""
    begun, go_on = threading.Event(), threading.Event()

    def waits() -> object:
        begun.set()
        assert go_on.wait(20)
        return GOOD

    running = start(waits, timeout="20s")
    with RawClient(running.address) as first:
        first.send(request(login("alice", ALICE)))
        assert begun.wait(20)
        (running.folder / "new.passcode").touch(mode=0o600)
        (running.folder / "new.passcode").write_bytes(WRONG)
        running.tables["credential"] = [
            {"use": "service", "name": "ours", "username": "gateway", "passcode_file": "new.passcode"}
        ]
        running.write()
        assert running.reload()
        with RawClient(running.address) as second:
            assert second.ask(request(login("alice", ALICE)))[0] == 2
            assert second.release() == RELEASE_RP
        go_on.set()
        assert first.pdu()[0] == 2
        assert first.release() == RELEASE_RP
    shown = [bytes(connection.received) for connection in spy.connections]
    assert [(ZOE in sent, WRONG in sent) for sent in shown] == [(False, True), (True, False)]
