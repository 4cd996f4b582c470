from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Attempt, ConfigError, Decision, Identity, IdentityType, Pass, Reject, Unavailable
from dicomgate.testing import AuthenticatorContract, attempt
from dicomgate.testing.peers.answers import FAULTS, Answer, document
from dicomgate.testing.peers.issuer import ca_file
from dicomgate.testing.peers.oidc_provider import OidcProvider
from dicomgate_jwt import Introspection
from dicomgate_jwt.asked_once import MOST_ASKED
from dicomgate_jwt.claims import thumbprint
from dicomgate_jwt.discovery import Endpoint
from dicomgate_jwt.introspection_cache import IntrospectionCache
from plugins.jwt.tests.introspector import PATH, Introspector
from plugins.jwt.tests.mint import AUDIENCE, ask, login, mint, written

TOKEN = "2YotnFZFEjr1zCsicMWpAA"
OTHER = "gAAAAABotherTokenOfSomeone"
SECRET = "s3cret: with +% and ü"
ADA = {"active": True, "sub": "ada", "aud": AUDIENCE, "token_type": "Bearer", "scope": "dicom.read dicom.write"}
CERTIFICATE, ANOTHER = b"the client's certificate", b"another one"

Make = Callable[..., Introspection]


@pytest.fixture
def server() -> Iterator[Introspector]:
    with Introspector() as server:
        server.tokens[TOKEN] = ADA
        yield server


@pytest.fixture
def make(server: Introspector, tmp_path: Path) -> Make:
    """The authenticator that asks the server, unless the options say otherwise."""

    def make(**options: Any) -> Introspection:
        if not {"url", "issuer"} & options.keys():
            options["url"] = server.url
        required = {
            "client_id": "gate way",
            "client_secret_file": written(tmp_path / "secret", SECRET.encode(), 0o600),
            "ca": ca_file(server, tmp_path),
            "audience": AUDIENCE,
            "fetch_timeout": timedelta(seconds=20),
        }
        return Introspection(**{**required, **options})

    return make


def in_turn(judge: Introspection, *steps: str | Callable[[], object]) -> list[Decision]:
    """The answers to logins with these tokens, one after the other; what is to happen between them is called."""

    async def run() -> list[Decision]:
        decisions = []
        async with judge:
            for step in steps:
                if isinstance(step, str):
                    decisions.append(await judge.authenticate(login(step)))
                else:
                    step()
        return decisions

    return asyncio.run(run())


def at_once(judge: Introspection, *tokens: str) -> list[Decision]:
    async def run() -> list[Decision]:
        async with judge:
            return list(await asyncio.gather(*(judge.authenticate(login(token)) for token in tokens)))

    return asyncio.run(run())


class TestLaws(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, make: Make) -> Introspection:
        return make()

    @pytest.fixture
    def good(self) -> Attempt:
        return login(TOKEN)

    @pytest.fixture
    def bad(self) -> Attempt:
        return login(OTHER)


# What is asked, and how


def test_the_server_is_asked_as_the_standard_says(server: Introspector, make: Make) -> None:
    assert isinstance(ask(make(), TOKEN), Accept)
    (head,), (form,) = server.heads, server.asked
    assert form == {"token": [TOKEN], "token_type_hint": ["access_token"]}
    assert head.startswith(f"POST {PATH} HTTP/1.1\r\n")
    assert "\r\nContent-Type: application/x-www-form-urlencoded\r\n" in head
    (credentials,) = [
        line.split()[2] for line in head.split("\r\n") if line.lower().startswith("authorization: basic ")
    ]
    assert base64.b64decode(credentials) == b"gate+way:s3cret%3A+with+%2B%25+and+%C3%BC"
    assert TOKEN not in head


@pytest.mark.parametrize("sent", [TOKEN, f"Bearer {TOKEN}", f"{TOKEN}\n", f"bearer {TOKEN}\r\n"])
def test_what_clients_leave_around_a_token_is_dropped(server: Introspector, make: Make, sent: str) -> None:
    assert isinstance(ask(make(), sent), Accept)
    assert [form["token"] for form in server.asked] == [[TOKEN]]


