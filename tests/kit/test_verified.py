"""What is remembered of a right credential, for how long, and what is not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from dicomgate import Accept, Attempt, Decision, Once, Reject, Unavailable
from dicomgate.auth.link import Link
from dicomgate.kit import verified as module
from dicomgate.kit.verified import Verified
from dicomgate.testing import attempt, passcode

pytestmark = pytest.mark.anyio
ALICE = Accept("alice")


class Server:
    """Verifies, and counts how often; answers when it is let."""

    def __init__(self, decision: Decision | BaseException = ALICE) -> None:
        self.decision = decision
        self.asked = 0
        self.let = asyncio.Event()
        self.let.set()

    async def verify(self) -> Decision:
        self.asked += 1
        await self.let.wait()
        if isinstance(self.decision, BaseException):
            raise self.decision
        return self.decision


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_only_what_is_right_and_may_be_used_again_is_remembered() -> None:
    once = Accept("alice", once=Once("jti", datetime.now(UTC)))
    for decision, asked in (ALICE, 1), (Reject("wrong"), 3), (Unavailable("down"), 3), (once, 3):
        verified, server = Verified(), Server(decision)
        for _ in range(3):
            assert await verified.decide("alice", b"secret", "hash", verify=server.verify) == decision
        assert server.asked == asked


async def test_every_part_counts_and_their_borders_too() -> None:
    verified, server = Verified(), Server()
    await verified.decide("alice", b"secret", "hash", verify=server.verify)
    server.decision = Reject("wrong")
    others: list[tuple[str | bytes, ...]] = [
        ("alice", b"secret", "another"), ("alice", b"Secret", "hash"), ("bob", b"secret", "hash"),
        ("alice", b"secre", "thash"), ("alices", b"ecret", "hash"), ("alice", b"secret"),
        ("alice", b"secret", "hash", ""),
    ]  # fmt: skip
    for parts in others:
        assert await verified.decide(*parts, verify=server.verify) == Reject("wrong")
    assert await Verified().decide("alice", b"secret", "hash", verify=server.verify) == Reject("wrong"), "another's"
    assert await verified.decide("alice", b"secret", "hash", verify=server.verify) == ALICE, "a control"


@pytest.mark.parametrize(("from_use", "asked"), [(True, 1), (False, 2)])
async def test_it_ends_some_time_after_its_last_use_or_after_the_verification(from_use: bool, asked: int) -> None:
    clock, server = Clock(), Server()
    verified = Verified(10.0, from_use=from_use, clock=clock)
    for _ in range(4):
        await verified.decide("alice", b"secret", verify=server.verify)
        clock.now += 4
    assert server.asked == asked
    clock.now += 6
    await verified.decide("alice", b"secret", verify=server.verify)
    assert server.asked == asked + 1


async def test_without_time_or_once_forgotten_nothing_is_remembered() -> None:
    server = Server()
    never, until_forgotten = Verified(0.0), Verified()
    for _ in range(2):
        await never.decide("alice", b"secret", verify=server.verify)
        await until_forgotten.decide("alice", b"secret", verify=server.verify)
        until_forgotten.forget()
    assert server.asked == 4


async def test_the_one_that_was_not_used_for_the_longest_time_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    verified, server = Verified(), Server()
    for user in "a", "b", "a", "c", "a":  # b makes room for c
        await verified.decide(user, b"secret", verify=server.verify)
    assert server.asked == 3
    await verified.decide("b", b"secret", verify=server.verify)
    assert server.asked == 4
    assert set(verified._users) == {"a", "b"}


@pytest.mark.parametrize("decision", [ALICE, Reject("wrong")])
async def test_one_verification_serves_all_that_come_meanwhile(decision: Decision) -> None:
    verified, server = Verified(), Server(decision)
    server.let.clear()
    asking = [asyncio.ensure_future(verified.decide("alice", b"x", verify=server.verify)) for _ in range(20)]
    other = asyncio.ensure_future(verified.decide("bob", b"x", verify=server.verify))
    await asyncio.sleep(0)
    server.let.set()
    assert await asyncio.gather(*asking, other) == [decision] * 21
    assert server.asked == 2
    assert not verified._under_way


async def test_who_waits_for_one_that_leaves_or_breaks_verifies_for_himself() -> None:
    verified, server = Verified(), Server()
    server.let.clear()
    first, second, third = (
        asyncio.ensure_future(verified.decide("alice", b"x", verify=server.verify)) for _ in range(3)
    )
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)
    server.decision = MemoryError()
    server.let.set()
    outcomes = await asyncio.gather(second, third, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [MemoryError, MemoryError]
    assert server.asked == 3


async def test_a_guess_while_the_server_is_down_is_told_from_an_outage() -> None:
    """Else guesses at a user of whom something is remembered would cost nothing while the server is down."""

    class Directory:
        verified = Verified(from_use=False)
        server = Server()

        async def authenticate(self, attempt: Attempt) -> Decision:
            identity = attempt.identity
            assert identity is not None
            return await self.verified.decide(identity.primary, identity.secondary, verify=self.server.verify)

    link = Link("directory", directory := Directory())
    assert await link.ask(attempt(passcode("alice", "right"))) == ALICE
    directory.server.decision = Unavailable("down")
    assert await link.ask(attempt(passcode("alice", "right"))) == ALICE, "a control: it is remembered"
    for user, looked in ("alice", True), ("bob", False):
        decision = await link.ask(attempt(passcode(user, "guess")))
        assert isinstance(decision, Unavailable)
        assert decision.looked is looked
        directory.server.let.clear()  # and the same if there is no answer at all
        link.deadline = 0.02
        decision = await link.ask(attempt(passcode(user, "guess")))
        assert isinstance(decision, Unavailable)
        assert decision.looked is looked
        directory.server.let.set()


async def test_a_guess_while_the_owner_is_verified_is_told_from_an_outage() -> None:
    """Else an overloaded gateway would compare guesses with a passcode that is under way, and count none of them."""

    class Directory:
        verified = Verified()
        server = Server(Unavailable("too many wait"))

        async def authenticate(self, attempt: Attempt) -> Decision:
            identity = attempt.identity
            assert identity is not None
            return await self.verified.decide(identity.primary, identity.secondary, verify=self.server.verify)

    link = Link("directory", directory := Directory())
    directory.server.let.clear()
    names = ("alice", "right"), ("alice", "right"), ("alice", "guess"), ("bob", "guess")
    asking = [asyncio.ensure_future(link.ask(attempt(passcode(*name)))) for name in names]
    await asyncio.sleep(0.01)
    directory.verified.forget()  # as at a reload, which loses count of nobody
    directory.server.let.set()
    decisions = await asyncio.gather(*asking)
    assert [getattr(decision, "looked", None) for decision in decisions] == [False, False, True, False]
    decision = await link.ask(attempt(passcode("alice", "guess")))
    assert isinstance(decision, Unavailable)
    assert not decision.looked, "nothing is under way any more"
    assert not directory.verified._users


_FORK = """
import asyncio, os
from dicomgate import Accept, Reject
from dicomgate.kit.verified import Verified

