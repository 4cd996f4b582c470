"""An issuer's keys from afar: one fetch for all, few fetches at all, the last keys through an outage and no longer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, ConfigError, Pass, Reject, Unavailable
from dicomgate.kit.fetch import FetchError
from dicomgate.testing.peers.issuer import Issuer, Trap, ca_file
from dicomgate.testing.peers.loopback import HOST
from dicomgate_jwt.discovery import discovery_url
from dicomgate_jwt.sources import COOL_DOWN, RemoteKeys
from plugins.jwt.tests.mint import ED25519, P256, RSA, authenticator, key_set, login, mint

pytestmark = pytest.mark.anyio
ISSUER = "https://login.hospital.example"
WHERE = "https://login.hospital.example/keys"
REFRESH, STALE = 300.0, 3600.0
DOWN = FetchError("login.hospital.example:443: answers with status 500")


class Shelf:
    """Stands in for a Fetcher: `there` are the documents by URL, or what is raised; what was `asked`."""

    def __init__(self, keys: bytes | Exception) -> None:
        self.there: dict[str, bytes | Exception] = {WHERE: keys}
        self.asked: list[str] = []
        self.deadlines: list[float | None] = []
        self.now = 0.0
        self._untils = iter(range(1000))

    def clock(self) -> float:
        return self.now

    def until(self) -> float:
        return next(self._untils)

    async def get(self, url: str, *, until: float | None = None) -> bytes:
        self.asked.append(url)
        self.deadlines.append(until)
        found = self.there.get(url, FetchError("answers with status 404"))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(key_set(RSA))


@pytest.fixture
def url() -> str | None:
    return WHERE


@pytest.fixture
async def keys(shelf: Shelf, url: str | None) -> AsyncIterator[RemoteKeys]:
    """The issuer's keys from this URL, or by discovery."""
    refresh, stale = timedelta(seconds=REFRESH), timedelta(seconds=STALE)
    keys = RemoteKeys(shelf, issuer=ISSUER, url=url, refresh=refresh, stale=stale, clock=shelf.clock)  # type: ignore[arg-type]
    yield keys
    await keys.close()


async def names(keys: RemoteKeys, name: str | None) -> list[str | None]:
    return [key.id for key in await keys.named(name)]


async def out_of_reach(keys: RemoteKeys, name: str | None = RSA.id) -> str:
    with pytest.raises(FetchError) as raised:
        await keys.named(name)
    return str(raised.value)


async def test_a_name_is_looked_for_again_after_the_cool_down(shelf: Shelf, keys: RemoteKeys) -> None:
    assert await names(keys, RSA.id) == [RSA.id]
    shelf.there[WHERE] = key_set(P256, RSA)
    shelf.now = COOL_DOWN - 0.01
    assert await names(keys, P256.id) == []
    shelf.now = COOL_DOWN
    assert await names(keys, P256.id) == [P256.id]
    assert await names(keys, RSA.id) == [RSA.id]
    assert len(shelf.asked) == 2


async def test_what_was_refused_for_want_of_a_key_stands_until_the_set_may_be_fetched_again(
    shelf: Shelf, keys: RemoteKeys
) -> None:
    assert not keys.unchanged(RSA.id)(), "there are no keys yet"
    assert await names(keys, P256.id) == []
    unknown, known = keys.unchanged(P256.id), keys.unchanged(RSA.id)
    assert unknown()
    shelf.now = COOL_DOWN
    assert not unknown()
    assert known(), "nothing would be fetched for it"
    shelf.there[WHERE] = key_set(P256, RSA)
    assert await names(keys, P256.id) == [P256.id]
    assert not known()


async def test_a_key_that_was_withdrawn_is_refused_after_the_refresh(shelf: Shelf, keys: RemoteKeys) -> None:
    assert await names(keys, RSA.id) == [RSA.id]
    shelf.there[WHERE] = key_set(P256)
    shelf.now = REFRESH / 2
    assert await names(keys, RSA.id) == [RSA.id]
    shelf.now = REFRESH + 0.01
    assert await names(keys, RSA.id) == []
    assert await names(keys, P256.id) == [P256.id]


