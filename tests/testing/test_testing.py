"""The kit for plugin authors: it passes what keeps the laws, and fails each way of breaking one."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dicomgate import (
    Accept,
    Attempt,
    ConfigError,
    Decision,
    Identity,
    IdentityType,
    Pass,
    Peer,
    Probed,
    Reject,
    Unavailable,
)
from dicomgate.testing import AuthenticatorContract, ask, attempt, jwt, kerberos, passcode, saml, username, watching

SECRET = "canary-7f3a91"
GOOD, BAD = attempt(passcode("alice", SECRET)), attempt(passcode("alice", "wrong-51c2"))
LAWS = sorted(name for name in vars(AuthenticatorContract) if name.startswith("test_"))


class Staff:
    """Keeps every law."""

    handles: Any = frozenset({IdentityType.USERNAME_AND_PASSCODE})

    def judge(self, identity: Identity) -> Decision:
        right = (identity.primary, identity.secondary) == (b"alice", SECRET.encode())
        return Accept("alice") if right else Reject("wrong passcode")

    def authenticate(self, attempt: Attempt) -> Decision:
        identity = attempt.identity
        if identity is None or identity.type is not IdentityType.USERNAME_AND_PASSCODE:
            return Pass("no passcode")
        return self.judge(identity)


class Awaited(Staff):
    async def authenticate(self, attempt: Attempt) -> Decision:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().authenticate(attempt)

    async def probe(self) -> list[Probed]:
        return [Probed("directory ldaps://dc1")]

    async def still_valid(self, user: str, handle: object) -> Accept | Reject:
        return Accept(user) if user == "alice" else Reject("unknown user")


class TestSync(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self) -> Staff:
        return Staff()

    @pytest.fixture
    def good(self) -> Attempt:
        return GOOD

    @pytest.fixture
    def bad(self) -> Attempt:
        return BAD


class TestAsync(TestSync):
    @pytest.fixture
    def authenticator(self) -> Staff:
        return Awaited()


class TestWithoutHandles(TestSync):
    @pytest.fixture
    def authenticator(self) -> Staff:
        return broken(handles=None)()


def broken(base: type[Staff] = Staff, **methods: Any) -> Callable[[], Staff]:
    return type("Broken", (base,), methods)


def telling(self: Staff, identity: Identity) -> Decision:
    logging.getLogger("plugin").debug("trying %r", identity.secondary)
    return Staff.judge(self, identity)


def in_base64(self: Staff, identity: Identity) -> Decision:
    decision = Staff.judge(self, identity)
    return Reject(f"no: {base64.b64encode(identity.secondary).decode()}") if isinstance(decision, Reject) else decision


def crashing(self: Staff, identity: Identity) -> Decision:
    identity.secondary.decode()
    return Staff.judge(self, identity)


class Forgetful(Staff):
    """Keeps the attempt in itself while it looks."""

    def judge(self, identity: Identity) -> Decision:
        self.identity = identity
        time.sleep(0.005)
        return super().judge(self.identity)


class Jammed(Staff):
    """Never gives its lock back when it is cancelled."""

    locked = False

    async def authenticate(self, attempt: Attempt) -> Decision:  # type: ignore[override]
        if self.locked:
            return Unavailable("busy")
        self.locked = True
        await asyncio.sleep(0)
        self.locked = False
        return super().authenticate(attempt)


class Hasty(Staff):
    """Believes everybody once somebody did not wait."""

    hurried = False

    async def authenticate(self, attempt: Attempt) -> Decision:  # type: ignore[override]
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.hurried = True
            raise
        return Accept("alice") if self.hurried else super().authenticate(attempt)


class Blocking(Staff):
    """Waits for something in the event loop."""

    async def authenticate(self, attempt: Attempt) -> Decision:  # type: ignore[override]
        time.sleep(0.6)
        return super().authenticate(attempt)


class Forking(Staff):
    """Begins something in the background each time, and never ends it."""

    async def authenticate(self, attempt: Attempt) -> Decision:  # type: ignore[override]
        self.background = asyncio.ensure_future(asyncio.sleep(60))
        return super().authenticate(attempt)


class Threading(Staff):
    """The same in threads."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def judge(self, identity: Identity) -> Decision:
        threading.Thread(target=self.end.wait, args=(30,), daemon=True).start()
        return super().judge(identity)

    def __del__(self) -> None:
        self.end.set()


