"""Whatever a server does, a fetch ends in FetchError, in time, and leaves nothing open."""

from __future__ import annotations

import asyncio
import re
import socket
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus

import pytest

from dicomgate import ConfigError
from dicomgate.kit.fetch import LARGEST, Fetcher, FetchError, check_url, url_problem
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.answers import FAULTS, Answer, Huge, compressed, crumbs, document, redirect
from dicomgate.testing.peers.issuer import Issuer, Proxy, Trap, ca_file
from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.peers.silence import Names, silent

__all__ = ["names"]

GOOD = b'{"keys": []}'
QUICKLY = timedelta(milliseconds=400)  # what waits for ever is given up after this
PATIENTLY = timedelta(seconds=20)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.answers["/good"] = document(GOOD)
        yield running


@pytest.fixture
def trap() -> Iterator[Trap]:
    with Trap() as running:
        yield running
        assert running.connections == 0


@pytest.fixture
def ca(issuer: Issuer, tmp_path: Path) -> Path:
    return ca_file(issuer, tmp_path)


def fetch(ca: Path | None, *urls: str, deadline: timedelta = PATIENTLY, proxy: str | None = None) -> bytes:
    """The last of these documents, fetched one after the other; the test fails if a task is left."""
    fetcher = Fetcher(ca=ca, proxy=proxy, deadline=deadline)

    async def fetch() -> bytes:
        try:
            async with asyncio.timeout(60):
                return [await fetcher.get(url) for url in urls][-1]
        finally:
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(fetch())


def url_of(address: Address, path: str = "/") -> str:
    return f"https://{address[0]}:{address[1]}{path}"


def test_a_document(issuer: Issuer, ca: Path) -> None:
    assert fetch(ca, issuer.name + "/good") == GOOD


@pytest.mark.parametrize(("answer", "words"), FAULTS.values(), ids=FAULTS)
def test_what_a_server_may_do(issuer: Issuer, ca: Path, answer: Answer, words: str) -> None:
    issuer.answers["/fault"] = answer
    with pytest.raises(FetchError, match=words) as raised:
        fetch(ca, issuer.name + "/fault", deadline=QUICKLY if "within" in words else PATIENTLY)
    assert str(raised.value).startswith(f"{HOST}:{issuer.address[1]}: ")
    assert str(raised.value).isprintable()
    assert fetch(ca, issuer.name + "/good") == GOOD


@pytest.mark.parametrize("stated", [True, False])
def test_a_huge_body_is_cut(issuer: Issuer, ca: Path, stated: bool) -> None:
    issuer.answers["/huge"] = huge = Huge(stated=stated)
    with pytest.raises(FetchError):
        fetch(ca, issuer.name + "/huge")
    assert 0 < huge.sent < 2**26  # what the sockets hold, and not a GiB


def test_the_limit(issuer: Issuer, ca: Path) -> None:
    issuer.answers["/limit"] = document(bytes(LARGEST))
    assert fetch(ca, issuer.name + "/limit") == bytes(LARGEST)
    issuer.answers["/limit"] = document(bytes(LARGEST + 1))
    with pytest.raises(FetchError, match=f"more than {LARGEST} bytes"):
        fetch(ca, issuer.name + "/limit")


def test_nothing_is_decompressed(issuer: Issuer, ca: Path) -> None:
    bomb = bytes(2**26)
    issuer.answers["/bomb"] = compressed(bomb, says_so=False)
    assert fetch(ca, issuer.name + "/bomb").startswith(b"\x1f\x8b")
    issuer.answers["/bomb"] = document(GOOD, "Content-Encoding: identity")
    assert fetch(ca, issuer.name + "/bomb") == GOOD


@pytest.mark.parametrize("where", ["trap", "plain trap", "file", "itself"])
def test_no_redirect_is_followed(issuer: Issuer, ca: Path, trap: Trap, where: str) -> None:
    host, port = trap.address
    targets = {"trap": url_of(trap.address), "plain trap": f"http://{host}:{port}/", "file": "file:///etc/passwd"}
    issuer.answers["/away"] = redirect(targets.get(where, "/good"), GOOD)
    before = issuer.count("/good")
    with pytest.raises(FetchError, match="answers with status 302"):
        fetch(ca, issuer.name + "/away")
    assert issuer.count("/good") == before


def test_what_is_sent(issuer: Issuer, ca: Path) -> None:
    issuer.answers["/cookie"] = document(GOOD, "Set-Cookie: a=b")
    fetch(ca, issuer.name + "/cookie", issuer.name + "/cookie")
    first, second = issuer.heads[-2:]
    assert first == second
    lines = set(first.lower().strip().splitlines()[1:])
    assert lines >= {"accept: application/json", "accept-encoding: identity", "user-agent: dicomgate"}
    assert not [line for line in lines if line.startswith(("cookie", "authorization"))]


