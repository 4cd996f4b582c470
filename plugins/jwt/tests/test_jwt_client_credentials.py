"""The gateway's own token: how it is asked for, one request for all, kept while it lasts, told to nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest

from dicomgate import Accept, ConfigError, IdentityType, Presented, Unavailable
from dicomgate.testing import admission
from dicomgate.testing.peers.answers import FAULTS, Answer, document
from dicomgate.testing.peers.issuer import Issuer, ca_file
from dicomgate.testing.peers.oidc_provider import OidcProvider
from dicomgate_jwt import ClientCredentials, Jwt
from dicomgate_jwt.client_credentials import COOL_DOWN
from plugins.jwt.tests.mint import AUDIENCE, ED25519, P256, ask, mint, written

PATH = "/token"
TOKEN = "token-1"
SECRET = "s3cret: with +% and ü"
Make = Callable[..., ClientCredentials]
Step = Callable[[], object] | None


def issued(token: object = TOKEN, **changes: Any) -> Answer:
    """The answer of RFC 6749 5.1."""
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": 300, **changes}
    return document(json.dumps({name: value for name, value in answer.items() if value is not ...}).encode())


@pytest.fixture
def server() -> Iterator[Issuer]:
    with Issuer() as server:
        server.answers[PATH] = issued()
        yield server


@pytest.fixture
def make(server: Issuer, tmp_path: Path) -> Make:
    def make(**options: Any) -> ClientCredentials:
        if not {"client_key_file", "client_secret_file"} & options.keys():
            options["client_secret_file"] = written(tmp_path / "client.secret", SECRET.encode(), 0o600)
        if not {"token_url", "issuer"} & options.keys():
            options["token_url"] = server.name + PATH
        usual = {"client_id": "gate way", "ca": ca_file(server, tmp_path), "fetch_timeout": timedelta(seconds=20)}
        return ClientCredentials(**{**usual, **options})

    return make


def in_turn(credential: ClientCredentials, *steps: Step) -> list[str]:
    """What each association presents, or why nothing (None is an association); what is between them is called."""

    async def run() -> list[str]:
        shown = []
        async with credential:
            for step in steps:
                if step is not None:
                    step()
                    continue
                shown.append(told(await credential.present(admission())))
                await credential._token.settled()
        return shown

    return asyncio.run(run())


def told(answer: Presented | Unavailable) -> str:
    if isinstance(answer, Unavailable):
        return f"Unavailable: {answer.reason}"
    assert answer.identity.type is IdentityType.JWT
    return answer.identity.primary.decode()


class Clock:
    """A monotonic clock that goes when it is told to."""

    def __init__(self, credential: ClientCredentials) -> None:
        self.now = 1000.0
        credential._token._clock = lambda: self.now

    def by(self, seconds: float) -> Callable[[], None]:
        def on() -> None:
            self.now += seconds

        return on


# What is asked, and how


def test_the_secret_in_the_header(server: Issuer, make: Make) -> None:
    assert in_turn(make(scope="dicom store", resource=AUDIENCE), None) == ["token-1"]
    (head,), (body,) = server.heads, server.bodies
    assert head.startswith(f"POST {PATH} HTTP/1.1\r\n")
    assert parse_qs(body) == {"grant_type": ["client_credentials"], "scope": ["dicom store"], "resource": [AUDIENCE]}
    (sent,) = [line.split()[2] for line in head.split("\r\n") if line.lower().startswith("authorization: basic ")]
    assert base64.b64decode(sent) == b"gate+way:s3cret%3A+with+%2B%25+and+%C3%BC"


def test_the_secret_in_the_form(server: Issuer, make: Make) -> None:
    assert in_turn(make(client_secret_sent="post", audience="pacs"), None) == ["token-1"]
    form = {"grant_type": "client_credentials", "client_id": "gate way", "client_secret": SECRET, "audience": "pacs"}
    assert parse_qs(server.bodies[0]) == {name: [value] for name, value in form.items()}
    assert "authorization" not in server.heads[0].lower()


def test_a_signature_in_place_of_the_secret(server: Issuer, make: Make, tmp_path: Path) -> None:
    key = written(tmp_path / "client.key", P256.private_pem, 0o600)
    assert in_turn(make(client_key_file=key), None) == ["token-1"]
    form = parse_qs(server.bodies[0])
    (assertion,) = form.pop("client_assertion")
    assert form.pop("client_assertion_type") == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert form == {"grant_type": ["client_credentials"], "client_id": ["gate way"]}
    said = jwt.decode(
        assertion, P256.private.public_key(), algorithms=["ES256"], audience=server.name + PATH, issuer="gate way",
        options={"require": ["exp", "iat", "jti", "sub"]},
    )  # fmt: skip
    assert said["sub"] == "gate way"


def test_the_provider_says_where_it_is_asked(server: Issuer, make: Make) -> None:
    document_ = {"issuer": server.name, "token_endpoint": server.name + PATH}
    server.answers["/.well-known/openid-configuration"] = document(json.dumps(document_).encode())
    assert in_turn(make(issuer=server.name), None, None) == ["token-1"] * 2
    assert server.requests == ["/.well-known/openid-configuration", PATH]


def test_a_new_secret_counts_without_a_restart(server: Issuer, make: Make, tmp_path: Path) -> None:
    credential = make(client_secret_sent="post")
    clock = Clock(credential)

    def change() -> None:
        written(tmp_path / "client.secret", b"another", 0o600)

    in_turn(credential, None, change, clock.by(1000), None)
    assert [parse_qs(body)["client_secret"] for body in server.bodies] == [[SECRET], ["another"]]


# One request for all, while it lasts


def test_a_thousand_associations_at_once_are_one_request(server: Issuer, make: Make) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await issued()(writer)

    server.answers[PATH] = answer

    async def at_once() -> set[str]:
        async with make() as credential:
            return set(map(told, await asyncio.gather(*(credential.present(admission()) for _ in range(1000)))))

    assert asyncio.run(at_once()) == {"token-1"}
    assert server.requests == [PATH]


def test_it_is_fetched_ahead_and_not_used_to_its_last_second(server: Issuer, make: Make) -> None:
    """It lives for 300 s, and is used for 120, or for 240 while there is no other."""
    credential = make()
    clock = Clock(credential)

    def second() -> None:
        server.answers[PATH] = issued("token-2")

    def down() -> None:
        server.answers[PATH] = document(b"", status=500)

    ahead = in_turn(credential, None, second, clock.by(59), None, clock.by(2), None, None)
    assert ahead == ["token-1", "token-1", "token-1", "token-2"]  # nobody waited for the second
    assert len(server.requests) == 2
    credential = make()
    clock = Clock(credential)
    server.answers[PATH] = issued()
    outage = in_turn(credential, None, down, clock.by(235), None, clock.by(6), None, second, clock.by(COOL_DOWN), None)
    assert outage[:2] == ["token-1", "token-1"]
    assert outage[2].startswith("Unavailable: the token of gate way from https://127.0.0.1")
    assert outage[3] == "token-2"


def test_a_clock_that_was_set_costs_a_fetch_and_no_outage(server: Issuer, make: Make) -> None:
    """By the time of day the token has ended, and by the clock that never goes back it has just been fetched."""

    async def run() -> list[str]:
        credential = make()
        clock = Clock(credential)
        async with credential:
            first = await credential.present(admission())
            server.answers[PATH] = issued("token-2")
            clock.by(COOL_DOWN)()
            now = datetime.now(UTC)
            before = await credential.present(admission(time=now + timedelta(seconds=200)))
            return [*map(told, (first, before, await credential.present(admission(time=now + timedelta(hours=1)))))]

    assert asyncio.run(run()) == ["token-1", "token-1", "token-2"]
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("changes", "lives", "ends"),
    [
        ({"expires_in": 3600}, 3540, 3600),
        ({"expires_in": 20}, 15, 20),
        ({"expires_in": ...}, 60, None),  # an opaque one, of which nothing is said
        ({"expires_in": ..., "token": "jwt"}, 240, 300),
        ({"expires_in": 900, "token": "jwt"}, 840, 900),  # its own clock may be wrong
    ],
)
def test_how_long_it_counts(
    server: Issuer, make: Make, changes: dict[str, Any], lives: float, ends: int | None
) -> None:
    token = mint() if changes.pop("token", "") else "token-1"
    server.answers[PATH] = issued(token, **changes)

    async def presented() -> tuple[float, datetime | None]:
        async with make() as credential:
            answer = await credential.present(admission())
            assert isinstance(answer, Presented)
            return credential._token.latest().lives, answer.expires_at

    before = datetime.now(UTC)
    counted, expires_at = asyncio.run(presented())
    assert lives - 20 < counted <= lives
    assert (expires_at is None) == (ends is None)
    if expires_at is not None and ends is not None:
        assert abs(expires_at - before - timedelta(seconds=ends)) < timedelta(seconds=20)


# What goes wrong


@pytest.mark.parametrize(("answer", "said"), FAULTS.values(), ids=FAULTS)
def test_a_provider_that_does_not_answer(server: Issuer, make: Make, answer: Answer, said: str) -> None:
    del said
    credential = make(fetch_timeout=timedelta(seconds=1))
    clock = Clock(credential)

    def recover() -> None:
        server.answers[PATH] = issued()

    server.answers[PATH] = answer
    refused, good = in_turn(credential, None, recover, clock.by(COOL_DOWN), None)
    assert refused.startswith("Unavailable: the token of gate way from")
    assert good == "token-1"


@pytest.mark.parametrize(
    "answer",
    [
        *(document(body) for body in (b"", b"[]", b"token", b'{"access_token": "a", "access_token": "b"}')),
        *(issued(token) for token in (..., None, 1, "", "two words", "umlaut-ü", "line\n", "a" * 32_769)),
        *(issued(token_type=kind) for kind in (..., None, "mac", "DPoP", "N_A")),
        *(issued(expires_in=seconds) for seconds in (0, -1, "300", None, True, 10**12)),
        issued(mint(exp=1_000_000_000), expires_in=...),
    ],
)
def test_an_answer_that_is_no_token(server: Issuer, make: Make, answer: Answer) -> None:
    assert in_turn(make(), None) == ["token-1"]
    server.answers[PATH] = answer
    (refused,) = in_turn(make(), None)
    assert refused.startswith("Unavailable: ")


def test_no_provider_whose_certificate_is_wrong_sees_the_secret(server: Issuer, make: Make) -> None:
    good = server.authority.issue_cert("127.0.0.1")
    for certificate in server.wrong_certificates().values():
        server.show(certificate)
        assert in_turn(make(), None)[0].startswith("Unavailable")
    assert server.heads == []
    server.show(good)
    assert in_turn(make(), None) == ["token-1"]


def test_who_hangs_up_takes_the_token_from_nobody(server: Issuer, make: Make) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        await issued()(writer)

    server.answers[PATH] = answer

    async def run() -> str:
        async with make() as credential:
            first, second = (asyncio.ensure_future(credential.present(admission())) for _ in range(2))
            await asyncio.sleep(0.1)
            first.cancel()
            return told(await second)

    assert asyncio.run(run()) == "token-1"
    assert server.requests == [PATH]


def test_neither_secret_nor_token_is_told(
    server: Issuer, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = written(tmp_path / "client.key", ED25519.private_pem, 0o600)
    basic = base64.b64encode(b"gate+way:s3cret").decode()
    secrets = ("token-1", SECRET, basic, *ED25519.private_pem.decode().splitlines()[1:-1])
    for answer in (issued(), document(b"", status=500), issued("token-1", token_type="mac")):
        server.answers[PATH] = answer
        for options in ({}, {"client_secret_sent": "post"}, {"client_key_file": key}):
            credential = make(**options, proxy=None)
            shown = in_turn(credential, None)
            said = repr((credential, vars(credential), vars(credential._token))) + caplog.text
            said += "".join(one for one in shown if one.startswith("Unavailable"))
            assert [secret for secret in secrets if secret in said] == []
    assert "cannot be fetched" in caplog.text


# What the operator may write


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_id": ""}, "client_id"),
        ({"token_url": None}, "token_url or issuer"),
        ({"token_url": "http://login.example/token"}, "token_url: must be https"),
        ({"token_url": None, "issuer": "http://login.example"}, "issuer: must be https"),
        ({"client_secret_file": None}, "exactly one must say how the gateway logs in"),
        ({"client_key_file": Path("key"), "client_secret_file": Path("secret")}, "exactly one"),
        ({"client_secret_file": Path("no-such-file")}, "no-such-file"),
        ({"client_key_file": Path("no-such-key")}, "no-such-key"),
        ({"fetch_timeout": timedelta(milliseconds=99)}, "fetch_timeout"),
    ],
)
def test_what_is_wrong_with_the_table_is_said(make: Make, changes: dict[str, Any], said: str) -> None:
    assert make()
    with pytest.raises(ConfigError, match=said):
        make(**changes)


# A real provider


@pytest.mark.parametrize("kind", ["", "-post", "-key"])
def test_a_real_provider(oidc_provider: OidcProvider, tmp_path: Path, kind: str) -> None:
    """Its token is what the dicomgate behind accepts; it goes down, and comes back."""
    if kind == "-key":
        login: dict[str, Any] = {"client_key_file": written(tmp_path / "client.key", oidc_provider.client_key, 0o600)}
    else:
        login = {"client_secret_file": written(tmp_path / "secret", oidc_provider.client_secret.encode(), 0o600)}
    credential = ClientCredentials(
        client_id=oidc_provider.client_id + kind, issuer=oidc_provider.issuer, ca=oidc_provider.ca, resource=AUDIENCE,
        scope="dicom", fetch_timeout=timedelta(seconds=20), client_secret_sent="post" if kind == "-post" else "basic",
        **login,
    )  # fmt: skip
    behind = Jwt(
        issuer=oidc_provider.issuer, audience=AUDIENCE, discovery=True, ca=oidc_provider.ca, user_claim="client_id",
        required_claims={"scope": "dicom"}, fetch_timeout=timedelta(seconds=20),
    )  # fmt: skip
    clock = Clock(credential)
    shown = in_turn(
        credential, None, None, oidc_provider.stop, clock.by(4000), None, oidc_provider.start, clock.by(COOL_DOWN), None
    )
    assert shown[0] == shown[1]
    assert shown[2].startswith("Unavailable")
    assert shown[3] != shown[0]
    for token in (shown[0], shown[3]):
        decision = ask(behind, token)
        assert isinstance(decision, Accept)
        assert decision.user == oidc_provider.client_id + kind
