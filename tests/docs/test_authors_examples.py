"""The longer examples of docs/writing-an-authenticator.md keep the contract, and do what the page says of them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Attempt, Pass, Reject, Unavailable, always
from dicomgate.auth.members import probed
from dicomgate.run.embedding import Admit, LoginService
from dicomgate.testing import AuthenticatorContract, ask, attempt, jwt, passcode
from dicomgate.testing.linked import linked
from dicomgate.testing.pages import DOCS, blocks
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST
from dicomgate.wire.user_identity import encode_identity


def example(name: str) -> Any:
    """The class of this name, made by the block of the page that has it."""
    page = DOCS / "writing-an-authenticator.md"
    (block,) = [block for block in blocks(page, "python") if f"\nclass {name}:" in block.text]
    namespace: dict[str, Any] = {"__name__": name.lower()}
    exec(compile(block.text, str(page), "exec", dont_inherit=True), namespace)  # noqa: S102 (our own page)
    return namespace[name]


# -- an HTTP API ------------------------------------------------------------------------------------------------------

HospitalApi = example("HospitalApi")
GOOD, BAD = passcode("alice", "correct horse"), passcode("alice", "battery staple")
ODD: dict[str, tuple[int, bytes]] = {
    "broken": (500, b"{}"),
    "moved": (302, b"{}"),
    "missing": (404, b"{}"),
    "unauthorised": (401, b"{}"),
    "empty": (204, b""),
    "html": (200, b"<p>welcome</p>"),
    "a list": (200, b"[]"),
    "nobody": (200, b'{"groups": []}'),
    "no groups": (200, b'{"user": "alice"}'),
    "one group": (200, b'{"user": "alice", "groups": "ct"}'),
    "a number": (200, b'{"user": 1, "groups": []}'),
}
"""Answers that let nobody in, by the name of who asks."""


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open

    def do_POST(self) -> None:
        login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = (login["name"], login["passcode"]) == ("alice", "correct horse")
        status, body = ODD.get(
            login["name"], (200, b'{"user": "alice", "groups": ["ct", "mr"]}') if right else (403, b"")
        )
        if login["name"] == "slow":
            time.sleep(0.5)
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def api(certificates: Certificates) -> Iterator[str]:
    """Where the API answers."""
    server = ThreadingHTTPServer((HOST, 0), Api)
    server.socket = certificates.server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://{HOST}:{server.server_port}/login"
    server.shutdown()
    thread.join()
    server.server_close()


class TestHospitalApi(AuthenticatorContract):
    wrong_tables = (
        ({"url": "http://api.example"}, "url: must begin with https"),
        ({"url": "https://api.example", "ca": "nowhere"}, "nowhere: cannot be read"),
    )

    @pytest.fixture
    def authenticator(self, api: str, certificates: Certificates) -> Any:
        return HospitalApi(url=api, ca=certificates.ca, deadline=timedelta(seconds=20))

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(GOOD)

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(BAD)


def test_what_is_no_clear_answer_lets_nobody_in(api: str, certificates: Certificates) -> None:
    judge = HospitalApi(url=api, ca=certificates.ca, deadline=timedelta(seconds=20))
    odd = [attempt(passcode(name, "x")) for name in ODD]
    accept, *others = ask(judge, attempt(GOOD), *odd)
    assert accept == Accept("alice", frozenset({"ct", "mr"}))
    assert [name for name, decision in zip(ODD, others, strict=True) if not isinstance(decision, Unavailable)] == []
    hasty = HospitalApi(url=api, ca=certificates.ca, deadline=timedelta(milliseconds=100))
    (late,) = ask(hasty, attempt(passcode("slow", "x")))
    assert isinstance(late, Unavailable)
    assert "TimeoutError" in late.reason


@pytest.mark.parametrize("trouble", ["", "gone", "not trusted"])
def test_a_probe_says_why_the_api_cannot_be_asked(api: str, certificates: Certificates, trouble: str) -> None:
    url = api.replace(api.split(":")[2].split("/")[0], "1") if trouble == "gone" else api
    judge = HospitalApi(url=url, ca=certificates.other_ca if trouble == "not trusted" else certificates.ca)
    (found,) = linked(judge, lambda _: probed(judge.probe, 20))
    assert found.what == f"API {url}"
    assert {"": "", "gone": "ConnectError", "not trusted": "CERTIFICATE_VERIFY_FAILED"}[trouble] in found.problem
    assert bool(found.problem) is bool(trouble)


# -- vouchers ---------------------------------------------------------------------------------------------------------

Vouchers = example("Vouchers")
VOUCHER = "voucher-" + "x" * 32


def line(voucher: str, made: datetime) -> str:
    return f"{hashlib.sha256(voucher.encode()).hexdigest()} alice {made.isoformat()}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vouchers"
    path.touch(mode=0o600)
    path.write_text(line(VOUCHER, datetime.now(UTC)))
    return path


class TestVouchers(AuthenticatorContract):
    wrong_tables = (({"file": "nowhere"}, "nowhere: cannot be read"),)

    @pytest.fixture
    def authenticator(self, file: Path) -> Any:
        return Vouchers(file=file)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(jwt(VOUCHER))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(jwt("voucher-" + "y" * 32))


def test_what_a_refusal_rests_on(file: Path) -> None:
    judge = Vouchers(file=file)
    unknown, other = ask(judge, attempt(jwt("voucher-new")), attempt(jwt("a.b.c")))
    assert isinstance(unknown, Reject)
    assert isinstance(other, Pass)
    assert other.stands is always
    assert unknown.stands is not None
    assert unknown.stands()
    file.write_text(line("voucher-new", datetime.now(UTC)))
    assert not unknown.stands()
    assert isinstance(ask(judge, attempt(jwt("voucher-new")))[0], Accept)


@pytest.mark.anyio
async def test_a_voucher_is_used_once(file: Path) -> None:
    old = "voucher-of-yesterday"
    with file.open("a") as more:
        more.write(line(old, datetime.now(UTC) - timedelta(hours=13)))
    async with LoginService.of([Vouchers(file=file)]) as logins:
        items = [encode_identity(jwt(voucher))[4:] for voucher in (VOUCHER, VOUCHER, old)]
        answers = [await logins(attempt(id=str(n)), item, secured=True) for n, item in enumerate(items)]
    assert [isinstance(answer, Admit) for answer in answers] == [True, False, False]