def test_a_wrong_certificate(ca: Path, tmp_path: Path) -> None:
    with Issuer() as own:
        own.answers["/good"] = document(GOOD)
        ours = ca_file(own, tmp_path)
        assert fetch(ours, own.name + "/good") == GOOD
        for which, certificate in own.wrong_certificates().items():
            own.show(certificate)
            with pytest.raises(FetchError, match="certificate verify failed"):
                pytest.fail(f"{which}: {fetch(ours, own.name + '/good')!r}")
        with pytest.raises(FetchError, match="certificate verify failed"):
            fetch(ca, own.name + "/good")
        with pytest.raises(FetchError, match=r"certificate verify failed: .*`ca`"):
            fetch(None, own.name + "/good")
        assert own.count("/good") == 1


def test_nobody_listens(ca: Path, tmp_path: Path) -> None:
    with Issuer() as own:
        own.answers["/good"] = document(GOOD)
        own.stop()
        with pytest.raises(FetchError, match=rf"^{HOST}:{own.address[1]}: Connection refused$"):
            fetch(ca_file(own, tmp_path), own.name + "/good")
        own.start()
        assert fetch(ca_file(own, tmp_path), own.name + "/good") == GOOD


@pytest.mark.parametrize("silence", ["TCP", "TLS", "proxy"])
def test_an_address_that_is_silent_holds_up_no_fetch(
    issuer: Issuer, ca: Path, names: Names, silence: str, caplog: pytest.LogCaptureFixture
) -> None:
    names.addresses["localhost"] = ["127.0.0.2", HOST]
    with Proxy() as proxy:
        port = proxy.address[1] if silence == "proxy" else issuer.address[1]
        through = f"http://localhost:{port}" if silence == "proxy" else None
        where = issuer.name if through else f"https://localhost:{port}"
        mute = socket.create_server(("127.0.0.2", port)) if silence == "TLS" else silent("127.0.0.2", port)
        with mute:
            assert fetch(ca, where + "/good", where + "/good", proxy=through) == GOOD
    assert caplog.text.count(f"127.0.0.2:{port}: no answer within 0.") == 1
    assert f"Host: {where.removeprefix('https://')}" in issuer.heads[-1]  # the name, not the address


def test_addresses_that_are_all_silent_are_named(ca: Path, names: Names) -> None:
    with silent("127.0.0.2") as (_, port), silent("127.0.0.3", port):
        names.addresses["localhost"] = ["127.0.0.2", "127.0.0.3"]
        with pytest.raises(FetchError) as raised:
            fetch(ca, f"https://localhost:{port}/", deadline=timedelta(seconds=0.6))
    told = [rf"127\.0\.0\.{number}:{port}: no answer within 0\.\d+ s" for number in (2, 3)]
    assert re.fullmatch(f"localhost:{port}: {'; '.join(told)}", str(raised.value))


def test_a_handshake_that_is_given_up_leaves_no_connection_open(ca: Path) -> None:
    async def in_vain(trap: Trap) -> None:
        fetcher = Fetcher(ca=ca, proxy=None, deadline=timedelta(milliseconds=100))
        for _ in range(3):
            with pytest.raises(FetchError, match="no answer within"):
                await fetcher.get(url_of(trap.address))
        async with asyncio.timeout(20):
            while trap.open:  # as long as this loop runs: its end would close them
                await asyncio.sleep(0.01)

    with Trap() as trap:
        asyncio.run(in_vain(trap))
        assert trap.connections == 3


def test_one_deadline_for_fetches_that_belong_together(issuer: Issuer, ca: Path) -> None:
    fetcher = Fetcher(ca=ca, proxy=None, deadline=PATIENTLY)

    async def both() -> bytes:
        until = fetcher.until()
        assert await fetcher.get(issuer.name + "/good", until=until) == GOOD
        return await fetcher.get(issuer.name + "/good", until=until - PATIENTLY.total_seconds())

    with pytest.raises(FetchError, match="no answer within"):
        asyncio.run(both())


def test_others_have_their_turn_while_crumbs_come(issuer: Issuer, ca: Path) -> None:
    issuer.answers["/crumbs"] = crumbs
    fetcher = Fetcher(ca=ca, proxy=None, deadline=timedelta(seconds=1))

    async def turns() -> int:
        fetching, count = asyncio.create_task(fetcher.get(issuer.name + "/crumbs")), 0
        while not fetching.done():
            count += 1
            await asyncio.sleep(0)
        with pytest.raises(FetchError):
            await fetching
        return count

    # On an idle machine some 10,000, on a busy one half of that; without turns in between there are some hundred.
    assert asyncio.run(turns()) > 1500