@pytest.mark.parametrize(
    "sent",
    [
        *("", "\n", "Bearer ", f" {TOKEN}", f"{TOKEN} ", f"{TOKEN}\n\n", f"bearer  {TOKEN}", f"Bearer Bearer {TOKEN}"),
        *(f"{TOKEN}\0", f"{TOKEN}&client_id=other", f"{TOKEN}=a", "a" * 4097, "===", b"\xff\xfe"),
        f"{TOKEN}\N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)
def test_what_is_no_bearer_token_is_refused_without_asking(server: Introspector, make: Make, sent: str | bytes) -> None:
    judge = make()
    assert isinstance(ask(judge, sent), Reject)
    assert server.asked == []
    for good in ("a" * 4096, "aZ09-._~+/==", "a"):
        server.tokens[good] = ADA
        assert isinstance(ask(judge, good), Accept)
        assert server.asked.pop()["token"] == [good]


@pytest.mark.parametrize("said", ["Bearer", "bearer", "BEARER"])
def test_of_the_token_type_letters_do_not_count(server: Introspector, make: Make, said: str) -> None:
    """RFC 6749 5.1; the page's own example requires "Bearer", and Glewlwyd says "bearer"."""
    judge = make(required_claims={"token_type": "Bearer"}, cache=timedelta())
    server.tokens[TOKEN] = {**ADA, "token_type": said}
    assert isinstance(ask(judge, TOKEN), Accept)
    server.tokens[TOKEN] = {**ADA, "token_type": "refresh_token"}
    assert isinstance(ask(judge, TOKEN), Reject)


def test_a_signed_token_is_shown_to_the_server_only_if_the_operator_says_so(server: Introspector, make: Make) -> None:
    signed = mint()
    server.tokens[signed] = ADA
    assert isinstance(ask(make(), signed), Pass)
    assert isinstance(ask(make(), f"Bearer {signed}\n"), Pass)
    assert isinstance(ask(make(), "a.b.c"), Pass)
    assert server.asked == []
    assert isinstance(ask(make(tokens="any"), signed), Accept)
    assert len(server.asked) == 1


@pytest.mark.parametrize("identity", [None, Identity(IdentityType.SAML, TOKEN.encode())])
def test_what_is_no_token_is_passed_on(server: Introspector, make: Make, identity: Identity | None) -> None:
    assert isinstance(asyncio.run(make().authenticate(attempt(identity))), Pass)
    assert server.asked == []


# What the answer says


def test_an_active_token_is_a_login(server: Introspector, make: Make) -> None:
    ends = int(time.time()) + 300
    told = {"jti": "9f1c", "client_id": "ct", "exp": ends, "realm_access": {"roles": ["radiology"]}}
    server.tokens[TOKEN] = {**ADA, **told}
    groups = frozenset({"dicom.read", "dicom.write", "radiology"})
    judge = make(group_claims=["scope", "realm_access.roles"])
    assert ask(judge, TOKEN) == Accept(
        "ada", groups, None, datetime.fromtimestamp(ends, UTC), None, {"jti": "9f1c", "client_id": "ct"}
    )
    assert ask(judge, OTHER) == Reject("not active: expired, revoked, or never issued by this server")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"true", b"[]", b"null", b'[{"active": true}]', b"active", b'{"active": 0}', b'{"active": ""}'),
        *(
            b'{"active": %s, "sub": "ada"}' % active
            for active in (b"1", b"1.0", b'"true"', b"[true]", b'{"active": true}', b"null")
        ),
        b'{"Active": true, "sub": "ada"}',
        b'{"active": false, "active": true, "sub": "ada"}',
        b'{"active": true, "sub": "ada", "sub": "bea"}',
        b'{"active": true, "sub": "ada", "n": NaN}',
        b'{"active": true, "sub": "ada"',
        b'{"active": true, "sub": "ada"} x',
        b"\xef\xbb\xbf" + b'{"active": true, "sub": "ada"}',
        b'{"active": true, "sub": "\xff"}',
        b'{"active": true, "sub": "ada", "x": "' + b"x" * 65_536 + b'"}',
        b"<html>Sign in</html>",
    ],
)
def test_an_answer_that_says_neither_is_none(server: Introspector, make: Make, body: bytes) -> None:
    server.answers[PATH] = document(body)
    judge = make(audience=None, required_claims={}, user_claim="sub")
    decision = ask(judge, TOKEN)
    assert isinstance(decision, Unavailable)
    assert "ada" not in decision.reason
    server.answers[PATH] = document(b'{"active": true, "sub": "ada"}')  # the control; and nothing was remembered
    assert ask(judge, TOKEN) == Accept("ada")