async def test_the_last_keys_serve_through_an_outage_and_then_end(shelf: Shelf, keys: RemoteKeys) -> None:
    assert await names(keys, RSA.id) == [RSA.id]
    shelf.there[WHERE] = DOWN
    while shelf.now < STALE:
        shelf.now = min(shelf.now + 250, STALE)
        assert await names(keys, RSA.id) == [RSA.id]
    shelf.now = STALE + 0.01
    assert await out_of_reach(keys) == f"the keys of {ISSUER} cannot be fetched: {DOWN}"
    shelf.there[WHERE] = key_set(RSA)
    shelf.now += COOL_DOWN
    assert await names(keys, RSA.id) == [RSA.id]


async def test_a_line_for_each_key_that_is_not_used(
    shelf: Shelf, keys: RemoteKeys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dicomgate_jwt.sources")
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}

    for also in ((secret,), (secret,), (), (secret, secret)):
        shelf.there[WHERE] = key_set(RSA, also=also)
        shelf.now += COOL_DOWN
        assert await names(keys, "unknown") == []
    assert await names(keys, RSA.id) == [RSA.id]
    told = [record.getMessage().partition(" is not used: ")[2] for record in caplog.records]
    assert told == ["key 2 of 2: a secret, published"] + [
        f"key {n} of 3: another key has the same name" for n in (2, 3)
    ]


def document_of(issuer: object = ISSUER, jwks_uri: object = WHERE, **more: object) -> bytes:
    return json.dumps({"issuer": issuer, "jwks_uri": jwks_uri, **more}).encode()