async def right(): return Accept("alice")
async def wrong(): return Reject("asked again")
def ask(verify): return asyncio.run(verified.decide("alice", b"secret", verify=verify))

verified = Verified()
ask(right)
if not os.fork():
    os._exit(isinstance(ask(wrong), Reject))
_, status = os.wait()
print(os.waitstatus_to_exitcode(status), type(ask(wrong)).__name__)
"""


def test_a_child_process_remembers_nothing() -> None:
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", _FORK], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", "Accept"], "the child asks again, its parent need not"


_DUMP = """
import asyncio, gc, re, sys
from dicomgate import Accept, Reject
from dicomgate.kit.verified import Verified

verified = Verified()
kept = []

async def right(): return Accept("alice")
async def wrong(): return Reject("wrong")

def log_in(verify, keep):
    secret = bytes(byte ^ 255 for byte in bytes.fromhex(sys.argv[1]))
    asyncio.run(verified.decide("alice", secret, verify=verify))
    if keep:
        kept.append(secret)

def found():
    secret = bytes(byte ^ 255 for byte in bytes.fromhex(sys.argv[1]))
    half = len(secret) // 2
    pattern = re.compile(re.escape(secret[:half]) + b"(?=" + re.escape(secret[half:]) + b")")
    del secret
    gc.collect()
    for size in range(32, 512, 8):  # what was freed is written over
        del [bytes([size % 251]) * size for _ in range(3000)][:]
    count = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            if (area := re.match("([0-9a-f]+)-([0-9a-f]+) rw", line)) and "[v" not in line:
                start, end = (int(one, 16) for one in area.groups())
                memory.seek(start)
                count += len(pattern.findall(memory.read(end - start)))
    return count

log_in(right, False)
log_in(wrong, False)
before = found()
log_in(right, True)
print(found() - before, before)
"""


def test_a_dump_of_the_process_does_not_have_the_secret() -> None:
    hidden = bytes(byte ^ 255 for byte in b"correct horse battery staple 31415926").hex()
    command = [sys.executable, "-c", _DUMP, hidden]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == "1", f"a control: one that is kept is found ({told})"
    assert told[1] == "0"