ENDS = int(time.time()) + 3600


NO_LOGIN: dict[str, list[Any]] = {
    "iss": ["https://elsewhere.example", None, []],
    "aud": ["https://other.example", [AUDIENCE + "/"], None, [], [AUDIENCE, 1]],
    "exp": [ENDS - 7200, str(ENDS), None, True, -1, 10**30],
    "nbf": [ENDS, "now"],
    "iat": [ENDS],
    "token_type": ["refresh_token", "N_A", 5],
    "scope": ["dicom.read", None, "dicom.writer"],
    "sub": [None, "", "a\0b", 5, ["ada"]],
    "cnf": [
        {"x5t#S256": thumbprint(CERTIFICATE).decode()},
        {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
        None,
        {},
    ],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, one, id=f"{name}-{at}") for name, ones in NO_LOGIN.items() for at, one in enumerate(ones)],
)
def test_an_active_token_may_be_no_login_all_the_same(
    server: Introspector, make: Make, name: str, value: object
) -> None:
    judge = make(url=server.url, issuer=server.name, required_claims={"scope": "dicom.write"}, cache=timedelta())
    good = {**ADA, "iss": server.name, "exp": ENDS, "nbf": ENDS - 7200, "iat": ENDS - 7200}
    server.tokens[TOKEN] = {**good, name: value}
    decision = ask(judge, TOKEN)
    assert isinstance(decision, Reject)
    assert decision.reason.startswith(f"{name}: ")
    server.tokens[TOKEN] = good
    assert isinstance(ask(judge, TOKEN), Accept)


@pytest.mark.parametrize("gone", ["iss", "exp", "nbf", "iat", "token_type"])
def test_what_the_standard_leaves_optional_may_be_missing(server: Introspector, make: Make, gone: str) -> None:
    whole = {**ADA, "iss": server.name, "exp": ENDS, "nbf": 0, "iat": 0}
    server.tokens[TOKEN] = {name: value for name, value in whole.items() if name != gone}
    assert isinstance(ask(make(url=server.url, issuer=server.name), TOKEN), Accept)


