"""Where the issuer's keys are now: files that change, a URL that is down; what was good stays, and no longer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Decision, Reject, Unavailable
from dicomgate.kit.fetch import FetchError
from dicomgate.testing.peers.answers import FAULTS, document, redirect
from dicomgate.testing.peers.issuer import Issuer, ca_file
from dicomgate.testing.watching import no_descriptor_left
from dicomgate_saml import Saml, sources, trust
from plugins.saml.tests import mint as m
from plugins.saml.tests.described import key, metadata
from plugins.saml.tests.mint import ENTITY_ID, ISSUER, P256, RSA, STRANGER, ask, authenticator, mint, sign, written

pytestmark = pytest.mark.anyio
FEDERATION = STRANGER
PAST = f"the metadata of {ISSUER} cannot be fetched"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator reads of it."""
    return [record.getMessage() for record in caplog.records if record.name == sources.__name__]


def known(judge: Saml) -> set[str]:
    """Whose assertions are accepted now."""
    return {name for name, one in (("RSA", RSA), ("P256", P256)) if isinstance(ask(judge, mint(key=one)), Accept)}


def replaced(path: Path, content: bytes) -> None:
    """As editors and tools do it: another file in place of the old one."""
    written(path.with_suffix(".new"), content).replace(path)


@pytest.fixture(params=["certificates", "metadata_file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Saml, Callable[..., bytes]]:
    """A file with RSA's certificate, the authenticator that reads it, and a function that makes such files."""
    if request.param == "certificates":
        path = written(tmp_path / "idp.pem", RSA.pem)
        return path, authenticator(tmp_path, certificates=[path]), lambda *keys: b"".join(one.pem for one in keys)
    path = written(tmp_path / "idp.xml", metadata(RSA))
    return path, authenticator(tmp_path, metadata_file=path), metadata


def test_a_file_that_changes(kept: tuple[Path, Saml, Callable[..., bytes]], caplog: pytest.LogCaptureFixture) -> None:
    path, judge, made = kept
    caplog.set_level(logging.INFO)
    assert known(judge) == {"RSA"}
    assert m.refused(judge, mint(key=STRANGER)) == "not signed with a key of the issuer, or changed after that"
    for keys, expected in (((RSA, P256), {"RSA", "P256"}), ((P256,), {"P256"}), ((RSA,), {"RSA"})):
        caplog.clear()
        replaced(path, made(*keys))
        assert known(judge) == expected
        assert known(judge) == expected
        assert told(caplog) == [f"{path}: loaded"]


@pytest.mark.parametrize("broken", ["empty", "nonsense", "cut", "missing", "everybody's", "a folder"])
def test_a_change_that_is_broken(
    kept: tuple[Path, Saml, Callable[..., bytes]], broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, judge, made = kept
    caplog.set_level(logging.INFO)
    replaced(path, {"empty": b"", "nonsense": b"hello", "cut": made(P256)[:-40]}.get(broken, made(P256)))
    if broken == "everybody's":
        path.chmod(0o666)
    elif broken in ("missing", "a folder"):
        path.unlink()
    if broken == "a folder":
        path.mkdir()
    for _ in range(3):
        assert known(judge) == {"RSA"}
    (line,) = told(caplog)
    assert line.startswith(f"not loaded, the last good version stays in use: {path}: ")
    if broken == "a folder":
        path.rmdir()
    replaced(path, made(P256))
    assert known(judge) == {"P256"}
    assert told(caplog)[1:] == [f"{path}: loaded"]


def test_a_removed_key_is_not_trusted_because_one_read_failed(kept: tuple[Path, Saml, Callable[..., bytes]]) -> None:
    path, judge, made = kept
    replaced(path, made(P256))
    with no_descriptor_left():
        assert known(judge) == {"RSA"}
    assert known(judge) == {"P256"}


def test_two_files_of_which_one_is_broken(tmp_path: Path) -> None:
    """All that is named counts, or nothing that is new."""
    one, other = written(tmp_path / "one.pem", RSA.pem), written(tmp_path / "other.pem", P256.pem)
    judge = authenticator(tmp_path, certificates=[one, other])
    assert known(judge) == {"RSA", "P256"}
    replaced(other, STRANGER.pem)
    assert known(judge) == {"RSA"}
    replaced(other, P256.pem)
    assert known(judge) == {"RSA", "P256"}
    replaced(one, b"")
    replaced(other, STRANGER.pem)
    assert known(judge) == {"RSA", "P256"}
    replaced(one, RSA.pem)
    assert known(judge) == {"RSA"}


def test_a_file_past_its_time(tmp_path: Path) -> None:
    path = written(tmp_path / "idp.xml", metadata(until=3600))
    judge = authenticator(tmp_path, metadata_file=path)
    assert known(judge) == {"RSA"}
    replaced(path, metadata(until=-1))
    assert ask(judge, mint()) == Unavailable("the metadata is past its validUntil")
    assert isinstance(ask(judge, mint(conditions="")), Unavailable), "nobody can look"
    assert isinstance(ask(judge, b"nonsense"), Reject), "what is no assertion needs no key to be seen"
    replaced(path, metadata(until=3600))
    assert known(judge) == {"RSA"}
    late = authenticator(tmp_path, metadata_file=written(path, metadata(until=-1)))
    assert isinstance(ask(late, mint()), Unavailable)


def test_the_end_comes_by_itself(tmp_path: Path) -> None:
    ends = time.time() + 1000
    source = authenticator(tmp_path, metadata_file=written(tmp_path / "idp.xml", metadata(until=1000))).source
    assert sources.trusted(source, ends - 10).certificates
    with pytest.raises(FetchError):
        sources.trusted(source, ends + 10)


# -- a URL -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setattr(sources, "_AGAIN", 0.05)  # half a minute would be long for a test
    with Issuer() as running:
        running.answers["/idp"] = document(metadata(RSA))
        yield running


def at_url(server: Issuer, folder: Path, *signers: m.Signer, path: str = "/idp", **options: Any) -> Saml:
    """It reads the metadata of this server. Signed by one of these; or unsigned, if there is none."""
    if signers:
        options["metadata_signers"] = written(folder / "federation.pem", b"".join(one.pem for one in signers))
    usual = {
        "issuer": ISSUER, "entity_id": ENTITY_ID, "metadata_url": f"{server.name}{path}", "ca": ca_file(server, folder),
        "unsigned_metadata": not signers, "fetch_timeout": timedelta(seconds=2),
    }  # fmt: skip
    judge = Saml(**{**usual, **options})
    judge.source._refresh = 0.05  # type: ignore[union-attr]
    # A minute is the least that can be configured.
    return judge


@asynccontextmanager
async def serving(judge: Saml) -> AsyncIterator[Saml]:
    """While the gateway serves; after it no task is left."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(60), judge:
        yield judge
    assert asyncio.all_tasks() == before


async def come(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.02)


async def fetches(server: Issuer, count: int = 2) -> None:
    """So many more have begun; all but the last are over."""
    wanted = server.connections + count
    await come(lambda: server.connections >= wanted)


def unavailable(decision: Decision) -> str:
    assert isinstance(decision, Unavailable)
    return decision.reason


async def test_metadata_of_a_url(server: Issuer, tmp_path: Path) -> None:
    judge = at_url(server, tmp_path)
    assert unavailable(ask(judge, mint())) == f"{PAST}: not yet"

    async with serving(judge):
        await come(lambda: known(judge))
        assert known(judge) == {"RSA"}
        server.answers["/idp"] = document(metadata(RSA, P256))
        await come(lambda: known(judge) == {"RSA", "P256"})
        server.answers["/idp"] = document(metadata(P256, key(RSA, use="encryption")))
        await come(lambda: known(judge) == {"P256"})
        assert "application/samlmetadata+xml" in server.heads[-1]
    assert known(judge) == {"P256"}, "drained, not yet gone"


async def test_it_is_fetched_again_when_it_is_time(server: Issuer, tmp_path: Path) -> None:
    judge = at_url(server, tmp_path)
    judge.source._refresh = 3600  # type: ignore[union-attr]

    async with serving(judge):
        await come(lambda: known(judge))
        for _ in range(20):
            ask(judge, mint(key=STRANGER))
        await asyncio.sleep(0.3)
        assert server.connections == 1, "no login makes it fetch"


async def test_down_at_the_start(server: Issuer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomgate_saml")
    judge = at_url(server, tmp_path)
    server.stop()

    async with serving(judge):
        await come(lambda: "not yet" not in unavailable(ask(judge, mint())))
        assert unavailable(ask(judge, mint())).startswith(f"{PAST}: {server.address[0]}:{server.address[1]}: ")
        await asyncio.sleep(0.3)
        server.start()
        await come(lambda: known(judge))
    down, up = told(caplog)
    assert down.startswith(f"{PAST}: ")
    assert up == f"the metadata of {ISSUER}: loaded, 1 signing certificates"


@pytest.mark.parametrize("fault", ["status 500", "status 204", "1 GiB", "a bomb", "broken off", "no HTTP"])
async def test_an_outage(server: Issuer, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomgate_saml")
    async with serving(at_url(server, tmp_path)) as judge:
        await come(lambda: known(judge))
        server.answers["/idp"] = FAULTS[fault][0]
        await fetches(server, 3)
        assert known(judge) == {"RSA"}, "the last good one"
        server.answers["/idp"] = document(metadata(P256))
        await come(lambda: known(judge) == {"P256"})
        await fetches(server, 3)
    _, down, up = told(caplog)
    assert down.startswith(PAST)
    assert up == f"the metadata of {ISSUER}: loaded, 1 signing certificates"


@pytest.mark.parametrize("fault", ["mute", "dripping", "dripping headers"])
async def test_a_server_that_takes_its_time(server: Issuer, tmp_path: Path, fault: str) -> None:
    server.answers["/idp"] = FAULTS[fault][0]
    async with serving(at_url(server, tmp_path, fetch_timeout=timedelta(milliseconds=300))) as judge:
        await come(lambda: "no answer within 0.3 s" in unavailable(ask(judge, mint())))
        server.answers["/idp"] = document(metadata(RSA))
        await come(lambda: known(judge))


async def test_leaving_in_the_middle_of_a_fetch(server: Issuer, tmp_path: Path) -> None:
    server.answers["/idp"] = FAULTS["mute"][0]
    async with serving(at_url(server, tmp_path)):
        await come(lambda: server.open)


@pytest.mark.parametrize("which", ["of another authority", "of another name", "expired"])
async def test_the_wrong_certificate(server: Issuer, tmp_path: Path, which: str) -> None:
    server.show(server.wrong_certificates()[which])
    async with serving(at_url(server, tmp_path)) as judge:
        await come(lambda: "certificate" in unavailable(ask(judge, mint())))
        assert not server.requests
        server.show(server.authority.issue_cert(server.address[0]))
        await come(lambda: known(judge))


async def test_no_redirect(server: Issuer, tmp_path: Path) -> None:
    server.answers["/moved"] = redirect(f"{server.name}/idp", metadata(RSA))
    async with serving(at_url(server, tmp_path, path="/moved")) as judge:
        await come(lambda: "answers with status 302" in unavailable(ask(judge, mint())))
        assert server.count("/idp") == 0


BAD = {
    "not signed": (metadata(P256), "metadata that is not signed"),
    "signed by its own key": (sign(metadata(P256), P256), "not signed with a key of"),
    "changed behind the signature": (
        sign(metadata(RSA), FEDERATION).replace(RSA.base64.encode(), P256.base64.encode()), "not signed with a key of"
    ),
    "of another issuer": (sign(metadata(P256, issuer="https://other.example"), FEDERATION), "metadata of another"),
    "past its time": (sign(metadata(P256, until=-1), FEDERATION), "the metadata is past its validUntil"),
    "without a key": (sign(metadata(key(P256, use="encryption")), FEDERATION), "metadata without a signing"),
    "no metadata": (b"<html/>", "no EntityDescriptor"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "why"), BAD.values(), ids=list(BAD))
async def test_what_is_fetched_and_not_good(server: Issuer, tmp_path: Path, bad: bytes, why: str) -> None:
    """At the start logins are `Unavailable`; later the last good metadata stays in use."""
    server.answers["/idp"] = document(bad)
    async with serving(at_url(server, tmp_path, FEDERATION)) as judge:
        await come(lambda: why in unavailable(ask(judge, mint())))
        server.answers["/idp"] = document(sign(metadata(RSA), FEDERATION))
        await come(lambda: known(judge))
        server.answers["/idp"] = document(bad)
        await fetches(server, 3)
        assert known(judge) == {"RSA"}


async def test_unsigned_metadata(server: Issuer, tmp_path: Path) -> None:
    """The certificate of the server is then what vouches for it; with signers it is never enough."""
    both = at_url(server, tmp_path, FEDERATION, unsigned_metadata=True)
    for judge, expected in ((at_url(server, tmp_path), {"RSA"}), (both, set())):
        async with serving(judge):
            await fetches(server, 3)
            assert known(judge) == expected


async def test_past_its_time_while_the_server_is_down(server: Issuer, tmp_path: Path) -> None:
    server.answers["/idp"] = document(metadata(RSA, until=1.5))
    async with serving(at_url(server, tmp_path)) as judge:
        await come(lambda: known(judge))
        server.stop()
        await come(lambda: not known(judge))
        assert unavailable(ask(judge, mint())) == "the metadata is past its validUntil"
        server.start()
        server.answers["/idp"] = document(metadata(RSA, until=3600))
        await come(lambda: known(judge))


async def test_a_defect_does_not_end_the_fetching(
    server: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    judge = at_url(server, tmp_path)
    read = trust.read_metadata

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(sources, "read_metadata", broken)

    async with serving(judge):
        await fetches(server, 3)
        assert isinstance(ask(judge, mint()), Unavailable)
        monkeypatch.setattr(sources, "read_metadata", read)
        await come(lambda: known(judge))
    assert "a defect" in caplog.text
