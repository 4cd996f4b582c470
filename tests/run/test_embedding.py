"""Logins in another program: verified as in the gateway, and always answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dicomgate import Accept, Attempt, ConfigError, Decision, Once, Reject, StartError, Unavailable
from dicomgate.auth.chain import Verdict
from dicomgate.events.events import ReasonClass
from dicomgate.run import embedding
from dicomgate.run.embedding import REFUSED_IDENTITY, TRY_LATER, Admit, LoginService, Refuse
from dicomgate.testing import attempt, jwt, passcode, username
from dicomgate.wire.reject_abort import Refusal
from dicomgate.wire.user_identity import encode_identity

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)
Answer: TypeAlias = Admit | Refuse


class Staff:
    """Accepts one passcode, one name and one token."""

    def __init__(self, response: bytes | None = None, once: bool = False, ends: timedelta | None = None) -> None:
        self.asked: list[Attempt] = []
        self._response = response
        self._once = once
        self._ends = ends

    async def authenticate(self, attempt: Attempt) -> Decision:
        self.asked.append(attempt)
        identity = attempt.identity
        if identity is None or identity.secondary not in (b"", b"right") or identity.primary == b"false":
            return Reject("unknown")
        now = datetime.now(UTC)
        once = Once("k", now + HOUR) if self._once else None
        ends = None if self._ends is None else now + self._ends
        return Accept("alice", server_response=self._response, once=once, expires_at=ends)


def body(identity: Any) -> bytes:
    """The content of sub-item 58H."""
    return encode_identity(identity)[4:]


async def answers(logins: LoginService, *items: bytes | None, secured: bool = True, **options: Any) -> list[Answer]:
    """What it answers to these identities, one after the other."""
    async with logins:
        return [await logins(attempt(id=str(n)), item, secured=secured, **options) for n, item in enumerate(items)]


async def refusals(logins: LoginService, *items: bytes | None, **options: Any) -> list[Refusal | None]:
    """The refusal of each of them; None where it is admitted."""
    return [one.refusal if isinstance(one, Refuse) else None for one in await answers(logins, *items, **options)]


ALICE, BOB = body(passcode("alice", "right")), body(passcode("alice", "wrong"))
REQUESTED = body(jwt("token", positive_response_requested=True))


async def test_yes_and_no() -> None:
    staff = Staff(b"response")
    admitted, refused, responded = await answers(LoginService.of([staff]), ALICE, BOB, REQUESTED)
    assert admitted == Admit(Accept("alice", server_response=b"response"), "staff", None)
    assert refused == Refuse(REFUSED_IDENTITY, "staff: unknown", ReasonClass.WRONG_CREDENTIAL)
    assert isinstance(responded, Admit)
    assert responded.server_response == b"response"
    assert [one.identity.primary for one in staff.asked if one.identity] == [b"alice", b"alice", b"token"]


async def test_what_the_chain_never_sees() -> None:
    staff = Staff()
    reserved, doubled = b"\x06" + ALICE[1:], ALICE + b"?"
    assert (
        await refusals(LoginService.of([staff]), None, reserved, doubled, body(username("a\0b")))
        == [REFUSED_IDENTITY] * 4
    )
    assert await refusals(LoginService.of([staff]), ALICE, secured=False) == [REFUSED_IDENTITY]
    assert staff.asked == []
    assert await refusals(LoginService.of([staff], cleartext_passcodes=True), ALICE, secured=False) == [None]
    assert await refusals(LoginService.of([staff]), body(username("alice")), secured=False) == [None]


async def test_the_one_refusal_that_a_program_has() -> None:
    assert await refusals(LoginService.of([Staff()]), BOB, None, ALICE, always=TRY_LATER) == [TRY_LATER] * 2 + [None]


@pytest.mark.parametrize(
    ("staff", "items", "expected"),
    [
        (Staff(once=True), [ALICE, ALICE], [None, REFUSED_IDENTITY]),
        (Staff(ends=-HOUR), [ALICE], [REFUSED_IDENTITY]),
        (Staff(ends=HOUR), [ALICE], [None]),
        (Staff(b"r" * 65_001), [REQUESTED], [TRY_LATER]),
        (Staff(b"r" * 65_000), [REQUESTED], [None]),
    ],
    ids=["used before", "ended", "valid", "a response that fits nowhere", "a response that fits"],
)
async def test_what_the_chain_accepts_is_admitted_if_it_holds(
    staff: Staff, items: list[bytes], expected: list[Refusal | None]
) -> None:
    assert await refusals(LoginService.of([staff]), *items) == expected


async def test_guesses_are_counted() -> None:
    wrong = [body(passcode("alice", f"wrong {n}")) for n in range(8)]
    staff = Staff()
    given = await answers(LoginService.of([staff]), *wrong, ALICE)
    assert {one.refusal for one in given if isinstance(one, Refuse)} == {REFUSED_IDENTITY}
    assert [isinstance(one, Refuse) and "throttled" in one.reason for one in given] == [False] * 5 + [True] * 4
    assert len(staff.asked) == 5, "the default of free"


async def test_a_hanging_chain() -> None:
    class Hanging:
        async def authenticate(self, attempt: Attempt) -> Decision:
            await asyncio.sleep(60)
            raise AssertionError

    began = time.monotonic()
    hanging = LoginService.of([Hanging()], deadline=timedelta(seconds=0.1))
    assert await refusals(hanging, ALICE) == [TRY_LATER]
    assert time.monotonic() - began < 10


async def too_late(_: object) -> Verdict:
    await asyncio.sleep(3)
    return Verdict(Accept("alice"), "staff")


async def broken(_: object) -> Verdict:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("judging", "why", "reason_class"),
    [
        (too_late, "no decision within 0.1 s", ReasonClass.DEADLINE),
        (broken, "a defect of dicomgate", ReasonClass.UNAVAILABLE),
    ],
)
async def test_what_fails_around_the_chain_is_a_refusal(
    judging: object, why: str, reason_class: ReasonClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = LoginService.of([Staff()])
    monkeypatch.setattr(embedding, "answered", judging)
    monkeypatch.setattr(one, "deadline", 0.1)
    assert await answers(one, ALICE) == [Refuse(TRY_LATER, why, reason_class)]


def test_names_are_different() -> None:
    class Other(Staff):
        pass

    named = LoginService.of([Staff(), Other(), Staff()])
    assert [link.name for link in named._chain.links] == ["staff-1", "other", "staff-2"]


# -- a configuration file ---------------------------------------------------------------------------------------------


def write(folder: Path, text: str) -> Path:
    path = folder / "dicomgate.toml"
    path.write_text(text)
    return path


@pytest.fixture
def staff(install_authenticator: Callable[[str], str]) -> str:
    """The table of an installed authenticator that accepts the passcode "right"."""
    name = install_authenticator("""
        from dicomgate import Accept, Reject
        class Judge:
            def __init__(self, user: str = "alice"):
                self.user = user
            async def authenticate(self, attempt):
                right = attempt.identity is None or attempt.identity.secondary == b"right"
                return Accept(self.user) if right else Reject("wrong")
    """)
    return f'[[authenticator]]\nuse = "{name}"\n'


GATEWAY = '[gateway]\nnode = "ward-ae"\naudit = "audit.jsonl"\n'
UPSTREAM = '[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:4242"\ncalled_ae_titles = ["*"]\n'


def listener(name: str, more: str = "") -> str:
    return f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:{sum(name.encode())}"\n{more}\n'


async def test_a_file_without_listeners(tmp_path: Path, staff: str) -> None:
    path = write(tmp_path, GATEWAY + staff)
    assert await refusals(LoginService.configured(path), ALICE, BOB, None) == [None, REFUSED_IDENTITY, REFUSED_IDENTITY]
    assert await refusals(LoginService.configured(path), ALICE, secured=False) == [REFUSED_IDENTITY]
    told = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [one["event"] for one in told[:4]] == ["Decided", "Decided", "Refused", "Refused"]
    assert {one["node"] for one in told} == {"ward-ae"}
    assert [one["id"] for one in told[:4]] == ["0", "1", "1", "2"]


async def test_the_rules_of_a_listener(tmp_path: Path, staff: str) -> None:
    rules = 'cleartext_passcodes = true\nidentity = "optional"\nend_with_credential = false'
    one = LoginService.configured(write(tmp_path, GATEWAY + listener("ward", rules) + UPSTREAM + staff))
    assert (one.listener, one.end_with_credential) == ("ward", False)
    assert await refusals(one, ALICE, BOB, None, secured=False) == [None, REFUSED_IDENTITY, None]
    strict = LoginService.configured(write(tmp_path, GATEWAY + listener("ward") + UPSTREAM + staff))
    assert await refusals(strict, ALICE, None, secured=False) == [REFUSED_IDENTITY] * 2


async def test_one_of_several_listeners(tmp_path: Path, staff: str) -> None:
    second = staff + 'name = "second"\nuser = "zoe"\n'
    listeners = listener("ward") + listener("lab", 'authenticators = ["second"]')
    path = write(tmp_path, GATEWAY + listeners + UPSTREAM + staff + second)
    for name, expected in (("ward", "alice"), ("lab", "zoe")):
        (answer,) = await answers(LoginService.configured(path, name), ALICE)
        assert isinstance(answer, Admit)
        assert answer.accept.user == expected
    with pytest.raises(ConfigError, match="say which listener's authenticators to use; there are: ward, lab"):
        LoginService.configured(path)
    with pytest.raises(ConfigError, match="no listener is called 'wards'; there are: ward, lab"):
        LoginService.configured(path, "wards")
    with pytest.raises(ConfigError, match="no listener is called 'ward'; there are: none"):
        LoginService.configured(write(tmp_path, GATEWAY + staff), "ward")


async def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, staff: str) -> None:
    with pytest.raises(
        ConfigError, match=r"dicomgate.toml:7: authenticator\[0\].usr: unknown key, did you mean 'user'"
    ):
        LoginService.configured(write(tmp_path, GATEWAY + "\n" + staff + 'usr = "alice"\n'))
    with pytest.raises(StartError, match="the audit file"):
        await answers(
            LoginService.configured(write(tmp_path, GATEWAY.replace("audit.jsonl", "no/where") + staff)), ALICE
        )


@pytest.mark.parametrize(("audit", "expected"), [("audit.jsonl", None), ("/dev/full", TRY_LATER)])
async def test_no_login_without_its_record_where_that_is_required(
    audit: str, expected: Refusal | None, tmp_path: Path, staff: str
) -> None:
    settings = GATEWAY.replace("audit.jsonl", audit)
    assert await refusals(LoginService.configured(write(tmp_path, settings + staff)), ALICE) == [None]
    required = LoginService.configured(write(tmp_path, f"{settings}audit_required = true\n{staff}"))
    built = LoginService.of([Staff()], audit=tmp_path / audit, audit_required=True)
    given = await answers(required, ALICE, ALICE) + await answers(built, ALICE)
    assert [one.refusal if isinstance(one, Refuse) else None for one in given] == [expected] * 3
    for one in given:
        why = "no login without its audit record (audit_required): No space left on device"
        assert isinstance(one, Admit) or one.reason == why


async def test_the_state_is_the_gateways(tmp_path: Path, staff: str) -> None:
    """What two of them count, they count together."""
    path = write(tmp_path, GATEWAY + "[throttle]\nfree = 1\n" + staff)
    guesses = [body(passcode("alice", f"wrong {n}")) for n in range(2)]
    assert await refusals(LoginService.configured(path), *guesses) == [REFUSED_IDENTITY] * 2
    (then,) = await answers(LoginService.configured(path), ALICE)
    assert isinstance(then, Refuse)
    assert "throttled" in then.reason


async def test_who_could_not_look() -> None:
    class Down:
        async def authenticate(self, attempt: Attempt) -> Decision:
            return Unavailable("the directory is down")

    assert await answers(LoginService.of([Down()]), ALICE) == [Refuse(TRY_LATER, "down: the directory is down")]