def test_the_environment_is_not_asked(
    issuer: Issuer, ca: Path, trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{trap.address[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (tmp_path / "netrc").write_text(f"machine {HOST} login mallory password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(ca, issuer.name + "/good") == GOOD
    assert "authorization" not in issuer.heads[-1].lower()
    with Issuer() as other:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        with pytest.raises(FetchError, match="certificate verify failed"):
            fetch(ca_file(other, tmp_path), issuer.name + "/good")


def test_a_proxy(issuer: Issuer, ca: Path, tmp_path: Path) -> None:
    with Proxy() as proxy, Issuer() as other:
        address = f"http://{HOST}:{proxy.address[1]}"
        assert fetch(ca, issuer.name + "/good", proxy=address) == GOOD
        assert proxy.targets == [f"{HOST}:{issuer.address[1]}"]
        # It is TLS with the issuer that goes through the proxy.
        with pytest.raises(FetchError, match="certificate verify failed"):
            fetch(ca_file(other, tmp_path), issuer.name + "/good", proxy=address)
        proxy.stop()
        with pytest.raises(FetchError, match="proxy: Connection refused"):
            fetch(ca, issuer.name + "/good", proxy=address)
    with Proxy(status=403) as proxy, pytest.raises(FetchError, match="403"):
        fetch(ca, issuer.name + "/good", proxy=f"http://{HOST}:{proxy.address[1]}")
    with Trap() as trap, pytest.raises(FetchError, match="no answer within"):
        fetch(ca, issuer.name + "/good", proxy=f"http://{HOST}:{trap.address[1]}", deadline=QUICKLY)


@pytest.mark.parametrize("name", ["gateway", "gate:way %7E+ é"])
def test_a_form_with_credentials(issuer: Issuer, ca: Path, name: str) -> None:
    """RFC 6749 2.3.1; the server takes apart what was put together."""
    secret, form = "a secret: 100 %41 + é", {"token": "a b&c=d"}
    fetcher = Fetcher(ca=ca, proxy=None, deadline=PATIENTLY)
    assert asyncio.run(fetcher.post(issuer.name + "/good", form, (name, secret))) == GOOD
    head = issuer.heads[-1]
    (basic,) = [line.split()[2] for line in head.splitlines() if line.startswith("Authorization: Basic ")]
    assert [unquote_plus(one) for one in b64decode(basic).decode("ascii").split(":")] == [name, secret]
    assert "Content-Type: application/x-www-form-urlencoded" in head
    assert parse_qs(issuer.bodies[-1]) == {"token": ["a b&c=d"]}


def test_who_stops_waiting_stops_the_fetch(issuer: Issuer, ca: Path) -> None:
    with Trap() as trap:
        fetcher = Fetcher(ca=ca, proxy=None, deadline=PATIENTLY)

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(fetcher.get(url_of(trap.address)), 0.1)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(give_up())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deadline": timedelta(milliseconds=99)}, "fetch_timeout: 100ms to 60s"),
        ({"deadline": timedelta(seconds=61)}, "fetch_timeout: 100ms to 60s"),
        ({"proxy": "proxy.example:3128"}, "proxy: must be http://host:port"),
        ({"proxy": "socks5://proxy.example"}, "proxy: must be http://host:port"),
        ({"proxy": "https://proxy.example"}, "proxy: must be http://host:port"),
        ({"proxy": "http://"}, "proxy: must be http://host:port"),
        ({"ca": Path("nowhere.pem")}, "ca: nowhere.pem: cannot be read: No such file"),
        ({"ca": Path(__file__)}, "contains no certificate in PEM"),
    ],
)
def test_a_configuration_that_is_wrong(options: dict[str, object], words: str) -> None:
    right = {"ca": None, "proxy": "http://proxy.example:3128", "deadline": timedelta(minutes=1)}
    Fetcher(**right)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=words):
        Fetcher(**{**right, **options})  # type: ignore[arg-type]


GOOD_URLS = ["https://a", "https://a.example:8443/x?y=z", "https://[::1]/", "HTTPS://A.example/", "https://a:65535/"]
BAD_URLS = [
    "", "a", "http://a/", "file:///etc/passwd", "ftp://a/", "//a/", "https:", "https:a", "https://", "https:///a",
    "https://:443/", "https://a:65536/", "https://a:b/", "https://a:1:2/", "https://[::1", "https://[v1.a]/",
    "https://user@a/", "https://user:secret@a/", "https://good\\@evil/", "https://evil:1\\@good/", "https://a/#b",
    "https://\u00e4.example/", "https://a/\nb", "https://a/\0", " https://a/", "https://a/" + "b" * 2048,
]  # fmt: skip


@pytest.mark.parametrize("url", [*GOOD_URLS, *BAD_URLS, None, 5, ["https://a"], {"https://a": 1}])
def test_urls(url: object) -> None:
    assert (url_problem(url) == "") == (url in GOOD_URLS)
    if isinstance(url, str) and url in BAD_URLS:
        with pytest.raises(ConfigError, match=r"jwks_url: (not a URL|must)"):
            check_url("jwks_url", url)
