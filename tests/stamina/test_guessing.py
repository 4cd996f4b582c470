"""Guessing leads nowhere: what is verified is counted where it is verified, in all gateways together.

Beside every campaign the owner of the account logs in all the time, from an address that the account knows.
"""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.messages import PASSCODE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.redis import RedisServer, run_redis
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RawClient, login, request
from tests.stamina.measure import report, scaled
from tests.stamina.process import GatewayProcess, tables_for

HOME = "127.0.1.1"
"""Where the owner of the account is."""
SOURCES = [f"127.0.2.{number}" for number in range(1, 17)]
QUICK = {"first_wait": "20ms", "longest_wait": "40ms", "most": 25, "repeat": "1ms"}
"""Waits so short that a campaign of seconds meets the end that others meet after a day."""
_SPELLINGS = ("alice", "ALICE", " alice", "alice ", "Alice", "\u00a0alice")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with run_redis(folder) as server:
        yield server


class Deployment:
    """Gateways that share a state, and the notes of what they verified."""

    def __init__(
        self, folder: Path, pacs: Spy, *, throttle: dict[str, Any] | None = None, redis: RedisServer | None = None
    ) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        self._folder = folder
        self._pacs = pacs
        self._throttle = throttle or {}
        self._state = {"url": redis.url} if redis else {"path": str(folder / "state.sqlite")}
        self._count = 0

    def gateway(self) -> GatewayProcess:
        """One more, not yet running."""
        self._count += 1
        folder = self._folder / f"gateway-{self._count}"
        folder.mkdir()
        tables = tables_for(self._pacs.address[1], listener={"authenticators": ["notary"]})
        tables["authenticator"].append({"use": "stamina-notary", "name": "notary", "notes": str(self.notes)})
        return GatewayProcess(folder, tables | {"throttle": self._throttle, "state": self._state})

    def verified(self, user: str = "alice") -> int:
        """How often a client was verified as this user."""
        return self.notes.read_text("utf-8").splitlines().count(user)


def knock(address: tuple[str, int], source: str, *identity: bytes, stay: bool = True) -> bytes:
    """The answer to a login from this source; b"" if the client does not `stay` for it."""
    with RawClient(address, source=source) as client:
        if not stay:
            client.send(request(*identity))
            return b""
        answer = client.ask(request(*identity))
        if answer[:1] == b"\2":
            client.release()
        return answer


def at_once(calls: Sequence[tuple[Any, ...]], workers: int = 50) -> list[bytes]:
    """Knock so often, by so many at a time."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda call: knock(*call), calls))


class Owner(threading.Thread):
    """Logs in every 20 ms until `stop`, and keeps the answers that were no welcome."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._over = threading.Event()
        self.welcomed = 0
        self.others: list[bytes] = []
        assert knock(address, HOME, login("alice", PASSCODE))[:1] == b"\2"
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.02):
            answer = knock(self._address, HOME, login("alice", PASSCODE))
            if answer[:1] == b"\2":
                self.welcomed += 1
            else:
                self.others.append(answer)

    def stop(self) -> None:
        """Assert that it was always welcome."""
        self._over.set()
        self.join()
        assert not self.others
        assert self.welcomed >= 2


