"""The user's token for one of the PACS's: what is asked, for whom it is kept and how long, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest

from dicomgate import Admission, Identity, Presented, Unavailable
from dicomgate.testing import admission, jwt, kerberos, passcode
from dicomgate.testing.peers.answers import FAULTS, Answer
from dicomgate.testing.peers.issuer import ca_file
from dicomgate_jwt import TokenExchange
from dicomgate_jwt.asked_once import MOST_ASKED
from plugins.jwt.tests.exchanger import ACCESS_TOKEN, PACS, PATH, Exchanger
from plugins.jwt.tests.mint import STRANGER, mint, written

SECRET = "the gateway's secret at the provider"
Make = Callable[..., TokenExchange]
Step = Admission | Callable[[], object]


@pytest.fixture
def provider() -> Iterator[Exchanger]:
    with Exchanger() as provider:
        yield provider


@pytest.fixture
def make(provider: Exchanger, tmp_path: Path) -> Make:
    def make(**options: Any) -> TokenExchange:
        usual = {
            "client_id": "gateway",
            "client_secret_file": written(tmp_path / "client.secret", SECRET.encode(), 0o600),
            "token_url": provider.name + PATH,
            "ca": ca_file(provider, tmp_path),
            "fetch_timeout": timedelta(seconds=20),
        }
        return TokenExchange(**{**usual, **options})

    return make


def of(token: str, **fields: Any) -> Admission:
    """An association of somebody who logged in with this token."""
    return admission(identity=jwt(token), **fields)


def in_turn(credential: TokenExchange, *steps: Step) -> list[Presented | Unavailable]:
    async def run() -> list[Presented | Unavailable]:
        answers = []
        async with credential:
            for step in steps:
                if isinstance(step, Admission):
                    answers.append(await credential.present(step))
                else:
                    step()
        return answers

    return asyncio.run(run())


def at_once(credential: TokenExchange, *asked: Admission) -> list[Presented | Unavailable]:
    async def run() -> list[Presented | Unavailable]:
        async with credential:
            return list(await asyncio.gather(*map(credential.present, asked)))

    return asyncio.run(run())


def claims(answer: Presented | Unavailable) -> dict[str, Any]:
    assert isinstance(answer, Presented), answer
    return dict(pyjwt.decode(answer.identity.primary, options={"verify_signature": False}))


def test_what_is_asked_and_what_is_presented(provider: Exchanger, make: Make) -> None:
    """RFC 8693 2.1."""
    token = mint(sub="ada")
    (answer,) = in_turn(make(audience=PACS, scope="dicom", requested_token_type="jwt"), of(f"Bearer {token}\n"))
    assert provider.forms == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "audience": PACS,
            "scope": "dicom",
        }
    ]
    assert (claims(answer)["sub"], claims(answer)["iss"]) == ("ada", provider.name)


def test_a_thousand_associations_with_one_token_are_one_request(provider: Exchanger, make: Make) -> None:
    provider.seconds = 0.2
    token = mint()
    answers = at_once(make(), *[of(token)] * 1000)
    assert {claims(answer)["jti"] for answer in answers} == {"1"}
    assert len(provider.forms) == 1


def test_nobody_gets_what_was_exchanged_for_another(provider: Exchanger, make: Make) -> None:
    provider.seconds = 0.1
    users = [f"user-{number}" for number in range(MOST_ASKED)]
    tokens = {user: mint(sub=user) for user in users}
    asked = [of(tokens[user], user=user) for user in users]
    credential = make()
    assert [claims(answer)["sub"] for answer in at_once(credential, *asked)] == users
    assert [claims(answer)["sub"] for answer in in_turn(credential, *reversed(asked))] == users[::-1]
    assert len(provider.forms) == len(users)


def test_too_many_at_once_are_refused_and_not_kept_waiting(provider: Exchanger, make: Make) -> None:
    provider.seconds = 0.2
    asked = [of(mint(sub=f"user-{number}")) for number in range(20)]
    assert sum(isinstance(answer, Presented) for answer in at_once(make(), *asked)) == MOST_ASKED


@pytest.mark.parametrize(("lifetime", "users", "kept"), [(600, None, 540), (600, 100, 100), (60, 300, 45)])
def test_it_is_kept_no_longer_than_either_token(
    provider: Exchanger, make: Make, lifetime: int, users: int | None, kept: int
) -> None:
    provider.lifetime = lifetime
    now = [1000.0]
    credential = make()
    credential._exchanged._clock = lambda: now[0]
    ends = None if users is None else datetime.now(UTC) + timedelta(seconds=users)
    asked = of(mint(), expires_at=ends)

    def go(seconds: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds)

    answers = in_turn(credential, asked, go(kept - 20), asked, go(21), asked)
    assert [claims(answer)["jti"] for answer in answers] == ["1", "1", "2"]
    for answer in answers:
        assert isinstance(answer, Presented)
        assert answer.expires_at is not None
        assert ends is None or answer.expires_at <= ends
        assert answer.expires_at <= datetime.now(UTC) + timedelta(seconds=lifetime)


def test_a_clock_that_was_set_costs_an_exchange_and_no_outage(provider: Exchanger, make: Make) -> None:
    token, later = mint(), datetime.now(UTC) + timedelta(seconds=700)
    before, after = of(token), of(token, time=later)
    provider.lifetime = 600
    longer = lambda: setattr(provider, "lifetime", 3600)  # noqa: E731 (a step)
    answers = in_turn(make(), before, before, longer, after, after)
    assert [claims(answer)["jti"] for answer in answers] == ["1", "1", "2", "2"]


@pytest.mark.parametrize("identity", [None, passcode("ada", "secret"), kerberos(b"ticket"), jwt("two words")])
def test_who_has_no_token_has_none_to_exchange(provider: Exchanger, make: Make, identity: Identity | None) -> None:
    refused, good = in_turn(make(), admission(identity=identity), of(mint()))
    assert isinstance(refused, Unavailable)
    assert isinstance(good, Presented)
    assert len(provider.forms) == 1


def test_one_that_the_provider_refuses_is_asked_about_again(provider: Exchanger, make: Make) -> None:
    bad, good = of(mint(STRANGER)), of(mint())
    answers = in_turn(make(), bad, bad, good)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable, Presented]
    assert "answers with status 400" in str(answers[0])
    assert len(provider.forms) == 3


@pytest.mark.parametrize(("answer", "said"), FAULTS.values(), ids=FAULTS)
def test_a_provider_that_does_not_answer(provider: Exchanger, make: Make, answer: Answer, said: str) -> None:
    del said
    provider.answers[PATH] = answer
    asked = of(mint())
    refused, good = in_turn(make(fetch_timeout=timedelta(seconds=1)), asked, provider.answers.clear, asked)
    assert isinstance(refused, Unavailable)
    assert "cannot be exchanged at https://127.0.0.1" in refused.reason
    assert isinstance(good, Presented)


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_token_type": ...},
        {"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"issued_token_type": ["urn:ietf:params:oauth:token-type:access_token"]},
        {"token_type": "DPoP"},
        {"access_token": ...},
        {"expires_in": "600"},
    ],
)
def test_an_answer_that_is_no_login(provider: Exchanger, make: Make, changes: dict[str, Any]) -> None:
    asked = of(mint())
    provider.changes = {"token_type": "N_A"}
    assert isinstance(in_turn(make(), asked)[0], Presented)
    provider.changes = changes
    assert isinstance(in_turn(make(), asked)[0], Unavailable)


def test_no_token_is_told(provider: Exchanger, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credential, token = make(), mint()
    (good,) = in_turn(credential, of(token))
    held = repr((credential, vars(credential), vars(credential._exchanged), good))
    provider.changes = {"token_type": "DPoP"}
    (refused,) = in_turn(make(), of(token))
    told = held + repr(refused) + caplog.text
    assert isinstance(good, Presented)
    for secret in (token, good.identity.primary.decode(), SECRET, json.dumps(claims(good))):
        assert secret not in told