def test_the_audience_must_be_named_if_there_is_one(
    server: Introspector, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server.tokens[TOKEN] = {"active": True, "sub": "ada"}
    assert isinstance(ask(make(), TOKEN), Reject)
    assert _warnings(caplog) == []
    assert isinstance(ask(make(audience=None), TOKEN), Accept)
    assert _warnings(caplog) == [
        f"{server.url}: without audience and required_claims a token for any service is accepted"
    ]


@pytest.mark.parametrize(
    ("claim", "told"),
    [("client_id", {"client_id": "ct"}), ("username", {"username": "ct"}), ("a.b", {"a": {"b": "ct"}})],
)
def test_the_user_may_stand_elsewhere(server: Introspector, make: Make, claim: str, told: dict[str, object]) -> None:
    server.tokens[TOKEN] = {"active": True, "aud": AUDIENCE, **told}
    assert isinstance(ask(make(), TOKEN), Reject)
    decision = ask(make(user_claim=claim), TOKEN)
    assert isinstance(decision, Accept)
    assert decision.user == "ct"


@pytest.mark.anyio
async def test_a_bound_token_is_held_to_the_certificate_also_when_it_is_cached(
    server: Introspector, make: Make
) -> None:
    server.tokens[TOKEN] = {**ADA, "cnf": {"x5t#S256": thumbprint(CERTIFICATE).decode()}}
    judge = make()
    shown = (CERTIFICATE, ANOTHER, None, CERTIFICATE)
    kinds = [type(await judge.authenticate(login(TOKEN, certificate=one))) for one in shown]
    assert kinds == [Accept, Reject, Reject, Accept]
    assert len(server.asked) == 1


def test_one_that_has_just_expired_ends_with_the_leeway(server: Introspector, make: Make) -> None:
    ended = int(time.time()) - 10
    server.tokens[TOKEN] = {**ADA, "exp": ended}
    decision = ask(make(leeway=timedelta(seconds=60)), TOKEN)
    assert isinstance(decision, Accept)
    assert decision.expires_at == datetime.fromtimestamp(ended + 60, UTC)
    assert isinstance(ask(make(leeway=timedelta(seconds=5)), TOKEN), Reject)


# What is remembered


def test_a_hundred_logins_with_one_token_are_one_request(server: Introspector, make: Make) -> None:
    server.seconds = 0.2
    assert at_once(make(), *[TOKEN] * 100) == [Accept("ada")] * 100
    assert len(server.asked) == 1


def test_a_hundred_logins_with_one_dead_token_are_one_request_each_time(server: Introspector, make: Make) -> None:
    server.seconds = 0.2
    judge = make()
    for asked in (1, 2):
        assert {type(decision) for decision in at_once(judge, *[OTHER] * 100)} == {Reject}
        assert len(server.asked) == asked


def test_a_hundred_tokens_at_once_are_sixteen_requests(server: Introspector, make: Make) -> None:
    server.seconds = 0.2
    tokens = [f"token-{number}" for number in range(100)]
    server.tokens |= dict.fromkeys(tokens, ADA)
    judge = make()
    kinds = [type(decision) for decision in at_once(judge, *tokens)]
    assert MOST_ASKED == 16
    assert kinds == [Accept] * 16 + [Unavailable] * 84
    assert len(server.asked) == server.most_at_once == 16
    server.seconds = 0
    assert isinstance(ask(judge, tokens[50]), Accept)  # there is room again
    assert {type(decision) for decision in in_turn(judge, *tokens)} == {Accept}


def test_an_answer_is_cached_for_a_while(server: Introspector, make: Make) -> None:
    clock = Clock()
    judge = with_clock(make(cache=timedelta(seconds=60)), clock)
    steps = (TOKEN, server.tokens.clear, TOKEN, clock.by(59.9), TOKEN, clock.by(0.2), TOKEN)
    assert [type(one) for one in in_turn(judge, *steps)] == [Accept, Accept, Accept, Reject]
    assert len(server.asked) == 2


def test_without_a_cache_each_login_asks(server: Introspector, make: Make) -> None:
    judge = make(cache=timedelta())
    assert [type(one) for one in in_turn(judge, TOKEN, TOKEN)] == [Accept, Accept]
    assert judge._answers._cached == {}
    assert [type(one) for one in in_turn(judge, server.tokens.clear, TOKEN)] == [Reject]
    assert len(server.asked) == 3


def test_a_token_is_cached_no_longer_than_it_lives(server: Introspector, make: Make) -> None:
    clock = Clock()
    server.tokens[TOKEN] = {**ADA, "exp": time.time() + 20}
    judge = with_clock(make(), clock)
    in_turn(judge, TOKEN, clock.by(15), TOKEN)
    assert len(server.asked) == 1
    in_turn(judge, clock.by(6), TOKEN)
    assert len(server.asked) == 2


def test_one_that_lives_on_by_the_leeway_alone_is_not_remembered(server: Introspector, make: Make) -> None:
    server.tokens[TOKEN] = {**ADA, "exp": time.time() - 5}
    assert [type(one) for one in in_turn(make(), TOKEN, TOKEN)] == [Accept, Accept]
    assert len(server.asked) == 2


@pytest.mark.anyio
async def test_a_token_that_has_a_login_is_asked_about_anew_whatever_is_cached(
    server: Introspector, make: Make
) -> None:
    server.tokens[TOKEN] = {**ADA, "cnf": {"x5t#S256": thumbprint(CERTIFICATE).decode()}}
    async with make() as judge:
        accept = await judge.authenticate(login(TOKEN, certificate=CERTIFICATE))
        assert isinstance(accept, Accept)
        assert TOKEN not in repr(accept) + repr(accept.handle)
        assert await judge.still_valid("ada", accept.handle) == accept
        assert await judge.still_valid("bea", accept.handle) == Reject("the token is now that of 'ada'")
        del server.tokens[TOKEN]
        revoked = Reject("not active: expired, revoked, or never issued by this server")
        assert await judge.still_valid("ada", accept.handle) == revoked
        assert await judge.authenticate(login(TOKEN, certificate=CERTIFICATE)) == revoked
        server.answers[PATH] = document(b"", status=500)
        assert isinstance(await judge.still_valid("ada", accept.handle), Unavailable)
        assert isinstance(await judge.still_valid("ada", None), Unavailable), "a login from before the key was set"


def test_a_failure_is_not_remembered_and_neither_is_what_was_before(server: Introspector, make: Make) -> None:
    clock, fail = Clock(), partial(server.answers.update, {PATH: document(b"{}", status=500)})
    judge = with_clock(make(), clock)
    steps = (TOKEN, fail, TOKEN, clock.by(61), TOKEN, server.answers.clear, TOKEN)
    assert [type(one) for one in in_turn(judge, *steps)] == [Accept, Accept, Unavailable, Accept]


class Told:
    """In place of the network: every token is active."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def until(self) -> float:
        return 0.0

    async def post(self, _url: str, form: dict[str, str], _credentials: object, *, until: float) -> bytes:
        self.asked.append(form["token"])
        return b'{"active": true}'


@pytest.mark.anyio
async def test_a_thousand_answers_are_cached() -> None:
    told: Any = Told()
    clock = Clock()
    endpoint = Endpoint(told, "introspection", url="https://login.example/", issuer=None)
    answers = IntrospectionCache(told, endpoint, ("", ""), 60, clock)

    async def ask_about(*numbers: int) -> None:
        for number in numbers:
            await answers.claims(f"token-{number}")

    await ask_about(*range(1000), *range(1000))
    assert len(told.asked) == 1000
    clock.by(61)()
    await ask_about(0, 1000)  # 0 is anew among the newest; 1 is forgotten for 1000
    clock.by(-61)()
    told.asked.clear()
    await ask_about(0, 2, 999, 1000)
    assert told.asked == []
    await ask_about(1)
    assert told.asked == ["token-1"]


def test_nothing_that_is_cached_is_the_token(server: Introspector, make: Make) -> None:
    judges = [make(), make()]
    for judge in judges:
        assert isinstance(ask(judge, TOKEN), Accept)
        assert TOKEN not in repr(vars(judge)) + repr(vars(judge._answers))
        assert SECRET not in repr(judge)
    (first,), (second,) = (judge._answers._cached for judge in judges)
    assert len(first) == 32
    assert first != second  # each process has a key of its own


@pytest.mark.anyio
async def test_who_hangs_up_takes_the_answer_from_nobody(server: Introspector, make: Make) -> None:
    server.seconds = 1
    async with make() as judge:
        first, second = (asyncio.ensure_future(judge.authenticate(login(TOKEN))) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.wait((first,))
        assert first.cancelled()
        assert await second == Accept("ada")
    assert len(server.asked) == 1


@pytest.mark.anyio
async def test_a_failure_that_nobody_waits_for_is_no_complaint(
    server: Introspector, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server.seconds = 1
    server.answers[PATH] = document(b"", status=500)
    async with make() as judge:
        only = asyncio.ensure_future(judge.authenticate(login(TOKEN)))
        await asyncio.sleep(0.1)
        only.cancel()
        await asyncio.wait((only,))
        await asyncio.wait(judge._answers._asked.values())
    assert judge._answers._asked == {}
    assert _warnings(caplog) == []


@pytest.mark.anyio
async def test_what_is_under_way_ends_with_the_gateway(server: Introspector, make: Make) -> None:
    server.seconds = 60
    before = asyncio.all_tasks()
    async with asyncio.timeout(10), make(fetch_timeout=timedelta(seconds=60)) as judge:
        waiting = asyncio.ensure_future(judge.authenticate(login(TOKEN)))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait((waiting,))
        assert len(judge._answers._asked) == 1
    assert asyncio.all_tasks() == before


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


class Clock:
    """A monotonic clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def by(self, seconds: float) -> Callable[[], None]:
        def on() -> None:
            self.now += seconds

        return on


def with_clock(judge: Introspection, clock: Clock) -> Introspection:
    judge._answers._clock = clock
    return judge


def with_endpoint_clock(judge: Introspection, clock: Clock) -> None:
    discovered = judge._answers._endpoint._discovered
    assert discovered is not None
    discovered._clock = clock


# What goes wrong


@pytest.mark.parametrize(("answer", "_said"), FAULTS.values(), ids=FAULTS)
def test_a_server_that_does_not_answer_is_no_rejection(
    server: Introspector, make: Make, answer: Answer, _said: str
) -> None:
    server.answers[PATH] = answer
    judge = make(fetch_timeout=timedelta(seconds=1))
    decision = ask(judge, TOKEN)
    assert isinstance(decision, Unavailable)
    assert TOKEN not in decision.reason
    server.answers.clear()
    assert isinstance(ask(judge, TOKEN), Accept)


def test_no_server_whose_certificate_is_wrong_sees_a_token(server: Introspector, make: Make) -> None:
    good = server.authority.issue_cert("127.0.0.1")
    for certificate in server.wrong_certificates().values():
        server.show(certificate)
        assert isinstance(ask(make(), TOKEN), Unavailable)
    assert server.heads == []
    server.show(good)
    assert isinstance(ask(make(), TOKEN), Accept)


# Discovery


def test_the_issuer_says_where_it_is_asked(server: Introspector, make: Make) -> None:
    server.describe()
    assert [type(one) for one in in_turn(make(issuer=server.name), TOKEN, OTHER, TOKEN)] == [Accept, Reject, Accept]
    assert server.requests == ["/.well-known/openid-configuration", PATH, PATH]


def test_behind_a_failure_the_document_is_left_alone_for_a_while(server: Introspector, make: Make) -> None:
    clock = Clock()
    judge = make(issuer=server.name)
    with_endpoint_clock(judge, clock)
    tokens = [f"token-{number}" for number in range(MOST_ASKED)]
    assert {type(one) for one in at_once(judge, *tokens)} == {Unavailable}
    server.describe()
    assert [type(one) for one in in_turn(judge, clock.by(4.9), TOKEN)] == [Unavailable]
    assert len(server.requests) == 1
    assert [type(one) for one in in_turn(judge, clock.by(0.2), TOKEN)] == [Accept]


def test_an_endpoint_that_moves_is_found_again(server: Introspector, make: Make) -> None:
    clock = Clock()
    server.describe(introspection_endpoint=server.name + "/old")
    judge = make(issuer=server.name, cache=timedelta())
    with_endpoint_clock(judge, clock)

    def move() -> None:
        server.describe()
        server.answers["/old"] = document(b"", status=404)

    kinds = [type(one) for one in in_turn(judge, TOKEN, move, TOKEN, TOKEN, clock.by(6), TOKEN, TOKEN)]
    assert kinds == [Accept, Unavailable, Unavailable, Unavailable, Accept]
    assert server.requests.count("/.well-known/openid-configuration") == 2


def test_both_requests_have_one_deadline(server: Introspector, make: Make) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.8)
        await document(json.dumps({"issuer": server.name, "introspection_endpoint": server.url}).encode())(writer)

    server.answers["/.well-known/openid-configuration"] = late
    server.seconds = 1.5
    judge = make(issuer=server.name, fetch_timeout=timedelta(seconds=2))
    assert isinstance(ask(judge, TOKEN), Unavailable)
    server.seconds = 0
    assert isinstance(ask(judge, TOKEN), Accept)  # it knows by now where to ask