@pytest.mark.parametrize("url", [None])
async def test_discovery_asks_once_and_again_when_keys_cannot_be_had(shelf: Shelf, keys: RemoteKeys) -> None:
    first, elsewhere = discovery_url(ISSUER), f"{ISSUER}/elsewhere"
    shelf.there[first] = document_of()
    assert await names(keys, RSA.id) == [RSA.id]
    assert shelf.asked == [first, WHERE]
    assert shelf.deadlines[0] == shelf.deadlines[1]  # one deadline for both
    shelf.now += COOL_DOWN
    assert await names(keys, "unknown") == []
    assert shelf.asked == [first, WHERE, WHERE]
    assert shelf.deadlines[2] != shelf.deadlines[0]
    shelf.there |= {WHERE: DOWN, first: document_of(jwks_uri=elsewhere), elsewhere: key_set(P256)}
    shelf.now += COOL_DOWN
    await out_of_reach(keys, P256.id)
    shelf.now += COOL_DOWN
    assert await names(keys, P256.id) == [P256.id]
    assert shelf.asked[3:] == [WHERE, first, elsewhere]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            document_of(issuer="https://login.hospital.example/"),
            "another issuer's: 'https://login.hospital.example/', not 'https://login.hospital.example' (the slash at",
        ),
        (document_of(issuer="https://LOGIN.hospital.example"), "another issuer's"),
        (document_of(issuer=None), "another issuer's"),
        (document_of(issuer=[ISSUER]), "another issuer's"),
        (document_of(jwks_uri="http://login.hospital.example/keys"), "jwks_uri: must be https://"),
        (document_of(jwks_uri="file:///etc/passwd"), "jwks_uri: must be https://"),
        (document_of(jwks_uri=None), "jwks_uri: not a URL"),
        (document_of(jwks_uri=[WHERE]), "jwks_uri: not a URL"),
        (document_of(jwks_uri="https://user:secret@login.hospital.example/keys"), "jwks_uri: must have neither"),
        (document_of()[:-1] + b', "jwks_uri": "https://evil.example/"}', "the same name twice"),
        (b"[]", "not a JSON object"),
        (b"<html>", "not JSON"),
        (b"\xff", "not UTF-8"),
        (FetchError("answers with status 404"), "status 404"),
    ],
)
@pytest.mark.parametrize("url", [None])
async def test_a_discovery_document_that_is_not_believed(
    shelf: Shelf, keys: RemoteKeys, said: bytes | Exception, words: str
) -> None:
    shelf.there[discovery_url(ISSUER)] = said
    assert words in await out_of_reach(keys)
    assert shelf.asked == [discovery_url(ISSUER)]
    shelf.there[discovery_url(ISSUER)] = document_of()
    shelf.now += COOL_DOWN
    assert await names(keys, RSA.id) == [RSA.id]


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/t/v2.0", "https://a.example/t/v2.0/.well-known/openid-configuration"),
    ],
)
def test_where_the_discovery_document_is(issuer: str, url: str) -> None:
    assert discovery_url(issuer) == url


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refresh": timedelta(seconds=29)}, "refresh must be 30s or more"),
        ({"refresh": timedelta(hours=2)}, "stale no less than refresh"),
        ({"url": "http://login.hospital.example/keys"}, "jwks_url: must be https://"),
        ({"url": None, "issuer": "http://login.hospital.example"}, "issuer: must be https://"),
        ({"url": None, "issuer": "hospital"}, "issuer: must be https://"),
    ],
)
def test_a_configuration_that_is_wrong(options: dict[str, Any], words: str) -> None:
    right = {"issuer": "hospital", "url": WHERE, "refresh": timedelta(seconds=30), "stale": timedelta(hours=1)}
    RemoteKeys(None, **right)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=words):
        RemoteKeys(None, **{**right, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "no key set: not JSON"),
        (b"{}", 'no key set: it has no list "keys"'),
        (b'{"keys": []}', "no key that can verify tokens"),
        (key_set(RSA, also=({},) * 9999), "10000 keys; 100 are the most"),
        (key_set(RSA, RSA), "another key has the same name"),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_a_key_set_that_is_none_is_not_fetched(
    shelf: Shelf, keys: RemoteKeys, content: bytes, words: str
) -> None:
    shelf.there[WHERE] = content
    why = await out_of_reach(keys)
    assert why.startswith(f"the keys of {ISSUER} cannot be fetched: ")
    assert words in why
    shelf.there[WHERE] = key_set(RSA)
    shelf.now += COOL_DOWN
    assert await names(keys, RSA.id) == [RSA.id]


@pytest.mark.parametrize("path", ["/keys", "/.well-known/openid-configuration"])
async def test_keys_that_cannot_be_fetched_are_no_rejection(issuer: Issuer, tmp_path: Path, path: str) -> None:
    options = {"discovery": True, "fetch_timeout": timedelta(seconds=20), "ca": ca_file(issuer, tmp_path)}
    answer = issuer.answers.pop(path)
    for kind in (Unavailable, Accept):
        judge = authenticator(tmp_path, issuer=issuer.name, **options)
        async with asyncio.timeout(60), judge:
            decision = await judge.authenticate(login(mint(iss=issuer.name)))
        assert isinstance(decision, kind)
        assert isinstance(decision, Accept) or decision.reason.startswith(f"the keys of {issuer.name} cannot be ")
        issuer.answers[path] = answer


@pytest.fixture
def trap() -> Iterator[Trap]:
    with Trap() as trap:
        yield trap


async def test_nobody_is_asked_for_a_token_that_is_not_the_issuers(issuer: Issuer, trap: Trap, tmp_path: Path) -> None:
    """Not for one of another issuer, of an algorithm that is not allowed, or in pieces; and a token names no URL."""
    options = {"jwks_url": issuer.name + "/keys", "ca": ca_file(issuer, tmp_path), "algorithms": ["RS256"]}
    judge = authenticator(tmp_path, issuer=issuer.name, fetch_timeout=timedelta(seconds=20), **options)

    there = f"https://{HOST}:{trap.address[1]}/"
    named = {"jku": there, "x5u": there, "jwk": RSA.jwk, "kid": there}
    genuine = mint(RSA, iss=issuer.name)
    hostile = [mint(RSA, iss=there), mint(ED25519, iss=issuer.name), genuine[:-20] + "."]
    tokens = [genuine, *hostile, mint(RSA, iss=issuer.name, header=named)]
    async with judge:
        accepted, *others = [await judge.authenticate(login(token)) for token in tokens]
    assert isinstance(accepted, Accept)
    assert not any(isinstance(other, Accept) for other in others)
    assert trap.connections == 0
    assert issuer.requests == ["/keys"]


async def test_a_refusal_stands_as_long_as_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = authenticator(tmp_path)
    now = time.time()
    early = await judge.authenticate(login(mint(iat=now, nbf=now + 100, exp=now + 200)))
    over = await judge.authenticate(login(mint(iat=now - 200, exp=now - 100)))
    foreign = await judge.authenticate(login(mint(iss="https://other.example")))
    assert isinstance(early, Reject)
    assert isinstance(over, Reject)
    assert isinstance(foreign, Pass)
    assert early.stands is not None
    assert over.stands is not None
    assert foreign.stands is not None
    assert (early.stands(), over.stands(), foreign.stands()) == (True, True, True)
    monkeypatch.setattr(time, "time", lambda: now + 71)  # the leeway is 30 s
    assert not early.stands(), "it has begun"
    assert over.stands()
    (tmp_path / "keys.json").touch()
    assert not over.stands(), "there may be other keys"
    assert foreign.stands()
