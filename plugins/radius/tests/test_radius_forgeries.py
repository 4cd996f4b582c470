"""Answers that are no answers, from a server that is scripted: what is not believed, and what that is called."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.freeradius import SECRET
from plugins.radius.tests.conftest import Decide, MakeRadius, ask, login
from plugins.radius.tests.forger import Elsewhere, Forger, answer, resign

pytestmark = pytest.mark.anyio

MESSAGE_AUTHENTICATOR, PROXY_STATE, USER_NAME, FILTER_ID, REPLY_MESSAGE = 80, 33, 1, 11, 18


def wrong_message_authenticator(request: AuthPacket) -> bytes:
    """All is right, the Response Authenticator too, but a bit of the Message-Authenticator."""
    right = answer(request)
    assert right[20] == MESSAGE_AUTHENTICATOR
    return resign(request, right[:22] + bytes([right[22] ^ 1]) + right[23:])


def wrong_response_authenticator(request: AuthPacket) -> bytes:
    right = answer(request)
    return right[:4] + bytes([right[4] ^ 1]) + right[5:]


def of_another_request(request: AuthPacket) -> bytes:
    """A genuine answer to another request that has the same identifier."""
    return answer(AuthPacket(id=request.id, secret=SECRET, authenticator=bytes(16), dict=request.dict))


def of_another_identifier(request: AuthPacket) -> bytes:
    other = AuthPacket(id=(request.id + 1) % 256, secret=SECRET, authenticator=request.authenticator, dict=request.dict)
    return answer(other)


Forge = Callable[[AuthPacket], bytes]
NOT_AUTHENTIC: dict[str, tuple[Forge, str]] = {
    "no Message-Authenticator": (lambda request: answer(request, signed=False), "no Message-Authenticator"),
    "wrong Message-Authenticator": (wrong_message_authenticator, "not signed with our shared secret"),
    "wrong Response Authenticator": (wrong_response_authenticator, "not signed with our shared secret"),
    "wrong secret": (lambda request: answer(request, secret=b"another"), "not signed with our shared secret"),
    "of another request": (of_another_request, "not signed with our shared secret"),
    "of another identifier": (of_another_identifier, "no answer within"),
    # What the attack of CVE-2024-3596 needs room for.
    "Proxy-State": (lambda request: answer(request, attributes=[(PROXY_STATE, b"x")]), "not signed with our"),
    "from another port": (lambda request: Elsewhere(answer(request)), "no answer within"),
    "the request itself": (lambda request: bytes(request.raw_packet), "not signed with our shared secret"),
    "cut": (lambda request: answer(request)[:-1], "not RADIUS packets"),
    "text": (lambda request: bytes([0, request.id]) + b"TTP/1.1 400 Bad Request", "not RADIUS packets"),
    "nothing in it": (lambda request: b"", "no answer within"),
}


async def test_they_are_ignored(radius: MakeRadius) -> None:
    with ExitStack() as forgers:
        asking = []
        for forge, _ in NOT_AUTHENTIC.values():
            forger = forgers.enter_context(Forger(partial(just, forge)))
            asking.append(ask(radius(forger.address, seconds=2), login()))
        decisions = await asyncio.gather(*asking)
    for (decision,), (name, (_, reason)) in zip(decisions, NOT_AUTHENTIC.items(), strict=True):
        assert isinstance(decision, Unavailable), name
        assert reason in decision.reason, name


def just(forge: Forge, request: AuthPacket) -> list[bytes]:
    return [forge(request)]


@pytest.mark.parametrize("forge", [forge for forge, _ in NOT_AUTHENTIC.values()], ids=NOT_AUTHENTIC)
async def test_it_does_not_end_the_waiting_for_the_answer(decide: Decide, forge: Forge) -> None:
    assert isinstance(await decide(lambda request: [forge(request), answer(request)]), Accept)
    assert isinstance(await decide(lambda request: [forge(request), answer(request, AccessReject)]), Reject)


async def test_random_bytes_never_admit_anybody(radius: MakeRadius) -> None:
    chance = random.Random(18120)

    def damaged(request: AuthPacket) -> list[bytes]:
        datagrams = []
        for _ in range(100):
            right = bytearray(answer(request, attributes=[(USER_NAME, b"root"), (26, b"\0\0\0\x09\x01\x06ab")]))
            for _ in range(chance.randint(1, 4)):
                right[chance.choice((0, *range(2, len(right))))] ^= 1 << chance.randrange(8)
            datagrams.append(bytes(right[: chance.choice((len(right), chance.randrange(len(right))))]))
        return [*(one for one in datagrams if one != answer(request)), answer(request, AccessReject)]

    with Forger(damaged) as forger:
        decisions = await ask(radius(forger.address), *[login()] * 10)
    assert decisions == [Reject(f"{forger.address} rejects")] * 10


async def test_a_second_step_is_a_rejection_and_a_code_of_no_answer_is_none(decide: Decide) -> None:
    second_step = await decide(lambda request: [answer(request, AccessChallenge)])
    assert isinstance(second_step, Reject)
    assert "asks for a second step, for which DICOM has no room" in second_step.reason
    no_answer = await decide(lambda request: [answer(request, 5)])
    assert isinstance(no_answer, Unavailable)
    assert "code 5" in no_answer.reason


@pytest.mark.parametrize("names", [[b"alice", b"bob"], [b"\xff"], [b"a\nb"], [b""]])
async def test_an_accept_must_say_whom(decide: Decide, names: list[bytes]) -> None:
    decision = await decide(lambda request: [answer(request, attributes=[(USER_NAME, name) for name in names])])
    assert isinstance(decision, Unavailable)
    assert "does not say whom" in decision.reason
    other = await decide(lambda request: [answer(request, attributes=[(USER_NAME, "Zoë".encode())])])
    assert isinstance(other, Accept)
    assert other.user == "Zoë"


async def test_groups_that_are_not_text_are_left_out(decide: Decide) -> None:
    values = (b"ct", b"\x00\x01", b"\xff", b"", "Röntgen".encode())
    decision = await decide(lambda request: [answer(request, attributes=[(FILTER_ID, value) for value in values])])
    assert isinstance(decision, Accept)
    assert decision.groups == {"ct", "Röntgen"}


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([b"locked until", b"Monday"], " rejects: locked until Monday"),
        ([b"m" * 253], " rejects: " + "m" * 200),
        ([b"\xff"], " rejects"),
        ([b"not " + ALICE], " rejects: (its Reply-Message has the passcode in it)"),
    ],
)
async def test_what_the_server_says_of_a_rejection(decide: Decide, messages: list[bytes], told: str) -> None:
    attributes = [(REPLY_MESSAGE, message) for message in messages]
    decision = await decide(lambda request: [answer(request, AccessReject, attributes=attributes)])
    assert isinstance(decision, Reject)
    assert decision.reason.endswith(told)


async def test_the_request(radius: MakeRadius) -> None:
    with Forger(lambda request: [answer(request)]) as forger:
        await ask(
            radius(forger.address, nas_identifier="gate-7"), login(), login(), replace(login(), called_ae_title="")
        )
    first, second, without = forger.requests
    assert first.raw_packet[20] == MESSAGE_AUTHENTICATOR
    for request in (first, second):
        assert request.code == 1
        assert request.verify_message_authenticator()
        assert request.PwDecrypt(request[2][0]) == ALICE.decode()
        assert ALICE not in request.raw_packet
        del request["Message-Authenticator"], request["User-Password"]
        assert dict(request.items()) == {1: [b"alice"], 32: [b"gate-7"], 31: [b"192.0.2.1"], 30: [b"PACS"]}
    assert 30 not in without  # RFC 2865 5: "Strings of length zero (0) MUST NOT be sent"
    assert first.authenticator != second.authenticator
    assert first.id != second.id


async def test_a_request_that_was_lost_is_sent_again(radius: MakeRadius) -> None:
    def deaf_twice(request: AuthPacket) -> list[bytes]:
        return [answer(request)] if len(forger.requests) > 2 else []

    with Forger(deaf_twice) as forger:
        (decision,) = await ask(radius(forger.address, retry_after=timedelta(seconds=0.1)), login())
    assert isinstance(decision, Accept)
    assert len({request.raw_packet for request in forger.requests[:3]}) == 1


async def test_answers_twice_and_late(radius: MakeRadius) -> None:
    """Each answer comes twice, and the one to the request before comes with it."""
    sent: list[bytes] = []

    def script(request: AuthPacket) -> list[bytes]:
        right = request.PwDecrypt(request[2][0]) == ALICE.decode()
        now = answer(request, AccessAccept if right else AccessReject)
        sent.append(now)
        return [*sent[-2:-1], now, now]

    with Forger(script) as forger:
        decisions = await ask(radius(forger.address), *[login(), login("alice", b"wrong")] * 10)
    assert all(isinstance(decision, Accept) for decision in decisions[::2])
    assert all(isinstance(decision, Reject) for decision in decisions[1::2])


async def test_nothing_is_told_that_should_not_be(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    packets: list[bytes] = []

    def script(request: AuthPacket) -> list[bytes]:
        packets.append(wrong_message_authenticator(request))
        return [packets[-1], b"nonsense", Elsewhere(b"x")]

    with Forger(script) as forger:
        asking = radius(forger.address, seconds=1.5)
        (decision,) = await ask(asking, login())
    assert "RADIUS server" in caplog.text
    told = caplog.text + repr(asking) + repr(decision) + repr(asking._servers)
    for secret in (SECRET, ALICE, packets[0][22:38]):
        for spelling in (repr(secret)[2:-1], secret.hex(), repr(secret.decode("latin-1"))[1:-1]):
            assert spelling not in told