# What the operator may write


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": None}, "url or issuer"),
        ({"url": "http://login.example/introspect"}, "url: must be https"),
        ({"url": None, "issuer": "http://login.example"}, "issuer: must be https"),
        ({"audience": ""}, "audience"),
        ({"audience": []}, "audience"),
        ({"audience": ["a", ""]}, "audience"),
        ({"cache": timedelta(minutes=6)}, "cache: at most 5m"),
        ({"cache": timedelta(seconds=-1)}, "cache: at most 5m"),
        ({"leeway": timedelta(seconds=61)}, "leeway: at most 60s"),
        ({"leeway": timedelta(seconds=-1)}, "leeway: at most 60s"),
        ({"fetch_timeout": timedelta(milliseconds=99)}, "fetch_timeout"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret_file": Path("no-such-file")}, "no-such-file"),
    ],
)
def test_what_is_wrong_with_the_table_is_said(
    server: Introspector, make: Make, changes: dict[str, Any], said: str
) -> None:
    assert isinstance(ask(make(url=server.url, cache=timedelta(minutes=5), leeway=timedelta(minutes=1)), TOKEN), Accept)
    with pytest.raises(ConfigError, match=said):
        make(**{"url": server.url, **changes})


def test_a_secret_that_everybody_may_read_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="everybody may read"):
        make(client_secret_file=written(tmp_path / "open", b"secret", 0o644))
    assert isinstance(ask(make(client_secret_file=written(tmp_path / "closed", b"secret", 0o600)), TOKEN), Accept)


