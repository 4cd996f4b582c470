"""Whatever an authenticator does wrong, its client is refused in time, the operator is told by whom, and nobody else
notices: another association is let in and served meanwhile. That nothing is left behind, the fixtures see to.
"""

import gc
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import indent

import pytest

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import RELEASE_RQ, TRY_LATER, RawClient, login, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

TIMEOUT, SLACK = 1.0, 3.0  # seconds; cores may be few and busy
FAULTY = request(login("mallory", WRONG))
WELL = request(login("alice", ALICE))

SOURCE = """
import asyncio, sys, time
from dicomgate import Accept, Pass

class SecretError(Exception):
    def __init__(self, secret):
        super().__init__(f"bind failed with {secret}", secret)
        self.add_note(secret)

async def answer(secret):
    return Accept("mallory")

def recurse(secret):
    return recurse(secret)

class Judge:
    DEF authenticate(self, attempt):
        if attempt.identity.primary != b"mallory":
            return Pass("not mine")
        secret = attempt.identity.secondary.decode()
BODY
"""

DEFECT, LATE = "defect: ", f"no answer within {TIMEOUT:g} s"
FAULTS = {
    "raises": ("raise SecretError(secret)", DEFECT + "SecretError in "),
    "raises from another": (
        "try:\n    raise SecretError(secret)\nexcept SecretError as error:\n    raise KeyError(secret) from error",
        DEFECT + "KeyError in ",
    ),
    "exits": ("sys.exit(secret)", DEFECT + "SystemExit in "),
    "interrupts": ("raise KeyboardInterrupt(secret)", DEFECT + "KeyboardInterrupt in "),
    "recurses": ("return recurse(secret)", DEFECT + "RecursionError in "),
    "is cancelled": ("raise asyncio.CancelledError(secret)", DEFECT),
    "says None": ("return None", DEFECT + "it answered with NoneType"),
    "says True": ("return True", DEFECT + "it answered with bool"),
    "says yes": ('return "yes"', DEFECT + "it answered with str"),
    "says the secret": ("return secret", DEFECT + "it answered with str"),
    "answers with a coroutine": ("return answer(secret)", DEFECT + "it answered with a coroutine"),
    "blocks its thread": (f"time.sleep({TIMEOUT + 1})\nreturn Accept('mallory')", LATE),
    "never ends": ("await asyncio.Event().wait()", LATE),
    "swallows its end": (
        "try:\n    await asyncio.Event().wait()\nexcept asyncio.CancelledError:\n    return Accept('mallory')",
        LATE,
    ),
}
WAITING = {"never ends", "swallows its end"}


@pytest.fixture
def start(
    gateway: StartGateway, install_authenticator: Callable[[str], str], spy: Spy
) -> Callable[[str, bool], Gateway]:
    """Start a gateway whose first authenticator judges mallory, and does so with this code; the second one is sound."""

    def start(body: str, is_async: bool) -> Gateway:
        source = SOURCE.replace("DEF", "async def" if is_async else "def")
        use = install_authenticator(source.replace("BODY", indent(body, " " * 8)))
        tables = configuration(spy.address)
        faulty = {"use": use, "name": "faulty", "timeout": f"{TIMEOUT:g}s", "workers": 2}
        tables["authenticator"] = [faulty, *tables["authenticator"]]
        running = gateway(tables)
        running.expected_defect = "defect: "
        return running

    return start


def served(running: Gateway) -> None:
    """Alice logs in and out."""
    with RawClient(running.address) as client:
        assert client.ask(WELL)[0] == 2
        assert client.release() == RELEASE_RP


def belongings() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    gc.collect()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


CASES = [
    (name, kind)
    for name in FAULTS
    for kind in ("def", "async def")
    if not (kind == "def" and name in WAITING) and not (kind == "async def" and name == "blocks its thread")
]


@pytest.mark.parametrize(("name", "kind"), CASES, ids=lambda value: value.replace(" ", "-"))
def test_a_fault_is_refused_in_time_and_named_and_harms_nobody_else(
    start: Callable[[str, bool], Gateway], name: str, kind: str
) -> None:
    body, told = FAULTS[name]
    running = start(body, kind == "async def")
    with RawClient(running.address) as canary:
        assert canary.ask(WELL)[0] == 2
        served(running)  # what is made once is there now
        wait_until(lambda: running.server.associations == 1, "alone with the canary")
        before = belongings()
        for _ in range(2):
            with RawClient(running.address) as client:
                began = time.monotonic()
                client.send(FAULTY)
                served(running)  # beside it
                assert client.pdu() == TRY_LATER
                assert time.monotonic() - began < TIMEOUT + SLACK
        assert canary.ask(RELEASE_RQ) == RELEASE_RP
    served(running)
    wait_until(lambda: not running.server.associations, "their end")
    with suppress(TimeoutError):
        wait_until(lambda: belongings() <= before, "what was begun being ended", timeout=10)
    threads, descriptors = belongings()
    assert threads <= before[0]
    assert descriptors < before[1]  # the canary's are closed
    refused = running.told("Refused")
    assert [record["reason"].startswith(f"faulty: {told}") for record in refused] == [True, True], refused
    assert [record["authenticator"] for record in running.told("Decided", outcome="unavailable")] == ["faulty"] * 2
    errors = re.findall(r"ERROR dicomgate\.auth .*: authenticator faulty: (.*)", running.log())
    assert [error.startswith(told) for error in errors] == [True, True], errors
    assert len(running.told("Established", user="alice")) == 5


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_response_of_70_kb_is_refused_and_named_and_harms_nobody_else(
    start: Callable[[str, bool], Gateway], kind: str
) -> None:
    running = start('return Accept("mallory", server_response=bytes(70_000))', kind == "async def")
    with RawClient(running.address) as canary:
        assert canary.ask(WELL)[0] == 2
        with RawClient(running.address) as client:  # who does not ask for it is none the worse
            assert client.ask(request(login("mallory", b"", kind=5)))[0] == 2
            assert client.release() == RELEASE_RP
        for _ in range(2):
            with RawClient(running.address) as client:
                assert client.ask(request(login("mallory", b"", kind=5, response=True))) == TRY_LATER
            served(running)
        assert canary.ask(RELEASE_RQ) == RELEASE_RP
    reasons = [record["reason"] for record in running.told("Refused")]
    assert [reason.startswith("faulty: its response does not fit: ") for reason in reasons] == [True, True], reasons
    assert running.log().count("faulty: its response does not fit: ") == 2