class Opening(Staff):
    """Opens a file each time, and never closes it."""

    def __init__(self) -> None:
        self.files: list[int] = []

    def judge(self, identity: Identity) -> Decision:
        self.files.append(os.open(os.devnull, os.O_RDONLY))
        return super().judge(identity)

    def __del__(self) -> None:
        for file in self.files:
            os.close(file)


class Configured(Staff):
    """Has a key and a secret, and does with them what it is told."""

    act: Callable[[str, str], None]

    def __init__(self, url: str = "", secret: str = "") -> None:
        if url:
            type(self).act(url, secret)

    @staticmethod
    def explain(url: str, secret: str) -> None:
        raise ConfigError(f"url: {url!r} is no address")

    @staticmethod
    def babble(url: str, secret: str) -> None:
        raise ConfigError(f"url: {url!r} is no address, and {secret!r} is not its secret")

    @staticmethod
    def mumble(url: str, secret: str) -> None:
        raise ConfigError("wrong")

    @staticmethod
    def crash(url: str, secret: str) -> None:
        raise IndexError(url)


def configured(act: Callable[[str, str], None]) -> Callable[[], Staff]:
    return broken(Configured, act=staticmethod(act))


def probing(*found: Probed) -> Any:
    async def probe(self: object) -> list[Probed]:
        return [found[0]]

    return broken(probe=probe)


TABLE = {"url": "nowhere", "secret": "hush-19"}
EXPLAINED = {"wrong_tables": ((TABLE, "'nowhere' is no address"),), "secrets": ("hush-19",)}

BROKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "rejects everybody": (broken(judge=lambda *_: Reject("no")), "test_the_good_attempt_is_accepted"),
    "a response too long": (
        broken(judge=lambda *_: Accept("alice", server_response=bytes(65_001))),
        "test_the_good_attempt_is_accepted",
    ),
    "a response too long for who asks": (
        broken(judge=lambda _, it: Accept("a", server_response=bytes(70_000 * it.positive_response_requested))),
        "test_a_server_response_fits_its_item",
    ),
    "handles another type": (broken(handles={IdentityType.JWT}), "test_the_good_attempt_is_accepted"),
    "accepts everybody": (broken(judge=lambda *_: Accept("alice")), "test_the_bad_attempt_is_rejected"),
    "passes what it knows": (broken(judge=lambda *_: Pass()), "test_the_bad_attempt_is_rejected"),
    "says True": (broken(judge=lambda *_: True), "test_the_bad_attempt_is_rejected"),
    "says no reason": (broken(judge=lambda *_: Reject("")), "test_the_bad_attempt_is_rejected"),
    "compares beginnings": (
        broken(judge=lambda _, it: Accept("a") if SECRET.encode().startswith(it.secondary) else Reject("no")),
        "test_a_damaged_credential_is_never_accepted",
    ),
    "finds everybody under a star": (
        broken(judge=lambda self, it: Accept("a") if it.primary == b"*" else Staff.judge(self, it)),
        "test_a_damaged_credential_is_never_accepted",
    ),
    "crashes on strangers": (
        broken(judge=lambda self, it: {b"alice": Staff.judge(self, it)}[it.primary]),
        "test_a_damaged_credential_is_never_accepted",
    ),
    "crashes on bytes": (broken(judge=crashing), "test_a_damaged_credential_is_never_accepted"),
    "accepts tickets": (
        broken(handles=None, authenticate=lambda *_: Accept("alice")),
        "test_a_foreign_identity_is_not_judged",
    ),
    "rejects tokens": (
        broken(handles=None, authenticate=lambda *_: Reject("no passcode")),
        "test_a_foreign_identity_is_not_judged",
    ),
    "crashes without identity": (
        broken(handles=None, authenticate=lambda self, it: self.judge(it.identity)),
        "test_a_foreign_identity_is_not_judged",
    ),
    "mixes attempts up": (Forgetful, "test_many_at_once_do_not_disturb_each_other"),
    "stays locked": (Jammed, "test_an_abandoned_attempt_leaves_it_usable"),
    "believes in haste": (Hasty, "test_a_missed_deadline_lets_nobody_in_and_leaves_it_usable"),
    "blocks the event loop": (Blocking, "test_an_event_loop_never_waits_for_it"),
    "knows everybody": (
        broken(still_valid=lambda _, user, handle: Accept(user)),
        "test_it_says_who_is_still_valid",
    ),
    "leaves tasks": (Forking, "test_it_leaves_nothing_behind"),
    "leaves threads": (Threading, "test_it_leaves_nothing_behind"),
    "leaves descriptors": (Opening, "test_it_leaves_nothing_behind"),
    "takes a wrong table": (configured(lambda *_: None), "test_a_wrong_table_is_explained"),
    "does not say what is wrong": (configured(Configured.mumble), "test_a_wrong_table_is_explained"),
    "crashes on a wrong table": (configured(Configured.crash), "test_a_wrong_table_is_explained"),
    "tells a configured secret": (configured(Configured.babble), "test_a_wrong_table_is_explained"),
    "takes a key of the gateway's own": (
        type("Broken", (Staff,), {"__init__": lambda self, timeout=5: None}),
        "test_a_wrong_table_is_explained",
    ),
    "probe of what is down": (probing(Probed("directory", "down")), "test_a_probe_ends_in_time_and_tells_no_secret"),
    "probe that raises": (probing(), "test_a_probe_ends_in_time_and_tells_no_secret"),
    "probe that tells": (probing(Probed("hush-19")), "test_a_probe_ends_in_time_and_tells_no_secret"),
    "has a configured secret in its repr": (broken(__repr__=lambda _: "Staff(hush-19)"), "test_no_secret_is_told"),
    "repr": (broken(__repr__=lambda _: f"Staff(secret={SECRET!r})"), "test_no_secret_is_told"),
    "log": (broken(judge=telling), "test_no_secret_is_told"),
    "reason in base64": (broken(judge=in_base64), "test_no_secret_is_told"),
}