# A real provider


@pytest.fixture
def real(oidc_provider: OidcProvider, tmp_path: Path) -> Make:
    def real(**options: Any) -> Introspection:
        required = {
            "issuer": oidc_provider.issuer,
            "client_id": oidc_provider.client_id,
            "client_secret_file": written(tmp_path / "client.secret", oidc_provider.client_secret.encode(), 0o600),
            "ca": oidc_provider.ca,
            "audience": AUDIENCE,
            "user_claim": "client_id",
            "fetch_timeout": timedelta(seconds=20),
        }
        return Introspection(**{**required, **options})

    return real


def test_a_providers_opaque_token(oidc_provider: OidcProvider, real: Make) -> None:
    token = oidc_provider.token(AUDIENCE, opaque=1, lifetime=300)
    started = datetime.now(UTC)
    decision = ask(real(group_claims=["scope"], required_claims={"scope": "dicom"}), f"Bearer {token}\n")
    assert isinstance(decision, Accept)
    assert decision.user == oidc_provider.client_id
    assert decision.groups == {"dicom"}
    assert decision.expires_at is not None
    assert timedelta(seconds=250) < decision.expires_at - started < timedelta(seconds=350)
    assert decision.attributes["client_id"] == oidc_provider.client_id
    assert isinstance(ask(real(audience="https://other.example"), token), Reject)
    assert isinstance(ask(real(required_claims={"scope": "admin"}), token), Reject)
    assert isinstance(ask(real(user_claim="sub"), token), Reject)  # RFC 7662: a client's own token has none
    assert isinstance(ask(real(), token[:-1] + ("A" if token[-1] != "A" else "B")), Reject)