def campaign(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """From where, and with which identity: another passcode each time, under all names that are the same."""
    chance = random.Random(seed)
    for number in range(count):
        name = chance.choice(_SPELLINGS)
        kind = chance.choice((1, 2, 2, 2))
        yield chance.choice(SOURCES), login(name, b"" if kind == 1 else b"guess %d" % number, kind=kind)


@pytest.mark.parametrize("shared", ["file", "redis"])
def test_a_burst_from_everywhere_has_five_verified(shared: str, tmp_path: Path, spy: Spy, redis: RedisServer) -> None:
    """By one gateway, and by two that count together in one Redis."""
    here = Deployment(tmp_path, spy, redis=redis if shared == "redis" else None)
    with ExitStack() as stack:
        gateways = [stack.enter_context(here.gateway()) for _ in range(2 if shared == "redis" else 1)]
        first, last = gateways[0].address(), gateways[-1].address()
        assert knock(first, HOME, login("alice", PASSCODE))[:1] == b"\2"
        before = here.verified()
        guesses = list(campaign(scaled(5000, 400), seed=4))
        calls = [(gateways[index % len(gateways)].address(), *guess) for index, guess in enumerate(guesses)]
        assert set(at_once(calls)) == {REFUSED_IDENTITY}
        verified = here.verified() - before
        assert verified == 5
        assert knock(last, HOME, login("alice", PASSCODE))[:1] == b"\2", "the owner, at home, which the other knows"
        assert knock(last, SOURCES[0], login("alice", PASSCODE)) == REFUSED_IDENTITY, "others who have it"
        assert knock(last, SOURCES[0], login("bob", PASSCODE))[:1] == b"\2", "another account, a control"

        def throttled() -> int:
            refused = [record["reason"] for gateway in gateways for record in gateway.told("Decided", outcome="reject")]
            return sum(reason.startswith("throttled: ") for reason in refused)

        wait_until(lambda: throttled() >= len(guesses) - 5, "the audit telling of all that were throttled")
        report(f"a burst of guesses, shared: {shared}", guesses=len(guesses), verified=verified)


def test_a_long_campaign_with_restarts_has_no_more_than_its_figure_verified(tmp_path: Path, spy: Spy) -> None:
    rounds, guesses = scaled((6, 1000), (2, 150))
    here = Deployment(tmp_path, spy, throttle=QUICK)
    verified = 0
    with here.gateway() as gateway:
        assert knock(gateway.address(), HOME, login("alice", PASSCODE))[:1] == b"\2"
    for number in range(rounds):
        with here.gateway() as gateway:
            before = here.verified()
            calls = [(gateway.address(), *guess) for guess in campaign(guesses, seed=number)]
            stays = [index % 3 != 0 for index in range(len(calls))]  # every third leaves before the answer
            with ThreadPoolExecutor(20) as pool:
                list(pool.map(lambda call, stay: knock(*call, stay=stay), calls, stays))
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:  # patience wins nothing either
                knock(gateway.address(), SOURCES[number], login("alice", b"patient %d" % time.monotonic_ns()))
            verified += here.verified() - before
            assert knock(gateway.address(), SOURCES[0], login("alice", PASSCODE)) == REFUSED_IDENTITY
    assert 5 <= verified <= 25
    with here.gateway() as gateway:
        owner = Owner(gateway.address())
        time.sleep(0.5)
        owner.stop()
        # The owner's logins at home give those elsewhere no new row.
        assert knock(gateway.address(), SOURCES[1], login("alice", PASSCODE)) == REFUSED_IDENTITY
    report("a campaign with restarts", guesses=rounds * guesses, verified=verified, owner_welcomed=owner.welcomed)


def test_the_owner_is_not_locked_out_while_others_guess(tmp_path: Path, spy: Spy) -> None:
    with Deployment(tmp_path, spy).gateway() as gateway:
        owner = Owner(gateway.address())
        at_once([(gateway.address(), *guess) for guess in campaign(scaled(5000, 600), seed=8)])
        owner.stop()
        report("the owner, while others guess", welcomed=owner.welcomed, refused=len(owner.others))


def test_without_redis_each_gateway_counts_alone_or_verifies_none(tmp_path: Path, spy: Spy, redis: RedisServer) -> None:
    for choice, answer in (("local", b"\2"), ("refuse", b"\3")):
        (tmp_path / choice).mkdir()
        throttle = {"on_unreachable": choice}
        here = Deployment(tmp_path / choice, spy, throttle=throttle, redis=redis)
        with here.gateway() as gateway:
            assert knock(gateway.address(), HOME, login("bob", PASSCODE))[:1] == b"\2"
            redis.stop()
            assert knock(gateway.address(), HOME, login("alice", PASSCODE))[:1] == answer
            before = here.verified()
            at_once([(gateway.address(), *guess) for guess in campaign(100, seed=16)])
            assert here.verified() - before <= 5
            redis.start()
            assert knock(gateway.address(), HOME, login("carol", PASSCODE))[:1] == b"\2", "without a restart"


@pytest.mark.parametrize("shared", ["file", "redis"])
def test_a_token_for_one_use_admits_one_client_at_any_gateway(
    shared: str, tmp_path: Path, spy: Spy, redis: RedisServer
) -> None:
    here = Deployment(tmp_path, spy, redis=redis if shared == "redis" else None)
    with here.gateway() as one:
        with here.gateway() as other:
            for number in range(scaled(100, 10)):
                token = login(f"token-{number}", b"", kind=5)
                calls = [((one, other)[index % 2].address(), SOURCES[index], token) for index in range(8)]
                answers = at_once(calls, workers=8)
                assert sorted(answer[:1] for answer in answers) == [b"\2", *[b"\3"] * 7]
            wait_until(lambda: len(other.told("Opened")) == len(other.told("Closed")), "the last to leave")
            other.process.kill()
            other.process.wait()
            other.expected_status = -9
        with here.gateway() as again:
            for gateway in (one, again):
                assert knock(gateway.address(), HOME, token) == REFUSED_IDENTITY
            assert knock(again.address(), HOME, login("another", b"", kind=5))[:1] == b"\2"
