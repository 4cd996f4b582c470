"""Answers that are no answers, from a server that is scripted: what is not believed, and what that is called."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket

from dicomgate import Accept, Decision, Reject, Unavailable
from dicomgate.testing.evidence import ALICE
from dicomgate_radius import Radius
from plugins.radius.tests.conftest import ask, login
from plugins.radius.tests.forger import Elsewhere, Forger, answer, resign
from plugins.radius.tests.freeradius import SECRET

Decide = Callable[..., Decision]

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


NOT_BELIEVED = {
    "no Message-Authenticator": (lambda request: answer(request, signed=False), "no Message-Authenticator"),
    "wrong Message-Authenticator": (wrong_message_authenticator, "not signed with our shared secret"),
    "wrong Response Authenticator": (wrong_response_authenticator, "not signed with our shared secret"),
    "wrong secret": (lambda request: answer(request, secret=b"another"), "not signed with our shared secret"),
    "of another request": (of_another_request, "not signed with our shared secret"),
    "of another identifier": (of_another_identifier, "no answer within"),
    # What the attack of CVE-2024-3596 needs room for.
    "Proxy-State": (lambda request: answer(request, attributes=[(PROXY_STATE, b"x")]), "not signed with our"),
    "from another port": (lambda request: Elsewhere(answer(request)), "no answer within"),
    "the request itself": (lambda request: request.raw_packet, "not signed with our shared secret"),
    "cut": (lambda request: answer(request)[:-1], "not a RADIUS packet"),
    "text": (lambda request: bytes([0, request.id]) + b"TTP/1.1 400 Bad Request", "not a RADIUS packet"),
    "nothing in it": (lambda request: b"", "no answer within"),
}


def test_they_are_not_believed(radius: Callable[..., Radius]) -> None:
    async def story() -> None:
        with ExitStack() as forgers:
            asked = []
            for forge, _reason in NOT_BELIEVED.values():
                forger = forgers.enter_context(Forger(lambda request, forge=forge: [forge(request)]))
                asked.append(radius(forger.address, seconds=2))
            async with AsyncExitStack() as entered:
                for one in asked:
                    await entered.enter_async_context(one)
                decisions = await asyncio.gather(*(one.authenticate(login()) for one in asked))
        for decision, (name, (_forge, reason)) in zip(decisions, NOT_BELIEVED.items(), strict=True):
            assert isinstance(decision, Unavailable), name
            assert reason in decision.reason, name

    asyncio.run(story())


@pytest.mark.parametrize("forge", [forge for forge, _ in NOT_BELIEVED.values()], ids=NOT_BELIEVED)
def test_it_does_not_end_the_waiting_for_the_answer(decide: Decide, forge: Callable[[AuthPacket], bytes]) -> None:
    assert isinstance(decide(lambda request: [forge(request), answer(request)]), Accept)
    assert isinstance(decide(lambda request: [forge(request), answer(request, AccessReject)]), Reject)


def test_bytes_at_random_never_let_anybody_in(radius: Callable[..., Radius]) -> None:
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
        decisions = ask(radius(forger.address), *[login()] * 10)
    assert decisions == [Reject(f"{forger.address} rejects")] * 10


def test_a_second_step_is_a_rejection(decide: Decide) -> None:
    decision = decide(lambda request: [answer(request, AccessChallenge)])
    assert isinstance(decision, Reject)
    assert "asks for a second step, which DICOM has no room for" in decision.reason


def test_a_code_that_answers_no_access_request(decide: Decide) -> None:
    decision = decide(lambda request: [answer(request, 5)])
    assert isinstance(decision, Unavailable)
    assert "code 5" in decision.reason


@pytest.mark.parametrize("names", [[b"alice", b"bob"], [b"\xff"], [b"a\nb"], [b""]])
def test_an_accept_must_say_whom(decide: Decide, names: list[bytes]) -> None:
    decision = decide(lambda request: [answer(request, attributes=[(USER_NAME, name) for name in names])])
    assert isinstance(decision, Unavailable)
    assert "does not say whom" in decision.reason
    other = decide(lambda request: [answer(request, attributes=[(USER_NAME, "Zoë".encode())])])
    assert isinstance(other, Accept)
    assert other.user == "Zoë"


def test_groups_that_are_not_text_are_left_out(decide: Decide) -> None:
    values = (b"ct", b"\x00\x01", b"\xff", b"", "Röntgen".encode())
    decision = decide(lambda request: [answer(request, attributes=[(FILTER_ID, value) for value in values])])
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
def test_what_the_server_says_of_a_rejection(decide: Decide, messages: list[bytes], told: str) -> None:
    attributes = [(REPLY_MESSAGE, message) for message in messages]
    decision = decide(lambda request: [answer(request, AccessReject, attributes=attributes)])
    assert isinstance(decision, Reject)
    assert decision.reason.endswith(told)


def test_the_request(radius: Callable[..., Radius]) -> None:
    with Forger(lambda request: [answer(request)]) as forger:
        ask(radius(forger.address, nas_identifier="gate-7"), login(), login(), replace(login(), called_ae_title=""))
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


def test_a_request_that_was_lost_is_sent_again(radius: Callable[..., Radius]) -> None:
    def deaf_twice(request: AuthPacket) -> list[bytes]:
        return [answer(request)] if len(forger.requests) > 2 else []

    with Forger(deaf_twice) as forger:
        (decision,) = ask(radius(forger.address, retry_after=timedelta(seconds=0.1)), login())
    assert isinstance(decision, Accept)
    assert len({request.raw_packet for request in forger.requests[:3]}) == 1


def test_answers_twice_and_late(radius: Callable[..., Radius]) -> None:
    """Each answer comes twice, and the one to the request before comes with it."""
    sent: list[bytes] = []

    def script(request: AuthPacket) -> list[bytes]:
        right = request.PwDecrypt(request[2][0]) == ALICE.decode()
        now = answer(request, AccessAccept if right else AccessReject)
        sent.append(now)
        return [*sent[-2:-1], now, now]

    with Forger(script) as forger:
        decisions = ask(radius(forger.address), *[login(), login("alice", b"wrong")] * 10)
    assert all(isinstance(decision, Accept) for decision in decisions[::2])
    assert all(isinstance(decision, Reject) for decision in decisions[1::2])


def test_nothing_is_told_that_should_not_be(radius: Callable[..., Radius], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    packets: list[bytes] = []

    def script(request: AuthPacket) -> list[bytes]:
        packets.append(wrong_message_authenticator(request))
        return [packets[-1], b"nonsense", Elsewhere(b"x")]

    with Forger(script) as forger:
        asking = radius(forger.address, seconds=1.5)
        (decision,) = ask(asking, login())
    assert "RADIUS server" in caplog.text
    told = caplog.text + repr(asking) + repr(decision) + repr(asking._servers)
    for secret in (SECRET, ALICE, packets[0][22:38]):
        for spelling in (repr(secret)[2:-1], secret.hex(), repr(secret.decode("latin-1"))[1:-1]):
            assert spelling not in told