def test_a_provider_revokes_and_goes_down(oidc_provider: OidcProvider, real: Make) -> None:
    token, other = (oidc_provider.token(AUDIENCE, opaque=1) for _ in range(2))
    remembering, asking = real(), real(cache=timedelta())
    assert [type(ask(judge, token)) for judge in (remembering, asking)] == [Accept, Accept]
    oidc_provider.revoke(token)
    assert [type(ask(judge, token)) for judge in (remembering, asking)] == [Accept, Reject]
    oidc_provider.stop()
    assert [type(ask(judge, token)) for judge in (remembering, asking)] == [Accept, Unavailable]
    assert isinstance(ask(remembering, other), Unavailable)
    oidc_provider.start()
    fresh = oidc_provider.token(AUDIENCE, opaque=1)
    assert [type(ask(judge, fresh)) for judge in (remembering, asking)] == [Accept, Accept]


def test_a_provider_that_does_not_answer_us(oidc_provider: OidcProvider, real: Make, tmp_path: Path) -> None:
    signed, token = oidc_provider.token(AUDIENCE), oidc_provider.token(AUDIENCE, opaque=1)
    wrong = written(tmp_path / "wrong.secret", b"another secret", 0o600)
    assert isinstance(ask(real(), signed), Pass)
    # This provider reads opaque tokens alone, and says 400.
    for options, sent, status in (({"tokens": "any"}, signed, "400"), ({"client_secret_file": wrong}, token, "401")):
        decision = ask(real(**options), sent)
        assert isinstance(decision, Unavailable)
        assert status in decision.reason
    assert isinstance(ask(real(), token), Accept)