def keep(authenticator: Any, law: str) -> None:
    arguments = {"authenticator": authenticator, "good": GOOD, "bad": BAD}
    attributes = EXPLAINED if isinstance(authenticator, Configured) else {"secrets": ("hush-19",)}
    method = getattr(type("Contract", (AuthenticatorContract,), attributes)(), law)
    code = method.__func__.__code__
    method(*(arguments[name] for name in code.co_varnames[1 : code.co_argcount]))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_law_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE", 0.3)
    monkeypatch.setattr(watching, "_GRACE", 0.3)
    make, law = BROKEN[name]
    keep(Staff(), law)
    keep(configured(Configured.explain)(), law)
    with pytest.raises(AssertionError) as it:
        keep(make(), law)
    assert SECRET not in str(it.value)
    assert "hush-19" not in str(it.value)


def test_every_law_is_broken_by_somebody() -> None:
    assert sorted({law for _, law in BROKEN.values()}) == LAWS


def test_an_attempt_has_what_a_test_does_not_care_about() -> None:
    it = attempt()
    assert (it.identity, it.called_ae_title, it.listener, it.peer.certificate) == (None, "PACS", "clinical", None)
    assert it.time.tzinfo is UTC
    then = datetime(2026, 1, 2, tzinfo=UTC)
    other = attempt(jwt("e30"), id="7", certificate=b"der", time=then, address="::1", port=5)
    assert (other.id, other.time, other.peer) == ("7", then, Peer("::1", 5, b"der"))


def test_identities_of_all_five_types() -> None:
    asked = {"positive_response_requested": True}
    made = [
        username("ä", **asked),
        passcode(b"a", "p", **asked),
        kerberos(b"t", **asked),
        saml("<a/>", **asked),
        jwt("e30"),
    ]
    assert [it.type for it in made] == list(IdentityType)
    assert [it.positive_response_requested for it in made] == [True] * 4 + [False]
    assert [(it.primary, it.secondary) for it in made] == [
        ("ä".encode(), b""), (b"a", b"p"), (b"t", b""), (b"<a/>", b""), (b"e30", b""),
    ]  # fmt: skip


def test_ask_gives_the_answers_in_their_order() -> None:
    assert ask(Staff(), GOOD, BAD, attempt()) == [Accept("alice"), Reject("wrong passcode"), Pass("no passcode")]


def test_the_kit_imports_without_pytest() -> None:
    script = "import sys; sys.modules['pytest'] = None; import dicomgate.testing; print(dicomgate.testing.attempt().id)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "test-1\n"
